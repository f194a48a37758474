/** Stopping long work: by a signal, at any time, for its own reason; and by a progress callback that fails. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  ablate,
  type Columns,
  compare,
  EaseCounts,
  evaluate,
  type FitRun,
  fit,
  type History,
  Interactions,
  type Model,
  type ModelName,
  type ModelOptions,
  type Progress,
  type RunOptions,
  split,
  writeSynth,
} from '../dist/index.js';
import { CLI } from './command.js';
import { NEWCOMER, planted, temporaryFolder, writePlanted } from './planted.js';
import { stopsEarly } from './stops-early.js';

const SMALL = { hiddenDim: 16, latentDim: 4, epochs: 3, batchSize: 50 };

/** Users with 20 random items each. Another process runs it too. */
function random(nUsers: number, nItems: number): Columns {
  let state = 1;
  const [users, items]: [string[], string[]] = [[], []];
  for (let user = 0; user < nUsers; user += 1) {
    for (let n = 0; n < 20; n += 1) {
      state = (state * 1103515245 + 12345) % 2147483648;
      users.push(`u${user}`);
      items.push(`i${Math.floor((state / 2147483648) * nItems)}`);
    }
  }
  return { users, items };
}

/** Fits that take a while, each of them one epoch or one matrix. */
const LONG: { [K in ModelName]?: ModelOptions[K] } = {
  ease: {},
  'mult-vae': { epochs: 1, batchSize: 100, hiddenDim: 300, latentDim: 100 },
  recvae: { epochs: 1, batchSize: 100, hiddenDim: 300, latentDim: 100 },
};
const LONG_MODELS = Object.keys(LONG) as ModelName[];
const longFit = (model: ModelName, run: FitRun) => fit(model, large, LONG[model], { threads: 1, ...run });
/** A fit that does not end before it is stopped. */
const endlessFit = (run: FitRun) =>
  fit('recvae', small, { ...SMALL, epochs: 1e6, patience: 1e6 }, { threads: 1, ...run });

let small: Interactions;
let large: Interactions;
let model: Model<'ease'>;
let neural: Model<'mult-vae'>;
beforeAll(async () => {
  small = planted();
  large = Interactions.fromColumns(random(4000, 4000));
  model = await fit('ease', small, { lambda: 10 });
  neural = await fit('mult-vae', small, SMALL);
});

/** What a promise is rejected with. */
async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (reason) {
    return reason;
  }
  throw new Error('it was not rejected');
}

/** Every call that takes a signal, as short as it can be. */
const calls: [string, (run: RunOptions) => Promise<unknown>][] = [
  ['fit', (run) => fit('ease', small, {}, run)],
  ['evaluate', async (run) => evaluate(model, (await split(small)).test, run)],
  ['split', (run) => split(small, {}, run)],
  ['compare', (run) => compare(small, { models: [], ...run })],
  ['ablate', (run) => ablate(small, { seeds: [1], options: SMALL, reference: SMALL, ...run })],
  ['EaseCounts.count', (run) => EaseCounts.count(small, run)],
  ['EaseCounts.update', async (run) => (await EaseCounts.count(small)).update({ add: small, remove: small }, run)],
  ['EaseCounts.fit', async (run) => (await EaseCounts.count(small)).fit({}, run)],
  ['recommendBatch', (run) => model.recommendBatch([NEWCOMER], {}, run)],
  [
    'recommendStream',
    async (run) => {
      for await (const _ of model.recommendStream([{ user: 'a', items: NEWCOMER }], {}, run));
    },
  ],
  ['recommendColumns', (run) => model.recommendColumns([NEWCOMER], {}, run)],
  ['explain', (run) => model.explain(NEWCOMER, 'i2-7', {}, run)],
  ['embed', (run) => neural.embed([NEWCOMER], run)],
  ['similarUsers', (run) => neural.similarUsers(NEWCOMER, [{ user: 'a', items: NEWCOMER }], 1, run)],
  ['writeSynth', (run) => writeSynth(join(temporaryFolder(), 'a.csv'), { scale: 0.01 }, run)],
  ['synth', (run) => Interactions.synth({ scale: 0.01 }, run)],
  ['fromFile', ({ signal }) => Interactions.fromFile(writePlanted(temporaryFolder()), {}, { signal })],
  ['fromHistories', ({ signal }) => Interactions.fromHistories([{ user: 'a', items: ['b'] }], {}, { signal })],
  ['fromBatches', ({ signal }) => Interactions.fromBatches([{ users: ['a'], items: ['b'] }], {}, { signal })],
  ['fromArrow', ({ signal }) => Interactions.fromArrow(small.toArrow(), {}, { signal })],
  ['fromDuckDB', ({ signal }) => Interactions.fromDuckDB({ sql: 'SELECT 1 AS user, 2 AS item' }, { signal })],
];

describe.each(calls)('%s', (_, call) => {
  test('is rejected with the reason if the signal is aborted before', async () => {
    const reason = { why: 'before' };
    const signal = AbortSignal.abort(reason);
    expect(await rejection(call({ signal }))).toBe(reason);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('takes its listener off the signal when it is done, and later aborts are nothing to it', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    await call({ signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    controller.abort();
    await setImmediate();
  });

  test('is rejected with the reason after an abort right behind the call', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const result = call({ signal });
    const reason = new Error('behind');
    controller.abort(reason);
    expect(await rejection(result)).toBe(reason);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('an abort in the middle', () => {
  test.each(LONG_MODELS)('of a fit of %s', async (name) => {
    await stopsEarly((run) => longFit(name, run));
  });

  test('of a fit of EaseCounts', async () => {
    const counts = await EaseCounts.count(large);
    await stopsEarly((run) => counts.fit({}, { threads: 1, ...run }));
  });

  test('of evaluate', async () => {
    const { train, test } = await split(large, { test: 3000 });
    const fitted = await fit('ease', train);
    await stopsEarly((run) => evaluate(fitted, test, { threads: 1, metrics: ['ndcg@100'], ...run }));
  });

  test('of recommendBatch', async () => {
    const fitted = await fit('popularity', large);
    const histories = Array.from({ length: 20_000 }, () => fitted.itemIds.slice(0, 5));
    await stopsEarly((run) => fitted.recommendBatch(histories, { k: 1 }, { threads: 1, ...run }));
  });

  test('of compare', async () => {
    const data = await split(large);
    await stopsEarly((run) => compare(data, { models: [], search: false, threads: 1, ...run }));
  });

  test('of writeSynth, which leaves no file', async () => {
    const [whole, stopped] = [join(temporaryFolder(), 'whole.csv'), join(temporaryFolder(), 'stopped.csv')];
    await stopsEarly((run) => {
      const path = run.signal === undefined ? whole : stopped;
      rmSync(path, { force: true });
      return writeSynth(path, { scale: 0.2 }, { threads: 1, ...run });
    });
    expect(existsSync(whole)).toBe(true);
    expect(readdirSync(dirname(stopped))).toEqual([]);
  });

  test('of a file that is read', async () => {
    const path = join(temporaryFolder(), 'a.csv');
    await writeSynth(path, { scale: 0.2 });
    await stopsEarly(({ signal }) => Interactions.fromFile(path, {}, { signal }));
  });

  test('of a query of DuckDB', async () => {
    const sql = 'SELECT range AS user, range AS item FROM range(1000000000000) ORDER BY hash(range)';
    // While it is opened, prepared and run.
    for (const delay of [0, 1, 2, 5, 10, 20, 50, 300]) {
      const signal = AbortSignal.timeout(delay);
      expect(await rejection(Interactions.fromDuckDB({ sql }, { signal }))).toBe(signal.reason);
    }
    const rows = Interactions.fromDuckDB(
      { sql: 'SELECT range AS user, 1 AS item FROM range(1000000000000)' },
      {
        signal: AbortSignal.timeout(300),
      },
    );
    expect(await rejection(rows)).toMatchObject({ name: 'TimeoutError' });
  });
});

describe('reasons', () => {
  const cases: [string, unknown][] = [
    ['an error', new RangeError('mine')],
    ['an object', { mine: true }],
    ['a text', 'mine'],
    ['null', null],
    ['nothing, which makes an AbortError', undefined],
  ];
  test.each(cases)('%s', async (_, reason) => {
    const controller = new AbortController();
    const fitted = longFit('ease', { signal: controller.signal });
    controller.abort(reason);
    const rejected = await rejection(fitted);
    expect(rejected).toBe(controller.signal.reason);
    if (reason === undefined) expect(rejected).toMatchObject({ name: 'AbortError' });
  });

  test('of AbortSignal.timeout and AbortSignal.any', async () => {
    const timeout = AbortSignal.timeout(20);
    const never = new AbortController();
    const any = AbortSignal.any([never.signal, timeout]);
    expect(await rejection(endlessFit({ signal: any }))).toBe(timeout.reason);
    expect(timeout.reason).toMatchObject({ name: 'TimeoutError' });
  });

  test('what is no signal is refused', async () => {
    for (const signal of [{}, 5, null, new AbortController()]) {
      const run = { signal } as unknown as RunOptions;
      const error = {
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(/^signal is .*; allowed: an instance of AbortSignal$/),
      };
      expect(await rejection(fit('ease', small, {}, run))).toMatchObject(error);
      expect(await rejection(Interactions.fromArrow(small.toArrow(), {}, run))).toMatchObject(error);
      expect(() => model.recommendStream([], {}, run)).toThrow(expect.objectContaining(error));
    }
  });

  test('a failure of the work goes before an abort that comes later', async () => {
    const controller = new AbortController();
    const failed = rejection(fit('ease', small, { lambda: -1 }, { signal: controller.signal }));
    expect(await failed).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });
});

test('thousands of calls share a signal, and one that is aborted disturbs no other', async () => {
  const warnings: unknown[] = [];
  const onWarning = (warning: unknown) => warnings.push(warning);
  process.on('warning', onWarning);
  const shared = new AbortController();
  const expected = model.recommend(NEWCOMER);
  for (let round = 0; round < 20; round += 1) {
    const calls = Array.from({ length: 100 }, () =>
      model.recommendBatch([NEWCOMER], {}, { threads: 1, signal: shared.signal }),
    );
    for (const [result] of await Promise.all(calls)) expect(result).toEqual(expected);
    expect(getEventListeners(shared.signal, 'abort')).toEqual([]);
  }
  const own = new AbortController();
  const results = Promise.all(
    Array.from({ length: 50 }, () => fit('ease', small, { lambda: 10 }, { threads: 1, signal: shared.signal })),
  );
  const aborted = Array.from({ length: 5 }, () => rejection(endlessFit({ signal: own.signal })));
  await setTimeout(20);
  own.abort('mine');
  expect(await Promise.all(aborted)).toEqual(Array(5).fill('mine'));
  for (const fitted of await results) expect(fitted.recommend(NEWCOMER)).toEqual(expected);
  await setImmediate();
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});

test('after aborted fits the same data give the same bytes', async () => {
  const folder = temporaryFolder();
  for (const [name, options] of [
    ['ease', {}],
    ['edlae', {}],
    ['hoease', { pairs: 50 }],
    ['mult-dae', { epochs: SMALL.epochs }],
    ['mult-vae', SMALL],
    ['recvae', SMALL],
    ['hvamp', { ...SMALL, pseudoUsers: 10 }],
  ] as const) {
    const bytes = async (path: string) => {
      await (await fit(name, small, options)).save(join(folder, path));
      return readFileSync(join(folder, path));
    };
    const before = await bytes('before');
    for (const delay of [0, 1, 5]) {
      const signal = AbortSignal.timeout(delay);
      // A fit that is faster than the timer is whole.
      await fit(name, small, options, { signal }).catch((reason) => expect(reason).toBe(signal.reason));
    }
    expect((await bytes('after')).equals(before)).toBe(true);
  }
});

describe('in a process of its own', () => {
  /**
   * Runs a program against the built package, with the data of the long fits as `large` and their options as `LONG`.
   */
  async function run(program: string): Promise<{ code: number | null; lines: string[] }> {
    const head = `
      import { fit, Interactions } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url))};
      const random = ${random};
      const [large, LONG] = [Interactions.fromColumns(random(4000, 4000)), ${JSON.stringify(LONG)}];
      const SLOW = { epochs: 1000000, patience: 1000000, hiddenDim: 4, latentDim: 2 };`;
    // What is freed goes back at once: what an allocator keeps for later depends on where the aborts come.
    const env = { ...process.env, MALLOC_MMAP_THRESHOLD_: '131072', MALLOC_TRIM_THRESHOLD_: '131072' };
    const child = spawn(process.execPath, ['--input-type=module', '--eval', head + program], { env });
    const [text, errors, [code]] = await Promise.all([
      child.stdout.toArray(),
      child.stderr.toArray(),
      once(child, 'close') as Promise<[number | null]>,
    ]);
    expect(Buffer.concat(errors).toString()).toBe('');
    return { code, lines: Buffer.concat(text).toString().trimEnd().split('\n') };
  }

  test('memory is given back: the resident set after 50 more aborted fits is that after two of each model', async () => {
    const { code, lines } = await run(`
      const names = Object.keys(LONG);
      const rss = [];
      const first = 2 * names.length;
      for (let n = 0; n < first + 50; n += 1) {
        if (n === first) rss.push(process.memoryUsage.rss());
        const [name, signal] = [names[n % names.length], AbortSignal.timeout(60)];
        const why = await fit(name, large, LONG[name], { threads: 1, signal }).catch((reason) => reason);
        if (why !== signal.reason) throw why;
      }
      console.log(process.memoryUsage.rss() - rss[0]);`);
    expect(code).toBe(0);
    // The matrix of EASE^R alone takes 61 MiB, the parameters of the others with their moments 30 and more: what only
    // one of the models kept, 16 times, would be 480 and more.
    expect(Number(lines[0]) / 2 ** 20).toBeLessThan(120);
  });

  test('the promise of a fit keeps the process alive until it is settled, and its callback does not afterwards', async () => {
    const whole = await run(`
      let called = 0;
      const onProgress = () => { called += 1; };
      fit('mult-vae', large, LONG['mult-vae'], { onProgress }).then(({ epochs }) => console.log(epochs.length));
      process.on('exit', () => console.log(called));`);
    expect(whole).toEqual({ code: 0, lines: ['1', '1'] });

    // Were it not stopped, it would work for hours.
    const stopped = await run(`
      const controller = new AbortController();
      fit('mult-vae', large, SLOW, { onProgress: () => controller.abort('enough'), signal: controller.signal })
        .catch((reason) => console.log(reason));`);
    expect(stopped).toEqual({ code: 0, lines: ['enough'] });
  });

  test('a callback that throws does not end the process', async () => {
    const outcome = await run(`
      for (const onProgress of [() => { throw new RangeError('sync'); }, async () => { throw new RangeError('async'); }]) {
        await fit('mult-vae', large, SLOW, { onProgress }).catch(({ message }) => console.log(message));
      }
      console.log((await fit('popularity', large)).kind);`);
    expect(outcome).toEqual({ code: 0, lines: ['sync', 'async', 'popularity'] });
  });
});

describe('on the command line', () => {
  /** Waits until a signal has come to a process: two of a kind that wait to be delivered count as one. */
  async function delivered({ pid }: ChildProcessWithoutNullStreams): Promise<void> {
    const waits = () => {
      try {
        return /^ShdPnd:\s*0*[1-9a-f]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
      } catch {
        return false; // it has ended
      }
    };
    if (process.platform !== 'linux') await setTimeout(100);
    else while (waits()) await setTimeout(1);
  }

  /** Starts a command that is told to end when it is at work, which `ready` waits for. */
  async function stopped(
    folder: string,
    args: string[],
    signals: NodeJS.Signals[],
    ready: (child: ChildProcessWithoutNullStreams) => Promise<unknown>,
  ): Promise<{ code: number | null; stderr: string }> {
    const child = spawn(process.execPath, [CLI, ...args], { cwd: folder });
    const errors: Buffer[] = [];
    child.stderr.on('data', (chunk) => errors.push(chunk));
    child.stdout.resume();
    const closed = once(child, 'close') as Promise<[number | null]>;
    await ready(child);
    for (const signal of signals) {
      child.kill(signal);
      await delivered(child);
    }
    const [code] = await closed;
    return { code, stderr: Buffer.concat(errors).toString() };
  }

  const temporaryIn = (folder: string) => async () => {
    while (!readdirSync(folder).some((name) => name.startsWith('.recvae-'))) await setTimeout(5);
  };

  test('compare and synth stop, say so in a line, and leave nothing', async () => {
    const folder = temporaryFolder();
    await writeSynth(join(folder, 'likes.csv'), { scale: 0.05 });
    const compare = ['compare', 'likes.csv', '--save', 'best', '--json', 'result.json'];
    const told = (child: ChildProcessWithoutNullStreams) => once(child.stderr, 'data'); // popularity trains
    const interrupted = await stopped(folder, compare, ['SIGINT'], told);
    expect(interrupted.code).toBe(130);
    expect(interrupted.stderr).toMatch(/\nrecvae: stopped by SIGINT\n$/);
    const synth = ['synth', '--like', 'netflix', '--out', 'big.csv'];
    const expected = { code: 143, stderr: 'recvae: stopped by SIGTERM\n' };
    expect(await stopped(folder, synth, ['SIGTERM'], temporaryIn(folder))).toEqual(expected);
    expect(readdirSync(folder)).toEqual(['likes.csv']);
  });

  test('recommend stops while it waits for input', async () => {
    const folder = temporaryFolder();
    await model.save(join(folder, 'm.st'));
    for (const out of [[], ['--out', 'r.jsonl'], ['--out', 'r.parquet']]) {
      // More than a pipe holds: when it is written, most of it is read.
      const text = '{"user":"a","items":[]}\n'.repeat(20_000);
      const reads = (child: ChildProcessWithoutNullStreams) =>
        new Promise<void>((resolve) => child.stdin.write(text, () => resolve()));
      const expected = { code: 130, stderr: expect.stringMatching(/^(\d+ users.*\n)*recvae: stopped by SIGINT\n$/) };
      expect(await stopped(folder, ['recommend', 'm.st', ...out], ['SIGINT'], reads)).toEqual(expected);
      expect(readdirSync(folder)).toEqual(['m.st']);
    }
  });

  test.skipIf(process.platform === 'win32')(
    'evaluate stops within its input, and at once when told again',
    async () => {
      const folder = temporaryFolder();
      await model.save(join(folder, 'm.st'));
      const pipe = join(folder, 'likes.csv');
      execFileSync('mkfifo', [pipe]);
      const evaluate = ['evaluate', 'm.st', 'likes.csv'];
      // Opened when it is read from: that is after the signals are listened to.
      let input: FileHandle | undefined;
      const reading = async () => {
        input = await open(pipe, 'w');
        await input.write('user,item\nu1,i1\n');
        await setTimeout(100);
      };
      const more = async () => {
        await reading();
        // It waits for more input when the signal comes, and looks again when some has come. More comes until it has
        // ended.
        const into = input!;
        const feed = async () => {
          for (;;) {
            await setTimeout(300);
            await into.write('u2,i2\n'.repeat(100_000));
          }
        };
        feed().catch(() => {});
      };
      expect(await stopped(folder, evaluate, ['SIGINT'], more)).toEqual({
        code: 130,
        stderr: 'recvae: stopped by SIGINT\n',
      });
      await input!.close();
      // Also while it waits for what does not come.
      expect(await stopped(folder, evaluate, ['SIGTERM'], reading)).toEqual({
        code: 143,
        stderr: 'recvae: stopped by SIGTERM\n',
      });
      await input!.close();
    },
  );

  /** Waits until a command has opened a file; where that cannot be seen, long enough. */
  const opened = (path: string) => async (child: ChildProcessWithoutNullStreams) => {
    const descriptors = `/proc/${child.pid}/fd`;
    if (!existsSync(descriptors)) return setTimeout(5000);
    const isIt = (name: string) => {
      try {
        return readlinkSync(join(descriptors, name)) === path;
      } catch {
        return false;
      }
    };
    while (!readdirSync(descriptors).some(isIt)) await setTimeout(10);
  };

  test.skipIf(process.platform === 'win32')(
    'commands stop while nobody writes into a pipe that they read',
    async () => {
      const folder = temporaryFolder();
      await model.save(join(folder, 'm.st'));
      const pipe = join(folder, 'pipe');
      execFileSync('mkfifo', [pipe]);
      const csv = ['pipe', '--format', 'csv'];
      for (const args of [
        ['train', 'ease', ...csv, '--out', 'o.st'],
        ['compare', ...csv],
        ['tune', 'ease', ...csv],
        ['ablate', ...csv],
        ['advise', ...csv],
        ['evaluate', 'm.st', ...csv],
        ['split', ...csv, '--out', 'parts'],
        ['compact', 'm.st', 'o.st', '--held-out', ...csv],
        ['recommend', 'm.st', '--history', 'pipe'],
        ['recommend', 'm.st', '--deny', '@pipe'],
        ['similar', 'm.st', 'i0-0', '--allow', '@pipe'],
        ['explain', 'm.st', '--history', '@pipe', '--item', 'i0-0'],
      ]) {
        const { code, stderr } = await stopped(folder, args, ['SIGINT'], opened(pipe));
        expect({ args, code, stderr }).toEqual({ args, code: 130, stderr: 'recvae: stopped by SIGINT\n' });
      }
      expect(readdirSync(folder).sort()).toEqual(['m.st', 'pipe']);
      const controller = new AbortController();
      const reading = Interactions.fromFile(pipe, { format: 'csv' }, { signal: controller.signal });
      await setTimeout(50);
      controller.abort(new Error('enough'));
      await expect(reading).rejects.toThrow('enough');
    },
  );
});

/** A stream that never gives anything. */
function silent(kind: string) {
  if (kind === 'readable') {
    const stream = new Readable({ objectMode: true, read() {} });
    return { stream, isClosed: () => stream.destroyed };
  }
  let cancelled = false;
  const cancel = () => {
    cancelled = true;
  };
  return { stream: new ReadableStream({ cancel }), isClosed: () => cancelled };
}

describe('streams of recommendations', () => {
  /** Hands out histories, and then does not answer any more. */
  class Silent implements AsyncIterableIterator<History> {
    left: number;
    closed = 0;

    constructor(left: number) {
      this.left = left;
    }

    [Symbol.asyncIterator]() {
      return this;
    }

    next(): Promise<IteratorResult<History>> {
      this.left -= 1;
      if (this.left < 0) return new Promise(() => {});
      return Promise.resolve({ done: false, value: { user: 'a', items: NEWCOMER } });
    }

    return(): Promise<IteratorResult<History>> {
      this.closed += 1;
      return Promise.resolve({ done: true, value: undefined });
    }
  }

  test('an abort ends the wait for a source that does not answer, and closes it', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const source = new Silent(3);
    const results = model.recommendStream(source, {}, { signal });
    for (let n = 0; n < 3; n += 1) expect((await results.next()).value?.items).toHaveLength(10);
    // While nothing is asked for, the signal has no listener.
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    const waiting = rejection(results.next());
    await setTimeout(10);
    const reason = { why: 'enough' };
    controller.abort(reason);
    expect(await waiting).toBe(reason);
    expect(source.closed).toBe(1);
    expect(await results.next()).toMatchObject({ done: true });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('an abort between two results ends them', async () => {
    const controller = new AbortController();
    const source = new Silent(5000);
    const results = model.recommendStream(source, {}, { signal: controller.signal });
    await results.next();
    controller.abort('enough');
    let n = 1;
    const reason = await rejection(
      (async () => {
        for await (const _ of results) n += 1;
      })(),
    );
    expect([reason, n, source.closed]).toEqual(['enough', 1, 1]);
  });

  test('an abort closes a stream that does not answer, whoever reads it', async () => {
    const text = 'user,item\na,b\n';
    const sources = {
      readable: () => {
        const stream = new Readable({ read() {} });
        stream.push(text);
        return { stream, isClosed: () => stream.destroyed };
      },
      body: () => {
        let cancelled = false;
        const cancel = () => {
          cancelled = true;
        };
        const stream = new ReadableStream({
          start: (controller) => controller.enqueue(new TextEncoder().encode(text)),
          cancel,
        });
        return { stream, isClosed: () => cancelled };
      },
    };
    const readers = {
      fromFile: (stream: never, signal: AbortSignal) => Interactions.fromFile(stream, { format: 'csv' }, { signal }),
      fromArrow: (stream: never, signal: AbortSignal) => Interactions.fromArrow(stream, {}, { signal }),
      fromBatches: (stream: never, signal: AbortSignal) => Interactions.fromBatches(stream, {}, { signal }),
      fromHistories: (stream: never, signal: AbortSignal) => Interactions.fromHistories(stream, {}, { signal }),
      recommendStream: (stream: never, signal: AbortSignal) => model.recommendStream(stream, {}, { signal }).next(),
    };
    for (const [source, make] of Object.entries(sources)) {
      for (const [reader, read] of Object.entries(readers)) {
        // What is no text is refused as soon as it comes: these get nothing.
        const { stream, isClosed } = reader === 'fromFile' ? make() : silent(source);
        const controller = new AbortController();
        const reading = rejection(read(stream as never, controller.signal));
        await setTimeout(5);
        controller.abort('enough');
        expect([source, reader, await reading]).toEqual([source, reader, 'enough']);
        await expect.poll(isClosed, { message: `${source} ${reader}` }).toBe(true);
      }
    }
    // Aborted before, it is closed all the same.
    const { stream, isClosed } = silent('readable');
    await rejection(model.recommendStream(stream as never, {}, { signal: AbortSignal.abort('enough') }).next());
    await expect.poll(isClosed).toBe(true);
  });

  test('an abort destroys the transform, also while nobody reads', async () => {
    const reasons = [new Error('mine'), 'mine'];
    for (const reason of reasons) {
      const controller = new AbortController();
      const stream = model.recommendTransform({}, { signal: controller.signal });
      Readable.from([{ user: 'a', items: NEWCOMER }], { autoDestroy: false }).pipe(stream, { end: false });
      const failed = new Promise((resolve) => stream.on('error', resolve));
      await setTimeout(10);
      controller.abort(reason);
      expect(await failed).toBe(reason);
      expect(stream.destroyed).toBe(true);
      expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    }
  });

  test('an abort ends what never waits', async () => {
    function* endless<T>(one: T) {
      for (;;) yield one;
    }
    const calls = [
      (signal: AbortSignal) => Interactions.fromHistories(endless({ user: 'a', items: NEWCOMER }), {}, { signal }),
      (signal: AbortSignal) => Interactions.fromBatches(endless({ users: ['a'], items: ['b'] }), {}, { signal }),
      (signal: AbortSignal) => Interactions.fromArrow(endless(new Uint8Array(0)), {}, { signal }),
    ];
    for (const call of calls) {
      const controller = new AbortController();
      const reason = new Error('enough');
      const built = rejection(call(controller.signal));
      await setTimeout(30); // timers of others go on, too
      controller.abort(reason);
      expect(await built).toBe(reason);
    }
  });

  test('an abort ends the wait for batches', async () => {
    const source = new Silent(0);
    const controller = new AbortController();
    const { signal } = controller;
    const built = rejection(Interactions.fromHistories(source, {}, { signal }));
    while (source.left === 0) await setTimeout(1); // until it is asked
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await built).toBe(reason);
    expect(source.closed).toBe(1);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('onProgress', () => {
  const slow = { ...SMALL, epochs: 100_000 };

  test('is called at most ten times a second, in order, and with the last epoch', async () => {
    const seen: { at: number; epoch: number }[] = [];
    const started = performance.now();
    const onProgress = ({ epoch }: Progress) => seen.push({ at: performance.now() - started, epoch });
    const fitted = await fit('mult-vae', small, { ...SMALL, epochs: 3000 }, { onProgress });
    const seconds = (performance.now() - started) / 1000;
    expect(fitted.epochs).toHaveLength(3000);
    expect(seen.at(-1)!.epoch).toBe(3000);
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.length).toBeLessThanOrEqual(10 * seconds + 2);
    const epochs = seen.map(({ epoch }) => epoch);
    expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
  });

  test('one that throws stops the work, and is not called again', async () => {
    for (const thrown of [new RangeError('enough'), { mine: true }, undefined]) {
      let called = 0;
      const onProgress = () => {
        called += 1;
        throw thrown;
      };
      expect(await rejection(fit('mult-vae', small, slow, { onProgress }))).toBe(thrown);
      expect(called).toBe(1);
    }
  });

  test('a promise of its that is rejected stops the work too', async () => {
    const thrown = new RangeError('enough');
    const onProgress = async () => {
      await setTimeout(5);
      throw thrown;
    };
    expect(await rejection(fit('recvae', small, slow, { onProgress }))).toBe(thrown);
    // Also when the work is done first.
    expect(await rejection(fit('recvae', small, { ...SMALL, epochs: 1 }, { onProgress }))).toBe(thrown);
  });

  test('promises of its are waited for, unless the signal is aborted', async () => {
    let [called, finished] = [0, 0];
    const onProgress = async () => {
      called += 1;
      await setTimeout(50);
      finished += 1;
    };
    await fit('mult-vae', small, SMALL, { onProgress });
    // Once where the epochs come fast upon each other.
    expect(called).toBeGreaterThan(0);
    expect(finished).toBe(called);
    const signal = AbortSignal.timeout(300);
    const never = () => new Promise(() => {});
    expect(await rejection(fit('mult-vae', small, SMALL, { onProgress: never as () => void, signal }))).toBe(
      signal.reason,
    );
  });

  test('an abort in the last call still counts', async () => {
    const controller = new AbortController();
    const onProgress = ({ epoch, epochs }: Progress) => {
      if (epoch === epochs) controller.abort('late');
    };
    expect(await rejection(fit('mult-vae', small, SMALL, { onProgress, signal: controller.signal }))).toBe('late');
  });

  test('one of compare or writeSynth that throws stops them', async () => {
    const thrown = new RangeError('enough');
    const seen: string[] = [];
    const options = { models: ['mult-vae' as const], search: false, options: { 'mult-vae': slow } };
    const throwing = (at: string) =>
      compare(small, {
        ...options,
        onProgress: ({ model, stage, epoch }) => {
          seen.push(`${model} ${stage}`);
          if (at === (epoch?.epochs ? 'epoch' : stage)) throw thrown;
        },
      });
    expect(await rejection(throwing('fit'))).toBe(thrown);
    expect(seen).toEqual(['popularity fit']);
    expect(await rejection(throwing('epoch'))).toBe(thrown);
    expect(seen.at(-1)).toBe('als fit');
    const onProgress = async () => {
      throw thrown;
    };
    expect(await rejection(compare(small, { ...options, onProgress }))).toBe(thrown);

    const folder = temporaryFolder();
    const written = writeSynth(
      join(folder, 'a.csv'),
      {},
      {
        onProgress: () => {
          throw thrown;
        },
      },
    );
    expect(await rejection(written)).toBe(thrown);
    expect(readdirSync(folder)).toEqual([]);
  });
});
