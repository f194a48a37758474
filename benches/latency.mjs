// One user at a time through the TypeScript API: node latency.mjs --file MODEL --like SET --scale S --seed N --calls N
import { parseArgs } from 'node:util';
import { Interactions, load } from '../dist/index.js';
import { median } from './statistics.mjs';

const names = ['file', 'like', 'scale', 'seed', 'calls'];
const options = Object.fromEntries(names.map((name) => [name, { type: 'string' }]));
const { values } = parseArgs({ options });
const [scale, seed, calls] = ['scale', 'seed', 'calls'].map((name) => Number(values[name]));

const model = await load(values.file);
const data = await Interactions.synth({ like: values.like, scale, seed });
const histories = data
  .userIds()
  .slice(0, calls)
  .map((user) => data.history(user));

// As many calls again as are counted would be a long warm-up; a tenth is past the compiler.
for (const history of histories.slice(0, histories.length / 10)) model.recommend(history, { k: 100 });
const milliseconds = histories.map((history) => {
  const start = performance.now();
  const { items } = model.recommend(history, { k: 100 });
  const end = performance.now();
  if (items.length !== 100) throw new Error(`a list of ${items.length} items`);
  return end - start;
});
const sorted = milliseconds.toSorted((a, b) => a - b);
const p99 = sorted[Math.ceil(0.99 * sorted.length) - 1];
console.log(JSON.stringify({ calls: histories.length, items: model.itemIds.length, median: median(sorted), p99 }));
