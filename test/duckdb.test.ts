/** Parquet, CSV, JSON and SQL by way of DuckDB, with files and databases that DuckDB itself makes. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, test } from 'vitest';
import { type DuckDBOptions, Interactions, RecvaeError, type RecvaeErrorCode } from '../dist/index.js';
import { planted, temporaryFolder, writePlanted } from './planted.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Runs statements in a database of a file, or in memory. */
async function duckdb(path: string, ...statements: string[]): Promise<void> {
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  for (const statement of statements) await connection.run(statement);
  connection.closeSync();
  instance.closeSync();
}

/** A folder with the planted data as CSV, Parquet in two files, NDJSON, and a table of a database; every rating is 3 to 5. */
async function made(): Promise<string> {
  const folder = temporaryFolder();
  const csv = writePlanted(folder);
  const likes = `SELECT row_number() OVER () AS n, *, 3 + n % 3 AS rating FROM read_csv('${csv}')`;
  const half = (where: string) => `(SELECT "user", item, rating FROM likes WHERE ${where} ORDER BY n)`;
  await duckdb(
    join(folder, 'shop.duckdb'),
    `CREATE TABLE likes AS ${likes}`,
    `COPY ${half('n <= 1000')} TO '${join(folder, 'part-1.parquet')}' (ROW_GROUP_SIZE 2048)`,
    `COPY ${half('n > 1000')} TO '${join(folder, 'part-2.parquet')}' (COMPRESSION zstd)`,
    `COPY ${half('true')} TO '${join(folder, 'likes.ndjson.gz')}' (FORMAT json, COMPRESSION gzip)`,
  );
  return folder;
}

function same(a: Interactions, b: Interactions): void {
  expect(a.userIds()).toEqual(b.userIds());
  expect(a.itemIds()).toEqual(b.itemIds());
  for (const user of b.userIds()) expect(a.history(user)).toEqual(b.history(user));
}

async function failure(code: RecvaeErrorCode, options: unknown): Promise<string> {
  const error = await Interactions.fromDuckDB(options as DuckDBOptions).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(RecvaeError);
  expect(error.code, error.message).toBe(code);
  return error.message;
}

describe('fromDuckDB', () => {
  test('every way to the same rows gives the same matrix', async () => {
    const folder = await made();
    const whole = planted();
    const parts = ['part-1.parquet', 'part-2.parquet'].map((name) => join(folder, name));
    same(await Interactions.fromDuckDB({ source: join(folder, 'part-*.parquet') }), whole);
    same(await Interactions.fromDuckDB({ source: parts, settings: { threads: '1' } }), whole);
    same(await Interactions.fromDuckDB({ source: join(folder, 'likes.csv') }), whole);
    same(await Interactions.fromDuckDB({ source: join(folder, 'likes.ndjson.gz') }), whole);
    const database = join(folder, 'shop.duckdb');
    same(await Interactions.fromDuckDB({ database, sql: 'SELECT "user", item FROM likes ORDER BY n' }), whole);
    const sql = 'SET threads = 1; SELECT item AS "what?", "user" AS "it\'s ""who""" FROM input;';
    same(await Interactions.fromDuckDB({ source: parts, sql, user: `it's "who"`, item: 'what?' }), whole);
    expect(readdirSync(folder).sort()).toEqual([
      'likes.csv',
      'likes.ndjson.gz',
      'part-1.parquet',
      'part-2.parquet',
      'shop.duckdb',
    ]);
  });

  test('values and thresholds as from a file', async () => {
    const folder = await made();
    const csv = join(folder, 'rated.csv');
    await duckdb(':memory:', `COPY (FROM '${join(folder, 'part-*.parquet')}') TO '${csv}'`);
    const options = { value: 'rating', minValue: 4, minUser: 5, minItem: 3 };
    const expected = await Interactions.fromFile(csv, options);
    expect(expected.nInteractions).toBeLessThan(planted().nInteractions);
    same(await Interactions.fromDuckDB({ source: join(folder, 'part-*.parquet'), ...options }), expected);
    same(await Interactions.fromDuckDB({ source: csv, ...options }), expected);
    const sql = 'SELECT "user", item, rating::DECIMAL(9, 1) AS rating FROM input';
    same(await Interactions.fromDuckDB({ source: join(folder, 'part-*.parquet'), sql, ...options }), expected);
  });

  test('ids of every type that has one spelling', async () => {
    const uuid = '00000000-0000-0000-0000-00000000002a';
    for (const [id, text] of [
      ...['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'UTINYINT', 'UBIGINT'].map((type) => [
        `42::${type}`,
        '42',
      ]),
      ['-170141183460469231731687303715884105727::HUGEINT', '-170141183460469231731687303715884105727'],
      ['9223372036854775807', '9223372036854775807'],
      ["'é'", 'é'],
      [`'${uuid}'::UUID`, uuid],
      ["'b'::ENUM('a', 'b')", 'b'],
    ]) {
      const data = await Interactions.fromDuckDB({ sql: `SELECT ${id} AS "user", ${id} AS item` });
      expect([data.userIds(), data.itemIds()]).toEqual([[text], [text]]);
    }
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'ids.tsv'), 'user\titem\n007\t1.50\n');
    const data = await Interactions.fromDuckDB({ source: join(folder, 'ids.tsv') });
    expect([data.userIds(), data.itemIds()]).toEqual([['007'], ['1.50']]);
  });

  test('more rows than a chunk has, and a failure in the middle of them', async () => {
    const sql = 'SELECT range % 1000 AS "user", range // 1000 AS item FROM range(100000)';
    const data = await Interactions.fromDuckDB({ sql });
    expect([data.nUsers, data.nItems, data.nInteractions]).toEqual([1000, 100, 100_000]);
    const holes = (hole: string, value = '1.0') =>
      `SELECT range AS "user", CASE WHEN range = 70007 THEN ${hole} ELSE 'x' END AS item, ${value} AS rating FROM range(100000)`;
    expect(await failure('INVALID_DATA', { sql: holes('NULL') })).toBe('item in row 70007 is null; allowed: an id');
    expect(await failure('INVALID_DATA', { sql: holes("''") })).toBe('item in row 70007 is empty; allowed: an id');
    for (const value of ['NULL', "'NaN'::DOUBLE"]) {
      const sql = holes("'y'", `CASE WHEN range = 5000 THEN ${value} ELSE 1.0 END`);
      expect(await failure('INVALID_DATA', { sql, value: 'rating' })).toMatch(
        /^rating in row 5000 is (null|NaN); allowed/,
      );
    }
    const sqlError = `SELECT range AS "user", CASE WHEN range < 70000 THEN 'x' ELSE error('no more') END AS item FROM range(100000)`;
    expect(await failure('INVALID_DATA', { sql: sqlError })).toMatch(/^DuckDB: .*no more/);
  });

  test('a file that is broken in the middle is no shorter file', async () => {
    const folder = temporaryFolder();
    const source = join(folder, 'broken.parquet');
    await duckdb(
      ':memory:',
      `COPY (SELECT hash(range)::VARCHAR AS "user", 'x' AS item FROM range(200000)) TO '${source}' (ROW_GROUP_SIZE 10000)`,
    );
    expect((await Interactions.fromDuckDB({ source })).nUsers).toBe(200_000);
    const bytes = readFileSync(source);
    const start = Math.floor(0.8 * bytes.length);
    bytes.fill(0xff, start, start + 3000);
    writeFileSync(source, bytes);
    expect(await failure('INVALID_DATA', { source })).toMatch(/^DuckDB: (?!Parser)/);
    expect(await failure('INVALID_DATA', { source, sql: 'SELECT 1; FROM input -- all' })).toMatch(
      /^DuckDB failed after about 1\d{5} rows, and does not say why$/,
    );
  });

  test('errors say what was wrong', async () => {
    const folder = await made();
    const source = join(folder, 'part-1.parquet');
    const database = join(folder, 'shop.duckdb');
    for (const [code, options, text] of [
      ['INVALID_ARGUMENT', undefined, /^options is undefined/],
      ['INVALID_ARGUMENT', {}, /^source is undefined; allowed: a file or a glob, or sql instead/],
      ['INVALID_ARGUMENT', { source: [] }, /^source is an array; allowed: at least one file/],
      ['INVALID_ARGUMENT', { source: 3 }, /^source is 3/],
      ['INVALID_ARGUMENT', { sql: 3 }, /^sql is 3/],
      ['INVALID_ARGUMENT', { source: 'likes.xlsx' }, /^source is 'likes\.xlsx'; allowed: names in \.parquet/],
      ['INVALID_ARGUMENT', { source: [source, 'likes.csv'] }, /allowed: files of one kind/],
      ['INVALID_ARGUMENT', { source, format: 'csv' }, /'format'; allowed: none/],
      ['INVALID_ARGUMENT', { source, users: 'u' }, /'users'; allowed/],
      ['INVALID_ARGUMENT', { source, minUser: -1 }, /^minUser is -1/],
      ['INVALID_ARGUMENT', { source, minValue: 4 }, /^minValue is 4; allowed: only with the option value/],
      ['INVALID_ARGUMENT', { source, item: 'movie' }, /^DuckDB: Binder Error: .*movie/],
      ['INVALID_ARGUMENT', { sql: 'SELEC 1' }, /^DuckDB: .*Parser Error/],
      ['INVALID_ARGUMENT', { sql: 'FROM likes' }, /^DuckDB: Catalog Error/],
      ['INVALID_ARGUMENT', { source, settings: { memry: '1' } }, /memry/],
      [
        'INVALID_DATA',
        { source, sql: 'SELECT item FROM input' },
        /^the rows have no column 'user'; there are: 'item'$/,
      ],
      [
        'INVALID_DATA',
        { sql: `SELECT 1.5 AS "user", 1 AS item` },
        /^column 'user' has the type DECIMAL\(2,1\); allowed: text, whole/,
      ],
      ['INVALID_DATA', { source, value: 'item', item: 'rating' }, /^DuckDB: Conversion Error/],
      ['INVALID_DATA', { source, sql: 'FROM input', value: 'item', item: 'rating' }, /type VARCHAR; allowed: numbers/],
      ['INVALID_DATA', { source, sql: 'FROM input WHERE false' }, /^no interactions: the input is empty$/],
      ['IO', { source: join(folder, 'none-*.parquet') }, /^DuckDB: IO Error: No files found/],
      ['IO', { database: join(folder, 'none.duckdb'), sql: 'FROM likes' }, /^DuckDB: .*none\.duckdb/],
      ['INVALID_DATA', { database, sql: 'DROP TABLE likes; FROM likes' }, /read-only/],
    ] as const) {
      expect(await failure(code, options), String(text)).toMatch(text);
    }
    // A quote in a name ends nothing.
    expect(await failure('IO', { source: "x'] ; DROP TABLE likes; --.parquet" })).toMatch(/No files found/);
    const odd = join(folder, "it's.parquet");
    cpSync(source, odd);
    expect((await Interactions.fromDuckDB({ source: odd })).nUsers).toBeGreaterThan(10);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('recvae-duckdb-'))).toEqual([]);
  });

  test('without DuckDB, the message says how to get it', () => {
    // The package as it is installed, in a folder where nothing but its own dependencies is found.
    const folder = temporaryFolder();
    cpSync(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true });
    mkdirSync(join(folder, 'crates'));
    symlinkSync(join(ROOT, 'crates', 'recvae-node'), join(folder, 'crates', 'recvae-node'));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    const script = `
      import { Interactions } from './dist/index.js';
      console.log(Interactions.fromColumns({ users: ['u'], items: ['i'] }).nUsers);
      await Interactions.fromDuckDB({ sql: 'SELECT 1' }).catch(({ code, message }) => console.log(code, message));`;
    writeFileSync(join(folder, 'script.mjs'), script);
    expect(existsSync(join(folder, 'node_modules'))).toBe(false);
    expect(execFileSync(process.execPath, ['script.mjs'], { cwd: folder, encoding: 'utf8' })).toBe(
      '1\nINVALID_ARGUMENT fromDuckDB needs the package @duckdb/node-api, which is not installed; the way out: npm install @duckdb/node-api\n',
    );
  });
});
