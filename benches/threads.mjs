// Threads of the process beyond those that it has before it makes a call, at most, while many calls are at work at
// once:
//   node threads.mjs --calls N
// They are counted in /proc/self/task, as often as the event loop comes to it.
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { evaluate, fit, Interactions, split } from '../dist/index.js';

const { values } = parseArgs({ options: { calls: { type: 'string' } } });
const calls = Number(values.calls);

const count = () => readdirSync('/proc/self/task').length;

// libuv starts its four threads with the first file, and they stay.
await Promise.all(Array.from({ length: 8 }, () => readFile(new URL(import.meta.url))));
const before = count();
const data = await Interactions.dataset('debian');
const parts = await split(data, { seed: 1 });
const model = await fit('ease', parts);
const histories = data
  .userIds()
  .slice(0, 2000)
  .map((user) => data.history(user));
const work = [
  () => model.recommendBatch(histories),
  () => model.recommendColumns(histories.slice(0, 1)),
  () => evaluate(model, parts.test),
  () => fit('mult-dae', parts, { epochs: 1, latentDim: 8 }),
  () => Interactions.dataset('debian'),
];
let most = 0;
const look = () => {
  most = Math.max(most, count() - before);
};
const timer = setInterval(look, 1);
const answered = (call) => call().finally(look);
await Promise.all(Array.from({ length: calls }, (_, n) => answered(work[n % work.length])));
clearInterval(timer);
console.log(JSON.stringify({ calls, cores: availableParallelism(), before, most }));
