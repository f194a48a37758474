/** Where models stand on all training users: as measured there, or as the trend over samples says. */
import { guard } from '../../runtime/errors.js';
import { native } from '../../runtime/native.js';
import type { ModelName } from '../../runtime/options.generated.js';
import type { RunOptions } from '../../runtime/running.js';
import { pairedDifferences } from '../paired.js';

/** A model against the one that leads. */
export interface Trend {
  /** Which model. */
  model: ModelName;
  /** The model that leads. */
  against: ModelName;
  /** Its mean minus that of the one that leads, on the samples on which both were tried. */
  gaps: { users: number; gap: number }[];
  /** Whether both were tried on all training users. */
  measured: boolean;
  /**
   * The gap on all training users: measured, or on a line through the last two samples over the logarithm of their
   * users. `null` if there is only one sample, so that nothing is known of the trend.
   */
  expected: number | null;
  /**
   * Its 95 % interval by the validation users, not corrected; what was drawn into the samples has a chance of its own
   * besides.
   */
  interval: [number, number] | null;
  /** See {@link Difference.detectable}: the difference in the largest sample that the validation users would show. */
  detectable: number | null;
}

/** Values by validation user, of each model, on one sample. */
export interface SampleValues {
  users: number;
  values: Map<ModelName, Float64Array>;
}

/** The trends of all other models against `leader`; `all` is the number of training users. */
export async function trendsAgainst(
  leader: ModelName,
  samples: SampleValues[],
  all: number,
  seed: number,
  run: RunOptions,
): Promise<Trend[]> {
  const models = [...new Set(samples.flatMap(({ values }) => [...values.keys()]))].filter((model) => model !== leader);
  const common = models.map((model) => samples.filter(({ values }) => values.has(model) && values.has(leader)));
  const pairs = models.flatMap((model, at): [Float64Array, Float64Array][] => {
    const { values } = common[at]!.at(-1)!;
    return [[values.get(model)!, values.get(leader)!]];
  });
  const there = await pairedDifferences(pairs, seed, run);
  const trends: Trend[] = [];
  for (const [at, model] of models.entries()) {
    const its = common[at]!;
    const measured = its.at(-1)!.users === all;
    const gaps = its.map(({ users, values }) => ({
      users,
      gap: meanOf(values.get(model)!) - meanOf(values.get(leader)!),
    }));
    const carried = measured || its.length > 1 ? [carriedOn(model, its, all), carriedOn(leader, its, all)] : undefined;
    const [expected] = carried ? await pairedDifferences([carried as [Float64Array, Float64Array]], seed, run) : [];
    trends.push({
      model,
      against: leader,
      gaps,
      measured,
      expected: expected?.difference ?? null,
      interval: expected?.interval ?? null,
      detectable: there[at]!.detectable,
    });
  }
  return trends;
}

/** The values of a model by user as they are, or would be, on all training users. */
function carriedOn(model: ModelName, samples: SampleValues[], all: number): Float64Array {
  const larger = samples.at(-1)!;
  if (larger.users === all) return larger.values.get(model)!;
  const smaller = samples.at(-2)!;
  return guard(() =>
    native.carriedOn(smaller.values.get(model)!, larger.values.get(model)!, smaller.users, larger.users, all),
  );
}

const meanOf = (values: Float64Array) => guard(() => native.mean(values)).mean;
