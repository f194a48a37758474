// Spark's counts and recommendations, compared with those of this machine: bytes, rows, seconds, memory of an executor.
//
// node benches/spark.mjs INPUT --master spark://HOST:PORT [-k N] [--only gram|recommend|als|join,…] [-- FLAGS OF
// SPARK-SUBMIT]
//
// INPUT: debian, or a file of rows with the columns user and item, such as `recvae synth` makes. als and join are what
// Spark does without recvae, its own ALS and a self-join, run where they are asked for: peers/spark_peers.py.
// docs/beyond.md starts a master and two workers. Linux only: memory is read from /proc, of the processes of this
// machine, each page shared by two counts half for each.
import { spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import { EaseCounts, fit, Interactions } from '../dist/index.js';

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const PEERS = fileURLToPath(new URL('peers/spark_peers.py', import.meta.url));
/** Milliseconds between two looks: one takes a tenth of a second where executors have gigabytes. */
const WATCH = 5000;
const OPTIONS = { lambda: 200 };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    master: { type: 'string' },
    k: { type: 'string', short: 'k', default: '20' },
    only: { type: 'string', default: 'gram,recommend' },
  },
});
const [input = 'debian', ...flags] = positionals;
if (values.master === undefined) throw new Error('--master is missing: the URL of a Spark');
if (/als|join/.test(values.only) && !process.env.SPARK_HOME) throw new Error('SPARK_HOME is missing, for als and join');
const asked = new Set(values.only.split(','));
const folder = mkdtempSync(join(tmpdir(), 'recvae-spark-'));

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

/** Runs a program to its end, and watches executors: seconds. */
async function run(program, args) {
  const started = performance.now();
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const watch = setInterval(look, WATCH);
  const code = await new Promise((done) => child.once('close', done));
  clearInterval(watch);
  if (code !== 0) throw new Error(said.slice(-4000));
  return (performance.now() - started) / 1000;
}

const recvae = (...args) => run(process.execPath, [CLI, ...args]);

/** Seconds of a job of Spark with the start of the driver, and peaks in MiB. */
async function watched(job) {
  Object.assign(peaks, { executor: 0, recvae: 0 });
  const seconds = await job();
  const { executor, recvae: command } = peaks;
  const share = command > 0 ? `, of them recvae ${command.toFixed(0)}` : '';
  return [seconds, `${executor.toFixed(0)} MiB an executor with all that it starts${share}`];
}

const spark = (...args) => watched(() => recvae('spark', ...args, '--master', values.master, '--', ...flags));

/** A job of Spark without recvae. */
const peer = (what, path) =>
  watched(() =>
    run(join(process.env.SPARK_HOME, 'bin/spark-submit'), ['--master', values.master, ...flags, PEERS, what, path]),
  );

function tell(what, isEqual, seconds, more = '') {
  const verdict = isEqual === undefined ? '' : isEqual ? 'equal' : 'OTHER';
  console.log(`| ${what} | ${verdict} | ${seconds.toFixed(1)} | ${more} |`);
  if (isEqual === false) process.exitCode = 1;
}

async function modelBytes(model) {
  await model.save(join(folder, 'compared'), { trainingRecord: false });
  model.dispose();
  return readFileSync(join(folder, 'compared'));
}

/** The rows in the order of the bytes of the items' ids, in which Spark numbers them, as DuckDB sorts texts. */
async function writeRows(path) {
  let unsorted = resolve(input);
  if (input === 'debian') {
    unsorted = join(folder, 'unsorted.csv');
    const data = await Interactions.dataset('debian');
    writeFileSync(unsorted, 'user,item\n');
    for (const user of data.userIds())
      appendFileSync(
        unsorted,
        data
          .history(user)
          .map((item) => `${user},${item}\n`)
          .join(''),
      );
    data.dispose();
  }
  const connection = await (await DuckDBInstance.create()).connect();
  await connection.run(
    `COPY (SELECT "user", item FROM read_csv('${unsorted}', all_varchar = true) ORDER BY item, "user") TO '${path}' (HEADER)`,
  );
  connection.closeSync();
}

// Users may be more than a sort holds; their lists ask for no order.
const path = asked.has('gram') ? join(folder, 'rows.csv') : resolve(input);
if (asked.has('gram')) await writeRows(path);
const data = await Interactions.fromFile(path);
const { nUsers, nItems, nInteractions } = data;
console.log(`${input}: ${nUsers} users, ${nItems} items, ${nInteractions} interactions\n`);
console.log('| what | | seconds | |\n| --- | --- | --- | --- |');

if (asked.has('gram')) {
  const started = performance.now();
  const counts = await EaseCounts.count(data);
  tell('counts on this machine, from memory', undefined, (performance.now() - started) / 1000);
  const [seconds, memory] = await spark('gram', path, '--out', 'gram');
  const taking = performance.now();
  const theirs = await EaseCounts.fromGram(join(folder, 'gram'));
  const taken = (performance.now() - taking) / 1000;
  tell('Gram matrix by Spark', undefined, seconds, memory);
  const isEqual = (await modelBytes(await theirs.fit(OPTIONS))).equals(await modelBytes(await counts.fit(OPTIONS)));
  tell('taking it; model', isEqual, taken);
  for (const it of [counts, theirs]) it.dispose();
  rmSync(join(folder, 'gram'), { recursive: true });
}

for (const what of ['als', 'join'].filter((what) => asked.has(what))) {
  const [seconds, memory] = await peer(what, path);
  tell(
    what === 'als' ? "Spark's own ALS, 64 factors, 10 iterations" : 'Gram matrix by a self-join',
    undefined,
    seconds,
    memory,
  );
}

if (asked.has('recommend')) {
  await (await fit('ease', data, OPTIONS)).save(join(folder, 'ease'));
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

data.dispose();
rmSync(folder, { recursive: true });
