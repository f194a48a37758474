// One-user requests a second from one worker thread and from two at once, in turns:
//   node serve-scaling.mjs --file MODEL --like SET --scale S --seed N --seconds N --turns N
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Interactions, load } from '../dist/index.js';

/** Histories that a thread goes through, over and over. */
const HISTORIES = 1000;

async function serve({ file, like, scale, seed }) {
  const model = await load(file, { mmap: true });
  const data = await Interactions.synth({ like, scale, seed });
  const users = data.userIds().slice(0, HISTORIES);
  const histories = users.map((user) => data.history(user));
  for (const history of histories.slice(0, HISTORIES / 10)) model.recommend(history, { k: 100 });
  parentPort.postMessage('ready');
  parentPort.on('message', (seconds) => {
    const start = performance.now();
    let requests = 0;
    while (performance.now() - start < 1000 * seconds) {
      model.recommend(histories[requests % histories.length], { k: 100 });
      requests += 1;
    }
    parentPort.postMessage(requests / ((performance.now() - start) / 1000));
  });
}

async function measure() {
  const names = ['file', 'like', 'scale', 'seed', 'seconds', 'turns'];
  const { values } = parseArgs({ options: Object.fromEntries(names.map((name) => [name, { type: 'string' }])) });
  const [scale, seed, seconds, turns] = ['scale', 'seed', 'seconds', 'turns'].map((name) => Number(values[name]));
  const given = { file: values.file, like: values.like, scale, seed };
  const workers = [0, 1].map(() => new Worker(fileURLToPath(import.meta.url), { workerData: given }));
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const rate = async (some) => {
    const rates = some.map((worker) => once(worker, 'message'));
    for (const worker of some) worker.postMessage(seconds);
    return (await Promise.all(rates)).reduce((sum, [one]) => sum + one, 0);
  };
  const [one, two] = [[], []];
  for (let turn = 0; turn < turns; turn += 1) {
    // Each of them alone in its turn, for cores differ.
    one.push(await rate([workers[turn % 2]]));
    two.push(await rate(workers));
  }
  console.log(JSON.stringify({ one, two }));
  await Promise.all(workers.map((worker) => worker.terminate()));
}

await (isMainThread ? measure() : serve(workerData));
