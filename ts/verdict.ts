import type { ComparedModel, ComparisonReport, PairedDifference } from './compare.js';
import type { ModelName } from './options.generated.js';

/** Chance of a false alarm that is accepted when a costlier model is recommended over EASE^R. */
const SIGNIFICANCE = 0.05;
const LINEAR: ModelName = 'ease';

/** A p-value in words; the bootstrap cannot tell how far below one in 10,000 it is. */
export function formatP(p: number): string {
  return p < 0.001 ? 'p < .001' : `p = ${p.toFixed(3).replace(/^0/, '')}`;
}

function signed(number: number): string {
  return `${number < 0 ? '-' : '+'}${Math.abs(number).toFixed(4)}`;
}

function times(seconds: number, reference: number): string {
  const ratio = seconds / Math.max(reference, 1e-3);
  if (ratio >= 0.95 && ratio <= 1.05) return 'the same time';
  const short = (number: number) => Number(number.toPrecision(2));
  return ratio > 1 ? `${short(ratio)} times the time` : `${short(ratio * 100)} % of the time`;
}

/** Which model to use and why. */
export function decide(
  models: ComparedModel[],
  paired: PairedDifference[],
  metric: string,
): Pick<ComparisonReport, 'winner' | 'verdict'> {
  const mean = ({ metrics }: ComparedModel) => metrics[metric]!.mean;
  const linear = models.find(({ model }) => model === LINEAR)!;
  // Of equals the earlier, cheaper one.
  const best = models.reduce((best, model) => (mean(model) > mean(best) ? model : best));
  const rival =
    best === linear
      ? models.filter((model) => model !== linear).reduce((best, model) => (mean(model) > mean(best) ? model : best))
      : best;
  const { difference, interval, pValue } = differenceFromLinear(paired, rival.model, metric);
  const sure = pValue < SIGNIFICANCE;
  const winner = best !== linear && sure ? best : linear;
  const other = winner === linear ? rival : linear;
  const sign = winner === linear ? -1 : 1;
  const ends = [sign * interval[0], sign * interval[1]].sort((a, b) => a - b) as [number, number];
  const numbers =
    `${metric} ${mean(winner).toFixed(4)} against ${mean(other).toFixed(4)} of ${other.model}, ` +
    `difference ${signed(sign * difference)}, 95 % interval ${signed(ends[0])} to ${signed(ends[1])}, ` +
    `${formatP(pValue)} after Holm's correction`;
  const cost = `training took ${times(winner.seconds, other.seconds)} of ${other.model}`;
  const found = sure
    ? `it is significantly better`
    : best === linear
      ? `it is ahead, but the difference is not established`
      : `${other.model} is ahead, but the difference is not established, so the linear model stays`;
  return { winner: winner.model, verdict: `Use ${winner.model}: ${found} (${numbers}); ${cost}.` };
}

/** `model` minus EASE^R. */
function differenceFromLinear(paired: PairedDifference[], model: ModelName, metric: string): PairedDifference {
  const same = paired.find((pair) => pair.metric === metric && pair.a === model && pair.b === LINEAR);
  if (same) return same;
  const turned = paired.find((pair) => pair.metric === metric && pair.a === LINEAR && pair.b === model)!;
  const { a, b, difference, interval } = turned;
  return { ...turned, a: b, b: a, difference: -difference, interval: [-interval[1], -interval[0]] };
}
