/** What tuning found, as plain JSON and in plain words. */
import type { LeftOut } from '../../data/left-out.js';
import type { Profile } from '../../data/profile.js';
import type { Computed } from '../../models/compute.js';
import { type Evaluation, meansOf } from '../../models/evaluate.js';
import type { Json } from '../../runtime/json.js';
import { description } from '../../runtime/native.js';
import type { ModelName } from '../../runtime/options.generated.js';
import type { Found } from '../../search/find-best.js';
import { ranked } from '../../search/halving.js';
import type { Search, SearchKind } from '../../search/search.js';
import { isRange, type Point } from '../../search/spaces.js';
import type { TrialResult } from '../../search/trials.js';
import type { Curve } from '../curve.js';
import type { ExampleUser } from '../examples.js';
import type { FloorDifference } from '../floor.js';
import type { RequestSeconds } from '../requests.js';
import type { RunFacts } from '../run.js';

/** A trial in a {@link TuneReport}. */
export interface TunedTrial {
  /** Values of the options that were searched. */
  options: Record<string, Json>;
  /** The metric on the validation users: that of its best epoch so far; `null` if it failed. */
  validation: number | null;
  /** Epochs trained; 0 for closed forms. */
  epochs: number;
  /** How many epochs it was allowed, if fewer than the best one: not to be compared with trials of more. */
  epochLimit?: number;
  /** Wall-clock seconds. */
  seconds: number;
  /** That it was stopped before its end. */
  stopped?: 'hopeless';
  /** Why there is no result: the arithmetic failed. */
  failed?: string;
  /**
   * How many of the most popular items it was trained and judged on, if not on all: not to be compared with other
   * trials.
   */
  items?: number;
}

/** The result of {@link tune} as plain JSON. */
export interface TuneReport extends Curve {
  /** Which model. */
  model: ModelName;
  /** How points were chosen. */
  search: SearchKind;
  /** What was searched. */
  space: Record<string, Json>;
  /** Seed of random combinations. */
  seed: number;
  /** What decides: the core's main metric on the validation users. */
  metric: string;
  /** Users in each part that count in metrics; training users all do. */
  users: { train: number; validation: number; test: number };
  /** What of the input is not in the split or does not count, and why. */
  leftOut: LeftOut[];
  /** What speaks against the metrics, as in {@link Evaluation.warnings}; empty if nothing does. */
  warnings: string[];
  /**
   * All trials, the best first; those with all epochs and on all items before those with fewer. Those that failed come
   * last.
   */
  trials: TunedTrial[];
  /** The searched options of the best trial. */
  best: Record<string, Json>;
  /** All options of the model. */
  options: Json;
  /** Of a network, what computed it. */
  computed?: Computed;
  /** The metric of the model on the validation users. It was the best of many, so expect less of new users. */
  validation: { mean: number; standardError: number | null };
  /** The metrics on the test users, measured once, for this model alone; `null` if there are none. */
  test: Record<string, { mean: number; standardError: number | null }> | null;
  /**
   * The model against popularity, which it has to beat; `null` of popularity itself, and where fewer than two users
   * count.
   */
  floor: FloorDifference | null;
  /**
   * Trials, the best one included, whose validation is at most one standard error below the best; and over which
   * values. Only those with all epochs and on all items count. All are judged on the same validation users, 10,000 of
   * them at most, and so is the standard error.
   */
  withinOneStandardError: { trials: number; values: Record<string, Json[]> };
  /** Searched options whose best value is the lowest or the highest of those searched. */
  atTheEdge: Record<string, 'lowest' | 'highest'>;
  /**
   * Searched options of which half of the range or more, around the best value, makes no difference beyond chance; of
   * `adaptive`.
   */
  plateaus: Record<string, { from: number; to: number }>;
  /** What the training users look like. */
  profile: Profile;
  /** How long a request of the model takes. */
  requestSeconds: RequestSeconds;
  /**
   * A test user of each group by activity, with what the model lists; empty without test users and with
   * `examples: false`.
   */
  examples: ExampleUser[];
  /** How and where this came about. */
  run: RunFacts;
  /** Wall-clock seconds of this call; trials that a journal had are not in it. */
  seconds: number;
  /** The same in plain words. */
  verdict: string;
}

/** What the report is made of. */
interface Summed extends Pick<Found, 'points' | 'results' | 'best' | 'edges' | 'plateaus'> {
  search: Search;
  /** Of the best model on the validation users. */
  validation: TuneReport['validation'];
  /** Of the best model on the test users, if there are any. */
  evaluation: Evaluation | undefined;
}

/** All of the report that the search and the evaluations say. */
export function reportOf(
  found: Summed,
): Pick<TuneReport, 'trials' | 'best' | 'validation' | 'test' | 'verdict'> & Summary {
  const { points, results, best, validation, evaluation } = found;
  const summary = summaryOf(found);
  const order = ranked(results);
  return {
    trials: [...order.filter((at) => isWhole(found, at)), ...order.filter((at) => !isWhole(found, at))].map((at) =>
      trialOf(points[at]!, results[at]!, limitOf(found, at)),
    ),
    best: points[best]!,
    validation,
    test: evaluation ? meansOf(evaluation) : null,
    ...summary,
    verdict: verdictOf(found, summary),
  };
}

/** Epochs that a trial was allowed, if they were fewer than those of the best one and not searched. */
function limitOf({ search, results, best }: Summed, at: number): number | undefined {
  const [its, most] = [results[at]!.options.epochs, results[best]!.options.epochs];
  const isFewer = typeof its === 'number' && typeof most === 'number' && its < most;
  return isFewer && search.space.epochs === undefined ? its : undefined;
}

function trialOf(
  options: Point,
  { validation, epochs, seconds, stopped, failed, items }: TrialResult,
  epochLimit: number | undefined,
): TunedTrial {
  const how = { ...(stopped && { stopped }), ...(failed !== undefined && { failed }) };
  const limit = epochLimit === undefined ? {} : { epochLimit };
  return { options, validation, epochs, ...limit, seconds, ...how, ...(items !== undefined && { items }) };
}

type Summary = Pick<TuneReport, 'withinOneStandardError' | 'atTheEdge' | 'plateaus'>;

/** Whether a trial may be compared with the best one: it had as many epochs at most, and all items. */
function isWhole({ search, results, best }: Summed, at: number): boolean {
  const [it, its] = [results[at]!, results[best]!];
  return it.items === its.items && (search.space.epochs !== undefined || it.options.epochs === its.options.epochs);
}

/** How flat the optimum is, and whether it lies at an edge. */
function summaryOf(found: Summed): Summary {
  const { search, points, results, best, edges, plateaus } = found;
  // By the users by whom the trials were judged.
  const { validation, standardError = 0 } = results[best]!;
  const bar = validation! - standardError;
  const near = points.filter((_, at) => at === best || (isWhole(found, at) && (results[at]!.validation ?? -1) >= bar));
  const names = Object.keys(search.space);
  const values = Object.fromEntries(names.map((name) => [name, distinctOf(near.map((point) => point[name]!))]));
  return { withinOneStandardError: { trials: near.length, values }, atTheEdge: edges, plateaus };
}

/** Distinct values, numbers in order. */
function distinctOf(values: Json[]): Json[] {
  const all = [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
  return all.every((value) => typeof value === 'number') ? all.sort((a, b) => a - b) : all;
}

/** The result in plain words. */
function verdictOf(found: Summed, { withinOneStandardError, atTheEdge, plateaus }: Summary): string {
  const { search, points, results, best, validation } = found;
  const { standardError } = results[best]!;
  const { trials, values } = withinOneStandardError;
  const point = Object.entries(points[best]!).map(([name, value]) => `${name} ${show(value)}`);
  const of = `${validation.mean.toFixed(4)} of ${description.validationMetric} on the validation users`;
  const ended = results.filter(({ validation }) => validation !== null);
  const failed = results.findLast(({ failed }) => failed !== undefined)?.failed;
  const sentences = [
    `Use ${search.model} with ${point.join(', ')}: ${of}, the best of ${ended.length} trial${ended.length === 1 ? '' : 's'}.`,
  ];
  if (failed !== undefined) {
    sentences.push(`${results.length - ended.length} more failed, the last one so: ${failed}.`);
  }
  const whole = results.filter(({ validation }, at) => validation !== null && isWhole(found, at)).length;
  if (whole > 1 && standardError !== undefined) {
    const error = `one standard error (${standardError.toFixed(4)})`;
    const over = Object.entries(values).map(([name, list]) => `${name} ${extent(list)}`);
    const flat = trials > whole / 2 ? 'The optimum is flat: ' : '';
    sentences.push(
      trials === 1
        ? `The optimum is sharp: no other trial${whole < ended.length ? ' on all data' : ''} is within ${error} of it.`
        : `${flat}${trials} trials are within ${error} of the best, itself included: ${over.join(', ')}.`,
    );
  }
  if (whole === 1 && ended.length > 1) {
    const less = ended.some(({ items }) => items !== undefined) ? 'items' : 'epochs';
    sentences.push(`The others had fewer ${less}, which does not say how flat the optimum is.`);
  }
  for (const [name, end] of Object.entries(atTheEdge)) {
    const where = isRange(search.space[name]!) ? `near the ${end} of its range` : `the ${end} of those tried`;
    sentences.push(`The best ${name}, ${show(points[best]![name]!)}, is ${where}; better ones may lie beyond.`);
  }
  for (const [name, { from, to }] of Object.entries(plateaus)) {
    sentences.push(`From ${from} to ${to}, ${name} makes no difference beyond chance.`);
  }
  return sentences.join(' ');
}

function show(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Values in words: numbers by their ends. */
function extent(values: Json[]): string {
  const numbers = values.length > 1 && values.every((value) => typeof value === 'number');
  return numbers ? `${values[0]} to ${values.at(-1)}` : values.map(show).join(' or ');
}
