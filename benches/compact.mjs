// What pruning and half precision cost and save: prints the table of the README.
//
// node benches/compact.mjs [FOLDER]   a split in the official layout; by default MovieLens-1M beside this repository
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { evaluate, fit, load, Split } from '../dist/index.js';

const TOPS = [10, 50, 100, 200, undefined];
const PRECISIONS = ['f32', 'f16'];
const METRIC = 'ndcg@100';
const ROUNDS = 25;

const split = await Split.fromOfficial(process.argv[2] ?? '../shared/data/ml-1m-split');
const folder = mkdtempSync(join(tmpdir(), 'recvae-compact-'));
try {
  const model = await fit('ease', split);
  const rows = [];
  for (const topPerItem of TOPS) {
    for (const precision of PRECISIONS) {
      const path = join(folder, 'model');
      await model.save(path, { topPerItem, precision });
      rows.push({ topPerItem, precision, bytes: statSync(path).size, loaded: await load(path), seconds: [] });
    }
  }
  // In turns, and the fastest round of each counts: what else the machine does only makes others slower.
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const row of rows) {
      const started = performance.now();
      const { metrics, users } = await evaluate(row.loaded, split.test, { metrics: [METRIC] });
      if (round > 0) row.seconds.push((performance.now() - started) / 1000); // the first one brings the file in
      row.users = users.length;
      row.mean = metrics[METRIC].mean;
    }
  }
  const full = rows.find(({ topPerItem, precision }) => topPerItem === undefined && precision === 'f32');
  console.log('| weights per item | precision | MiB | of full | NDCG@100 | lost | users/s |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const { topPerItem, precision, bytes, mean, users, seconds } of rows) {
    const share = `${((100 * bytes) / full.bytes).toFixed(1)} %`;
    const cells = [topPerItem ?? `all ${model.itemIds.length}`, precision, (bytes / 2 ** 20).toFixed(2), share];
    cells.push(mean.toFixed(4), (full.mean - mean).toFixed(4), Number((users / Math.min(...seconds)).toPrecision(2)));
    console.log(`| ${cells.join(' | ')} |`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
