// What test/workers.test.ts runs in worker threads.
import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { fit, Interactions, load } from '../../dist/index.js';

const { task, path, columns, histories } = workerData;

/** Loads, serves and trains, and says what came out. */
async function work() {
  const model = await load(path);
  const answers = [histories.map((items) => model.recommend(items)), await model.recommendBatch(histories)];
  const data = Interactions.fromColumns(columns);
  const epochs = [];
  const fitted = await fit(
    'mult-vae',
    data,
    { epochs: 3, hiddenDim: 16, latentDim: 4 },
    {
      onProgress: ({ epoch }) => epochs.push(epoch),
    },
  );
  answers.push(await fitted.recommendBatch(histories));
  model.dispose();
  parentPort.postMessage({ answers: JSON.stringify(answers), epochs });
}

/** Keeps every kind of native work going until it is terminated; says once that it has begun. */
async function forever() {
  const data = Interactions.fromColumns(columns);
  const serving = await load(path);
  const keep = async (call) => {
    for (;;) await Promise.all([call(), setImmediate()]);
  };
  const options = { epochs: 1_000_000, patience: 1_000_000, hiddenDim: 16, latentDim: 4 };
  const begun = new Promise((resolve) => {
    fit('mult-vae', data, options, { onProgress: resolve });
  });
  fit('recvae', data, options);
  keep(() => load(path));
  keep(() => serving.recommendBatch(histories));
  keep(async () => serving.recommend(histories[0]));
  keep(() => fit('ease', data, { lambda: 10 }));
  await begun;
  parentPort.postMessage('begun');
}

await { work, forever }[task]();
