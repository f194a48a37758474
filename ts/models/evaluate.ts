import { HeldOut } from '../data/split.js';
import { checkInstance, checkRun, checkStrings, invalid } from '../runtime/check.js';
import { native } from '../runtime/native.js';
import type { DefaultMetricName, MetricName } from '../runtime/options.generated.js';
import { type RunOptions, running } from '../runtime/running.js';
import { Model } from './model.js';

/** How {@link evaluate} runs. */
export interface EvaluateOptions<M extends MetricName = MetricName> extends RunOptions {
  /** Metrics with their list lengths, such as `ndcg@100`. By default those of the VAE papers and three more. */
  metrics?: readonly M[] | undefined;
  /** Whether {@link Evaluation.groups} are wanted. By default they are not. */
  groups?: boolean | undefined;
}

/**
 * A typed array that `JSON.stringify` writes as an array; without that it writes an object with a key for each
 * position.
 */
export type Column<T extends Float64Array | Uint32Array> = T & { toJSON(): number[] };

function column<T extends Float64Array | Uint32Array>(values: T): Column<T> {
  // Not enumerable: nothing else than JSON sees it.
  return Object.defineProperty(values, 'toJSON', { value: () => Array.from(values) }) as Column<T>;
}

/** One metric over all evaluated users. */
export interface MetricValues {
  /** Mean over the users, from 0 to 1 but for `novelty@k`; of `coverage@k` and `gini@k` the one value. */
  mean: number;
  /** Standard error of the mean; `null` for `coverage@k` and `gini@k`, and for a single user. */
  standardError: number | null;
  /** One value per evaluated user; empty for `coverage@k` and `gini@k`. JSON has it as an array. */
  perUser: Column<Float64Array>;
}

/** The metrics of a group of held-out users, or on the held-out items of a group of items. */
export interface EvaluationGroup<M extends string = string> {
  /**
   * Of users by the length of their input: `few`, `some`, `many`. Of items by their training users: `head`, `middle`,
   * `tail`.
   */
  name: string;
  /** Least items of a user's input, or training users of an item. */
  from: number;
  /** The most. */
  to: number;
  /** Of a group of items, how many there are. */
  items?: number;
  /**
   * Users that count: of a group of items, those with something of it to find. Positions in {@link Evaluation.users}.
   */
  users: Column<Uint32Array>;
  /** Per metric; empty where no user counts. */
  metrics: Partial<Record<M, MetricValues>>;
}

/** What {@link evaluate} found; `M` are the names of the metrics. */
export interface Evaluation<M extends string = string> {
  /** Per metric, in the order asked for. */
  metrics: Record<M, MetricValues>;
  /**
   * The same by the length of the users' input, and by the popularity of the items that have to be found, if asked for.
   * What looks at lists without their hits, such as `novelty@k`, is by popularity that of the lists of the users who
   * count; `coverage@k` and `gini@k` are those of the group's items.
   */
  groups?: { activity: EvaluationGroup<M>[]; popularity: EvaluationGroup<M>[] };
  /**
   * Positions of the evaluated users in {@link HeldOut.userIds}: what `perUser` is in the order of. JSON has it as an
   * array.
   */
  users: Column<Uint32Array>;
  /** Held-out users with nothing to find, who do not count. */
  skipped: number;
  /** Held-out items, input and target together, that the model does not know and that were ignored. */
  unknown: number;
  /**
   * Whether the model was trained on exactly the training users of this split, by their ids; `null` if that is not
   * known: the model's file is an older one, or was saved without a record of its training users.
   */
  sameTrainingUsers: boolean | null;
  /**
   * How many of the evaluated users the model was trained on, by their ids: above 0 the metrics are too good. `null` if
   * not known.
   */
  trainedUsers: number | null;
  /**
   * How many of the others have exactly the items of a training user. Some do by chance; where they are more, they may
   * be the same users under other ids, and {@link Evaluation.warnings} say so. `null` if not known.
   */
  trainedHistories: number | null;
  /**
   * What speaks against the metrics, in sentences: that the model had seen the users, or that nobody knows. Empty if
   * nothing does.
   */
  warnings: string[];
}

const KEYS = Object.keys({
  metrics: true,
  groups: true,
  threads: true,
  signal: true,
} satisfies Record<keyof EvaluateOptions, true>);

/**
 * Asks a model for the held-out items of users, off the event loop. Seen items never count and never fill a list.
 *
 * @throws {@link RecvaeError} `INVALID_ARGUMENT` for a metric, `INVALID_DATA` if no user has anything to find.
 */
export async function evaluate<M extends MetricName = DefaultMetricName>(
  model: Model,
  heldOut: HeldOut,
  options: EvaluateOptions<M> = {},
): Promise<Evaluation<M>> {
  checkInstance(model, 'model', Model);
  checkInstance(heldOut, 'heldOut', HeldOut);
  checkRun(options, KEYS, 'options');
  if (options.metrics !== undefined) checkStrings(options.metrics, 'metrics');
  const { threads, signal, groups: inGroups = false } = options;
  if (typeof inGroups !== 'boolean') throw invalid('groups', inGroups, 'true or false');
  const work = (run: native.NativeRun) =>
    native.evaluate(model.native, heldOut.native, options.metrics?.slice(), inGroups, threads, run);
  const { metrics, groups, users, sameTrainingUsers, trainedUsers, trainedHistories, ...rest } = await running(
    { signal },
    work,
  );
  const of = (by: string) => groups.filter((group) => group.by === by).map((group) => groupOf<M>(group));
  const evaluation: Evaluation<M> = {
    metrics: named<M>(metrics),
    ...(inGroups && { groups: { activity: of('activity'), popularity: of('popularity') } }),
    users: column(users),
    ...rest,
    sameTrainingUsers: sameTrainingUsers ?? null,
    trainedUsers: trainedUsers ?? null,
    trainedHistories: trainedHistories ?? null,
  };
  evaluated.set(evaluation, new WeakRef(heldOut));
  return evaluation;
}

/** Whose evaluation each is, as long as they are there. */
const evaluated = new WeakMap<object, WeakRef<HeldOut>>();

/** Whether an evaluation is known to be of other users than those of `heldOut`, which have these ids. */
export function isOfOthers(evaluation: Evaluation, heldOut: HeldOut, ids: readonly string[]): boolean {
  const own = evaluated.get(evaluation)?.deref();
  if (own === undefined || own === heldOut) return false;
  let users: string[];
  try {
    users = own.userIds();
  } catch {
    return false; // it is disposed
  }
  return users.length !== ids.length || users.some((user, at) => user !== ids[at]);
}

/** Metrics by their names. */
function named<M extends string>(metrics: native.NativeMetric[]): Record<M, MetricValues> {
  const entries = metrics.map(({ name, mean, standardError, perUser }) => [
    name,
    { mean, standardError: standardError ?? null, perUser: column(perUser) },
  ]);
  return Object.fromEntries(entries);
}

function groupOf<M extends string>(group: native.NativeGroupMetrics): EvaluationGroup<M> {
  const { name, from, to, items, positions, metrics } = group;
  return {
    name,
    from,
    to,
    ...(items != null && { items }),
    users: column(positions),
    metrics: positions.length === 0 ? {} : named<M>(metrics),
  };
}

/** Means with their standard errors, without the values per user. */
export function meansOf({ metrics }: Pick<Evaluation, 'metrics'>): Record<string, Omit<MetricValues, 'perUser'>> {
  const means = Object.entries(metrics).map(([name, { mean, standardError }]) => [name, { mean, standardError }]);
  return Object.fromEntries(means);
}

/** What is said against any of some evaluations, each thing once. */
export function warningsOf(evaluations: Iterable<Pick<Evaluation, 'warnings'>>): string[] {
  return [...new Set([...evaluations].flatMap(({ warnings }) => warnings))];
}
