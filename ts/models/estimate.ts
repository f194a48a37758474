import type { Interactions } from '../data/interactions.js';
import { Split, trainingPart } from '../data/split.js';
import { checkObject, checkString, invalid, knownKeys } from '../runtime/check.js';
import { guard, RecvaeError, toJson } from '../runtime/errors.js';
import { native } from '../runtime/native.js';
import type { ModelName, ModelOptions } from '../runtime/options.generated.js';

/** What decides how much memory and time a fit takes. */
export interface FitShape<K extends ModelName = ModelName> {
  /** Number of training users, 0 or more. */
  users: number;
  /** Number of items, 0 or more. */
  items: number;
  /** Number of (user, item) pairs of the training users, 0 or more. */
  interactions: number;
  /** Options of the model. By default its own defaults. */
  options?: ModelOptions[K] | undefined;
  /**
   * Whether there are validation users, as a {@link Split} has them; the best parameters are kept beside the last ones
   * then.
   *
   * @default true
   */
  validation?: boolean | undefined;
  /**
   * Whether interactions have weights.
   *
   * @default false
   */
  weighted?: boolean | undefined;
  /** Threads to compute with, 1 to 1,024. By default the cores that this process may use. */
  threads?: number | undefined;
}

/** A fit on data that are there. */
export interface FitData<K extends ModelName = ModelName>
  extends Pick<FitShape<K>, 'options' | 'validation' | 'threads'> {
  /** The training users, or a split that has them, which says besides whether there are validation users. */
  data: Interactions | Split;
}

/** Bytes. */
export interface MemoryEstimate {
  /** At the peak of {@link fit}, beyond the data and what the process held before. */
  fit: number;
  /** Of the finished model, without the ids of its items. */
  model: number;
}

/**
 * How much memory a fit takes, counted from shapes and options. {@link fit} refuses by the same figures what cannot
 * fit. From 100 MB on, measured peaks lie within 15 % of it.
 *
 * @example
 * ```ts
 * estimateMemory('ease', { users: 1e6, items: 41_140, interactions: 3e7 }).fit / 2 ** 30; // 6.7 GiB
 * ```
 *
 * @throws {@link RecvaeError} `INVALID_ARGUMENT`.
 */
export function estimateMemory<K extends ModelName>(model: K, shape: FitShape<K> | FitData<K>): MemoryEstimate {
  const { options, ...numbers } = checkShape(model, shape);
  return guard(() => native.estimateMemory(model, toJson(options), numbers));
}

/**
 * The seconds that {@link fit} takes, known before any work: computed from counted operations and costs that were
 * measured on cores of a current x86-64 server (`benches/costs.mjs` measures them again). On such a machine it lies
 * within a factor of 2, if it is given the data. Users, items and interactions alone do not tell how uneven they are:
 * on catalogues with a long tail the closed forms, which leave most of it out of their inverse, take a third of that
 * then, and with a `density` many times as much. Models with epochs are taken to train all that their options allow,
 * and to be validated after each by a tenth as many users as are trained on, 10,000 at most.
 *
 * @example
 * ```ts
 * estimateSeconds('ease', { users: 136_677, items: 20_720, interactions: 9_990_682, threads: 2 }); // about a minute
 * estimateSeconds('ease', { data, options: { density: 0.01 } });
 * ```
 *
 * @throws {@link RecvaeError} `INVALID_ARGUMENT`.
 */
export function estimateSeconds<K extends ModelName>(model: K, shape: FitShape<K> | FitData<K>): number {
  const { options, ...numbers } = checkShape(model, shape);
  return guard(() =>
    'data' in shape
      ? native.estimateSecondsOn(
          model,
          toJson(options),
          trainingPart(shape.data, 'data').native,
          numbers.validation,
          numbers.threads,
        )
      : native.estimateSeconds(model, toJson(options), numbers),
  );
}

const KEYS = Object.keys({
  users: true,
  items: true,
  interactions: true,
  options: true,
  validation: true,
  weighted: true,
  threads: true,
} satisfies Record<keyof FitShape, true>);

const DATA_KEYS = Object.keys({
  data: true,
  options: true,
  validation: true,
  threads: true,
} satisfies Record<keyof FitData, true>);

function checkShape<K extends ModelName>(
  model: K,
  shape: FitShape<K> | FitData<K>,
): FitShape<K> & { validation: boolean; weighted: boolean } {
  checkString(model, 'model');
  checkObject(shape, 'shape');
  knownKeys(shape, 'data' in shape ? DATA_KEYS : KEYS, 'shape');
  const numbers = 'data' in shape ? numbersOf(shape) : shape;
  const { users, items, interactions, validation = true, weighted = false, threads } = numbers;
  for (const [name, value] of Object.entries({
    users,
    items,
    interactions,
    ...(threads !== undefined && { threads }),
  })) {
    if (typeof value !== 'number') throw invalid(name, value, 'a number');
  }
  if (typeof validation !== 'boolean') throw invalid('validation', validation, 'true or false');
  if (typeof weighted !== 'boolean') throw invalid('weighted', weighted, 'true or false');
  return { ...numbers, validation, weighted };
}

/** The numbers of a fit on data. */
function numbersOf<K extends ModelName>(shape: FitData<K>): FitShape<K> {
  const { nUsers: users, nItems: items, nInteractions: interactions, weighted } = trainingPart(shape.data, 'data');
  const { data, validation = data instanceof Split ? data.validation.nScored > 0 : undefined, ...rest } = shape;
  return { ...rest, validation, users, items, interactions, weighted };
}

/**
 * The bytes that a fit on the training users of a split takes and keeps, with `beside` more held meanwhile.
 *
 * @throws {@link RecvaeError} `INVALID_ARGUMENT`, and `MEMORY` if that is more than `memoryLimit` allows or is free.
 */
export function checkFits(
  model: ModelName,
  options: object,
  { train, validation }: Split,
  { threads, memoryLimit }: { threads?: number | undefined; memoryLimit?: number | undefined },
  beside = 0,
): MemoryEstimate {
  return guard(() =>
    native.checkMemory(model, toJson(options), train.native, validation.nScored > 0, threads, memoryLimit, beside),
  );
}

/** The words of a refusal for want of memory, or `null`. */
export function refusalOf(check: () => unknown): string | null {
  try {
    check();
    return null;
  } catch (error) {
    if (error instanceof RecvaeError && error.code === 'MEMORY') return error.message;
    throw error;
  }
}
