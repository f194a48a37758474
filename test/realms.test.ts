/** What crosses a border: another realm's arrays, errors and signals, another thread, JSON, and the sign of a zero. */
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { evaluate, type Filter, fit, Interactions, Model, RecvaeError, Split, split } from '../dist/index.js';
import { checkSignal } from '../dist/runtime/check.js';
import { toRecvaeError } from '../dist/runtime/errors.js';
import { planted } from './planted.js';

const likes = { users: ['u', 'u', 'v', 'v', 'w'], items: ['a', 'b', 'a', 'b', 'z'] };

describe('values of another realm', () => {
  test('typed arrays are taken for what they are', async () => {
    const users = runInNewContext('BigInt64Array.of(1n, 1n, 2n, -3n)');
    const items = runInNewContext('BigUint64Array.of(7n, 8n, 7n, 2n ** 64n - 1n)');
    expect(users).not.toBeInstanceOf(BigInt64Array);
    const data = Interactions.fromColumns({ users, items });
    expect(data.userIds()).toEqual(['1', '2', '-3']);
    expect(data.itemIds()).toEqual(['7', '8', '18446744073709551615']);
    const numbers = runInNewContext('Float64Array.of(1, 2)');
    expect(Interactions.fromColumns({ users: numbers, items: numbers }).nInteractions).toBe(2);
    const values = runInNewContext('Float64Array.of(1, 5)');
    const batches = [{ users: numbers, items: numbers, values }];
    expect((await Interactions.fromBatches(batches, { minValue: 4 })).userIds()).toEqual(['2']);
    // A view of bytes without a type is no column, of whatever realm.
    expect(() =>
      Interactions.fromColumns({ users: runInNewContext('new DataView(new ArrayBuffer(8))'), items: numbers }),
    ).toThrow(/allowed: an array of ids or a typed array/);
  });

  test('bytes and columns of histories', async () => {
    const data = Interactions.fromColumns(likes);
    const bytes = runInNewContext('bytes => Uint8Array.from(bytes)')([...data.toArrow()]);
    expect(bytes).not.toBeInstanceOf(Uint8Array);
    expect((await Interactions.fromArrow(bytes)).nInteractions).toBe(5);
    const model = await fit('ease', data, { lambda: 1 });
    const columns = runInNewContext('({ items: Uint32Array.of(0), offsets: Uint32Array.of(0, 1) })');
    expect(await model.recommendColumns(columns, { k: 2 })).toEqual(await model.recommendColumns([['a']], { k: 2 }));
    const wrong = runInNewContext('({ items: Int32Array.of(0), offsets: Uint32Array.of(0, 1) })');
    await expect(model.recommendColumns(wrong)).rejects.toThrow(
      /histories\.items .*allowed: an instance of Uint32Array/,
    );
  });

  test('errors keep their message and become the cause', () => {
    const foreign = runInNewContext(
      'Object.assign(new TypeError("no such file"), { code: "ENOENT", syscall: "open" })',
    );
    expect(foreign).not.toBeInstanceOf(Error);
    const error = toRecvaeError(foreign);
    expect(error).toMatchObject({ code: 'IO', message: 'no such file', cause: foreign });
    const reason = AbortSignal.abort().reason;
    expect(toRecvaeError(reason)).toMatchObject({ code: 'INTERNAL', cause: reason });
    expect(toRecvaeError('text').cause).toBeUndefined();
  });

  test('a signal is what can be listened to', () => {
    const target = { aborted: false, addEventListener() {}, removeEventListener() {} };
    expect(() => checkSignal(target)).not.toThrow();
    for (const wrong of [null, {}, { aborted: false }, 'signal', { ...target, aborted: 1 }]) {
      expect(() => checkSignal(wrong)).toThrow(/^signal is .*allowed: an instance of AbortSignal/);
    }
  });
});

describe('another thread', () => {
  test('gets no model: whoever sends one is told why', async () => {
    const model = await fit('ease', Interactions.fromColumns(likes), { lambda: 1 });
    const said = /A model stays in its thread: load\(\) it in the other one\./;
    expect(() => structuredClone(model)).toThrow(said);
    expect(() => structuredClone({ deep: [model] })).toThrow(said);
    expect(() => new Worker('', { eval: true, workerData: model })).toThrow(said);
  });

  test('gets no data either', async () => {
    const data = await split(planted(), { seed: 1 });
    expect(() => structuredClone(data.train)).toThrow(
      /Interactions stay in their thread: read them in the other one\./,
    );
    expect(() => structuredClone(data.test)).toThrow(/Held-out users stay in their thread/);
    expect(() => structuredClone(data)).toThrow(/stay in their thread/); // its parts
    const { nUsers, nItems, nInteractions, density } = data.train;
    expect(JSON.parse(JSON.stringify(data))).toMatchObject({
      train: { nUsers, nItems, nInteractions, density, weighted: false },
      test: { nUsers: data.test.nUsers, nScored: data.test.nScored },
    });
  });

  test('a copy of anything else is told for what it is', async () => {
    const data = await split(planted(), { seed: 1 });
    const model = await fit('ease', data);
    const said =
      /is an object; allowed: an instance of .*; a copy that postMessage\(\) or structuredClone\(\) made is none/;
    const filter = structuredClone(model.filter({ deny: [] })) as unknown as Filter;
    expect(() => model.recommend([], { filter })).toThrow(said);
    // Other objects are no copies, ours of another kind included.
    await expect(evaluate(model, data.train as never)).rejects.toThrow(/allowed: an instance of HeldOut$/);
    await expect(fit('ease', {} as Interactions)).rejects.toThrow(/allowed: an instance of Split or Interactions$/);
    await expect(fit('ease', Object.create(null))).rejects.toThrow(/allowed: an instance of Split or Interactions$/);
    const nobodyAwaited = Promise.resolve({}) as never;
    await expect(fit('ease', nobodyAwaited)).rejects.toThrow(/^data is a promise, which nobody awaited; allowed: /);
    await expect(fit('ease', undefined as never)).rejects.toThrow(/allowed: an instance of Split or Interactions$/);
    expect([Split, Model].every((each) => typeof each === 'function')).toBe(true);
  });
});

describe('JSON', () => {
  test('of a model says what it is', async () => {
    const info = { run: 'nightly' };
    const model = await fit('ease', Interactions.fromColumns(likes), { lambda: 1 }, { info });
    expect(JSON.parse(JSON.stringify({ model }))).toEqual({
      model: { kind: 'ease', options: model.options, info, nItems: 3 },
    });
  });

  test('of an evaluation has arrays', async () => {
    const data = await split(planted(), { seed: 1 });
    const found = await evaluate(await fit('ease', data), data.test, { metrics: ['ndcg@5', 'coverage@5'] });
    const { metrics, users } = JSON.parse(JSON.stringify(found));
    expect(users).toEqual([...found.users]);
    expect(users.length).toBeGreaterThan(1);
    expect(metrics['ndcg@5'].perUser).toEqual([...found.metrics['ndcg@5'].perUser]);
    expect(metrics['coverage@5'].perUser).toEqual([]);
    // They stay typed arrays, and nothing else sees what JSON uses.
    expect(Object.keys(found.metrics['ndcg@5'].perUser)).toEqual(users.map((_: number, at: number) => `${at}`));
    expect(structuredClone(found.users)).toEqual(found.users);
  });
});

describe('options', () => {
  test('undefined is the default', async () => {
    const data = Interactions.fromColumns(likes);
    const [left, given] = [
      await fit('ease', data),
      await fit('ease', data, { lambda: undefined, precision: undefined }),
    ];
    expect(given.options).toEqual(left.options);
    const run = {
      threads: undefined,
      signal: undefined,
      onProgress: undefined,
      info: undefined,
      memoryLimit: undefined,
    };
    expect((await fit('ease', data, undefined, { ...run, checkpoint: undefined, from: undefined })).info).toBe(null);
    expect(left.recommend(['a'], { k: undefined, allow: undefined, deny: undefined, filter: undefined })).toEqual(
      left.recommend(['a']),
    );
    const [one, other] = await Promise.all([
      split(planted(), { seed: undefined, heldOut: undefined }),
      split(planted()),
    ]);
    expect(one.test.userIds()).toEqual(other.test.userIds());
    const metrics = await evaluate(await fit('ease', one), one.test, { metrics: undefined, threads: undefined });
    expect(Object.keys(metrics.metrics)).toContain('ndcg@100');
  });

  test('lists may be read-only, and are left as they are', async () => {
    const data = await split(planted(), { seed: 1 });
    const metrics = Object.freeze(['recall@3', 'ndcg@3'] as const);
    const found = await evaluate(await fit('ease', data), data.test, { metrics });
    expect(Object.keys(found.metrics)).toEqual(['recall@3', 'ndcg@3']);
  });

  test('a wrong name of a model is told with the right ones', async () => {
    const error = await fit('eese' as 'ease', planted()).catch((thrown: RecvaeError) => thrown);
    expect(error).toBeInstanceOf(RecvaeError);
    expect((error as RecvaeError).message).toMatch(
      /'eese'.*popularity, ease, edlae, rdlae, deql, hoease, als, mult-dae, mult-vae, recvae, hvamp/s,
    );
  });
});

test('a zero has no sign', async () => {
  // z and a have no user in common: what one says of the other is a product with a zero, in EASE^R of the negative
  // kind.
  const data = Interactions.fromColumns(likes);
  const zeros: number[] = [];
  for (const kind of ['ease', 'edlae', 'rdlae', 'deql', 'hoease', 'als', 'popularity'] as const) {
    const model = await fit(kind, data);
    const { score, reasons } = await model.explain(['a', 'b'], 'z');
    const columns = await model.recommendColumns([['a'], []], { k: 3 });
    zeros.push(score, ...reasons.map(({ contribution }) => contribution), ...columns.scores);
    zeros.push(...model.recommend(['a'], { k: 3 }).items.map(({ score }) => score));
    if (kind !== 'popularity') zeros.push(...model.similarItems('z').map(({ score }) => score));
    if (kind === 'als') zeros.push(...(await model.embed([[], ['a']])));
  }
  expect(zeros.filter((number) => number === 0).length).toBeGreaterThan(5);
  expect(zeros.filter((number) => Object.is(number, -0))).toEqual([]);
});
