// Spark's counts and recommendations, compared with those of this machine: bytes, rows, seconds, memory of an executor.
//
// node benches/spark.mjs INPUT --master spark://HOST:PORT [-k N] [--only gram|recommend] [-- FLAGS OF SPARK-SUBMIT]
//
// INPUT: debian, or a file of rows with the columns user and item, such as `recvae synth` makes. docs/beyond.md starts a master and two
// workers. Linux only: memory is read from /proc, of the processes of this machine, each page shared by two counts half for each.
import { spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import { EaseCounts, fit, Interactions } from '../dist/index.js';

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const OPTIONS = { lambda: 200 };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { master: { type: 'string' }, k: { type: 'string', short: 'k', default: '20' }, only: { type: 'string' } },
});
const [input = 'debian', ...flags] = positionals;
if (values.master === undefined) throw new Error('--master is missing: the URL of a Spark');
const folder = mkdtempSync(join(tmpdir(), 'recvae-spark-'));
const rows = [];

/** Peak MiB of an executor with its Python and recvae processes, and of the largest recvae process alone. */
const peaks = { executor: 0, recvae: 0 };

/** Looks at the processes of executors. */
function look() {
  const processes = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const [, parent] = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (/CoarseGrainedExecutorBackend|pyspark|cli\.js/.test(command)) processes.set(pid, { parent, command });
    } catch {} // it has just ended
  }
  const memory = (pid) => {
    try {
      return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1024;
    } catch {
      return 0;
    }
  };
  for (const [pid, { command }] of processes) {
    if (!/^\S*java.*CoarseGrainedExecutorBackend/.test(command.split('\0')[0] + command)) continue;
    let [family, sum] = [[pid], 0];
    while (family.length > 0) {
      for (const one of family) {
        const own = memory(one);
        sum += own;
        if (processes.get(one).command.includes('cli.js')) peaks.recvae = Math.max(peaks.recvae, own);
      }
      family = [...processes].filter(([, { parent }]) => family.includes(parent)).map(([pid]) => pid);
    }
    peaks.executor = Math.max(peaks.executor, sum);
  }
}

/** Runs the command line to its end: seconds. */
async function recvae(...args) {
  const started = performance.now();
  const child = spawn(process.execPath, [CLI, ...args], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const watch = setInterval(look, 200);
  const code = await new Promise((done) => child.once('close', done));
  clearInterval(watch);
  if (code !== 0) throw new Error(said.slice(-4000));
  return (performance.now() - started) / 1000;
}

/** Runs a job of Spark: seconds with the start of the driver, and peaks in MiB. */
async function spark(...args) {
  Object.assign(peaks, { executor: 0, recvae: 0 });
  const seconds = await recvae('spark', ...args, '--master', values.master, '--', ...flags);
  const { executor, recvae: command } = peaks;
  return [
    seconds,
    `${executor.toFixed(0)} MiB an executor with all that it starts, of them recvae ${command.toFixed(0)}`,
  ];
}

function tell(what, isEqual, seconds, more = '') {
  const verdict = isEqual === undefined ? '' : isEqual ? 'equal' : 'OTHER';
  rows.push(`| ${what} | ${verdict} | ${seconds.toFixed(1)} | ${more} |`);
  if (isEqual === false) process.exitCode = 1;
}

async function modelBytes(model) {
  await model.save(join(folder, 'compared'), { trainingRecord: false });
  return readFileSync(join(folder, 'compared'));
}

/** The rows in the order of the bytes of the items' ids, in which Spark numbers them. */
async function writeRows(path) {
  const data = input === 'debian' ? await Interactions.dataset('debian') : await Interactions.fromFile(resolve(input));
  const all = data.userIds().flatMap((user) => data.history(user).map((item) => [user, item]));
  const place = new Map(data.itemIds().map((id) => [id, Buffer.from(id)]));
  all.sort(([, a], [, b]) => Buffer.compare(place.get(a), place.get(b)));
  data.dispose();
  writeFileSync(path, 'user,item\n');
  for (let at = 0; at < all.length; at += 100_000) {
    appendFileSync(
      path,
      all
        .slice(at, at + 100_000)
        .map(([user, item]) => `${user},${item}\n`)
        .join(''),
    );
  }
}

// Users may be more than a sort by JavaScript holds; their lists ask for no order.
const path = values.only === 'recommend' ? resolve(input) : join(folder, 'rows.csv');
if (values.only !== 'recommend') await writeRows(path);
const data = await Interactions.fromFile(path);
const { nUsers, nItems, nInteractions } = data;

if (values.only !== 'recommend') {
  const started = performance.now();
  const counts = await EaseCounts.count(data);
  tell('counts on this machine, from memory', undefined, (performance.now() - started) / 1000);
  const [seconds, memory] = await spark('gram', path, '--out', 'gram');
  const taking = performance.now();
  const theirs = await EaseCounts.fromGram(join(folder, 'gram'));
  const taken = (performance.now() - taking) / 1000;
  tell('Gram matrix by Spark', undefined, seconds, memory);
  tell(
    'taking it; model',
    (await modelBytes(await theirs.fit(OPTIONS))).equals(await modelBytes(await counts.fit(OPTIONS))),
    taken,
  );
  rmSync(join(folder, 'gram'), { recursive: true });
}

if (values.only !== 'gram') {
  await (await fit('ease', data, OPTIONS)).save(join(folder, 'ease'));
  data.dispose();
  const local = await recvae('recommend', 'ease', '--history', path, '-k', values.k, '--out', 'one.ndjson');
  tell('recommendations on this machine', undefined, local, `${nUsers} users`);
  const [seconds, memory] = await spark(
    'recommend',
    join(folder, 'ease'),
    '--history',
    path,
    '-k',
    values.k,
    '--out',
    'lists',
  );
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  const found = await connection.runAndReadAll(`
    SELECT count(l.user) AS ours, count(s.user) AS theirs, count(*) AS n,
      count(*) FILTER (l.items IS DISTINCT FROM s.items OR l.scores IS DISTINCT FROM s.scores) AS other
    FROM read_json('${folder}/one.ndjson', columns = {user: 'VARCHAR', items: 'VARCHAR[]', scores: 'FLOAT[]'}) AS l
    FULL JOIN read_parquet('${folder}/lists/*.parquet') AS s ON l.user = s.user`);
  const [{ ours, theirs, n, other }] = found
    .getRowObjectsJson()
    .map((row) => Object.fromEntries(Object.entries(row).map(([name, count]) => [name, Number(count)])));
  const isEqual = ours === nUsers && theirs === nUsers && n === nUsers && other === 0;
  tell('the same by Spark, row by row', isEqual, seconds, `${(seconds / local).toFixed(2)} times; ${memory}`);
}

console.log(`${input}: ${nUsers} users, ${nItems} items, ${nInteractions} interactions\n`);
console.log('| what | | seconds | |\n| --- | --- | --- | --- |');
console.log(rows.join('\n'));
rmSync(folder, { recursive: true });
