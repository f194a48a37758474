import { Interactions } from '../data/interactions.js';
import { allLeftOut } from '../data/left-out.js';
import { profile } from '../data/profile.js';
import { Split } from '../data/split.js';
import { COMPUTE, computeOf, isNetwork } from '../models/compute.js';
import { checkFits, estimateMemory, estimateSeconds, refusalOf } from '../models/estimate.js';
import { checkInstance, checkRun, invalid } from '../runtime/check.js';
import { guard, RecvaeError, toJson } from '../runtime/errors.js';
import { description, native, optionsOf } from '../runtime/native.js';
import type {
  ComputeOptions,
  ModelName,
  ModelOptions,
  SampleOptions,
  SplitOptions,
} from '../runtime/options.generated.js';
import { type RunOptions, stoppable } from '../runtime/running.js';
import { adviceOf, type Given } from './advise/advice.js';
import { type Plan, planFor } from './advise/plan.js';
import type { AdviceReport, AdviseProgress, ModelCost, SampleResult } from './advise/report.js';
import { METRIC, type TrialSample, trySamples } from './advise/sample-runs.js';
import { BLEND, checkCompare, complete, order } from './compare/options.js';
import { DEFAULT_SEED, splitFor } from './dataset.js';
import { startRun } from './run.js';

/** Tried besides those that are always compared: what they have to be weighed against. */
export const TRIED: ModelName[] = ['edlae', 'recvae'];

/** Of the networks, unless it is given: a look at the data need not have the same bits on every machine. */
export const PRECISION = 'auto';

/** How {@link advise} works. */
export interface AdviseOptions extends RunOptions, ComputeOptions {
  /** Which models to try; `popularity`, `ease` and `als` always are. By default `edlae` and `recvae` besides. */
  models?: readonly ModelName[] | undefined;
  /**
   * Training users of the networks' largest sample; linear models go up to all of them where that is cheap enough.
   * Default and range are those of {@link SampleOptions.users}.
   */
  users?: SampleOptions['users'] | undefined;
  /**
   * The most popular items at most, by default all: without its tail a catalogue is another problem. Its range is that
   * of {@link SampleOptions.items}.
   */
  items?: SampleOptions['items'] | undefined;
  /** Most epochs of the models that train in epochs. */
  epochs?: number | undefined;
  /**
   * Seed of the split, of the samples, of the models and of the bootstrap, 0 to 2^53. By default that of {@link split}.
   */
  seed?: number | undefined;
  /**
   * Options per model; what is given is not searched. Where `batchSize` is not given, networks take fewer users per
   * step on a sample, so that an epoch has as many steps as on all training users, or users enough for 100 a step.
   */
  options?: { [K in ModelName]?: ModelOptions[K] } | undefined;
  /**
   * How to split {@link Interactions}; its own `seed` goes before the one above. Beside a ready split it is refused.
   */
  split?: SplitOptions | undefined;
  /**
   * Bytes that a fit may take beyond the data, in a trial and later on all data. By default what is free, see
   * {@link FitRun}.
   */
  memoryLimit?: number | undefined;
  /** As of `fit`, of the networks; by default `auto`. */
  precision?: ComputeOptions['precision'] | undefined;
  /**
   * Called after each step, and in fits with the latest epoch, at most ten times a second; on the event loop. If it
   * throws, or gives back a promise that is rejected, the work stops, and the promise is rejected with what was thrown.
   */
  onProgress?: ((progress: AdviseProgress) => void) | undefined;
}

/**
 * Which model should be used on these data, before hours are spent on finding out: looks at the data, tries EASE^R,
 * iALS and RecVAE on samples of the training users, and says what to use, why, what to run next and what to distrust.
 *
 * Samples have all items, so that a user's items and the tail of the catalogue stay as they are. Linear models go up to
 * all training users where that takes a minute or two, networks up to `users` of them; smaller samples are part of
 * larger ones. They are judged on the validation users alone; test users stay unseen. What a sample says is carried on
 * to all training users by its trend, with an interval, and no p-value of it is told. The model that leads is advised
 * if no other one may be better there by more than so many users would show; else the answer is that nobody can tell
 * from this, `model` is `null`, and `next` says which comparison decides. A network has to be significantly better than
 * the best linear model to lead. Where nothing beats popularity on all training users, `model` is `popularity`. Groups
 * and figures are those of the core: see `groups.rs` and `profile.rs`.
 *
 * @example
 * ```ts
 * const { model, reasons, distrust } = await advise(await Interactions.dataset('debian'), { seed: 1 });
 * ```
 *
 * @throws {@link RecvaeError} As {@link compare}; `INVALID_DATA` with fewer than two validation users that have
 * something to find; `MEMORY` if no model but popularity fits into memory on the largest sample.
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
  checkTried(options);
  completeSample(options);
}

const KEYS = Object.keys({
  models: true,
  users: true,
  items: true,
  epochs: true,
  seed: true,
  options: true,
  split: true,
  threads: true,
  memoryLimit: true,
  signal: true,
  onProgress: true,
  ...COMPUTE,
} satisfies Record<keyof AdviseOptions, true>);

/** Fails for what cannot be tried on samples. */
function checkTried({ models }: AdviseOptions): void {
  if (!models?.includes(BLEND)) return;
  throw invalid(
    'model',
    BLEND,
    'models that are trained; the comparison that advise names next has the blend where it may help',
  );
}

/** The core's defaults for what is not given. */
function completeSample({ users, items, seed = DEFAULT_SEED }: AdviseOptions): Required<SampleOptions> {
  return JSON.parse(guard(() => native.completeSampleOptions(toJson({ users, items, seed }))));
}

/** {@link advise} with options that have been checked and a callback that does not throw. */
async function adviseOn(input: Split | Interactions, options: AdviseOptions): Promise<AdviceReport> {
  const { seed = DEFAULT_SEED, threads, signal, memoryLimit, onProgress = () => {} } = options;
  const run = startRun(threads);
  const data = await splitFor(input, options);
  const looks = await profile(input, { signal });
  const { nScored, nUsers } = data.validation;
  if (nScored < 2) {
    const text = `${nScored} of ${nUsers} validation users have anything to find; allowed: 2 or more`;
    throw new RecvaeError('INVALID_DATA', `${text}, of whom models are judged by`);
  }
  const made: Split[] = [];
  try {
    const { samples, plan } = await sampled(data, options, made);
    const settings = (model: ModelName, sample: Split) => onSample(model, { ...options, seed }, sample, data, plan);
    const compute = { precision: PRECISION, ...computeOf(options) } as const;
    const trials = { settings, seed, threads, signal, memoryLimit, ...compute, onProgress };
    const { values, refused, ...found } = await trySamples(samples, trials);
    const facts = {
      profile: looks,
      leftOut: allLeftOut(input, data),
      split: {
        trainingUsers: data.train.nUsers,
        items: data.train.nItems,
        validationUsers: nScored,
        knownUsers: data.validation.areKnown,
      },
      sampledItems: samples[0]!.sample.train.nItems,
      seed,
      metric: METRIC as string,
      cost: costs(data, samples, found.samples, options),
      ...found,
      refused: [...plan.refused, ...refused],
      smaller: [...plan.smaller].map(([model, changed]) => ({ model, changed })),
    };
    const given = Object.fromEntries(
      Object.entries(options.options ?? {}).map(([model, own]) => [model, JSON.parse(toJson(own))]),
    ) as Given;
    const wasSplit = input instanceof Split;
    const kind = options.split?.kind ?? (wasSplit ? undefined : 'strong');
    const inOrder = kind === undefined ? data.validation.areKnown : !['strong', 'folds', 'share'].includes(kind);
    const advice = await adviceOf(facts, values, { given, wasSplit, inOrder }, { threads, signal });
    return { ...facts, ...advice, run: run() };
  } finally {
    for (const sample of made) sample.dispose();
    if (data !== input) data.dispose();
  }
}

/**
 * The options of a model on a sample: {@link complete}, with what makes it small enough, and its `batchSize` if it has
 * one that is not given.
 */
function onSample(
  name: ModelName,
  options: AdviseOptions,
  { train }: Split,
  data: Split,
  { smaller }: Plan,
): Record<string, unknown> {
  const changed = (smaller.get(name) ?? []).map(({ name, to }) => [name, to]);
  const given = { ...complete(name, options), ...Object.fromEntries(changed) };
  const usual = optionsOf(name).find(({ name }) => name === 'batchSize');
  if (usual === undefined || given.batchSize !== undefined) return given;
  const batchSize = guard(() => native.sampleBatch(usual.default as number, train.nUsers, data.train.nUsers));
  return { ...given, batchSize };
}

/** Samples of growing size, and what is tried on them. What is made is in `made`, to be disposed of. */
async function sampled(
  data: Split,
  options: AdviseOptions,
  made: Split[],
): Promise<{ samples: TrialSample[]; plan: Plan }> {
  const { users, items, seed } = completeSample(options);
  const make = async (users: number) => {
    const sample = await data.sample({ users, seed, ...(items !== null && { items }) }, { signal: options.signal });
    made.push(sample);
    return sample;
  };
  const all = await make(Math.max(data.train.nUsers, 2));
  const names = order(options.models ?? TRIED);
  const settings = new Map(names.map((name) => [name, complete(name, { ...options, seed })]));
  const plan = planFor(all, { settings, users, memoryLimit: options.memoryLimit });
  const samples: TrialSample[] = [];
  for (const { users, models } of plan.samples) {
    samples.push({ sample: users === all.train.nUsers ? all : await make(users), models });
  }
  return { samples, plan };
}

/** What each model, tried or not, costs on all training users. */
function costs(data: Split, samples: TrialSample[], results: SampleResult[], options: AdviseOptions): ModelCost[] {
  const { threads, memoryLimit } = options;
  const on = { data: data.train, ...(threads !== undefined && { threads }) };
  return description.models.map(({ name, timeLaw }) => {
    const model = name as ModelName;
    const settings = complete(model, { ...options, epochs: undefined });
    const { fit, model: kept } = estimateMemory(model, { ...on, options: settings });
    const refusal = refusalOf(() => checkFits(model, settings, data, { threads, memoryLimit }));
    const largest = results.findLast(({ models }) => models.some((trial) => trial.model === model));
    const trial = largest?.models.find((trial) => trial.model === model);
    const sample = samples.find(({ sample }) => sample.train.nUsers === largest?.users)?.sample;
    let seconds = estimateSeconds(model, { ...on, options: settings });
    // What was tried on fewer items says little of a fit on all.
    if (trial && sample && trial.search.every(({ items }) => items === undefined)) {
      const measured = { ...(trial.options as object), ...(trial.epochs > 0 && { epochs: trial.epochs }) };
      // A network's steps and a search's trials took all of the time; other options of the latter, so this is their
      // mean.
      const ofOne = trial.seconds / Math.max(isNetwork(model) ? 1 : trial.search.length, 1);
      seconds = guard(() =>
        native.extrapolateSeconds(
          model,
          ofOne,
          toJson(measured),
          sample.train.native,
          toJson(settings),
          data.train.native,
        ),
      );
    }
    return { model, fitMemory: fit, modelMemory: kept, refusal, seconds, law: timeLaw };
  });
}
