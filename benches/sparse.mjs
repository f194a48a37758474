// What a density below 1 costs EASE^R, and what it saves: prints the tables of the README.
//
// node benches/sparse.mjs                       MovieLens-1M (if it lies beside this repository) and debian
// node benches/sparse.mjs 41k                   made-up data of 41,140 items; the dense model needs 6.4 GiB
// node benches/sparse.mjs 100k                  made-up data of 100,000 items
// node benches/sparse.mjs 41k 0.002,0.001       other densities; 1 is the dense model
//
// Accuracy on made-up data means nothing but in comparison with another row of the same table.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { estimateMemory, evaluate, fit, Interactions, Split, split } from '../dist/index.js';
import { numbers } from './numbers.mjs';

const METRIC = 'ndcg@100';
const MIB = 2 ** 20;
const SMALL = [1, 0.1, 0.05, 0.02, 0.01, 0.005];
const SETS = {
  'ml-1m': { lambda: 500, densities: SMALL, folder: '../shared/data/ml-1m-split' },
  debian: { lambda: 10, densities: SMALL, data: () => Interactions.dataset('debian') },
  '41k': {
    lambda: 50,
    densities: [0.01, 0.002, 0.001, 0.0005, 1],
    data: () => Interactions.synth({ like: 'msd', scale: 0.1 }),
  },
  '100k': { lambda: 50, densities: [0.002, 0.001, 0.0005], data: () => Interactions.fromHistories(madeUp()) },
};

/**
 * 100,000 users of 100,000 items, ten million pairs: two thirds from three of a thousand topics of 100 items, which are
 * the user's, the rest from all; some items are far more popular than others in either.
 */
function* madeUp() {
  const random = numbers(1);
  const draw = () => random.next().value;
  const N = 100_000;
  const TOPIC = 100;
  // Item `rank * 1000 + topic`: the first thousand are the most popular ones of their topics.
  for (let user = 0; user < N; user += 1) {
    const topics = [0, 1, 2].map(() => Math.floor((N / TOPIC) * draw()));
    const length = Math.round(-85 * Math.log(1 - draw()) + 20);
    const items = new Set();
    for (let tries = 0; items.size < length && tries < 4 * length; tries += 1) {
      const rank = Math.floor(TOPIC * draw() ** 2);
      const topic = draw() < 2 / 3 ? topics[Math.floor(3 * draw())] : Math.floor((N / TOPIC) * draw() ** 1.5);
      items.add(`i${rank * (N / TOPIC) + topic}`);
    }
    yield { user: `u${user}`, items: [...items] };
  }
}

const peak = () => Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;

/** Fits and evaluates, in a process of its own. */
async function one({ folder, lambda, density }) {
  const data = await Split.fromOfficial(folder);
  const options = { lambda, density };
  const { nUsers: users, nItems: items, nInteractions: interactions } = data.train;
  const estimate = estimateMemory('ease', { users, items, interactions, options });
  const [started, before] = [performance.now(), process.cpuUsage()];
  const model = await fit('ease', data, options);
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  const mib = peak();
  const { metrics } = await evaluate(model, data.test, { metrics: [METRIC] });
  const { mean, standardError } = metrics[METRIC];
  return {
    users,
    items,
    interactions,
    seconds,
    cpu: (user + system) / 1e6,
    mib,
    model: estimate.model / MIB,
    fit: estimate.fit / MIB,
    mean,
    standardError,
  };
}

function print(name, { lambda }, rows) {
  const { users, items, interactions } = rows[0];
  const dense = rows.find(({ density }) => density === 1);
  const n = (number) => number.toLocaleString('en');
  console.log(`\n${name}: ${n(users)} users, ${n(items)} items, ${n(interactions)} interactions, lambda ${lambda}\n`);
  console.log(
    '| density | weights per item | NDCG@100 | lost | seconds | CPU seconds | model MiB | fit MiB (estimate) | peak MiB of the process |',
  );
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- |');
  for (const { density, seconds, cpu, mib, model, fit, mean, standardError } of rows) {
    const share = density === 1 ? '1 (dense)' : String(density);
    const lost = dense ? (dense.mean - mean).toFixed(4) : '';
    const cells = [share, Math.round(density * items), `${mean.toFixed(4)} ± ${standardError.toFixed(4)}`, lost];
    cells.push(
      ...[seconds, cpu].map((time) => Number(time.toPrecision(2))),
      ...[model, fit, mib].map((number) => number.toFixed(number < 100 ? 1 : 0)),
    );
    console.log(`| ${cells.join(' | ')} |`);
  }
}

async function measure(name, densities) {
  const set = SETS[name];
  const made = set.folder ? undefined : mkdtempSync(join(tmpdir(), 'recvae-sparse-'));
  const folder = set.folder ?? join(made, 'split');
  try {
    if (made) await (await split(await set.data(), { seed: 1, validation: 0, test: 0.05 })).write(folder);
    const rows = [];
    for (const density of densities ?? set.densities) {
      const job = JSON.stringify({ folder, lambda: set.lambda, density });
      const found = execFileSync(process.execPath, [fileURLToPath(import.meta.url), '--one', job], {
        encoding: 'utf8',
      });
      rows.push({ density, ...JSON.parse(found) });
      process.stderr.write(`${name}, density ${density}: ${found}`);
    }
    print(name, set, rows);
  } finally {
    if (made) rmSync(made, { recursive: true });
  }
}

const [first, ...rest] = process.argv.slice(2);
if (first === '--one') {
  console.log(JSON.stringify(await one(JSON.parse(rest[0]))));
} else if (first !== undefined && !(first in SETS)) {
  console.error(`the set is '${first}'; allowed: ${Object.keys(SETS).join(', ')}`);
  process.exitCode = 2;
} else {
  for (const name of first === undefined ? ['ml-1m', 'debian'] : [first]) {
    if (SETS[name].folder && !existsSync(SETS[name].folder))
      console.log(`${name}: skipped, ${SETS[name].folder} is not there`);
    else await measure(name, rest[0]?.split(',').map(Number));
  }
}
