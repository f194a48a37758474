// A million users through recommendStream and its stream form, which take turns: users per second and peak memory.
// Ends with one line of JSON, and with exit code 1 if a result is missing or out of order, or memory grows on the way.
//
//   node test/soak/stream.mjs [USERS]
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fit, Interactions } from '../../dist/index.js';

const USERS = Number(process.argv[2] ?? 1_000_000);
const K = 10;
/** Part of the users after which memory has found its level, and how far it may still grow, in MiB. */
const SETTLED = 0.2;
const ALLOWED = 64;

const data = await Interactions.dataset('debian');
const model = await fit('ease', data, { lambda: 10 });
const histories = data.userIds().map((user) => data.history(user));

function* users(from, to) {
  for (let n = from; n < to; n += 1) yield { user: `user ${n}`, items: histories[n % histories.length] };
}

let [next, wrong, settled] = [0, 0, 0];
const peakMiB = () => Math.round(process.resourceUsage().maxRSS / 1024);
function take({ user, items, unknown }) {
  if (user !== `user ${next}` || items.length !== K || unknown.length !== 0) wrong += 1;
  next += 1;
  if (next === SETTLED * USERS) settled = peakMiB();
  if (next % 100_000 === 0) console.error(`${next} users, peak ${peakMiB()} MiB`);
}

const started = performance.now();
const half = Math.floor(USERS / 2);
for await (const result of model.recommendStream(users(0, half), { k: K })) take(result);
const sink = new Writable({
  objectMode: true,
  write(result, _, done) {
    take(result);
    done();
  },
});
await pipeline(users(half, USERS), model.recommendTransform({ k: K }), sink);
const seconds = (performance.now() - started) / 1000;

const growthMiB = peakMiB() - settled;
const ok = next === USERS && wrong === 0 && growthMiB <= ALLOWED;
console.log(
  JSON.stringify({
    soak: 'stream',
    users: next,
    wrong,
    seconds: Number(seconds.toFixed(1)),
    usersPerSecond: Math.round(next / seconds),
    peakMiB: peakMiB(),
    growthMiB,
    ok,
  }),
);
process.exitCode = ok ? 0 : 1;
