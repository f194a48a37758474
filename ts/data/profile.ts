import type { Abortable } from '../runtime/abort.js';
import { signalOf } from '../runtime/check.js';
import { native } from '../runtime/native.js';
import { running } from '../runtime/running.js';
import type { Interactions } from './interactions.js';
import { type Split, trainingPart } from './split.js';

/** Where counts lie: quantiles with linear interpolation, and the mean. */
export interface Spread {
  min: number;
  p10: number;
  p25: number;
  median: number;
  p75: number;
  p90: number;
  p99: number;
  max: number;
  mean: number;
}

/** What data look like. Shares go from 0 to 1; "few" is fewer than 5. */
export interface Profile {
  /** Number of users. */
  users: number;
  /** Number of items. */
  items: number;
  /** Number of distinct (user, item) pairs. */
  interactions: number;
  /** Share of all pairs that interacted. */
  density: number;
  /** Items per user. */
  perUser: Spread;
  /** Users per item. */
  perItem: Spread;
  /** Gini coefficient of users per item: 0 if all items have as many, near 1 if one has all. */
  gini: number;
  /** Share of the interactions that the most popular 1 % of items have, rounded up to whole items. */
  top1Percent: number;
  /** The same of the most popular 20 %. */
  top20Percent: number;
  /** The same of the others, the least popular 80 %. */
  tail: number;
  /** Share of the items with few users. */
  rareItems: number;
  /** Share of the users with few items. */
  shortUsers: number;
  /** Share of the users with exactly the items of a user before them. */
  repeatedUsers: number;
  /** Largest share of the catalogue that one user has. */
  fullestUser: number;
}

const NAMES = ['min', 'p10', 'p25', 'median', 'p75', 'p90', 'p99', 'max'] as const;

function spread({ quantiles, mean }: native.NativeSpread): Spread {
  const named = Object.fromEntries(NAMES.map((name, at) => [name, quantiles[at]!]));
  return { ...(named as Omit<Spread, 'mean'>), mean };
}

/**
 * Counts what data look like, off the event loop: of {@link Interactions} as they are, of a {@link Split} its training
 * users.
 *
 * @example
 * ```ts
 * const { perUser, gini, rareItems } = await profile(await Interactions.dataset('debian'));
 * ```
 */
export async function profile(data: Interactions | Split, run: Abortable = {}): Promise<Profile> {
  const { native: handle } = trainingPart(data, 'data');
  const signal = signalOf(run);
  const { perUser, perItem, ...rest } = await running({ signal }, (run) => native.profile(handle, run));
  return { ...rest, perUser: spread(perUser), perItem: spread(perItem) };
}
