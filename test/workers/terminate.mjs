// Terminates workers in the middle of native work, and says that the process still serves and that their work has
// ended.
//
//   node test/workers/terminate.mjs INPUT.json
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { load } from '../../dist/index.js';
import { ourThreads } from './our-threads.mjs';

const ROUNDS = 5;
const workerData = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const history = workerData.histories[0];
const model = await load(workerData.path);
const expected = model.recommend(history);
for (let round = 0; round < ROUNDS; round += 1) {
  const workers = [1, 2].map(() => new Worker(new URL('worker.mjs', import.meta.url), { workerData }));
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  await setTimeout(round * 5);
  await Promise.all(workers.map((worker) => worker.terminate()));
  assert.deepEqual(model.recommend(history), expected);
  assert.deepEqual(await model.recommendBatch([history]), [expected]);
}
// The fits of a million epochs have been told to stop.
while (process.platform === 'linux' && ourThreads().length > 0) await setTimeout(20);
console.log(`served after each of ${ROUNDS} rounds, no thread is left`);
