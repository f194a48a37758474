import type { Duplex } from 'node:stream';
import { type Id, idsOf } from '../data/ids.js';
import { type History, Interactions } from '../data/interactions.js';
import { Split } from '../data/split.js';
import type { Abortable } from '../runtime/abort.js';
import { checkInstance, checkRun, checkString, infoText, invalid, knownKeys } from '../runtime/check.js';
import { guard, guardAsync, toJson, toRecvaeError } from '../runtime/errors.js';
import { description, native } from '../runtime/native.js';
import type {
  CompactOptions,
  ExplainOptions,
  LoadOptions,
  ModelName,
  ModelOptions,
  SimilarOptions,
} from '../runtime/options.generated.js';
import { running } from '../runtime/running.js';
import { type Checkpoint, toNative } from './checkpoint.js';
import { Filter, type FilterOptions, forCore, prepared, type ServeOptions } from './filter.js';
import {
  type Explanation,
  embed,
  explain,
  type HistoryColumns,
  historiesOf,
  type RecommendationColumns,
  recommendColumns,
  type SimilarItem,
  type SimilarUsers,
  similarItems,
  similarUsers,
} from './serving.js';
import { duplex, openHistories, recommendGroups } from './stream.js';

/** Anything that JSON can hold. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** One epoch of training; of a closed form, which has none, how far it is. */
export interface Progress {
  /** Which epoch ended, from 1; 0 of a closed form. */
  epoch: number;
  /** How many there will be at most; 0 of a closed form. */
  epochs: number;
  /** Of autoencoders, the mean multinomial log-likelihood per user, in nats. */
  logLikelihood?: number;
  /** Of autoencoders, the mean weighted KL term per user, in nats. */
  kl?: number;
  /** Of iALS, its loss per user. */
  loss?: number;
  /** The validation metric, from 0 to 1, where there are validation users. */
  validation?: number;
  /** Whether it is the best epoch so far. */
  best: boolean;
  /** Seconds of training so far; before a checkpoint that was gone on from, those up to the checkpoint. */
  seconds: number;
  /**
   * Of a closed form (`popularity`, `ease`, `edlae`), the share of its work that is done, from 0 to 1: it never falls, and is 1
   * when the model is there. Models with epochs have none.
   */
  fraction?: number;
}

/** The share of a fit that is done, from 0 to 1, if it takes all its epochs. */
export function shareOf({ epoch, epochs, fraction }: Progress): number {
  return fraction ?? epoch / Math.max(epochs, 1);
}

/** How a call runs, as opposed to what it computes. */
export interface RunOptions extends Abortable {
  /** Threads to compute with, 1 to 1,024. By default the cores that this process may use, cgroup limits included. */
  threads?: number;
}

/** How {@link fit} runs. */
export interface FitRun extends RunOptions {
  /**
   * Called with the latest epoch that ended, on the event loop, at most ten times a second; the last epoch always comes. It
   * does not keep the process alive. If it throws, training stops, and the promise is rejected with what was thrown. The
   * same holds if it gives back a promise that is rejected; {@link fit} waits for such promises at the end. By default nobody
   * is told. Closed forms have no epochs; they tell {@link Progress.fraction} as they get on.
   */
  onProgress?: (progress: Progress) => void;
  /** Kept with the model and in its file; anything that JSON can hold. */
  info?: Json;
  /**
   * Keeps the training of `recvae`, `mult-vae` or `mult-dae` in a file, from which it goes on with `resume` after a crash, a
   * kill or an abort: to the same model bytes and the same {@link Model.epochs} (but for the seconds) as without interruption, for any
   * number of threads. An abort writes it before the promise is rejected, and loses no step. By default there is none.
   *
   * With `resume` a call can be repeated as it is until it succeeds. A checkpoint of another model, other data, other
   * options or another {@link FitRun.from} is refused; only `epochs` may change, to a number that is not less than what was trained, for `recvae`, for
   * `mult-dae` and for `mult-vae` with `annealing` 0. When `fit` is done the file stays, so that nothing is lost before the model is saved:
   * remove it then.
   */
  checkpoint?: Checkpoint;
  /**
   * Bytes that the fit may take beyond the data, 0 or more; a fit that would take more is refused at once. By default what is
   * free: on Linux what can be had without swapping, less where a control group has less left.
   */
  memoryLimit?: number;
  /**
   * A trained model of the same kind that RecVAE, Mult-VAE and Mult-DAE begin with instead of random parameters. Items that both
   * know, by id, keep what was learnt about them; new ones begin as in fresh training, and those that the data lack are dropped.
   * `hiddenDim`, `latentDim` and RecVAE's `encoder` must be the model's; `from.options` has them.
   * Mult-VAE's KL weight grows from 0 again, as its `annealing` says. By default none.
   */
  from?: Model;
}

/** What {@link Model.save} puts into the file. */
export interface SaveOptions extends CompactOptions {
  /** Kept in the file instead of {@link Model.info}; anything that JSON can hold. */
  info?: Json;
  /**
   * Whether the file has the hashes of the training users, 16 bytes for each, by which {@link evaluate} tells whether it is
   * given users that were trained on. Who guesses the id of a user can find out by them whether the user is there: a model that
   * others get may be saved without. By default it has them.
   */
  trainingRecord?: boolean;
}

/** What a model recommends for one history. */
export interface Recommendation {
  /** The best items first. Scores of different models have no common scale. */
  items: { id: string; score: number }[];
  /** Ids of the history that the model does not know; they were ignored. */
  unknown: string[];
}

/** What a model recommends for one history of a stream. */
export interface UserRecommendation extends Recommendation {
  /** Id of the user, as it came with the history; a whole number as its digits. */
  user: string;
}

/**
 * A trained model. It needs no training data, and scores users that it has never seen by their histories.
 *
 * It belongs to the thread that made it: another `Worker` calls {@link load} for itself.
 */
export class Model<K extends ModelName = ModelName> implements Disposable {
  /** Which model it is. */
  readonly kind: K;
  /** All its options with their values. */
  readonly options: Required<ModelOptions[K]>;
  /** What was given to {@link fit} to be kept; `null` if nothing. */
  readonly info: Json;
  /** Ids of the items that it knows. */
  readonly itemIds: readonly string[];
  /** The record of the training: one entry per epoch, none for closed forms and loaded models. */
  readonly epochs: readonly Progress[];
  /** @internal */
  readonly native: native.NativeModel;

  private constructor(handle: native.NativeModel, epochs: readonly Progress[]) {
    this.native = handle;
    this.kind = handle.kind as K;
    this.options = JSON.parse(guard(() => handle.options()));
    this.info = JSON.parse(guard(() => handle.info()));
    this.itemIds = guard(() => handle.itemIds());
    this.epochs = epochs;
  }

  /** @internal */
  static wrap<K extends ModelName>(handle: native.NativeModel, epochs: readonly Progress[] = []): Model<K> {
    return new Model<K>(handle, epochs);
  }

  /**
   * Recommends for one history of original ids, that of a known or of a new user, at once. An empty history is allowed.
   * Exactly `k` items come whenever the filters leave that many, and fewer otherwise. Here and in all that follows, ids are
   * text or whole numbers ({@link Id}); one with half of a character (a lone surrogate) is an `INVALID_DATA`.
   *
   * Which way to ask: this one is synchronous, and the event loop waits for about 0.8 ms in the median and 3 ms at the 99th
   * percentile (100 of 20,720 items, the README's latency rows), longer with more items and longer histories. Use it for a
   * request of one user or of a few, one after the other. `recommendBatch([history])` gives the same as a promise, with the
   * event loop free meanwhile, at the cost of a thread. For many users {@link Model.recommendBatch} uses all cores, and
   * {@link Model.recommendColumns} makes no objects.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option, or a filter of another model.
   */
  recommend(history: Iterable<Id>, options?: ServeOptions): Recommendation {
    const ids = idsOf(history, 'history');
    const [core, filter] = forCore(this.native, options);
    return this.#named(
      guard(() => this.native.recommend(ids, core, filter)),
      [ids],
    )[0]!;
  }

  /**
   * Recommends for many histories, off the event loop. One result per history, in their order. What stays on the event loop is
   * taking the ids and making the results into objects: some hundred milliseconds each for 10,000 users with 50 items who are
   * given 100. {@link Model.recommendColumns} spares the objects, and with histories in columns the ids too.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option, or a filter of another model.
   */
  async recommendBatch(
    histories: Iterable<Iterable<Id>>,
    options?: ServeOptions,
    run: RunOptions = {},
  ): Promise<Recommendation[]> {
    checkRun(run, ['threads', 'signal']);
    const ids = historiesOf(histories);
    const [core, filter] = forCore(this.native, options);
    const { threads, signal } = run;
    const work = (run: native.NativeRun) => this.native.recommendBatch(ids, core, filter, threads, run);
    return this.#named(await running({ signal }, work), ids);
  }

  /**
   * Recommends for many histories, off the event loop, as columns: typed arrays of item indices and scores, which come out
   * of the core without a copy, and no object for a user or an item. Histories may be columns of item indices too; no string
   * is then touched on either side.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option, for a filter of another model, and for columns whose items
   * are not indices of items or whose offsets do not ascend from 0 to the number of items.
   */
  async recommendColumns(
    histories: Iterable<Iterable<Id>> | HistoryColumns,
    options?: ServeOptions,
    run: RunOptions = {},
  ): Promise<RecommendationColumns> {
    checkRun(run, ['threads', 'signal']);
    return recommendColumns(this, histories, options, run);
  }

  /**
   * Prepares allow and deny lists for any number of calls of this model: ids are looked up once. With a short allow list only
   * its items are scored; a long list of either kind costs next to nothing beside the scores. A call may narrow a filter by
   * lists of its own, `{ filter: inStock, deny: basket }`, and so may another filter.
   *
   * Ids that the model does not know are ignored and stand in {@link Filter.unknown}: a shop's catalogue runs ahead of the
   * model. A filter is for the model that made it; one that is loaded in its place needs a new one.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for ids that are neither text nor whole numbers, or a filter of another model.
   */
  filter(options: FilterOptions): Filter {
    return Filter.make(this.native, options);
  }

  /**
   * The items most similar to an item, the best first, without itself; synchronous, for about as long as
   * {@link Model.recommend}, autoencoders a few times longer.
   *
   * - `ease`, `edlae`: the score is B[id][other], what having `id` adds to the score of the other: the list that a user with nothing
   *   but `id` gets. It is not symmetric.
   * - `als`: the score is the cosine of the two items' vectors, from -1 to 1.
   * - `mult-dae`, `mult-vae`, `recvae`: the score is the cosine of the two rows of the decoder's output weights, from -1 to 1.
   * - `popularity` knows nothing of the kind and refuses.
   *
   * @param k - How many; default and range are those of {@link SimilarOptions.k}.
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an id that the model does not know, for `k`, for a filter of another
   * model, and by a model that cannot tell.
   */
  similarItems(id: Id, k?: SimilarOptions['k'], options?: FilterOptions): SimilarItem[] {
    return similarItems(this, id, k, options);
  }

  /**
   * The latent vectors of histories, off the event loop: the means of their posteriors, row by row, so that history h has
   * the numbers from `h * latentDim` on, for `mult-vae` and `recvae`; what the hidden layer gives for `mult-dae`; for `als` the users' vectors, `factors` numbers each.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` by a model that has none.
   */
  async embed(histories: Iterable<Iterable<Id>>, run: RunOptions = {}): Promise<Float32Array> {
    checkRun(run, ['threads', 'signal']);
    return embed(this, histories, run);
  }

  /**
   * Of some users, given by their histories, those most like a user of this history, off the event loop: by the cosine of
   * what {@link Model.embed} gives. `als`, `mult-dae`, `mult-vae` and `recvae` can tell. All candidates are embedded in each call; keep the
   * vectors of `embed` where the same ones are asked often.
   *
   * @param k - How many; default and range are those of {@link SimilarOptions.k}.
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for a user that is not `{user, items}`, for `k`, and by a model that cannot
   * tell.
   */
  async similarUsers(
    history: Iterable<Id>,
    users: Iterable<History>,
    k?: SimilarOptions['k'],
    run: RunOptions = {},
  ): Promise<SimilarUsers> {
    checkRun(run, ['threads', 'signal']);
    return similarUsers(this, history, users, k, run);
  }

  /**
   * Which items of a history speak for an item, off the event loop.
   *
   * - `ease`, `edlae`: the contribution of an item is B[its id][item]; those of all items of the history sum to the score.
   * - `als`: it is h_its . A^-1 h_item, with h the items' vectors and A the matrix of the user's equations; they sum to the
   *   score too.
   * - `mult-dae`, `mult-vae`, `recvae`: it is what the score loses when the item is left out of the history. They do not sum to the
   *   score. For n items this takes n + 1 passes through the encoder.
   * - `popularity`: there are no reasons; the score is the number of training users that had the item.
   *
   * The item may be one of the history.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an item that the model does not know, or an option.
   */
  async explain(history: Iterable<Id>, item: Id, options?: ExplainOptions, run: RunOptions = {}): Promise<Explanation> {
    checkRun(run, ['threads', 'signal']);
    return explain(this, history, item, options, run);
  }

  /**
   * Recommends for a stream of histories of any length, off the event loop and in bounded memory: up to 1,024 histories are
   * scored together, and while the results of one such group are taken the next one is gathered and scored, not more. Results
   * keep the order of the histories, and what has arrived is answered before more is waited for. A loop that is left closes
   * the stream of histories (its `return` is called).
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option, and for a history that is not `{user, items}`, after the
   * results of those before it. What the iterable throws, it throws then too. After an abort, what is asked for next is
   * rejected with the signal's reason, also while the stream of histories does not answer.
   */
  recommendStream(
    histories: Iterable<History> | AsyncIterable<History>,
    options?: ServeOptions,
    run: RunOptions = {},
  ): AsyncGenerator<UserRecommendation> {
    checkRun(run, ['threads', 'signal']);
    const once = prepared(this.native, options);
    this.recommend([], once); // a bad option is found before there are histories
    const groups = recommendGroups(this, openHistories(histories), once, run);
    return (async function* () {
      for await (const group of groups) yield* group;
    })();
  }

  /**
   * {@link Model.recommendStream} for `pipe` and `pipeline`: histories are written to it, recommendations are read from it.
   *
   * @throws {@link RecvaeError} as {@link Model.recommendStream}; what comes later destroys the stream with that error,
   * and an abort with the signal's reason.
   */
  recommendTransform(options?: ServeOptions, run: RunOptions = {}): Duplex {
    return duplex((histories) => this.recommendStream(histories, options, run), run.signal);
  }

  /**
   * Writes the model to one safetensors file, whole or not at all. {@link load} reads it, and so can other programs: the
   * format is described byte by byte in `crates/recvae-core/src/model_file/format.md`. A model that serves from the file that
   * is replaced goes on as before.
   *
   * With `topPerItem` or `precision` the smaller model goes into the file, see {@link Model.compact}.
   *
   * @throws {@link RecvaeError} `IO`; `INVALID_ARGUMENT` as {@link Model.compact}, or for an `info` of 100 MB.
   */
  async save(path: string, options: SaveOptions = {}): Promise<void> {
    checkString(path, 'path');
    knownKeys(options, ['info', 'trainingRecord', ...description.compact.map(({ name }) => name)], 'options');
    const { info, trainingRecord = true, ...smaller } = options;
    if (typeof trainingRecord !== 'boolean') throw invalid('trainingRecord', trainingRecord, 'true or false');
    const text = info === undefined ? undefined : infoText(info);
    const asked = Object.values(smaller).some((value) => value !== undefined);
    if (!asked) return guardAsync(() => this.native.save(path, text, trainingRecord));
    const saved = await this.compact(smaller);
    try {
      await guardAsync(() => saved.native.save(path, text, trainingRecord));
    } finally {
      saved.dispose(); // nobody else has it
    }
  }

  /**
   * A smaller model that recommends nearly the same, off the event loop: EASE^R with the `topPerItem` largest weights of each
   * item, or with weights in `precision: 'f16'`, or both. It keeps options, ids and info, is faster where it is pruned, and
   * can be evaluated and saved as any other. How much accuracy that costs depends on the data: `recvae compact` measures it.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for another model than `ease`, or if `f16` does not hold its weights.
   */
  async compact(options?: CompactOptions, run: RunOptions = {}): Promise<Model<K>> {
    checkRun(run, ['threads']);
    return Model.wrap<K>(await guardAsync(() => this.native.compact(toJson(options), run.threads)), this.epochs);
  }

  /**
   * Frees the native memory at once, or when the calls in flight that use it have ended; they end as they would have. Without
   * it, the garbage collector does so some time after the last reference is gone. Kind, options, info, item ids and epochs can
   * still be read; what needs the parameters throws `INVALID_ARGUMENT`, "model is disposed". To dispose again does nothing.
   */
  dispose(): void {
    guard(() => this.native.dispose());
  }

  /** {@link Model.dispose}, for `using model = await load(path)`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #named(lists: native.NativeLists, histories: string[][]): Recommendation[] {
    const { items, scores, ends, unknown, unknownEnds } = lists;
    return histories.map((history, user) => {
      const [start, unknownStart] = user === 0 ? [0, 0] : [ends[user - 1]!, unknownEnds[user - 1]!];
      return {
        items: Array.from(items.subarray(start, ends[user]), (item, at) => ({
          id: this.itemIds[item]!,
          score: scores[start + at]!,
        })),
        unknown: Array.from(unknown.subarray(unknownStart, unknownEnds[user]), (at) => history[at]!),
      };
    });
  }
}

/**
 * Trains a model, off the event loop, from random parameters or {@link FitRun.from | from those of another model}. On a
 * {@link Split}, its training users are learnt from and its validation users choose the best epoch; on {@link Interactions},
 * all users are learnt from and nothing is chosen.
 *
 * The same data, options (with their seed) and machine give the same model for any number of threads. Until the promise is
 * settled it keeps the process alive.
 *
 * @param model - Name of the model; it determines the options.
 * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an unknown model or key or a value out of range, and for a `from` of
 * another kind, of another shape or without a common item; `INVALID_DATA` if there is nothing to learn from, `NUMERICAL` if
 * the arithmetic fails, `MEMORY` before any work if it would take more memory than `run.memoryLimit`, see
 * {@link estimateMemory}. For a checkpoint: `INVALID_ARGUMENT` if it is of another training, or there and not to be gone on
 * from, `INVALID_MODEL_FILE` if it is truncated, altered or of another program, `IO` if it cannot be written, also where the
 * fit was aborted.
 */
export async function fit<K extends ModelName>(
  model: K,
  data: Split | Interactions,
  options?: ModelOptions[K],
  run: FitRun = {},
): Promise<Model<K>> {
  checkString(model, 'model');
  checkInstance(data, 'data', Split, Interactions);
  checkRun(run, ['threads', 'memoryLimit', 'signal', 'onProgress', 'info', 'checkpoint', 'from']);
  return fitWatched(model, data, options, run);
}

/** {@link fit} with arguments that have been checked; with `everyEpoch`, its callback is told of every epoch. */
export async function fitWatched<K extends ModelName>(
  model: K,
  data: Split | Interactions,
  options: ModelOptions[K] | undefined,
  run: FitRun & { everyEpoch?: boolean },
): Promise<Model<K>> {
  const [train, validation] =
    data instanceof Split ? [data.train, data.validation.nScored > 0 ? data.validation : undefined] : [data];
  const info = infoText(run.info);
  const { threads, memoryLimit, signal, onProgress, everyEpoch, from } = run;
  if (from !== undefined) checkInstance(from, 'from', Model);
  const checkpoint = toNative(run.checkpoint);
  let unwritten: unknown;
  const work = async (run: native.NativeRun) => {
    try {
      return await native.fit(
        model,
        toJson(options),
        train.native,
        validation?.native,
        info,
        threads,
        memoryLimit,
        run,
        checkpoint,
        from?.native,
      );
    } catch (thrown) {
      if ((thrown as { code?: unknown }).code === 'IO') unwritten = thrown;
      throw thrown;
    }
  };
  try {
    const fitted = await running({ signal, onProgress, everyEpoch }, work);
    return Model.wrap<K>(fitted.model, fitted.epochs);
  } catch (thrown) {
    // Whoever aborts counts on the checkpoint: that it could not be written goes before the signal's reason.
    throw unwritten === undefined ? thrown : toRecvaeError(unwritten);
  }
}

/**
 * Reads a model that {@link Model.save} wrote. By default its file is mapped: a large one opens in milliseconds, parameters
 * come in when they are needed, and processes that load it share them.
 *
 * Header, ids, options and shapes are always verified, and by default every byte of all but mapped files above 256 MiB;
 * `verify: true` has every byte of those verified too. Whoever writes into a mapped file, instead of replacing it as {@link Model.save} and `mv`
 * do, changes the model or ends the process (SIGBUS): where that can happen, `mmap: false` reads the file into memory.
 *
 * @throws {@link RecvaeError} `IO`; `INVALID_MODEL_FILE` if it is truncated, altered, of another program or of a version that
 * this one does not know; `INVALID_DATA` if there is no memory to read it into.
 */
export async function load(path: string, options?: LoadOptions): Promise<Model> {
  checkString(path, 'path');
  return Model.wrap<ModelName>(await guardAsync(() => native.load(path, toJson(options))));
}

/** {@link Model.recommend} as a function. */
export function recommend(model: Model, history: Iterable<Id>, options?: ServeOptions): Recommendation {
  checkInstance(model, 'model', Model);
  return model.recommend(history, options);
}
