// Ends with code 0, or it does not.
//
//   node test/workers/ends.mjs done|waiting|worker
import { Worker } from 'node:worker_threads';

const library = new URL('../../dist/index.js', import.meta.url).href;
const way = process.argv[2];

// Fifty fits are more than may be at work at once.
if (way === 'done') {
  const { fit, Interactions } = await import(library);
  const data = await Interactions.dataset('debian');
  const model = await fit('popularity', data);
  await Promise.all(Array.from({ length: 50 }, () => model.recommendBatch([[]])));
} else if (way === 'waiting') {
  const { fit, Interactions } = await import(library);
  const data = await Interactions.dataset('debian');
  for (let n = 0; n < 50; n += 1) fit('mult-vae', data);
  setTimeout(() => process.exit(0), 20);
} else {
  // The add-on is loaded in the worker alone, and its threads outlive it.
  const source = `import(${JSON.stringify(library)}).then(async ({ fit, Interactions }) => {
    const data = await Interactions.dataset('debian');
    for (let n = 0; n < 50; n += 1) fit('mult-vae', data);
    require('node:worker_threads').parentPort.postMessage('begun');
  });`;
  const worker = new Worker(source, { eval: true });
  worker.once('message', () => worker.terminate());
}
