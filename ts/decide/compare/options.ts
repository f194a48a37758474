/** What is compared, and how. */
import { COMPUTE, computeFor } from '../../models/compute.js';
import {
  checkObject,
  checkRun,
  checkSeed,
  checkString,
  checkStrings,
  infoText,
  invalid,
  knownKeys,
} from '../../runtime/check.js';

import { guard, toJson } from '../../runtime/errors.js';
import type { JsonLike } from '../../runtime/json.js';
import { allModels, description, native, optionsOf } from '../../runtime/native.js';
import type {
  ComputeOptions,
  MetricName,
  ModelName,
  ModelOptions,
  SplitOptions,
} from '../../runtime/options.generated.js';
import type { RunOptions } from '../../runtime/running.js';
import { checkTrials } from '../../search/find-best.js';
import type { CompareProgress } from './report.js';

/** Always compared: the floor, and the linear models that neural ones have to beat. */
export const ALWAYS: ModelName[] = ['popularity', 'ease', 'als'];

/** Compared only when asked for: the kin of models that are compared anyway. */
const ASKED_FOR: ModelName[] = ['rdlae', 'deql', 'hoease', 'mult-dae', 'hvamp'];

/** What comes last: the trained models together. */
export const BLEND = description.blend.name as 'blend';

/** Names of the models that are trained. */
const TRAINED = description.models.map(({ name }) => name as ModelName);
/** Names of all models. */
const KNOWN = allModels.map(({ name }) => name as ModelName);

/** How {@link compare} works. */
export interface CompareOptions extends RunOptions, ComputeOptions {
  /**
   * Which models to compare; `popularity`, `ease` and `als` always are. By default all but those that have to be asked
   * for. `rdlae`, `deql` and `hoease` are `edlae` and `ease` with an option more, for whoever has time for the last
   * thousandths. `mult-dae` is `mult-vae` without the sampling, and behind it in their authors' measurements. On the
   * data in this package's README it is ahead instead, so ask for it where an autoencoder is worth the time. `hvamp`
   * takes the longest of all.
   *
   * With `blend` the comparison ends with the blend of all trained models but `popularity`, which the validation users
   * make; it has to be asked for. Nothing is trained for it, and it is counted with what its parts cost.
   */
  models?: readonly ModelName[] | undefined;
  /** Seed of the split, of the models and of the bootstrap, 0 to 2^53. By default that of {@link split}. */
  seed?: number | undefined;
  /** Most epochs of the models that train in epochs. */
  epochs?: number | undefined;
  /** Options per model; a `seed` there goes before the one above. Those of models not compared are only checked. */
  options?: { [K in ModelName]?: ModelOptions[K] } | undefined;
  /**
   * Whether the options that matter are searched on the validation users, those excepted that are given. By default
   * they are, all models with the same effort: a search may take the larger of 60 seconds and six fits of its model,
   * and up to 300 seconds ten of its costliest, by an estimate for a reference machine, and 32 trials; it ends earlier
   * when nothing more is to be gained. Without it each model has the given options and its defaults, and the report
   * says of which ones nobody knows whether they are good.
   */
  search?: boolean | undefined;
  /** Whether every search has the same number of trials instead, whatever they take. It needs validation users. */
  tune?: boolean | undefined;
  /** Trials of each search with `tune`, 1 to 10,000; where there are fewer combinations, all of them. By default 12. */
  budget?: number | undefined;
  /**
   * Minutes by the clock that the comparison may take, above 0. What does not fit, trials of a search or whole models,
   * is left out, the costliest models first, and the report says what; it then depends on the machine. By default as
   * many as it needs.
   */
  budgetMinutes?: number | undefined;
  /**
   * A file that keeps the trials that have ended: with it, the same call goes on after a crash, a kill or an abort, to
   * the same result, and only the model that is kept of each search is trained once more. One of another job is
   * refused. It stays: remove it when the result is safe. By default there is none.
   */
  journal?: string | undefined;
  /**
   * Metrics of the test users with their list lengths. The main one, by which models are chosen, is measured in any
   * case. By default those of {@link evaluate}.
   */
  metrics?: readonly MetricName[] | undefined;
  /**
   * How to split {@link Interactions}; its own `seed` goes before the one above. Beside a ready split it is refused.
   */
  split?: SplitOptions | undefined;
  /**
   * Whether the report has three test users with ids of theirs and of items, see {@link ExampleUser}. By default it
   * has.
   */
  examples?: boolean | undefined;
  /** Kept with each model and in its file; anything that JSON can hold. */
  info?: JsonLike | undefined;
  /**
   * Bytes that the comparison may take beyond the data, 0 or more. It keeps every model; one that would not fit beside
   * those before it is refused before any work. By default what is free, see {@link FitRun}.
   */
  memoryLimit?: number | undefined;
  /**
   * Called after each step, and in fits with the latest epoch, at most ten times a second and with the last one in any
   * case; on the event loop. It does not keep the process alive. If it throws, or gives back a promise that is
   * rejected, the work stops, and the promise is rejected with what was thrown.
   */
  onProgress?: ((progress: CompareProgress) => void) | undefined;
}

const KEYS = Object.keys({
  models: true,
  seed: true,
  epochs: true,
  options: true,
  search: true,
  tune: true,
  budget: true,
  budgetMinutes: true,
  journal: true,
  metrics: true,
  split: true,
  examples: true,
  info: true,
  threads: true,
  memoryLimit: true,
  signal: true,
  onProgress: true,
  ...COMPUTE,
} satisfies Record<keyof CompareOptions, true>);

/** Finds what is not allowed before hours of training, also in the options of models that are not compared. */
export function checkCompare(options: CompareOptions): void {
  checkRun(options, KEYS, 'options');
  const { models, seed, threads, info, search, tune, budget, budgetMinutes, journal, examples } = options;
  if (models !== undefined) checkStrings(models, 'models');
  order(models);
  if (options.metrics !== undefined) {
    checkStrings(options.metrics, 'metrics');
    guard(() => native.checkMetrics([...options.metrics!]));
  }
  if (seed !== undefined) checkSeed(seed, 'seed');
  if (tune !== undefined && typeof tune !== 'boolean') throw invalid('tune', tune, 'true or false');
  if (search !== undefined && typeof search !== 'boolean') throw invalid('search', search, 'true or false');
  if (examples !== undefined && typeof examples !== 'boolean') throw invalid('examples', examples, 'true or false');
  if (search === false && tune) throw invalid('tune', tune, 'only where options are searched');
  if (budgetMinutes !== undefined && !(budgetMinutes > 0 && budgetMinutes < Infinity)) {
    throw invalid('budgetMinutes', budgetMinutes, 'a number above 0');
  }
  if (journal !== undefined) checkString(journal, 'journal');
  if (budget !== undefined) checkTrials(budget, 'budget');
  if (budget !== undefined && !tune) throw invalid('budget', budget, 'only where tune is true');
  infoText(info);
  knownKeys(options.options, KNOWN, 'options.options');
  // What no model has is the same on every processor, which may refuse it for a reason of its own.
  checkCompute(options);
  for (const name of KNOWN) {
    const own = complete(name, options);
    const compute = toJson(computeFor(name, options, own));
    guard(() => native.checkFit(name, toJson(own), threads, undefined, undefined, compute));
  }
}

/** Fails for what computes that no compared model can choose; `auto` and what they have anyway say nothing. */
function checkCompute(options: CompareOptions): void {
  const models = order(options.models);
  const chosen = models.map((name) => computeFor(name, options, complete(name, options)));
  for (const { name, default: usual } of description.compute) {
    const key = name as keyof ComputeOptions;
    const given = options[key];
    if (given === undefined || given === 'auto' || given === usual) continue;
    if (chosen.some((compute) => compute[key] !== undefined)) continue;
    throw invalid(name, given, `${usual} where only ${models.join(', ')} are compared`);
  }
}

/** What is measured of the test users: the main metric, and those asked for. */
export function measured({ metrics }: Pick<CompareOptions, 'metrics'>): MetricName[] {
  return [...new Set([description.validationMetric, ...(metrics ?? description.metrics)])] as MetricName[];
}

/** The models that are compared unless others are asked for. */
export const USUAL = TRAINED.filter((name) => !ASKED_FOR.includes(name));

/** The trained models in the order in which they run, the core's: the cheapest first. */
export function order(asked: readonly string[] = USUAL): ModelName[] {
  const unknown = asked.find((name) => !(KNOWN as string[]).includes(name));
  if (unknown !== undefined) throw invalid('model', unknown, KNOWN.join(', '));
  return TRAINED.filter((name) => ALWAYS.includes(name) || asked.includes(name));
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
