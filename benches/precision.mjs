// Whether training in bf16 costs accuracy, and what it saves: each training in a process of its own, one after the
// other.
//
//   node benches/precision.mjs [INPUT...] [--model recvae] [--seeds 1,2,3,4] [--epochs N] [--threads N] [--folder
//   FOLDER]
//
// INPUT: a folder in the official layout, a file, or a built-in data set (default: debian, and MovieLens-1M's split in
// ../shared if it is there). Seconds are those that processors worked on the fit. In a folder each result is kept, so
// that a run goes on where it was stopped. A difference is bf16 less f32 on the same test users, with a p-value that
// Holm's correction over all pairs has raised.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { pairedDifferences } from '../dist/decide/paired.js';
import { evaluate, fit } from '../dist/index.js';
import { splitOf } from './inputs.mjs';

const ML_1M = fileURLToPath(new URL('../../shared/data/ml-1m-split', import.meta.url));
const METRIC = 'ndcg@100';
const PRECISIONS = ['f32', 'bf16'];

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'recvae' },
    seeds: { type: 'string', default: '1,2,3,4' },
    epochs: { type: 'string' },
    threads: { type: 'string' },
    folder: { type: 'string' },
    // Of the process of one training.
    seed: { type: 'string' },
    precision: { type: 'string' },
  },
});

/** Trains in one precision, in this process. */
async function measured(input, seed, precision) {
  const data = await splitOf(input, 1);
  const options = { seed, ...(flags.epochs && { epochs: Number(flags.epochs) }) };
  const cpu = process.cpuUsage();
  const model = await fit(flags.model, data, options, {
    precision,
    ...(flags.threads && { threads: Number(flags.threads) }),
  });
  const { user, system } = process.cpuUsage(cpu);
  const { metrics } = await evaluate(model, data.test, { metrics: [METRIC] });
  const { mean, perUser } = metrics[METRIC];
  return { epochs: model.epochs.length, seconds: (user + system) / 1e6, mean, perUser: [...perUser] };
}

/** The same in a process of its own, or as it was kept. */
function result(input, seed, precision) {
  const name = [flags.model, basename(input), seed, precision, ...(flags.epochs ? [flags.epochs] : [])].join('-');
  const file = flags.folder && join(flags.folder, `${name}.json`);
  if (file && existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'));
  const more = ['model', 'epochs', 'threads'].flatMap((flag) => (flags[flag] ? [`--${flag}`, flags[flag]] : []));
  const args = [fileURLToPath(import.meta.url), input, ...more, '--seed', String(seed), '--precision', precision];
  const text = execFileSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (file) {
    mkdirSync(flags.folder, { recursive: true });
    writeFileSync(file, text);
  }
  process.stderr.write(`${name}: ${JSON.parse(text).mean.toFixed(4)}\n`);
  return JSON.parse(text);
}

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

if (flags.precision) {
  process.stdout.write(JSON.stringify(await measured(positionals[0], Number(flags.seed), flags.precision)));
} else {
  const inputs = positionals.length > 0 ? positionals : ['debian', ...(existsSync(ML_1M) ? [ML_1M] : [])];
  const seeds = flags.seeds.split(',').map(Number);
  const rows = inputs.flatMap((input) =>
    seeds.map((seed) => ({ input, seed, of: PRECISIONS.map((precision) => result(input, seed, precision)) })),
  );
  const pairs = rows.map(({ of }) => of.map(({ perUser }) => Float64Array.from(perUser)).reverse());
  const differences = await pairedDifferences(pairs, 1, {});
  const head = ['data', 'seed', 'f32', 'bf16', 'difference', '95 %', 'p', 'epochs', 's an epoch', 'f32 / bf16'];
  console.log(`| ${head.join(' | ')} |\n|${' --- |'.repeat(head.length)}`);
  const anEpoch = ({ seconds, epochs }) => seconds / epochs;
  for (const [at, { input, seed, of }] of rows.entries()) {
    const { difference, interval, pValue } = differences[at];
    const cells = [
      basename(input),
      seed,
      ...of.map((one) => one.mean.toFixed(4)),
      difference.toFixed(4),
      interval.map((bound) => bound.toFixed(4)).join(' to '),
      pValue.toFixed(3),
      of.map(({ epochs }) => epochs).join(', '),
      of.map((one) => anEpoch(one).toFixed(2)).join(', '),
      (anEpoch(of[0]) / anEpoch(of[1])).toFixed(2),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
  for (const input of inputs) {
    const [f32, bf16] = PRECISIONS.map((_, at) =>
      mean(rows.filter((row) => row.input === input).map(({ of }) => of[at].mean)),
    );
    console.log(
      `\n${basename(input)}: mean ${f32.toFixed(4)} in f32, ${bf16.toFixed(4)} in bf16, ${(bf16 - f32).toFixed(4)}`,
    );
  }
}
