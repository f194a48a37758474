import {
  checkInstance,
  checkObject,
  checkRun,
  checkSeed,
  checkStrings,
  infoText,
  invalid,
  knownKeys,
} from './check.js';
import { guard, RecvaeError, toJson } from './errors.js';
import { checkFits, estimateMemory } from './estimate.js';
import { type Evaluation, evaluate } from './evaluate.js';
import { Interactions } from './interactions.js';
import { allLeftOut, type LeftOut } from './left-out.js';
import { withPeakMemory } from './memory.js';
import type { Json, Model, Progress, RunOptions } from './models.js';
import { description, native, optionsOf } from './native.js';
import type { ModelName, ModelOptions, SplitOptions } from './options.generated.js';
import { type Difference, pairedDifferences } from './paired.js';
import { stoppable } from './running.js';
import { largest, type Step, searches, train, trainTuned, tuned } from './search.js';
import { Split, split } from './split.js';
import { validate } from './trials.js';
import { checkSearchFits, checkTrials, DEFAULT_TRIALS, type Search } from './tune/find-best.js';
import { decide } from './verdict.js';

/** Always compared: the floor, and the linear models that neural ones have to beat. */
export const ALWAYS: ModelName[] = ['popularity', 'ease', 'als'];

/** Compared only when asked for. */
const ASKED_FOR: ModelName[] = ['mult-dae'];

/** What {@link compare} is told while it works. */
export interface CompareProgress {
  /** The model at work. */
  model: ModelName;
  /** What happens to it. */
  stage: 'search' | 'fit' | 'evaluate';
  /** Which model it is, from 1, and how many there are. */
  step: number;
  /** See `step`. */
  steps: number;
  /** In a search, the options that were tried last and what validation says to them, from 0 to 1. */
  tried?: { options: Json; validation: number };
  /** In a fit, and in the fits of a tuned comparison's search, the epoch that ended. */
  epoch?: Progress;
}

/** How {@link compare} works. */
export interface CompareOptions extends RunOptions {
  /**
   * Which models to compare; `popularity`, `ease` and `als` always are. By default all but `mult-dae`, which has to be asked
   * for: it is `mult-vae` without the sampling, and behind it in their authors' measurements. On the data in this package's
   * README it is ahead instead, so ask for it where an autoencoder is worth the time.
   */
  models?: ModelName[];
  /** Seed of the split, of the models and of the bootstrap, 0 to 2^53. By default that of {@link split}. */
  seed?: number;
  /** Most epochs of the models that train in epochs. */
  epochs?: number;
  /** Options per model; a `seed` there goes before the one above. Those of models not compared are only checked. */
  options?: { [K in ModelName]?: ModelOptions[K] };
  /**
   * Whether every model that has options worth searching is tuned as by `tune`, all with the same number of trials, in place of
   * the quick search of EASE^R's and iALS's main options: a fair comparison, and a long one. It needs validation users.
   */
  tune?: boolean;
  /** Trials of each model that is tuned, 1 to 10,000; where there are fewer combinations, all of them. By default 12. */
  budget?: number;
  /** How to split {@link Interactions}; its own `seed` goes before the one above. */
  split?: SplitOptions;
  /** Kept with each model and in its file; anything that JSON can hold. */
  info?: Json;
  /**
   * Bytes that the comparison may take beyond the data, 0 or more. It keeps every model; one that would not fit beside those
   * before it is refused before any work. By default what is free, see {@link FitRun}.
   */
  memoryLimit?: number;
  /**
   * Called after each step, and in fits with the latest epoch, at most ten times a second and with the last one in any case;
   * on the event loop. It does not keep the process alive. If it throws, or gives back a promise that is rejected, the work
   * stops, and the promise is rejected with what was thrown.
   */
  onProgress?: (progress: CompareProgress) => void;
}

/** One model in a {@link ComparisonReport}. */
export interface ComparedModel {
  /** Which model. */
  model: ModelName;
  /** All options with their values. */
  options: Json;
  /** Wall-clock seconds of search and training together. */
  seconds: number;
  /** Largest resident set of the process meanwhile, in bytes. */
  peakMemory: number;
  /** The core's main metric on the validation users; `null` if there are none. */
  validation: number | null;
  /** Epochs trained; 0 for closed forms. */
  epochs: number;
  /** What a search tried, in that order; empty if nothing was searched. */
  search: { options: Json; validation: number }[];
  /** Means over the test users with their standard errors. */
  metrics: Record<string, { mean: number; standardError: number | null }>;
}

/** `a` minus `b` on the same test users. */
export interface PairedDifference extends Difference {
  /** The later one in the order in which models run. */
  a: ModelName;
  /** The earlier one. */
  b: ModelName;
  /** What is compared, such as `ndcg@100`; p-values are corrected over the pairs of it. */
  metric: string;
}

/** The result of {@link compare} as plain JSON. */
export interface ComparisonReport {
  /** The data that was compared on: the users of all parts of the split, and the items of the training users. */
  dataset: { users: number; items: number; interactions: number; density: number };
  /** What of the input is not in it or does not count, and why. */
  leftOut: LeftOut[];
  /** What speaks against the metrics, as in {@link Evaluation.warnings}; empty if nothing does. */
  warnings: string[];
  /** Users that all models were trained on. */
  trainingUsers: number;
  /** Test users that count in the metrics. */
  testUsers: number;
  /** Seed of the bootstrap, and of the split and the models where `options` had none of their own. */
  seed: number;
  /** Metric that decides. */
  metric: string;
  /** All models, in the order in which they ran: the cheapest first. */
  models: ComparedModel[];
  /** Every pair on every metric that has a value per user. */
  paired: PairedDifference[];
  /** The model to use. */
  winner: ModelName;
  /** Why: by how much, how sure, at what cost. */
  verdict: string;
}

/** What {@link compare} found. */
export interface Comparison {
  /** Plain JSON. */
  report: ComparisonReport;
  /** The trained models. */
  models: Map<ModelName, Model>;
  /** Their evaluations on the test users, with the values per user. */
  evaluations: Map<ModelName, Evaluation>;
}

/**
 * The main job: trains popularity, EASE^R, iALS and the others on the same training users, evaluates them on the same test
 * users, and says with statistics which one to use.
 *
 * EASE^R's `lambda`, EDLAE's `lambda` and `dropoutRate` and iALS's `lambda`, `alpha0` and `factors` are searched on the validation users
 * unless they are given. Models are compared in pairs by user with the bootstrap, corrected by Holm's method. The winner is the cheapest
 * model, from EASE^R on, that no other one beats significantly in the main metric (corrected p below .05).
 *
 * @throws {@link RecvaeError} As {@link split}, {@link fit} and {@link evaluate}; `INVALID_ARGUMENT` and `MEMORY` before any
 * work: EASE^R is always compared, so data that it does not fit for cannot be compared.
 */
export async function compare(input: Split | Interactions, options: CompareOptions = {}): Promise<Comparison> {
  checkInstance(input, 'input', Split, Interactions);
  checkCompare(options);
  return stoppable(options, async ({ signal, tell }) => {
    const run = { ...options, signal, onProgress: tell };
    return compareOn(await splitFor(input, run), input, run);
  });
}

/** The split that a comparison or an ablation on `input` works with. */
export async function splitFor(
  input: Split | Interactions,
  options: Pick<CompareOptions, 'seed' | 'split' | 'signal'>,
): Promise<Split> {
  if (input instanceof Split) return input;
  const seed = options.split?.seed ?? options.seed ?? DEFAULT_SEED;
  return split(input, { ...options.split, seed }, { signal: options.signal });
}

/** {@link compare} on `data`, the split of `input`, with options that have been checked and a callback that does not throw. */
export async function compareOn(
  data: Split,
  input: Split | Interactions,
  options: CompareOptions,
): Promise<Comparison> {
  const names = order(options.models);
  const { seed = DEFAULT_SEED, threads, signal, memoryLimit, info, onProgress = () => {} } = options;
  const run = { threads, signal };
  const settings = new Map(names.map((name) => [name, complete(name, { ...options, seed })]));

  checkTestUsers(data);
  const searched = new Map(names.map((name) => [name, tunedIf(options, name, settings.get(name)!, data, seed)]));
  const kept = checkAllFit(names, settings, searched, data, options);

  const models = new Map<ModelName, Model>();
  const evaluations = new Map<ModelName, Evaluation>();
  const compared: ComparedModel[] = [];
  const left = (model: ModelName) => memoryLimit && Math.max(memoryLimit - kept.get(model)!, 0);
  for (const [index, model] of names.entries()) {
    const step = { model, step: index + 1, steps: names.length };
    const started = performance.now();
    const { result, peakMemory } = await withPeakMemory(() => {
      const [search, its] = [searched.get(model), { ...run, info, memoryLimit: left(model) }];
      const onStep = (progress: Step) => onProgress({ ...step, ...progress });
      return search ? trainTuned(search, data, its, onStep) : train(model, settings.get(model)!, data, its, onStep);
    });
    const seconds = (performance.now() - started) / 1000;
    const { fitted, search } = result;
    onProgress({ ...step, stage: 'evaluate' });
    const validation = await validate(fitted, data, run);
    const evaluation = await evaluate(fitted, data.test, run);
    models.set(model, fitted);
    evaluations.set(model, evaluation);
    const metrics = Object.entries(evaluation.metrics).map(([name, { mean, standardError }]) => [
      name,
      { mean, standardError },
    ]);
    compared.push({
      model,
      options: fitted.options as Json,
      seconds,
      peakMemory,
      validation,
      epochs: fitted.epochs.length,
      search,
      metrics: Object.fromEntries(metrics),
    });
  }

  const paired = await pairs(evaluations, seed, run);
  const metric = description.validationMetric;
  const { winner, verdict } = decide(compared, paired, metric);
  const report: ComparisonReport = {
    dataset: datasetOf(data),
    leftOut: allLeftOut(input, data),
    warnings: warningsOf(evaluations.values()),
    trainingUsers: data.train.nUsers,
    testUsers: data.test.nScored,
    seed,
    metric,
    models: compared,
    paired,
    winner,
    verdict: verdict + shortened(compared),
  };
  return { report, models, evaluations };
}

/** The data of a report: all parts of a split together. */
export function datasetOf({ train, validation, test }: Split): ComparisonReport['dataset'] {
  const parts = [train, validation, test];
  const users = parts.reduce((sum, { nUsers }) => sum + nUsers, 0);
  const interactions = parts.reduce((sum, { nInteractions }) => sum + nInteractions, 0);
  const items = train.nItems;
  return { users, items, interactions, density: interactions / (users * items) };
}

/** What is said against any of some evaluations, each thing once. */
export function warningsOf(evaluations: Iterable<Pick<Evaluation, 'warnings'>>): string[] {
  return [...new Set([...evaluations].flatMap(({ warnings }) => warnings))];
}

/** Fails if there are not enough users for a paired comparison. */
export function checkTestUsers({ test }: Split): void {
  if (test.nScored >= 2) return;
  const text = `${test.nScored} of ${test.nUsers} test users have anything to find; allowed: 2 or more`;
  throw new RecvaeError('INVALID_DATA', text);
}

/** Names of all models. */
const KNOWN = description.models.map(({ name }) => name as ModelName);

/** The split's; it stands for all of them, so that `seed` in a report repeats the run. */
export const DEFAULT_SEED = description.split.find(({ name }) => name === 'seed')!.default as number;

/** Finds what is not allowed before hours of training, also in the options of models that are not compared. */
export function checkCompare(options: CompareOptions): void {
  const keys = [
    'models',
    'seed',
    'epochs',
    'options',
    'tune',
    'budget',
    'split',
    'info',
    'threads',
    'memoryLimit',
    'signal',
    'onProgress',
  ];
  checkRun(options, keys, 'options');
  const { models, seed, threads, info, tune, budget } = options;
  if (models !== undefined) checkStrings(models, 'models');
  order(models);
  if (seed !== undefined) checkSeed(seed, 'seed');
  if (tune !== undefined && typeof tune !== 'boolean') throw invalid('tune', tune, 'true or false');
  if (budget !== undefined) checkTrials(budget, 'budget');
  if (budget !== undefined && !tune) throw invalid('budget', budget, 'none without tune');
  infoText(info);
  knownKeys(options.options, KNOWN, 'options.options');
  for (const name of KNOWN) guard(() => native.checkFit(name, toJson(complete(name, options)), threads));
}

/** The search of a model in a tuned comparison, if it is one and the model has anything to tune. */
function tunedIf(
  { tune, budget = DEFAULT_TRIALS }: CompareOptions,
  model: ModelName,
  options: Record<string, unknown>,
  data: Split,
  seed: number,
): Search | undefined {
  if (!tune) return undefined;
  if (data.validation.nScored > 0) return tuned(model, options, budget, seed);
  const text =
    'there are no validation users to tune on; allowed: 1 or more, which split makes (validation, --validation)';
  throw new RecvaeError('INVALID_DATA', text);
}

/**
 * Fails before any work if a model would not fit beside those that are kept from before it, and tells for each how many bytes
 * these are. A search for `lambda` keeps the best model besides.
 */
function checkAllFit(
  names: ModelName[],
  settings: Map<ModelName, Record<string, unknown>>,
  searched: Map<ModelName, Search | undefined>,
  data: Split,
  { threads, memoryLimit }: CompareOptions,
): Map<ModelName, number> {
  const kept = new Map<ModelName, number>();
  let held = 0;
  for (const name of names) {
    const options = settings.get(name)!;
    const check = (beside: number) => checkFits(name, options, data, { threads, memoryLimit }, beside);
    kept.set(name, held);
    const search = searched.get(name);
    if (search) {
      held += checkSearchFits(search, { data, threads, memoryLimit, beside: held });
      continue;
    }
    const { model } = check(held);
    if (searches(name, options, data)) check(held + model);
    held += largestOf(name, options, data);
  }
  return kept;
}

/** Bytes of the largest model that a search may find. */
function largestOf(name: ModelName, options: Record<string, unknown>, data: Split): number {
  const { nUsers: users, nItems: items, nInteractions: interactions } = data.train;
  return estimateMemory(name, { users, items, interactions, options: largest(name, options, data) }).model;
}

/** The models that are compared unless others are asked for. */
export const USUAL = KNOWN.filter((name) => !ASKED_FOR.includes(name));

/** The models in the order in which they run, the core's: the cheapest first. */
export function order(asked: readonly string[] = USUAL): ModelName[] {
  const unknown = asked.find((name) => !(KNOWN as string[]).includes(name));
  if (unknown !== undefined) throw invalid('model', unknown, KNOWN.join(', '));
  return KNOWN.filter((name) => ALWAYS.includes(name) || asked.includes(name));
}

/** The given options of a model; `seed` and `epochs` go to the models that have such an option. */
export function complete(
  name: ModelName,
  { options, seed, epochs }: Pick<CompareOptions, 'options' | 'seed' | 'epochs'>,
): Record<string, unknown> {
  const own: unknown = options?.[name];
  if (own !== undefined) checkObject(own, `options of ${name}`);
  const given: Record<string, unknown> = { ...options?.[name] };
  const known = optionsOf(name).map((option) => option.name);
  for (const [key, value] of Object.entries({ seed, epochs })) {
    if (value !== undefined && known.includes(key)) given[key] ??= value;
  }
  return given;
}

/** A sentence about models that were given fewer epochs than by default; empty if there are none. */
function shortened(models: ComparedModel[]): string {
  const found = models.flatMap(({ model, options }) => {
    const { epochs } = options as { epochs?: number };
    const row = optionsOf(model).find(({ name }) => name === 'epochs');
    const usual = row?.default as number | undefined;
    return epochs !== undefined && usual !== undefined && epochs < usual
      ? [`${model} at most ${epochs}, not ${usual}`]
      : [];
  });
  return found.length === 0 ? '' : ` Trained for fewer epochs than by default: ${found.join('; ')}.`;
}

/** Every pair of models, the later one first. */
export function pairsOf(models: ModelName[]): { a: ModelName; b: ModelName }[] {
  return models.flatMap((b, index) => models.slice(index + 1).map((a) => ({ a, b })));
}

/** {@link pairsOf} the evaluated models on every metric with a value per user. */
export async function pairs(
  evaluations: Map<ModelName, Pick<Evaluation, 'metrics'>>,
  seed: number,
  run: RunOptions,
): Promise<PairedDifference[]> {
  const all = [...evaluations];
  const result: PairedDifference[] = [];
  const [, first] = all[0]!;
  for (const [metric, { perUser }] of Object.entries(first.metrics)) {
    if (perUser.length < 2) continue;
    const ofMetric = pairsOf(all.map(([model]) => model)).map((pair) => ({ ...pair, metric }));
    const values = (model: ModelName) => evaluations.get(model)!.metrics[metric]!.perUser;
    const found = await pairedDifferences(
      ofMetric.map(({ a, b }) => [values(a), values(b)]),
      seed,
      run,
    );
    result.push(...ofMetric.map((pair, at) => ({ ...pair, ...found[at]! })));
  }
  return result;
}
