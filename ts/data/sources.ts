/**
 * The files behind `source`, and how DuckDB is made to read them. Text files without a query are read by the core, so
 * that they hold the same by every way in; where DuckDB reads them, it is told the dialect and the types and guesses
 * neither.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { invalid } from '../runtime/check.js';
import { RecvaeError } from '../runtime/errors.js';
import { checkRegular } from '../runtime/files.js';
import { description } from '../runtime/native.js';
import type { ReadOptions } from '../runtime/options.generated.js';
import { expand, isPattern } from './glob.js';

type Kind = 'parquet' | 'csv' | 'tsv' | 'ndjson' | 'json' | 'arrow';

/** Files of one kind. */
export interface Files {
  kind: Kind;
  paths: string[];
  /** Whether the core can read them: files of text and Arrow that are here. */
  isOurs: boolean;
}

/** The names of columns that a source is asked for. */
export interface Names {
  user: string;
  item: string;
  value?: string | null | undefined;
  time?: string | null | undefined;
  part?: string | null | undefined;
  escape: NonNullable<ReadOptions['escape']>;
}

/** A name in SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text in SQL. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** What files hold, by the ends of their names. */
const KINDS: ReadonlyMap<string, Kind> = new Map([
  ['parquet', 'parquet'],
  ['csv', 'csv'],
  ['tsv', 'tsv'],
  ['json', 'json'],
  ['ndjson', 'ndjson'],
  ['jsonl', 'ndjson'],
  ['arrow', 'arrow'],
  ['arrows', 'arrow'],
  ['feather', 'arrow'],
  ['ipc', 'arrow'],
]);

/** What a file or a folder of parts holds, as its name says. Parquet is compressed within, and never as a whole. */
export function kindOf(path: string): Kind | undefined {
  const [, ending, compressed] = /\.([a-z]+)(\.gz|\.zst)?\/*$/i.exec(path) ?? [];
  const kind = KINDS.get(ending?.toLowerCase() ?? '');
  return kind === 'parquet' && compressed !== undefined ? undefined : kind;
}

/** Whether a name is that of a DuckDB database. */
export function isDatabase(path: string): boolean {
  return /\.(?:duckdb|db)$/i.test(path);
}

/** Names that say what is in a file. */
export const NAMES =
  'names in .parquet, .csv, .tsv, .json, .ndjson, .jsonl, .arrow, .arrows, .feather or .ipc (all but the first also with .gz or .zst)';

/** The kind of all these files. */
function oneKind(files: string[], what: string): Kind {
  const kinds = new Set(
    files.map((file) => {
      const kind = kindOf(file);
      const also = isDatabase(file) ? '; a database goes under database, beside sql' : '';
      if (kind === undefined) throw invalid(what, file, `${NAMES}${also}`);
      return kind;
    }),
  );
  // Lines of JSON may have either name.
  if (kinds.size === 2 && kinds.has('json') && kinds.has('ndjson')) return 'json';
  if (kinds.size !== 1) throw invalid(what, files.slice(0, 5).join(', '), 'files of one kind');
  return [...kinds][0]!;
}

/** Whether the core reads files of a kind. */
export function isOurs(kind: Kind | undefined): boolean {
  return kind === 'csv' || kind === 'tsv' || kind === 'ndjson' || kind === 'arrow';
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/**
 * The files of a folder that programs such as Spark write in parts: not the hidden ones, nor those with `_` in front.
 */
function partsOf(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !/^[._]/.test(name));
  const names = entries.map(({ name }) => join(folder, name)).sort((a, b) => (a < b ? -1 : 1));
  return names.flatMap((path) => (isFolder(path) ? partsOf(path) : [path]));
}

/** Whether a folder holds the rows of one table, in parts: it has the name of a file, or what programs leave in it. */
export function isTable(folder: string): boolean {
  return kindOf(folder) !== undefined || statSync(join(folder, '_SUCCESS'), { throwIfNoEntry: false }) !== undefined;
}

/** Fails unless the names say one kind. */
export function checkNames(source: readonly string[]): void {
  const files = source.filter((path) => kindOf(path) !== undefined || !isFolder(path));
  if (files.length > 0) oneKind(files, 'source');
}

/** The files behind a path, a folder or a pattern; `undefined` if there are none. */
export function filesAt(path: string): string[] | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat && isPattern(path) && !path.includes('://')) {
    const found = expand(path);
    return found.length > 0 ? found : undefined;
  }
  if (!stat?.isDirectory()) return stat && [path];
  const parts = partsOf(path);
  if (parts.length === 0) throw new RecvaeError('INVALID_DATA', `${path}: there is no file in this folder`);
  return parts;
}

/** The files, if DuckDB is not needed to find and to read them. */
export function ownFiles(source: readonly string[]): Files | undefined {
  // The name of one file that DuckDB is not needed for is not what DuckDB would look for elsewhere: whoever reads it
  // says that it is missing.
  const isOne = (path: string) => isOurs(kindOf(path)) && !isPattern(path) && !path.includes('://');
  const found = source.map((path) => filesAt(path) ?? (isOne(path) ? [path] : undefined));
  if (found.includes(undefined)) return undefined;
  const files = filesOf(source, found.flat() as string[], true);
  return files.isOurs ? files : undefined;
}

/** The files that are there: of folders their parts, of globs what they match. */
export function findFiles(source: readonly string[]): Files {
  const paths: string[] = [];
  let areHere = true;
  for (const path of source) {
    const found = filesAt(path) ?? [];
    // What is not here may be elsewhere; if it is not, DuckDB says so.
    if (found.length === 0) areHere = false;
    paths.push(...(found.length > 0 ? found : [path]));
  }
  return filesOf(source, paths, areHere);
}

function filesOf(source: readonly string[], paths: string[], areHere: boolean): Files {
  // Files are looked at more than once, and whoever reads a pipe with nothing left waits for ever.
  for (const path of paths) checkRegular(path);
  const kind = oneKind(paths, source.length === 1 && isFolder(source[0]!) ? `a file in ${source[0]}` : 'source');
  return { kind, paths, isOurs: isOurs(kind) && areHere };
}

/** What DuckDB reads files with; each of `columns` as SQL that gives ids as text, and values as they are. */
interface Scan {
  from: string;
  /** SQL for the column of that name, for ids and for values. */
  id: (name: string) => string;
  value: (name: string) => string;
  /** The same for times and parts, as they are or as text. */
  time: (name: string) => string;
}

/** How DuckDB reads the columns of ids and values, and nothing else needs to be known of the files. */
export async function scanColumns(
  connection: DuckDBConnection,
  files: Files,
  { user, item, value, time, part, escape: escapes }: Names,
): Promise<Scan> {
  refuseArrow(files);
  const plain = { id: quoteName, value: (name: string) => `CAST(${quoteName(name)} AS DOUBLE)`, time: quoteName };
  switch (files.kind) {
    case 'parquet':
      await refuseDrift(connection, files, [user, item]);
      // Names of folders (user=007/) are text, too.
      return { ...plain, from: parquet(files, ', hive_types_autocast = false') };
    case 'csv':
    case 'tsv':
      return { ...plain, id: oneLine, from: delimited(files, escapes, 'all_varchar = true') };
  }
  const lists = await listsIn(connection, files);
  const types = [user, item, value ?? user, part ?? time ?? user].map(
    (name) => [name, lists.has(name) ? 'JSON[]' : 'JSON'] as const,
  );
  return {
    from: json(files, new Map(types)),
    id: (name) => (lists.has(name) ? jsonIds(name) : jsonId(quoteName(name), name)),
    value: (name) => jsonNumber(name),
    // Text without its quotes, or the digits of a number, both of which the core reads.
    time: (name) => `${quoteName(name)}->>'$'`,
  };
}

/**
 * Files as a query sees them: with types as DuckDB finds them, but the dialect as it is, columns with the names of the
 * ids as text, and strings of JSON as strings.
 */
export async function scanAll(
  connection: DuckDBConnection,
  files: Files,
  { user, item, escape: escapes }: Names,
): Promise<string> {
  refuseArrow(files);
  const ids = [user, item];
  const namesOf = async (from: string) => (await connection.run(`SELECT * FROM ${from} LIMIT 0`)).columnNames();
  switch (files.kind) {
    case 'parquet':
      await refuseDrift(connection, files, ids);
      return parquet(files, '');
    case 'csv':
    case 'tsv': {
      await refuseBlanks(connection, files, escapes);
      const there = await namesOf(delimited(files, escapes, 'all_varchar = true'));
      const texts = ids.filter((id) => there.includes(id));
      if (texts.length === 0) return delimited(files, escapes, '');
      const types = texts.map((id) => `${quoteText(id)}: 'VARCHAR'`).join(', ');
      const replaced = texts.map((id) => `${oneLine(id)} AS ${quoteName(id)}`).join(', ');
      return `(SELECT * REPLACE (${replaced}) FROM ${delimited(files, escapes, `types = {${types}}`)})`;
    }
  }
  const types = await typesIn(connection, files);
  const lists = new Set([...types].filter(([, type]) => type.endsWith('[]')).map(([name]) => name));
  const there = ids.filter((id) => types.has(id));
  for (const [name, type] of types) types.set(name, stringsIn(type));
  for (const id of there) types.set(id, lists.has(id) ? 'JSON[]' : 'JSON');
  const replaced = there.map((id) => {
    return `${lists.has(id) ? jsonIds(id) : jsonId(quoteName(id), id)} AS ${quoteName(id)}`;
  });
  const star = replaced.length > 0 ? `* REPLACE (${replaced.join(', ')})` : '*';
  return `(SELECT ${star} FROM ${json(files, types)})`;
}

/** Fails for files that DuckDB does not read. */
function refuseArrow({ kind, paths }: Files): void {
  if (kind !== 'arrow') return;
  throw invalid(
    'source',
    paths.slice(0, 5).join(', '),
    'files of Arrow that are here, without sql, which DuckDB does not read',
  );
}

function listOf(paths: string[]): string {
  return `[${paths.map(quoteText).join(', ')}]`;
}

function parquet({ paths }: Files, options: string): string {
  // By default the types of the first file are forced on all: '007' becomes 7.
  return `read_parquet(${listOf(paths)}, union_by_name = true${options})`;
}

function delimited({ kind, paths }: Files, escapes: Names['escape'], types: string): string {
  const quotes = kind === 'tsv' ? ['', ''] : ['"', escapes === 'backslash' ? '\\' : '"'];
  const options = [
    `delim = ${quoteText(kind === 'tsv' ? '\t' : ',')}`,
    `quote = ${quoteText(quotes[0]!)}`,
    `escape = ${quoteText(quotes[1]!)}`,
    "header = true, skip = 0, comment = '', nullstr = '', strict_mode = true, null_padding = false, union_by_name = true",
    `max_line_size = ${description.longestRow}`,
    ...(types === '' ? [] : [types]),
  ];
  return `read_csv(${listOf(paths)}, ${options.join(', ')})`;
}

/**
 * Fails for headers in which DuckDB, which cuts off the blanks around a name, would find a column under another name
 * than there.
 */
async function refuseBlanks(connection: DuckDBConnection, files: Files, escapes: Names['escape']): Promise<void> {
  for (const path of files.paths) {
    const rows = delimited({ ...files, paths: [path] }, escapes, 'all_varchar = true').replace(
      'header = true',
      'header = false',
    );
    const [header] = (await connection.runAndReadAll(`SELECT * FROM ${rows} LIMIT 1`)).getRows();
    const name = header?.map(String).find((name) => name !== name.trim());
    if (name === undefined) continue;
    const text = `${path}:1: the column '${name}' has blanks around its name; allowed: none with sql`;
    throw new RecvaeError('INVALID_DATA', text);
  }
}

/** An id of a table, which ends where its line ends. */
function oneLine(name: string): string {
  const column = quoteName(name);
  const wrong = quoteText(`${name} runs over the end of a line; allowed: an id within a line`);
  return `CASE WHEN contains(${column}, chr(10)) THEN error(${wrong}) ELSE ${column} END`;
}

function json({ kind, paths }: Files, types: Map<string, string>): string {
  const columns = [...types].map(([name, type]) => `${quoteText(name)}: ${quoteText(type)}`).join(', ');
  return readJson(kind, paths, `columns = {${columns}}`);
}

function readJson(kind: Kind, paths: string[], more: string): string {
  const format = kind === 'ndjson' ? 'newline_delimited' : 'auto';
  const limit = `maximum_object_size = ${description.longestRow}`;
  return `read_json(${listOf(paths)}, format = '${format}', ${limit}, ${more})`;
}

/** Names and types of the columns, as DuckDB finds them. */
async function typesIn(connection: DuckDBConnection, { kind, paths }: Files): Promise<Map<string, string>> {
  const read = readJson(kind, paths, 'union_by_name = true');
  const rows = await connection.runAndReadAll(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${read})`);
  return new Map(rows.getRows().map(([name, type]) => [String(name), String(type)]));
}

/** Columns that hold lists. */
export async function listsIn(connection: DuckDBConnection, files: Files): Promise<Set<string>> {
  const types = await typesIn(connection, files);
  return new Set([...types].filter(([, type]) => type.endsWith('[]')).map(([name]) => name));
}

/**
 * The type with strings as they stand there: DuckDB takes those that look like dates and UUIDs for such, and writes
 * them anew.
 */
function stringsIn(type: string): string {
  if (type === 'JSON') return 'VARCHAR'; // strings and numbers, mixed: text without quotes
  return type.replace(/"(?:[^"]|"")*"|\b(?:UUID|DATE|TIME|TIMESTAMP(?: WITH TIME ZONE)?)\b/g, (word) =>
    word.startsWith('"') ? word : 'VARCHAR',
  );
}

/** An id in JSON: a string, or the digits of a whole number. */
function jsonId(column: string, name: string): string {
  const text = `CAST(${column} AS VARCHAR)`;
  const wrong = quoteText(`${name} is `);
  return `CASE json_type(${column}) WHEN 'VARCHAR' THEN ${column}->>'$'
    ELSE CASE WHEN ${column} IS NULL OR regexp_full_match(${text}, '-?[0-9]+') THEN ${text}
    ELSE error(${wrong} || ${text}[:80] || '; allowed: a string or a whole number') END END`;
}

function jsonIds(name: string): string {
  return `list_transform(${quoteName(name)}, lambda id: ${jsonId('id', name)})`;
}

function jsonNumber(name: string): string {
  const column = quoteName(name);
  const text = `CAST(${column} AS VARCHAR)`;
  return `CASE WHEN ${column} IS NULL OR json_type(${column}) NOT IN ('VARCHAR', 'BOOLEAN', 'OBJECT', 'ARRAY', 'NULL')
    THEN CAST(${text} AS DOUBLE) ELSE error(${quoteText(`${name} is `)} || ${text}[:80] || '; allowed: a number') END`;
}

/** Fails if a column has types in several Parquet files whose values do not stand for the same text. */
async function refuseDrift(connection: DuckDBConnection, { paths }: Files, names: string[]): Promise<void> {
  if (paths.length === 1 && !/[*?[]|:\/\//.test(paths[0]!)) return;
  const types = `SELECT DISTINCT name, coalesce(logical_type, converted_type, type), type, coalesce(converted_type, '')
    FROM parquet_schema(${listOf(paths)}) WHERE name IN (${names.map(quoteText).join(', ')}) AND type IS NOT NULL ORDER BY ALL`;
  const rows = (await connection.runAndReadAll(types)).getRows().map((row) => row.map(String));
  for (const name of names) {
    const found = rows.filter(([column]) => column === name);
    const isText = ([, , type]: string[]) => type === 'BYTE_ARRAY';
    const isWhole = ([, logical, type, converted]: string[]) =>
      /^INT(?:32|64)$/.test(type!) && (/^U?INT_\d+$/.test(converted!) || /^Int|^INT/.test(logical!));
    if (found.length <= 1 || found.every((row) => isText(row) || isWhole(row))) continue;
    const there = [...new Set(found.map(([, logical]) => logical))].join(', ');
    throw new RecvaeError(
      'INVALID_DATA',
      `column '${name}' has several types in the files: ${there}; allowed: one type, or text and whole numbers`,
    );
  }
}
