// How long a search takes by two workers of a queue, beside one process, and whether both find the same:
//   node benches/queue.mjs [INPUT] [--model als] [--trials 24] [--set factors=256]
// Each process computes on one thread, and the processor has to have two cores that are idle. It starts a Redis of its
// own on the loopback (`redis-server`). The seconds are those of the whole command that searches; the workers have read
// the data before.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'als' },
    trials: { type: 'string', default: '24' },
    set: { type: 'string', multiple: true, default: ['factors=256'] },
  },
});
const input = positionals[0] ?? fileURLToPath(new URL('../../shared/data/ml-1m-split', import.meta.url));
const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'recvae-queue-'));
const port = await new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});
const queue = ['--queue', `redis://127.0.0.1:${port}`];
const job = [
  'tune',
  values.model,
  input,
  '--search',
  'random',
  '--trials',
  values.trials,
  '--seed',
  '1',
  '--threads',
  '1',
];
for (const text of values.set) job.push('--set', text);
job.push('--no-early-stop');

/** Seconds of a command, with what it reports. */
function timed(name, more) {
  const path = join(folder, `${name}.json`);
  const started = performance.now();
  const { status, stderr } = spawnSync(process.execPath, [cli, ...job, ...more, '--json', path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return { seconds: (performance.now() - started) / 1000, report: JSON.parse(readFileSync(path, 'utf8')) };
}

const redis = spawn('redis-server', ['--port', port, '--bind', '127.0.0.1', '--save', '', '--dir', folder], {
  stdio: 'ignore',
});
const workers = [];
try {
  const one = timed('one', ['--parallel', '1']);
  for (let at = 0; at < 2; at++) {
    workers.push(spawn(process.execPath, [cli, ...job, ...queue, '--serve'], { stdio: 'ignore' }));
  }
  await setTimeout(5000);
  const two = timed('two', ['--parallel', '2', ...queue]);
  const found = ({ report }) =>
    JSON.stringify([report.best, report.trials.map((it) => [it.options, it.validation]), report.test]);
  console.log(
    `one process ${one.seconds.toFixed(1)} s, two workers ${two.seconds.toFixed(1)} s: ${(two.seconds / one.seconds).toFixed(2)} of the time`,
  );
  console.log(found(one) === found(two) ? 'both find the same' : 'they find different things');
} finally {
  for (const child of [...workers, redis]) child.kill();
  await setTimeout(1000);
  rmSync(folder, { recursive: true, force: true });
}
