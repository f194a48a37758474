// iALS beside irspack and implicit: loss, accuracy and seconds an epoch, in turns, as a table.
//
// node benches/als.mjs PYTHON [ROUNDS [FOLDER]] a Python with peers/als-requirements.txt; a split in the official
// layout, by default MovieLens-1M beside this repository
import { join } from 'node:path';
import { evaluate, fit, Split } from '../dist/index.js';
import { build, flags, lastJson, ROOT, run, say } from './programs.mjs';
import { figure, median, spread } from './statistics.mjs';

const THREADS = 2;
const EPOCHS = 16;
const COMMON = { alpha0: 0.2, epochs: EPOCHS, seed: 1 };
// lambda suits the exponent: with 0 every row has the same weight, whatever its length.
const SETTINGS = [
  { library: 'irspack', factors: 64, lambda: 0.006, nu: 1 },
  { library: 'irspack', factors: 128, lambda: 0.006, nu: 1 },
  { library: 'irspack', factors: 256, lambda: 0.01, nu: 1 },
  { library: 'implicit', factors: 64, lambda: 8, nu: 0 },
  { library: 'implicit', factors: 128, lambda: 8, nu: 0 },
  { library: 'implicit', factors: 256, lambda: 8, nu: 0 },
];

const [python, rounds = '5', folder = '../shared/data/ml-1m-split'] = process.argv.slice(2);
if (!python) throw new Error('the Python with peers/als-requirements.txt is missing: node benches/als.mjs PYTHON');
const program = build();
const split = await Split.fromOfficial(folder);

/** Ours without validation, whose time does not count; its seconds hold the loss, which it tells after every epoch. */
function timeOurs(options) {
  const args = {
    model: 'als',
    folder,
    epochs: EPOCHS,
    'warm-up': 0,
    threads: THREADS,
    options: JSON.stringify(options),
  };
  const { seconds, loss } = lastJson(run(program, ['epochs', ...flags(args)]));
  return { seconds: seconds.reduce((sum, value) => sum + value, 0) / EPOCHS, loss };
}

function peer({ library, factors, lambda, nu }) {
  const args = { library, factors, lambda, nu, alpha0: COMMON.alpha0, epochs: EPOCHS, data: join(ROOT, folder) };
  return lastJson(
    run(python, [join('benches', 'peers', 'als.py'), ...flags({ ...args, threads: THREADS, json: '-' })]),
  );
}

const rows = [];
for (const { library, ...setting } of SETTINGS) {
  const options = { ...COMMON, ...setting };
  const [ours, theirs] = [[], []];
  for (let round = 1; round <= Number(rounds); round += 1) {
    say(`${library}, ${setting.factors} factors, round ${round} of ${rounds}`);
    ours.push(timeOurs(options));
    theirs.push(peer({ library, ...setting }));
  }
  const model = await fit('als', split, { ...options, patience: EPOCHS });
  const { metrics } = await evaluate(model, split.test, { metrics: ['ndcg@100'] });
  const ratios = ours.map(({ seconds }, round) => seconds / theirs[round].seconds);
  const at = (all) => median(all.map(({ seconds }) => seconds));
  rows.push([
    library,
    setting.factors,
    setting.nu,
    ours[0].loss.toFixed(3),
    theirs[0].loss.toFixed(3),
    metrics['ndcg@100'].mean.toFixed(4),
    theirs[0].test.toFixed(4),
    figure(at(ours)),
    figure(at(theirs)),
    figure(median(ratios)),
    spread(ratios).map(figure).join(' to '),
  ]);
}
const head = ['peer', 'factors', 'nu', 'our loss', "peer's", 'our NDCG@100', "peer's", 'our s an epoch', "peer's"];
const lines = [[...head, "of the peer's time", 'spread'], Array(head.length + 2).fill('---'), ...rows];
for (const line of lines) console.log(`| ${line.join(' | ')} |`);
