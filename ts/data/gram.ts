/** Gram matrices that were made elsewhere: three tables of whole numbers, in Parquet by way of DuckDB or in text. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkObject, checkString, checkStrings, invalid, knownKeys } from '../runtime/check.js';
import { guard, RecvaeError, toJson } from '../runtime/errors.js';
import { native } from '../runtime/native.js';
import { running } from '../runtime/running.js';
import { type Batch, collect } from './batches.js';
import { batches, checkCase, openDuckDB, stream, toError } from './duckdb.js';
import { findFiles, quoteName, scanColumns } from './sources.js';

/**
 * The tables of a Gram matrix: of each a file, a folder of parts, a pattern, or several files. Parquet needs the
 * package `@duckdb/node-api`; CSV, TSV and NDJSON, plain or with `.gz` or `.zst`, do not. Rows may come in any order.
 */
export interface GramSource {
  /** Columns `item` and `index`: the index of each item, each from 0 to the number of items - 1 once. */
  vocab: string | readonly string[];
  /**
   * Columns `i`, `j` and `n`: how many users have both items, `i` at most `j`, each pair once; for `i` = `j`, how many
   * have the item. Pairs that nobody has are left out.
   */
  gram: string | readonly string[];
  /**
   * Columns `name` and `n`: the number of `users` and, if it is there, that of `interactions`, distinct pairs of a user
   * and an item.
   */
  totals: string | readonly string[];
}

/** The columns of each table; a third one holds counts. */
const COLUMNS = {
  vocab: ['item', 'index'],
  gram: ['i', 'j', 'n'],
  totals: ['name', 'n'],
} as const satisfies Record<keyof GramSource, readonly string[]>;

const TABLES = Object.keys(COLUMNS) as (keyof GramSource)[];

/** The tables as the core takes them. */
export type GramTables = Record<keyof GramSource, native.NativeInteractions>;

/** Reads the tables. */
export async function readGram(source: string | GramSource, signal: AbortSignal): Promise<GramTables> {
  const paths = typeof source === 'string' ? tablesIn(source) : checked(source);
  const tables: Partial<GramTables> = {};
  for (const table of TABLES) {
    const path = paths[table];
    tables[table] = await readTable(table, typeof path === 'string' ? [path] : path, signal);
  }
  return tables as GramTables;
}

function checked(source: GramSource): GramSource {
  checkObject(source, 'source');
  knownKeys(source, TABLES, 'source');
  for (const table of TABLES) {
    const paths = source[table];
    if (typeof paths === 'string' || paths === undefined) checkString(paths, table);
    else checkStrings(paths, table);
    if (paths.length === 0) throw invalid(table, paths, 'a file, a folder of parts, a pattern, or several files');
  }
  return source;
}

/** The tables in a folder: what is called after them, with an ending or a number behind it. */
export function tablesIn(folder: string): GramSource {
  checkString(folder, 'source');
  const names = guard(() => readdirSync(folder));
  const found = (table: string) => names.filter((name) => new RegExp(`^${table}(?:[._-].*)?$`).test(name)).sort();
  const paths = Object.fromEntries(
    TABLES.map((table) => {
      const own = found(table).map((name) => join(folder, name));
      if (own.length > 0) return [table, own];
      const text = `${folder}: there is no table '${table}'; allowed: ${table}.parquet, .csv, .tsv or .ndjson (the latter three also with .gz or .zst), or a folder of such parts`;
      throw new RecvaeError('INVALID_DATA', text);
    }),
  );
  return paths as unknown as GramSource;
}

/** Reads a table: its first two columns as users and items, counts in the place of the time. */
async function readTable(
  table: keyof GramSource,
  source: readonly string[],
  signal: AbortSignal,
): Promise<native.NativeInteractions> {
  const [first, second, count] = COLUMNS[table] as readonly [string, string, string?];
  try {
    const files = findFiles(source);
    if (files.isOurs) {
      const counts = count === undefined ? {} : { time: count, timeUnit: 's' };
      const options = toJson({ user: first, item: second, ...counts });
      return await running({ signal }, (run) => native.readInteractions(files.paths, options, run));
    }
    const { connection, duckdb, close } = await openDuckDB('fromGram', {});
    try {
      const columns = { user: first, item: second, value: count ?? null };
      const scan = await scanColumns(connection, files, { ...columns, escape: 'quote' });
      await checkCase(connection, scan.from, [...COLUMNS[table]]);
      const ids = [first, second].map((name) => `${scan.id(name)} AS ${quoteName(name)}`);
      const counts = count === undefined ? [] : [`${scan.value(count)} AS ${quoteName(count)}`];
      const rows = await stream(connection, `SELECT ${[...ids, ...counts].join(', ')} FROM ${scan.from}`);
      return await collect(counted(batches(rows, duckdb, columns, signal)), undefined);
    } finally {
      close();
    }
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message } = toError(thrown);
    throw new RecvaeError(code, `${table}: ${message}`, { cause: thrown });
  }
}

async function* counted(batches: AsyncIterable<Batch>): AsyncGenerator<Batch> {
  for await (const { values, ...batch } of batches) yield { ...batch, timestamps: values };
}
