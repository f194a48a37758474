// Ends the process, or lets it end, while native work runs.
//
//   node test/workers/exit.mjs MILLISECONDS exit|worker
import { Worker } from 'node:worker_threads';
import { fit, Interactions } from '../../dist/index.js';

const [, , milliseconds, way] = process.argv;
const data = await Interactions.dataset('debian');
const fits = () => {
  for (const model of ['ease', 'mult-vae', 'recvae', 'ease']) fit(model, data, {}, { onProgress: () => {} });
};
if (way === 'exit') {
  fits();
  setTimeout(() => process.exit(7), Number(milliseconds));
} else {
  const source = `
    import(${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)}).then(async ({ fit, Interactions }) => {
      const data = await Interactions.dataset('debian');
      for (const model of ['ease', 'mult-vae']) fit(model, data);
      setTimeout(() => process.exit(), ${milliseconds});
    });`;
  const worker = new Worker(source, { eval: true });
  worker.on('exit', (code) => {
    process.exitCode = code + 7;
  });
}
