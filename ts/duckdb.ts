/**
 * Parquet, CSV, JSON, globs and SQL by way of DuckDB, which is loaded when it is first asked for. Rows stream out of it in
 * chunks and into the matrix; nothing else is kept here.
 */
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DuckDBConnection, DuckDBDataChunk, DuckDBResult, DuckDBType, DuckDBValue } from '@duckdb/node-api';
import { onAbort } from './abort.js';
import type { ColumnNames } from './arrow.js';
import { type Batch, collect } from './batches.js';
import { checkObject, checkString, checkStrings, invalid } from './check.js';
import { guard, RecvaeError, toJson, toRecvaeError } from './errors.js';
import { checkRegular, remove, willRemove } from './files.js';
import { native } from './native.js';

/** Where rows come from, by DuckDB. At least one of `source` and `sql` must be given. */
export interface DuckDBOptions extends ColumnNames {
  /**
   * Files, as paths or globs such as `likes/*.parquet`: Parquet, CSV, TSV, JSON or NDJSON by their names, the latter four
   * plain or with `.gz` or `.zst`. Ids in CSV and TSV are text as it stands there.
   */
  source?: string | string[];
  /**
   * A query whose result has the columns. It sees `source` under the name `input`, with types as DuckDB finds them. Without
   * ORDER BY, DuckDB may hand out the rows of joins and aggregates in another order each time, and users and items are
   * numbered in that order.
   */
  sql?: string;
  /** A DuckDB database file, which is opened for reading only. Without it, a database in memory. */
  database?: string;
  /** Settings of DuckDB, such as `{ memory_limit: '4GB', threads: '2' }`. */
  settings?: Record<string, string>;
}

type DuckDB = typeof import('@duckdb/node-api');

/** Loads DuckDB. */
export async function loadDuckDB(what: string): Promise<DuckDB> {
  try {
    return await import('@duckdb/node-api');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === 'ERR_MODULE_NOT_FOUND' ? 'is not installed' : `cannot be loaded (${message})`;
    const text = `${what} needs the package @duckdb/node-api, which ${why}; the way out: npm install @duckdb/node-api`;
    throw new RecvaeError('INVALID_ARGUMENT', text, { cause });
  }
}

/** A name in SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text in SQL. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The table function that reads files of these names. */
function scan(files: string[], allText: boolean): string {
  const kinds = new Set(files.map(kindOf));
  if (kinds.size !== 1) throw invalid('source', files.join(', '), 'files of one kind');
  const [kind] = kinds;
  const list = `[${files.map(quoteText).join(', ')}]`;
  return kind === 'csv' && allText ? `read_csv(${list}, all_varchar = true)` : `read_${kind}(${list})`;
}

function kindOf(file: string): 'parquet' | 'csv' | 'json' {
  const [, extension] = /\.([a-z]+)(?:\.gz|\.zst)?$/i.exec(file) ?? [];
  switch (extension?.toLowerCase()) {
    case 'parquet':
      return 'parquet';
    case 'csv':
    case 'tsv':
      return 'csv';
    case 'json':
    case 'ndjson':
    case 'jsonl':
      return 'json';
  }
  throw invalid(
    'source',
    file,
    'names in .parquet, .csv, .tsv, .json, .ndjson or .jsonl (the latter five also with .gz or .zst)',
  );
}

/** What DuckDB spills to: nobody knows it by its name, which is left out of errors. The folder around it can be chosen. */
const SPILL = /[/\\]recvae-duckdb-[\da-f-]{36}[^\s"']*/g;

/** What was thrown as an error of this package. DuckDB's complaints name their kind in front. */
export function toError(thrown: unknown): RecvaeError {
  if (thrown instanceof RecvaeError || !(thrown instanceof Error)) return toRecvaeError(thrown);
  const code =
    /^(?:Failed to extract statements: )?(?:Parser|Binder|Catalog|Invalid Configuration) Error|options were not recognized/.test(
      thrown.message,
    )
      ? 'INVALID_ARGUMENT'
      : /^IO Error|Failed to create directory/.test(thrown.message)
        ? 'IO'
        : 'INVALID_DATA';
  return new RecvaeError(code, `DuckDB: ${thrown.message.replace(SPILL, '')}`, { cause: thrown });
}

/** An open database. */
export interface Session {
  connection: DuckDBConnection;
  duckdb: DuckDB;
  /** Closes it, and removes what it spilled. */
  close: () => void;
}

/** Opens a database for `what`. What DuckDB spills goes to the system's temporary folder. */
export async function openDuckDB(
  what: string,
  { database, settings }: Pick<DuckDBOptions, 'database' | 'settings'>,
): Promise<Session> {
  if (database !== undefined) checkRegular(database);
  const duckdb = await loadDuckDB(what);
  const spill = join(tmpdir(), `recvae-duckdb-${randomUUID()}`);
  const access: Record<string, string> = database === undefined ? {} : { access_mode: 'READ_ONLY' };
  try {
    const instance = await duckdb.DuckDBInstance.create(database, { temp_directory: spill, ...access, ...settings });
    const connection = await instance.connect();
    willRemove(spill);
    const close = () => {
      connection.closeSync();
      instance.closeSync();
      remove(spill);
    };
    return { connection, duckdb, close };
  } catch (thrown) {
    throw toError(thrown);
  }
}

/** The result of a query that comes in chunks. */
export interface Rows {
  result: DuckDBResult;
  chunks: AsyncGenerator<DuckDBDataChunk>;
}

/** What a query selects from: the files; or the query, which sees them as `input` from here on. */
export async function relation(
  connection: DuckDBConnection,
  { source, sql }: Pick<DuckDBOptions, 'source' | 'sql'>,
): Promise<string> {
  const files = typeof source === 'string' ? [source] : source;
  // DuckDB looks at files more than once, and waits for ever where a pipe has nothing left.
  for (const file of files ?? []) checkRegular(file);
  if (sql === undefined) return scan(files!, true);
  if (files) await connection.run(`CREATE TEMP VIEW input AS SELECT * FROM ${scan(files, false)}`);
  return subquery(sql);
}

/** A query as part of another one. */
function subquery(sql: string): string {
  return `(${sql.replace(/[;\s]+$/, '')}\n)`;
}

/** Runs a query. */
export async function stream(connection: DuckDBConnection, query: string): Promise<Rows> {
  await connection.run('BEGIN TRANSACTION');
  const result = await connection.stream(query);
  return { result, chunks: chunksOf(connection, query, result) };
}

/**
 * All chunks of a result. Where reading fails in the middle, DuckDB's client ends the result as if it were whole; but the
 * transaction is broken then, and does not run another statement.
 */
async function* chunksOf(
  connection: DuckDBConnection,
  query: string,
  result: DuckDBResult,
): AsyncGenerator<DuckDBDataChunk> {
  let rows = 0;
  for (let chunk = await result.fetchChunk(); chunk && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
    yield chunk;
    rows += chunk.rowCount;
  }
  try {
    await connection.run('SELECT 1');
  } catch {
    await connection.run('ROLLBACK');
    // The reason is lost. Looking at every value meets it again, in little memory, where the query fits into another one.
    const look = `SELECT max(hash(COLUMNS(*))) FROM ${subquery(query)}`;
    const reason = await connection.run(look).catch((thrown: Error) => thrown);
    if (reason instanceof Error && !reason.message.includes('Parser Error')) throw reason;
    throw new RecvaeError('INVALID_DATA', `DuckDB failed after about ${rows} rows, and does not say why`);
  }
}

/** Fails unless there is a source or a query, and both make sense. */
export function checkSource({ source, sql, database, settings }: DuckDBOptions): void {
  if (source === undefined && sql === undefined) throw invalid('source', source, 'a file or a glob, or sql instead');
  if (source !== undefined && typeof source !== 'string') checkStrings(source, 'source');
  if (source?.length === 0) throw invalid('source', source, 'at least one file');
  if (source !== undefined) scan(typeof source === 'string' ? [source] : source, true);
  if (sql !== undefined) checkString(sql, 'sql');
  if (database !== undefined) checkString(database, 'database');
  if (settings !== undefined) checkObject(settings, 'settings');
}

/** Builds the matrix from rows that DuckDB finds. */
export async function readDuckDB(options: DuckDBOptions, signal: AbortSignal): Promise<native.NativeInteractions> {
  checkObject(options, 'options');
  const { source, sql, database, settings, ...rest } = options;
  checkSource(options);
  if ('format' in rest) throw invalid('a key of options', 'format', 'none: the names of files say it');
  const { user, item, value } = JSON.parse(guard(() => native.completeReadOptions(toJson(rest))));
  const { user: _, item: __, value: ___, ...kept } = rest;
  const { connection, duckdb, close } = await openDuckDB('fromDuckDB', { database, settings });
  // An interrupt that comes between two queries is lost: it is repeated until all has ended.
  let interrupting: NodeJS.Timeout | undefined;
  const release = onAbort(signal, () => {
    interrupting = setInterval(() => connection.interrupt(), 20);
  });
  try {
    signal.throwIfAborted();
    const number = value === null ? [] : [`CAST(${quoteName(value)} AS DOUBLE) AS ${quoteName(value)}`];
    const select = [quoteName(user), quoteName(item), ...number].join(', ');
    const from = await relation(connection, { source, sql });
    // A query runs as it is: it may be several statements.
    const rows = await stream(connection, sql ?? `SELECT ${select} FROM ${from}`);
    return await collect(batches(rows, duckdb, { user, item, value }, signal), kept);
  } catch (thrown) {
    throw toError(thrown);
  } finally {
    release();
    clearInterval(interrupting);
    close();
  }
}

/** Which column of a result has a name. */
export function columnOf(result: DuckDBResult, name: string): number {
  const names = result.columnNames();
  const at = names.indexOf(name);
  if (at >= 0) return at;
  const there = names.map((name) => `'${name}'`).join(', ');
  throw new RecvaeError('INVALID_DATA', `the rows have no column '${name}'; there are: ${there}`);
}

const WHOLE = [
  'TINYINT',
  'SMALLINT',
  'INTEGER',
  'BIGINT',
  'HUGEINT',
  'UTINYINT',
  'USMALLINT',
  'UINTEGER',
  'UBIGINT',
] as const;

/** Types of ids, each of whose values has one spelling. */
export const ID_TYPES = {
  names: [...WHOLE, 'UHUGEINT', 'VARCHAR', 'ENUM', 'UUID'],
  text: 'text, whole numbers, enums and UUIDs',
} as const;

const NUMBER_TYPES = { names: [...WHOLE, 'UHUGEINT', 'FLOAT', 'DOUBLE', 'DECIMAL'], text: 'numbers' } as const;

/** Fails for a column of another type. */
export function checkType(
  name: string,
  type: DuckDBType,
  { names, text }: typeof ID_TYPES | typeof NUMBER_TYPES,
  types: DuckDB['DuckDBTypeId'],
): void {
  if (names.some((name) => types[name] === type.typeId)) return;
  const message = `column '${name}' has the type ${type}; allowed: ${text} (or a CAST in sql)`;
  throw new RecvaeError('INVALID_DATA', message);
}

async function* batches(
  { result, chunks }: Rows,
  { DuckDBTypeId: type }: DuckDB,
  { user, item, value }: { user: string; item: string; value: string | null },
  signal: AbortSignal,
): AsyncGenerator<Batch> {
  const { TINYINT, SMALLINT, INTEGER, UTINYINT, USMALLINT, UINTEGER } = type;
  const small = [TINYINT, SMALLINT, INTEGER, UTINYINT, USMALLINT, UINTEGER];
  const open = (name: string, allowed: typeof ID_TYPES | typeof NUMBER_TYPES) => {
    const at = columnOf(result, name);
    checkType(name, result.columnType(at), allowed, type);
    return { name, at, type: result.columnTypeId(at) };
  };
  const users = open(user, ID_TYPES);
  const items = open(item, ID_TYPES);
  const values = value === null ? undefined : open(value, NUMBER_TYPES);
  let row = 0;
  const bad = (name: string, at: number, value: string, allowed: string) =>
    new RecvaeError('INVALID_DATA', `${name} in row ${row + at} is ${value}; allowed: ${allowed}`);
  const idsOf = ({ name, type }: { name: string; type: number }, column: DuckDBValue[]) => {
    const wrong = column.findIndex((id) => id === null || id === '');
    if (wrong >= 0) throw bad(name, wrong, column[wrong] === null ? 'null' : 'empty', 'an id');
    return small.includes(type) ? Float64Array.from(column as number[]) : column.map(String);
  };
  const numbersOf = (name: string, column: DuckDBValue[]) => {
    const numbers = Float64Array.from(column, numberOf);
    const wrong = numbers.findIndex(Number.isNaN);
    if (wrong >= 0) throw bad(name, wrong, column[wrong] === null ? 'null' : 'NaN', 'a number');
    return numbers;
  };
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    yield {
      users: idsOf(users, chunk.getColumnValues(users.at)),
      items: idsOf(items, chunk.getColumnValues(items.at)),
      values: values && numbersOf(values.name, chunk.getColumnValues(values.at)),
    };
    row += chunk.rowCount;
  }
}

/** NaN for null. Decimals bring their own way to a double. */
function numberOf(value: DuckDBValue): number {
  if (typeof value === 'number') return value;
  if (value === null) return Number.NaN;
  return typeof value === 'object' && 'toDouble' in value ? value.toDouble() : Number(value);
}
