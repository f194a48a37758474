/** Popularity, the floor, beside a model that was trained without a comparison. */
import type { HeldOut, Split } from '../data/split.js';
import { evaluate } from '../models/evaluate.js';
import { fit } from '../models/fit.js';
import { description } from '../runtime/native.js';
import type { MetricName, ModelName } from '../runtime/options.generated.js';
import type { RunOptions } from '../runtime/running.js';
import { type Difference, pairedDifferences, SIGNIFICANCE } from './paired.js';
import { detectableWords, formatP, signed } from './wording.js';

/** What every model has to beat. It is recommended only where none does. */
export const FLOOR: ModelName = 'popularity';

/** A model minus popularity on the same users. */
export interface FloorDifference extends Difference {
  /** Popularity's mean. */
  mean: number;
  /**
   * Which users were asked: validation users, who have chosen the model's options, only where there are no test users.
   */
  part: 'test' | 'validation';
  /** How many of them count. */
  users: number;
}

/**
 * How a model stands to popularity in the core's main metric; `null` where fewer than two users count.
 *
 * @param perUser - The model's values of that metric on the users that count in `heldOut`, a part of `data`.
 */
export async function againstFloor(
  perUser: Float64Array,
  data: Split,
  heldOut: HeldOut,
  seed: number,
  { threads, signal }: RunOptions,
): Promise<FloorDifference | null> {
  if (heldOut.nScored < 2) return null;
  const run = { threads, signal };
  const metric = description.validationMetric as MetricName;
  const floor = await fit(FLOOR, data, {}, run);
  try {
    const { metrics } = await evaluate(floor, heldOut, { ...run, metrics: [metric] });
    const { mean, perUser: its } = metrics[metric]!;
    const [found] = await pairedDifferences([[perUser, its]], seed, run);
    return { ...found!, mean, part: heldOut === data.test ? 'test' : 'validation', users: heldOut.nScored };
  } finally {
    floor.dispose(); // nobody else has it
  }
}

/** A sentence that a model does not beat the floor; empty if it does, or if that is not known. */
export function floorWords(model: string, found: FloorDifference | null): string {
  if (found === null || (found.difference > 0 && found.pValue < SIGNIFICANCE)) return '';
  const { difference, pValue, mean, detectable, part, users: count } = found;
  return (
    `Nothing was found in these data: ${model} does not beat ${FLOOR}, the floor (${mean.toFixed(4)}), significantly on the ` +
    `${part} users (difference ${signed(difference)}, ${formatP(pValue)}).` +
    `${difference < 0 ? '' : detectableWords(detectable, mean, { count, part })}`
  );
}
