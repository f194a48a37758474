/** Training of one model. */

import { Interactions } from '../data/interactions.js';
import { Split } from '../data/split.js';
import { checkInstance, checkRun, checkString, infoText } from '../runtime/check.js';
import { toJson, toRecvaeError } from '../runtime/errors.js';
import type { JsonLike } from '../runtime/json.js';
import { native } from '../runtime/native.js';
import type { ComputeOptions, ModelName, ModelOptions } from '../runtime/options.generated.js';
import { type RunOptions, running } from '../runtime/running.js';
import { type BlendParts, type BlendRun, fitBlend } from './blend.js';
import { type Checkpoint, toNative } from './checkpoint.js';
import { COMPUTE, computeOf } from './compute.js';
import { Model } from './model.js';
import type { Progress, StepProgress } from './progress.js';

/** How {@link fit} runs. */
export interface FitRun extends RunOptions, ComputeOptions {
  /**
   * Called with the latest epoch that ended, on the event loop, at most ten times a second; the last epoch always
   * comes. It does not keep the process alive. If it throws, training stops, and the promise is rejected with what was
   * thrown. The same holds if it gives back a promise that is rejected; {@link fit} waits for such promises at the end.
   * By default nobody is told. Closed forms have no epochs; they tell {@link Progress.fraction} as they get on.
   */
  onProgress?: ((progress: Progress) => void) | undefined;
  /**
   * Called with how far the epoch at work is, at most ten times a second, also before the first epoch ends; otherwise
   * as `onProgress`. Closed forms have no epochs.
   */
  onStep?: ((step: StepProgress) => void) | undefined;
  /** Kept with the model and in its file; anything that JSON can hold. */
  info?: JsonLike | undefined;
  /**
   * Keeps the training of `recvae`, `mult-vae`, `mult-dae` or `hvamp` in a file, from which it goes on with `resume`
   * after a crash, a kill or an abort: to the same model bytes and the same {@link Model.epochs} (but for the seconds)
   * as without interruption, for any number of threads. An abort writes it before the promise is rejected, and loses no
   * step. By default there is none.
   *
   * With `resume` a call can be repeated as it is until it succeeds. A checkpoint of another model, other data, other
   * options, another engine or precision or another {@link FitRun.from} is refused; only `epochs` may change, to a
   * number that is not less than what was trained, for `recvae`, for `mult-dae`, for `hvamp` and for `mult-vae` with
   * `annealing` 0. When `fit` is done the file stays, so that nothing is lost before the model is saved: remove it
   * then.
   */
  checkpoint?: Checkpoint | undefined;
  /**
   * Bytes that the fit may take beyond the data, 0 or more; a fit that would take more is refused at once. By default
   * what is free: on Linux what can be had without swapping, less where a control group has less left.
   */
  memoryLimit?: number | undefined;
  /**
   * A trained model of the same kind that RecVAE, Mult-VAE, Mult-DAE and H+Vamp begin with instead of random
   * parameters. Items that both know, by id, keep what was learnt about them; new ones begin as in fresh training, and
   * those that the data lack are dropped. `hiddenDim`, `latentDim`, RecVAE's `encoder` and H+Vamp's `pseudoUsers` must
   * be the model's; `from.options` has them. The KL weight grows from 0 again, as Mult-VAE's `annealing` and H+Vamp's
   * `warmUp` say. By default none.
   */
  from?: Model | undefined;
}

const KEYS = Object.keys({
  threads: true,
  memoryLimit: true,
  signal: true,
  onProgress: true,
  onStep: true,
  info: true,
  checkpoint: true,
  from: true,
  ...COMPUTE,
} satisfies Record<keyof FitRun, true>);

/**
 * Trains a model, off the event loop, from random parameters or {@link FitRun.from | from those of another model}. On a
 * {@link Split}, its training users are learnt from and its validation users choose the best epoch; on
 * {@link Interactions}, all users are learnt from and nothing is chosen.
 *
 * The same data, options (with their seed) and machine give the same model for any number of threads. Until the promise
 * is settled it keeps the process alive.
 *
 * @param model - Name of the model; it determines the options.
 * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an unknown model or key or a value out of range, and for a `from`
 * of another kind, of another shape or without a common item; `INVALID_DATA` if there is nothing to learn from,
 * `NUMERICAL` if the arithmetic fails, `MEMORY` before any work if it would take more memory than `run.memoryLimit`,
 * see {@link estimateMemory}. For a checkpoint: `INVALID_ARGUMENT` if it is of another training, or there and not to be
 * gone on from, `INVALID_MODEL_FILE` if it is truncated, altered or of another program, `IO` if it cannot be written,
 * also where the fit was aborted.
 */
export async function fit<K extends ModelName>(
  model: K,
  data: Split | Interactions,
  options?: ModelOptions[K],
  run?: FitRun,
): Promise<Model<K>>;
/**
 * Makes a blend of trained models: their scores, made comparable for each user, are added with convex weights. Weights,
 * scale, which parts are worth it and whether weights depend on the history are learnt from NDCG@100 on the validation
 * users of the split, and nothing is trained. A part is dropped if the others lose no more than chance without it. What
 * was found is in `options` of the blend, see {@link BlendRecord}. It asks each of its parts for every request, and
 * costs their sum.
 *
 * A checkpoint has no meaning for it: its parts are its checkpoints.
 *
 * @example
 * ```ts
 * const parts = [await fit('ease', data), await fit('recvae', data)];
 * const blend = await fit('blend', data, { parts });
 * console.log(blend.options.parts, blend.options.dropped);
 * await blend.save('blend.safetensors'); // one file that holds the parts
 * ```
 *
 * @throws {@link RecvaeError} `INVALID_ARGUMENT` for fewer than two or more than eight different models, for models of
 * other items (the first difference is named), and for an option; `INVALID_DATA` if there are fewer than two validation
 * users with something to find; `NUMERICAL`, `MEMORY`.
 */
export async function fit(model: 'blend', data: Split, options: BlendParts, run?: BlendRun): Promise<Model<'blend'>>;
export async function fit<K extends ModelName>(
  model: K,
  data: Split | Interactions,
  options?: ModelOptions[K] | BlendParts,
  run: FitRun & BlendRun = {},
): Promise<Model<K>> {
  checkString(model, 'model');
  // Whoever has the type has the model.
  if (model === 'blend')
    return fitBlend(data, options as BlendParts, run) as Promise<Model<never>> as Promise<Model<K>>;
  checkInstance(data, 'data', Split, Interactions);
  checkRun(run, KEYS);
  return fitWatched(model, data, options as ModelOptions[K], run);
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
  const { threads, memoryLimit, signal, onProgress, onStep, everyEpoch, from } = run;
  if (from !== undefined) checkInstance(from, 'from', Model);
  const checkpoint = toNative(run.checkpoint);
  const compute = toJson(computeOf(run));
  let unwritten: unknown;
  const work = async (run: native.NativeRun) => {
    try {
      return await native.fit(
        { kind: model, options: toJson(options), info, compute, threads, memoryLimit, checkpoint },
        train.native,
        validation?.native,
        run,
        from?.native,
      );
    } catch (thrown) {
      if ((thrown as { code?: unknown }).code === 'IO') unwritten = thrown;
      throw thrown;
    }
  };
  try {
    const fitted = await running({ signal, onProgress, onStep, everyEpoch }, work);
    return Model.wrap<K>(fitted.model, fitted.epochs);
  } catch (thrown) {
    // Whoever aborts counts on the checkpoint: that it could not be written goes before the signal's reason.
    throw unwritten === undefined ? thrown : toRecvaeError(unwritten);
  }
}
