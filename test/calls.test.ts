/** Many calls at once: they share a bounded number of threads, and none of them waits for ever. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, test } from 'vitest';
import { evaluate, fit, type Interactions, load, type Model, split } from '../dist/index.js';
import { NEWCOMER, planted, plantedColumns } from './planted.js';
import { ourThreads } from './workers/our-threads.mjs';

const script = (name: string) => fileURLToPath(new URL(`./workers/${name}`, import.meta.url));
const CORES = availableParallelism();
const isLinux = process.platform === 'linux';
const histories = Array.from({ length: 600 }, (_, n) => NEWCOMER.slice(n % NEWCOMER.length));
const SMALL = { hiddenDim: 16, latentDim: 4 };
const ENDLESS = { ...SMALL, epochs: 1e6, patience: 1e6 };

let data: Interactions;
let model: Model;
let neural: Model;
let path: string;
beforeAll(async () => {
  data = planted();
  model = await fit('ease', data, { lambda: 10 });
  neural = await fit('mult-vae', data, { ...SMALL, epochs: 2 });
  path = join(mkdtempSync(join(tmpdir(), 'recvae-')), 'model');
  await model.save(path);
  return () => rmSync(dirname(path), { recursive: true, force: true });
});

/** Fits that do not end before the signal is aborted: more than may be at work at once. */
function endlessFits(signal: AbortSignal): { fits: Promise<unknown>[]; begun: Promise<void>[]; ended: () => number } {
  let ended = 0;
  const begun: Promise<void>[] = [];
  const fits = Array.from({ length: CORES + 4 }, () => {
    let hear = () => {};
    begun.push(new Promise((resolve) => (hear = resolve)));
    return fit('mult-vae', data, ENDLESS, { signal, onProgress: () => hear() }).catch((reason) => {
      ended += 1;
      return reason;
    });
  });
  return { fits, begun, ended: () => ended };
}

describe('a hundred calls at once', () => {
  test('give what each gives alone, for any number of threads, on few threads', async () => {
    const parts = await split(data, { seed: 1 });
    const work: ((threads: number) => Promise<unknown>)[] = [
      (threads) => model.recommendBatch(histories, {}, { threads }),
      (threads) => neural.recommendBatch(histories, {}, { threads }),
      async (threads) => Array.from(await neural.embed(histories.slice(0, 3), { threads })),
      (threads) => model.explain(NEWCOMER, 'i2-7', {}, { threads }),
      async (threads) => (await evaluate(model, parts.test, { threads })).metrics,
      async (threads) => (await fit('mult-dae', data, { epochs: 1, latentDim: 4 }, { threads })).recommend(NEWCOMER),
      async () => (await load(path)).recommend(NEWCOMER),
    ];
    const expected: string[] = [];
    for (const each of work) expected.push(JSON.stringify(await each(1)));
    let most = 0;
    const count = () => {
      if (isLinux) most = Math.max(most, ourThreads().length);
    };
    const timer = setInterval(count, 1);
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, n) => {
        const answer = await work[n % work.length]!(1 + (n % 5));
        count();
        return JSON.stringify(answer);
      }),
    );
    clearInterval(timer);
    for (const [n, answer] of answers.entries()) expect(answer).toBe(expected[n % work.length]);
    expect(most).toBeLessThanOrEqual(CORES + 4);
  });

  test.runIf(isLinux)('leave no thread behind', async () => {
    await Promise.all(Array.from({ length: 100 }, () => model.recommendBatch(histories)));
    await expect.poll(ourThreads, { timeout: 60_000, interval: 50 }).toEqual([]);
    // What is synchronous starts none.
    for (const items of histories.slice(0, 50)) model.recommend(items);
    model.similarItems('i2-0', 3);
    expect(ourThreads()).toEqual([]);
    await model.recommendBatch(histories, {}, { threads: 1 });
    expect(ourThreads()).toHaveLength(1);
  });
});

describe('beside fits that do not end', () => {
  test('requests are answered, files are read, and what waits for its turn can be stopped', async () => {
    const controller = new AbortController();
    const { fits, begun, ended } = endlessFits(controller.signal);
    await begun[0];
    const expected = model.recommend(NEWCOMER);
    expect(await model.recommendBatch([NEWCOMER])).toEqual([expected]);
    expect((await load(path)).recommend(NEWCOMER)).toEqual(expected);
    const many = await Promise.all(Array.from({ length: 20 }, () => model.recommendBatch([NEWCOMER])));
    expect(many).toEqual(Array(20).fill([expected]));
    // It comes behind all fits, so it has not begun.
    const own = new AbortController();
    const waits = fit('ease', data, {}, { signal: own.signal });
    await setImmediate();
    own.abort('no longer needed');
    await expect(waits).rejects.toBe('no longer needed');
    expect(ended()).toBe(0);
    controller.abort('enough');
    expect(await Promise.all(fits)).toEqual(fits.map(() => 'enough'));
  });

  test('a model that is disposed of serves the calls that wait', async () => {
    const controller = new AbortController();
    const { fits, begun } = endlessFits(controller.signal);
    await begun[0];
    const short = await load(path);
    const expected = short.recommend(NEWCOMER);
    const waiting = Array.from({ length: 100 }, (_, n) => short.recommendBatch(Array(n % 2 ? 1 : 300).fill(NEWCOMER)));
    const small = short.compact({ precision: 'f16' });
    short.dispose();
    for (const lists of await Promise.all(waiting)) expect(lists).toEqual(lists.map(() => expected));
    controller.abort();
    await Promise.all(fits);
    expect((await small).recommend(NEWCOMER).items.map(({ id }) => id)).toEqual(expected.items.map(({ id }) => id));
    expect(() => short.recommend(NEWCOMER)).toThrow(/disposed/);
  });

  test('a worker may be terminated while its calls wait', async () => {
    const source = `
      const { workerData, parentPort } = require('node:worker_threads');
      import(workerData.library).then(async ({ fit, Interactions, load }) => {
        const data = Interactions.fromColumns(workerData.columns);
        const model = await load(workerData.path);
        for (let n = 0; n < 20; n += 1) fit('mult-vae', data, workerData.options);
        for (let n = 0; n < 20; n += 1) model.recommendBatch(workerData.histories);
        for (let n = 0; n < 20; n += 1) load(workerData.path);
        parentPort.postMessage('begun');
      });`;
    const library = new URL('../dist/index.js', import.meta.url).href;
    const workerData = { library, path, histories, columns: plantedColumns(), options: ENDLESS };
    for (let round = 0; round < 3; round += 1) {
      const worker = new Worker(source, { eval: true, workerData });
      await new Promise((resolve) => worker.once('message', resolve));
      await worker.terminate();
      // Its fits would not end; none of them keeps this one waiting.
      expect((await fit('ease', data, { lambda: 10 })).recommend(NEWCOMER)).toEqual(model.recommend(NEWCOMER));
    }
  });
});

test('two workers that recommend without a pause answer as one does', async () => {
  const source = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.library).then(async ({ load }) => {
      const model = await load(workerData.path);
      parentPort.postMessage('ready');
      parentPort.once('message', () => {
        const answers = workerData.histories.map((items) => model.recommend(items));
        parentPort.postMessage(JSON.stringify(answers));
      });
    });`;
  const library = new URL('../dist/index.js', import.meta.url).href;
  const workers = [0, 1].map(() => new Worker(source, { eval: true, workerData: { library, path, histories } }));
  const message = (worker: Worker) => new Promise((resolve) => worker.once('message', resolve));
  await Promise.all(workers.map(message));
  const answers = workers.map(message);
  for (const worker of workers) worker.postMessage('go');
  const expected = JSON.stringify(histories.map((items) => model.recommend(items)));
  expect(await Promise.all(answers)).toEqual([expected, expected]);
  await Promise.all(workers.map((worker) => worker.terminate()));
});

// Threads that wait for work, or calls that wait for threads, do not keep a process from its end.
test.each(['done', 'waiting', 'worker'])('a process ends: %s', async (way) => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [script('ends.mjs'), way]);
  expect([stdout, stderr]).toEqual(['', '']);
});
