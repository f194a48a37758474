// The service of test/examples/serve.mjs under load: 50 connections for 30 s over the loopback, histories of real users.
// Ends with one line of JSON, and with exit code 1 if an answer failed or was not the one that the model gives.
//
//   node test/soak/http.mjs [SECONDS]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { fit, Interactions } from '../../dist/index.js';

const CONNECTIONS = 50;
const SECONDS = Number(process.argv[2] ?? 30);
const K = 10;
/** Histories that take turns. */
const HISTORIES = 997;

const folder = mkdtempSync(join(tmpdir(), 'recvae-http-'));
const file = join(folder, 'ease.safetensors');
const data = await Interactions.dataset('debian');
const model = await fit('ease', data, { lambda: 10 });
await model.save(file);

const server = fork(fileURLToPath(new URL('../examples/serve.mjs', import.meta.url)), [file], { stdio: 'ignore' });
try {
  const [{ address }] = await once(server, 'message');
  const users = data.userIds();
  const histories = Array.from({ length: HISTORIES }, (_, n) => data.history(users[(n * 7919) % users.length]));
  const answers = histories.map((items) => JSON.stringify(model.recommend(items, { k: K })));
  let wrong = 0;
  const result = await autocannon({
    url: `${address}/recommend`,
    connections: CONNECTIONS,
    duration: SECONDS,
    requests: histories.map((items, n) => ({
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ items, k: K }),
      onResponse: (status, body) => {
        if (status !== 200 || body !== answers[n]) wrong += 1;
      },
    })),
  });
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
  const { latency, requests, errors, timeouts, non2xx } = result;
  const ok = errors === 0 && timeouts === 0 && non2xx === 0 && wrong === 0 && requests.total > 0;
  console.log(
    JSON.stringify({
      soak: 'http',
      connections: CONNECTIONS,
      seconds: result.duration,
      requests: requests.total,
      perSecond: Math.round(requests.average),
      p50Ms: latency.p50,
      p99Ms: latency.p99,
      maxMs: latency.max,
      errors,
      timeouts,
      non2xx,
      wrong,
      serverPeakMiB: Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)[1]) / 1024),
      ok,
    }),
  );
  process.exitCode = ok ? 0 : 1;
} finally {
  server.kill();
  rmSync(folder, { recursive: true, force: true });
}
