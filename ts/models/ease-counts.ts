import { type GramSource, readGram } from '../data/gram.js';
import type { Interactions } from '../data/interactions.js';
import type { Shard } from '../data/shard.js';
import { type Split, trainingPart } from '../data/split.js';
import { checkObject, checkRun, checkString, checkStrings, infoText, invalid, knownKeys } from '../runtime/check.js';
import { guard, guardAsync, toJson } from '../runtime/errors.js';
import type { JsonLike } from '../runtime/json.js';
import { native } from '../runtime/native.js';
import type { EaseOptions } from '../runtime/options.generated.js';
import { type RunOptions, running, stoppable } from '../runtime/running.js';
import { Model } from './model.js';
import type { Progress } from './progress.js';

/**
 * Users that {@link EaseCounts.update} adds and takes away; of a {@link Split}, its training users. At least one of
 * both.
 */
export interface EaseCountsChange {
  /** Users who are new, or who come back with all the items that they have now. By default none. */
  add?: Interactions | Split;
  /**
   * Users who leave, or who come back: each with exactly the items that they were counted with. By default none.
   */
  remove?: Interactions | Split;
}

/** How counting and {@link EaseCounts.update} run. */
export interface LimitedRun extends RunOptions {
  /**
   * Bytes that it may take beyond the data and the counts that are there, 0 or more; what could take more is refused at
   * once. By default what is free, as for {@link fit}.
   */
  memoryLimit?: number | undefined;
}

/** How {@link EaseCounts.fit} runs. */
export interface EaseCountsRun extends LimitedRun {
  /** Kept with the model and in its file; anything that JSON can hold. By default `null`. */
  info?: JsonLike | undefined;
  /** Called with {@link Progress.fraction} as the fit gets on, as for {@link fit}. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

const CHANGE_KEYS = Object.keys({ add: true, remove: true } satisfies Record<keyof EaseCountsChange, true>);
const RUN_KEYS = Object.keys({ threads: true, memoryLimit: true, signal: true } satisfies Record<
  keyof LimitedRun,
  true
>);
const SHARD_KEYS = Object.keys({ index: true, of: true } satisfies Record<keyof Shard, true>);
const FIT_KEYS = Object.keys({
  threads: true,
  memoryLimit: true,
  signal: true,
  info: true,
  onProgress: true,
} satisfies Record<keyof EaseCountsRun, true>);

/**
 * All that EASE^R keeps of its users: for each pair of items, how many users have both. With it, a nightly job takes
 * the users of the day into the model without reading the old data again; what comes out has the same bits as
 * {@link fit} on all users.
 *
 * Items keep their order, and those that are new follow in the order of the new data: the order in which
 * {@link Interactions} number their items when the old rows are read before the new ones. Counts never change; an
 * update gives new ones. They are whole numbers, exact for up to 4,294,967,295 users.
 *
 * They belong to the thread that made them: another `Worker` calls {@link EaseCounts.load} for itself.
 *
 * @example
 * ```ts
 * const yesterday = await EaseCounts.load('yesterday.counts');
 * const today = await yesterday.update({ add: await Interactions.fromFile('new-users.csv') });
 * await (await today.fit({ lambda: 500 })).save('ease.safetensors');
 * await today.save('today.counts');
 * ```
 */
export class EaseCounts implements Disposable {
  /** Number of users. */
  readonly nUsers: number;
  /** Ids of the items. */
  readonly itemIds: readonly string[];
  /** Of which users they are, unless of all. */
  readonly shard: Shard | undefined;
  readonly #native: native.NativeEaseCounts;

  private constructor(handle: native.NativeEaseCounts) {
    this.#native = handle;
    this.nUsers = guard(() => handle.nUsers);
    this.itemIds = guard(() => handle.itemIds());
    const shard = guard(() => handle.shard());
    this.shard = shard === null ? undefined : { index: shard[0], of: shard[1] };
  }

  /**
   * Counts the users of `data` (of a {@link Split}, its training users), off the event loop.
   *
   * @throws {@link RecvaeError} `MEMORY` before any work if it could take more memory than `run.memoryLimit`.
   */
  static async count(data: Interactions | Split, run: LimitedRun = {}): Promise<EaseCounts> {
    checkRun(run, RUN_KEYS);
    const { native: users } = trainingPart(data, 'data');
    const { threads, memoryLimit, signal } = run;
    return new EaseCounts(await running({ signal }, (run) => native.countForEase(users, threads, memoryLimit, run)));
  }

  /**
   * Counts the users of one shard of `data`, by a hash of their ids, off the event loop: each of several machines
   * counts and saves its own, and {@link EaseCounts.merge} adds the files up. Until then they can be saved, and neither
   * fitted nor updated.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for a shard that makes no sense; `MEMORY` as
   * {@link EaseCounts.count}.
   */
  static async countShard(data: Interactions | Split, shard: Shard, run: LimitedRun = {}): Promise<EaseCounts> {
    checkRun(run, RUN_KEYS);
    checkObject(shard, 'shard');
    knownKeys(shard, SHARD_KEYS, 'shard');
    for (const name of ['index', 'of'] as const) {
      if (typeof shard[name] !== 'number') throw invalid(`${name} of shard`, shard[name], 'a number');
    }
    const { native: users } = trainingPart(data, 'data');
    const { threads, memoryLimit, signal } = run;
    const { index, of } = shard;
    const work = (run: native.NativeRun) => native.countShardForEase(users, index, of, threads, memoryLimit, run);
    return new EaseCounts(await running({ signal }, work));
  }

  /**
   * Adds up the files of all shards of the same data, off the event loop, in any order: the same bytes as
   * {@link EaseCounts.count} on all users at once. Two are in memory at a time, and their sum.
   *
   * @throws {@link RecvaeError} `INVALID_DATA` with the names of the files if one is a shard of other data, is no shard
   * or is there twice, and if shards are missing; as {@link EaseCounts.load} for each file; `MEMORY` for the sums.
   */
  static async merge(paths: readonly string[], run: LimitedRun = {}): Promise<EaseCounts> {
    checkRun(run, RUN_KEYS);
    checkStrings(paths, 'paths');
    const { threads, memoryLimit, signal } = run;
    const work = (run: native.NativeRun) => native.mergeEaseCounts(paths as string[], threads, memoryLimit, run);
    return new EaseCounts(await running({ signal }, work));
  }

  /**
   * Counts from a Gram matrix that was made elsewhere, such as by Spark or a database: {@link GramSource}, or a folder
   * with files of those names. Whole numbers are exact wherever they were added up, so {@link EaseCounts.fit} gives the
   * bytes of a fit on the data themselves, where these have the items in that order and the files are saved without the
   * record of training users, which a Gram matrix does not have.
   *
   * @throws {@link RecvaeError} `INVALID_DATA` if a table is missing or has a number that cannot be, a pair twice or
   * below the diagonal, or if counts contradict each other or the totals; `IO`; `INVALID_ARGUMENT` without DuckDB where
   * it is needed; `MEMORY` if it could take more than `run.memoryLimit` beyond the tables.
   */
  static async fromGram(source: string | GramSource, run: LimitedRun = {}): Promise<EaseCounts> {
    checkRun(run, RUN_KEYS);
    const { threads, memoryLimit, signal } = run;
    const { gram, vocab, totals } = await stoppable({ signal }, ({ signal }) => readGram(source, signal));
    try {
      const work = (run: native.NativeRun) => native.easeCountsFromGram(gram, vocab, totals, threads, memoryLimit, run);
      return new EaseCounts(await running({ signal }, work));
    } finally {
      for (const table of [gram, vocab, totals]) table.dispose();
    }
  }

  /**
   * Reads a file that {@link EaseCounts.save} wrote.
   *
   * @throws {@link RecvaeError} `IO`; `INVALID_MODEL_FILE` if it is truncated, altered or holds something else;
   * `MEMORY` if there is none to read it into.
   */
  static async load(path: string): Promise<EaseCounts> {
    checkString(path, 'path');
    return new EaseCounts(await guardAsync(() => native.loadEaseCounts(path)));
  }

  /**
   * The counts without the users of `remove` and with those of `add`, off the event loop. A user who comes back with
   * more items belongs in both, first with the old items and then with all of them: added alone, the user would count
   * as two. Of who was counted only hashes are kept, for the evaluation of the models, so to add somebody twice is not
   * noticed.
   *
   * @throws {@link RecvaeError} `INVALID_DATA` if `remove` has an item or users that were never counted, as far as the
   * counts tell, or if there would be more than 4,294,967,295 users; `MEMORY` before any work if it could take more
   * memory than `run.memoryLimit`.
   */
  async update(change: EaseCountsChange, run: LimitedRun = {}): Promise<EaseCounts> {
    knownKeys(change, CHANGE_KEYS, 'change');
    checkRun(run, RUN_KEYS);
    const { add, remove } = change ?? {};
    if (add === undefined && remove === undefined) throw invalid('change', change, 'add, remove or both');
    const [added, removed] = [add && trainingPart(add, 'add'), remove && trainingPart(remove, 'remove')];
    const { threads, memoryLimit, signal } = run;
    const work = (run: native.NativeRun) =>
      this.#native.update(added?.native, removed?.native, threads, memoryLimit, run);
    return new EaseCounts(await running({ signal }, work));
  }

  /**
   * Fits EASE^R on the counts, off the event loop: the model that {@link fit} gives for all users that were counted,
   * with the items in this order, bit by bit.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option, `INVALID_DATA` if there is nothing to learn from,
   * `NUMERICAL` if the arithmetic fails, `MEMORY` before any work if it would take more memory than `run.memoryLimit`.
   */
  async fit(options?: EaseOptions, run: EaseCountsRun = {}): Promise<Model<'ease'>> {
    checkRun(run, FIT_KEYS);
    const info = infoText(run.info);
    const { threads, memoryLimit, signal, onProgress } = run;
    const work = (run: native.NativeRun) => this.#native.fit(toJson(options), info, threads, memoryLimit, run);
    const { model } = await running({ signal, onProgress }, work);
    return Model.wrap<'ease'>(model);
  }

  /**
   * Writes the counts with the ids of the items to one file, whole or not at all. It has about half the size of an f32
   * model of EASE^R at most, and 8 bytes for each pair of items that any user has where that is less.
   *
   * @throws {@link RecvaeError} `IO`.
   */
  async save(path: string): Promise<void> {
    checkString(path, 'path');
    return guardAsync(() => this.#native.save(path));
  }

  /**
   * The pairs of items as an Arrow stream of `i`, `j` and `n`, where the ids of items are indices.
   *
   * @internal
   */
  *arrowPairs(): Generator<Uint8Array> {
    const pairs = guard(() => new native.NativeGramPairs(this.#native));
    yield native.arrowGramStart();
    for (let batch = pairs.nextBatch(); batch !== null; batch = guard(() => pairs.nextBatch())) yield batch;
    yield native.arrowEnd();
  }

  /**
   * Frees the native memory at once, or when the calls in flight that use it have ended. Number of users and item ids
   * can still be read; what needs the counts throws `INVALID_ARGUMENT`, "counts is disposed". To dispose again does
   * nothing.
   */
  dispose(): void {
    guard(() => this.#native.dispose());
  }

  /** {@link EaseCounts.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
