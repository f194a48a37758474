/** What data lost on their way to a model. Nothing goes without a word. */
import { guard } from '../runtime/errors.js';

/**
 * Something that was left out, or that does not take part somewhere.
 *
 * - `badRows`: rows that could not be understood, up to `skipBadRows`.
 * - `minValue`: rows whose value was too low.
 * - `time`: rows outside `since` and `until`.
 * - `duplicates`: rows with a pair of user and item that was there already.
 * - `emptyHistories`: histories without items, which count as rows here.
 * - `thresholds`: users and items with too few of the other (`minUser`, `minItem`), and their interactions.
 * - `shortUsers`: users with fewer than `minUserItems` items, who are dropped.
 * - `neverHeldOut`: the same users, who are trained on but never held out.
 * - `noTrainingUser`: items that no training user has, and the held-out users' interactions with them.
 * - `newItems`: items that no training interaction has, where the split is within users, and the interactions with
 *   them.
 * - `newUsers`: users of whom nothing is known before the part in which they would be asked.
 * - `notScored`: held-out users with nothing to find, who do not count in metrics.
 * - `sample`: training users and items that a sample does not have.
 */
export interface LeftOut {
  /** Why, in a word. */
  reason:
    | 'badRows'
    | 'minValue'
    | 'time'
    | 'duplicates'
    | 'emptyHistories'
    | 'thresholds'
    | 'shortUsers'
    | 'neverHeldOut'
    | 'noTrainingUser'
    | 'newItems'
    | 'newUsers'
    | 'notScored'
    | 'sample';
  /** Rows of the input. */
  rows: number;
  /** Users. */
  users: number;
  /** Items. */
  items: number;
  /** Distinct pairs of user and item. */
  interactions: number;
  /** All of that in a sentence. */
  text: string;
}

/** What a native part of the data says was left out. */
export function leftOutOf(native: { leftOut: () => string }): LeftOut[] {
  return JSON.parse(guard(() => native.leftOut()));
}

/** What was left out on the way from an input to its split. */
export function allLeftOut(input: { leftOut: LeftOut[] }, data: { leftOut: LeftOut[] }): LeftOut[] {
  return input === data ? data.leftOut : [...input.leftOut, ...data.leftOut];
}
