// Rounds of loading, serving and disposing, of the same without disposing, of fits, and of calls that fail: resident
// memory must not grow. Ends with one line of JSON, and with exit code 1 if it does.
//
//   node --expose-gc test/soak/leak.mjs [ROUNDS]
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { evaluate, fit, Interactions, load, split } from '../../dist/index.js';

const ROUNDS = Number(process.argv[2] ?? 1000);
/** Rounds between two collections, at which memory is read. */
const EVERY = 20;
assert(ROUNDS >= 10 * EVERY, `${ROUNDS} rounds are too few; allowed: ${10 * EVERY} or more`);
const MiB = 2 ** 20;

const folder = mkdtempSync(join(tmpdir(), 'recvae-leak-'));
const debian = await Interactions.dataset('debian');
const ids = debian.userIds();
const histories = (n) => ids.slice(0, n).map((user) => ({ user, items: debian.history(user) }));
const large = await Interactions.fromHistories(histories(3000));
const small = await Interactions.fromHistories(histories(300));
const file = join(folder, 'ease.safetensors');
const first = await fit('ease', large, { lambda: 10 });
await first.save(file);
const asked = histories(20).map(({ items }) => items);
const answers = JSON.stringify(asked.map((items) => first.recommend(items)));
first.dispose();

/** Bytes of the model that is loaded in each round. glibc takes blocks of 32 MiB and more from the system one by one, and gives
    them back when they are freed; smaller ones it may keep. */
const modelMiB = (4 * large.nItems ** 2) / MiB;
assert(modelMiB > 32);
/** Half a model: one single model that stays is found. */
const ALLOWED = Math.floor(modelMiB / 2);
/**
 * Models that may wait for the garbage collector between two of our collections; there are {@link EVERY} rounds between
 * them.
 */
const WAITING = 8;

async function serve(round) {
  const model = await load(file);
  if (round % 2) assert.equal(JSON.stringify(asked.map((items) => model.recommend(items))), answers);
  else assert.equal(JSON.stringify(await model.recommendBatch(asked)), answers);
  return model;
}

const broken = join(folder, 'broken.safetensors');
writeFileSync(broken, 'no model');
const gone = await fit('popularity', small);
gone.dispose();
/** Two items that the same users have: in f32 the factorisation fails. */
const twice = Array.from({ length: 2500 }, (_, user) => [`u${user}`, `u${user}`]).flat();
const singular = Interactions.fromColumns({ users: twice, items: twice.map((_, row) => (row % 2 ? 'a' : 'b')) });
async function* failing() {
  yield* histories(100);
  throw new Error('the cursor is gone');
}
/** Calls that fail early, in the middle and late. */
const failures = [
  () => load(join(folder, 'none')),
  () => load(broken),
  () => fit('ease', small, { lambda: -1 }),
  () => fit('ease', singular, { lambda: 1e-9 }),
  () => fit('popularity', small, {}, { threads: 5000 }),
  async () => gone.recommend(asked[0]),
  () => gone.recommendBatch(asked),
  () => Interactions.fromHistories(failing()),
  () =>
    Interactions.fromBatches([
      { users: ['u'], items: ['i'] },
      { users: ['u'], items: [] },
    ]),
  () => Interactions.fromArrow(Buffer.from('no stream')),
  () => split(small, { test: 1000 }),
];

/** The fifth tenth of a phase is compared with its last one; before it, memory finds its level. Fits need three times the rounds
    for that: each has new threads, and glibc gives each of them one of 8 arenas per core, which fill one by one. */
const phases = {
  async dispose(round) {
    (await serve(round)).dispose();
  },
  async garbage(round) {
    await serve(round);
  },
  async fit(round) {
    const options = round % 2 ? ['ease', { lambda: 10 }] : ['mult-vae', { epochs: 1, hiddenDim: 32, latentDim: 8 }];
    const data = await split(small, { seed: round });
    const model = await fit(options[0], data, options[1], { onProgress: () => {} });
    await evaluate(model, data.test);
    if (round % 3) for (const object of [model, data]) object.dispose();
  },
  async fail() {
    const results = await Promise.allSettled(failures.map((call) => call()));
    for (const [at, { status }] of results.entries()) assert.equal(status, 'rejected', `${failures[at]}`);
  },
};

/** Collects the garbage, lets the finalisers of native objects run, and reads resident memory. */
async function resident() {
  globalThis.gc();
  await setImmediate();
  await setImmediate();
  return process.memoryUsage.rss() / MiB;
}
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

let [ok, wrong] = [true, 0];
const figures = {};
const started = performance.now();
for (const [name, work] of Object.entries(phases)) {
  const [early, late] = [[], []];
  let peak = 0;
  const rounds = name === 'fit' ? 3 * ROUNDS : ROUNDS;
  const settled = 0.4 * rounds;
  for (let round = 0; round < rounds; round += 1) {
    try {
      await work(round);
    } catch (error) {
      wrong += 1;
      console.error(error);
    }
    // In between, V8 has to see for itself that it is time to collect.
    if (round >= settled) peak = Math.max(peak, process.memoryUsage.rss() / MiB);
    if (round % EVERY !== EVERY - 1) continue;
    const now = await resident();
    if (round >= settled && round < 0.5 * rounds) early.push(now);
    if (round >= 0.9 * rounds) late.push(now);
  }
  const [before, after] = [median(early), median(late)].map(Math.round);
  figures[name] = { before, after, peak: Math.round(peak) };
  ok &&= after - before <= ALLOWED && peak - before <= WAITING * modelMiB;
  console.error(
    `${name}: ${before} MiB after ${0.5 * rounds} rounds, ${after} MiB after ${rounds}, peak ${Math.round(peak)}`,
  );
}
ok &&= wrong === 0;
rmSync(folder, { recursive: true, force: true });
const seconds = Math.round((performance.now() - started) / 1000);
const modelSize = Number(modelMiB.toFixed(1));
console.log(
  JSON.stringify({
    soak: 'leak',
    rounds: ROUNDS,
    seconds,
    modelMiB: modelSize,
    allowedMiB: ALLOWED,
    wrong,
    ...figures,
    ok,
  }),
);
process.exitCode = ok ? 0 : 1;
