import { type Abortable, untilAborted } from '../runtime/abort.js';
import {
  checkInstance,
  checkObject,
  checkRun,
  checkString,
  invalid,
  isIterable,
  knownKeys,
  signalOf,
} from '../runtime/check.js';
import { guard, guardAsync, toJson } from '../runtime/errors.js';
import { native } from '../runtime/native.js';
import type { DatasetName, ReadOptions, SynthOptions, Thresholds } from '../runtime/options.generated.js';
import { RUN_KEYS, type RunOptions, running, stoppable } from '../runtime/running.js';
import { arrowParts, type Bytes, type ColumnNames, readArrow } from './arrow.js';
import { type Batch, type BatchOptions, collect, type NumberColumn, numberColumn } from './batches.js';
import { type DuckDBOptions, readDuckDB } from './duckdb.js';
import { type Id, type IdColumn, idColumn, idOf, idsOf } from './ids.js';
import { type LeftOut, leftOutOf } from './left-out.js';
import { collectRows, type RowOptions, type Rows } from './rows.js';
import { readText, type TextSource } from './text.js';

/** The user and the items of one history. */
export interface History {
  /** Id of the user. */
  user: Id;
  /** Ids of the user's items; duplicates collapse. */
  items: Iterable<Id>;
}

/** Parallel columns: `users[i]` interacted with `items[i]`. */
export interface Columns {
  /** User ids. */
  users: IdColumn;
  /** Item ids, as many. */
  items: IdColumn;
  /** Numbers such as ratings, as many. They change nothing without `minValue` or `weighted`: every row counts alike. */
  values?: NumberColumn;
}

const COLUMN_KEYS = Object.keys({ users: true, items: true, values: true } satisfies Record<keyof Columns, true>);

/** Interactions that others have divided. */
export interface Parts {
  /** What is trained on. */
  train: Interactions;
  /**
   * What options are chosen by. Without it, {@link split} takes a share of the training items, unless its `validation`
   * is 0.
   */
  validation?: Interactions | undefined;
  /** What is asked for in the end. */
  test: Interactions;
}

const PART_KEYS = Object.keys({ train: true, validation: true, test: true } satisfies Record<keyof Parts, true>);

/** What {@link Interactions.fromColumns} takes beside the columns. */
export interface ColumnOptions extends Thresholds {
  /** Entries with a lower value are left out as if they were not there. Needs `values`. */
  minValue?: number | undefined;
  /**
   * Whether the value of a row, above 0, says how much it counts, as a number of plays does: iALS takes it for a
   * confidence, and other models count every row alike. The values of a pair of user and item are added up. Needs
   * `values`.
   */
  weighted?: boolean | undefined;
}

/**
 * Who interacted with what: a binary matrix of shape (`nUsers`, `nItems`), sparse, in native memory.
 *
 * Ids are text of at most 64 KiB, or whole numbers, which stand for their decimal digits ({@link Id}). Users and items
 * are numbered in order of first appearance. Duplicates collapse, and thresholds hold for what is left.
 * {@link Interactions.leftOut} says what went.
 *
 * They belong to the thread that made them: a `Worker` reads its own.
 */
export class Interactions implements Disposable {
  /** @internal */
  readonly native: native.NativeInteractions;
  /**
   * Whether there were values that changed nothing, because neither `minValue` nor `weighted` was given: a row of -1
   * counts as one of 5 does. False for what did not come out of rows, such as a part of a split.
   */
  readonly valuesIgnored: boolean;
  /** What of it `JSON.stringify` writes: its size, not its rows. */
  // A field that is a function, so that nobody can send a copy without rows to another thread.
  readonly toJSON = () => {
    // Interactions stay in their thread: read them in the other one.
    const { nUsers, nItems, nInteractions, density, weighted } = this;
    return { nUsers, nItems, nInteractions, density, weighted };
  };

  private constructor(handle: native.NativeInteractions, valuesIgnored = false) {
    this.native = handle;
    this.valuesIgnored = valuesIgnored;
  }

  /** @internal */
  static wrap(handle: native.NativeInteractions): Interactions {
    return new Interactions(handle);
  }

  /**
   * Reads CSV, TSV, NDJSON, Arrow IPC or a format in which data are published, plain or compressed by gzip or zstd,
   * streamed. `path` is a file, a folder, a pattern such as `likes/*.csv`, several of them, or `-` for standard input.
   * CSV is RFC 4180: text that it does not allow, such as a quote left open in any column, is an error with the line
   * where the quote was opened.
   *
   * @param source - A path, a `file:` URL, `'-'` for standard input, or a stream: any iterable of bytes or text, such
   * as a Node `Readable` or the body of a response, which is closed if it is refused. The last two have no name and
   * need `options.format`.
   *
   * @throws {@link RecvaeError} `IO`, `INVALID_DATA` with file, line and column, `INVALID_ARGUMENT` for an option.
   */
  static async fromFile(
    source: TextSource,
    options?: ReadOptions & Thresholds,
    run: Abortable = {},
  ): Promise<Interactions> {
    const signal = signalOf(run);
    return new Interactions(await readText(source, options, signal), ignoresValues(options));
  }

  /**
   * Builds from parallel columns of equal length, while the caller waits.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` if lengths differ, or an id or a value is of another type (also
   * `null` and `''` as a value), `INVALID_DATA` if an id is empty, longer than 64 KiB or with half of a character, a
   * value is not finite or nothing is left. The message has the row, counted from 0.
   */
  static fromColumns(columns: Columns, options?: ColumnOptions): Interactions {
    checkObject(columns, 'columns');
    knownKeys(columns, COLUMN_KEYS, 'columns');
    const { users, items, values } = columns;
    const ids = [idColumn(users, 'users'), idColumn(items, 'items')] as const;
    const numbers = numberColumn(values, 'values');
    const handle = guard(() => native.NativeInteractions.fromColumns(...ids, numbers, toJson(options)));
    return new Interactions(handle, values !== undefined && leavesValues(options));
  }

  /**
   * Puts together what others have divided, such as the train and test files of the graph papers: {@link split} with
   * the kind `files` keeps it so. A pair that is in several parts is of the first one.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for what are no interactions.
   */
  static async fromParts(parts: Parts, run: Abortable = {}): Promise<Interactions> {
    checkObject(parts, 'parts');
    knownKeys(parts, PART_KEYS, 'parts');
    const { train, validation, test } = parts;
    checkInstance(train, 'train', Interactions);
    if (validation !== undefined) checkInstance(validation, 'validation', Interactions);
    checkInstance(test, 'test', Interactions);
    const signal = signalOf(run);
    const work = () => native.joinParts(train.native, validation?.native, test.native);
    return new Interactions(await running({ signal }, work));
  }

  /**
   * Builds from any iterable of histories, also an asynchronous one such as a database cursor. A user may come more
   * than once.
   *
   * @throws {@link RecvaeError} `INVALID_DATA` if an id is empty, longer than 64 KiB or with half of a character, or
   * nothing is left; with the history, counted from 0. What the iterable throws, it throws.
   */
  static async fromHistories(
    histories: Iterable<History> | AsyncIterable<History>,
    options?: Thresholds,
    run: Abortable = {},
  ): Promise<Interactions> {
    const signal = signalOf(run);
    const builder = new native.NativeBuilder();
    if (!isIterable(histories)) throw invalid('histories', histories, 'an iterable of {user, items}');
    let number = 0;
    for await (const history of untilAborted(signal, histories)) {
      const what = `history ${number}`;
      checkObject(history, what);
      const user = idOf(history.user, `user of ${what}`);
      const ids = idsOf(history.items, 'items', ` of ${what}`);
      guard(() => builder.push(user, ids));
      number += 1;
    }
    return new Interactions(guard(() => builder.finish(toJson(options))));
  }

  /**
   * Builds from any iterable of batches of columns, such as a database cursor or a consumer of a queue. The next batch
   * is asked for when the last one is taken, so memory is that of the matrix under construction. If a batch is refused,
   * the iterable is closed (its `return` is called), and so it is after an abort, also while it does not answer.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` or `INVALID_DATA` with column, row and batch, counted from 0. What
   * the iterable throws, it throws.
   */
  static async fromBatches(
    batches: Iterable<Batch> | AsyncIterable<Batch>,
    options?: BatchOptions,
    run: Abortable = {},
  ): Promise<Interactions> {
    const signal = signalOf(run);
    let hasValues = false;
    const onValues = () => {
      hasValues = true;
    };
    const handle = await stoppable({ signal }, ({ signal }) => collect(batches, options, signal, onValues));
    return new Interactions(handle, hasValues && leavesValues(options));
  }

  /**
   * Builds from rows as drivers of databases and queues hand them out: any iterable of objects or arrays, also an
   * asynchronous one such as a stream, or a cursor with `read` and `close`. Rows are gathered into columns, 4,096 at a
   * time, so memory is that of the matrix under construction. The source is closed at the end, after an abort, also
   * while it does not answer, and after a row that is refused: an iterator's `return` is called, a stream destroyed, a
   * cursor closed.
   *
   * @example
   * ```ts
   * const rows = client.query(new QueryStream('SELECT customer, sku, stars, at FROM reviews')); // pg-query-stream
   * await Interactions.fromRows(rows, { user: 'customer', item: 'sku', value: 'stars', minValue: 4 });
   * ```
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` or `INVALID_DATA` with the column and the row, counted from 0. What
   * the source throws, it throws.
   */
  static async fromRows(rows: Rows, options?: RowOptions, run: Abortable = {}): Promise<Interactions> {
    const signal = signalOf(run);
    const handle = await stoppable({ signal }, ({ signal }) => collectRows(rows, options, signal));
    return new Interactions(handle, options?.value !== undefined && leavesValues(options));
  }

  /**
   * Reads Arrow IPC, a stream or a file, in one piece or in many; bodies may be compressed by LZ4 or Zstandard. Ids are
   * text or whole numbers, with or without a dictionary, and items may be lists of them; times are timestamps, dates,
   * numbers or text. Other columns may have any type. Memory is that of the matrix under construction, the dictionaries
   * and one message, as it was before it was compressed: at most 16 MiB and 256 times the bytes that came.
   *
   * @throws {@link RecvaeError} `INVALID_DATA` if the bytes are no such thing, a column is missing or of another type,
   * or an id or a value is null; with the row, counted from 0. `INVALID_ARGUMENT` for an option. What the iterable
   * throws, it throws.
   */
  static async fromArrow(bytes: Bytes, options?: ColumnNames, run: Abortable = {}): Promise<Interactions> {
    const signal = signalOf(run);
    const handle = await stoppable({ signal }, ({ signal }) => readArrow(bytes, options, signal));
    return new Interactions(handle, ignoresValues(options));
  }

  /**
   * Reads Parquet, CSV or JSON files, globs of them, a DuckDB database or the result of a query, by way of DuckDB: the
   * package `@duckdb/node-api`, which has to be installed beside this one, and is loaded at the first call. Rows are
   * streamed. Ids are text, whole numbers (also decimals without decimals), enums or UUIDs, and items may be lists of
   * them; times are timestamps, dates, numbers or text.
   *
   * @example
   * ```ts
   * await Interactions.fromDuckDB({ source: 'ratings/*.parquet', value: 'rating', minValue: 4 });
   * await Interactions.fromDuckDB({ database: 'shop.duckdb', sql: 'SELECT customer AS user, sku AS item FROM orders' });
   * ```
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` if DuckDB is not installed or does not understand the query, for an
   * option, or for names of files that say no format; `IO` if a file cannot be read; `INVALID_DATA` if a column is
   * missing or of another type, or an id or a value is null, with the row, counted from 0.
   */
  static async fromDuckDB(options: DuckDBOptions, run: Abortable = {}): Promise<Interactions> {
    const signal = signalOf(run);
    const handle = await stoppable({ signal }, ({ signal }) => readDuckDB(options, signal));
    return new Interactions(handle, ignoresValues(options));
  }

  /**
   * A data set that comes with the package. `debian`: which dependency do Debian packages declare; 11,663 source
   * packages ("users") x 4,456 dependencies ("items").
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for another name.
   */
  static async dataset(name: DatasetName): Promise<Interactions> {
    checkString(name, 'name');
    return new Interactions(await guardAsync(() => native.dataset(name)));
  }

  /**
   * Makes up data in memory, as large as a set of the papers or a share of it, off the event loop. For measuring speed
   * and memory.
   *
   * **Accuracy on such data means nothing.** They follow a recipe, not real users: report no metric on them, and choose
   * no model and no option by them.
   *
   * The same options (with their seed) give the same data for any number of threads. They are what reading the file
   * that {@link writeSynth} writes gives.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option.
   */
  static async synth(options?: SynthOptions, run: RunOptions = {}): Promise<Interactions> {
    checkRun(run, RUN_KEYS);
    const { threads, signal } = run;
    return new Interactions(await running({ signal }, (run) => native.synth(toJson(options), threads, run)));
  }

  /** Number of users. */
  get nUsers(): number {
    return guard(() => this.native.nUsers);
  }

  /** Number of items. */
  get nItems(): number {
    return guard(() => this.native.nItems);
  }

  /** Number of distinct (user, item) pairs. */
  get nInteractions(): number {
    return guard(() => this.native.nInteractions);
  }

  /**
   * Whether interactions have weights, of which `als` and blends with it make confidences; other models count each
   * alike.
   */
  get weighted(): boolean {
    return guard(() => this.native.weighted);
  }

  /** Share of all (user, item) pairs that interacted, from 0 to 1. */
  get density(): number {
    return guard(() => this.native.density);
  }

  /** What was left out of the rows that they were made from, and why; empty if nothing was. */
  get leftOut(): LeftOut[] {
    return leftOutOf(this.native);
  }

  /** Ids of the users in row order; a new array of length `nUsers` at each call. */
  userIds(): string[] {
    return guard(() => this.native.userIds());
  }

  /** Ids of the items in column order; a new array of length `nItems` at each call. */
  itemIds(): string[] {
    return guard(() => this.native.itemIds());
  }

  /** The items of a user in column order; `undefined` if the user is not known. */
  history(user: Id): string[] | undefined {
    const id = idOf(user, 'user');
    return guard(() => this.native.history(id)) ?? undefined;
  }

  /**
   * The weights of a user's items, as {@link Interactions.history} has them; `undefined` if the user is not known, or
   * nothing has weights.
   */
  weights(user: Id): number[] | undefined {
    const id = idOf(user, 'user');
    return guard(() => this.native.weights(id)) ?? undefined;
  }

  /**
   * These interactions as an Arrow IPC stream: columns `user` and `item`, text in dictionaries, one row per
   * interaction, in row order, without weights. {@link Interactions.fromArrow} brings them back with users in the same
   * order and items in that of first appearance.
   *
   * @throws {@link RecvaeError} `INVALID_DATA` with 2^31 users or items or more.
   */
  toArrow(): Uint8Array {
    return Buffer.concat([...this.toArrowStream()]);
  }

  /** The same in pieces, each made when it is asked for: schema and ids, then 65,536 rows at a time. */
  toArrowStream(): Generator<Uint8Array> {
    return arrowParts(this.native);
  }

  /**
   * Frees the native memory at once, or when the calls in flight that use it have ended; that of a part of a
   * {@link Split} goes with the last of the parts. Whatever is asked afterwards throws `INVALID_ARGUMENT`,
   * "interactions is disposed". To dispose again does nothing.
   */
  dispose(): void {
    guard(() => this.native.dispose());
  }

  /** {@link Interactions.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Whether such options name values that change nothing. */
function ignoresValues(options: ReadOptions | undefined): boolean {
  return options?.value !== undefined && leavesValues(options);
}

/** Whether values change nothing under such options: there is no lowest one, and they are no weights. */
function leavesValues(options: Pick<ReadOptions, 'minValue' | 'weighted'> | undefined): boolean {
  return options?.minValue === undefined && options?.weighted !== true;
}
