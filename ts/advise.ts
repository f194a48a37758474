import { type Advice, adviceOf } from './advise/advice.js';
import { type GroupResult, METRIC, runTrials, type SampleResult, timeOneEpoch } from './advise/sample-runs.js';
import { checkInstance, checkRun } from './check.js';
import { type CompareProgress, checkCompare, complete, DEFAULT_SEED, order, splitFor } from './compare.js';
import { guard, RecvaeError, toJson } from './errors.js';
import { checkFits, estimateMemory } from './estimate.js';
import { Interactions } from './interactions.js';
import { allLeftOut, type LeftOut } from './left-out.js';
import type { RunOptions } from './models.js';
import { description, native, optionsOf } from './native.js';
import type { ModelName, ModelOptions, SampleOptions, SplitOptions } from './options.generated.js';
import { type Profile, profile } from './profile.js';
import { stoppable } from './running.js';
import { Split } from './split.js';

/** Tried besides those that are always compared: what they have to be weighed against. */
const TRIED: ModelName[] = ['edlae', 'recvae'];
/** Sizes of the samples, as shares of the largest one: a learning curve. */
const SHARES = [0.25, 0.5, 1];

/** What {@link advise} is told while it works. */
export interface AdviseProgress extends Omit<CompareProgress, 'stage'> {
  /** What happens to the model; `time`: one epoch of it is timed. */
  stage: CompareProgress['stage'] | 'time';
  /** Training users of the sample. */
  users: number;
}

/** How {@link advise} works. */
export interface AdviseOptions extends RunOptions {
  /** Which models to try; `popularity`, `ease` and `als` always are. By default `edlae` and `recvae` besides. */
  models?: ModelName[];
  /** Training users of the largest sample; default and range are those of {@link SampleOptions.users}. */
  users?: SampleOptions['users'];
  /** The most popular items at most; default and range are those of {@link SampleOptions.items}. */
  items?: SampleOptions['items'];
  /** Most epochs of the models that train in epochs. */
  epochs?: number;
  /** Seed of the split, of the samples, of the models and of the bootstrap, 0 to 2^53. By default that of {@link split}. */
  seed?: number;
  /**
   * Options per model; what is given is not searched. Where `batchSize` is not given, networks take fewer users per step on a sample,
   * so that an epoch has as many steps as on all training users, or users enough for 100 a step.
   */
  options?: { [K in ModelName]?: ModelOptions[K] };
  /** How to split {@link Interactions}; its own `seed` goes before the one above. */
  split?: SplitOptions;
  /** Bytes that a fit may take beyond the data, in a trial and later on all data. By default what is free, see {@link FitRun}. */
  memoryLimit?: number;
  /**
   * Called after each step, and in fits with the latest epoch, at most ten times a second; on the event loop. If it throws, or
   * gives back a promise that is rejected, the work stops, and the promise is rejected with what was thrown.
   */
  onProgress?: (progress: AdviseProgress) => void;
}

/** What a model costs on all training users. */
export interface ModelCost {
  /** Which model. */
  model: ModelName;
  /** Bytes at the peak of a fit, beyond the data. */
  fitMemory: number;
  /** Bytes of the finished model. */
  modelMemory: number;
  /** Why a fit is refused here, in the core's words; `null` if it fits. */
  refusal: string | null;
  /**
   * Seconds of one fit, with all epochs that its options allow: measured on the largest sample, or on one epoch there, and
   * carried over by `law`. An extrapolation, good to a factor of about 2. `null` if nothing was measured.
   */
  seconds: number | null;
  /** What the seconds grow with. */
  law: string;
}

/** The result of {@link advise} as plain JSON. */
export interface AdviceReport extends Advice {
  /** What the data look like; of a split, its training users. */
  profile: Profile;
  /** What of the input is not in the split or does not count, and why. */
  leftOut: LeftOut[];
  /** Training users, and the validation users that count. */
  split: { trainingUsers: number; items: number; validationUsers: number };
  /** Most popular items that the samples have. */
  sampledItems: number;
  /** Seed of everything. */
  seed: number;
  /** What is judged by, on validation users. */
  metric: string;
  /** Every model, the cheapest first. */
  cost: ModelCost[];
  /** Trial runs, the smallest sample first. */
  samples: SampleResult[];
  /** How well items are found in the largest sample, by how many of its users have them. */
  popularity: GroupResult[];
  /** Models that were not tried since they do not fit into memory, with the reason. */
  refused: { model: ModelName; why: string }[];
}

/**
 * Which model should be used on these data, before hours are spent on finding out: looks at the data, tries EASE^R, iALS and
 * RecVAE on samples of the training users, and says what to use, why, what to run next and what to distrust.
 *
 * Samples are judged on the validation users alone; test users stay unseen. Options are searched, models are compared in pairs and
 * the winner is chosen as by {@link compare}: the cheapest model that no other one beats significantly, among those that
 * fit into memory on all data. The samples are a quarter, half and all of `users`, the smaller ones part of the larger ones, with the most
 * popular `items`. Groups and figures are those of the core: see `groups.rs` and `profile.rs`.
 *
 * @example
 * ```ts
 * const { model, reasons, distrust } = await advise(await Interactions.dataset('debian'), { seed: 1 });
 * ```
 *
 * @throws {@link RecvaeError} As {@link compare}; `INVALID_DATA` with fewer than two validation users that have something to find;
 * `MEMORY` if no model but popularity fits into memory on the largest sample.
 */
export async function advise(input: Split | Interactions, options: AdviseOptions = {}): Promise<AdviceReport> {
  checkInstance(input, 'input', Split, Interactions);
  checkAdvise(options);
  return stoppable(options, ({ signal, tell }) => adviseOn(input, { ...options, signal, onProgress: tell }));
}

/** Finds what is not allowed before any work. */
export function checkAdvise(options: AdviseOptions): void {
  checkRun(options, KEYS, 'options');
  const { users, items, onProgress, ...compared } = options;
  checkCompare(compared);
  completeSample(options);
}

const KEYS = [
  'models',
  'users',
  'items',
  'epochs',
  'seed',
  'options',
  'split',
  'threads',
  'memoryLimit',
  'signal',
  'onProgress',
];

/** The core's defaults for what is not given. */
function completeSample({ users, items, seed = DEFAULT_SEED }: AdviseOptions): Required<SampleOptions> {
  return JSON.parse(guard(() => native.completeSampleOptions(toJson({ users, items, seed }))));
}

/** {@link advise} with options that have been checked and a callback that does not throw. */
async function adviseOn(input: Split | Interactions, options: AdviseOptions): Promise<AdviceReport> {
  const { seed = DEFAULT_SEED, threads, signal, memoryLimit, onProgress = () => {} } = options;
  const looks = await profile(input, { signal });
  const data = await splitFor(input, options);
  const { nScored, nUsers } = data.validation;
  if (nScored < 2) {
    const text = `${nScored} of ${nUsers} validation users have anything to find; allowed: 2 or more`;
    throw new RecvaeError('INVALID_DATA', `${text}, of whom models are judged by`);
  }
  const samples = await sampled(data, options);
  try {
    const names = order(options.models ?? TRIED);
    const settings = (sample: Split) =>
      new Map(names.map((name) => [name, onSample(name, { ...options, seed }, sample, data)]));
    const trials = { settings, seed, threads, signal, memoryLimit, onProgress };
    const { popularity, refused, ...found } = await runTrials(samples, trials);
    const cost = await costs(data, samples.at(-1)!, found.samples.at(-1)!, options);
    const facts = {
      profile: looks,
      leftOut: allLeftOut(input, data),
      split: { trainingUsers: data.train.nUsers, items: data.train.nItems, validationUsers: nScored },
      sampledItems: samples[0]!.train.nItems,
      seed,
      metric: METRIC as string,
      cost,
      samples: found.samples,
      popularity,
      refused,
    };
    return { ...facts, ...adviceOf(facts, input instanceof Split) };
  } finally {
    for (const sample of samples) sample.dispose();
    if (data !== input) data.dispose();
  }
}

/** The options of a model on a sample: {@link complete}, and its `batchSize` if it has one that is not given. */
function onSample(name: ModelName, options: AdviseOptions, { train }: Split, data: Split): Record<string, unknown> {
  const given = complete(name, options);
  const usual = optionsOf(name).find(({ name }) => name === 'batchSize');
  if (usual === undefined || given.batchSize !== undefined) return given;
  const batchSize = guard(() => native.sampleBatch(usual.default as number, train.nUsers, data.train.nUsers));
  return { ...given, batchSize };
}

/** Samples of growing size. */
async function sampled(data: Split, options: AdviseOptions): Promise<Split[]> {
  const { users, items, seed } = completeSample(options);
  const most = Math.min(users, data.train.nUsers);
  const sizes = new Set(SHARES.map((share) => Math.max(Math.round(share * most), 2)));
  const samples: Split[] = [];
  for (const users of sizes) samples.push(await data.sample({ users, items, seed }, { signal: options.signal }));
  return samples;
}

/** What each model, tried or not, costs on all training users. */
async function costs(
  data: Split,
  sample: Split,
  { models }: SampleResult,
  options: AdviseOptions,
): Promise<ModelCost[]> {
  const { threads, signal, memoryLimit, onProgress = () => {} } = options;
  const { nUsers: users, nItems: items, nInteractions: interactions } = data.train;
  const shape = { users, items, interactions, ...(threads !== undefined && { threads }) };
  const result: ModelCost[] = [];
  for (const { name, timeLaw, options: rows } of description.models) {
    const model = name as ModelName;
    const settings = complete(model, { ...options, epochs: undefined });
    const { fit, model: kept } = estimateMemory(model, { ...shape, options: settings });
    const refusal = refusalOf(() => checkFits(model, settings, data, { threads, memoryLimit }));
    const carry = (seconds: number, measured: object) =>
      guard(() =>
        native.extrapolateSeconds(
          model,
          seconds,
          toJson(measured),
          sample.train.native,
          toJson(settings),
          data.train.native,
        ),
      );
    const tried = models.find((trial) => trial.model === model);
    let seconds: number | null = null;
    if (tried) {
      const measured = { ...(tried.options as object), ...(tried.epochs > 0 && { epochs: tried.epochs }) };
      seconds = carry(tried.seconds / Math.max(tried.search.length, 1), measured);
    } else if (rows.some(({ name }) => name === 'epochs') && refusal === null) {
      onProgress({ model, users: sample.train.nUsers, stage: 'time', step: 1, steps: 1 });
      const timed = await timeOneEpoch(model, onSample(model, options, sample, data), sample, { threads, signal });
      seconds = carry(timed.seconds, timed.options as object);
    }
    result.push({ model, fitMemory: fit, modelMemory: kept, refusal, seconds, law: timeLaw });
  }
  return result;
}

/** The words of a refusal for want of memory, or `null`. */
function refusalOf(check: () => unknown): string | null {
  try {
    check();
    return null;
  } catch (error) {
    if (error instanceof RecvaeError && error.code === 'MEMORY') return error.message;
    throw error;
  }
}
