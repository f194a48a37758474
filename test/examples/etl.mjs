// A nightly job: Parquet in, filtered by SQL, a model fitted, recommendations for everybody, Parquet out.
//
// The raw events are the Debian packages that come with recvae, in several Parquet files, with others among them that
// must not count: `kind` says which is which. Ends with one line of JSON, and with exit code 1 if a promise at the end
// is broken.
//
//   node test/examples/etl.mjs [FOLDER]     FOLDER keeps the files; without it they go when the job is done
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { fit, Interactions, readHistories, writeRecommendations } from '../../dist/index.js';

const K = 10;
const kept = process.argv[2];
if (kept) mkdirSync(kept, { recursive: true });
const folder = kept ?? mkdtempSync(join(tmpdir(), 'recvae-etl-'));
const events = join(folder, 'events-*.parquet');
const out = join(folder, 'recommendations.parquet');
const quoted = (path) => `'${path.replaceAll("'", "''")}'`;

const instance = await DuckDBInstance.create();
const connection = await instance.connect();
const rows = async (sql) => (await connection.run(sql)).getRowsJson();

/** What an upstream system would have left in the folder. */
async function makeEvents() {
  const debian = await Interactions.dataset('debian');
  const csv = join(folder, 'raw.csv');
  const lines = debian.userIds().flatMap((user) => debian.history(user).map((item) => `${user},${item}\n`));
  writeFileSync(csv, `package,dependency\n${lines.join('')}`);
  await rows(
    `CREATE TABLE raw AS SELECT row_number() OVER () AS n, * FROM read_csv(${quoted(csv)}, all_varchar = true)`,
  );
  rmSync(csv);
  // Every seventh event is about a package that a package breaks, which is no reason to recommend it.
  const all = `SELECT n, package, dependency, 'depends' AS kind FROM raw
    UNION ALL SELECT n, package, 'broken-' || dependency, 'breaks' FROM raw WHERE n % 7 = 0`;
  for (const part of [0, 1, 2]) {
    const file = quoted(join(folder, `events-${part}.parquet`));
    await rows(`COPY (SELECT * FROM (${all}) WHERE n % 3 = ${part} ORDER BY n) TO ${file}`);
  }
  return debian.nInteractions;
}

const seconds = {};
async function timed(step, work) {
  const started = performance.now();
  const result = await work();
  seconds[step] = Number(((performance.now() - started) / 1000).toFixed(2));
  return result;
}

try {
  const expected = await makeEvents();
  const sql = `SELECT package AS "user", dependency AS item FROM input WHERE kind = 'depends' ORDER BY n`;
  const data = await timed('read', () => Interactions.fromDuckDB({ source: events, sql, minItem: 3 }));
  const model = await timed('fit', () => fit('ease', data, { lambda: 10 }));
  const users = await timed('recommend', () =>
    writeRecommendations(out, model.recommendStream(readHistories({ source: events, sql }), { k: K })),
  );
  const [[written, lists, seen, broken, unordered]] = await rows(`
    WITH r AS (FROM ${quoted(out)}), seen AS (SELECT package, dependency FROM ${quoted(events)} WHERE kind = 'depends')
    SELECT count(*)::INT, count(DISTINCT "user")::INT,
      count(*) FILTER (WHERE ("user", item) IN (SELECT (package, dependency) FROM seen))::INT,
      count(*) FILTER (WHERE item LIKE 'broken-%')::INT,
      (SELECT count(*) FROM r a JOIN r b ON a."user" = b."user" AND b.rank = a.rank + 1 AND b.score > a.score)::INT
    FROM r`);
  const packages = (await rows('SELECT count(DISTINCT package)::INT FROM raw'))[0][0];
  const promises = {
    'all events that count were read':
      (await Interactions.fromDuckDB({ source: events, sql })).nInteractions === expected,
    'everybody has exactly k items': users === packages && lists === packages && written === K * packages,
    'nobody gets what they have': seen === 0,
    'what the query leaves out is not recommended': broken === 0,
    'the best come first': unordered === 0,
  };
  const brokenPromises = Object.keys(promises).filter((name) => !promises[name]);
  for (const name of brokenPromises) console.error(`broken: ${name}`);
  const peakMiB = Math.round(process.resourceUsage().maxRSS / 1024);
  const { nUsers, nItems, nInteractions } = data;
  console.log(
    JSON.stringify({
      example: 'etl',
      nUsers,
      nItems,
      nInteractions,
      users,
      rows: written,
      seconds,
      peakMiB,
      ok: brokenPromises.length === 0,
    }),
  );
  process.exitCode = brokenPromises.length === 0 ? 0 : 1;
} finally {
  connection.closeSync();
  instance.closeSync();
  if (!kept) rmSync(folder, { recursive: true, force: true });
}
