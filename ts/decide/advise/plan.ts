/**
 * What {@link advise} tries on which samples, within a few minutes.
 *
 * All samples have all items (unless fewer are asked for) and users drawn at random, so what a user has, and how long
 * the tail of the catalogue is, stays as it is; what shrinks is how many users an item has, and the trend over growing
 * samples tells what that does. Linear models go up to all training users where that is cheap enough, and then their
 * part of it is a comparison and no sample. Closed forms whose time is that of many items are searched on fewer items,
 * as a comparison does it, for two fits on all to be enough. Networks get the largest sample on which they are cheap
 * enough, and half of it. What is cheap is judged by the core's estimate for a reference machine and not by the clock,
 * so that the advice depends on nothing but the data, the options and the seed.
 */

import type { Split } from '../../data/split.js';
import { isNetwork } from '../../models/compute.js';
import { estimateSeconds } from '../../models/estimate.js';
import { type Fitting, largestThatFits, type OptionChange } from '../../models/fitting.js';
import { optionsOf } from '../../runtime/native.js';
import type { ModelName } from '../../runtime/options.generated.js';
import { rough } from '../wording.js';

/**
 * Seconds of the reference machine for one fit of a linear model, of which some twenty are made, and for one of a
 * network.
 */
export const LINEAR_SECONDS = 3;
const NETWORK_SECONDS = 60;
/** The same for a closed form of which two are made. */
const CLOSED_SECONDS = 120;
/** Threads of the reference machine. */
const THREADS = 2;
/** Users of a sample from which on something can be learnt at all. */
const LEAST_USERS = 250;

/** A sample and what is tried on it. */
export interface PlannedSample {
  /** Training users. */
  users: number;
  /** The models, the cheapest first. */
  models: ModelName[];
}

/** What is tried. */
export interface Plan {
  /** The smallest first. */
  samples: PlannedSample[];
  /** Models that are not tried, with the reason. */
  refused: { model: ModelName; why: string }[];
  /** Options of models that are tried in a smaller form, as they would take too long otherwise. */
  smaller: Map<ModelName, OptionChange[]>;
}

/** How it is planned. */
interface Planning {
  /** The models, the cheapest first, with the options that are given. */
  settings: Map<ModelName, Record<string, unknown>>;
  /** Training users of the networks' largest sample at most. */
  users: number;
  memoryLimit?: number | undefined;
}

/** Plans the samples of `data`, which has the items that all samples are to have. */
export function planFor(data: Split, planning: Planning): Plan {
  const all = data.train.nUsers;
  const refused: Plan['refused'] = [];
  const smaller: Plan['smaller'] = new Map();
  const sizes = new Map<ModelName, number[]>();
  const linear: ModelName[] = [];
  for (const [model, options] of planning.settings) {
    if (isNetwork(model)) continue;
    const within = (seconds: number) =>
      largestThatFits(model, options, data, { memoryLimit: planning.memoryLimit, threads: THREADS, seconds });
    const whole = isClosed(model) ? within(CLOSED_SECONDS) : undefined;
    const fits = whole && isAsGiven(whole) ? whole : within(LINEAR_SECONDS);
    if ('options' in fits && fits.changed.length > 0 && fits.changed.every(({ name }) => name === 'density')) {
      smaller.set(model, fits.changed);
    }
    linear.push(model);
  }
  const isCheap = (users: number) =>
    linear.every(
      (model) =>
        smaller.has(model) ||
        isClosed(model) ||
        seconds(model, planning.settings.get(model)!, data, users) <= LINEAR_SECONDS,
    );
  const fewest = Math.min(LEAST_USERS, all);
  const most = halved(all, fewest, isCheap) ?? fewest;
  for (const [model, options] of planning.settings) {
    if (!isNetwork(model)) continue;
    // Not beyond what the linear models take, beside which it is judged.
    const largest = Math.min(planning.users, most);
    const least = Math.min(LEAST_USERS, largest);
    const users = halved(largest, least, (users) => seconds(model, options, data, users) <= NETWORK_SECONDS);
    if (users === undefined) refused.push({ model, why: tooLong(model, options, data, least) });
    else sizes.set(model, [half(users), users]);
  }
  const own = [...sizes.values()] as [number, number][];
  // A network is judged beside those that can do with no more users than it, on their samples, too.
  for (const [model, [, users]] of [...sizes] as [ModelName, [number, number]][]) {
    sizes.set(model, [...new Set(own.filter(([, most]) => most <= users).flat())]);
  }
  const warm = [...new Set(own.flat())];
  for (const model of linear) sizes.set(model, [...warm, ...(most < all ? [half(most)] : []), most]);
  return { samples: bySize(sizes, [...planning.settings.keys()]), refused, smaller };
}

function isAsGiven(fitting: Fitting<ModelName>): boolean {
  return 'options' in fitting && fitting.changed.length === 0;
}

/** Whether the time of a model is that of its items, whatever the number of users. */
export function isClosed(model: ModelName): boolean {
  return optionsOf(model).every(({ name }) => name !== 'epochs');
}

const half = (users: number) => Math.max(Math.round(users / 2), 2);

/** The first of `most`, half of it and so on that is good and not below `least`. */
function halved(most: number, least: number, isGood: (users: number) => boolean): number | undefined {
  for (let users = most; users >= least; users = Math.floor(users / 2)) if (isGood(users)) return users;
  return undefined;
}

/** Of one fit on so many of the training users. */
function seconds(model: ModelName, options: Record<string, unknown>, { train }: Split, users: number): number {
  if (users === train.nUsers) return estimateSeconds(model, { data: train, options, threads: THREADS });
  const interactions = Math.round((train.nInteractions * users) / Math.max(train.nUsers, 1));
  return estimateSeconds(model, { users, items: train.nItems, interactions, options, threads: THREADS });
}

function tooLong(model: ModelName, options: Record<string, unknown>, data: Split, users: number): string {
  const minutes = rough(seconds(model, options, data, users) / 60);
  return `${model} takes about ${minutes} minutes even on ${users} of the training users, too long for a first look`;
}

function bySize(sizes: Map<ModelName, number[]>, order: ModelName[]): PlannedSample[] {
  const all = [...new Set([...sizes.values()].flat())].sort((a, b) => a - b);
  return all.map((users) => ({ users, models: order.filter((model) => sizes.get(model)?.includes(users)) }));
}
