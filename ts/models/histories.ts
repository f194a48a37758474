/** Histories out of Parquet, CSV, JSON and SQL, and recommendations into files. */
import type { DuckDBConnection, DuckDBListValue, DuckDBValue } from '@duckdb/node-api';
import {
  checkCase,
  checkEscape,
  checkQuery,
  checkSource,
  checkType,
  createInput,
  type DuckDBOptions,
  filesOf,
  ID_TYPES,
  interruptedBy,
  isId,
  NUMBER_TYPES,
  openDuckDB,
  type Rows,
  readDuckDB,
  stream,
  subquery,
  toError,
  unmarked,
  wrongId,
} from '../data/duckdb.js';
import type { History } from '../data/interactions.js';
import { type LeftOut, leftOutOf } from '../data/left-out.js';
import { rowFiles, TEXT_OPTIONS, TIME_OPTIONS } from '../data/row-files.js';
import {
  type Files,
  filesAt,
  isOurs,
  kindOf,
  listsIn,
  type Names,
  ownFiles,
  quoteName,
  scanColumns,
} from '../data/sources.js';
import { type Cell, type Column, inPieces, writeCsv, writeParquet, writeText } from '../data/tables.js';
import { type Abortable, untilAborted } from '../runtime/abort.js';
import { checkSignal, checkString, invalid, isIterable, knownKeys } from '../runtime/check.js';
import { guard, guardAsync, RecvaeError, toJson, toRecvaeError } from '../runtime/errors.js';
import { writeAll } from '../runtime/files.js';
import { native } from '../runtime/native.js';
import type { ReadOptions } from '../runtime/options.generated.js';
import { running } from '../runtime/running.js';
import type { UserRecommendation } from './serving.js';

/** Where histories come from, and which rows count: as for {@link Interactions.fromDuckDB}, without its thresholds. */
export type HistoryOptions = Pick<
  DuckDBOptions,
  'source' | 'sql' | 'database' | 'settings' | 'user' | 'item' | 'value' | 'minValue' | 'escape'
> &
  Pick<
    ReadOptions,
    'format' | 'separator' | 'header' | 'encoding' | 'quote' | 'skipBadRows' | 'time' | 'timeUnit' | 'since' | 'until'
  >;

const KEYS = Object.keys({
  ...{ source: true, sql: true, database: true, settings: true },
  ...{ user: true, item: true, value: true, minValue: true, escape: true },
  ...{ format: true, separator: true, header: true, encoding: true, quote: true, skipBadRows: true },
  ...{ time: true, timeUnit: true, since: true, until: true },
} satisfies Record<keyof HistoryOptions, true>);

/** How histories are read, as opposed to which. */
export interface HistoryRun extends Abortable {
  /**
   * Called once with what was left out, as in {@link Interactions.leftOut}: before the first history, or, where DuckDB
   * sorts the rows, after the last one. Lists of items are never left out, and it is not called for them.
   */
  onLeftOut?: ((leftOut: LeftOut[]) => void) | undefined;
}

const RUN_KEYS = Object.keys({ signal: true, onLeftOut: true } satisfies Record<keyof HistoryRun, true>);

/** A history that was read: the texts of its ids. */
export interface ReadHistory extends History {
  /** Id of the user. */
  user: string;
  /** Ids of the user's items: of lists as they stand there, of rows without an order. */
  items: string[];
  /** In lines of `{"user", "items"}`, of which no other keys are read: the only items that may come. */
  allow?: string[];
  /** The same of items that must not come. */
  deny?: string[];
}

/**
 * Reads histories, one at a time. If the column of items holds lists, each row is a history, in the order of the rows.
 * Otherwise each row is an interaction, and histories come in the order of user ids, which DuckDB sorts, on the disk if
 * they are many; CSV, TSV and NDJSON without `sql`, plain, gzip or zstd, are read into memory first, as by
 * {@link Interactions.fromFile}. Those need no DuckDB, unless lines of NDJSON hold lists under other keys than `user`
 * and `items`; all else does. Ids may be null in no row. `sql` must be one statement.
 *
 * With one of the options of text (`format`, `separator` …) the files are read as by {@link Interactions.fromFile}, and
 * DuckDB is not needed. So are Arrow files, and, into memory, whatever `since` and `until` are asked of.
 *
 * Give the `value` and the `minValue` that the model was trained with: otherwise rows count here that were no likes
 * there. Rows below are left out as if they were not there, and so is a user without any other; `value` alone changes
 * nothing. Lists have no values.
 *
 * @throws {@link RecvaeError} as {@link Interactions.fromDuckDB}, when the first history is asked for;
 * `INVALID_ARGUMENT` for `value` with lists, and for `skipBadRows` with lists in NDJSON.
 */
export async function* readHistories(options: HistoryOptions, run: HistoryRun = {}): AsyncGenerator<ReadHistory> {
  knownKeys(options, KEYS, 'options');
  knownKeys(run, RUN_KEYS, 'run');
  const { signal, onLeftOut } = run;
  if (signal !== undefined) checkSignal(signal);
  if (onLeftOut !== undefined && typeof onLeftOut !== 'function') throw invalid('onLeftOut', onLeftOut, 'a function');
  yield* untilAborted(signal, read(options, run));
}

async function* read(options: HistoryOptions, { signal, onLeftOut }: HistoryRun): AsyncGenerator<ReadHistory> {
  const { source, sql, database, settings, ...names } = options;
  /** The histories in rows that the core has read. */
  const inMemory = function* (data: native.NativeInteractions) {
    onLeftOut?.(leftOutOf(data));
    yield* sorted(data);
  };
  const ownRows = (paths: readonly string[], how: string) =>
    running({ signal }, (run) => native.readInteractions([...paths], how, run));
  const text = TEXT_OPTIONS.find((name) => options[name] !== undefined);
  const isPlain = source !== undefined && (sql ?? database ?? settings) === undefined;
  if (text !== undefined && !isPlain) {
    throw invalid(text, options[text], 'only for files of text under source, without sql, database and settings');
  }
  const paths = source === undefined ? [] : typeof source === 'string' ? [source] : source;
  const hasTimes = TIME_OPTIONS.some((name) => options[name] !== undefined);
  if (text !== undefined || (hasTimes && isPlain && paths.every((path) => filesAt(path) !== undefined))) {
    const found = rowFiles(paths, names);
    if (text !== undefined || found.format !== undefined || found.paths.every((path) => isOurs(kindOf(path)))) {
      const how = toJson(found.format === undefined ? names : { ...names, format: found.format });
      if (
        names.skipBadRows &&
        kindOf(found.paths[0]!) === 'ndjson' &&
        (await areLists(found.paths, names.item ?? 'item'))
      ) {
        throw invalid('skipBadRows', names.skipBadRows, 'only for rows with an item each, not for lists of items');
      }
      yield* inMemory(await ownRows(found.paths, how));
      return;
    }
  }
  if (hasTimes) {
    yield* inMemory(await readDuckDB(options, signal ?? new AbortController().signal));
    return;
  }
  checkSource(options);
  const complete: Names & { minValue: number | null } = JSON.parse(
    guard(() => native.completeReadOptions(toJson(names))),
  );
  const { user, item, value = null, minValue } = complete;
  const own = isPlain ? ownFiles(paths) : undefined;
  const isLists = own?.kind === 'ndjson' && (await areLists(own.paths, item));
  if (own && !isLists) {
    yield* inMemory(await ownRows(own.paths, toJson(names)));
    return;
  }
  if (own && value === null && user === 'user' && item === 'items') {
    for (const path of own.paths) yield* linesOf(path);
    return;
  }
  const session = await openDuckDB('readHistories', { database, settings });
  const { connection, duckdb, close } = session;
  const release = interruptedBy(signal, connection);
  try {
    const files = filesOf({ source });
    checkEscape(files, complete);
    const readable = files && sql === undefined ? await unmarked(files, session) : undefined;
    if (files && readable && (await isRead(connection, readable, item))) {
      yield* inMemory(await ownRows(files.paths, toJson(names)));
      return;
    }
    let from = sql === undefined ? '' : subquery(sql);
    let [id, number] = [quoteName, quoteName];
    if (files && sql !== undefined) await createInput(session, files, complete);
    if (sql !== undefined) await checkQuery(connection, sql);
    if (readable) ({ from, id, value: number } = await scanColumns(connection, readable, complete));
    await checkCase(connection, from, [user, item, ...(value === null ? [] : [value])]);
    const columns = [user, item].map((name) => `${id(name)} AS ${quoteName(name)}`);
    if (value !== null) columns.push(`${number(value)} AS ${quoteName(value)}`);
    const select = `SELECT ${columns.join(', ')} FROM ${from}`;
    const shape = await connection.run(`${select} LIMIT 0`);
    const items = shape.columnType(1);
    const isList = items instanceof duckdb.DuckDBListType;
    checkType(user, shape.columnType(0), ID_TYPES, duckdb);
    checkType(item, isList ? items.valueType : items, ID_TYPES, duckdb);
    if (isList && value !== null) {
      throw invalid('value', value, `none for the lists in column '${item}', whose items have no values`);
    }
    if (value !== null) checkType(value, shape.columnType(2), NUMBER_TYPES, duckdb);
    const cast = (column: string, type: string) => `CAST(${quoteName(column)} AS ${type})`;
    const casts = [cast(user, 'VARCHAR'), cast(item, isList ? 'VARCHAR[]' : 'VARCHAR')];
    if (value !== null) casts.push(cast(value, 'DOUBLE'));
    const rows = `SELECT ${casts.join(', ')} FROM (${select})`;
    if (isList) yield* listed(await stream(connection, rows));
    else {
      // By bytes: a collation may take two users for one, and then they would take turns.
      const [names, by] = [['u', 'i', ...(value === null ? [] : ['v'])].join(', '), 'encode(u), encode(i)'];
      const ordered = `SELECT * FROM (${rows}) AS histories(${names}) ORDER BY ${by}`;
      yield* grouped(await stream(connection, ordered), value, minValue, onLeftOut);
    }
  } catch (thrown) {
    throw toError(thrown);
  } finally {
    release();
    close();
  }
}

/** Whether lines of JSON hold lists of items, as the first one of the first file that is not blank says. */
export async function areLists(paths: string[], item: string): Promise<boolean> {
  for (const path of paths) {
    const line = await running({}, (run) => native.firstLine(path, run));
    if (line !== null) return Array.isArray(parsed(line)?.[item]);
  }
  return false;
}

/** The object in a line of JSON, if it is one. */
export function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined; // who reads it says what is wrong
  }
}

/** The histories in lines of `{"user", "items"}`. */
async function* linesOf(path: string): AsyncGenerator<ReadHistory> {
  const lines = guard(() => new native.NativeHistories(path, new native.NativeRun()));
  for (;;) {
    const histories = await guardAsync(() => lines.next());
    if (histories.length === 0) return;
    yield* histories;
  }
}

/** Whether the core reads the files: all but lines of JSON with lists of items. */
async function isRead(connection: DuckDBConnection, files: Files, item: string): Promise<boolean> {
  if (!files.isOurs || files.kind !== 'ndjson') return files.isOurs;
  // What DuckDB does not understand, the core refuses, and it knows the line.
  return !(await listsIn(connection, files).catch(() => new Set())).has(item);
}

/** The users of a matrix in the order of their ids, as DuckDB sorts text: by the bytes of UTF-8. */
function* sorted(data: native.NativeInteractions): Generator<ReadHistory> {
  const inOrder = (ids: string[]) => ids.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const user of inOrder(data.userIds())) yield { user, items: inOrder(data.history(user) ?? []) };
}

/** Rows with the items of a user each. */
async function* listed({ chunks }: Rows): AsyncGenerator<ReadHistory> {
  let row = 0;
  for await (const chunk of chunks) {
    const [users, lists] = [chunk.getColumnValues(0), chunk.getColumnValues(1)];
    for (const [at, list] of lists.entries()) {
      const items = (list as DuckDBListValue | null)?.items;
      yield { user: idOf('user', users[at]!, row), items: (items ?? [null]).map((id) => idOf('item', id, row)) };
      row += 1;
    }
  }
}

/**
 * Rows with one item each; those of a user follow each other. With a column of values, those below the lowest do not
 * count.
 */
async function* grouped(
  { chunks }: Rows,
  value: string | null,
  minValue: number | null,
  onLeftOut: HistoryRun['onLeftOut'],
): AsyncGenerator<ReadHistory> {
  let [row, below] = [0, 0];
  let history: ReadHistory | undefined;
  for await (const chunk of chunks) {
    const [users, items] = [chunk.getColumnValues(0), chunk.getColumnValues(1)];
    const values = value === null ? undefined : chunk.getColumnValues(2);
    for (const [at, name] of users.entries()) {
      const [user, item] = [idOf('user', name, row), idOf('item', items[at]!, row)];
      const number = values && numberOf(value!, values[at]!, row);
      row += 1;
      if (number !== undefined && minValue !== null && number < minValue) {
        below += 1;
        continue;
      }
      if (history?.user === user) {
        history.items.push(item);
        continue;
      }
      if (history) yield history;
      history = { user, items: [item] };
    }
  }
  onLeftOut?.(below > 0 ? [belowMinValue(below)] : []);
  if (history) yield history;
  else if (row > 0) throw new RecvaeError('INVALID_DATA', `the values of all ${row} rows lie below minValue`);
}

function belowMinValue(rows: number): LeftOut {
  const text = `${rows === 1 ? '1 row is' : `${rows} rows are`} left out for a value below minValue`;
  return { reason: 'minValue', rows, users: 0, items: 0, interactions: 0, text };
}

function idOf(name: string, id: DuckDBValue, row: number): string {
  if (isId(id)) return id;
  const [what, allowed] = wrongId(id);
  throw bad(name, row, what, allowed);
}

function numberOf(name: string, value: DuckDBValue, row: number): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw bad(name, row, String(value), 'a finite number');
}

function bad(name: string, row: number, what: string, allowed: string): RecvaeError {
  const place = `${name} in row ${row} (after sorting, if any)`;
  return new RecvaeError('INVALID_DATA', `${place} is ${what}; allowed: ${allowed}`);
}

/** A result as a line of NDJSON. */
export function lineOf({ user, items, unknown, fallbackUsed }: UserRecommendation): string {
  return `${JSON.stringify({
    user,
    items: items.map(({ id }) => id),
    scores: items.map(({ score }) => score),
    ...(unknown.length > 0 && { unknown }),
    ...(fallbackUsed && { fallbackUsed }),
  })}\n`;
}

/**
 * Writes recommendations to a file, in bounded memory. The file appears when it is whole: it is written beside its
 * place under another name, which is removed after a failure.
 *
 * - `.ndjson` and `.jsonl`: one `{"user", "items", "scores", "unknown", "fallbackUsed"}` per line, the last two only
 *   where there are unknown ids and where popularity had a part.
 * - `.csv`: one row per item with the columns `user`, `rank` (from 1), `item` and `score`, quoted as in RFC 4180.
 * - Both with `.gz` behind it: compressed by gzip.
 * - `.parquet`, by way of DuckDB: the rows of CSV, which wait in DuckDB, on the disk where they are many
 *   (`settings.memory_limit`).
 *
 * @returns How many users there were.
 * @throws {@link RecvaeError} `INVALID_ARGUMENT` for another name or without DuckDB, `IO` if the file cannot be
 * written. What the iterable throws, it throws.
 */
export async function writeRecommendations(
  path: string,
  recommendations: AsyncIterable<UserRecommendation>,
  settings: Record<string, string> = {},
): Promise<number> {
  const write = writerFor(path);
  if (!isIterable(recommendations)) {
    throw invalid('recommendations', recommendations, 'an async iterable of results, such as recommendStream gives');
  }
  let users = 0;
  let thrown: { error: unknown } | undefined;
  async function* counted() {
    try {
      for await (const result of recommendations) {
        checkResult(result, users);
        yield result;
        users += 1;
      }
    } catch (error) {
      thrown = { error };
      throw error;
    }
  }
  try {
    await writeAll([{ path, write: (temporary) => write(temporary, counted(), settings) }]);
  } catch (error) {
    if (thrown !== undefined) throw thrown.error;
    throw toRecvaeError(error);
  }
  return users;
}

/** Fails for what is no result: else it would be written as it is. */
function checkResult(result: UserRecommendation, at: number): void {
  const { user, items, unknown } = result ?? {};
  const as = 'as recommendStream gives it';
  if (typeof user !== 'string') throw invalid(`user of result ${at}`, user, `a string, ${as}`);
  for (const [name, list] of Object.entries({ items, unknown })) {
    if (!Array.isArray(list)) throw invalid(`${name} of result ${at}`, list, `a list, ${as}`);
  }
  const wrong = items.findIndex((item) => typeof item?.id !== 'string' || typeof item.score !== 'number');
  if (wrong >= 0) throw invalid(`items[${wrong}] of result ${at}`, items[wrong], `{ id, score }, ${as}`);
}

type Write = (
  path: string,
  results: AsyncIterable<UserRecommendation>,
  settings: Record<string, string>,
) => Promise<void>;

/** What writes files of that name. */
export function writerFor(path: string, what = 'path'): Write {
  checkString(path, what);
  const [, kind, compressed] = /\.(ndjson|jsonl|csv)(\.gz)?$/i.exec(path) ?? [];
  const isCompressed = compressed !== undefined;
  if (kind?.toLowerCase() === 'csv') {
    return (path, results) => writeCsv(path, COLUMNS, rowsOf(results), isCompressed);
  }
  if (kind !== undefined) return (path, results) => writeText(path, inPieces(textsOf(results)), isCompressed);
  if (/\.parquet$/i.test(path)) {
    return (path, results, settings) => writeParquet(path, COLUMNS, rowsOf(results), settings);
  }
  throw invalid(what, path, 'a name in .ndjson, .jsonl or .csv (these also with .gz) or .parquet');
}

/** Results as tables. */
const COLUMNS: readonly Column[] = [
  { name: 'user', type: 'VARCHAR' },
  { name: 'rank', type: 'INTEGER' },
  { name: 'item', type: 'VARCHAR' },
  { name: 'score', type: 'FLOAT' },
];

/** The rows of each result. */
async function* rowsOf(results: AsyncIterable<UserRecommendation>): AsyncGenerator<Cell[][]> {
  for await (const { user, items } of results) yield items.map(({ id, score }, at) => [user, at + 1, id, score]);
}

/** Results as an Arrow stream of `user`, `items` and `scores`, a batch for each group. */
export async function* arrowOf(groups: AsyncIterable<UserRecommendation[]>): AsyncGenerator<Uint8Array> {
  yield native.arrowRecommendationsStart();
  for await (const group of groups) {
    const users = group.map(({ user }) => user);
    const found = group.flatMap(({ items }) => items);
    const offsets = new Uint32Array(group.length + 1);
    for (const [at, { items }] of group.entries()) offsets[at + 1] = offsets[at]! + items.length;
    const scores = Float32Array.from(found, ({ score }) => score);
    const ids = found.map(({ id }) => id);
    yield guard(() => native.arrowRecommendations(users, offsets, ids, scores));
  }
  yield native.arrowEnd();
}

/** The line of each result. */
async function* textsOf(results: AsyncIterable<UserRecommendation>): AsyncGenerator<string> {
  for await (const result of results) yield lineOf(result);
}
