import type { Duplex } from 'node:stream';
import { type Id, idsOf } from '../data/ids.js';
import type { History } from '../data/interactions.js';
import { unlessAborted } from '../runtime/abort.js';
import { checkInstance, checkRun, checkString, infoText, invalid, knownKeys } from '../runtime/check.js';
import { guard, guardAsync, toJson } from '../runtime/errors.js';
import type { Json, JsonLike } from '../runtime/json.js';
import { description, native } from '../runtime/native.js';
import type {
  CompactOptions,
  ExplainOptions,
  LoadOptions,
  ModelName,
  SimilarOptions,
} from '../runtime/options.generated.js';
import { RUN_KEYS, type RunOptions, running } from '../runtime/running.js';
import type { ModelSettings } from './blend-record.js';
import { Filter, type FilterOptions, forCore, prepared, type ServeOptions } from './filter.js';
import type { Progress } from './progress.js';
import type { Recommender } from './recommender.js';
import {
  type Explanation,
  embed,
  explain,
  type HistoryColumns,
  type HistoryRequest,
  type Recommendation,
  type RecommendationColumns,
  type Requests,
  recommendColumns,
  requestsOf,
  type SimilarItem,
  type SimilarUsers,
  similarItems,
  similarUsers,
  type UserRecommendation,
  type UserRequest,
} from './serving.js';
import { duplex, openHistories, recommendGroups } from './stream.js';

/** A model of any kind; {@link Model.kind} tells which one, and so which options it has. */
export type AnyModel = { [K in ModelName]: Model<K> }[ModelName];

/** What {@link Model.save} puts into the file. */
export interface SaveOptions extends CompactOptions {
  /** Kept in the file instead of {@link Model.info}; anything that JSON can hold. */
  info?: JsonLike | undefined;
  /**
   * Whether the file has the hashes of the training users, 16 bytes for each, by which {@link evaluate} tells whether
   * it is given users that were trained on. Who guesses the id of a user can find out by them whether the user is
   * there: a model that others get may be saved without. By default it has them.
   */
  trainingRecord?: boolean | undefined;
}

/**
 * A trained model. It needs no training data, and scores users that it has never seen by their histories.
 *
 * It belongs to the thread that made it: another `Worker` calls {@link load} for itself.
 */
export class Model<K extends ModelName = ModelName> implements Recommender, Disposable {
  /** Which model it is. */
  readonly kind: K;
  /** All its options with their values. */
  readonly options: ModelSettings<K>;
  /** What was given to {@link fit} to be kept; `null` if nothing. */
  readonly info: Json;
  /** Ids of the items that it knows. */
  readonly itemIds: readonly string[];
  /** The record of the training: one entry per epoch, none for closed forms and loaded models. */
  readonly epochs: readonly Progress[];
  /**
   * What comes by default where the model knows nothing, see {@link RecommendOptions.fallback}: `'none'` for a model
   * whose file does not say how many users have an item, as those of earlier versions, else `'popularity'`.
   */
  readonly fallback: 'popularity' | 'none';
  /** @internal */
  readonly native: native.NativeModel;
  /** What of it `JSON.stringify` writes: what it is, not its parameters, which {@link Model.save} writes. */
  // A field that is a function, so that nobody can send a copy without parameters to another thread: what cannot be
  // cloned is told by its text.
  readonly toJSON = () => {
    // A model stays in its thread: load() it in the other one.
    const { kind, options, info } = this;
    return { kind, options, info, nItems: this.itemIds.length };
  };

  private constructor(handle: native.NativeModel, epochs: readonly Progress[]) {
    this.native = handle;
    this.kind = handle.kind as K;
    this.options = JSON.parse(guard(() => handle.options()));
    this.info = JSON.parse(guard(() => handle.info()));
    this.itemIds = guard(() => handle.itemIds());
    this.fallback = guard(() => handle.hasCounts) ? 'popularity' : 'none';
    this.epochs = epochs;
  }

  /** @internal */
  static wrap<K extends ModelName>(handle: native.NativeModel, epochs: readonly Progress[] = []): Model<K> {
    return new Model<K>(handle, epochs);
  }

  /**
   * Recommends for one history of original ids, that of a known or of a new user, at once. An empty history is allowed.
   * Exactly `k` items come whenever the filters leave that many, and fewer otherwise. Here and in all that follows, ids
   * are text or whole numbers ({@link Id}); one with half of a character (a lone surrogate) is an `INVALID_DATA`.
   *
   * Which way to ask: this one is synchronous, and the event loop waits for about 0.8 ms in the median and 3 ms at the
   * 99th percentile (100 of 20,720 items, the README's latency rows), longer with more items and longer histories. Use
   * it for a request of one user or of a few, one after the other. `recommendBatch([history])` gives the same as a
   * promise, with the event loop free meanwhile, at the cost of a change of threads. For many users
   * {@link Model.recommendBatch} uses all cores, and {@link Model.recommendColumns} makes no objects.
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
   * Recommends for many histories, off the event loop. One result per history, in their order. A history may have lists
   * of its own, `{ items, allow, deny }`, such as what its user has in the basket. What stays on the event loop is
   * taking the ids and making the results into objects: some hundred milliseconds each for 10,000 users with 50 items
   * who are given 100. {@link Model.recommendColumns} spares the objects, and with histories in columns the ids too.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option, or a filter of another model.
   */
  async recommendBatch(
    histories: Iterable<Iterable<Id> | HistoryRequest>,
    options?: ServeOptions,
    run: RunOptions = {},
  ): Promise<Recommendation[]> {
    checkRun(run, RUN_KEYS);
    return this.recommendRequests(requestsOf(histories), options, run);
  }

  /** @internal The same of ids that were looked at. */
  async recommendRequests(
    { ids, own }: Requests,
    options?: ServeOptions,
    { threads, signal }: RunOptions = {},
  ): Promise<Recommendation[]> {
    const [core, filter] = forCore(this.native, options);
    const work = (run: native.NativeRun) =>
      this.native.recommendColumns(ids, undefined, core, filter, own, threads, run);
    return this.#named(await running({ signal }, work), ids);
  }

  /**
   * Recommends for many histories, off the event loop, as columns: typed arrays of item indices and scores, which come
   * out of the core without a copy, and no object for a user or an item. Histories may be columns of item indices too;
   * no string is then touched on either side.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option, for a filter of another model, and for columns whose
   * items are not indices of items or whose offsets do not ascend from 0 to the number of items.
   */
  async recommendColumns(
    histories: Iterable<Iterable<Id>> | HistoryColumns,
    options?: ServeOptions,
    run: RunOptions = {},
  ): Promise<RecommendationColumns> {
    checkRun(run, RUN_KEYS);
    return recommendColumns(this, histories, options, run);
  }

  /**
   * Prepares allow and deny lists for any number of calls of this model: ids are looked up once. With a short allow
   * list only its items are scored; a long list of either kind costs next to nothing beside the scores. A call may
   * narrow a filter by lists of its own, `{ filter: inStock, deny: basket }`, and so may another filter.
   *
   * Ids that the model does not know are ignored and stand in {@link Filter.unknown}: a shop's catalogue runs ahead of
   * the model. A filter is for the model that made it; one that is loaded in its place needs a new one.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for ids that are neither text nor whole numbers, or a filter of
   * another model.
   */
  filter(options: FilterOptions): Filter {
    return Filter.make(this.native, options);
  }

  /**
   * The items most similar to an item, the best first, without itself; synchronous, for about as long as
   * {@link Model.recommend}, autoencoders a few times longer.
   *
   * - `ease`, `edlae`, `rdlae`, `deql`, `hoease`: the score is B[id][other], what having `id` adds to the score of the
   *   other: the list that a user with nothing but `id` gets, but for items with a score of 0, which stand in the order
   *   of the items here. It is not symmetric.
   * - `als`: the score is the cosine of the two items' vectors, from -1 to 1.
   * - `mult-dae`, `mult-vae`, `recvae`, `hvamp`: the score is the cosine of the two rows of the decoder's output
   *   weights, from -1 to 1.
   * - `blend`: the similarities of its parts as z-scores over all other items, added with their weights.
   * - `popularity` knows nothing of the kind and refuses, and so does a blend of nothing else.
   *
   * @param k - How many; default and range are those of {@link SimilarOptions.k}.
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an id that the model does not know, for `k`, for a filter of
   * another model, and by a model that cannot tell.
   */
  similarItems(id: Id, k?: SimilarOptions['k'], options?: FilterOptions): SimilarItem[] {
    return similarItems(this, id, k, options);
  }

  /**
   * The latent vectors of histories, off the event loop: the means of their posteriors, row by row, so that history h
   * has the numbers from `h * latentDim` on, for `mult-vae` and `recvae`, and for `hvamp` of the posterior of `z2`;
   * what the hidden layer gives for `mult-dae`; for `als` the users' vectors, `factors` numbers each.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` by a model that has none.
   */
  async embed(histories: Iterable<Iterable<Id>>, run: RunOptions = {}): Promise<Float32Array> {
    checkRun(run, RUN_KEYS);
    return embed(this, histories, run);
  }

  /**
   * Of some users, given by their histories, those most like a user of this history, off the event loop: by the cosine
   * of what {@link Model.embed} gives. `als`, `mult-dae`, `mult-vae`, `recvae` and `hvamp` can tell. All candidates are
   * embedded in each call; keep the vectors of `embed` where the same ones are asked often.
   *
   * @param k - How many; default and range are those of {@link SimilarOptions.k}.
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for a user that is not `{user, items}`, for `k`, and by a model that
   * cannot tell.
   */
  async similarUsers(
    history: Iterable<Id>,
    users: Iterable<History>,
    k?: SimilarOptions['k'],
    run: RunOptions = {},
  ): Promise<SimilarUsers> {
    checkRun(run, RUN_KEYS);
    return similarUsers(this, history, users, k, run);
  }

  /**
   * Which items of a history speak for an item, off the event loop.
   *
   * - `ease`, `edlae`, `rdlae`, `deql`: the contribution of an item is B[its id][item]; those of all items of the
   *   history sum to the score.
   * - `hoease`: it is B[its id][item] and half of what each of its pairs adds; they sum to the score too.
   * - `als`: it is h_its . A^-1 h_item, with h the items' vectors and A the matrix of the user's equations; they sum to
   *   the score too.
   * - `mult-dae`, `mult-vae`, `recvae`, `hvamp`: it is what the score loses when the item is left out of the history.
   *   They do not sum to the score. For n items this takes n + 1 passes through the encoder.
   * - `blend` of z-scores: it is the sum, over the parts, of weight x contribution / standard deviation of the part's
   *   scores for the user. Of ranks: what the score loses when the item is left out.
   * - `popularity`: there are no reasons; the score is the number of training users that had the item.
   *
   * The item may be one of the history.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an item that the model does not know, or an option.
   */
  async explain(history: Iterable<Id>, item: Id, options?: ExplainOptions, run: RunOptions = {}): Promise<Explanation> {
    checkRun(run, RUN_KEYS);
    return explain(this, history, item, options, run);
  }

  /**
   * Recommends for a stream of histories of any length, off the event loop and in bounded memory: up to 1,024 histories
   * are scored together, and while the results of one such group are taken the next one is gathered and scored, not
   * more. Results keep the order of the histories, which may have `allow` and `deny` lists of their own, and what has
   * arrived is answered before more is waited for. A loop that is left closes the stream of histories (its `return` is
   * called).
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option, and for a history that is not `{user, items}`, after
   * the results of those before it. What the iterable throws, it throws then too. After an abort, what is asked for
   * next is rejected with the signal's reason, also while the stream of histories does not answer.
   */
  recommendStream(
    histories: Iterable<UserRequest> | AsyncIterable<UserRequest>,
    options?: ServeOptions,
    run: RunOptions = {},
  ): AsyncGenerator<UserRecommendation> {
    checkRun(run, RUN_KEYS);
    const once = prepared(this.native, options);
    this.recommend([], once); // a bad option is found before there are histories
    const groups = recommendGroups(this, openHistories(histories), once, run);
    return (async function* () {
      for await (const group of groups) {
        for (const result of group) {
          run.signal?.throwIfAborted();
          yield result;
        }
      }
    })();
  }

  /**
   * {@link Model.recommendStream} for `pipe` and `pipeline`: histories are written to it, recommendations are read from
   * it.
   *
   * @throws {@link RecvaeError} as {@link Model.recommendStream}; what comes later destroys the stream with that error,
   * and an abort with the signal's reason.
   */
  recommendTransform(options?: ServeOptions, run: RunOptions = {}): Duplex {
    return duplex((histories) => this.recommendStream(histories, options, run), run.signal);
  }

  /**
   * Writes the model to one safetensors file, whole or not at all. {@link load} reads it, and so can other programs:
   * the format is described byte by byte in `crates/recvae-core/src/serve/model_file/format.md`. A model that serves
   * from the file that is replaced goes on as before.
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
   * A smaller model that recommends nearly the same, off the event loop: EASE^R with the `topPerItem` largest weights
   * of each item, or with weights in `precision: 'f16'`, or both. It keeps options, ids and info, is faster where it is
   * pruned, and can be evaluated and saved as any other. How much accuracy that costs depends on the data:
   * `recvae compact` measures it.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for a model without such weights, or if `f16` does not hold them;
   * the reason of `signal`.
   */
  async compact(options?: CompactOptions, run: RunOptions = {}): Promise<Model<K>> {
    checkRun(run, RUN_KEYS);
    const { threads, signal } = run;
    signal?.throwIfAborted();
    const compacted = guardAsync(() => this.native.compact(toJson(options), threads));
    return Model.wrap<K>(await unlessAborted(signal, compacted), this.epochs);
  }

  /**
   * Frees the native memory at once, or when the calls in flight that use it have ended; they end as they would have.
   * Without it, the garbage collector does so some time after the last reference is gone. Kind, options, info, item ids
   * and epochs can still be read; what needs the parameters throws `INVALID_ARGUMENT`, "model is disposed". To dispose
   * again does nothing.
   */
  dispose(): void {
    guard(() => this.native.dispose());
  }

  /** {@link Model.dispose}, for `using model = await load(path)`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #named(lists: native.NativeListColumns, histories: string[][]): Recommendation[] {
    const { items, scores, offsets, unknown, unknownOffsets, fallbackUsed } = lists;
    return histories.map((history, user) => {
      const start = offsets[user]!;
      return {
        items: Array.from(items.subarray(start, offsets[user + 1]), (item, at) => ({
          id: this.itemIds[item]!,
          score: scores[start + at]!,
        })),
        unknown: Array.from(unknown.subarray(unknownOffsets[user], unknownOffsets[user + 1]), (at) => history[at]!),
        fallbackUsed: fallbackUsed[user] === 1,
      };
    });
  }
}

/**
 * Reads a model that {@link Model.save} wrote. By default its file is mapped: a large one opens in milliseconds,
 * parameters come in when they are needed, and processes that load it share them.
 *
 * Header, ids, options and shapes are always verified, and by default every byte of all but mapped files above 256 MiB;
 * `verify: true` has every byte of those verified too. Whoever writes into a mapped file, instead of replacing it as
 * {@link Model.save} and `mv` do, changes the model or ends the process (SIGBUS): where that can happen, `mmap: false`
 * reads the file into memory.
 *
 * With `device: 'cuda'` a GPU finds the lists of {@link Model.recommendBatch}, {@link Model.recommendColumns} and
 * {@link evaluate} for many users, with the items and the bits that the processor gives. {@link Model.dispose} gives
 * its memory back.
 *
 * @throws {@link RecvaeError} `IO`; `INVALID_MODEL_FILE` if it is truncated, altered, of another program or of a
 * version that this one does not know; `INVALID_DATA` if there is no memory to read it into; `INVALID_ARGUMENT` for a
 * device that is not there or not for such a model; `MEMORY` of a GPU, with the figures.
 * @example
 * ```ts
 * const model = await load('shop.safetensors');
 * if (model.kind === 'ease') console.log(model.options.lambda); // the kind says which options there are
 * ```
 */
export async function load(path: string, options?: LoadOptions): Promise<AnyModel> {
  checkString(path, 'path');
  return Model.wrap(await guardAsync(() => native.load(path, toJson(options)))) as AnyModel;
}

/** {@link Model.recommend} as a function. */
export function recommend(model: Model, history: Iterable<Id>, options?: ServeOptions): Recommendation {
  checkInstance(model, 'model', Model);
  return model.recommend(history, options);
}
