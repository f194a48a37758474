// What blends of models give on test users beside the models themselves, and how sure that is:
//   node benches/blends.mjs INPUT [--seed 1] [--models ease,als,edlae,recvae] [--folder F] [--threads 2] [--precision
//   f32] [--gamma G] [--no-slim] [--set deql.lambda=16.1]
// INPUT: a file of interactions, a folder with an official split, or `debian`. The models are trained as
// `recvae compare` trains them, with their options searched on the validation users; "recvae-slim" is RecVAE with
// ImplicitSLIM, whose gamma is searched for itself. A blend is learnt from the validation users alone, and each row is
// evaluated once on the test users. With a folder, models and trials are kept, and the same command goes on from them.
// A gamma that is given is RecVAE's, and not searched; nor is an option that is set.
//
// Differences are to the best single model on the test users, a choice that favours the single models; their p-values
// are corrected (Holm) over the rows.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pairedDifferences } from '../dist/decide/paired.js';
import { compare, evaluate, fit, load } from '../dist/index.js';
import { splitOf } from './inputs.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    seed: { type: 'string', default: '1' },
    models: { type: 'string', default: 'ease,als,edlae,recvae' },
    folder: { type: 'string' },
    threads: { type: 'string', default: '2' },
    precision: { type: 'string' },
    gamma: { type: 'string' },
    slim: { type: 'boolean', default: true },
    set: { type: 'string', multiple: true, default: [] },
  },
});
const [input] = positionals;
const [seed, threads] = [Number(values.seed), Number(values.threads)];
const names = values.models.split(',');
const recvae = values.gamma === undefined ? {} : { gamma: Number(values.gamma) };
const given = { recvae };
for (const text of values.set) {
  const [, model, option, value] = /^([\w-]+)\.(\w+)=(.+)$/.exec(text);
  given[model] = { ...given[model], [option]: Number(value) };
}
const compute = values.precision === undefined ? {} : { precision: values.precision };
if (values.folder) mkdirSync(values.folder, { recursive: true });
const keptAt = (name) => values.folder && join(values.folder, `${name}.safetensors`);

function tell({ model, trials, searchSeconds, seconds, validation, options }) {
  const tried = `${trials} trials in ${searchSeconds.toFixed(0)} s`;
  console.log(
    `${model}: ${seconds.toFixed(0)} s, ${tried}, validation ${validation?.toFixed(4)}, ${JSON.stringify(options)}`,
  );
}

/** The trained models by their names, searched as a comparison does. */
async function trained(data) {
  const all = ['popularity', ...new Set(['ease', 'als', ...names])];
  if (values.folder && all.every((name) => existsSync(keptAt(name)))) {
    return new Map(await Promise.all(all.map(async (name) => [name, await load(keptAt(name))])));
  }
  const journal = values.folder && join(values.folder, 'trials.jsonl');
  const { models, report } = await compare(data, {
    models: all,
    options: given,
    seed,
    threads,
    ...compute,
    ...(journal && { journal }),
  });
  report.models.forEach(tell);
  if (values.folder) for (const [name, model] of models) await model.save(keptAt(name));
  return models;
}

/** RecVAE with ImplicitSLIM, its gamma searched for that; the linear models beside it are not searched again. */
async function withSlim(single, data) {
  if (values.folder && existsSync(keptAt('recvae-slim'))) return load(keptAt('recvae-slim'));
  const journal = values.folder && join(values.folder, 'slim.jsonl');
  const options = {
    ease: single.get('ease').options,
    als: single.get('als').options,
    recvae: { ...given.recvae, implicitSlim: true },
  };
  const { models, report } = await compare(data, {
    models: ['recvae'],
    options,
    seed,
    threads,
    ...compute,
    ...(journal && { journal }),
  });
  tell(report.models.at(-1));
  const model = models.get('recvae');
  if (values.folder) await model.save(keptAt('recvae-slim'));
  return model;
}

const data = await splitOf(input, seed);
const single = await trained(data);
if (single.has('recvae') && values.slim) single.set('recvae-slim', await withSlim(single, data));
const { nUsers, nItems } = data.train;
console.log(`\n${input}: ${nUsers} training users, ${data.test.nScored} test users, ${nItems} items; seed ${seed}\n`);

const blends = [
  ['ease', 'recvae'],
  ['edlae', 'als'],
  ['edlae', 'recvae'],
  ['edlae', 'als', 'recvae'],
  ['edlae', 'als', 'recvae-slim'],
  [...single.keys()].filter((name) => name !== 'popularity'),
].filter((parts) => parts.every((part) => single.has(part)));
const rows = [...single].map(([name, model]) => ({ name, model, weights: '' }));
for (const parts of blends) {
  const model = await fit('blend', data, { parts: parts.map((part) => single.get(part)) }, { threads });
  const { parts: used, gate } = model.options;
  // Parts of one kind are told apart by their options.
  const named = used.map(
    ({ model: kind, options, weight }) => `${options.implicitSlim ? 'recvae-slim' : kind} ${weight.toFixed(3)}`,
  );
  const weights = `${named.join(', ')}${gate ? ', with a gate' : ''}`;
  rows.push({ name: parts.join(' + '), model, weights, isBlend: true });
}
const metrics = ['ndcg@100', 'recall@20', 'recall@50'];
for (const row of rows) row.metrics = (await evaluate(row.model, data.test, { metrics, threads })).metrics;
const mean = (row, metric) => row.metrics[metric].mean;
const best = rows
  .filter(({ isBlend }) => !isBlend)
  .reduce((a, b) => (mean(b, 'ndcg@100') > mean(a, 'ndcg@100') ? b : a));
const others = rows.filter((row) => row !== best);
const perUser = (row) => row.metrics['ndcg@100'].perUser;
const differences = await pairedDifferences(
  others.map((row) => [perUser(row), perUser(best)]),
  seed,
  { threads },
);
const signed = (value) => `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(4)}`;
console.log(
  `| model | ndcg@100 | recall@20 | recall@50 | to ${best.name}: difference, 95 % interval, corrected p | weights |`,
);
console.log('| --- | --- | --- | --- | --- | --- |');
for (const row of rows) {
  const found = differences[others.indexOf(row)];
  const text = found
    ? `${signed(found.difference)} (${found.interval.map(signed).join(' to ')}), p ${found.pValue.toFixed(3)}`
    : 'the best single model';
  console.log(
    `| ${[row.name, ...metrics.map((metric) => mean(row, metric).toFixed(4)), text, row.weights].join(' | ')} |`,
  );
}
