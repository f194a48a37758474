// The same counts and recommendations by several processes and by databases, compared with those of one run: bytes,
// seconds, memory.
//
// node benches/shards.mjs INPUT [--users-per-part N]   INPUT: debian, or a file of rows with the columns user and item
//
// DuckDB runs in this process. PostgreSQL is asked by psql where PGHOST and its kin say that there is one.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import { EaseCounts, fit, Interactions } from '../dist/index.js';

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const SHARDS = 4;
const KILLS = 10;
const OPTIONS = { lambda: 200 };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'users-per-part': { type: 'string', default: '200' } },
});
const [input = 'debian'] = positionals;
const folder = mkdtempSync(join(tmpdir(), 'recvae-shards-'));
const rows = [];

/** Seconds of work, and what it gave. */
async function timed(work) {
  const started = performance.now();
  const value = await work();
  return [(performance.now() - started) / 1000, value];
}

/** Starts the command line. */
function start(...args) {
  return spawn(process.execPath, [CLI, ...args], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Runs it to its end, and gives its peak memory in MiB (where the system tells, to 20 ms) and its last words. */
async function recvae(...args) {
  const child = start(...args);
  let [said, peak] = ['', 0];
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const closed = new Promise((done) => child.once('close', done));
  while (child.exitCode === null) {
    try {
      const [, kib] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
      peak = Math.max(peak, Number(kib ?? 0) / 1024);
    } catch {} // it has just ended
    await setTimeout(20);
  }
  await closed;
  if (child.exitCode !== 0) throw new Error(said);
  return peak;
}

async function modelBytes(counts) {
  const path = join(folder, 'model');
  await (await counts.fit(OPTIONS)).save(path, { trainingRecord: false });
  return readFileSync(path);
}

function tell(what, isEqual, seconds, more = '') {
  rows.push(`| ${what} | ${isEqual ? 'equal' : 'OTHER'} | ${seconds.toFixed(1)} | ${more} |`);
  if (!isEqual) process.exitCode = 1;
}

/** The rows in the order of the bytes of the items' ids, in which SQL numbers them. */
async function writeRows(path) {
  const data = input === 'debian' ? await Interactions.dataset('debian') : await Interactions.fromFile(resolve(input));
  const all = data.userIds().flatMap((user) => data.history(user).map((item) => [user, item]));
  all.sort(([, a], [, b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  writeFileSync(path, `user,item\n${all.map(([user, item]) => `${user},${item}\n`).join('')}`);
}

const csv = join(folder, 'rows.csv');
await writeRows(csv);
const data = await Interactions.fromFile(csv);
const [counting, whole] = await timed(() => EaseCounts.count(data));
await whole.save(join(folder, 'whole'));
const model = await modelBytes(whole);
const path = join(folder, 'fit');
await (await fit('ease', data, OPTIONS)).save(path, { trainingRecord: false });
tell('counts in one run, against a fit', model.equals(readFileSync(path)), counting);

const files = Array.from({ length: SHARDS }, (_, index) => `part-${index}`);
const [seconds, peaks] = await timed(async () => {
  const found = [];
  for (const [index, file] of files.entries()) {
    found.push(await recvae('counts', 'shard', 'rows.csv', '--shard', `${index}/${SHARDS}`, '--out', file));
  }
  await recvae('counts', 'merge', ...files, '--out', 'merged');
  return found;
});
const same = readFileSync(join(folder, 'merged')).equals(readFileSync(join(folder, 'whole')));
const merged = await modelBytes(await EaseCounts.load(join(folder, 'merged')));
const memory = `at most ${Math.max(...peaks).toFixed(0)} MiB a process`;
tell(`counts of ${SHARDS} shards, one after the other, merged`, same && merged.equals(model), seconds, memory);

/** The statements of a dialect. */
const sqlOf = (...args) => execFileSync(process.execPath, [CLI, 'counts', 'sql', ...args], { encoding: 'utf8' });

async function compareGram(name, to, run) {
  mkdirSync(to);
  const [seconds] = await timed(run);
  const [taking, counts] = await timed(() => EaseCounts.fromGram(to));
  tell(`${name}`, (await modelBytes(counts)).equals(model), seconds, `${taking.toFixed(1)} s to take it`);
}

const duckdb = join(folder, 'duckdb');
await compareGram('SQL of DuckDB', duckdb, async () => {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  await connection.run(
    sqlOf('--dialect', 'duckdb', '--table', `read_csv('${csv}', all_varchar = true)`, '--to', duckdb),
  );
  connection.closeSync();
  instance.closeSync();
});

if (process.env.PGHOST !== undefined) {
  const postgres = join(folder, 'postgres');
  const psql = (input) => execFileSync('psql', ['-q', '-v', 'ON_ERROR_STOP=1'], { input });
  psql(`DROP TABLE IF EXISTS recvae_rows;\nCREATE TABLE recvae_rows ("user" text, item text);\n
\\copy recvae_rows FROM '${csv}' WITH (FORMAT csv, HEADER)\nANALYZE recvae_rows;\n`);
  await compareGram('SQL of PostgreSQL', postgres, async () =>
    psql(sqlOf('--dialect', 'postgres', '--table', 'recvae_rows', '--to', postgres)),
  );
  psql('DROP TABLE recvae_rows;\n');
}

const recommend = ['recommend', 'fit', '--history', 'rows.csv', '-k', '20'];
const [once] = await timed(() => recvae(...recommend, '--out', 'one.ndjson'));
const one = readFileSync(join(folder, 'one.ndjson'));
tell('recommendations in one run', true, once, `${data.nUsers} users`);
const partsOf = (out) => {
  const names = readdirSync(join(folder, out)).filter((name) => name.startsWith('part-'));
  return Buffer.concat(names.sort().map((name) => readFileSync(join(folder, out, name))));
};
const sharded = (index, out) => [
  ...recommend,
  '--shard',
  `${index}/${SHARDS}`,
  '--users-per-part',
  values['users-per-part'],
  '--out',
  out,
];
const [four] = await timed(async () => {
  for (let index = 0; index < SHARDS; index += 1) await recvae(...sharded(index, 'four.ndjson'));
});
tell(`recommendations of ${SHARDS} shards, one after the other`, partsOf('four.ndjson').equals(one), four);

// Each time, the first shard is killed once it has made one more part.
const count = () => (existsSync(join(folder, 'killed.ndjson')) ? readdirSync(join(folder, 'killed.ndjson')).length : 0);
let kills = 0;
const [killed] = await timed(async () => {
  for (; kills < KILLS; kills += 1) {
    const [before, child] = [count(), start(...sharded(0, 'killed.ndjson'))];
    const closed = new Promise((done) => child.once('close', done));
    while (child.exitCode === null && count() <= before) await setTimeout(1);
    if (child.exitCode !== null) break;
    child.kill('SIGKILL');
    await closed;
  }
  for (let index = 0; index < SHARDS; index += 1) await recvae(...sharded(index, 'killed.ndjson'));
});
tell(`the same, shard 0 killed ${kills} times`, partsOf('killed.ndjson').equals(one), killed);

console.log(`${input}: ${data.nUsers} users, ${data.nItems} items, ${data.nInteractions} interactions\n`);
console.log('| what | bytes | seconds | |\n| --- | --- | --- | --- |');
console.log(rows.join('\n'));
rmSync(folder, { recursive: true });
