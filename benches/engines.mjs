// What the two engines of the networks cost on a processor, and whether they come to the same: each in a process of its
// own.
//
//   node benches/engines.mjs [INPUT] [--model recvae] [--seed 1] [--epochs N] [--threads N] [--json FILE]
//
// INPUT: a folder in the official layout, a file, or a built-in data set (default: MovieLens-1M's split in ../shared).
// Seconds are those of the processor, of all threads together, beside those of the clock; the peak is that of the
// process, data included. candle's own threads are as many as CANDLE_NUM_THREADS or RAYON_NUM_THREADS say, else as many
// as there are cores.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { pairedDifferences } from '../dist/decide/paired.js';
import { evaluate, fit } from '../dist/index.js';
import { splitOf } from './inputs.mjs';

const ML_1M = fileURLToPath(new URL('../../shared/data/ml-1m-split', import.meta.url));
const METRIC = 'ndcg@100';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'recvae' },
    seed: { type: 'string', default: '1' },
    epochs: { type: 'string' },
    threads: { type: 'string' },
    json: { type: 'string' },
    engine: { type: 'string' },
  },
});
const [input = ML_1M] = positionals;
const seed = Number(flags.seed);
const options = { seed, ...(flags.epochs && { epochs: Number(flags.epochs) }) };
const threads = flags.threads && Number(flags.threads);

/** Trains by one engine, in this process. */
async function measured(engine) {
  const data = await splitOf(input, seed);
  const [clock, cpu] = [performance.now(), process.cpuUsage()];
  const model = await fit(flags.model, data, options, { engine, ...(threads && { threads }) });
  const { user, system } = process.cpuUsage(cpu);
  const { metrics } = await evaluate(model, data.test, { metrics: [METRIC] });
  return {
    engine,
    epochs: model.epochs.length,
    seconds: (performance.now() - clock) / 1000,
    processorSeconds: (user + system) / 1e6,
    peakMiB: process.resourceUsage().maxRSS / 1024,
    perUser: [...metrics[METRIC].perUser],
    mean: metrics[METRIC].mean,
  };
}

if (flags.engine) {
  process.stdout.write(JSON.stringify(await measured(flags.engine)));
} else {
  const results = ['fused', 'candle'].map((engine) => {
    const args = [fileURLToPath(import.meta.url), ...process.argv.slice(2), '--engine', engine];
    return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 2 ** 28 }));
  });
  console.log(
    '| engine | epochs | seconds | seconds of the processor, an epoch | peak MiB | NDCG@100 |\n| --- | --- | --- | --- | --- | --- |',
  );
  for (const { engine, epochs, seconds, processorSeconds, peakMiB, mean } of results) {
    const numbers = [
      epochs,
      seconds.toFixed(1),
      (processorSeconds / epochs).toFixed(2),
      peakMiB.toFixed(0),
      mean.toFixed(4),
    ];
    console.log(`| ${[engine, ...numbers].join(' | ')} |`);
  }
  const [fused, candle] = results;
  const values = [candle, fused].map(({ perUser }) => Float64Array.from(perUser));
  const [{ difference, interval, pValue }] = await pairedDifferences([values], seed, {});
  const [low, high] = interval.map((bound) => bound.toFixed(4));
  console.log(`\ncandle - fused: ${difference.toFixed(4)} (${low} to ${high}, p ${pValue.toFixed(3)})`);
  const ratio = candle.processorSeconds / candle.epochs / (fused.processorSeconds / fused.epochs);
  console.log(`an epoch of candle takes ${ratio.toFixed(1)} times the seconds of the processor`);
  if (flags.json) writeFileSync(flags.json, `${JSON.stringify(results)}\n`);
}
