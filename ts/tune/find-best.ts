/** The search for the best options of a model: which trials there are, and which of them wins. */
import { invalid } from '../check.js';
import { RecvaeError } from '../errors.js';
import { checkFits } from '../estimate.js';
import { type FitRun, fitWatched, type Json, type Model } from '../models.js';
import type { ModelName } from '../options.generated.js';
import { runTrials, type Trial, type TrialProgress, type TrialResult, type TrialRun } from '../trials.js';
import { Checkpoints, epochsOf, ranked, rungsOf } from './halving.js';
import { MedianRule } from './hopeless.js';
import { drawsOf, gridOf, type Point, type Space, sizeOf } from './spaces.js';

/** How points of a space are chosen. */
export type SearchKind = 'grid' | 'random' | 'halving';

/** What is searched. */
export interface Search {
  model: ModelName;
  /** Options that stay as they are. */
  fixed: Record<string, Json>;
  space: Space;
  kind: SearchKind;
  /** The points of the space that are tried. */
  points: Point[];
  /** Whether hopeless trials of `grid` and `random` are stopped. */
  earlyStop: boolean;
}

/** What a search found. */
export interface Found {
  /** What came of each point, as far as it got. */
  results: TrialResult[];
  /** Which of them is the best. */
  best: number;
  /** The model of the best one. */
  model: Model;
}

/** What a search is told, with how many trials it has at most. */
export interface SearchProgress extends TrialProgress {
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
}

/** Trials if nobody says how many: EASE^R's list has as many values. */
export const DEFAULT_TRIALS = 12;
const MOST_TRIALS = 10_000;

/** Fails unless `value` is a number of trials. */
export function checkTrials(value: unknown, what: string): void {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MOST_TRIALS) return;
  throw invalid(what, value, `a whole number from 1 to ${MOST_TRIALS}`);
}

/** The points that a kind of search tries in a space; without a kind, a grid where it is small enough, else random ones. */
export function planOf(
  model: ModelName,
  space: Space,
  fixed: Record<string, Json>,
  { kind, trials = DEFAULT_TRIALS, seed }: { kind?: SearchKind | undefined; trials?: number | undefined; seed: number },
): { kind: SearchKind; points: Point[] } {
  if (kind === 'halving') epochsOf(model, fixed);
  const chosen = kind ?? (sizeOf(space) <= trials ? 'grid' : 'random');
  if (chosen !== 'grid') return { kind: chosen, points: drawsOf(model, space, fixed, trials, seed) };
  const points = gridOf(model, space, fixed);
  if (points.length <= trials) return { kind: chosen, points };
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
  const trials = trialsOf(search, search.points);
  const kept = Math.max(...trials.map((trial) => check(trial, beside).model));
  for (const trial of trials) check(trial, beside + kept);
  return kept;
}

/** Runs the trials of a search; the best of them by validation wins, of equals the earlier. */
export async function findBest(search: Search, run: SearchRun): Promise<Found> {
  const kept = checkSearchFits(search, run);
  const holder = new Holder();
  const shared = { ...run, beside: (run.beside ?? 0) + kept };
  try {
    const { results, best } =
      search.kind === 'halving' ? await halve(search, shared, holder) : await tryAll(search, shared, holder);
    const found = results[best];
    if (found === undefined || found.validation === null) {
      const last = results.findLast(({ failed }) => failed !== undefined);
      throw new RecvaeError('NUMERICAL', `all trials failed; the last one: ${last?.failed}`);
    }
    const model = holder.release(best) ?? (await again(found, run));
    return { results, best, model };
  } finally {
    holder.dispose();
  }
}

/** Keeps the model of the best trial so far. */
class Holder {
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
async function tryAll(search: Search, run: SearchRun, holder: Holder): Promise<Omit<Found, 'model'>> {
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
      return run.onProgress?.({ ...progress, ended, trials: trials.length });
    },
  });
  const final = search.earlyStop ? results.map((result, at) => rule.cut(at, result)) : results;
  return { results: final, best: ranked(final)[0]! };
}

/** Successive halving. */
async function halve(search: Search, run: SearchRun, holder: Holder): Promise<Omit<Found, 'model'>> {
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
): Promise<Omit<Found, 'model'>> {
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
        return run.onProgress?.({ ...progress, at: names[progress.at]!, ended, trials: total });
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
