// Threads of the process beyond those of Node, at most, while a hundred calls are at work at once:
//   node threads.mjs --calls N
// Counted in /proc/self/task by their names, a thousand times a second.
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { evaluate, fit, Interactions, split } from '../dist/index.js';

const { values } = parseArgs({ options: { calls: { type: 'string' } } });
const calls = Number(values.calls);

/** Node gives its threads no names that begin so; whoever starts threads within this package does. */
function ours() {
  const names = readdirSync('/proc/self/task').map((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, 'utf8');
    } catch {
      return ''; // it has ended meanwhile
    }
  });
  return { ours: names.filter((name) => name.startsWith('recvae')).length, all: names.length };
}

const data = await Interactions.dataset('debian');
const parts = await split(data, { seed: 1 });
const model = await fit('ease', parts);
const histories = data
  .userIds()
  .slice(0, 2000)
  .map((user) => data.history(user));
// Files are read by threads of libuv's, which stay.
const before = ours();
const work = [
  () => model.recommendBatch(histories),
  () => model.recommendColumns(histories.slice(0, 1)),
  () => evaluate(model, parts.test),
  () => fit('mult-dae', parts, { epochs: 1, latentDim: 8 }),
  () => Interactions.dataset('debian'),
];
let most = { ours: 0, all: 0 };
const timer = setInterval(() => {
  const now = ours();
  most = { ours: Math.max(most.ours, now.ours), all: Math.max(most.all, now.all) };
}, 1);
await Promise.all(Array.from({ length: calls }, (_, n) => work[n % work.length]()));
clearInterval(timer);
console.log(JSON.stringify({ calls, cores: availableParallelism(), before, most, beyond: most.ours }));
