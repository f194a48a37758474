/** Who is served how well, and for how many users which model is the better one. */
import type { ModelName } from '../../runtime/options.generated.js';
import { type Group, type GroupMeans, meansOf, sizeOf } from '../groups.js';

/** A group of test users, or of items, and how the winner does in it against each other model. */
export interface ComparedGroup extends GroupMeans {
  /** For how many of the users the winner's value is above that of the other model, equal to it, and below it. */
  outcomes: { model: ModelName; wins: number; ties: number; losses: number }[];
}

/** What a comparison tells of its groups. */
export function comparedGroups(groups: Group[], winner: ModelName): ComparedGroup[] {
  return groups.map((group) => {
    const { values, ...known } = group;
    const its = values.get(winner)!;
    const outcomes = [...values.keys()]
      .filter((model) => model !== winner)
      .map((model) => {
        const signs = values.get(model)!.map((value, user) => Math.sign(its[user]! - value));
        const count = (sign: number) => signs.filter((one) => one === sign).length;
        return { model, wins: count(1), ties: count(0), losses: count(-1) };
      });
    return { ...known, users: sizeOf(group), means: meansOf(values), outcomes };
  });
}
