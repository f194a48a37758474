// What other libraries' metrics say of the very lists that ours are computed from: prints the table of
// docs/evaluation.md.
//
// node benches/metrics.mjs PYTHON   a Python with what benches/peers/metrics-requirements.txt names
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { evaluate, fit, Interactions, split } from '../dist/index.js';

const K = 5;
const METRICS = ['ndcg', 'recall', 'recall-all', 'hit-rate', 'precision', 'map', 'mrr', 'coverage', 'gini'].map(
  (name) => `${name}@${K}`,
);

const python = process.argv[2];
if (python === undefined) throw new Error('no Python is given; node benches/metrics.mjs PYTHON');

// Half of the items of a user are held out, so that some users have more of them than a list has places and others
// fewer.
const data = await split(await Interactions.dataset('debian'), { seed: 1, heldOut: 0.5, test: 500, validation: 0 });
const model = await fit('ease', data);
const { metrics, users: rows } = await evaluate(model, data.test, { metrics: METRICS });
const ids = data.test.userIds();
const users = Array.from(rows, (row) => ids[row]);
const lists = await model.recommendBatch(
  users.map((user) => data.test.input(user)),
  { k: K, fallback: 'none' },
);
const index = new Map(model.itemIds.map((id, at) => [id, at]));
const folder = mkdtempSync(join(tmpdir(), 'recvae-metrics-'));
try {
  const path = join(folder, 'lists.json');
  const numbers = (ids) => ids.map((id) => index.get(id));
  const given = {
    k: K,
    items: model.itemIds.length,
    lists: lists.map(({ items }) => numbers(items.map(({ id }) => id))),
    targets: users.map((user) => numbers(data.test.target(user))),
  };
  writeFileSync(path, JSON.stringify(given));
  const script = fileURLToPath(new URL('peers/metrics.py', import.meta.url));
  const theirs = JSON.parse(execFileSync(python, [script, path], { encoding: 'utf8' }));
  const libraries = Object.keys(theirs);
  const larger = given.targets.filter((target) => target.length > K).length;
  console.log(`${users.length} users, ${larger} of them with more than ${K} held-out items\n`);
  console.log(`| metric | here | ${libraries.join(' | ')} |`);
  console.log(`| --- | --- |${' --- |'.repeat(libraries.length)}`);
  for (const name of METRICS) {
    const values = libraries.map((library) => theirs[library][name]?.toFixed(5) ?? '');
    console.log(`| ${name} | ${metrics[name].mean.toFixed(5)} | ${values.join(' | ')} |`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
