/** The search for the best options of a model: which trials there are, and which of them wins. */
import { checkFits } from '../models/estimate.js';
import { type FitRun, fitWatched } from '../models/fit.js';
import type { Model } from '../models/model.js';
import { invalid } from '../runtime/check.js';
import { RecvaeError } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import type { ModelName } from '../runtime/options.generated.js';
import { type Adapted, adapt } from '../search/run.js';
import type { Samples } from '../search/samples.js';
import { Checkpoints, epochsOf, ranked, rungsOf } from './halving.js';
import { MedianRule } from './hopeless.js';
import { drawsOf, endOf, gridOf, isRange, type Point, type Range, type Space } from './spaces.js';
import { runTrials, type Trial, type TrialProgress, type TrialResult, type TrialRun } from './trials.js';

/** How points of a space are chosen. */
export type SearchKind = 'adaptive' | 'grid' | 'random' | 'halving';

/** What is searched. */
export interface Search {
  model: ModelName;
  /** Options that stay as they are. */
  fixed: Record<string, Json>;
  space: Space;
  kind: SearchKind;
  /** The points of the space that are tried; none yet of `adaptive`, which finds them on its way. */
  points: Point[];
  /** Seed of what is drawn. */
  seed: number;
  /** Of `adaptive`, how many points are tried; by default as many as its effort allows, see `search/effort.ts`. */
  trials?: number | undefined;
  /** Whether `adaptive` may go beyond its ranges. */
  extends: boolean;
  /** Whether hopeless trials of `grid` and `random` are stopped. */
  earlyStop: boolean;
}

/** What a search found. */
export interface Found extends Pick<Adapted, 'edges' | 'plateaus' | 'searched' | 'cut' | 'spent'> {
  /** What was tried. */
  points: Point[];
  /** What came of each point, as far as it got. */
  results: TrialResult[];
  /** Which of them is the best. */
  best: number;
  /** The model of the best one. */
  model: Model;
}

/** What a search is told, with how many trials it has at most. */
export interface SearchProgress extends TrialProgress {
  /** What the trial tries: values of the options that are searched. */
  point: Point;
  /** Share of the search that is done, by estimates. */
  done: number;
  /** Trials so far that have ended, and all. */
  ended: number;
  /** See `ended`; of halving, those of all stages. */
  trials: number;
}

/** How a search runs; `beside` is what is held besides its own models. */
export interface SearchRun extends Omit<TrialRun<Json>, 'hopeless' | 'judge' | 'take' | 'onProgress' | 'checkpoint'> {
  onProgress?: (progress: SearchProgress) => unknown;
  /** Path of the journal. */
  journalPath?: string | undefined;
  /** Samples of the data that other searches use, too. By default the search makes its own. */
  samples?: Samples | undefined;
  /** Estimated seconds that an adaptive search may take. By default what is allowed to all, see `search/effort.ts`. */
  allowed?: number | undefined;
  /** On the clock of `performance`, in milliseconds: when the search has to be done. By default it takes what its effort allows. */
  deadline?: number | undefined;
}

/** Trials of the other kinds if nobody says how many. */
export const DEFAULT_TRIALS = 12;
const MOST_TRIALS = 10_000;

/** Fails unless `value` is a number of trials. */
export function checkTrials(value: unknown, what: string): void {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MOST_TRIALS) return;
  throw invalid(what, value, `a whole number from 1 to ${MOST_TRIALS}`);
}

/** The points that a kind of search tries in a space; none yet of `adaptive`. */
export function planOf(
  model: ModelName,
  space: Space,
  fixed: Record<string, Json>,
  kind: SearchKind,
  { trials = DEFAULT_TRIALS, seed }: { trials?: number | undefined; seed: number },
): Point[] {
  if (kind === 'adaptive') return [];
  if (kind === 'halving') epochsOf(model, fixed);
  if (kind !== 'grid') return drawsOf(model, space, fixed, trials, seed);
  const points = gridOf(model, space, fixed);
  if (points.length <= trials) return points;
  const text = `trials is ${trials}, but the grid has ${points.length} points; allowed: as many, or search random`;
  throw new RecvaeError('INVALID_ARGUMENT', text);
}

/** The trials of the points; with the epochs of a stage of halving. */
function trialsOf({ model, fixed }: Search, points: Point[], epochs?: number): Trial[] {
  return points.map((point) => ({ model, options: { ...fixed, ...point, ...(epochs !== undefined && { epochs }) } }));
}

/**
 * Fails if the largest trial would not fit with the model that is kept, and gives the bytes of the largest model, which may
 * be that one.
 */
export function checkSearchFits(search: Search, run: SearchRun): number {
  const { data, beside = 0 } = run;
  const check = ({ model, options }: Trial, held: number) => checkFits(model, options, data, run, held);
  const trials = trialsOf(search, search.kind === 'adaptive' ? endsOf(search.space) : search.points);
  const kept = Math.max(...trials.map((trial) => check(trial, beside).model));
  if (search.kind === 'adaptive') return kept; // a model that does not fit beside the best one is not tried
  for (const trial of trials) check(trial, beside + kept);
  return kept;
}

/** The points of the lowest and of the highest values of all options. */
export function endsOf(space: Space): Point[] {
  const ends = (values: readonly Json[] | Range) => {
    if (isRange(values)) return [values.from, values.to];
    const numbers = values.filter((value) => typeof value === 'number');
    return numbers.length === values.length
      ? [Math.min(...numbers), Math.max(...numbers)]
      : [values[0]!, values.at(-1)!];
  };
  return [0, 1].map((at) =>
    Object.fromEntries(Object.entries(space).map(([name, values]) => [name, ends(values)[at]!])),
  );
}

/** Runs the trials of a search; the best of them by validation wins, of equals the earlier. */
export async function findBest(search: Search, run: SearchRun): Promise<Found> {
  const kept = checkSearchFits(search, run);
  const holder = new Holder();
  const shared = { ...run, beside: (run.beside ?? 0) + kept };
  try {
    const all = await tried(search, run, shared, holder);
    const { results, best } = all;
    const found = results[best];
    if (found === undefined || found.validation === null) {
      const last = results.findLast(({ failed }) => failed !== undefined);
      throw new RecvaeError('NUMERICAL', `all trials failed; the last one: ${last?.failed}`);
    }
    const model = holder.release(best) ?? (await again(found, run));
    return { ...all, model };
  } finally {
    holder.dispose();
  }
}

/** Tries what there is to try; `shared` is a run that leaves room for the best model so far. */
async function tried(search: Search, run: SearchRun, shared: SearchRun, holder: Holder): Promise<Omit<Found, 'model'>> {
  if (search.kind === 'adaptive') return adapt(search, run, holder);
  const found = search.kind === 'halving' ? await halve(search, shared, holder) : await tryAll(search, shared, holder);
  const best = search.points[found.best]!;
  const edges = Object.entries(search.space).flatMap(([name, values]) => {
    const end = endOf(values, best[name]!);
    return end ? [[name, end] as const] : [];
  });
  return {
    ...found,
    points: search.points,
    edges: Object.fromEntries(edges),
    plateaus: {},
    searched: true,
    cut: false,
    spent: 0,
  };
}

/** Keeps the model of the best trial so far. */
export class Holder {
  #held: { at: number; validation: number; model: Model } | undefined;

  take(model: Model, at: number, validation: number): void {
    const better =
      !this.#held || validation > this.#held.validation || (validation === this.#held.validation && at < this.#held.at);
    if (better) {
      this.dispose();
      this.#held = { at, validation, model };
    } else {
      model.dispose();
    }
  }

  /** The model of that trial, if it is the one that is held. */
  release(at: number): Model | undefined {
    if (this.#held?.at !== at) return undefined;
    const { model } = this.#held;
    this.#held = undefined;
    return model;
  }

  /** Whether there is one. */
  get holds(): boolean {
    return this.#held !== undefined;
  }

  dispose(): void {
    this.#held?.model.dispose();
    this.#held = undefined;
  }
}

/** The model of a trial whose model is gone; it has the same bytes. */
function again({ model, options }: TrialResult, { data, threads, memoryLimit, beside = 0, info, signal }: SearchRun) {
  const limit = memoryLimit && Math.max(memoryLimit - beside, 0);
  const run = { threads, signal, info, ...(limit !== undefined && { memoryLimit: limit }) } as FitRun;
  return fitWatched(model, data, options as never, run);
}

/** Grid and random search. */
async function tryAll(search: Search, run: SearchRun, holder: Holder): Promise<Pick<Found, 'results' | 'best'>> {
  const trials = trialsOf(search, search.points);
  const rule = new MedianRule();
  let ended = 0;
  const results = await runTrials<Json>(trials, {
    ...run,
    take: (model, at, { validation }) => holder.take(model, at, validation!),
    ...(search.earlyStop && {
      hopeless: (at, curve, epochs) => rule.stops(at, epochs, curve),
    }),
    onProgress: (progress) => {
      if (progress.result) {
        ended += 1;
        rule.ended(progress.at, progress.result);
      }
      const point = search.points[progress.at]!;
      const done = ended / trials.length;
      return run.onProgress?.({ ...progress, point, done, ended, trials: trials.length });
    },
  });
  const final = search.earlyStop ? results.map((result, at) => rule.cut(at, result)) : results;
  return { results: final, best: ranked(final)[0]! };
}

/** Successive halving. */
async function halve(search: Search, run: SearchRun, holder: Holder): Promise<Pick<Found, 'results' | 'best'>> {
  const checkpoints = Checkpoints.open(search.model, run.journalPath);
  try {
    const found = await climbRungs(search, run, holder, checkpoints);
    checkpoints.remove();
    return found;
  } catch (error) {
    if (run.journalPath === undefined) checkpoints.remove(); // nobody could go on from them
    throw error;
  }
}

async function climbRungs(
  search: Search,
  run: SearchRun,
  holder: Holder,
  checkpoints: Checkpoints,
): Promise<Pick<Found, 'results' | 'best'>> {
  const { model, fixed, points } = search;
  const rungs = rungsOf(points.length, epochsOf(model, fixed));
  const total = rungs.reduce((sum, { trials }) => sum + trials, 0);
  const results: TrialResult[] = [];
  let going = [...points.keys()];
  let ended = 0;
  for (const [stage, { epochs }] of rungs.entries()) {
    const next = rungs[stage + 1];
    const names = going;
    const trials = trialsOf(
      search,
      names.map((at) => points[at]!),
      epochs,
    );
    const ofRung = await runTrials<Json>(trials, {
      ...run,
      checkpoint: checkpoints.of,
      take: (model, at, { validation }) => (next ? model.dispose() : holder.take(model, names[at]!, validation!)),
      onProgress: (progress) => {
        if (progress.result) ended += 1;
        const at = names[progress.at]!;
        return run.onProgress?.({ ...progress, at, point: points[at]!, done: ended / total, ended, trials: total });
      },
    });
    for (const [index, at] of names.entries()) results[at] = ofRung[index]!;
    const order = ranked(ofRung).map((index) => names[index]!);
    if (!next) return { results, best: order[0]! };
    going = order.slice(0, next.trials).sort((a, b) => a - b);
    for (const [index, at] of names.entries()) if (!going.includes(at)) checkpoints.drop(trials[index]!);
  }
  throw new RecvaeError('INTERNAL', 'internal error: halving has no last stage');
}
