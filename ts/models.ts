import type { Duplex } from 'node:stream';
import { checkInstance, checkRun, checkString, idsOf, infoText, listOf } from './check.js';
import { guard, guardAsync, toJson } from './errors.js';
import { type History, Interactions } from './interactions.js';
import { native } from './native.js';
import type { ModelName, ModelOptions, RecommendOptions } from './options.generated.js';
import { reporting } from './progress.js';
import { Split } from './split.js';
import { duplex, openHistories, recommendGroups } from './stream.js';

/** Anything that JSON can hold. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** One epoch of training. */
export interface Progress {
  /** Which epoch ended, from 1. */
  epoch: number;
  /** How many there will be at most. */
  epochs: number;
  /** Mean multinomial log-likelihood per user, in nats. */
  logLikelihood: number;
  /** Mean weighted KL term per user, in nats. */
  kl: number;
  /** The validation metric, from 0 to 1, where there are validation users. */
  validation?: number;
  /** Whether it is the best epoch so far. */
  best: boolean;
  /** Seconds since training began. */
  seconds: number;
}

/** How a call runs, as opposed to what it computes. */
export interface RunOptions {
  /** Threads to compute with, 1 to 1,024. By default the cores that this process may use, cgroup limits included. */
  threads?: number;
}

/** How {@link fit} runs. */
export interface FitRun extends RunOptions {
  /**
   * Called after each epoch, on the event loop. If it throws, training still ends, and then the promise is rejected with what
   * was thrown.
   */
  onProgress?: (progress: Progress) => void;
  /** Kept with the model and in its file; anything that JSON can hold. */
  info?: Json;
  /**
   * A trained model of the same kind that RecVAE and Mult-VAE begin with instead of random parameters. Items that both know,
   * by id, keep what was learnt about them; new ones begin as in fresh training, and those that the data lack are dropped.
   * `hiddenDim`, `latentDim` and RecVAE's `encoder` must be the model's; `from.options` has them.
   * Mult-VAE's KL weight grows from 0 again, as its `annealing` says. By default none.
   */
  from?: Model;
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
  /** Id of the user, as it came with the history. */
  user: string;
}

/** A trained model. It needs no training data, and scores users that it has never seen by their histories. */
export class Model<K extends ModelName = ModelName> {
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
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option.
   */
  recommend(history: Iterable<string>, options?: RecommendOptions): Recommendation {
    const ids = idsOf(history, 'history');
    return this.#named(
      guard(() => this.native.recommend(ids, toJson(options))),
      [ids],
    )[0]!;
  }

  /**
   * Recommends for many histories, off the event loop. One result per history, in their order.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option.
   */
  async recommendBatch(
    histories: Iterable<Iterable<string>>,
    options?: RecommendOptions,
    run: RunOptions = {},
  ): Promise<Recommendation[]> {
    checkRun(run, ['threads']);
    const lists = listOf(histories, 'histories', 'a list of histories');
    const ids = lists.map((history, at) => idsOf(history, `histories[${at}]`));
    return this.#named(await guardAsync(() => this.native.recommendBatch(ids, toJson(options), run.threads)), ids);
  }

  /**
   * Recommends for a stream of histories of any length, off the event loop and in bounded memory: up to 1,024 histories are
   * scored together, and while the results of one such group are taken the next one is gathered and scored, not more. Results
   * keep the order of the histories, and what has arrived is answered before more is waited for. A loop that is left closes
   * the stream of histories (its `return` is called).
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option, and for a history that is not `{user, items}`, after the
   * results of those before it. What the iterable throws, it throws then too.
   */
  recommendStream(
    histories: Iterable<History> | AsyncIterable<History>,
    options?: RecommendOptions,
    run: RunOptions = {},
  ): AsyncGenerator<UserRecommendation> {
    checkRun(run, ['threads']);
    guard(() => this.native.recommend([], toJson(options))); // a bad option is found before there are histories
    const groups = recommendGroups(this, openHistories(histories), options, run);
    return (async function* () {
      for await (const group of groups) yield* group;
    })();
  }

  /**
   * {@link Model.recommendStream} for `pipe` and `pipeline`: histories are written to it, recommendations are read from it.
   *
   * @throws {@link RecvaeError} as {@link Model.recommendStream}; what comes later destroys the stream with that error.
   */
  recommendTransform(options?: RecommendOptions, run: RunOptions = {}): Duplex {
    return duplex((histories) => this.recommendStream(histories, options, run));
  }

  /**
   * Writes the model to one safetensors file, whole or not at all. {@link load} reads it.
   *
   * @throws {@link RecvaeError} `IO`.
   */
  async save(path: string): Promise<void> {
    checkString(path, 'path');
    return guardAsync(() => this.native.save(path));
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
 * Trains a model, off the event loop, from random parameters or {@link FitRun.from | from those of another model}. On a {@link Split}, its training users are learnt from and its validation users choose
 * the best epoch; on {@link Interactions}, all users are learnt from and nothing is chosen.
 *
 * The same data, options (with their seed) and machine give the same model for any number of threads.
 *
 * @param model - Name of the model; it determines the options.
 * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an unknown model or key or a value out of range, and for a `from` of
 * another kind, of another shape or without a common item; `INVALID_DATA` if there is nothing to learn from, `NUMERICAL` if
 * the arithmetic fails.
 */
export async function fit<K extends ModelName>(
  model: K,
  data: Split | Interactions,
  options?: ModelOptions[K],
  run: FitRun = {},
): Promise<Model<K>> {
  checkString(model, 'model');
  checkInstance(data, 'data', Split, Interactions);
  checkRun(run, ['threads', 'onProgress', 'info', 'from']);
  if (run.from !== undefined) checkInstance(run.from, 'from', Model);
  const [train, validation] =
    data instanceof Split ? [data.train, data.validation.nScored > 0 ? data.validation : undefined] : [data];
  const info = infoText(run.info);
  const fitted = await reporting(run.onProgress, (report) =>
    guardAsync(() =>
      native.fit(model, toJson(options), train.native, validation?.native, info, run.threads, report, run.from?.native),
    ),
  );
  return Model.wrap<K>(fitted.model, fitted.epochs);
}

/**
 * Reads a model that {@link Model.save} wrote.
 *
 * @throws {@link RecvaeError} `IO`, or `INVALID_MODEL_FILE` if it is truncated, altered or of another program.
 */
export async function load(path: string): Promise<Model> {
  checkString(path, 'path');
  return Model.wrap<ModelName>(await guardAsync(() => native.load(path)));
}

/** {@link Model.recommend} as a function. */
export function recommend(model: Model, history: Iterable<string>, options?: RecommendOptions): Recommendation {
  checkInstance(model, 'model', Model);
  return model.recommend(history, options);
}
