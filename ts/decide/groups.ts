/**
 * Values by held-out user in groups: of users by the length of their input, and of items by how many training users
 * have them. The core divides them, see `groups.rs`.
 */
import type { HeldOut } from '../data/split.js';
import type { Evaluation } from '../models/evaluate.js';
import { guard } from '../runtime/errors.js';
import { description, native } from '../runtime/native.js';
import type { MetricName, ModelName } from '../runtime/options.generated.js';

/** A group of held-out users, or of items, and how well each model serves it. */
export interface GroupMeans {
  /**
   * Of users by the length of their input: `few`, `some`, `many`. Of items by their training users: `head`, `middle`,
   * `tail`.
   */
  name: string;
  /** Least items of a user of the group's input, or training users of one of its items. */
  from: number;
  /** The most. */
  to: number;
  /** Held-out users that count. */
  users: number;
  /** Of a group of items, how many there are. */
  items?: number;
  /** The main metric by model: mean and standard error. */
  means: Partial<Record<ModelName, { mean: number; standardError: number | null }>>;
}

/** What values are of. */
const METRIC = description.validationMetric as MetricName;

/** Values by user of each model on one group, in the same order of users. */
export type GroupValues = Map<ModelName, Float64Array>;

/** A group with the values of each model. */
export interface Group {
  name: string;
  from: number;
  to: number;
  items?: number;
  values: GroupValues;
}

/** Groups of users by the length of their input, from evaluations of them. */
export function byActivity(heldOut: HeldOut, evaluations: Map<ModelName, Evaluation>): Group[] {
  return guard(() => native.activityGroups(heldOut.native)).map(({ name, from, to, positions }) => {
    const of = ({ metrics }: Evaluation) => Float64Array.from(positions, (at) => metrics[METRIC]!.perUser[at]!);
    return { name, from, to, values: new Map([...evaluations].map(([model, found]) => [model, of(found)])) };
  });
}

/** Groups of items by popularity: `groups`, empty for the first model, with the values of one model more. */
export function byPopularity(
  model: ModelName,
  { popularity }: NonNullable<Evaluation['groups']>,
  groups: Group[],
): Group[] {
  const known: Group[] =
    groups.length > 0
      ? groups
      : popularity.map(({ name, from, to, items }) => ({ name, from, to, items: items!, values: new Map() }));
  for (const [at, { values }] of known.entries()) {
    values.set(model, popularity[at]!.metrics[METRIC]?.perUser ?? new Float64Array());
  }
  return known;
}

/** Users of a group. */
export function sizeOf({ values }: Group): number {
  return values.values().next().value!.length;
}

/** Mean and standard error by model; nothing of a group without users. */
export function meansOf(values: GroupValues): GroupMeans['means'] {
  const means = [...values].flatMap(([model, perUser]) => {
    if (perUser.length === 0) return [];
    const { mean, standardError } = guard(() => native.mean(perUser));
    return [[model, { mean, standardError: standardError ?? null }] as const];
  });
  return Object.fromEntries(means);
}
