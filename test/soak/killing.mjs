// Kills `recvae train` at seeded random moments and lets it go on, until it is done: for kill.mjs and the tests.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

/** Random numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomOf(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Starts the command line; `ended` says how it ended. */
function start(folder, args) {
  const child = spawn(process.execPath, [CLI, ...args], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const outcome = { ended: false, stderr: '' };
  child.stderr.on('data', (chunk) => {
    outcome.stderr += chunk;
  });
  outcome.done = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      outcome.ended = true;
      resolve({ code, signal, stderr: outcome.stderr });
    });
  });
  return { child, outcome };
}

/** Runs the command line to its end, which must be a good one. */
async function run(folder, args) {
  const { code, stderr } = await start(folder, args).outcome.done;
  assert.equal(code, 0, stderr);
}

const leftovers = (folder, name) => readdirSync(folder).filter((file) => file.startsWith(`.recvae-${name}-`));

/** Changes whenever the checkpoint is written. */
function version(path) {
  const data = statSync(path, { bigint: true, throwIfNoEntry: false });
  return data && `${data.ino} ${data.mtimeNs}`;
}

/**
 * What ends a run. `start`: a kill while it reads its data, sets up, or trains its first steps. `epoch`: a kill some
 * time after the checkpoint was written a few times. `write`: a kill once a temporary file of the checkpoint is there.
 * `interrupt`: Ctrl-C, some time as for `epoch`.
 */
const MOMENTS = ['start', 'epoch', 'write', 'interrupt'];

/**
 * Trains with `args` to the end, uninterrupted and interrupted at moments that take turns until there were `kills`
 * kills, and compares the two models. Gives back how often what happened. A run that is done before it is stopped is
 * started again, from nothing: there is no telling how fast a machine is.
 *
 * @param {{ folder: string, args: string[], kills: number, seed: number, every?: number, log?: (text: string) => void
 * }} of
 */
export async function killAndResume({ folder, args, kills, seed, every = 1, log = () => {} }) {
  const random = randomOf(seed);
  const [whole, resumed, name] = ['whole.safetensors', 'resumed.safetensors', 'training.checkpoint'];
  const checkpoint = join(folder, name);
  const started = performance.now();
  await run(folder, ['train', ...args, '--out', whole]);
  const expected = readFileSync(join(folder, whole));
  const wholeMs = performance.now() - started;

  const counts = { kills: 0, start: 0, epoch: 0, write: 0, interrupt: 0, withoutCheckpoint: 0, leftovers: 0 };
  /** Milliseconds from one writing to the next, as far as they are known. */
  let period = 50;
  let done = 0;
  for (let round = 0; counts.kills < kills; round += 1) {
    const moment = MOMENTS[round % MOMENTS.length];
    const flags = ['--checkpoint', name, '--every', `${every}`, '--resume', '--threads', `${1 + (round % 2)}`];
    const { child, outcome } = start(folder, ['train', ...args, '--out', resumed, ...flags]);
    let last = version(checkpoint);
    const writings = moment === 'start' ? 0 : Math.floor(random() * 3) + (moment === 'write' ? 0 : 1);
    let seen = 0;
    let since = performance.now();
    while (seen < writings && !outcome.ended) {
      await setTimeout(1);
      const now = version(checkpoint);
      if (now === last) continue;
      [last, seen] = [now, seen + 1];
      if (seen > 1) period = Math.min(2000, performance.now() - since);
      since = performance.now();
    }
    if (moment === 'write') {
      while (!outcome.ended && leftovers(folder, name).length === 0) await new Promise(setImmediate);
    } else {
      await setTimeout(random() * (moment === 'start' ? 800 : period));
    }
    child.kill(moment === 'interrupt' ? 'SIGINT' : 'SIGKILL');
    const { code, signal, stderr } = await outcome.done;
    if (code === 0) {
      done += 1;
      assert(done <= 10 * kills, `done after ${counts.kills} of ${kills} kills: more epochs are needed`);
      rmSync(join(folder, resumed));
      round -= 1;
      continue;
    }
    if (moment === 'interrupt') {
      assert.equal(code, 130, stderr);
      assert.match(stderr, /this goes on with it:\n {2}node \S+cli.js train .*--resume/);
      assert.deepEqual(leftovers(folder, name), []);
    } else {
      assert.equal(signal, 'SIGKILL', stderr);
      counts.kills += 1;
      counts.leftovers += leftovers(folder, name).length;
    }
    counts[moment] += 1;
    counts.withoutCheckpoint += existsSync(checkpoint) ? 0 : 1;
    log(`${moment}: ${counts.kills} of ${kills} kills, ${leftovers(folder, name).length} half-written checkpoints`);
  }
  await run(folder, ['train', ...args, '--out', resumed, '--checkpoint', name, '--every', `${every}`, '--resume']);
  const same = expected.equals(readFileSync(join(folder, resumed)));
  const left = leftovers(folder, name).length + (existsSync(checkpoint) ? 1 : 0);
  // A kill may have come while the model was written, too.
  for (const file of [whole, resumed, ...leftovers(folder, resumed)]) rmSync(join(folder, file));
  return { ...counts, same, left, bytes: expected.length, wholeMs: Math.round(wholeMs) };
}
