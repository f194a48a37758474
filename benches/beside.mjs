// How long a request of one user takes beside fits in the same process, on the built-in data: EASE^R's 100 best items.
//   node benches/beside.mjs [REQUESTS]
// One line of Markdown for each way to ask and number of fits. Another add-on is measured with RECVAE_BINARY.
import { setTimeout } from 'node:timers/promises';
import { fit, Interactions } from '../dist/index.js';
import { figure, median } from './statistics.mjs';

const REQUESTS = Number(process.argv[2] ?? 400);
const data = await Interactions.dataset('debian');
const model = await fit('ease', data);
const histories = data
  .userIds()
  .slice(0, 2000)
  .map((user) => data.history(user));
const ASK = {
  recommend: (history) => model.recommend(history, { k: 100 }),
  recommendBatch: (history) => model.recommendBatch([history], { k: 100 }),
};

/** Fits that go on until the signal is aborted, once all of them are at work. */
async function fits(n, signal) {
  const begun = Array.from({ length: n }, () => {
    const { promise, resolve, reject } = deferred();
    const run = { signal, onProgress: () => resolve() };
    fit('mult-vae', data, { epochs: 1e6, patience: 1e6 }, run).catch(reject);
    return promise;
  });
  await Promise.all(begun);
}

/** Node 20 has no `Promise.withResolvers`. */
function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

console.log('| asked with | fits | median ms | 99th percentile ms |\n| --- | --- | --- | --- |');
for (const n of [0, 1, 3]) {
  const controller = new AbortController();
  await fits(n, controller.signal);
  for (const [way, ask] of Object.entries(ASK)) {
    const milliseconds = [];
    for (let request = 0; request < 1.2 * REQUESTS; request += 1) {
      const start = performance.now();
      await ask(histories[request % histories.length]);
      // The first sixth is past the compiler.
      if (request >= 0.2 * REQUESTS) milliseconds.push(performance.now() - start);
      if (request % 4 === 0) await setTimeout(1);
    }
    const p99 = milliseconds.toSorted((a, b) => a - b)[Math.ceil(0.99 * milliseconds.length) - 1];
    console.log(`| \`${way}\` | ${n} | ${figure(median(milliseconds))} | ${figure(p99)} |`);
  }
  controller.abort();
  await setTimeout(500);
}
