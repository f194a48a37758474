/** Training inside a comparison: every model with the options that matter searched, all with the same effort. */
import type { Split } from '../data/split.js';
import { computeFor } from '../models/compute.js';
import { checkFits } from '../models/estimate.js';
import { type FitRun, fitWatched } from '../models/fit.js';
import { largestThatFits, type OptionChange } from '../models/fitting.js';
import type { Model } from '../models/model.js';
import { type Progress, shareDone } from '../models/progress.js';
import { RecvaeError } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import type { ComputeOptions, ModelName } from '../runtime/options.generated.js';
import { allowance, costliest, MOST_TRIALS, secondsOf } from './effort.js';
import { findBest } from './find-best.js';
import type { Search, SearchRun } from './search.js';
import { defaultSpace, isRange, type Point, type Space } from './spaces.js';
import { completeOptions, keyOf, type TrialResult } from './trials.js';

/** A trial of a search. */
export interface SearchedTrial {
  /** Values of the options that were searched. */
  options: Json;
  /** What validation says to them, from 0 to 1. */
  validation: number;
  /** How many epochs it was allowed, if fewer than the model is; not to be compared with trials of more. */
  epochs?: number;
  /**
   * How many of the most popular items it was trained and judged on, if not on all; not to be compared with trials of
   * more.
   */
  items?: number;
}

/** How the options of a model were found. */
export interface SearchSummary {
  /** What a search tried, in that order; empty if nothing was searched. */
  search: SearchedTrial[];
  /**
   * Wall-clock seconds of the search, with the fit of the model that is kept; 0 if nothing was searched. Trials that a
   * journal had count with the seconds that they took.
   */
  searchSeconds: number;
  /** Trials that were run, those that failed included. */
  trials: number;
  /**
   * Options worth searching that were neither given nor searched, for want of validation users or time, or since nobody
   * wanted it.
   */
  untuned: string[];
  /** Searched options whose best value is at an end of what was searched: better ones may lie beyond. */
  edges: Record<string, 'lowest' | 'highest'>;
  /**
   * Searched options of which half of the range or more, around the best value, makes no difference beyond chance:
   * where that lies.
   */
  plateaus: Record<string, { from: number; to: number }>;
}

/** A trained model and how its options were found. */
export interface Trained extends SearchSummary {
  /** The model. */
  fitted: Model;
  /** Whether the search ended for want of time. */
  cut: boolean;
  /** Estimated seconds of what was done. */
  spent: number;
  /** Seconds that those trials took which were found in the journal. */
  journalled: number;
}

/** What happens to the model at work. */
export interface Step {
  stage: 'search' | 'fit';
  /** In a search, what was tried last and what validation says to it. */
  tried?: SearchedTrial;
  /** The epoch that ended, or how far a closed form is. */
  epoch?: Progress;
  /** Share of the model's work that is done, by the estimate. */
  done?: number;
}

/** How {@link train} works. */
export interface TrainRun extends Pick<FitRun, 'threads' | 'signal' | 'memoryLimit' | 'info'>, ComputeOptions {
  /** Whether options are searched. By default they are. */
  search?: boolean | undefined;
  /** Trials of a search; by default as many as its effort allows, see `search/effort.ts`. */
  trials?: number | undefined;
  /** Seed of the search. By default 0. */
  seed?: number | undefined;
  /** Bytes of `memoryLimit` that are held already. */
  beside?: number | undefined;
  journal?: SearchRun['journal'];
  journalPath?: string | undefined;
  samples?: SearchRun['samples'];
  deadline?: number | undefined;
  late?: SearchRun['late'];
}

/** Whether {@link train} searches where there is something to search: that takes users to compare trials on. */
export function canSearch({ search }: Pick<TrainRun, 'search'>, { validation }: Split): boolean {
  return search !== false && validation.nScored > 0;
}

/** Estimated seconds of the reference machine that {@link train} takes at most. */
export function estimated(
  model: ModelName,
  options: Record<string, Json>,
  space: Space,
  data: Split,
  { search, trials }: Pick<TrainRun, 'search' | 'trials'>,
): number {
  const fit = secondsOf({ model, options }, data);
  if (!canSearch({ search }, data) || Object.keys(space).length === 0) return fit;
  if (trials !== undefined) return trials * fit;
  const highest = costliest(space, (point) => secondsOf({ model, options: { ...options, ...point } }, data));
  return Math.min(allowance(fit, highest), MOST_TRIALS * highest);
}

/**
 * Estimated seconds of a fit of a model that had to be made smaller, at most: a search of six of them takes minutes.
 */
const MOST_SECONDS = 60;

/** A model as large as fits: with options changed where that is needed, or why there is none. */
type Sized =
  | { options: Record<string, unknown>; space: Space; changed: OptionChange[]; bytes: number }
  | { refusal: string };

/**
 * Makes a model fit beside what is held: its options, and those of the values to be searched that need more memory than
 * there is.
 */
export function sized(
  model: ModelName,
  options: Record<string, unknown>,
  data: Split,
  run: Pick<TrainRun, 'threads' | 'memoryLimit' | 'beside'>,
): Sized {
  const { threads, memoryLimit, beside } = run;
  const within = (seconds?: number) =>
    largestThatFits(model, options as never, data, { threads, memoryLimit, seconds }, beside);
  const asFits = within();
  if ('refusal' in asFits) return asFits;
  // What fills the memory is not worth any time.
  const inTime = asFits.changed.length > 0 ? within(MOST_SECONDS) : asFits;
  const fitting = 'refusal' in inTime ? asFits : inTime;
  const fits = (point: Point) => {
    try {
      return checkFits(model, { ...fitting.options, ...point }, data, run, run.beside).model;
    } catch (error) {
      if (error instanceof RecvaeError && error.code === 'MEMORY') return undefined;
      throw error;
    }
  };
  const changed = [...fitting.changed];
  const given = { ...fitting.options } as Record<string, unknown>;
  const space = defaultSpace(model, options);
  for (const [name, values] of Object.entries(space)) {
    // What was made smaller is as large as it can be.
    if (changed.some((change) => change.name === name)) delete space[name];
    else if (!isRange(values)) {
      const fitting = values.filter((value) => fits({ [name]: value }) !== undefined);
      if (fitting.length === values.length) continue;
      changed.push({ name, from: values.at(-1)!, to: fitting.at(-1) ?? null });
      if (fitting.length > 1) space[name] = fitting;
      else delete space[name];
    }
  }
  const bytes = Math.max(...corners(space).map((point) => fits(point) ?? 0));
  return { options: given, space, changed, bytes };
}

/** Points with every combination of the lists' values: ranges do not change what a model takes. */
function corners(space: Space): Point[] {
  let points: Point[] = [{}];
  for (const [name, values] of Object.entries(space)) {
    if (!isRange(values)) points = points.flatMap((point) => values.map((value) => ({ ...point, [name]: value })));
  }
  return points;
}

/** Trains one model, with the best of the options that are searched. */
export async function train(
  model: ModelName,
  options: Record<string, unknown>,
  data: Split,
  run: TrainRun,
  onStep: (step: Step) => void,
  space: Space = defaultSpace(model, options),
): Promise<Trained> {
  const names = Object.keys(space);
  if (canSearch(run, data) && names.length > 0)
    return searched(model, options as Record<string, Json>, space, data, run, onStep);
  const onProgress = (epoch: Progress) => onStep({ stage: 'fit', epoch, done: shareDone(epoch) });
  onStep({ stage: 'fit' });
  const { threads, signal, info, memoryLimit, beside = 0 } = run;
  const limit = memoryLimit && Math.max(memoryLimit - beside, 0);
  const spent = secondsOf({ model, options: options as Record<string, Json> }, data);
  const fitted = await fitWatched(model, data, options as never, {
    ...(threads !== undefined && { threads }),
    ...(limit !== undefined && { memoryLimit: limit }),
    ...computeFor(model, run, options),
    signal,
    info: info ?? null,
    onProgress,
  });
  return {
    fitted,
    search: [],
    searchSeconds: 0,
    trials: 0,
    untuned: names,
    edges: {},
    plateaus: {},
    cut: false,
    spent,
    journalled: 0,
  };
}

async function searched(
  model: ModelName,
  fixed: Record<string, Json>,
  space: Space,
  data: Split,
  run: TrainRun,
  onStep: (step: Step) => void,
): Promise<Trained> {
  const started = performance.now();
  const { seed = 0, trials, search: _, ...rest } = run;
  const search: Search = {
    model,
    fixed,
    space,
    kind: 'adaptive',
    points: [],
    seed,
    trials,
    extends: true,
    earlyStop: true,
  };
  const before = new Set(run.journal?.done.keys());
  let journalled = 0;
  const found = await findBest(search, {
    ...rest,
    data,
    parallel: 1,
    onProgress: ({ point, epoch, result, done, trial }) => {
      // Once, however often it is tried.
      if (result && before.delete(keyOf(trial, run))) journalled += result.seconds;
      if (epoch) onStep({ stage: 'search', epoch, done });
      if (typeof result?.validation !== 'number') return;
      onStep({ stage: 'search', tried: searchedTrial(search, point, result)!, done });
    },
  });
  return {
    fitted: found.model,
    search: found.results.flatMap((result, at) => searchedTrial(search, found.points[at]!, result) ?? []),
    searchSeconds: journalled + (performance.now() - started) / 1000,
    trials: found.results.length,
    untuned: found.searched ? [] : Object.keys(space),
    edges: found.edges,
    plateaus: found.plateaus,
    cut: found.cut,
    spent: found.spent,
    journalled,
  };
}

function searchedTrial(
  { model, fixed }: Search,
  point: Point,
  { validation, options, items }: TrialResult,
): SearchedTrial | undefined {
  if (validation === null) return undefined;
  const { epochs } = completeOptions({ model, options: { ...fixed, ...point } });
  const fewer = typeof options.epochs === 'number' && options.epochs !== epochs;
  return {
    options: point,
    validation,
    ...(fewer && { epochs: options.epochs as number }),
    ...(items !== undefined && { items }),
  };
}
