/** Differences between models on the same users, with what the core's statistics say to them. */
import { guard } from '../runtime/errors.js';
import { description, native } from '../runtime/native.js';
import { type RunOptions, running } from '../runtime/running.js';

/** Chance of a false alarm that is accepted when a difference is called established; the core's. */
export const SIGNIFICANCE = description.significance;

/** A mean difference on the same users. */
export interface Difference {
  /** Mean of the users' differences. */
  difference: number;
  /** 95 % bootstrap interval of the mean, for this pair alone. */
  interval: [number, number];
  /** Two-sided bootstrap p-value after Holm's correction over all pairs that were compared together. */
  pValue: number;
  /** The same before the correction. */
  pValueUncorrected: number;
  /**
   * The smallest true difference that so many users, whose differences vary as these do, establish with a chance of 80
   * %, after the correction. Where nothing is established and this is large, the users are too few. 0 if all users
   * differ by the same; `null` where so few users, or so few who differ, can establish nothing, however large a
   * difference is.
   */
  detectable: number | null;
}

/** Compares each pair of values per user, first minus second, and corrects the p-values over all of them. */
export async function pairedDifferences(
  pairs: [Float64Array, Float64Array][],
  seed: number,
  { threads, signal }: RunOptions,
): Promise<Difference[]> {
  const found: Difference[] = [];
  for (const [a, b] of pairs) {
    const { difference, low, high, pValue } = await running({ signal }, (run) =>
      native.pairedBootstrap(a, b, seed, threads, run),
    );
    const detectable = guard(() => native.detectableDifference(a, b, pairs.length));
    found.push({ difference, interval: [low, high], pValue, pValueUncorrected: pValue, detectable });
  }
  const corrected = guard(() => native.holm(found.map(({ pValue }) => pValue)));
  return found.map((pair, at) => ({ ...pair, pValue: corrected[at]! }));
}
