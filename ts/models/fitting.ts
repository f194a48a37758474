/** The largest model that fits into memory and time. */
import { Split } from '../data/split.js';
import { checkInstance, checkString, knownKeys } from '../runtime/check.js';
import { guard, toJson } from '../runtime/errors.js';
import { native } from '../runtime/native.js';
import type { ModelName, ModelOptions } from '../runtime/options.generated.js';

/** An option that is not what was asked for. */
export interface OptionChange {
  /** Its name. */
  name: string;
  /** What was asked for, or the default. */
  from: unknown;
  /** What fits. */
  to: unknown;
}

/** What a fit may take. */
export interface FittingLimits {
  /**
   * Threads that compute, by which the memory and the seconds of a fit differ. By default the cores that this process
   * may use.
   */
  threads?: number | undefined;
  /** Bytes beyond the data. By default what is free. */
  memoryLimit?: number | undefined;
  /** Seconds, as {@link estimateSeconds} counts them. By default any. */
  seconds?: number | undefined;
}

const KEYS = Object.keys({ threads: true, memoryLimit: true, seconds: true } satisfies Record<
  keyof FittingLimits,
  true
>);

/** Options by which a fit fits, or why there are none. */
export type Fitting<K extends ModelName = ModelName> =
  | {
      /** The options that were given, with those that were changed. */
      options: ModelOptions[K];
      /** What was changed; empty if it fits as it was asked for. */
      changed: OptionChange[];
    }
  | { refusal: string };

/**
 * The options by which a fit on the training users of a split keeps to its memory and time, changed as little as
 * needed: of `ease`, `edlae`, `rdlae` and `deql` the largest `density`, of `hoease` the most `pairs`, of `als` the most
 * `factors`, of the networks the largest `hiddenDim` and `latentDim`. With them {@link fit} does not refuse, as long as
 * as much is free.
 *
 * @param beside - Bytes of something else that is held meanwhile, within the memory limit.
 * @throws {@link RecvaeError} `INVALID_ARGUMENT`.
 */
export function largestThatFits<K extends ModelName>(
  model: K,
  options: ModelOptions[K] | undefined,
  data: Split,
  limits: FittingLimits = {},
  beside = 0,
): Fitting<K> {
  checkString(model, 'model');
  checkInstance(data, 'data', Split);
  knownKeys(limits, KEYS, 'limits');
  const { train, validation } = data;
  const { threads, memoryLimit, seconds } = limits;
  const validated = validation.nScored > 0;
  return guard(() =>
    JSON.parse(
      native.largestThatFits(model, toJson(options), train.native, validated, threads, memoryLimit, beside, seconds),
    ),
  );
}
