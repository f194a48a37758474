// How far estimateSeconds is from what fits take: prints for each fit the seconds of a core, the estimate, and the
// constant of crates/recvae-core/src/math/costs.rs that decides it, with what it would have to be multiplied by.
//
// node benches/costs.mjs                      debian and a share of made-up MovieLens-20M
// node benches/costs.mjs FILE|FOLDER [...]    these data instead: interactions, or an official split
//
// A fit runs on one thread and its time is that of the processor, so that other programs on the machine disturb little.
// Rows with "lists" are the lists of the validation users that models with epochs make after each of them.
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { estimateSeconds, evaluate, fit, Interactions, Split, split } from '../dist/index.js';

const FITS = [
  ['ease', {}, 'PAIR, OPERATION'],
  ['ease', { precision: 'f64' }, 'OPERATION'],
  ['ease', { density: 0.05 }, 'SUPPORT'],
  ['ease', { density: 0.01 }, 'SUPPORT'],
  ['ease', { density: 0.001 }, 'CLOSE_PAIR'],
  ['als', { factors: 16, epochs: 2 }, 'NEIGHBOUR'],
  ['als', { factors: 64, epochs: 2 }, 'NUMBER'],
  ['als', { factors: 256, epochs: 2 }, 'OPERATION, NUMBER'],
  ['als', { factors: 1024, epochs: 2 }, 'AXES'],
  ['als', { factors: 64, epochs: 1, solver: 'cholesky' }, 'SMALL'],
  ['mult-dae', { epochs: 1 }, 'MULTIPLICATION'],
  ['mult-vae', { epochs: 1 }, 'MULTIPLICATION'],
  ['recvae', { epochs: 1 }, 'MULTIPLICATION, ALTERNATING'],
  ['mult-dae', { epochs: 1, batchSize: 20 }, 'PARAMETER'],
  ['hvamp', { epochs: 1 }, 'OPERATION, MULTIPLICATION'],
];
const LISTS = [
  [{ factors: 16, epochs: 1 }, 'LISTED'],
  [{ factors: 256, epochs: 1 }, 'OPERATION'],
];
/** What is thought to take more seconds is left out. */
const MOST_SECONDS = 60;

async function* sets(paths) {
  if (paths.length === 0) {
    yield ['debian', await Interactions.dataset('debian')];
    yield ['synth', await Interactions.synth({ like: 'ml-20m', scale: 0.05 })];
  }
  for (const path of paths) {
    const read = statSync(path).isDirectory() ? Split.fromOfficial(path) : Interactions.fromFile(path);
    yield [basename(path), await read];
  }
}

/** Seconds of the processor that some work takes. */
async function secondsOf(work) {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function tell(model, options, seconds, estimate, constants) {
  const cells = [seconds, estimate, seconds / estimate].map((number) => number.toPrecision(3));
  console.log(`| ${[model, JSON.stringify(options), ...cells, constants].join(' | ')} |`);
}

for await (const [name, read] of sets(process.argv.slice(2))) {
  const { train, validation } = read instanceof Split ? read : await split(read, { seed: 1 });
  const { nUsers: users, nItems: items, nInteractions: interactions } = train;
  const estimate = (model, options, validation) =>
    estimateSeconds(model, { data: train, options, threads: 1, validation });
  console.log(`\n${name}: ${users} users x ${items} items, ${interactions} interactions\n`);
  console.log('| model | options | core seconds | estimate | measured / estimate | decided by |');
  console.log('| --- | --- | --- | --- | --- | --- |');
  for (const [model, options, constants] of FITS) {
    const estimated = estimate(model, options, false);
    if (estimated > MOST_SECONDS) continue;
    const seconds = await secondsOf(async () => (await fit(model, train, options, { threads: 1 })).dispose());
    tell(model, options, seconds, estimated, constants);
  }
  for (const [options, constants] of LISTS) {
    const model = await fit('als', train, options, { threads: 1 });
    const seconds = await secondsOf(() => evaluate(model, validation, { threads: 1, metrics: ['ndcg@100'] }));
    // The estimate is for a tenth as many users as are trained on.
    const lists = estimate('als', options, true) - estimate('als', options, false);
    tell('als, lists', options, seconds, (lists * validation.nScored) / (0.1 * users), constants);
  }
}
