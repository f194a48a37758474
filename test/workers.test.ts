/** Several threads of JavaScript, several fits, and ends in the middle of them. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { fit, Interactions, type Model } from '../dist/index.js';
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

const start = (path: string) =>
  new Worker(script('worker.mjs'), { workerData: { task: 'work', path, columns, histories } });

describe('worker threads', () => {
  test('load, serve and train at once, with the same results as the main thread', async () => {
    const { model, path } = await saved();
    const workers = Array.from({ length: 4 }, () => start(path));
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
    const { path } = await saved();
    const input = join(dirname(path), 'input.json');
    writeFileSync(input, JSON.stringify({ task: 'forever', path, columns, histories }));
    // In a process of its own: what would end it is told by its signal.
    const child = spawn(process.execPath, [script('terminate.mjs'), input], { stdio: 'pipe' });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text) => {
        said += text;
      });
    }
    const [code, signal] = await once(child, 'close');
    expect([code, signal, said]).toEqual([0, null, 'served after each of 5 rounds, no thread is left\n']);
  });

  test('are given no memory that Node would have to let go of when they end', () => {
    const folder = fileURLToPath(new URL('../crates/recvae-node/', import.meta.url));
    const addons = readdirSync(folder).filter((name) => name.endsWith('.node'));
    expect(addons.length).toBeGreaterThan(0);
    for (const addon of addons) {
      const bytes = readFileSync(join(folder, addon));
      expect(bytes.includes('napi_create_arraybuffer')).toBe(true); // the names are there to be seen
      expect(bytes.includes('napi_create_external')).toBe(false);
    }
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
