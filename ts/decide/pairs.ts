/** Pairs of models, by their names. */
import type { Evaluation } from '../models/evaluate.js';
import type { ModelName } from '../runtime/options.generated.js';
import type { RunOptions } from '../runtime/running.js';
import { type Difference, pairedDifferences } from './paired.js';

/** `a` minus `b` on the same test users. */
export interface PairedDifference extends Difference {
  /** The later one in the order in which models run. */
  a: ModelName;
  /** The earlier one. */
  b: ModelName;
  /** What is compared, such as `ndcg@100`; p-values are corrected over the pairs of it. */
  metric: string;
}

/** Every pair of models, the later one first. */
export function pairsOf(models: ModelName[]): { a: ModelName; b: ModelName }[] {
  return models.flatMap((b, index) => models.slice(index + 1).map((a) => ({ a, b })));
}

/** {@link pairsOf} the evaluated models on every metric with a value per user. */
export async function pairs(
  evaluations: Map<ModelName, Pick<Evaluation, 'metrics'>>,
  seed: number,
  run: RunOptions,
): Promise<PairedDifference[]> {
  const all = [...evaluations];
  const result: PairedDifference[] = [];
  const [, first] = all[0]!;
  for (const [metric, { perUser }] of Object.entries(first.metrics)) {
    if (perUser.length < 2) continue;
    const ofMetric = pairsOf(all.map(([model]) => model)).map((pair) => ({ ...pair, metric }));
    const values = (model: ModelName) => evaluations.get(model)!.metrics[metric]!.perUser;
    const found = await pairedDifferences(
      ofMetric.map(({ a, b }) => [values(a), values(b)]),
      seed,
      run,
    );
    result.push(...ofMetric.map((pair, at) => ({ ...pair, ...found[at]! })));
  }
  return result;
}

/** `a` minus `b`, whichever way round the pair stands. */
export function differenceOf(paired: PairedDifference[], a: ModelName, b: ModelName, metric: string): PairedDifference {
  const find = (a: ModelName, b: ModelName) =>
    paired.find((pair) => pair.metric === metric && pair.a === a && pair.b === b);
  const same = find(a, b);
  if (same) return same;
  const { difference, interval, ...rest } = find(b, a)!;
  // 0 - 0 is 0; -0 would be written as such.
  return { ...rest, a, b, difference: 0 - difference, interval: [0 - interval[1], 0 - interval[0]] };
}
