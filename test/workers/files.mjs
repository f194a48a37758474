// Three fits at once, which any machine begins, beside one thread of libuv's: files and names must not wait for them.
// Prints one line of JSON.
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { fit, Interactions } from '../../dist/index.js';

const debian = await Interactions.dataset('debian');
const users = debian.userIds().slice(0, 1000);
const data = await Interactions.fromHistories(users.map((user) => ({ user, items: debian.history(user) })));
let [begun, ended] = [0, 0];
const options = { epochs: 1000, patience: 1000, hiddenDim: 200 };
async function one() {
  let heard = false;
  await fit('mult-vae', data, options, {
    // The first that is told of need not be the first epoch.
    onProgress() {
      if (!heard) begun += 1;
      heard = true;
    },
  });
  ended += 1;
}
for (let n = 0; n < 3; n += 1) one();
while (begun < 3) await new Promise((resolve) => setTimeout(resolve, 5));
const started = performance.now();
const waits = [];
for (let n = 0; n < 20; n += 1) {
  const before = performance.now();
  await Promise.all([readFile(new URL(import.meta.url)), lookup('localhost')]);
  waits.push(performance.now() - before);
}
console.log(
  JSON.stringify({
    threads: process.env.UV_THREADPOOL_SIZE,
    reads: waits.length,
    begun,
    ended,
    milliseconds: performance.now() - started,
    longest: Math.max(...waits),
  }),
);
process.exit();
