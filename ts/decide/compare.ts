import { Interactions } from '../data/interactions.js';
import { allLeftOut, type LeftOut } from '../data/left-out.js';
import { Split, split } from '../data/split.js';
import { type Evaluation, evaluate } from '../models/evaluate.js';
import type { OptionChange } from '../models/fitting.js';
import type { Model } from '../models/model.js';
import type { Progress } from '../models/progress.js';
import {
  checkInstance,
  checkObject,
  checkRun,
  checkSeed,
  checkString,
  checkStrings,
  infoText,
  invalid,
  knownKeys,
} from '../runtime/check.js';
import { guard, RecvaeError, toJson } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import { description, native, optionsOf } from '../runtime/native.js';
import type { ModelName, ModelOptions, SplitOptions } from '../runtime/options.generated.js';
import { withPeakMemory } from '../runtime/peak-memory.js';
import { type RunOptions, stoppable } from '../runtime/running.js';
import { FITS, LEAST_SECONDS, MOST_TRIALS, secondsOf } from '../search/effort.js';
import { checkTrials, DEFAULT_TRIALS } from '../search/find-best.js';
import { Journal, type JournalHeader } from '../search/journal.js';
import { Samples } from '../search/samples.js';
import type { Space } from '../search/spaces.js';
import {
  estimated,
  type SearchedTrial,
  type SearchSummary,
  type Step,
  sized,
  type Trained,
  type TrainRun,
  train,
} from '../search/train.js';
import { completeOptions, type TrialResult, validate } from '../search/trials.js';
import { Course } from './compare/course.js';
import { decide, FLOOR } from './compare/verdict.js';
import { type Difference, pairedDifferences } from './paired.js';

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
  /** In a search, what was tried last and what validation says to it. */
  tried?: SearchedTrial;
  /** In a fit, and in the fits of a tuned comparison's search, the epoch that ended, or how far a closed form is. */
  epoch?: Progress;
  /** Before anything else, what is to be done: for each model the seconds that it may take, for a reference machine. */
  plan?: { model: ModelName; seconds: number }[];
  /** Of a comparison, the share of all its work that is done, from 0 to 1, by an estimate. */
  fraction?: number;
  /** Of a comparison, the seconds that are left: by an estimate, and by the clock as soon as that tells more. */
  secondsLeft?: number;
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
   * Whether the options that matter are searched on the validation users, those excepted that are given. By default they are, all
   * models with the same effort: a search may take the larger of 60 seconds and six fits of its model, by an estimate for a
   * reference machine, and 32 trials; it ends earlier when nothing more is to be gained. Without it each model has the given options
   * and its defaults, and the report says of which ones nobody knows whether they are good.
   */
  search?: boolean;
  /** Whether every search has the same number of trials instead, whatever they take. It needs validation users. */
  tune?: boolean;
  /** Trials of each search with `tune`, 1 to 10,000; where there are fewer combinations, all of them. By default 12. */
  budget?: number;
  /**
   * Minutes by the clock that the comparison may take, above 0. What does not fit, trials of a search or whole models, is left out,
   * the costliest models first, and the report says what; it then depends on the machine. By default as many as it needs.
   */
  budgetMinutes?: number;
  /**
   * A file that keeps the trials that have ended: with it, the same call goes on after a crash, a kill or an abort, to the same
   * result, and only the model that is kept of each search is trained once more. One of another job is refused. It stays: remove it
   * when the result is safe. By default there is none.
   */
  journal?: string;
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
export interface ComparedModel extends SearchSummary {
  /** Which model. */
  model: ModelName;
  /** All options with their values. */
  options: Json;
  /** Wall-clock seconds of search and training together. */
  seconds: number;
  /** The same as it was estimated before, at most, for a reference machine. */
  estimatedSeconds: number;
  /** Largest resident set of the process meanwhile, in bytes. */
  peakMemory: number;
  /** The core's main metric on the validation users; `null` if there are none. */
  validation: number | null;
  /** Epochs trained; 0 for closed forms. */
  epochs: number;
  /** Options that are not what was asked for, or not searched as far, since the model would not fit into memory with them. */
  changed: OptionChange[];
  /** Means over the test users with their standard errors. */
  metrics: Record<string, { mean: number; standardError: number | null }>;
}

/** What a comparison did not do. */
export interface Skipped {
  /** Which model. */
  model: ModelName;
  /** The model, or trials of its search. */
  what: 'model' | 'trials';
  /** Why. */
  why: string;
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
  /** By what rule options were searched, in words. */
  effort: string;
  /** All models, in the order in which they ran: the cheapest first. */
  models: ComparedModel[];
  /** What was left out, for want of memory or of `budgetMinutes`, or since its arithmetic failed. */
  skipped: Skipped[];
  /** Every pair on every metric that has a value per user. */
  paired: PairedDifference[];
  /** The model to use; `popularity` where no model is significantly better than it, so that nothing was found in the data. */
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
 * The options that matter most (`recvae tune --help` lists them) are searched on the validation users unless they are given, see
 * {@link CompareOptions.search}. A model that would not fit into memory is made smaller, see {@link ComparedModel.changed}. Models are
 * compared in pairs by user with the bootstrap, corrected by Holm's method. Of the models that are significantly better than popularity
 * in the main metric (corrected p below .05), the winner is the cheapest one that no other one beats significantly; where there is
 * none, nothing was found in the data, and the winner is popularity.
 *
 * @throws {@link RecvaeError} As {@link split}, {@link fit} and {@link evaluate}; `INVALID_ARGUMENT` before any
 * work, and `MEMORY` if no model but popularity fits, whatever its size.
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
  checkTestUsers(data);
  checkTunable(data, options);
  const { seed = DEFAULT_SEED, threads, signal } = options;
  const { plans, skipped } = planned(data, { ...options, seed });
  const models = new Map<ModelName, Model>();
  const evaluations = new Map<ModelName, Evaluation>();
  const compared: ComparedModel[] = [];
  let failure: RecvaeError | undefined;
  using journal = Journal.open<TrialResult>(options.journal, headerOf(plans, data, { ...options, seed }));
  using samples = new Samples(data);
  const course = new Course(plans, options);
  course.tell(0, { stage: 'fit', plan: plans.map(({ model, seconds }) => ({ model, seconds })) });
  for (const [index, plan] of plans.entries()) {
    const late = course.tooLate(index);
    if (late) {
      skipped.push({ model: plan.model, what: 'model', why: late });
      continue;
    }
    const run = { threads, seed, journal, samples, deadline: course.deadline(index) };
    const onStep = (step: Step) => course.tell(index, step);
    const found = await course
      .within((signal) => trainPlanned(plan, data, options, { ...run, signal }, onStep))
      .catch((thrown) => failedOf(thrown));
    if (found instanceof RecvaeError) {
      // The others can be compared without it.
      skipped.push({ model: plan.model, what: 'model', why: found.message });
      failure ??= found;
      continue;
    }
    if (!found) {
      skipped.push({ model: plan.model, what: 'model', why: 'its training did not end within budgetMinutes' });
      continue;
    }
    const { fitted, cut, spent, ...row } = found;
    if (cut)
      skipped.push({ model: plan.model, what: 'trials', why: `its search ended after ${row.trials} for want of time` });
    course.tell(index, { stage: 'evaluate', done: 1 });
    const validation = await validate(fitted, data, { threads, signal });
    const evaluation = await evaluate(fitted, data.test, { threads, signal });
    course.ended(index, row.seconds, spent);
    models.set(plan.model, fitted);
    evaluations.set(plan.model, evaluation);
    const metrics = Object.entries(evaluation.metrics).map(([name, { mean, standardError }]) => [
      name,
      { mean, standardError },
    ]);
    compared.push({
      model: plan.model,
      options: fitted.options as Json,
      ...row,
      estimatedSeconds: plan.seconds,
      validation: validation?.mean ?? null,
      epochs: fitted.epochs.length,
      changed: plan.changed,
      metrics: Object.fromEntries(metrics),
    });
  }
  if (compared.every(({ model }) => model === FLOOR)) throw failure ?? nothingLeft(skipped);

  const paired = await pairs(evaluations, seed, { threads, signal });
  const metric = description.validationMetric;
  const { winner, verdict } = decide(compared, paired, metric, { count: data.test.nScored, part: 'test' });
  const report: ComparisonReport = {
    dataset: datasetOf(data),
    leftOut: allLeftOut(input, data),
    warnings: warningsOf(evaluations.values()),
    trainingUsers: data.train.nUsers,
    testUsers: data.test.nScored,
    seed,
    metric,
    effort: effortOf(options),
    models: compared,
    skipped,
    paired,
    winner,
    verdict: verdict + shortened(compared),
  };
  return { report, models, evaluations };
}

/** What a comparison does with a model. */
interface Plan {
  model: ModelName;
  options: Record<string, Json>;
  /** What is searched. */
  space: Space;
  changed: OptionChange[];
  /** Bytes that the models before it may have. */
  held: number;
  /** Estimated seconds of the reference machine, at most. */
  seconds: number;
  /** The same of one fit. */
  fitSeconds: number;
}

/** The models that fit beside those before them, made smaller where they have to be, and those that do not. */
function planned(data: Split, options: CompareOptions): { plans: Plan[]; skipped: Skipped[] } {
  const plans: Plan[] = [];
  const skipped: Skipped[] = [];
  const { threads, memoryLimit, search, tune, budget = DEFAULT_TRIALS } = options;
  let held = 0;
  for (const model of order(options.models)) {
    const fitting = sized(model, complete(model, options), data, { threads, memoryLimit, beside: held });
    if ('refusal' in fitting) {
      skipped.push({ model, what: 'model', why: fitting.refusal });
      continue;
    }
    const { space, changed, bytes } = fitting;
    const its = fitting.options as Record<string, Json>;
    const seconds = estimated(model, its, space, data, { search, trials: tune ? budget : undefined });
    plans.push({
      model,
      options: its,
      space,
      changed,
      held,
      seconds,
      fitSeconds: secondsOf({ model, options: its }, data),
    });
    held += bytes;
  }
  if (plans.every(({ model }) => model === FLOOR)) throw nothingLeft(skipped);
  return { plans, skipped };
}

/** What arithmetic failed with; anything else is thrown on. */
function failedOf(thrown: unknown): RecvaeError {
  if (thrown instanceof RecvaeError && thrown.code === 'NUMERICAL') return thrown;
  throw thrown;
}

/** No model that could be recommended. */
function nothingLeft(skipped: Skipped[]): RecvaeError {
  const memory = skipped.find(({ what }) => what === 'model')?.why ?? '';
  const late = skipped.some(({ why }) => why.includes('budgetMinutes'));
  if (!late) return new RecvaeError('MEMORY', memory);
  return new RecvaeError(
    'INVALID_ARGUMENT',
    `no model but ${FLOOR} can be trained: ${memory}; allowed: more budgetMinutes`,
  );
}

/** Trains a model as it is planned, and tells what that took. */
async function trainPlanned(
  { model, options, space, held }: Plan,
  data: Split,
  { info, memoryLimit, search, tune, budget = DEFAULT_TRIALS, journal: journalPath }: CompareOptions,
  run: TrainRun,
  onStep: (step: Step) => void,
): Promise<Trained & Pick<ComparedModel, 'seconds' | 'peakMemory'>> {
  const started = performance.now();
  const { result, peakMemory } = await withPeakMemory(() => {
    const limits = { info, ...(memoryLimit !== undefined && { memoryLimit, beside: held }) };
    const its = { ...run, ...limits, journalPath, search, trials: tune ? budget : undefined } as TrainRun;
    return train(model, options, data, its, onStep, space);
  });
  return { ...result, seconds: (performance.now() - started) / 1000, peakMemory };
}

/** What a journal says of the job. */
function headerOf(
  plans: Plan[],
  data: Split,
  { seed, search = true, tune = false, budget }: CompareOptions,
): JournalHeader {
  const models = plans.map(({ model, options, space }) => [
    model,
    { options: completeOptions({ model, options }), space: space as unknown as Json },
  ]);
  return {
    command: 'compare',
    data: data.fingerprint(),
    metric: description.validationMetric,
    models: Object.fromEntries(models),
    search,
    tune: tune && (budget ?? DEFAULT_TRIALS),
    seed: seed!,
  };
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
    'search',
    'tune',
    'budget',
    'budgetMinutes',
    'journal',
    'split',
    'info',
    'threads',
    'memoryLimit',
    'signal',
    'onProgress',
  ];
  checkRun(options, keys, 'options');
  const { models, seed, threads, info, search, tune, budget, budgetMinutes, journal } = options;
  if (models !== undefined) checkStrings(models, 'models');
  order(models);
  if (seed !== undefined) checkSeed(seed, 'seed');
  if (tune !== undefined && typeof tune !== 'boolean') throw invalid('tune', tune, 'true or false');
  if (search !== undefined && typeof search !== 'boolean') throw invalid('search', search, 'true or false');
  if (search === false && tune) throw invalid('tune', tune, 'false where search is');
  if (budgetMinutes !== undefined && !(budgetMinutes > 0 && budgetMinutes < Infinity)) {
    throw invalid('budgetMinutes', budgetMinutes, 'a number above 0');
  }
  if (journal !== undefined) checkString(journal, 'journal');
  if (budget !== undefined) checkTrials(budget, 'budget');
  if (budget !== undefined && !tune) throw invalid('budget', budget, 'none without tune');
  infoText(info);
  knownKeys(options.options, KNOWN, 'options.options');
  for (const name of KNOWN) guard(() => native.checkFit(name, toJson(complete(name, options)), threads));
}

/** Fails if options are to be tuned and there is nobody to tune them on. */
function checkTunable({ validation }: Split, { tune }: CompareOptions): void {
  if (!tune || validation.nScored > 0) return;
  const text =
    'there are no validation users to tune on; allowed: 1 or more, which split makes (validation, --validation)';
  throw new RecvaeError('INVALID_DATA', text);
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

/** The rule of {@link CompareOptions.search} in words. */
function effortOf({ search = true, tune = false, budget = DEFAULT_TRIALS, budgetMinutes }: CompareOptions): string {
  const rule = !search
    ? 'no options were searched'
    : tune
      ? `${budget} trials of each model that has options to search`
      : `each search up to ${LEAST_SECONDS} s or ${FITS} fits of its model, whichever is more, by an estimate for a reference ` +
        `machine, and up to ${MOST_TRIALS} trials; earlier if nothing more was to be gained`;
  return budgetMinutes === undefined ? rule : `${rule}; all within ${budgetMinutes} minutes`;
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
