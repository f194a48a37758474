/** Streams of recommendations: order, bounded reading ahead, and who closes what when something fails. */
import { once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { fit, type History, type Model, RecvaeError, type UserRecommendation } from '../dist/index.js';
import { NEWCOMER, planted } from './planted.js';

let model: Model<'ease'>;
beforeAll(async () => {
  model = await fit('ease', planted(), { lambda: 10 });
});

/** History n has its own length, so that results cannot be mixed up unseen. */
const history = (n: number): History => ({ user: `user ${n}`, items: [...NEWCOMER.slice(n % 5), `thing ${n}`] });

/** Hands out histories, and keeps a record of what was asked of it. */
class Source implements AsyncIterable<History> {
  asked = 0;
  closed = 0;
  readonly #count: number;
  readonly #fault: ((n: number) => unknown) | undefined;

  constructor(count: number, fault?: (n: number) => unknown) {
    this.#count = count;
    this.#fault = fault;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<History> {
    try {
      while (this.asked < this.#count) {
        const n = this.asked;
        this.asked += 1;
        yield (this.#fault?.(n) as History) ?? history(n);
      }
    } finally {
      this.closed += 1;
    }
  }
}

async function collect(stream: AsyncIterable<UserRecommendation>, into: UserRecommendation[] = []) {
  for await (const result of stream) into.push(result);
  return into;
}

describe('recommendStream', () => {
  test('gives what one by one gives, in order, for any kind of iterable', async () => {
    const count = 2100;
    const expected = Array.from({ length: count }, (_, n) => ({
      user: `user ${n}`,
      ...model.recommend(history(n).items, { k: 3 }),
    }));
    const histories = Array.from({ length: count }, (_, n) => history(n));
    for (const source of [new Source(count), histories, new Set(histories), Readable.from(histories)]) {
      expect(await collect(model.recommendStream(source, { k: 3 }, { threads: 2 }))).toEqual(expected);
    }
    expect(await collect(model.recommendStream([]))).toEqual([]);
    const typo = [{ user: 'u', items: [], denny: ['x'] }];
    await expect(collect(model.recommendStream(typo))).rejects.toThrow("a key of history 0 is 'denny'; allowed: user");
  });

  test('reads no further than a group ahead, and closes what it leaves', async () => {
    const source = new Source(100_000);
    let taken = 0;
    for await (const { user } of model.recommendStream(source)) {
      expect(user).toBe(`user ${taken}`);
      taken += 1;
      // The group that is being taken, the next one, and the one behind it that is gathered while that is scored.
      expect(source.asked - taken).toBeLessThanOrEqual(3 * 1024);
      if (taken === 2500) break;
    }
    expect(source.closed).toBe(1);
  });

  test('answers what has arrived before it waits for more', async () => {
    const answers: string[] = [];
    async function* slow() {
      for (let n = 0; n < 5; n += 1) {
        yield history(n);
        // It goes on when it has been answered.
        while (answers.length <= n) await setTimeout(1);
      }
    }
    for await (const { user } of model.recommendStream(slow())) answers.push(user);
    expect(answers).toHaveLength(5);
  });

  test('a loop that is left does not wait for a source that is silent', async () => {
    async function* silent() {
      yield history(0);
      await new Promise(() => {});
    }
    for await (const { user } of model.recommendStream(silent())) {
      expect(user).toBe('user 0');
      break;
    }
  });

  test('what comes before a failure is answered, then it is told', async () => {
    const error = new RangeError('the cursor is gone');
    const failing = new Source(9999, (n) => {
      if (n === 1500) throw error;
    });
    const results: UserRecommendation[] = [];
    await expect(collect(model.recommendStream(failing), results)).rejects.toBe(error);
    expect([results.length, failing.closed]).toEqual([1500, 1]);
    for (const [bad, text] of [
      [null, 'history 1500 is null; allowed: an object'],
      [{ items: [] }, 'user of history 1500 is undefined; allowed: a string or a whole number'],
      [{ user: 'u', items: 'abc' }, "items of history 1500 is 'abc'; allowed: a list of ids"],
      [{ user: 'u', items: ['a', 3.5] }, 'items[1] of history 1500 is 3.5; allowed: a string or a whole number'],
    ] as const) {
      const source = new Source(9999, (n) => (n === 1500 ? (bad ?? 0) : undefined));
      const before: UserRecommendation[] = [];
      const thrown = await collect(model.recommendStream(source), before).catch((error) => error);
      expect(thrown).toBeInstanceOf(RecvaeError);
      if (bad !== null) expect(thrown.message).toBe(text);
      expect([before.length, source.closed]).toEqual([1500, 1]);
    }
  });

  test('arguments are checked before there are histories', () => {
    const untouched = new Source(1);
    expect(() => model.recommendStream(untouched, { k: 0 })).toThrow('k is 0; allowed');
    expect(() => model.recommendStream(untouched, {}, { thread: 1 } as object)).toThrow("'thread'; allowed");
    expect(() => model.recommendTransform({ k: 0 })).toThrow('k is 0; allowed');
    for (const histories of [null, 'abc', {}, 3]) {
      expect(() => model.recommendStream(histories as never)).toThrow('allowed: an iterable of {user, items}');
    }
    expect(untouched.asked).toBe(0);
  });
});

describe('recommendTransform', () => {
  test('stands in a pipeline', async () => {
    const results: UserRecommendation[] = [];
    const sink = new Writable({
      objectMode: true,
      async write(result, _, done) {
        results.push(result);
        if (results.length % 500 === 0) await setTimeout(1);
        done();
      },
    });
    await pipeline(new Source(2000), model.recommendTransform({ k: 2 }), sink);
    expect(results.map(({ user }) => user)).toEqual(Array.from({ length: 2000 }, (_, n) => `user ${n}`));
    expect(results[7]).toEqual({ user: 'user 7', ...model.recommend(history(7).items, { k: 2 }) });
  });

  test('a failure upstream or a bad history ends the pipeline', async () => {
    const gone = new Source(5000, (n) => {
      if (n === 3000) throw new RangeError('gone');
    });
    const drain = () => new Writable({ objectMode: true, write: (_, __, done) => done() });
    await expect(pipeline(gone, model.recommendTransform(), drain())).rejects.toThrow('gone');
    const bad = new Source(5000, (n) => (n === 3000 ? { user: 3.5 } : undefined));
    await expect(pipeline(bad, model.recommendTransform(), drain())).rejects.toThrow('user of history 3000 is 3.5');
    expect([gone.closed, bad.closed]).toEqual([1, 1]);
  });

  test('it can be destroyed while it waits', async () => {
    const transform = model.recommendTransform();
    transform.write(history(0));
    const [first] = await once(transform, 'data');
    expect(first.user).toBe('user 0');
    transform.destroy();
    await once(transform, 'close');
  });
});
