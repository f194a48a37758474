/** A few users side by side: what they have, what was held out, and what each model lists for them. */
import type { HeldOut } from '../data/split.js';
import type { Model } from '../models/model.js';
import { guard } from '../runtime/errors.js';
import { native } from '../runtime/native.js';
import type { ModelName } from '../runtime/options.generated.js';

/** One held-out user. */
export interface ExampleUser {
  /** Id of the user. */
  user: string;
  /** By the length of the input: `few`, `some` or `many`. */
  group: string;
  /** Items of the input, 20 at most. */
  input: string[];
  /** How many there are. */
  inputItems: number;
  /** Items that had to be found, 20 at most. */
  target: string[];
  /** How many there are. */
  targetItems: number;
  /** What each model lists first, 10 items, with whether the item was one to be found. */
  lists: { model: ModelName; items: { id: string; hit: boolean }[] }[];
}

/** Items of a history that are told. */
const MOST = 20;
/** Items of a list that are told. */
const LENGTH = 10;

/**
 * One user of each group by activity, the one in the middle of its rows: neither the data nor the models have a say in
 * who it is.
 *
 * @param users - Positions of the users that count, see `Evaluation.users`.
 */
export function examplesOf(models: Map<ModelName, Model>, heldOut: HeldOut, users: Uint32Array): ExampleUser[] {
  const ids = heldOut.userIds();
  return guard(() => native.activityGroups(heldOut.native)).map(({ name: group, positions }) => {
    const user = ids[users[positions[Math.floor(positions.length / 2)]!]!]!;
    const [input, target] = [heldOut.input(user)!, heldOut.target(user)!];
    const found = new Set(target);
    const lists = [...models].map(([name, model]) => {
      const { items } = model.recommend(input, { k: LENGTH });
      return { model: name, items: items.map(({ id }) => ({ id, hit: found.has(id) })) };
    });
    const shown = { input: input.slice(0, MOST), target: target.slice(0, MOST) };
    return { user, group, ...shown, inputItems: input.length, targetItems: target.length, lists };
  });
}
