// How often the product's own decision calls a model better that is not: on data without taste, and of two models that
// are equal by construction.
//
//   node benches/verdict.mjs [--sets 200] [--seed 1] [--only taste|equal|tests] [--json FILE]
//
// - taste: users draw their items by popularity alone (a long tail, without replacement), so nothing can beat
//   popularity. Sizes vary. `compare` with its search; wrong if its winner is another model than popularity.
// - equal: data with taste, on which `compare` trains EASE^R and iALS; then a fair coin swaps the two values of each
//   test user. What is called the first and the second model now are equal by construction, with the spread, ties and
//   skew of real values. They are decided about as `compare` does it, beside popularity; wrong if either is called
//   better than the other (p < .05).
// - tests: the share of p-values below .05 where the users' differences are drawn with mean 0, by number of users and
//   kind.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { decide } from '../dist/decide/compare/verdict.js';
import { pairedDifferences, SIGNIFICANCE } from '../dist/decide/paired.js';
import { pairs } from '../dist/decide/pairs.js';
import { compare, Interactions } from '../dist/index.js';
import { wilson } from './statistics.mjs';

const { values: flags } = parseArgs({
  options: {
    sets: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    json: { type: 'string' },
  },
});
const [sets, seed] = [Number(flags.sets), Number(flags.seed)];
const METRIC = 'ndcg@100';

/** A seeded generator of numbers in [0, 1): mulberry32. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const between = (random, low, high) => low + Math.floor(random() * (high - low + 1));

/** Users who draw items by weights without replacement (Efraimidis and Spirakis 2006: the largest u^(1 / weight)). */
function drawn(random, nUsers, weightsOf, countOf) {
  const [users, items] = [[], []];
  for (let user = 0; user < nUsers; user += 1) {
    const weights = weightsOf(user);
    const keys = weights.map((weight, item) => [Math.log(random()) / weight, item]);
    keys.sort(([a], [b]) => b - a);
    for (const [, item] of keys.slice(0, countOf(user))) {
      users.push(`u${user}`);
      items.push(`i${item}`);
    }
  }
  return Interactions.fromColumns({ users, items });
}

/** Some hundred users and items; popularity falls with a power of the rank. */
function shape(random) {
  const [nUsers, nItems] = [between(random, 200, 500), between(random, 60, 300)];
  const exponent = 0.5 + 0.8 * random();
  const popularity = Array.from({ length: nItems }, (_, rank) => (rank + 1) ** -exponent);
  const [least, most] = [6, between(random, 10, 25)];
  return { nUsers, nItems, popularity, count: () => between(random, least, most) };
}

function withoutTaste(random) {
  const { nUsers, popularity, count } = shape(random);
  return drawn(random, nUsers, () => popularity, count);
}

/** Half of a user's weight lies on one of a few groups of items. */
function withTaste(random) {
  const { nUsers, nItems, popularity, count } = shape(random);
  const groups = between(random, 3, 8);
  const boost = 2 + 6 * random();
  const group = Array.from({ length: nItems }, () => between(random, 0, groups - 1));
  const weights = Array.from({ length: groups }, (_, own) =>
    popularity.map((weight, item) => weight * (group[item] === own ? boost : 1)),
  );
  return drawn(random, nUsers, () => weights[between(random, 0, groups - 1)], count);
}

const compared = (data, seed) =>
  compare(data, {
    models: ['edlae'],
    tune: true,
    budget: 6,
    seed,
    threads: 1,
    split: { seed, validation: 0.2, test: 0.3 },
  });

async function taste() {
  const wrong = [];
  for (let set = 0; set < sets; set += 1) {
    const random = generator(seed * 100_003 + set);
    const { report } = await compared(withoutTaste(random), set);
    if (report.winner !== 'popularity') wrong.push({ set, winner: report.winner, verdict: report.verdict });
    progress('taste', set, wrong.length);
  }
  return { wrong };
}

async function equal() {
  const wrong = [];
  for (let set = 0; set < sets; set += 1) {
    const random = generator(seed * 200_003 + set);
    const { report, evaluations } = await compared(withTaste(random), set);
    const [ease, als] = ['ease', 'als'].map((model) => evaluations.get(model).metrics[METRIC].perUser);
    const [first, second] = [ease.slice(), als.slice()];
    for (let user = 0; user < ease.length; user += 1) {
      if (random() < 0.5) [first[user], second[user]] = [als[user], ease[user]];
    }
    const values = new Map([
      ['popularity', evaluations.get('popularity').metrics[METRIC].perUser],
      ['ease', first],
      ['als', second],
    ]);
    const asked = new Map([...values].map(([model, perUser]) => [model, { metrics: { [METRIC]: { perUser } } }]));
    const paired = await pairs(asked, set, { threads: 1 });
    const mean = (perUser) => perUser.reduce((sum, value) => sum + value, 0) / perUser.length;
    const models = report.models
      .filter(({ model }) => values.has(model))
      .map((row) => ({ ...row, metrics: { [METRIC]: { mean: mean(values.get(row.model)), standardError: null } } }));
    const { verdict } = decide(models, paired, METRIC, { count: first.length, part: 'test' });
    const { pValue } = paired.find(({ a, b }) => a === 'als' && b === 'ease');
    if (pValue < SIGNIFICANCE) wrong.push({ set, pValue, verdict });
    progress('equal', set, wrong.length);
  }
  return { wrong };
}

/** Differences of users with mean 0. */
const KINDS = {
  normal: (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  'four of five are 0': (random) => (random() < 0.8 ? 0 : KINDS.normal(random)),
  'exponential, skewed': (random) => -Math.log(1 - random()) - 1,
};

async function tests() {
  const rows = [];
  for (const users of [10, 20, 50, 100, 500]) {
    for (const [kind, draw] of Object.entries(KINDS)) {
      const random = generator(seed * 300_007 + users);
      const zeros = new Float64Array(users);
      let wrong = 0;
      const count = users > 100 ? sets : 5 * sets;
      for (let set = 0; set < count; set += 1) {
        const values = Float64Array.from({ length: users }, () => draw(random));
        const [{ pValue }] = await pairedDifferences([[values, zeros]], set, {});
        if (pValue < SIGNIFICANCE) wrong += 1;
      }
      rows.push({ users, kind, count, share: wrong / count, interval: wilson(wrong, count) });
      process.stderr.write(`tests: ${users} users, ${kind}\n`);
    }
  }
  return { rows };
}

function progress(name, set, wrong) {
  if ((set + 1) % 20 === 0) process.stderr.write(`${name}: ${set + 1} of ${sets}, ${wrong} wrong\n`);
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const result = { sets, seed };
for (const [name, work] of Object.entries({ taste, equal, tests })) {
  if (flags.only !== undefined && flags.only !== name) continue;
  const found = await work();
  result[name] = found;
  if (found.rows) {
    console.log('| users | differences | sets | p below .05 | 95 % interval |\n| --- | --- | --- | --- | --- |');
    for (const { users, kind, count, share, interval } of found.rows)
      console.log(`| ${users} | ${kind} | ${count} | ${percent(share)} | ${interval.map(percent).join(' to ')} |`);
  } else {
    const interval = wilson(found.wrong.length, sets);
    result[name] = { ...found, share: found.wrong.length / sets, interval };
    console.log(
      `${name}: a model is called better in ${found.wrong.length} of ${sets} sets, ${percent(found.wrong.length / sets)}, ` +
        `95 % interval ${interval.map(percent).join(' to ')}`,
    );
  }
}
if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(result, null, 2)}\n`);
