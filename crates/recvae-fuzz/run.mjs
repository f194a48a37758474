// npm run fuzz: millions of hostile inputs for every decoder, on libFuzzer; `src/lib.rs` says what is tried.
//
// Options: `--runs N` inputs for each target (default 10,000,000), `--only NAME[,NAME]` some targets, `--jobs N` at a time
// (default: the cores). An input may take 5 seconds, a process 1 GiB, an allocation 64 MiB. What fails is kept in
// `target/fuzz-failures`. Needs Linux or macOS and a C++ compiler. The last line is JSON; exit code 1 if anything failed.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cargoEnvironment } from '../../.ci/environment.mjs';

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));

/** Targets and where their seeds are: what `src/targets.rs` has. */
const TARGETS = {
  csv: [['seeds/rows', /\.[ct]sv$/]],
  ndjson: [['seeds/rows', /\.ndjson$/]],
  gzip: [['seeds/rows', /\.gz$/]],
  official: [['seeds/official', /\.txt$/]],
  model: [
    ['seeds/model', /\.safetensors$/],
    ['../../test/fixtures/models', /\.safetensors$/],
  ],
  arrow: [['../../test/fixtures/arrow', /\.arrows?$/]],
  'arrow-compressed': [['../../test/fixtures/arrow/compressed', /\.(arrows|feather)$/]],
  weights: [
    ['seeds/weights', /\.(safetensors|npz)$/],
    ['../../test/fixtures/exchange', /\.(safetensors|npz)$/],
  ],
  archive: [['seeds/archive', /\.zip$/]],
};
const LIMITS = ['-timeout=5', '-rss_limit_mb=1024', '-len_control=0'];
/** Bytes of the longest input: what `src/lib.rs` has. */
const longest = (name) => ({ arrow: 256 << 10, weights: 24 << 10, archive: 24 << 10 })[name] ?? 8192;
const FAILURES = join('target', 'fuzz-failures');

const { values } = parseArgs({
  options: { runs: { type: 'string' }, only: { type: 'string' }, jobs: { type: 'string' } },
});
const whole = (name, text) => {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} is '${text}'; allowed: a whole number, 1 or more`);
  return Number(text);
};
const runs = whole('runs', values.runs ?? '10000000');
const jobs = whole('jobs', values.jobs ?? String(availableParallelism()));
const names = values.only?.split(',') ?? Object.keys(TARGETS);
const unknown = names.find((name) => !(name in TARGETS));
if (unknown !== undefined) throw new Error(`--only is '${unknown}'; allowed: ${Object.keys(TARGETS).join(', ')}`);

/** Compiles the targets; gives back the program. */
function build() {
  const environment = cargoEnvironment();
  const env = {
    ...environment,
    RUSTC_WORKSPACE_WRAPPER: fileURLToPath(new URL('instrument.mjs', import.meta.url)),
    CARGO_TARGET_DIR: process.env.CARGO_TARGET_DIR ?? 'target',
  };
  const args = ['build', '--release', '-p', 'recvae-fuzz', '--features', 'libfuzzer', '--bin', 'fuzz'];
  const { status } = spawnSync('cargo', args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) process.exit(status ?? 1);
  // Away from where the next build, without counters, puts its own.
  const program = join(mkdtempSync(join(tmpdir(), 'recvae-fuzz-')), 'fuzz');
  cpSync(join(env.CARGO_TARGET_DIR, environment.CARGO_BUILD_TARGET, 'release', 'fuzz'), program);
  return program;
}

/** A fresh folder with the seeds of a target, which grows by the inputs that reach new code. */
function corpusOf(name) {
  const folder = mkdtempSync(join(tmpdir(), `recvae-fuzz-${name}-`));
  for (const [seeds, pattern] of TARGETS[name]) {
    const from = fileURLToPath(new URL(`${seeds}/`, import.meta.url));
    for (const file of readdirSync(from).filter((file) => pattern.test(file)))
      cpSync(join(from, file), join(folder, file));
  }
  return folder;
}

/** Runs a target and tells how many inputs it took, how many a second, and whether it held. */
async function fuzz(program, name) {
  const corpus = corpusOf(name);
  const started = performance.now();
  const args = [
    corpus,
    `-runs=${runs}`,
    ...LIMITS,
    `-max_len=${longest(name)}`,
    '-print_final_stats=1',
    `-artifact_prefix=${join(FAILURES, name)}-`,
  ];
  // Readers take blocks of 256 KiB: without these two, glibc gets them from the system and gives them back every time.
  const memory = { MALLOC_TRIM_THRESHOLD_: '1000000000', MALLOC_MMAP_THRESHOLD_: '33554432' };
  const env = { ...process.env, RECVAE_FUZZ: name, RAYON_NUM_THREADS: '1', ...memory };
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let tail = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (text) => {
    tail = (tail + text).slice(-20_000);
  });
  const status = await new Promise((resolve) => child.on('close', resolve));
  const seconds = (performance.now() - started) / 1000;
  const inputs = Number(/^stat::number_of_executed_units:\s+(\d+)$/m.exec(tail)?.[1] ?? 0);
  const coverage = Number([...tail.matchAll(/ cov: (\d+) /g)].at(-1)?.[1] ?? 0);
  const seeds = readdirSync(corpus).length;
  rmSync(corpus, { recursive: true, force: true });
  const ok = status === 0 && inputs >= runs;
  if (!ok) process.stderr.write(`${tail}\n`);
  const result = {
    target: name,
    inputs,
    perSecond: Math.round(inputs / seconds),
    seconds: Math.round(seconds),
    coverage,
    seeds,
    ok,
  };
  console.log(JSON.stringify(result));
  return result;
}

const program = build();
mkdirSync(FAILURES, { recursive: true });
const waiting = [...names];
const results = [];
const work = async () => {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) results.push(await fuzz(program, name));
};
await Promise.all(Array.from({ length: jobs }, work));
rmSync(dirname(program), { recursive: true });
const failures = existsSync(FAILURES) ? readdirSync(FAILURES).map((file) => join(FAILURES, file)) : [];
const inputs = Object.fromEntries(names.map((name) => [name, results.find(({ target }) => target === name).inputs]));
const ok = results.every((result) => result.ok);
console.log(
  JSON.stringify({
    fuzz: inputs,
    total: Object.values(inputs).reduce((a, b) => a + b, 0),
    failures: ok ? [] : failures,
    ok,
  }),
);
process.exitCode = ok ? 0 : 1;
