import type { ComparedModel, ComparisonReport, PairedDifference } from './compare.js';
import type { ModelName } from './options.generated.js';

/** Chance of a false alarm that is accepted when a costlier model is recommended over a cheaper one. */
export const SIGNIFICANCE = 0.05;
/** Never recommended: popularity is only the floor. */
export const FLOOR: ModelName = 'popularity';

/** A p-value in words; the bootstrap cannot tell how far below one in 10,000 it is. */
export function formatP(p: number): string {
  return p < 0.001 ? 'p < .001' : `p = ${p.toFixed(3).replace(/^0/, '')}`;
}

/** A number that always has its sign. */
export function signed(number: number): string {
  return `${number < 0 ? '-' : '+'}${Math.abs(number).toFixed(4)}`;
}

function times(seconds: number, reference: number): string {
  const ratio = seconds / Math.max(reference, 1e-3);
  if (ratio >= 0.95 && ratio <= 1.05) return 'the same time';
  const short = (number: number) => Number(number.toPrecision(2));
  return ratio > 1 ? `${short(ratio)} times the time` : `${short(ratio * 100)} % of the time`;
}

/**
 * Which model to use and why: the cheapest one above popularity that no other one beats significantly. A costlier model has to
 * earn its place.
 */
export function decide(
  models: ComparedModel[],
  paired: PairedDifference[],
  metric: string,
): Pick<ComparisonReport, 'winner' | 'verdict'> {
  const mean = ({ metrics }: ComparedModel) => metrics[metric]!.mean;
  const better = (best: ComparedModel, model: ComparedModel) => (mean(model) > mean(best) ? model : best);
  // Of equals the earlier, cheaper one.
  const best = models.reduce(better);
  const beats = (other: ComparedModel, model: ComparedModel) =>
    mean(other) > mean(model) && differenceOf(paired, other.model, model.model, metric).pValue < SIGNIFICANCE;
  const beaten = (model: ComparedModel) => models.some((other) => beats(other, model));
  const candidates = models.filter(({ model }) => model !== FLOOR);
  const winner = candidates.find((model) => !beaten(model)) ?? best;
  // What it is measured by: the best one if that is another, else the strongest one below it.
  const rival = winner === best ? models.filter((model) => model !== winner).reduce(better) : best;
  const { difference, interval, pValue } = differenceOf(paired, winner.model, rival.model, metric);
  const numbers =
    `${metric} ${mean(winner).toFixed(4)} against ${mean(rival).toFixed(4)} of ${rival.model}, ` +
    `difference ${signed(difference)}, 95 % interval ${signed(interval[0])} to ${signed(interval[1])}, ` +
    `${formatP(pValue)} after Holm's correction`;
  const cost = `training took ${times(winner.seconds, rival.seconds)} of ${rival.model}`;
  const found =
    winner !== best
      ? `${rival.model} is ahead, but the difference is not established, so the cheaper model stays`
      : pValue < SIGNIFICANCE
        ? 'it is significantly better'
        : 'it is ahead, but the difference is not established';
  return { winner: winner.model, verdict: `Use ${winner.model}: ${found} (${numbers}); ${cost}.` };
}

/** `a` minus `b`, whichever way round the pair stands. */
export function differenceOf(paired: PairedDifference[], a: ModelName, b: ModelName, metric: string): PairedDifference {
  const find = (a: ModelName, b: ModelName) =>
    paired.find((pair) => pair.metric === metric && pair.a === a && pair.b === b);
  const same = find(a, b);
  if (same) return same;
  const { difference, interval, ...rest } = find(b, a)!;
  return { ...rest, a, b, difference: -difference, interval: [-interval[1], -interval[0]] };
}
