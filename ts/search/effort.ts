/**
 * How much a search may cost: the same rule for every model.
 *
 * It may take the largest of {@link LEAST_SECONDS}, of {@link FITS} fits of the model with its default options and, as
 * far as {@link COSTLY_SECONDS}, of {@link COSTLY_FITS} with the costliest options that are searched: else a model
 * whose better fits cost many times the usual ones, as iALS with many factors, is never tried there. All by the core's
 * estimate for a reference machine and not by the clock: what is found then depends on nothing but the data, the
 * options and the seed. It ends earlier when nothing more is to be gained.
 */
import type { Split } from '../data/split.js';
import { estimateSeconds } from '../models/estimate.js';
import { endsOf, type Point, type Space } from './spaces.js';
import type { Trial } from './trials.js';

/** Seconds of the reference machine that every search may take. */
export const LEAST_SECONDS = 60;
/** Fits of its model that every search may take. */
export const FITS = 6;
/**
 * As many with the costliest options that are searched, and up to how many seconds of the reference machine together.
 */
export const COSTLY_FITS = 10;
export const COSTLY_SECONDS = 300;
/** Threads of the reference machine. */
const REFERENCE_THREADS = 2;
/** Trials of a search at most, where nobody says how many. */
export const MOST_TRIALS = 32;

/**
 * Seconds of the reference machine that a search may take whose model takes so many, and so many with the costliest
 * options.
 */
export function allowance(fitSeconds: number, costliest = 0): number {
  return Math.max(LEAST_SECONDS, FITS * fitSeconds, Math.min(COSTLY_FITS * costliest, COSTLY_SECONDS));
}

/** The most that a point of the space takes, at its defaults or at its ends, by what points take. */
export function costliest(space: Space, seconds: (point: Point) => number): number {
  return Math.max(...[{}, ...endsOf(space)].map(seconds));
}

/**
 * Estimated seconds of a trial on the reference machine, on all items or on fewer: these are popular, and have most
 * interactions.
 */
export function secondsOf(
  { model, options }: Pick<Trial, 'model' | 'options'>,
  { train }: Split,
  most?: number,
): number {
  const threads = REFERENCE_THREADS;
  if (most === undefined) return estimateSeconds(model, { data: train, options, threads });
  const { nUsers: users, nInteractions: interactions } = train;
  return estimateSeconds(model, { users, items: most, interactions, options, threads });
}
