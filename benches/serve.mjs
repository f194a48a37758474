// `recvae serve` under load: 50 connections for 30 s over the loopback, histories of real users of the built-in data,
// and the model file replaced every few seconds meanwhile. Ends with one line of JSON, and with exit code 1 if an
// answer failed or was not the one that one of the two models gives.
//
//   node benches/serve.mjs [SECONDS] [CONNECTIONS] [--no-swap]
import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fit, Interactions } from '../dist/index.js';
import { historiesOf, load } from '../test/soak/load.mjs';

const [SECONDS, CONNECTIONS] = [30, 50].map((usual, at) =>
  Number(process.argv.slice(2).filter((word) => !word.startsWith('--'))[at] ?? usual),
);
const SWAPS = !process.argv.includes('--no-swap');
const K = 10;
/** Milliseconds between two models in the place of the file. */
const SWAP = 3000;

const folder = mkdtempSync(join(tmpdir(), 'recvae-serve-'));
const data = await Interactions.dataset('debian');
const histories = historiesOf(data);
const files = [];
const answers = [];
for (const lambda of [10, 20]) {
  const model = await fit('ease', data, { lambda });
  files.push(join(folder, `${lambda}.safetensors`));
  await model.save(files.at(-1));
  answers.push(histories.map((items) => JSON.stringify(model.recommend(items, { k: K }))));
  model.dispose();
}
const served = join(folder, 'served.safetensors');
copyFileSync(files[0], served);

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const server = spawn(process.execPath, [cli, 'serve', served, '--port', '0', '--quiet'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
let swaps = 0;
const timer = setInterval(() => {
  if (!SWAPS) return;
  swaps += 1;
  copyFileSync(files[swaps % 2], `${served}.new`);
  renameSync(`${served}.new`, served);
}, SWAP);
try {
  const url = await new Promise((resolve, reject) => {
    server.stdout.once('data', (text) => resolve(String(text).trim()));
    server.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  const isRight = (n, body) => answers.some((right) => right[n] === body);
  const run = { histories, k: K, connections: CONNECTIONS, seconds: SECONDS, isRight, pid: server.pid };
  const { ok: wentWell, ...found } = await load(`${url}/recommend`, run);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const loads = Number(/^recvae_model_reloads_total\{result="done"\} (\d+)$/m.exec(metrics)?.[1]);
  const ok = wentWell && (!SWAPS || loads > 1);
  console.log(JSON.stringify({ bench: 'serve', cpu: cpus()[0].model, cores: cpus().length, ...found, loads, ok }));
  process.exitCode = ok ? 0 : 1;
} finally {
  clearInterval(timer);
  server.kill();
  rmSync(folder, { recursive: true, force: true });
}
