// What a request through a blend of EASE^R and RecVAE takes beside its parts, and the sizes of the files, at the
// catalogue of ML-20M:
//   node benches/blend.mjs [scale of the users, .01 to 1]
// Data are made up, so accuracy means nothing here and weights are given. Requests go round the three models, so that a
// busy machine slows all of them alike; what counts is the median of the ratios.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fit, Interactions, split, writeSynth } from '../dist/index.js';

const [scale = 0.1] = process.argv.slice(2).map(Number);
const folder = mkdtempSync(join(tmpdir(), 'recvae-blend-'));
try {
  const path = join(folder, 'likes.csv');
  await writeSynth(path, { like: 'ml-20m', scale, seed: 1 });
  const data = await split(await Interactions.fromFile(path), { seed: 1 });
  const ease = await fit('ease', data);
  const recvae = await fit('recvae', data, { epochs: 1 });
  const models = { ease, recvae };
  for (const scale of ['z-score', 'rank']) {
    models[scale] = await fit('blend', data, { parts: [ease, recvae], weights: [0.3, 0.7], scale });
  }
  const sizes = {};
  for (const [name, model] of Object.entries(models)) {
    const file = join(folder, `${name}.safetensors`);
    await model.save(file);
    sizes[name] = statSync(file).size;
  }
  const histories = data.test
    .userIds()
    .slice(0, 200)
    .map((user) => data.test.input(user));
  const times = Object.fromEntries(Object.keys(models).map((name) => [name, []]));
  for (const history of [...histories.slice(0, 20), ...histories]) {
    for (const [name, model] of Object.entries(models)) {
      const started = performance.now();
      model.recommend(history, { k: 100 });
      times[name].push(1000 * (performance.now() - started));
    }
  }
  const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  // The first ones bring the parameters in.
  const rest = (name) => times[name].slice(20);
  const ratio = (name) => median(rest(name).map((time, at) => time / (times.ease[20 + at] + times.recvae[20 + at])));
  const ratios = Object.fromEntries(['z-score', 'rank'].map((name) => [name, ratio(name)]));
  const medians = Object.fromEntries(Object.keys(models).map((name) => [name, Math.round(median(rest(name)))]));
  console.log(`${data.train.nItems} items, ${histories.length} requests of 100 items`);
  for (const name of Object.keys(models)) {
    const more = ratios[name] === undefined ? '' : `, ${ratios[name].toFixed(3)} of the parts together`;
    console.log(`${name}: ${medians[name]} microseconds${more}; ${sizes[name]} bytes`);
  }
  console.log(`file: ${(sizes['z-score'] / (sizes.ease + sizes.recvae)).toFixed(4)} of the parts together`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
