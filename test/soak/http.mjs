// The service of test/examples/serve.mjs under load: 50 connections for 30 s over the loopback, histories of real
// users. Ends with one line of JSON, and with exit code 1 if an answer failed or was not the one that the model gives.
//
//   node test/soak/http.mjs [SECONDS]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fit, Interactions } from '../../dist/index.js';
import { historiesOf, load } from './load.mjs';

const CONNECTIONS = 50;
const SECONDS = Number(process.argv[2] ?? 30);
const K = 10;

const folder = mkdtempSync(join(tmpdir(), 'recvae-http-'));
const file = join(folder, 'ease.safetensors');
const data = await Interactions.dataset('debian');
const model = await fit('ease', data, { lambda: 10 });
await model.save(file);

const server = fork(fileURLToPath(new URL('../examples/serve.mjs', import.meta.url)), [file], { stdio: 'ignore' });
try {
  const [{ address }] = await once(server, 'message');
  const histories = historiesOf(data);
  const answers = histories.map((items) => JSON.stringify(model.recommend(items, { k: K })));
  const isRight = (n, body) => body === answers[n];
  const run = { histories, k: K, connections: CONNECTIONS, seconds: SECONDS, isRight, pid: server.pid };
  const found = await load(`${address}/recommend`, run);
  console.log(JSON.stringify({ soak: 'http', ...found }));
  process.exitCode = found.ok ? 0 : 1;
} finally {
  server.kill();
  rmSync(folder, { recursive: true, force: true });
}
