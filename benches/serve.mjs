// `recvae serve` under load: 50 connections for 30 s over the loopback, histories of real users of the built-in data, and the model
// file replaced every few seconds meanwhile. Ends with one line of JSON, and with exit code 1 if an answer failed or was not the
// one that one of the two models gives.
//
//   node benches/serve.mjs [SECONDS] [CONNECTIONS] [--no-swap]
import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { fit, Interactions } from '../dist/index.js';

const [SECONDS, CONNECTIONS] = [30, 50].map((usual, at) =>
  Number(process.argv.slice(2).filter((word) => !word.startsWith('--'))[at] ?? usual),
);
const SWAPS = !process.argv.includes('--no-swap');
const K = 10;
/** Histories that take turns. */
const HISTORIES = 997;
/** Milliseconds between two models in the place of the file. */
const SWAP = 3000;

const folder = mkdtempSync(join(tmpdir(), 'recvae-serve-'));
const data = await Interactions.dataset('debian');
const users = data.userIds();
const histories = Array.from({ length: HISTORIES }, (_, n) => data.history(users[(n * 7919) % users.length]));
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
  let wrong = 0;
  const result = await autocannon({
    url: `${url}/recommend`,
    connections: CONNECTIONS,
    duration: SECONDS,
    requests: histories.map((items, n) => ({
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ items, k: K }),
      onResponse: (status, body) => {
        if (status !== 200 || !answers.some((right) => right[n] === body)) wrong += 1;
      },
    })),
  });
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
  const { latency, requests, errors, timeouts, non2xx } = result;
  const loads = Number(/^recvae_model_reloads_total\{result="done"\} (\d+)$/m.exec(metrics)?.[1]);
  const ok =
    errors === 0 && timeouts === 0 && non2xx === 0 && wrong === 0 && requests.total > 0 && (!SWAPS || loads > 1);
  const found = {
    ...{
      bench: 'serve',
      cpu: cpus()[0].model,
      cores: cpus().length,
      connections: CONNECTIONS,
      seconds: result.duration,
    },
    ...{ requests: requests.total, perSecond: Math.round(requests.average) },
    ...{ p50Ms: latency.p50, p99Ms: latency.p99, maxMs: latency.max, errors, timeouts, non2xx, wrong, loads },
    serverPeakMiB: Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)[1]) / 1024),
    ok,
  };
  console.log(JSON.stringify(found));
  process.exitCode = ok ? 0 : 1;
} finally {
  clearInterval(timer);
  server.kill();
  rmSync(folder, { recursive: true, force: true });
}
