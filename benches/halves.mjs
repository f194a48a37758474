// What a blend that is learnt from half of the held-out users gives on the other half, over many halvings:
//   node benches/halves.mjs INPUT --folder F [--seed 1] [--parts all] [--halvings 20] [--threads 2] [--no-gate]
// INPUT and F are those of `benches/blends.mjs`, which left its trained models in F. The validation and test users are
// put together and halved anew each time, so that one lucky half decides nothing: how a blend is learnt can be judged
// where a single table cannot. Each line gives the mean over the halvings of NDCG@100 on the other half, of the blend,
// of the part that is best on the half that it is learnt from, and of the difference with its standard error over
// halvings (which share users, so that it is too small).
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { evaluate, fit, load, Split } from '../dist/index.js';
import { splitOf } from './inputs.mjs';
import { numbers } from './numbers.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    seed: { type: 'string', default: '1' },
    folder: { type: 'string' },
    parts: { type: 'string', default: 'all' },
    halvings: { type: 'string', default: '20' },
    threads: { type: 'string', default: '2' },
    gate: { type: 'boolean', default: true },
  },
});
const [input] = positionals;
const [seed, threads, halvings] = [Number(values.seed), Number(values.threads), Number(values.halvings)];

/** Whole numbers below `n`, shuffled; the same for the same seed. */
function shuffled(n, seed) {
  const order = Array.from({ length: n }, (_, at) => at);
  const random = numbers(seed);
  for (let at = n - 1; at > 0; at--) {
    const other = Math.floor(random.next().value * (at + 1));
    [order[at], order[other]] = [order[other], order[at]];
  }
  return order;
}

const data = await splitOf(input, seed);
const base = mkdtempSync(join(tmpdir(), 'recvae-halves-'));
const folder = mkdtempSync(join(tmpdir(), 'recvae-halves-'));
try {
  await data.write(base);
  const rows = (name) => readFileSync(join(base, name), 'utf8').split('\n').slice(1).filter(Boolean);
  const users = new Map();
  for (const part of ['validation', 'test']) {
    for (const kind of ['tr', 'te']) {
      for (const row of rows(`${part}_${kind}.csv`)) {
        const uid = row.slice(0, row.indexOf(','));
        if (!users.has(uid)) users.set(uid, { tr: [], te: [] });
        users.get(uid)[kind].push(row.slice(row.indexOf(',')));
      }
    }
  }
  const all = [...users.values()];
  // The layout has the validation users before the test users, without a gap.
  const firstUser = Math.min(...[...users.keys()].map(Number));
  for (const name of ['train.csv', 'unique_sid.txt', 'unique_uid.txt'])
    symlinkSync(join(base, name), join(folder, name));
  const names = readdirSync(values.folder)
    .filter((name) => name.endsWith('.safetensors') && !name.startsWith('popularity'))
    .map((name) => name.slice(0, -'.safetensors'.length));
  const models = new Map(
    await Promise.all(names.map(async (name) => [name, await load(join(values.folder, `${name}.safetensors`))])),
  );
  const sets = values.parts === 'all' ? [names] : values.parts.split(';').map((set) => set.split('+'));
  const sums = sets.map(() => ({ blend: [], best: [], kept: new Map(), gates: 0 }));
  for (let halving = 0; halving < halvings; halving++) {
    const order = shuffled(all.length, halving + 1);
    for (const [part, from, to] of [
      ['validation', 0, all.length >> 1],
      ['test', all.length >> 1, all.length],
    ]) {
      for (const kind of ['tr', 'te']) {
        const lines = order
          .slice(from, to)
          .flatMap((at, place) => all[at][kind].map((item) => `${firstUser + from + place}${item}`));
        writeFileSync(join(folder, `${part}_${kind}.csv`), `uid,sid\n${lines.join('\n')}\n`);
      }
    }
    const halved = await Split.fromOfficial(folder);
    const ndcg = async (model, part) =>
      (await evaluate(model, part, { metrics: ['ndcg@100'], threads })).metrics['ndcg@100'].mean;
    const single = new Map();
    for (const [name, model] of models) {
      single.set(name, [await ndcg(model, halved.validation), await ndcg(model, halved.test)]);
    }
    for (const [at, set] of sets.entries()) {
      const blend = await fit(
        'blend',
        halved,
        { gate: values.gate, parts: set.map((name) => models.get(name)) },
        { threads },
      );
      const best = set.reduce((a, b) => (single.get(b)[0] > single.get(a)[0] ? b : a));
      const sum = sums[at];
      sum.blend.push(await ndcg(blend, halved.test));
      sum.best.push(single.get(best)[1]);
      sum.gates += blend.options.gate ? 1 : 0;
      for (const { model, options } of blend.options.parts) {
        const name = options.implicitSlim ? `${model}-slim` : model;
        sum.kept.set(name, (sum.kept.get(name) ?? 0) + 1);
      }
    }
  }
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const error = (values) => {
    const centre = mean(values);
    return Math.sqrt(
      values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1) / values.length,
    );
  };
  for (const [at, set] of sets.entries()) {
    const { blend, best, kept, gates } = sums[at];
    const gain = blend.map((value, index) => value - best[index]);
    const parts = [...kept].map(([name, count]) => `${name} ${count}`).join(', ');
    console.log(
      `${set.join('+')}: ${mean(blend).toFixed(5)}, best part ${mean(best).toFixed(5)}, difference ${mean(gain).toFixed(5)} ± ${error(gain).toFixed(5)}; gates ${gates}; kept ${parts}`,
    );
  }
} finally {
  rmSync(base, { recursive: true });
  rmSync(folder, { recursive: true });
}
