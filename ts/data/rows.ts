/**
 * Rows as the drivers of databases and queues hand them out, one at a time or some at once: gathered into columns on
 * their way into the core, and their source closed whatever happens.
 */
import { setImmediate } from 'node:timers/promises';
import { openIterator, unlessAborted } from '../runtime/abort.js';
import { invalid, knownKeys } from '../runtime/check.js';
import { guard, guardAsync, RecvaeError, toJson } from '../runtime/errors.js';
import { native } from '../runtime/native.js';
import type { Thresholds } from '../runtime/options.generated.js';
import { idOf, textOf } from './ids.js';

/** A row: an object with columns by name, or an array with columns by position. */
export type Row = object | readonly unknown[];

/** A cursor of `pg-cursor`, or what has its methods: it is read until there are no rows left, and then closed. */
export interface RowCursor {
  /** As many rows as that at most; none at the end. */
  read(rows: number): Promise<readonly Row[]>;
  /** Called once, at the end and after a failure. */
  close(): unknown;
}

/**
 * What hands out rows: a stream of a driver (`pg-query-stream`, `mysql2`), an iterator (`node:sqlite`,
 * `better-sqlite3`), a cursor.
 */
export type Rows = Iterable<Row> | AsyncIterable<Row> | RowCursor;

/** A column: its name, or its position in rows that are arrays. */
export type RowColumn = string | number;

/** Which columns hold what, and which rows count: what {@link Interactions.fromRows} takes beside the rows. */
export interface RowOptions extends Thresholds {
  /** Column of the user ids; `'user'` by default. */
  user?: RowColumn | undefined;
  /** Column of the item ids; `'item'` by default. */
  item?: RowColumn | undefined;
  /**
   * Column of a number, such as a rating, that every row must have: a number, a bigint or the text of a number, as
   * drivers give `NUMERIC`. It changes nothing without `minValue` or `weighted`.
   */
  value?: RowColumn | undefined;
  /**
   * Column of a time that every row must have: a `Date` in all rows, which counts as its seconds since 1970, or in all
   * rows a number, a bigint or the text of a number in a unit that they share. Splits by time and of the newest items
   * use it, and `since` and `until`.
   */
  timestamp?: RowColumn | undefined;
  /** Rows with a lower value are left out. Only with `value`. */
  minValue?: number | undefined;
  /**
   * Whether the value of a row, above 0, says how much it counts, as a number of plays does: iALS takes it for a
   * confidence, and other models count every row alike. The values of a pair of user and item are added up. Only with
   * `value`.
   */
  weighted?: boolean | undefined;
  /**
   * Rows with an earlier timestamp are left out: a `Date` where the timestamps are, else a number in their unit. Only
   * with `timestamp`.
   */
  since?: number | Date | undefined;
  /** Rows with this timestamp or a later one are left out; given like `since`. Only with `timestamp`. */
  until?: number | Date | undefined;
}

const KEYS = Object.keys({
  ...{ user: true, item: true, value: true, timestamp: true, minValue: true, weighted: true },
  ...{ since: true, until: true },
  ...{ minUser: true, minItem: true },
} satisfies Record<keyof RowOptions, true>);

/** Rows that are gathered before the core takes them, and the event loop gets its turn. */
const GATHERED = 4096;

/** Takes rows, and closes their source at the end, after a failure and after an abort. */
export async function collectRows(
  rows: Rows,
  options: RowOptions = {},
  signal: AbortSignal,
): Promise<native.NativeInteractions> {
  const { columns, filter } = checked(options);
  const collected = guard(() => new native.NativeBatches(toJson(filter)));
  const source = Source.of(rows);
  let first = 0;
  try {
    for (;;) {
      const gathered = await unlessAborted(signal, source.take(GATHERED));
      if (gathered.length === 0) break;
      const batch = columns.map(({ cell, ...column }) =>
        gathered.map((row, at) => cell(found(row, column, first + at), column.name, first + at)),
      );
      const [users, items] = batch.slice(0, 2) as [string[], string[]];
      const [values, timestamps] = ['value', 'timestamp'].map((name) => {
        const at = columns.findIndex((column) => column.name === name);
        return at < 0 ? undefined : Float64Array.from(batch[at] as number[]);
      });
      guard(() => collected.push({ text: users }, { text: items }, values, timestamps, first));
      first += gathered.length;
      // Iterators that never wait would keep the event loop waiting.
      await unlessAborted(signal, setImmediate());
    }
  } finally {
    await source.close();
  }
  return guardAsync(() => collected.finish());
}

/** A column of the rows, what it is for, and what makes its cells what the core takes. */
interface Wanted {
  name: 'user' | 'item' | 'value' | 'timestamp';
  column: RowColumn;
  cell: (cell: unknown, name: string, row: number) => string | number;
}

function checked(options: RowOptions): { columns: Wanted[]; filter: object } {
  knownKeys(options, KEYS, 'options');
  const { user, item, value, timestamp, since, until, minValue, weighted, ...thresholds } = options;
  for (const [name, column] of Object.entries({ user, item, value, timestamp })) {
    const isPosition = typeof column === 'number' && Number.isSafeInteger(column) && column >= 0;
    if (column === undefined || typeof column === 'string' || isPosition) continue;
    throw invalid(name, column, 'the name of a column, or its position from 0');
  }
  // Defaults and what contradicts itself are the core's to say, as for files.
  const named = { user, item, value, timestamp };
  const texts = Object.fromEntries(
    Object.entries(named).flatMap(([name, column]) => (column === undefined ? [] : [[name, String(column)]])),
  );
  const { timestamp: time, ...read } = texts;
  const complete = JSON.parse(guard(() => native.completeReadOptions(toJson({ ...read, minValue, weighted }))));
  if (time !== undefined && [complete.user, complete.item].includes(time)) {
    throw invalid('timestamp', time, 'a column other than user and item');
  }
  for (const [name, bound] of Object.entries({ since, until })) {
    if (bound === undefined || timestamp !== undefined) continue;
    throw invalid(name, bound, 'only with the option timestamp, which names its column');
  }
  const columns: Wanted[] = [
    { name: 'user', column: user ?? complete.user, cell: idCell },
    { name: 'item', column: item ?? complete.item, cell: idCell },
  ];
  if (value !== undefined) columns.push({ name: 'value', column: value, cell: numberCell });
  const times = new Times();
  const bounds = { since: times.bound(since, 'since'), until: times.bound(until, 'until') };
  if (timestamp !== undefined) {
    columns.push({ name: 'timestamp', column: timestamp, cell: (cell, name, row) => times.cell(cell, name, row) });
  }
  const filter = { ...thresholds, minValue, weighted, ...bounds };
  return { columns, filter };
}

/**
 * Times as numbers: dates as seconds since 1970, which a split's `testSince` counts too. Numbers have a unit that
 * nobody has named, so that a number beside a date is refused.
 */
class Times {
  /** What came first, and what it was. */
  #first: { isDate: boolean; name: string } | undefined;

  /** A bound that may be missing. */
  bound(bound: number | Date | undefined, name: string): number | undefined {
    if (bound === undefined) return undefined;
    if (isDate(bound)) return this.#date(bound, name, 'a number or a date');
    if (typeof bound !== 'number') throw invalid(name, bound, 'a number or a date');
    this.#alike(bound, name, false);
    return bound;
  }

  /** The time of a row. */
  cell(cell: unknown, name: string, row: number): number {
    const of = `${name} of row ${row}`;
    if (isDate(cell)) return this.#date(cell, of, 'a date that there is');
    let number: number;
    try {
      number = numberCell(cell, name, row);
    } catch {
      throw invalid(of, cell, 'a Date, a number or the text of one');
    }
    this.#alike(cell, of, false);
    return number;
  }

  #date(date: Date, name: string, allowed: string): number {
    if (Number.isNaN(date.getTime())) throw invalid(name, 'Invalid Date', allowed);
    this.#alike(date, name, true);
    return date.getTime() / 1000;
  }

  #alike(value: unknown, name: string, isDate: boolean): void {
    this.#first ??= { isDate, name };
    if (this.#first.isDate === isDate) return;
    const allowed = this.#first.isDate ? 'a Date' : 'a number';
    const got = isDate ? (value as Date).toISOString() : value;
    throw invalid(name, got, `${allowed}, as ${this.#first.name} is one: numbers may count in any unit`);
  }
}

/** Also a date of another realm. */
function isDate(value: unknown): value is Date {
  return Object.prototype.toString.call(value) === '[object Date]';
}

/** The cell of a row in a column. */
function found(row: Row, { name, column }: { name: string; column: RowColumn }, number: number): unknown {
  if (typeof row !== 'object' || row === null) throw invalid(`row ${number}`, row, 'an object or an array');
  const cell = (row as Record<RowColumn, unknown>)[column];
  if (cell !== undefined) return cell;
  const there = Object.keys(row).slice(0, 20).join(', ') || 'none';
  const text = `row ${number} has no column ${JSON.stringify(column)} for the ${name}; its columns are: ${there}`;
  throw new RecvaeError('INVALID_DATA', text);
}

function idCell(cell: unknown, name: string, row: number): string {
  return textOf(cell) ?? idOf(cell as string, `${name} of row ${row}`);
}

/** A number in decimal digits, as databases write exact numbers. `Number` alone takes `''` for 0 and `0x10` for 16. */
const NUMERIC = /^\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*$/;

/** Infinite and missing numbers are the core's to refuse. */
function numberCell(cell: unknown, name: string, row: number): number {
  if (typeof cell === 'number') return cell;
  if (typeof cell === 'bigint') return Number(cell);
  if (typeof cell === 'string' && NUMERIC.test(cell)) return Number(cell);
  throw invalid(`${name} of row ${row}`, cell, 'a number or the text of one');
}

/** What rows are taken from. */
abstract class Source {
  /** Whether an answer is awaited. */
  protected asked = false;
  /** Whether there is nothing left to close: the source has ended, or has thrown. */
  protected ended = false;

  static of(rows: Rows): Source {
    const given = rows as Partial<Iterable<Row> & AsyncIterable<Row> & RowCursor> | null | undefined;
    if (typeof given === 'object' && given !== null) {
      if (typeof given[Symbol.asyncIterator] === 'function') return new Asked(given as AsyncIterable<Row>);
      if (typeof given[Symbol.iterator] === 'function') return new Iterated(given as Iterable<Row>);
      if (typeof given.read === 'function' && typeof given.close === 'function') return new Read(given as RowCursor);
    }
    throw invalid('rows', rows, 'an iterable of rows, or a cursor with read and close');
  }

  /** As many rows as that, or as there are left; none at the end. */
  async take(count: number): Promise<readonly Row[]> {
    if (this.ended) return [];
    this.asked = true;
    try {
      return await this.rows(count);
    } catch (error) {
      this.ended = true;
      throw error;
    } finally {
      this.asked = false;
    }
  }

  protected abstract rows(count: number): Promise<readonly Row[]>;

  /**
   * Lets the source clean up, without waiting for one that does not answer. What it throws then is less than what
   * stopped it.
   */
  abstract close(): Promise<void>;
}

/** An iterator that answers at once. */
class Iterated extends Source {
  readonly #iterator: Iterator<Row>;

  constructor(rows: Iterable<Row>) {
    super();
    this.#iterator = rows[Symbol.iterator]();
  }

  protected async rows(count: number): Promise<readonly Row[]> {
    const taken: Row[] = [];
    while (taken.length < count) {
      const { done, value } = this.#iterator.next();
      if (done) {
        this.ended = true;
        break;
      }
      taken.push(value);
    }
    return taken;
  }

  async close(): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    try {
      this.#iterator.return?.();
    } catch {
      // what stopped it is told
    }
  }
}

/** An iterator that answers later, such as that of a stream. */
class Asked extends Source {
  readonly #iterator: Iterator<Row> | AsyncIterator<Row>;

  constructor(rows: AsyncIterable<Row>) {
    super();
    this.#iterator = openIterator(rows);
  }

  protected async rows(count: number): Promise<readonly Row[]> {
    const taken: Row[] = [];
    while (taken.length < count && !this.ended) {
      const { done, value } = await this.#iterator.next();
      if (done) this.ended = true;
      else taken.push(value);
    }
    return taken;
  }

  async close(): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    const closed = Promise.resolve(this.#iterator.return?.()).catch(() => {});
    if (!this.asked) await closed;
  }
}

/** A cursor, which is closed at its end too. */
class Read extends Source {
  readonly #cursor: RowCursor;
  #closed = false;

  constructor(cursor: RowCursor) {
    super();
    this.#cursor = cursor;
  }

  protected async rows(count: number): Promise<readonly Row[]> {
    const rows = await this.#cursor.read(count);
    if (!Array.isArray(rows)) throw invalid('what the cursor gave', rows, 'an array of rows');
    return rows;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const closed = (async () => this.#cursor.close())().catch(() => {});
    if (!this.asked) await closed;
  }
}
