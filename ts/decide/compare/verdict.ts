import { FLOOR } from '../floor.js';
import { SIGNIFICANCE } from '../paired.js';
import { differenceOf, type PairedDifference } from '../pairs.js';
import { detectableWords, formatP, type Judges, rough, signed } from '../wording.js';
import type { ComparedModel, ComparisonReport } from './report.js';

/**
 * Seconds of one run vary with what else the machine does: below this ratio, or this difference, nothing is said of
 * them.
 */
const COST_RATIO = 1.5;
const COST_SECONDS = 1;
/** What a verdict rests on. */
interface Case {
  models: ComparedModel[];
  paired: PairedDifference[];
  metric: string;
  judges: Judges;
}

type Decision = Pick<ComparisonReport, 'winner' | 'verdict'>;

/**
 * Which model to use and why.
 *
 * Of the models that are significantly better than popularity, the floor, it is the first one, in the order from cheap
 * to costly in which they are given, that no other one beats significantly: a costlier model has to earn its place.
 * Where no model beats the floor nothing was found in the data, and popularity is the answer.
 */
export function decide(models: ComparedModel[], paired: PairedDifference[], metric: string, judges: Judges): Decision {
  const found: Case = { models, paired, metric, judges };
  const beats = (other: ComparedModel, model: ComparedModel) => isBetter(other, model, found);
  const floor = models.find(({ model }) => model === FLOOR);
  const candidates = models.filter((model) => model !== floor && (!floor || beats(model, floor)));
  if (candidates.length === 0 && floor) return nothingFound(floor, found);
  const winner = candidates.find((model) => !models.some((other) => beats(other, model))) ?? best(candidates, metric);
  const words = [reason(winner, found), cost(winner, rivalOf(winner, found)), notTuned(found)];
  return { winner: winner.model, verdict: `Use ${winner.model}: ${words.filter(Boolean).join('')}` };
}

const meanOf = ({ metrics }: ComparedModel, metric: string) => metrics[metric]!.mean;

/** The model with the highest mean, of equals the first, cheaper one. */
function best(models: ComparedModel[], metric: string): ComparedModel {
  return models.reduce((best, model) => (meanOf(model, metric) > meanOf(best, metric) ? model : best));
}

/** Whether a model is better than another one by more than chance. */
function isBetter(model: ComparedModel, other: ComparedModel, { paired, metric }: Case): boolean {
  return (
    meanOf(model, metric) > meanOf(other, metric) &&
    differenceOf(paired, model.model, other.model, metric).pValue < SIGNIFICANCE
  );
}

/** What the winner is measured by: the best one if that is another, else the strongest one below it. */
function rivalOf(winner: ComparedModel, { models, metric }: Case): ComparedModel {
  const top = best(models, metric);
  if (top !== winner) return top;
  return best(
    models.filter((model) => model !== winner),
    metric,
  );
}

/** Why the winner is it. */
function reason(winner: ComparedModel, found: Case): string {
  const rival = rivalOf(winner, found);
  const numbers = `(${numbersOf(winner, rival, found)})`;
  const unclear = notEstablished(winner, rival, found);
  if (isBetter(winner, rival, found))
    return `it is significantly better than ${named(rival)} ${numbers}.${selfTuned(winner)}`;
  if (isEqual(winner, rival, found))
    return `it and ${named(rival)} are equal here ${numbers}, so ${stays(winner, rival)}.`;
  return meanOf(winner, found.metric) > meanOf(rival, found.metric)
    ? `it is ahead of ${named(rival)}, but the difference is not established ${numbers}.${unclear}`
    : `${named(rival)} is ahead, but the difference is not established ${numbers}, so ${stays(winner, rival)}.${unclear}`;
}

/** The decision where no model is significantly better than the floor. */
function nothingFound(floor: ComparedModel, found: Case): Decision {
  const { models, metric } = found;
  const rest = models.filter((model) => model !== floor);
  const rival = best(rest, metric);
  const { difference } = differenceOf(found.paired, rival.model, floor.model, metric);
  const where = isEqual(rival, floor, found)
    ? `the best other one, ${named(rival)}, is equal to it`
    : `the best other one, ${named(rival)}, is ${difference > 0 ? 'ahead, but that is not established' : 'behind'}`;
  const verdict =
    `Use ${floor.model}: nothing was found in these data, as no model beats ${floor.model}, the floor, significantly; ${where} ` +
    `(${numbersOf(rival, floor, found)}).${difference < 0 ? '' : notEstablished(rival, floor, found)}${notTuned(found)}`;
  return { winner: floor.model, verdict };
}

/** Whether two models have the same mean in the digits that are told. */
function isEqual(a: ComparedModel, b: ComparedModel, { metric }: Case): boolean {
  return meanOf(a, metric).toFixed(4) === meanOf(b, metric).toFixed(4);
}

/** A pair in numbers. */
function numbersOf(a: ComparedModel, b: ComparedModel, { paired, metric }: Case): string {
  const { difference, interval, pValue } = differenceOf(paired, a.model, b.model, metric);
  return (
    `${metric} ${meanOf(a, metric).toFixed(4)} against ${meanOf(b, metric).toFixed(4)} of ${b.model}, ` +
    `difference ${signed(difference)}, 95 % interval ${signed(interval[0])} to ${signed(interval[1])}, ` +
    `${formatP(pValue)} after Holm's correction`
  );
}

/** Why a model stays that another one is not established to be better than. */
function stays(winner: ComparedModel, rival: ComparedModel): string {
  return isCheaper(winner, rival)
    ? 'the cheaper model stays'
    : `${winner.model} stays, which comes first in the order from cheap to costly`;
}

/** A sentence about what so many users could have shown of a pair that is not told apart; empty where all are equal. */
function notEstablished(a: ComparedModel, b: ComparedModel, { paired, metric, judges }: Case): string {
  const { detectable } = differenceOf(paired, a.model, b.model, metric);
  return detectableWords(detectable, Math.max(meanOf(a, metric), meanOf(b, metric)), judges);
}

/** Whether a model took less time by more than runs differ. */
function isCheaper(model: ComparedModel, other: ComparedModel): boolean {
  return other.seconds - model.seconds >= COST_SECONDS && other.seconds >= COST_RATIO * model.seconds;
}

/** A sentence about time; empty where there is no difference to speak of. */
function cost(winner: ComparedModel, rival: ComparedModel): string {
  if (!isCheaper(winner, rival) && !isCheaper(rival, winner)) return '';
  const ratio = winner.seconds / Math.max(rival.seconds, 1e-3);
  const times = ratio > 1 ? `${rough(ratio)} times the time` : `${rough(ratio * 100)} % of the time`;
  return ` Search and training took ${times} of ${rival.model}.`;
}

const searchedNot = ({ untuned }: ComparedModel) => `${untuned.join(' and ')} not searched`;

/** A model's name, with the words that it was not tuned where it was not. */
function named(model: ComparedModel): string {
  return model.untuned.length === 0 ? model.model : `${model.model}, not tuned (${searchedNot(model)})`;
}

/** A sentence about a winner that was not tuned itself. */
function selfTuned(winner: ComparedModel): string {
  return winner.untuned.length === 0 ? '' : ` It was not tuned itself (${searchedNot(winner)}) and may be better yet.`;
}

/** A sentence about all models that were not tuned; empty if there are none. */
function notTuned({ models }: Case): string {
  const found = models.filter(({ untuned }) => untuned.length > 0);
  if (found.length === 0) return '';
  const names = found.map((model) => `${model.model} (${searchedNot(model)})`).join(', ');
  return ` Not tuned: ${names}; where one of them is behind, that may be for its options.`;
}
