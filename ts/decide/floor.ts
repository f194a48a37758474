/** Popularity, the floor, beside a model that was trained without a comparison. */
import type { HeldOut, Split } from '../data/split.js';
import { evaluate } from '../models/evaluate.js';
import { fit } from '../models/fit.js';
import { description } from '../runtime/native.js';
import type { MetricName } from '../runtime/options.generated.js';
import type { RunOptions } from '../runtime/running.js';
import { FLOOR } from './compare/verdict.js';
import { type Difference, pairedDifferences } from './paired.js';

/** A model minus popularity on the same users. */
export interface FloorDifference extends Difference {
  /** Popularity's mean. */
  mean: number;
  /** Which users were asked: validation users, who have chosen the model's options, only where there are no test users. */
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
