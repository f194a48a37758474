// Our side: what has to be built, the data, and one process for each measurement.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cargoEnvironment } from '../.ci/environment.mjs';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CACHE = join(ROOT, 'target', 'bench');
const SEED = 1;

export const say = (text) => process.stderr.write(`bench: ${text}\n`);

/** What a program prints. What it says besides is shown only if it fails. */
export function run(program, args, options = {}) {
  try {
    const stdio = ['ignore', 'pipe', 'pipe'];
    return execFileSync(program, args, { cwd: ROOT, encoding: 'utf8', stdio, maxBuffer: 2 ** 28, ...options });
  } catch (error) {
    throw new Error(`${program} ${args.join(' ')}: ${error.message}\n${error.stderr ?? ''}`);
  }
}

/** The last line of what a program prints. */
export const lastJson = (text) => JSON.parse(text.trimEnd().split('\n').at(-1));

/** Flags out of an object: `{ scale: 1 }` is `--scale 1`. */
export const flags = (options) => Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);

/** Builds all of ours, and gives back the timing program. */
export function build() {
  run(process.execPath, [join('.ci', 'setup.mjs')], { stdio: ['ignore', 2, 2] });
  say('building benches/ours');
  const args = ['bench', '--no-run', '--package', 'recvae-core', '--features', 'bench', '--bench', 'ours'];
  const lines = run('cargo', [...args, '--message-format', 'json-render-diagnostics'], {
    env: cargoEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const messages = lines
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const built = messages.find(({ target, executable }) => target?.name === 'ours' && executable);
  if (!built) throw new Error('cargo built no program `ours`');
  return built.executable;
}

/** The folder for made-up data: it changes with the recipe. */
function cache() {
  const core = join(ROOT, 'crates', 'recvae-core', 'src');
  const sources = [
    join('data', 'synth.rs'),
    join('base', 'random.rs'),
    ...readdirSync(join(core, 'data', 'synth'))
      .sort()
      .map((name) => join('data', 'synth', name)),
  ];
  const recipe = createHash('sha256');
  for (const name of sources) recipe.update(readFileSync(join(core, name)));
  const folder = join(CACHE, recipe.digest('hex').slice(0, 12));
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** A made-up set as a file, made once. */
export function csv({ like, scale }) {
  const file = join(cache(), `${like}-${scale}.csv`);
  if (!existsSync(file)) {
    say(`making up ${like} at scale ${scale}`);
    run(process.execPath, [join('dist', 'cli.js'), 'synth', ...flags({ like, scale, seed: SEED, out: file })]);
  }
  return file;
}

/** The same as a matrix for the peers; `convert` writes it. */
export function npz({ like, scale }, convert) {
  const file = join(cache(), `${like}-${scale}.npz`);
  if (!existsSync(file)) {
    say(`converting ${like} at scale ${scale} for the peers`);
    const part = `${file}.part`;
    convert(csv({ like, scale }), part);
    renameSync(part, file);
  }
  return file;
}

/** A model of random numbers as a file, for as long as this run takes. */
export function modelFile(program, model, data) {
  const out = join(CACHE, `${model}.safetensors`);
  mkdirSync(CACHE, { recursive: true });
  run(program, ['model', ...flags({ model, ...data, seed: SEED, out })]);
  return out;
}

/** Programs of this folder that serve a model. */
const SERVING = ['latency', 'serve-scaling'];

/**
 * Runs a command of `ours/main.rs`, or a program of this folder, in a process of its own and gives back what it
 * measured.
 */
export function measureOurs(program, [command, options], data, threads) {
  const script = (args) => lastJson(run(process.execPath, [join('benches', `${command}.mjs`), ...args]));
  if (SERVING.includes(command)) {
    const models = {};
    for (const model of ['ease', 'recvae']) {
      const file = modelFile(program, model, data);
      models[model] = script(flags({ file, ...data, seed: SEED, ...options }));
    }
    return { models };
  }
  if (command === 'threads') return script(flags(options));
  if (command === 'sgemm') return lastJson(run(program, [command, ...flags({ ...options, threads })]));
  const { csv: set, ...rest } = data;
  const from = set ? { csv: csv(set) } : rest.folder ? rest : { ...rest, seed: SEED };
  return lastJson(run(program, [command, ...flags({ ...options, ...from, threads })]));
}
