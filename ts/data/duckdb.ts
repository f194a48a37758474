/**
 * Parquet, CSV, JSON, globs and SQL by way of DuckDB, which is loaded when it is first asked for. Rows stream out of it
 * in chunks and into the matrix; nothing else is kept here.
 */
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { types } from 'node:util';
import type {
  DuckDBConnection,
  DuckDBDataChunk,
  DuckDBListValue,
  DuckDBResult,
  DuckDBType,
  DuckDBValue,
} from '@duckdb/node-api';
import { onAbort } from '../runtime/abort.js';
import { checkObject, checkString, checkStrings, invalid } from '../runtime/check.js';
import { guard, guardAsync, RecvaeError, toJson, toRecvaeError } from '../runtime/errors.js';
import { checkRegular, remove, willRemove } from '../runtime/files.js';
import { description, native } from '../runtime/native.js';
import { absent } from '../runtime/optional.js';
import type { ReadOptions } from '../runtime/options.generated.js';
import { running } from '../runtime/running.js';
import type { ColumnNames } from './arrow.js';
import type { Batch } from './batches.js';
import { idColumn } from './ids.js';
import { TEXT_OPTIONS } from './row-files.js';
import {
  checkNames,
  type Files,
  findFiles,
  kindOf,
  type Names,
  ownFiles,
  quoteName,
  scanAll,
  scanColumns,
} from './sources.js';

export { quoteText } from './sources.js';

/** Where rows come from, by DuckDB. At least one of `source` and `sql` must be given. */
export interface DuckDBOptions extends ColumnNames {
  /**
   * Files, as paths or globs such as `likes/*.parquet`, or a folder of parts as Spark writes it: Parquet, CSV, TSV,
   * JSON or NDJSON by their names, the latter four plain or with `.gz` or `.zst`. Without `sql`, CSV, TSV and NDJSON
   * are read as by {@link Interactions.fromFile}, not by DuckDB (remote ones are): ids are text as it stands there.
   * Columns of several Parquet files are matched by name; if ids are whole numbers in one and text in another, they are
   * text. The column of items may hold lists.
   */
  source?: string | readonly string[] | undefined;
  /** As for {@link Interactions.fromFile}: how quotes are escaped in CSV. */
  escape?: NonNullable<ReadOptions['escape']> | undefined;
  /**
   * A query whose result has the columns. It sees `source` under the name `input`, with types as DuckDB finds them,
   * except that columns with the names `user` and `item` (or as these options say) are text as it stands there, and so
   * are strings in JSON. Files of text that are not well-formed are refused first. Without ORDER BY, DuckDB may hand
   * out the rows of joins and aggregates in another order each time, and users and items are numbered in that order.
   */
  sql?: string | undefined;
  /** A DuckDB database file, which is opened for reading only. Without it, a database in memory. */
  database?: string | undefined;
  /** Settings of DuckDB, such as `{ memory_limit: '4GB', threads: '2' }`. */
  settings?: Record<string, string> | undefined;
}

type DuckDB = typeof import('@duckdb/node-api');

/** Loads DuckDB. */
export function loadDuckDB(what: string): Promise<DuckDB> {
  return import(/* webpackIgnore: true */ '@duckdb/node-api').catch(absent(what, '@duckdb/node-api'));
}

/** What DuckDB says about its own options, which nobody gave. */
const ADVICE =
  /\n+(?:Possible (?:fixes|[Ss]olutions?):|See also http|You can adjust this setting|Newer DuckDB version might|Try setting 'auto_detect'|The search space)[\s\S]*$/;
/**
 * The place in the query, to which DuckDB points: of use to whoever wrote that query, and to nobody where it is one of
 * ours.
 */
const QUERY = /\n+LINE \d+:[\s\S]*$/;

/**
 * What DuckDB spills to: nobody knows it by its name, which is left out of errors. The folder around it can be chosen.
 */
const SPILL = /[/\\]recvae-duckdb-[\da-f-]{36}[^\s"']*/g;

/** Files that DuckDB reads in place of others, by their paths. */
const copies = new Map<string, string>();

/**
 * What was thrown as an error of this package. DuckDB's complaints name their kind in front. `isOwnQuery`: what failed
 * was a query of the caller's, as it was given.
 */
export function toError(thrown: unknown, isOwnQuery = false): RecvaeError {
  // DOMException is what a signal throws; it is no native error.
  if (thrown instanceof RecvaeError || !types.isNativeError(thrown)) return toRecvaeError(thrown);
  const code =
    /^(?:Failed to extract statements: )?(?:Parser|Binder|Catalog|Invalid Configuration) Error|options were not recognized/.test(
      thrown.message,
    )
      ? 'INVALID_ARGUMENT'
      : /^IO Error|Failed to create directory/.test(thrown.message)
        ? 'IO'
        : /^Out of Memory Error/.test(thrown.message)
          ? 'MEMORY'
          : 'INVALID_DATA';
  // Files of DuckDB's own mean nothing to anybody.
  const message = isOwnQuery ? thrown.message : thrown.message.replace(QUERY, '');
  let text = message.replace(ADVICE, '');
  for (const [copy, path] of copies) text = text.replaceAll(copy, path);
  text = text.replace(SPILL, '');
  return new RecvaeError(code, `DuckDB: ${text}${wayOut(thrown.message)}`, { cause: thrown });
}

/** What can be done about an error. */
function wayOut(message: string): string {
  if (/database file with version number|newer version of DuckDB/.test(message)) {
    const attach = "ATTACH 'copy.duckdb' AS copy (STORAGE_VERSION 'v1.5.0'); COPY FROM DATABASE the_old_name TO copy";
    return `; the way out: let the DuckDB that wrote it write a copy that older ones read: ${attach}`;
  }
  if (/^Out of Memory Error/.test(message)) {
    return "; the way out: more with the option settings, { memory_limit: '8GB' }, or fewer { threads: '1' }, or more room in TMPDIR";
  }
  return '';
}

/** An open database. */
interface Session {
  connection: DuckDBConnection;
  duckdb: DuckDB;
  /** For what is needed as long as it is open. */
  folder: string;
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
      for (const copy of copies.keys()) if (copy.startsWith(spill)) copies.delete(copy);
      remove(spill);
    };
    return { connection, duckdb, folder: join(spill, 'files'), close };
  } catch (thrown) {
    throw toError(thrown);
  }
}

/** The result of a query that comes in chunks. */
export interface Rows {
  result: DuckDBResult;
  chunks: AsyncGenerator<DuckDBDataChunk>;
}

/** The files, if they can be read without opening a database, which takes longer than to read small ones. */
async function ownFilesOf(what: string, options: DuckDBOptions): Promise<Files | undefined> {
  const { source, sql, database, settings } = options;
  await loadDuckDB(what);
  if (source === undefined || (sql ?? database ?? settings) !== undefined) return undefined;
  return ownFiles(typeof source === 'string' ? [source] : source);
}

/** The files of a source, if there is one. */
export function filesOf({ source }: DuckDBOptions): Files | undefined {
  return source === undefined ? undefined : findFiles(typeof source === 'string' ? [source] : source);
}

/** Fails if escapes are given for what has none. */
export function checkEscape(files: Files | undefined, { escape: escapes }: Names): void {
  if (escapes === 'quote' || files?.kind === 'csv') return;
  throw invalid('escape', escapes, `only for csv (${files ? `the format is ${files.kind}` : 'there is no source'})`);
}

/**
 * Files as DuckDB can read them: it takes the byte order mark of NDJSON, which is none to the core, for a broken line.
 */
export async function unmarked(files: Files, { folder }: Session, signal?: AbortSignal): Promise<Files> {
  if (!files.isOurs || files.kind !== 'ndjson') return files;
  const paths = await running({ signal }, (run) => native.withoutMarks(files.paths, folder, run));
  for (const [at, path] of paths.entries()) if (path !== files.paths[at]) copies.set(path, files.paths[at]!);
  return { ...files, paths };
}

/**
 * What a query sees as `input` from here on. Malformed text, in which DuckDB is not strict enough, is refused before.
 */
export async function createInput(session: Session, files: Files, names: Names, signal?: AbortSignal): Promise<void> {
  if (files.isOurs) {
    await running({ signal }, (run) => native.checkFiles(files.paths, toJson({ escape: names.escape }), run));
  }
  const { connection } = session;
  const from = await scanAll(connection, await unmarked(files, session, signal), names);
  await connection.run(`CREATE TEMP VIEW input AS SELECT * FROM ${from}`);
}

/** A query as part of another one. */
export function subquery(sql: string): string {
  return `(${sql.replace(/[;\s]+$/, '')}\n)`;
}

/**
 * Fails, with its place in the query, for what DuckDB does not understand in a query that is going to be a part of
 * another one.
 */
export async function checkQuery(connection: DuckDBConnection, sql: string): Promise<void> {
  try {
    const prepared = await connection.prepare(sql);
    prepared.destroySync();
  } catch (thrown) {
    throw toError(thrown, true);
  }
}

/** Runs a query. */
export async function stream(connection: DuckDBConnection, query: string): Promise<Rows> {
  await connection.run('BEGIN TRANSACTION');
  const result = await connection.stream(query);
  return { result, chunks: chunksOf(connection, query, result) };
}

/**
 * All chunks of a result. Where reading fails in the middle, DuckDB's client ends the result as if it were whole; but
 * the transaction is broken then, and does not run another statement.
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
    // The reason is lost. Looking at every value meets it again, in little memory, where the query fits into another
    // one.
    const look = `SELECT max(hash(COLUMNS(*))) FROM ${subquery(query)}`;
    const reason = await connection.run(look).catch((thrown: Error) => thrown);
    if (types.isNativeError(reason) && !reason.message.includes('Parser Error')) throw reason;
    throw new RecvaeError('INVALID_DATA', `DuckDB failed after about ${rows} rows, and does not say why`);
  }
}

/** Fails unless there is a source or a query, and both make sense. */
export function checkSource({ source, sql, database, settings }: DuckDBOptions): void {
  if (database !== undefined) checkDatabase(database);
  if (sql !== undefined) checkString(sql, 'sql');
  // Without comments and what ends statements.
  if (sql?.replace(/--[^\n]*|\/\*[\s\S]*?\*\/|[;\s]/g, '') === '') throw invalid('sql', sql, 'a query');
  if (source === undefined && sql === undefined) {
    if (database !== undefined) throw invalid('sql', sql, 'a query for the rows of the database');
    throw invalid('source', source, 'a file or a glob, or sql instead');
  }
  if (source !== undefined && typeof source !== 'string') checkStrings(source, 'source');
  if (source?.length === 0) throw invalid('source', source, 'at least one file');
  if (source !== undefined) checkNames(typeof source === 'string' ? [source] : source);
  if (settings !== undefined) checkObject(settings, 'settings');
}

/** Fails for a name that is no database's. */
function checkDatabase(database: unknown): void {
  checkString(database, 'database');
  const allowed = 'a database file that DuckDB wrote';
  if (database === '') throw invalid('database', database, allowed);
  if (kindOf(database) !== undefined) throw invalid('database', database, `${allowed}; files of rows go under source`);
}

/** Builds the matrix from rows that DuckDB finds. */
export async function readDuckDB(options: DuckDBOptions, signal: AbortSignal): Promise<native.NativeInteractions> {
  checkObject(options, 'options');
  const { source, sql, database, settings, ...rest } = options;
  checkSource(options);
  if ('format' in rest) throw invalid('a key of options', 'format', 'none: the names of files say it');
  const text = TEXT_OPTIONS.find((name) => (rest as ReadOptions)[name] !== undefined);
  if (text !== undefined && (sql ?? database ?? settings) !== undefined) {
    throw invalid(text, (rest as ReadOptions)[text], 'only for files of text, without sql, database and settings');
  }
  const names: Names = JSON.parse(guard(() => native.completeReadOptions(toJson(rest))));
  const { user, item } = names;
  const value = names.value ?? null;
  // The core takes one for the other.
  const time = names.part ?? names.time ?? null;
  const own = await ownFilesOf('fromDuckDB', options);
  if (own) return running({ signal }, (run) => native.readInteractions(own.paths, toJson(rest), run));
  const session = await openDuckDB('fromDuckDB', { database, settings });
  const { connection, duckdb, close } = session;
  const release = interruptedBy(signal, connection);
  try {
    signal.throwIfAborted();
    const files = filesOf(options);
    checkEscape(files, names);
    if (files?.isOurs && sql === undefined) {
      return await running({ signal }, (run) => native.readInteractions(files.paths, toJson(rest), run));
    }
    let query = sql;
    if (files && query !== undefined) await createInput(session, files, names, signal);
    if (query === undefined) {
      const scan = await scanColumns(connection, files!, names);
      await checkCase(connection, scan.from, [user, item, ...[value, time].filter((name) => name !== null)]);
      const ids = [user, item].map((name) => `${scan.id(name)} AS ${quoteName(name)}`);
      const number = value === null ? [] : [`${scan.value(value)} AS ${quoteName(value)}`];
      const moment = time === null ? [] : [`${scan.time(time)} AS ${quoteName(time)}`];
      query = `SELECT ${[...ids, ...number, ...moment].join(', ')} FROM ${scan.from}`;
    }
    // A query runs as it is: it may be several statements.
    const rows = await stream(connection, query).catch((thrown) => {
      throw toError(thrown, sql !== undefined);
    });
    const collected = guard(() => new native.NativeColumnRows(toJson(rest)));
    const columns = { user, item, value, time, isPart: names.part != null, mayBeLists: true };
    for await (const { users, items, values, times, lengths } of batches(rows, duckdb, columns, signal)) {
      const ids = [idColumn(users, 'users'), idColumn(items, 'items')] as const;
      guard(() => collected.push(...ids, values, times, lengths));
    }
    return await guardAsync(() => collected.finish());
  } catch (thrown) {
    throw toError(thrown);
  } finally {
    release();
    close();
  }
}

/** Ends the queries of a connection when the signal is aborted, until what is given back is called. */
export function interruptedBy(signal: AbortSignal | undefined, connection: DuckDBConnection): () => void {
  // An interrupt that comes between two queries is lost: it is repeated until all has ended.
  let interrupting: NodeJS.Timeout | undefined;
  const interrupt = () => {
    interrupting = setInterval(() => connection.interrupt(), 20);
  };
  const release = signal && onAbort(signal, interrupt);
  return () => {
    release?.();
    clearInterval(interrupting);
  };
}

/** Fails for names that no column has. DuckDB itself, which does not look at capitals, would take other columns. */
export async function checkCase(connection: DuckDBConnection, from: string, names: string[]): Promise<void> {
  const result = await connection.run(`SELECT * FROM ${from} LIMIT 0`);
  const there = result.columnNames();
  for (const name of names) {
    if (!there.includes(name)) columnOf(result, name);
  }
}

/** Which column of a result has a name. */
function columnOf(result: DuckDBResult, name: string): number {
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

/** Types of values. */
export const NUMBER_TYPES = { names: [...WHOLE, 'UHUGEINT', 'FLOAT', 'DOUBLE', 'DECIMAL'], text: 'numbers' } as const;

/** Types of the parts of a split. */
const PART_TYPES = { names: ['VARCHAR', 'ENUM'], text: 'text' } as const;

/** Types of times beside numbers and text: what DuckDB hands out, and how many of it are a second, 0 for days. */
const MOMENTS = {
  DATE: { field: 'days', perSecond: 0 },
  TIMESTAMP_S: { field: 'seconds', perSecond: 1 },
  TIMESTAMP_MS: { field: 'millis', perSecond: 1e3 },
  TIMESTAMP: { field: 'micros', perSecond: 1e6 },
  TIMESTAMP_TZ: { field: 'micros', perSecond: 1e6 },
  TIMESTAMP_NS: { field: 'nanos', perSecond: 1e9 },
} as const;

/** Types of times. */
const TIME_TYPES = {
  names: [...NUMBER_TYPES.names, ...PART_TYPES.names, ...(Object.keys(MOMENTS) as (keyof typeof MOMENTS)[])],
  text: 'timestamps, dates, numbers and text',
} as const;

type Types = typeof ID_TYPES | typeof NUMBER_TYPES | typeof PART_TYPES | typeof TIME_TYPES;

/** Fails for a column of another type. */
export function checkType(
  name: string,
  type: DuckDBType,
  { names, text }: Types,
  { DuckDBTypeId: types }: DuckDB,
): void {
  // JSON is text for DuckDB, with quotes around strings.
  if (type.alias !== 'JSON' && names.some((name) => types[name] === type.typeId)) return;
  // A decimal without decimals is a whole number.
  if (names === ID_TYPES.names && 'scale' in type && type.scale === 0) return;
  const message = `column '${name}' has the type ${type.alias ?? type}; allowed: ${text} (or a CAST in sql)`;
  throw new RecvaeError('INVALID_DATA', message);
}

/** Which columns of rows are taken. */
interface Wanted {
  user: string;
  item: string;
  value: string | null;
  /** Times, or the parts of a split. */
  time?: string | null;
  isPart?: boolean;
  /** Whether a row may have a list of items. */
  mayBeLists?: boolean;
}

/** Rows as columns; where items are lists, as many rows of each as it has items, but times as they are. */
interface FoundBatch extends Batch {
  users: Float64Array | string[];
  items: Float64Array | string[];
  values?: Float64Array;
  times?: native.NativeTimes;
  lengths?: Uint32Array;
}

/** Rows as batches of columns. */
export async function* batches(
  { result, chunks }: Rows,
  duckdb: DuckDB,
  { user, item, value, time = null, isPart = false, mayBeLists = false }: Wanted,
  signal: AbortSignal,
): AsyncGenerator<FoundBatch> {
  const { DuckDBTypeId: type, DuckDBListType: List } = duckdb;
  const { TINYINT, SMALLINT, INTEGER, UTINYINT, USMALLINT, UINTEGER } = type;
  const small = [TINYINT, SMALLINT, INTEGER, UTINYINT, USMALLINT, UINTEGER];
  const open = (name: string, allowed: Types, mayBeList = false) => {
    const at = columnOf(result, name);
    const whole = result.columnType(at);
    const isList = mayBeList && whole instanceof List;
    const own = isList ? whole.valueType : whole;
    checkType(name, own, allowed, duckdb);
    return { name, at, type: own.typeId, isList };
  };
  const users = open(user, ID_TYPES);
  const items = open(item, ID_TYPES, mayBeLists);
  const values = value === null ? undefined : open(value, NUMBER_TYPES);
  const times = time === null ? undefined : open(time, isPart ? PART_TYPES : TIME_TYPES);
  if (items.isList && value !== null) {
    throw invalid('value', value, `none for the lists in column '${item}', whose items have no values`);
  }
  let row = 0;
  const bad = (name: string, at: number, value: string, allowed: string) =>
    new RecvaeError('INVALID_DATA', `${name} in row ${row + at} is ${value}; allowed: ${allowed}`);
  const idsOf = ({ name, type }: { name: string; type: number }, column: DuckDBValue[], rowOf = (at: number) => at) => {
    const wrong = column.findIndex((id) => id === null || id === '' || isTooLong(id));
    if (wrong >= 0) throw bad(name, rowOf(wrong), ...wrongId(column[wrong]!));
    return small.includes(type) ? Float64Array.from(column as number[]) : column.map(String);
  };
  const numbersOf = (name: string, column: DuckDBValue[]) => {
    const numbers = Float64Array.from(column, numberOf);
    const wrong = numbers.findIndex((number) => !Number.isFinite(number));
    if (wrong >= 0) throw bad(name, wrong, column[wrong] === null ? 'null' : String(numbers[wrong]), 'a finite number');
    return numbers;
  };
  const timesOf = ({ name, type: own }: { name: string; type: number }, column: DuckDBValue[]): native.NativeTimes => {
    const missing = column.indexOf(null);
    if (missing >= 0) throw bad(name, missing, 'null', isPart ? 'a part' : 'a time');
    const moment = Object.entries(MOMENTS).find(([name]) => type[name as keyof typeof MOMENTS] === own)?.[1];
    if (moment) {
      const { field, perSecond } = moment;
      return { numbers: Float64Array.from(column, (value) => Number((value as never)[field])), perSecond };
    }
    const isText = PART_TYPES.names.some((name) => type[name] === own);
    return isText ? { text: column.map(String) } : { numbers: numbersOf(name, column) };
  };
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    const [owners, column] = [chunk.getColumnValues(users.at), chunk.getColumnValues(items.at)];
    const found: FoundBatch = { users: idsOf(users, owners), items: [] };
    if (items.isList) {
      const lists = column.map((list) => (list as DuckDBListValue | null)?.items ?? [null]);
      const rows = lists.flatMap((list, at) => list.map(() => at));
      found.items = idsOf(items, lists.flat(), (at) => rows[at]!);
      found.users = idsOf(
        users,
        rows.map((at) => owners[at]!),
      );
      found.lengths = Uint32Array.from(lists, (list) => list.length);
    } else {
      found.items = idsOf(items, column);
    }
    if (values) found.values = numbersOf(values.name, chunk.getColumnValues(values.at));
    if (times) found.times = timesOf(times, chunk.getColumnValues(times.at));
    yield found;
    row += chunk.rowCount;
  }
}

function isTooLong(id: DuckDBValue): boolean {
  // Three bytes of UTF-8 are the most that a unit of UTF-16 takes.
  const { longestId } = description;
  return typeof id === 'string' && 3 * id.length > longestId && Buffer.byteLength(id) > longestId;
}

/** What a value is that is no id, and what is allowed. */
export function wrongId(id: DuckDBValue): [string, string] {
  if (typeof id !== 'string' || id === '') return [id === null ? 'null' : 'empty', 'an id'];
  return [`${Buffer.byteLength(id)} bytes long`, `an id of at most ${description.longestId} bytes`];
}

/** Whether a text is an id. */
export function isId(id: DuckDBValue): id is string {
  return typeof id === 'string' && id !== '' && !isTooLong(id);
}

/** NaN for null. Decimals bring their own way to a double. */
function numberOf(value: DuckDBValue): number {
  if (typeof value === 'number') return value;
  if (value === null) return Number.NaN;
  return typeof value === 'object' && 'toDouble' in value ? value.toDouble() : Number(value);
}
