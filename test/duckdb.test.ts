/** Parquet, CSV, JSON and SQL by way of DuckDB, with files and databases that DuckDB itself makes. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, test } from 'vitest';
import { toError } from '../dist/data/duckdb.js';
import {
  type DuckDBOptions,
  Interactions,
  RecvaeError,
  type RecvaeErrorCode,
  readHistories,
  split,
} from '../dist/index.js';
import { recvae } from './command.js';
import { planted, temporaryFiles, temporaryFolder, writePlanted } from './planted.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CLI = join(ROOT, 'dist', 'cli.js');

/** Runs statements in a database of a file, or in memory. */
async function duckdb(path: string, ...statements: string[]): Promise<void> {
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  for (const statement of statements) await connection.run(statement);
  connection.closeSync();
  instance.closeSync();
}

/**
 * A folder with the planted data as CSV, Parquet in two files, NDJSON, and a table of a database; every rating is 3 to
 * 5.
 */
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
      ['42::DECIMAL(9, 0)', '42'],
      ['-12345678901234567890::DECIMAL(38, 0)', '-12345678901234567890'],
    ]) {
      const data = await Interactions.fromDuckDB({ sql: `SELECT ${id} AS "user", ${id} AS item` });
      expect([data.userIds(), data.itemIds()]).toEqual([[text], [text]]);
    }
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'ids.tsv'), 'user\titem\n007\t1.50\n');
    const data = await Interactions.fromDuckDB({ source: join(folder, 'ids.tsv') });
    expect([data.userIds(), data.itemIds()]).toEqual([['007'], ['1.50']]);
  });

  test('items in lists, of Parquet, JSON and queries', async () => {
    const folder = temporaryFolder();
    const rows = `SELECT * FROM (VALUES ('u', [1, 2], 10), ('v', []::INTEGER[], 20), ('w', [2], 30)) AS t("user", items, "at")`;
    const [parquet, json] = ['lists.parquet', 'lists.json'].map((name) => join(folder, name));
    await duckdb(':memory:', `COPY (${rows}) TO '${parquet}'`, `COPY (${rows}) TO '${json}' (FORMAT json, ARRAY true)`);
    for (const from of [
      { source: parquet! },
      { source: json! },
      { sql: rows },
      { source: parquet!, sql: 'FROM input' },
    ]) {
      const data = await Interactions.fromDuckDB({ ...from, item: 'items' });
      expect([data.userIds(), data.history('u'), data.history('w')]).toEqual([['u', 'w'], ['1', '2'], ['2']]);
      expect(data.leftOut.map(({ reason }) => reason)).toEqual(['emptyHistories']);
      const late = await Interactions.fromDuckDB({ ...from, item: 'items', time: 'at', since: 30 });
      expect(late.userIds()).toEqual(['w']);
    }
    expect(await failure('INVALID_ARGUMENT', { source: parquet, item: 'items', value: 'at' })).toBe(
      "value is 'at'; allowed: none for the lists in column 'items', whose items have no values",
    );
    const nulls = `SELECT 'u' AS "user", unnest([['a'], ['b', NULL]]) AS item`;
    expect(await failure('INVALID_DATA', { sql: nulls })).toBe('item in row 1 is null; allowed: an id');
    const none = `SELECT 'u' AS "user", NULL::VARCHAR[] AS item`;
    expect(await failure('INVALID_DATA', { sql: none })).toBe('item in row 0 is null; allowed: an id');
    const nested = `SELECT 'u' AS "user", [['a']] AS item`;
    expect(await failure('INVALID_DATA', { sql: nested })).toContain("column 'item' has the type VARCHAR[]");
  });

  test('times of every type, in every unit, and parts', async () => {
    const folder = temporaryFolder();
    const seconds = [981_173_106, 1_600_000_000, 1_700_000_000];
    const moment = `make_timestamp(1000000::BIGINT * s)`;
    const rows = `SELECT 'u' || row_number() OVER () AS "user", 'a' AS item, s, 1000::BIGINT * s AS ms, s::DOUBLE AS d, s::VARCHAR AS t,
      ${moment} AS us, ${moment}::TIMESTAMP_S AS ts, ${moment}::TIMESTAMP_MS AS tms, ${moment}::TIMESTAMP_NS AS tns,
      ${moment} AT TIME ZONE 'UTC' AS tz, ${moment}::DATE AS day, strftime(${moment}, '%Y-%m-%dT%H:%M:%SZ') AS text,
      CASE s WHEN ${seconds[2]} THEN 'test' ELSE 'train' END AS fold,
      (CASE s WHEN ${seconds[2]} THEN 'test' ELSE 'train' END)::ENUM('test', 'train') AS folds,
      CASE s WHEN ${seconds[0]} THEN NULL ELSE ${moment} END AS missing
      FROM (SELECT unnest([${seconds.join(', ')}]) AS s)`;
    const path = join(folder, 'times.parquet');
    await duckdb(':memory:', `COPY (${rows}) TO '${path}'`);
    for (const time of ['s', 'd', 't', 'us', 'ts', 'tms', 'tns', 'tz', 'day', 'text']) {
      for (const from of [{ source: path }, { sql: rows }]) {
        const late = await Interactions.fromDuckDB({ ...from, time, since: '2020-09-13' });
        expect([time, late.userIds()]).toEqual([time, ['u2', 'u3']]);
        const early = await Interactions.fromDuckDB({ ...from, time, until: 981_244_800 });
        expect([time, early.userIds()]).toEqual([time, ['u1']]);
        expect(early.leftOut).toMatchObject([{ reason: 'time', rows: 2 }]);
      }
    }
    const milliseconds = { time: 'ms', timeUnit: 'ms', since: 1_600_000_000_000 } as const;
    expect((await Interactions.fromDuckDB({ source: path, ...milliseconds })).userIds()).toEqual(['u2', 'u3']);
    const histories = [];
    for await (const { user } of readHistories({ source: path, time: 'us', since: '2023-01-01' })) histories.push(user);
    expect(histories).toEqual(['u3']);
    for (const part of ['fold', 'folds']) {
      const data = await Interactions.fromDuckDB({ source: path, part });
      const { train, test } = await split(data, { kind: 'column', validation: 0, test: 0 });
      expect([train.userIds(), test.nUsers]).toEqual([['u1', 'u2'], 0]);
    }
    expect(await failure('INVALID_DATA', { source: path, time: 'missing' })).toBe(
      'missing in row 0 is null; allowed: a time',
    );
    expect(await failure('INVALID_DATA', { source: path, time: 'fold' })).toBe(
      "fold in row 0 is 'train'; allowed: a number, or a date such as 2015-01-31 or 2015-01-31T12:30:00Z",
    );
    expect(await failure('INVALID_DATA', { source: path, part: 't' })).toMatch(
      /^t in row 0 is '981173106'; allowed: train/,
    );
    expect(await failure('INVALID_DATA', { source: path, part: 'us' })).toBe(
      "column 'us' has the type TIMESTAMP; allowed: text (or a CAST in sql)",
    );
    expect(await failure('INVALID_ARGUMENT', { source: path, since: 1 })).toBe(
      'since is 1; allowed: only with the option time, which names its column',
    );
    expect(await failure('INVALID_ARGUMENT', { source: path, part: 'fold', time: 's' })).toBe(
      "part is 'fold'; allowed: only without time",
    );
  });

  test('are split by time and by a column on the command line', async () => {
    const folder = temporaryFolder();
    const csv = writePlanted(folder);
    const likes = `SELECT *, n % 100 AS "at", CASE n % 10 WHEN 0 THEN 'test' WHEN 1 THEN 'valid' ELSE 'train' END AS fold
      FROM (SELECT row_number() OVER () AS n, * FROM read_csv('${csv}'))`;
    await duckdb(
      join(folder, 'shop.duckdb'),
      `CREATE TABLE likes AS ${likes}`,
      `COPY (${likes} ORDER BY n) TO '${join(folder, 'likes.parquet')}'`,
      `COPY (${likes} ORDER BY n) TO '${join(folder, 'timed.csv')}'`,
    );
    const sizes = [];
    for (const input of [
      ['timed.csv'],
      ['likes.parquet'],
      ['likes.parquet', '--sql', 'FROM input ORDER BY n'],
      ['shop.duckdb', '--sql', 'FROM likes ORDER BY n'],
    ]) {
      const all = [];
      for (const how of [
        ['--split', 'time', '--time', 'at'],
        ['--split', 'last', '--time', 'at', '--since', '10', '--until', '90'],
        ['--split', 'column', '--part', 'fold'],
      ]) {
        const { code, stderr } = await recvae(folder, ['split', ...input, ...how, '--seed', '1', '--out', 'to']);
        expect([code, stderr]).toEqual([0, expect.stringContaining('test users')]);
        all.push(readFileSync(join(folder, 'to', 'test_te.csv'), 'utf8'));
        rmSync(join(folder, 'to'), { recursive: true });
      }
      sizes.push(all);
    }
    for (const other of sizes) expect(other).toEqual(sizes[0]);
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
    const temporary = temporaryFiles();
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
      [
        'INVALID_DATA',
        { source, item: 'movie' },
        /^the rows have no column 'movie'; there are: 'user', 'item', 'rating'$/,
      ],
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
    expect(readdirSync(temporary).filter((name) => name.startsWith('recvae-duckdb-'))).toEqual([]);
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

// Many databases are opened here, and programs started.
describe('text is what stands there', () => {
  test('a header with blanks, which DuckDB cuts off, is refused where it reads', async () => {
    const source = join(temporaryFolder(), 'blanks.csv');
    writeFileSync(source, 'user ,user,item\nwrong,right,x\n');
    expect((await Interactions.fromDuckDB({ source })).userIds()).toEqual(['right']);
    expect(await failure('INVALID_DATA', { source, sql: 'FROM input' })).toBe(
      `${source}:1: the column 'user ' has blanks around its name; allowed: none with sql`,
    );
  });

  const ids = (data: Interactions) => [data.userIds(), data.itemIds()];

  test('apostrophes, late quotes, and what looks like a date or a UUID', async () => {
    const folder = temporaryFolder();
    const write = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const query = 'SELECT "user", item FROM input';
    const band = (n: number) => (n === 100 ? "'t Hooft" : n === 400 ? "Guns 'n'" : `band ${n % 50}`);
    const bands = Array.from({ length: 1000 }, (_, n) => `u${n % 97},${band(n)}`).join('\n');
    const late = `${Array.from({ length: 30_000 }, (_, n) => `u${n},x`).join('\n')}\n"q, x",z`;
    const uuid = '550E8400-E29B-41D4-A716-446655440000';
    for (const [name, text] of [
      ['bands.csv', `user,item\n${bands}\n`],
      ['late.csv', `user,item\n${late}\n`],
      ['ids.csv', `user,item\n007,2024-01-01\n7,${uuid}\n1e3,true\n'a',NULL\n`],
      [
        'ids.ndjson',
        `{"user":"${uuid}","item":"2024-01-01"}\n{"user":18446744073709551616,"item":"'a'"}\n{"user":7,"item":"007"}\n`,
      ],
    ] as const) {
      const source = write(name, text);
      const expected = await Interactions.fromFile(source);
      same(await Interactions.fromDuckDB({ source }), expected);
      expect(ids(await Interactions.fromDuckDB({ source, sql: query })), name).toEqual(ids(expected));
    }
    const array = write(
      'ids.json',
      `[{"user": "${uuid}", "item": 18446744073709551616},\n {"user": 7, "item": "2024-01-01"}]`,
    );
    for (const sql of [undefined, query]) {
      const data = await Interactions.fromDuckDB({ source: array, sql });
      expect(ids(data)).toEqual([
        [uuid, '7'],
        ['18446744073709551616', '2024-01-01'],
      ]);
    }
    for (const id of ['1.5', '1e3', 'true', '{}']) {
      const source = write('bad.json', `[{"user":${id},"item":"a"},{"user":"b","item":"a"}]`);
      for (const sql of [undefined, query]) {
        expect(await failure('INVALID_DATA', { source, sql })).toMatch(
          /user is .*; allowed: a string or a whole number$/,
        );
      }
    }
    // A query that gives ids another name still has them as they are.
    const renamed = write(
      'renamed.ndjson',
      `{"who":"${uuid}","item":"a"}\n{"who":"2024-01-01","item":"a"}\n{"who":7,"item":"a"}\n`,
    );
    const data = await Interactions.fromDuckDB({ source: renamed, sql: 'SELECT who AS "user", item FROM input' });
    expect(data.userIds()).toEqual([uuid, '2024-01-01', '7']);
    expect(await failure('INVALID_DATA', { sql: `SELECT '"a"'::JSON AS "user", 1 AS item` })).toMatch(
      /^column 'user' has the type JSON; allowed: text/,
    );
  });

  test('malformed text is refused before a query sees it, with the line', async () => {
    const folder = temporaryFolder();
    const sql = 'SELECT "user", item FROM input';
    for (const [name, text, error] of [
      ['a.csv', 'user,item,title\na,x,5" disk\n', /a\.csv:2:3: there is a quote inside a field/],
      ['a.csv', 'user,item,title\na,x,t\nb,y, "t"\n', /a\.csv:3:3: there is a quote inside a field/],
      ['a.csv', 'user,item,title\na,x,"open\nb,y,z\n', /a\.csv:2:3: a quote is opened here, and the input ends/],
      ['a.csv', 'user,item\na,"x\ny"\n', /runs over the end of (the|a) line/],
      ['a.ndjson', '{"user":1,"item":2,"more":NaN}\n', /a\.ndjson:1:\d+: expected value/],
      [
        'a.ndjson',
        `{"user":1,"item":2,"more":"${'x'.repeat(1 << 20)}"}\n`,
        /a\.ndjson:1: the line is longer than 1048576 bytes/,
      ],
    ] as const) {
      const source = join(folder, name);
      writeFileSync(source, text);
      for (const options of [{ source }, { source, sql }]) {
        if (name === 'a.ndjson' && !('sql' in options) && text.includes('NaN')) continue; // the core skips it unread
        expect(await failure('INVALID_DATA', options)).toMatch(error);
      }
    }
    const source = join(folder, 'spark.csv');
    writeFileSync(source, 'user,item\n"say \\"a\\"","x\\\\y"\n');
    for (const options of [{ source }, { source, sql }]) {
      const data = await Interactions.fromDuckDB({ ...options, escape: 'backslash' });
      expect(ids(data)).toEqual([['say "a"'], ['x\\y']]);
    }
    expect(await failure('INVALID_ARGUMENT', { sql: 'SELECT 1', escape: 'backslash' })).toMatch(
      /^escape is 'backslash'; allowed: only for csv/,
    );
    const tsv = join(folder, 'a.tsv');
    writeFileSync(tsv, 'user\titem\na\tb\n');
    for (const more of [{}, { sql }]) {
      expect(await failure('INVALID_ARGUMENT', { source: tsv, escape: 'backslash', ...more })).toMatch(/only for csv/);
    }
  });

  test('files compressed by zstd are read by the core, as DuckDB wrote them', async () => {
    const folder = await made();
    for (const [name, format] of [
      ['likes.csv.zst', 'FORMAT csv'],
      ['likes.ndjson.zst', 'FORMAT json'],
    ] as const) {
      const source = join(folder, name);
      await duckdb(
        ':memory:',
        `COPY (FROM '${join(folder, 'part-*.parquet')}') TO '${source}' (${format}, COMPRESSION zstd)`,
      );
      same(await Interactions.fromFile(source), planted());
      same(await Interactions.fromDuckDB({ source }), planted());
    }
  });

  test('ids of Parquet files with drifting types are text, or refused', async () => {
    const folder = temporaryFolder();
    const likes = async (name: string, user: string, item = "'x'") =>
      duckdb(':memory:', `COPY (SELECT ${user} AS "user", ${item} AS item) TO '${join(folder, name)}'`);
    await likes('1.parquet', '7');
    await likes('2.parquet', "'007'");
    await likes('3.parquet', '7::UBIGINT', "'y'");
    const source = join(folder, '*.parquet');
    for (const sql of [undefined, 'SELECT "user", item FROM input']) {
      const data = await Interactions.fromDuckDB({ source, sql });
      expect(data.userIds().sort()).toEqual(['007', '7']);
      expect(data.history('7')!.sort()).toEqual(['x', 'y']);
    }
    const users: string[] = [];
    for await (const { user } of readHistories({ source })) users.push(user);
    expect(users).toEqual(['007', '7']);
    for (const other of ['7.0::DOUBLE', 'true', "DATE '2024-01-01'"]) {
      await likes('4.parquet', other);
      for (const sql of [undefined, 'SELECT "user", item FROM input']) {
        expect(await failure('INVALID_DATA', { source, sql }), other).toMatch(
          /^column 'user' has several types in the files: /,
        );
      }
    }
  });

  test('a name means the column with these capitals, or none', async () => {
    const folder = temporaryFolder();
    const source = join(folder, 'both.csv');
    writeFileSync(source, 'user,User,item\nu0,Xu0,i0\n');
    expect((await Interactions.fromDuckDB({ source, user: 'User' })).userIds()).toEqual(['Xu0']);
    for await (const { user } of readHistories({ source, user: 'User' })) expect(user).toBe('Xu0');
    const one = join(folder, 'one.parquet');
    await duckdb(':memory:', `COPY (SELECT 'u0' AS "user", 'i0' AS item) TO '${one}'`);
    const text = "the rows have no column 'User'; there are: 'user', 'item'";
    for (const options of [{ source: one }, { sql: `FROM '${one}'` }]) {
      expect(await failure('INVALID_DATA', { ...options, user: 'User' })).toBe(text);
      await expect(readHistories({ ...options, user: 'User' }).next()).rejects.toThrow(text);
    }
  });

  test('folders of parts, as Spark writes them', async () => {
    const folder = await made();
    const rows = `FROM '${join(folder, 'part-*.parquet')}'`;
    for (const [name, extension, format] of [
      ['spark.parquet', 'parquet', 'FORMAT parquet'],
      ['spark.csv', 'csv', 'FORMAT csv, HEADER true'],
      ['no-name', 'csv.gz', 'FORMAT csv, COMPRESSION gzip'],
    ] as const) {
      const into = join(folder, name);
      mkdirSync(join(into, 'day=1'), { recursive: true });
      const write = (where: string, path: string) =>
        duckdb(':memory:', `COPY (SELECT * FROM (${rows}) ${where}) TO '${join(into, path)}' (${format})`);
      await write('LIMIT 1000', `part-0.${extension}`);
      await write('LIMIT 0', `part-1.${extension}`);
      await write('OFFSET 1000', `part-2.${extension}`);
      writeFileSync(join(into, '_SUCCESS'), '');
      writeFileSync(join(into, '_metadata.csv'), 'nonsense');
      writeFileSync(join(into, `.part-0.${extension}.crc`), 'crc');
      const data = await Interactions.fromDuckDB({ source: into });
      same(data, planted());
      let users = 0;
      for await (const { user, items } of readHistories({ source: into })) {
        users += 1;
        expect([...items]).toEqual(planted().history(user)!.sort());
      }
      expect(users).toBe(data.nUsers);
      const model = join(folder, `${name}.safetensors`);
      execFileSync(process.execPath, [CLI, 'train', 'ease', into, '--out', model, '--validation', '0', '--test', '0'], {
        stdio: 'pipe',
      });
      expect(existsSync(model)).toBe(true);
    }
    const empty = join(folder, 'empty.parquet');
    mkdirSync(empty);
    writeFileSync(join(empty, '_SUCCESS'), '');
    expect(await failure('INVALID_DATA', { source: empty })).toMatch(
      /empty\.parquet: there is no file in this folder$/,
    );
  });

  test('what DuckDB says names no file and no setting of its own', async () => {
    const spill = '/tmp/recvae-duckdb-0c6f5d2e-1f7d-4c49-9a51-7e0c5b7f3d11';
    for (const [thrown, code, text] of [
      [
        'IO Error: Trying to read a database file with version number 69, but we can only read versions between 64 and 68.\nThe database file was created with a newer version of DuckDB.\n\nNewer DuckDB version might',
        'IO',
        /\(STORAGE_VERSION 'v1\.5\.0'\)/,
      ],
      [
        'Out of Memory Error: failed to offload data block of size 96.0 KiB.\n\nPossible solutions:\n* Reducing the number of threads (SET threads=X)\n\nSee also https://duckdb.org/docs',
        'MEMORY',
        /96\.0 KiB\.; the way out: more with the option settings, \{ memory_limit: '8GB' \}/,
      ],
      [
        `IO Error: Could not write file "${spill}/duckdb_temp_storage-0.tmp": No space left`,
        'IO',
        /"\/tmp": No space left$/,
      ],
      [
        "Invalid Input Error: CSV Error on Line: 2\nPossible fixes:\n* Disable the parser's strict mode (strict_mode=false)",
        'INVALID_DATA',
        /Line: 2$/,
      ],
      [
        'Binder Error: Referenced column "x" not found\n\nLINE 1: SELECT "x" FROM t\n ^',
        'INVALID_ARGUMENT',
        /not found$/,
      ],
    ] as const) {
      const error = toError(new Error(thrown));
      expect(error.code).toBe(code);
      expect(error.message).toMatch(text);
      expect(error.message).not.toMatch(/recvae-duckdb|strict_mode|SET threads|LINE 1/);
    }
    const sql = 'SELECT hash(range)::VARCHAR AS "user", range::VARCHAR AS item FROM range(1000000) ORDER BY ALL';
    const settings = { memory_limit: '10MB', max_temp_directory_size: '1MB', threads: '1' };
    expect(await failure('MEMORY', { sql, settings })).toMatch(/^DuckDB: Out of Memory Error: .*; the way out: /s);
  });
});
