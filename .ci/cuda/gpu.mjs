// npm run check:gpu: what only a GPU can show, in six minutes at most: the tests that need one, and a table against PyTorch on the same
// GPU in the same run. It needs what `npm run check:cuda` has built, and for the table a python3 with torch, numpy and scipy.
//
//   node .ci/cuda/gpu.mjs [--device cuda] [--scale 1] [--epochs 50] [--seconds 340] [--python python3] [--json FILE]
//
// --device cpu goes through all of it by candle's device of the processor: it shows that this file works, and says nothing of speed.
// --scale: the share of ML-20M's users, items and interactions. Rows for which there is no time left are said not to have been run.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { withStub } from './toolkit.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const say = (text) => console.log(text);

/** What the issue of the GPU asks for; `better` says in which direction. */
export const TARGETS = {
  'RecVAE, an epoch, times as fast as PyTorch': { must: 10, aim: 30, better: 'more' },
  'RecVAE, all epochs with validation, s': { must: 60, aim: 25, better: 'less' },
  'RecVAE, peak memory of the device, share of PyTorch': { must: 0.5, aim: 0.25, better: 'less' },
};

/** How a number stands to its target. */
export function verdict(name, value) {
  const { must, aim, better } = TARGETS[name];
  const reaches = (target) => (better === 'more' ? value >= target : value <= target);
  return reaches(aim) ? 'aim reached' : reaches(must) ? 'must reached' : 'missed';
}

/** The lines of a table of results: a number, or why there is none. */
export function lines(results) {
  return Object.entries(TARGETS).map(([name, { must, aim }]) => {
    const result = results[name] ?? { reason: 'not run' };
    const said =
      result.value === undefined ? result.reason : `${result.value.toPrecision(3)}: ${verdict(name, result.value)}`;
    return `| ${name} | ${must} | ${aim} | ${said} |`;
  });
}

/** The tests of the core that open a GPU, by the program that check:cuda has built. */
function tests(onGpu, timeout) {
  const program = join(ROOT, 'target', 'cuda', 'tests');
  if (!existsSync(program)) return { failed: ['the tests are not built: npm run check:cuda'] };
  const args = ['a_gpu', '--nocapture', '--test-threads', '1'];
  // Where there is no driver, its stand-in lets the program start.
  const env = onGpu ? process.env : withStub(process.env);
  const { status, stdout, stderr } = spawnSync(program, args, {
    env,
    encoding: 'utf8',
    timeout,
  });
  say(stdout);
  const passed = Number(/(\d+) passed/.exec(stdout ?? '')?.[1] ?? 0);
  if (status !== 0 || passed === 0) return { failed: [`tests of the core: ${stderr || stdout || 'none ran'}`] };
  if (onGpu && /^skipped: /m.test(stderr)) return { failed: [`tests of the core: ${stderr.trim()}`] };
  return { passed };
}

async function main() {
  const { values: flags } = parseArgs({
    options: {
      device: { type: 'string', default: 'cuda' },
      scale: { type: 'string', default: '1' },
      epochs: { type: 'string', default: '50' },
      seconds: { type: 'string', default: '340' },
      python: { type: 'string', default: 'python3' },
      json: { type: 'string' },
    },
  });
  const [scale, epochs] = [Number(flags.scale), Number(flags.epochs)];
  const end = performance.now() + Number(flags.seconds) * 1000;
  const left = () => Math.max(Math.round(end - performance.now()), 1000);
  const onGpu = flags.device !== 'cpu';
  const { backendInfo, fit, Interactions, split } = await import('../../dist/index.js');
  const info = backendInfo();
  if (onGpu && !info.cuda.available) {
    say(`check:gpu: there is no GPU: ${info.cuda.reason}. Nothing was run.`);
    return 1;
  }
  say(`${info.addOn}: ${info.cuda.reason}`);
  const failed = [];
  const ran = tests(onGpu, Math.round(left() / 2));
  failed.push(...(ran.failed ?? []));
  if (ran.passed) say(`tests of the core: ${ran.passed} passed`);

  const folder = mkdtempSync(join(tmpdir(), 'recvae-gpu-'));
  const results = {};
  const record = (name, value) => {
    results[name] = typeof value === 'number' ? { value } : { reason: value };
  };
  const [FASTER, WHOLE, MEMORY] = Object.keys(TARGETS);
  try {
    const file = join(folder, 'made-up.csv.gz');
    const cli = join(ROOT, 'dist', 'cli.js');
    execFileSync(process.execPath, [
      cli,
      'synth',
      '--like',
      'ml-20m',
      '--scale',
      flags.scale,
      '--seed',
      '1',
      '--out',
      file,
      '--quiet',
    ]);
    const data = await split(await Interactions.fromFile(file), { seed: 1 });
    const { train } = data;
    say(
      `${train.nUsers} users x ${train.nItems} items, ${train.nInteractions} interactions; ${Math.round(left() / 1000)} s left`,
    );

    // Free memory of the device, looked at while the core trains on a thread of its own.
    const free = () => backendInfo().cuda.devices[0]?.freeMemory;
    const before = free();
    let least = before;
    const look =
      onGpu &&
      setInterval(() => {
        least = Math.min(least, free());
      }, 250);
    const device = onGpu ? { device: flags.device } : { engine: 'candle' };
    const start = performance.now();
    const told = [];
    const signal = AbortSignal.timeout(Math.max(left() - 60_000, 1000));
    const options = { seed: 1, epochs, patience: epochs, ...(scale < 0.1 && { hiddenDim: 32, latentDim: 8 }) };
    const onProgress = ({ seconds }) => told.push(seconds);
    const fitted = await fit('recvae', data, options, { ...device, signal, onProgress }).catch((thrown) => {
      if (thrown?.name === 'TimeoutError') return undefined;
      throw thrown;
    });
    const seconds = (performance.now() - start) / 1000;
    clearInterval(look);
    record(
      WHOLE,
      fitted && scale === 1 && epochs === 50
        ? seconds
        : `${told.length} epochs in ${seconds.toFixed(1)} s at this scale`,
    );
    // The first epoch loads kernels; the others are alike.
    const epoch = told.length > 1 ? (told.at(-1) - told[0]) / (told.length - 1) : seconds;

    const peer = spawnSync(
      flags.python,
      [
        ...[join(ROOT, '.ci', 'cuda', 'peer.py'), '--device', onGpu ? flags.device : 'cpu'],
        ...['--users', `${train.nUsers}`, '--items', `${train.nItems}`, '--interactions', `${train.nInteractions}`],
        ...(scale < 0.1 ? ['--steps', '3'] : []),
      ],
      { encoding: 'utf8', timeout: left() },
    );
    if (peer.status === 0) {
      const { epochSeconds, peakBytes, torch } = JSON.parse(peer.stdout);
      say(
        `an epoch: ${epoch.toFixed(2)} s here with its validation, ${epochSeconds.toFixed(2)} s by steps of PyTorch ${torch}`,
      );
      record(FASTER, epochSeconds / epoch);
      record(MEMORY, onGpu ? (before - least) / peakBytes : 'there is no memory of a GPU');
    } else {
      const why = `PyTorch did not run: ${peer.error?.message ?? peer.stderr.trim().split('\n').at(-1)}`;
      for (const name of [FASTER, MEMORY]) record(name, why);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  say(
    [
      '',
      `| what (ML-20M's shape x ${flags.scale}) | must | aim | here |`,
      '| --- | --- | --- | --- |',
      ...lines(results),
    ].join('\n'),
  );
  say('EASE^R, EDLAE and lists of recommendations are the processor’s: there is nothing of them to run on a GPU.');
  for (const [name, { value }] of Object.entries(results)) {
    if (onGpu && scale === 1 && value !== undefined && verdict(name, value) === 'missed')
      failed.push(`${name}: missed`);
  }
  if (flags.json) writeFileSync(flags.json, `${JSON.stringify({ info, results, failed }, null, 2)}\n`);
  for (const reason of failed) say(`failed: ${reason}`);
  return failed.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main();
