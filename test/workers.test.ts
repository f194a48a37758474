/** Several threads of JavaScript, several fits, and ends in the middle of them. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { fit, Interactions, type Model } from '../dist/index.js';
import { ourThreads } from './our-threads.js';
import { NEWCOMER, plantedColumns, temporaryFolder } from './planted.js';

const script = (name: string) => fileURLToPath(new URL(`./workers/${name}`, import.meta.url));
const columns = plantedColumns();
const histories = Array.from({ length: 500 }, (_, n) => NEWCOMER.slice(n % NEWCOMER.length));

async function saved(): Promise<{ model: Model; path: string }> {
  const path = `${temporaryFolder()}/model`;
  const model = await fit('ease', Interactions.fromColumns(columns), { lambda: 10 });
  await model.save(path);
  return { model, path };
}

const start = (task: 'work' | 'forever', path: string) =>
  new Worker(script('worker.mjs'), { workerData: { task, path, columns, histories } });

describe('worker threads', () => {
  test('load, serve and train at once, with the same results as the main thread', async () => {
    const { model, path } = await saved();
    const workers = Array.from({ length: 4 }, () => start('work', path));
    const results = workers.map(async (worker) => {
      const [[message], [code]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
      expect(code).toBe(0);
      return message;
    });
    const data = Interactions.fromColumns(columns);
    const fitted = await fit('mult-vae', data, { epochs: 3, hiddenDim: 16, latentDim: 4 });
    const answers = [
      histories.map((items) => model.recommend(items)),
      await model.recommendBatch(histories),
      await fitted.recommendBatch(histories),
    ];
    for (const result of await Promise.all(results)) {
      expect(result.epochs.at(-1)).toBe(3); // those before it may come too fast to be told
      expect(result.answers).toBe(JSON.stringify(answers));
    }
  });

  test('may be terminated in the middle of native work', async () => {
    const { model, path } = await saved();
    const expected = model.recommend(NEWCOMER);
    for (let round = 0; round < 5; round += 1) {
      const workers = [start('forever', path), start('forever', path)];
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      await setTimeout(round * 5);
      await Promise.all(workers.map((worker) => worker.terminate()));
      expect(model.recommend(NEWCOMER)).toEqual(expected);
      expect(await model.recommendBatch([NEWCOMER])).toEqual([expected]);
    }
    // The fits of a million epochs have been told to stop.
    if (process.platform === 'linux') await expect.poll(ourThreads, { timeout: 300_000, interval: 100 }).toEqual([]);
  });
});

describe('a process', () => {
  test.each(['exit', 'worker'])('may end in the middle of fits: %s', async (way) => {
    for (const milliseconds of [0, 20, 200]) {
      const child = spawn(process.execPath, [script('exit.mjs'), `${milliseconds}`, way], { stdio: 'pipe' });
      let stderr = '';
      child.stderr.on('data', (text) => {
        stderr += text;
      });
      const [code, signal] = await once(child, 'close');
      expect([code, signal, stderr]).toEqual([7, null, '']);
    }
  });

  test('reads files and looks names up while three fits run, with one thread of libuv', async () => {
    const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [script('files.mjs')], { env });
    expect(stderr).toBe('');
    // On libuv's threads, the first read would have waited for a fit.
    expect(JSON.parse(stdout)).toMatchObject({ threads: '1', reads: 20, begun: 3, ended: 0 });
  });
});
