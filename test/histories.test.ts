/** Histories out of Parquet and SQL, and recommendations into files that are whole or not there. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  fit,
  type HistoryOptions,
  Interactions,
  type LeftOut,
  type Model,
  type ReadHistory,
  RecvaeError,
  type RecvaeErrorCode,
  readHistories,
  type UserRecommendation,
  writeRecommendations,
} from '../dist/index.js';
import { planted, plantedColumns, temporaryFolder, writePlanted } from './planted.js';

let model: Model<'ease'>;
beforeAll(async () => {
  model = await fit('ease', planted(), { lambda: 10 });
});

/** Runs a statement in memory and gives back its rows. */
async function duckdb(statement: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  const rows = await (await connection.run(statement)).getRowsJson();
  connection.closeSync();
  instance.closeSync();
  return rows;
}

async function collect(options: HistoryOptions): Promise<[string, string[]][]> {
  const result: [string, string[]][] = [];
  for await (const { user, items } of readHistories(options)) result.push([user, [...items]]);
  return result;
}

async function all(histories: AsyncIterable<ReadHistory>): Promise<ReadHistory[]> {
  const found: ReadHistory[] = [];
  for await (const history of histories) found.push(history);
  return found;
}

async function failure(code: RecvaeErrorCode, call: () => Promise<unknown>): Promise<string> {
  const error = await call().then(
    () => new Error('no error'),
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(RecvaeError);
  expect(error.code, error.message).toBe(code);
  return error.message;
}

describe('readHistories', () => {
  test('rows of interactions come sorted by user, rows of lists as they are', async () => {
    const folder = temporaryFolder();
    const csv = writePlanted(folder);
    const [long, lists] = ['long.parquet', 'lists.parquet'].map((name) => join(folder, name));
    await duckdb(`COPY (FROM read_csv('${csv}') ORDER BY hash(item)) TO '${long}'`);
    await duckdb(
      `COPY (SELECT "user", list(item ORDER BY item) AS items FROM '${long}' GROUP BY "user" ORDER BY hash("user")) TO '${lists}'`,
    );
    const { users, items } = plantedColumns();
    const expected = new Map<string, string[]>();
    for (const [row, user] of users.entries()) expected.set(user, [...(expected.get(user) ?? []), items[row]!]);
    for (const [, ofUser] of expected) ofUser.sort();
    const sorted = [...expected].sort(([a], [b]) => (a < b ? -1 : 1));
    expect(await collect({ source: long })).toEqual(sorted);
    expect(await collect({ source: csv })).toEqual(sorted);
    const inOrder = await collect({ source: lists!, item: 'items' });
    expect(inOrder).not.toEqual(sorted);
    expect(inOrder.sort(([a], [b]) => (a < b ? -1 : 1))).toEqual(sorted);
    const sql = `SELECT "user" AS who, item FROM input WHERE "user" IN ('u1', 'u2');`;
    expect(await collect({ source: long, sql, user: 'who' })).toEqual(
      sorted.filter(([user]) => ['u1', 'u2'].includes(user)),
    );
  });

  test('what a query says of values and where it fails', async () => {
    const columns = `'a' AS "user", 'b' AS item`;
    for (const value of ["'5'", 'true', "DATE '2024-01-01'"]) {
      const options = { sql: `SELECT ${columns}, ${value} AS rating`, value: 'rating', minValue: 4 };
      const text = /^column 'rating' has the type \w+; allowed: numbers \(or a CAST in sql\)$/;
      expect(await failure('INVALID_DATA', () => collect(options))).toMatch(text);
      expect(await failure('INVALID_DATA', () => Interactions.fromDuckDB(options))).toMatch(text);
    }
    // DuckDB points at the caller's query, and at none of ours.
    const wrong = await failure('INVALID_ARGUMENT', () => collect({ sql: `SELECT ${columns}\nFROM nowhere` }));
    expect(wrong).toMatch(/\n\nLINE 2: FROM nowhere\n {13}\^$/);
    const failing = { sql: `SELECT CAST('x' AS INTEGER) AS "user", 'b' AS item` };
    expect(await failure('INVALID_DATA', () => collect(failing))).toMatch(/^DuckDB: Conversion Error: [^\n]*$/);
    for (const sql of ['', ' ;\n', '-- none', '/* none */;']) {
      const text = `sql is '${sql}'; allowed: a query`;
      expect(await failure('INVALID_ARGUMENT', () => collect({ sql }))).toBe(text);
      expect(await failure('INVALID_ARGUMENT', () => Interactions.fromDuckDB({ sql }))).toBe(text);
    }
    const rows = { database: 'likes.csv', sql: 'FROM likes' };
    expect(await failure('INVALID_ARGUMENT', () => collect(rows))).toBe(
      "database is 'likes.csv'; allowed: a database file that DuckDB wrote; files of rows go under source",
    );
    expect(await failure('INVALID_ARGUMENT', () => collect({ database: 'likes.duckdb' }))).toBe(
      'sql is undefined; allowed: a query for the rows of the database',
    );
    expect(await failure('INVALID_ARGUMENT', () => collect({ source: 'likes.duckdb' }))).toMatch(
      /^source is 'likes\.duckdb'; allowed: names in .*; a database goes under database, beside sql$/,
    );
  });

  test('a byte order mark is no character of NDJSON, also behind a query', async () => {
    const folder = temporaryFolder();
    const marked = (name: string, text: string) => {
      const path = join(folder, name);
      const bytes = Buffer.from(`\ufeff${text}`);
      writeFileSync(path, name.endsWith('.gz') ? gzipSync(bytes) : bytes);
      return path;
    };
    const rows = '{"user":"a","item":1}\n{"user":"b","item":18446744073709551616}\n';
    for (const source of [marked('rows.ndjson', rows), marked('rows.jsonl.gz', rows)]) {
      const expected = [
        ['a', ['1']],
        ['b', ['18446744073709551616']],
      ];
      expect(await collect({ source })).toEqual(expected);
      expect(await collect({ source, sql: 'FROM input' })).toEqual(expected);
      const data = await Interactions.fromDuckDB({ source, sql: 'FROM input' });
      expect(data.itemIds()).toEqual(['1', '18446744073709551616']);
    }
    const source = marked('lists.ndjson', '{"user":"a","items":["x","y"]}\n');
    expect(await collect({ source, item: 'items' })).toEqual([['a', ['x', 'y']]]);
    const missing = await failure('INVALID_DATA', () => collect({ source, sql: 'FROM input', item: 'none' }));
    expect(missing).toBe("the rows have no column 'none'; there are: 'user', 'items'");
  });

  test('numbers, empty lists and errors', async () => {
    const rows = (values: string, names = '"user", item') => ({ sql: `SELECT * FROM (VALUES ${values}) t(${names})` });
    expect(await collect(rows('(7, 1), (7, 2), (10, 1)'))).toEqual([
      ['10', ['1']],
      ['7', ['1', '2']],
    ]);
    expect(await collect(rows("('b', [1, 2]), ('a', []), ('b', [3])"))).toEqual([
      ['b', ['1', '2']],
      ['a', []],
      ['b', ['3']],
    ]);
    const sql = 'SELECT range AS "user", CASE WHEN range = 5000 THEN NULL ELSE \'x\' END AS item FROM range(9000)';
    expect(await failure('INVALID_DATA', () => collect({ sql }))).toMatch(
      /^item in row \d+ .* is null; allowed: an id$/,
    );
    for (const list of ['NULL::INT[]', '[1, NULL]']) {
      expect(await failure('INVALID_DATA', () => collect(rows(`('a', ${list})`)))).toMatch(/^item in row 0 .* is null/);
    }
    expect(await failure('INVALID_DATA', () => collect(rows("('a', [1.5])")))).toMatch(
      /^column 'item' has the type DECIMAL/,
    );
    expect(await failure('INVALID_DATA', () => collect(rows("('a', 1e0)")))).toMatch(
      /^column 'item' has the type DOUBLE/,
    );
    expect(await failure('INVALID_DATA', () => collect({ sql: 'SELECT 1 AS "user"' }))).toBe(
      "the rows have no column 'item'; there are: 'user'",
    );
    // A collation that takes two users for one does not make them take turns.
    const nocase = `SELECT u COLLATE nocase AS "user", i AS item FROM (VALUES ('a', 'x'), ('A', 'y'), ('a', 'z'), ('A', 'w')) t(u, i)`;
    expect(await collect({ sql: nocase })).toEqual([
      ['A', ['w', 'y']],
      ['a', ['x', 'z']],
    ]);
    expect(await failure('INVALID_ARGUMENT', () => collect({ sql, minUser: 2 } as object))).toMatch(
      /'minUser'; allowed/,
    );
    expect(await failure('IO', () => collect({ source: 'none.parquet' }))).toMatch(/No files found/);
    // What DuckDB is not needed for is not looked for by it.
    expect(await failure('IO', () => collect({ source: 'none.csv' }))).toMatch(/^cannot read none\.csv: /);
  });

  test('what is left out is told, and a signal ends the reading', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'rated.csv');
    writeFileSync(path, 'user,item,stars\na,x,5\na,y,1\nb,x,2\nc,x,4,9\n');
    const rules = { value: 'stars', minValue: 3, skipBadRows: 1 };
    const told: LeftOut[][] = [];
    const onLeftOut = (leftOut: LeftOut[]) => void told.push(leftOut);
    expect(await all(readHistories({ source: path, ...rules }, { onLeftOut }))).toEqual([{ user: 'a', items: ['x'] }]);
    expect(told.map((all) => all.map(({ reason, rows }) => [reason, rows]))).toEqual([
      [
        ['badRows', 1],
        ['minValue', 2],
      ],
    ]);
    const sql = `SELECT * FROM (VALUES ('a', 'x', 5), ('a', 'y', 1), ('b', 'x', 2)) AS t("user", item, stars)`;
    const query = { sql, value: 'stars', minValue: 3 };
    expect(await all(readHistories(query, { onLeftOut }))).toEqual([{ user: 'a', items: ['x'] }]);
    expect(told.at(-1)).toMatchObject([
      { reason: 'minValue', rows: 2, text: '2 rows are left out for a value below minValue' },
    ]);
    const long = 'SELECT a.range::VARCHAR AS "user", b.range AS item FROM range(100000) a, range(100000) b';
    const signal = AbortSignal.timeout(200);
    await expect(all(readHistories({ sql: long }, { signal }))).rejects.toHaveProperty('name', 'TimeoutError');
    await expect(all(readHistories({ source: path }, { signal: AbortSignal.abort('enough') }))).rejects.toBe('enough');
    const lists = join(folder, 'lists.ndjson');
    writeFileSync(lists, '{"user":"a","items":["x"]}\n');
    await expect(all(readHistories({ source: lists, item: 'items', skipBadRows: 1 }))).rejects.toThrow(
      'skipBadRows is 1; allowed: only for rows with an item each, not for lists of items',
    );
  });

  test('a loop that is left closes DuckDB', async () => {
    for await (const { user } of readHistories({ sql: 'SELECT range AS "user", [1] AS item FROM range(1000000)' })) {
      expect(user).toBe('0');
      break;
    }
  });
});

describe('writeRecommendations', () => {
  const histories = Array.from({ length: 1500 }, (_, n) => ({ user: `u'${n}`, items: [`i${n % 4}-${n % 10}`, 'new'] }));
  const recommend = (k: number) => model.recommendStream(histories, { k });

  test('NDJSON and Parquet hold what the stream gave', async () => {
    const folder = temporaryFolder();
    const expected: UserRecommendation[] = [];
    for await (const result of recommend(3)) expected.push(result);
    const [lines, parquet] = [join(folder, 'a', "it's.ndjson"), join(folder, "it's.parquet")];
    expect(await writeRecommendations(lines, recommend(3))).toBe(1500);
    const read = readFileSync(lines, 'utf8').trimEnd().split('\n');
    expect(read.map((line) => JSON.parse(line))).toEqual(
      expected.map(({ user, items, unknown }) => ({
        user,
        items: items.map(({ id }) => id),
        scores: items.map(({ score }) => score),
        unknown,
      })),
    );
    expect(await writeRecommendations(parquet, recommend(3))).toBe(1500);
    const rows = await duckdb(`FROM '${parquet.replace("'", "''")}'`);
    expect(rows).toEqual(
      expected.flatMap(({ user, items }) => items.map(({ id, score }, at) => [user, at + 1, id, score])),
    );
    async function* none() {}
    expect(await writeRecommendations(parquet, none())).toBe(0);
    expect(await duckdb(`SELECT count(*)::INT FROM '${parquet.replace("'", "''")}'`)).toEqual([[0]]);
    expect(readdirSync(folder).sort()).toEqual(['a', "it's.parquet"]);
  });

  test('after a failure, what was there before is there', async () => {
    const folder = temporaryFolder();
    async function* failing() {
      yield* recommend(2);
      throw new RangeError('gone');
    }
    for (const name of ['out.ndjson', 'out.parquet', 'new.ndjson', 'new.parquet']) {
      const path = join(folder, name);
      if (name.startsWith('out')) writeFileSync(path, 'precious');
      await expect(writeRecommendations(path, failing())).rejects.toThrow(new RangeError('gone'));
    }
    expect(readdirSync(folder).sort()).toEqual(['out.ndjson', 'out.parquet']);
    expect(readFileSync(join(folder, 'out.parquet'), 'utf8')).toBe('precious');
    expect(await failure('INVALID_ARGUMENT', () => writeRecommendations('out.xml', recommend(1)))).toMatch(
      /^path is 'out\.xml'; allowed: a name in \.ndjson, \.jsonl or \.csv \(these also with \.gz\) or \.parquet$/,
    );
    const row = { user: 'u', items: [{ id: 'a', score: 1 }], unknown: [], fallbackUsed: false };
    for (const [wrong, text] of [
      [{ ...row, items: undefined }, 'items of result 1 is undefined; allowed: a list, as recommendStream gives it'],
      [{ ...row, unknown: 'a' }, "unknown of result 1 is 'a'; allowed: a list"],
      [{ ...row, items: ['a'] }, "items[0] of result 1 is 'a'; allowed: { id, score }"],
      [{ ...row, items: [...row.items, { id: 'b' }] }, 'items[1] of result 1 is an object; allowed: { id, score }'],
      [null, 'user of result 1 is undefined; allowed: a string'],
    ] as const) {
      for (const name of ['w.ndjson', 'w.csv', 'w.parquet']) {
        const results = [row, wrong] as never; // a list will do
        expect(await failure('INVALID_ARGUMENT', () => writeRecommendations(join(folder, name), results))).toContain(
          text,
        );
      }
    }
    expect(readdirSync(folder).sort()).toEqual(['out.ndjson', 'out.parquet']);
    for (const none of [5, {}, null, 'text']) {
      expect(await failure('INVALID_ARGUMENT', () => writeRecommendations('w.csv', none as never))).toMatch(
        /^recommendations is .*; allowed: an async iterable of results, such as recommendStream gives$/,
      );
    }
    for (const name of ['x.ndjson', 'x.parquet']) {
      await failure('IO', () => writeRecommendations(join('/proc', name), recommend(1)));
    }
  });
});
