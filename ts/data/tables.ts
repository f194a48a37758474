/** Tables into files: CSV, plain or compressed by gzip, and Parquet by way of DuckDB. */
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { openDuckDB, quoteText, toError } from './duckdb.js';
import { quoteName } from './sources.js';

/** A column of a table, by DuckDB's name of its type. */
export interface Column {
  name: string;
  type: 'VARCHAR' | 'INTEGER' | 'FLOAT' | 'DOUBLE';
}

/** What a cell holds. */
export type Cell = string | number;

/** Rows in the groups in which they come. */
type RowGroups = AsyncIterable<Cell[][]> | Iterable<Cell[][]>;

/** Characters that are written at once. */
const PIECE = 1 << 16;

/** Texts in pieces that are worth writing. */
export async function* inPieces(texts: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string> {
  let held = '';
  for await (const text of texts) {
    held += text;
    if (held.length < PIECE) continue;
    yield held;
    held = '';
  }
  yield held;
}

/** Writes text to a file, at the pace at which the file takes it. */
export async function writeText(path: string, texts: AsyncIterable<string>, compressed: boolean): Promise<void> {
  // A stream by its path could create the file after the results have failed and it has been removed.
  const file = (await open(path, 'w')).createWriteStream();
  if (compressed) await pipeline(texts, createGzip(), file);
  else await pipeline(texts, file);
}

/** A field of CSV. */
function field(cell: Cell): string {
  const text = String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Writes a table as CSV, quoted as in RFC 4180. */
export async function writeCsv(
  path: string,
  columns: readonly Column[],
  groups: RowGroups,
  compressed: boolean,
): Promise<void> {
  async function* lines() {
    yield `${columns.map(({ name }) => field(name)).join(',')}\n`;
    for await (const rows of groups) yield rows.map((row) => `${row.map(field).join(',')}\n`).join('');
  }
  await writeText(path, inPieces(lines()), compressed);
}

/** DuckDB's own limit is most of the machine. */
const MEMORY = '512MB';

/** Writes a table as Parquet. The rows wait in DuckDB, on the disk where they are many. */
export async function writeParquet(
  path: string,
  columns: readonly Column[],
  groups: RowGroups,
  settings: Record<string, string> = {},
): Promise<void> {
  const { connection, duckdb, close } = await openDuckDB('Parquet', {
    settings: { memory_limit: MEMORY, ...settings },
  });
  const types = columns.map(({ type }) => duckdb[type]);
  const call = async <T>(work: () => Promise<T> | T) => {
    try {
      return await work();
    } catch (thrown) {
      throw toError(thrown);
    }
  };
  try {
    const declared = columns.map(({ name, type }) => `${quoteName(name)} ${type}`).join(', ');
    await call(() => connection.run(`CREATE TABLE results (${declared})`));
    const appender = await connection.createAppender('results');
    const size = duckdb.DuckDBVector.standardSize();
    let held: Cell[][] = columns.map(() => []);
    const append = () => {
      const chunk = duckdb.DuckDBDataChunk.create(types, held[0]!.length);
      chunk.setColumns(held);
      appender.appendDataChunk(chunk);
      held = columns.map(() => []);
    };
    for await (const rows of groups) {
      for (const row of rows) {
        for (const [column, cell] of row.entries()) held[column]!.push(cell);
        if (held[0]!.length === size) await call(append);
      }
    }
    await call(async () => {
      append();
      appender.closeSync();
      await connection.run(`COPY results TO ${quoteText(path)} (FORMAT parquet, USE_TMP_FILE false)`);
    });
  } finally {
    close();
  }
}
