// iALS with numbers of plays beside implicit's with the same weights, and what the weights are worth.
//
// node benches/als-weights.mjs PYTHON [EPOCHS]   a Python with peers/als-requirements.txt
//
// The data are made up with a known truth, in the shape of Last.fm's (HetRec 2011): 1,892 listeners, 17,632 artists of
// a long tail, some 49 artists each, plays from one to hundreds of thousands. A listener has three genres, and comes
// across artists of any: those are interactions, too, but they are not played again. What is to be found are artists of
// the own genres that were not heard yet.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fit, Interactions } from '../dist/index.js';
import { numbers } from './numbers.mjs';
import { flags, lastJson, ROOT, run } from './programs.mjs';

const [LISTENERS, ARTISTS, GENRES, EACH, K] = [1892, 17632, 60, 49, 50];
const COMMON = { factors: 64, alpha0: 0.1, lambda: 0.5 };
const [python, epochs = '200'] = process.argv.slice(2);
if (!python)
  throw new Error('the Python with peers/als-requirements.txt is missing: node benches/als-weights.mjs PYTHON');

const random = numbers(19);
const draw = () => random.next().value;
const normal = () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
/** Artist `GENRES * rank + genre`: the first ones are the most popular of their genres. */
const artist = (genre) => GENRES * Math.floor((ARTISTS / GENRES) * draw() ** 3) + genre;
const genresOf = [];
const columns = { users: [], items: [], values: [] };
for (let listener = 0; listener < LISTENERS; listener += 1) {
  const genres = [0, 1, 2].map(() => Math.floor(GENRES * draw()));
  const plays = new Map();
  // How much a listener listens differs as much as what for.
  const often = 5 + normal();
  while (plays.size < EACH) {
    const isLiked = draw() < 0.5;
    const which = artist(isLiked ? genres[Math.floor(3 * draw())] : Math.floor(GENRES * draw()));
    if (which >= ARTISTS || plays.has(which)) continue;
    const count = genres.includes(which % GENRES) ? Math.round(Math.exp(often + 1.2 * normal())) : 1;
    plays.set(which, Math.max(count, 1));
  }
  genresOf.push(genres);
  for (const [item, count] of plays) {
    columns.users.push(String(listener));
    columns.items.push(String(item));
    columns.values.push(count);
  }
}

/** How many of a listener's {@link K} recommendations are of the own genres, a mean over all listeners. */
function hits(model, data) {
  const of = (listener) => {
    const { items } = model.recommend(data.history(String(listener)), { k: K });
    return items.filter(({ id }) => genresOf[listener].includes(Number(id) % GENRES)).length / K;
  };
  return genresOf.reduce((sum, _, listener) => sum + of(listener), 0) / LISTENERS;
}

async function ours(data, seed) {
  const losses = [];
  const options = { ...COMMON, nu: 0, solver: 'cholesky', epochs: Number(epochs), patience: Number(epochs), seed };
  const model = await fit('als', data, options, { onProgress: ({ loss }) => losses.push(loss) });
  return { loss: losses.findLast((loss) => loss != null), hits: hits(model, data) };
}

const folder = mkdtempSync(join(tmpdir(), 'recvae-plays-'));
try {
  const rows = join(folder, 'plays.csv');
  const lines = columns.users.map((user, row) => `${user},${columns.items[row]},${columns.values[row]}\n`);
  writeFileSync(rows, `user,item,plays\n${lines.join('')}`);
  const weighted = Interactions.fromColumns(columns, { weighted: true });
  const plain = Interactions.fromColumns({ users: columns.users, items: columns.items });
  const sorted = columns.values.toSorted((a, b) => a - b);
  const middle = sorted[sorted.length >> 1];
  console.log(
    `${weighted.nUsers} listeners, ${weighted.nItems} artists, ${lines.length} pairs; plays: median ${middle}, most ${sorted.at(-1)}\n`,
  );
  console.log("| seed | our loss | implicit's | ours / theirs - 1 | own genres in lists, with weights | without |");
  console.log('| --- | --- | --- | --- | --- | --- |');
  for (const seed of [1, 2, 3]) {
    const found = await ours(weighted, seed);
    const args = { rows, ...COMMON, epochs, seed, threads: 2 };
    const peer = lastJson(run(python, [join(ROOT, 'benches', 'peers', 'als_weights.py'), ...flags(args)]));
    const without = await ours(plain, seed);
    const cells = [found.loss.toFixed(5), peer.loss.toFixed(5), (found.loss / peer.loss - 1).toExponential(1)];
    console.log(`| ${[seed, ...cells, found.hits.toFixed(3), without.hits.toFixed(3)].join(' | ')} |`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
