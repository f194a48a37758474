// Is the model that `advise` names significantly worse than the best one of a full comparison with everything tuned?
//
//   node benches/advise.mjs [--sets ml-1m,debian,video-games,ml-100k] [--seeds 1,2,3] [--models LIST] [--folder FOLDER]
//
// In FOLDER it looks for `advice-SET-SEED.json` and `compare-SET-SEED.json`, as the commands' --json writes them, and
// makes what is missing, so that a run can be stopped and go on. Comparisons take hours; `--advice` makes the advice
// alone, and `--print` nothing.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SIGNIFICANCE } from '../dist/decide/paired.js';
import { advise, compare, Interactions, Split } from '../dist/index.js';

const SHARED = fileURLToPath(new URL('../../shared/data', import.meta.url));
const READ = {
  'ml-1m': () => Split.fromOfficial(join(SHARED, 'ml-1m-split')),
  debian: () => Interactions.dataset('debian'),
  'video-games': () => Interactions.fromFile(join(SHARED, 'video-games.csv.gz')),
  'ml-100k': () => Interactions.fromFile(join(SHARED, 'ml-100k.csv.gz'), { value: 'rating', minValue: 4 }),
};

const { values: flags } = parseArgs({
  options: {
    sets: { type: 'string', default: Object.keys(READ).join(',') },
    seeds: { type: 'string', default: '1,2,3' },
    models: { type: 'string' },
    folder: { type: 'string', default: 'target/bench/advise' },
    advice: { type: 'boolean', default: false },
    print: { type: 'boolean', default: false },
  },
});

/** The report of a name, made if it is not there. */
async function report(name, make) {
  const path = join(flags.folder, `${name}.json`);
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8'));
  const made = await make?.();
  if (made === undefined) return undefined;
  writeFileSync(`${path}.new`, JSON.stringify(made));
  renameSync(`${path}.new`, path);
  return made;
}

async function advice(set, seed) {
  const started = performance.now();
  const found = await advise(await READ[set](), { seed });
  return { ...found, wallSeconds: (performance.now() - started) / 1000 };
}

async function comparison(set, seed) {
  const models = flags.models?.split(',');
  const { report } = await compare(await READ[set](), { seed, ...(models && { models }) });
  return report;
}

/** The best model of a comparison, and the advised one minus it. */
function against({ models, paired, metric }, advised) {
  const mean = ({ metrics }) => metrics[metric].mean;
  const best = models.reduce((best, row) => (mean(row) > mean(best) ? row : best)).model;
  if (best === advised) return { best };
  const pair = paired.find(
    ({ a, b, metric: its }) => its === metric && [a, b].includes(best) && [a, b].includes(advised),
  );
  if (!pair) return { best, missing: true };
  const sign = pair.a === advised ? 1 : -1;
  const interval = sign === 1 ? pair.interval : [-pair.interval[1], -pair.interval[0]];
  return { best, difference: sign * pair.difference, interval, pValue: pair.pValue };
}

mkdirSync(flags.folder, { recursive: true });
const count = { cases: 0, worse: 0, silent: 0 };
const minutes = (seconds) => (seconds === undefined ? '' : (seconds / 60).toFixed(1));
console.log('| data | seed | advised | leads | minutes | best of the comparison | advised minus best | p | |');
console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- |');
for (const set of flags.sets.split(',')) {
  for (const seed of flags.seeds.split(',').map(Number)) {
    const given = await report(`advice-${set}-${seed}`, flags.print ? undefined : () => advice(set, seed));
    const makes = !flags.print && !flags.advice;
    const full = await report(`compare-${set}-${seed}`, makes ? () => comparison(set, seed) : undefined);
    if (!given) continue;
    count.cases += 1;
    if (given.model === null) count.silent += 1;
    const { best, difference, interval, pValue, missing } = full ? against(full, given.model ?? given.leader) : {};
    const worse = given.model !== null && pValue < SIGNIFICANCE && difference < 0;
    if (worse) count.worse += 1;
    const numbers =
      difference === undefined
        ? ['', '']
        : [`${difference.toFixed(4)} (${interval.map((end) => end.toFixed(4)).join(' to ')})`, pValue.toFixed(3)];
    const remark = worse ? 'significantly worse' : missing ? 'not compared' : '';
    console.log(
      `| ${[set, seed, given.model ?? 'cannot tell', given.leader, minutes(given.wallSeconds), best ?? '', ...numbers, remark].join(' | ')} |`,
    );
  }
}
console.log(`\n${count.cases} cases: significantly worse in ${count.worse}, "I cannot tell" in ${count.silent}.`);
