/** The search for the best options of a model: which trials there are, and which of them wins. */
import { computeFor } from '../models/compute.js';
import { checkFits } from '../models/estimate.js';
import { type FitRun, fitWatched } from '../models/fit.js';
import type { Model } from '../models/model.js';
import { invalid } from '../runtime/check.js';
import { RecvaeError } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import type { ModelName } from '../runtime/options.generated.js';
import { type Adapted, adapt } from '../search/run.js';
import { Checkpoints, epochsOf, ranked, rungsOf } from './halving.js';
import { Holder } from './holder.js';
import { MedianRule } from './hopeless.js';
import type { Search, SearchKind, SearchRun } from './search.js';
import { drawsOf, endOf, endsOf, gridOf, type Point, type Space } from './spaces.js';
import { runTrials, type Trial, type TrialResult } from './trials.js';

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
 * Fails if the largest trial would not fit with the model that is kept, and gives the bytes of the largest model, which
 * may be that one.
 */
function checkSearchFits(search: Search, run: SearchRun): number {
  const { data, beside = 0 } = run;
  const check = ({ model, options }: Trial, held: number) => checkFits(model, options, data, run, held);
  const trials = trialsOf(search, search.kind === 'adaptive' ? endsOf(search.space) : search.points);
  const kept = Math.max(...trials.map((trial) => check(trial, beside).model));
  if (search.kind === 'adaptive') return kept; // a model that does not fit beside the best one is not tried
  for (const trial of trials) check(trial, beside + kept);
  return kept;
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

/** The model of a trial whose model is gone; it has the same bytes. */
function again({ model, options }: TrialResult, search: SearchRun) {
  const { data, threads, memoryLimit, beside = 0, info, signal } = search;
  const limit = memoryLimit && Math.max(memoryLimit - beside, 0);
  const compute = computeFor(model, search, options);
  const run = { threads, signal, info, ...compute, ...(limit !== undefined && { memoryLimit: limit }) } as FitRun;
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
