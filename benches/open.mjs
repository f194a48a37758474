// How long a model file takes to open, mapped, verified and read, and what processes that map it hold together.
//
// node benches/open.mjs FILE a large one: cargo bench --bench ours --features bench -- model --model ease --like ml-20m
// --out FILE
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { load } from '../dist/index.js';

const WAYS = [{}, { verify: true }, { mmap: false }];
const ROUNDS = 5;
const REQUESTS = 50;
const [file, way, wait] = process.argv.slice(2);

/** MiB of physical memory that this process holds; what n processes share counts one n-th in `Pss`. */
function memory() {
  const text = readFileSync('/proc/self/smaps_rollup', 'utf8');
  return ['Rss', 'Pss'].map((name) => Math.round(Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(text)[1]) / 1024));
}

/** Opens the file in a process of its own. */
async function open(way, wait = 0) {
  const { stdout } = await promisify(execFile)(process.execPath, [
    fileURLToPath(import.meta.url),
    file,
    JSON.stringify(way),
    String(wait),
  ]);
  return JSON.parse(stdout);
}

if (way === undefined) {
  console.log('| load(file, …) | opens in ms | median ms a request |');
  console.log('| --- | --- | --- |');
  for (const way of WAYS) {
    const found = [];
    for (let round = 0; round < ROUNDS; round += 1) found.push(await open(way));
    const [opens, requests] = ['opens', 'request'].map((name) => found.map((one) => one[name]).sort((a, b) => a - b));
    const middle = (ROUNDS - 1) / 2;
    const range = `${opens[middle].toFixed(0)} (${opens[0].toFixed(0)} to ${opens.at(-1).toFixed(0)})`;
    console.log(`| ${JSON.stringify(way)} | ${range} | ${requests[middle].toFixed(2)} |`);
  }
  const together = await Promise.all([1, 2, 3].map(() => open({}, 5000)));
  const [rss, pss] = ['rss', 'pss'].map((name) => together.map((one) => one[name]));
  const sum = pss.reduce((a, b) => a + b);
  console.log(`\nthree processes that map it: ${rss.join(', ')} MiB each, ${sum} MiB together`);
} else {
  const started = performance.now();
  const model = await load(file, JSON.parse(way));
  const opens = performance.now() - started;
  const seconds = Array.from({ length: REQUESTS }, (_, at) => {
    const history = model.itemIds.filter((_, item) => item % Math.ceil(model.itemIds.length / 100) === at);
    const from = performance.now();
    model.recommend(history, { k: 100 });
    return performance.now() - from;
  });
  // Until all have asked, and until all have looked.
  await setTimeout(Number(wait));
  const [rss, pss] = memory();
  await setTimeout(Number(wait));
  const request = seconds.sort((a, b) => a - b)[REQUESTS / 2];
  console.log(JSON.stringify({ opens, request, rss, pss }));
}
