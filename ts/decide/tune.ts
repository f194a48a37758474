/** Searching the options of one model on validation users, and measuring the best ones once on test users. */
import { Interactions } from '../data/interactions.js';
import { allLeftOut } from '../data/left-out.js';
import { profile } from '../data/profile.js';
import { Split } from '../data/split.js';
import { COMPUTE, computedBy, computeOf } from '../models/compute.js';
import { type Evaluation, evaluate, warningsOf } from '../models/evaluate.js';
import type { Model } from '../models/model.js';
import { checkInstance, checkRun, checkSeed, checkString, infoText, invalid } from '../runtime/check.js';
import { guard, RecvaeError, toJson } from '../runtime/errors.js';
import type { Json, JsonLike } from '../runtime/json.js';
import { description, isSearchable, native, optionsOf } from '../runtime/native.js';
import type {
  ComputeOptions,
  MetricName,
  ModelName,
  ModelOptions,
  SplitOptions,
} from '../runtime/options.generated.js';
import { type RunOptions, stoppable } from '../runtime/running.js';
import { checkTrials, DEFAULT_TRIALS, findBest, planOf } from '../search/find-best.js';
import { epochsOf } from '../search/halving.js';
import { Journal } from '../search/journal.js';
import type { Search, SearchKind, SearchProgress, SearchRun } from '../search/search.js';
import { checkSpace, defaultSpace, type SearchSpace, sizeOf } from '../search/spaces.js';
import { completeOptions, type TrialResult } from '../search/trials.js';
import { curveOf } from './curve.js';
import { DEFAULT_SEED, splitFor } from './dataset.js';
import { examplesOf } from './examples.js';
import { againstFloor, FLOOR, floorWords } from './floor.js';
import { timeRequests } from './requests.js';
import { startRun } from './run.js';
import { reportOf, type TuneReport } from './tune/report.js';

export type { SearchKind, SearchProgress } from '../search/search.js';
export type { SearchSpace } from '../search/spaces.js';
export type { TuneReport } from './tune/report.js';

/** How {@link tune} works. */
export interface TuneOptions<K extends ModelName = ModelName> extends RunOptions, ComputeOptions {
  /**
   * - `adaptive`: first some points over the whole space, then round after round those of which most is expected by
   *   what is known so far, also beyond the core's ranges, until nothing more is to be gained (see
   *   `search/adaptive.ts`). Where a fit is costly most trials have fewer items, or of several options of a network
   *   fewer epochs.
   * - `grid`: every combination of the values.
   * - `random`: as many random combinations as `trials` says (Bergstra and Bengio, JMLR 2012), for many options or for
   *   ranges.
   * - `halving`: random combinations that begin with few epochs; the best third of them goes on, and so on (Jamieson
   *   and Talwalkar, AISTATS 2016). For models with epochs. It costs a fraction, and can miss options that are slow at
   *   first.
   *
   * By default a grid if `over` has lists alone and no more points than `trials`, else adaptive.
   */
  search?: SearchKind | undefined;
  /**
   * The options that are searched, with the values to try, or for all but `grid` a range `{from, to, scale}`: by
   * default their ratios count where both ends are above 0. By default the options that the core names values or ranges
   * for (`recvae tune --help` lists them), unless they are given; `adaptive` goes beyond the core's ranges where that
   * is better, and never beyond those that are given here.
   */
  over?: SearchSpace<K> | undefined;
  /** Options that are not searched. */
  options?: ModelOptions[K] | undefined;
  /**
   * Trials at most, 1 to 10,000; of halving, those of the first stage. By default 12, and of `adaptive` as many as its
   * effort allows: 60 seconds of a reference machine or six fits, whichever is more (up to 300 seconds ten of the
   * costliest), and 32 trials.
   */
  trials?: number | undefined;
  /**
   * Seed of the split, of random combinations and, where one has a seed, of the model, 0 to 2^53. By default each one's
   * own.
   */
  seed?: number | undefined;
  /**
   * How to split {@link Interactions}; its own `seed` goes before the one above. Beside a ready split it is refused.
   */
  split?: SplitOptions | undefined;
  /**
   * Whether `grid` and `random` stop a trial whose best epoch so far is below the median of the trials before it, in
   * their order, after as many epochs (the median rule of Google Vizier, KDD 2017): after half of the epochs, at least
   * 3, and once five trials came that far. The result does not depend on how many run at once. By default they do.
   */
  earlyStop?: boolean | undefined;
  /** Trials at once, at most; fewer run where memory does not allow that many. By default one for each thread. */
  parallel?: number | undefined;
  /**
   * Bytes that all trials at once may take beyond the data, with the best model, which is kept. By default what is
   * free.
   */
  memoryLimit?: number | undefined;
  /**
   * A file that keeps the trials that have ended: with it, the same call goes on after a crash, a kill or an abort, to
   * the same result. One of another job is refused; `trials` may grow for `grid` and `random`. Halving keeps its
   * checkpoints in `<journal>.checkpoints` meanwhile. The journal stays: remove it when the result is safe. By default
   * there is none.
   */
  journal?: string | undefined;
  /**
   * Whether the report has three test users with ids of theirs and of items, see {@link ExampleUser}. By default it
   * has.
   */
  examples?: boolean | undefined;
  /** Kept with the model and in its file; anything that JSON can hold. */
  info?: JsonLike | undefined;
  /** Called after each epoch of a trial and each trial, on the event loop. If it throws, the work stops with that. */
  onProgress?: ((progress: SearchProgress) => void) | undefined;
}

/** What {@link tune} found. */
export interface Tuning<K extends ModelName = ModelName> {
  /** Plain JSON. */
  report: TuneReport;
  /** The model of the best options, trained on the training users. */
  model: Model<K>;
  /** Its evaluation on the test users, with the values per user; `undefined` if there are none. */
  evaluation: Evaluation | undefined;
}

const KINDS = ['adaptive', 'grid', 'random', 'halving'] as const satisfies SearchKind[];

/**
 * Searches the best options of a model: trains it with different ones on the training users, takes those with the best
 * metric on the validation users, and evaluates that model once on the test users, which had no part in the choice.
 *
 * The same data, options and seed give the same result on a machine, for any number of threads and of trials at once,
 * times and {@link TuneReport.run} excepted.
 *
 * @throws {@link RecvaeError} as {@link split}, `fit` and {@link evaluate}; `INVALID_ARGUMENT` before any work for a
 * space that the core does not allow, and for a journal of another job; `INVALID_DATA` without validation users;
 * `NUMERICAL` if all trials failed.
 */
export async function tune<K extends ModelName>(
  model: K,
  input: Split | Interactions,
  options: TuneOptions<K> = {},
): Promise<Tuning<K>> {
  checkInstance(input, 'input', Split, Interactions);
  checkTune(model, options);
  return stoppable(options, async ({ signal, tell }) => {
    const run = { ...options, signal, onProgress: tell };
    return tuneOn(model, await splitFor(input, run), input, run);
  });
}

/**
 * {@link tune} on `data`, the split of `input`, with options that have been checked and a callback that does not throw.
 * `remote`: as in `search/trials.ts`.
 */
export async function tuneOn<K extends ModelName>(
  model: K,
  data: Split,
  input: Split | Interactions,
  options: TuneOptions<K> & Pick<SearchRun, 'remote'>,
): Promise<Tuning<K>> {
  const started = performance.now();
  const run = startRun(options.threads);
  if (data.validation.nScored === 0) {
    const text =
      `${data.validation.nScored} of ${data.validation.nUsers} validation users have anything to find; allowed: 1 or more, ` +
      'which split makes (validation, --validation): options are not to be chosen on training or test users';
    throw new RecvaeError('INVALID_DATA', text);
  }
  const { threads, signal, examples = true } = options;
  const search = searchOf(model, options);
  using journal = Journal.open<TrialResult>(options.journal, headerOf(search, data));
  const found = await findBest(search, { ...options, data, journal, journalPath: options.journal });
  const { model: fitted } = found;
  const metric = description.validationMetric as MetricName;
  const onValidation: Evaluation = await evaluate(fitted, data.validation, { threads, signal, metrics: [metric] });
  const onTest = () => evaluate(fitted, data.test, { threads, signal });
  const evaluation: Evaluation | undefined = data.test.nScored > 0 ? await onTest() : undefined;
  const { mean, standardError } = onValidation.metrics[metric]!;
  const seed = options.seed ?? DEFAULT_SEED;
  const [judged, users] =
    evaluation && data.test.nScored > 1 ? [evaluation, data.test] : [onValidation, data.validation];
  const perUser = judged.metrics[metric]!.perUser;
  const floor = model === FLOOR ? null : await againstFloor(perUser, data, users, seed, { threads, signal });
  const summed = reportOf({ search, ...found, validation: { mean, standardError }, evaluation });
  const report: TuneReport = {
    model,
    search: search.kind,
    space: search.space as unknown as Record<string, Json>,
    seed,
    metric,
    users: { train: data.train.nUsers, validation: data.validation.nScored, test: data.test.nScored },
    leftOut: allLeftOut(input, data),
    warnings: warningsOf([onValidation, ...(evaluation ? [evaluation] : [])]),
    options: fitted.options as Json,
    ...summed,
    ...curveOf(fitted.epochs),
    ...computedBy(fitted.epochs),
    profile: await profile(data, { signal }),
    requestSeconds: await timeRequests(fitted, data.validation, { signal }),
    examples: evaluation && examples ? examplesOf(new Map([[model, fitted]]), data.test, evaluation.users) : [],
    run: run(),
    floor,
    verdict: [summed.verdict, floorWords(model, floor)].filter(Boolean).join(' '),
    seconds: (performance.now() - started) / 1000,
  };
  return { report, model: fitted as unknown as Model<K>, evaluation };
}

const KEYS = Object.keys({
  search: true,
  over: true,
  options: true,
  trials: true,
  seed: true,
  split: true,
  earlyStop: true,
  parallel: true,
  journal: true,
  examples: true,
  info: true,
  threads: true,
  memoryLimit: true,
  signal: true,
  onProgress: true,
  ...COMPUTE,
} satisfies Record<keyof TuneOptions, true>);

/** Finds what is not allowed before any work. */
export function checkTune<K extends ModelName>(model: K, options: TuneOptions<K>): void {
  checkString(model, 'model');
  if (model === 'blend')
    throw invalid('model', model, 'a model that is trained: a blend finds its weights when it is made');
  checkRun(options, KEYS, 'options');
  const { search, trials, seed, earlyStop, parallel, journal, examples } = options;
  const compute = toJson(computeOf(options));
  guard(() => native.checkFit(model, toJson(options.options), options.threads, undefined, undefined, compute));
  if (search !== undefined && !KINDS.includes(search)) throw invalid('search', search, KINDS.join(', '));
  for (const [name, value] of Object.entries({ trials, parallel })) {
    if (value !== undefined) checkTrials(value, name);
  }
  if (seed !== undefined) checkSeed(seed, 'seed');
  if (earlyStop !== undefined && typeof earlyStop !== 'boolean') throw invalid('earlyStop', earlyStop, 'true or false');
  if (examples !== undefined && typeof examples !== 'boolean') throw invalid('examples', examples, 'true or false');
  if (journal !== undefined) checkString(journal, 'journal');
  infoText(options.info);
  searchOf(model, options);
}

/** The search that the options ask for. */
function searchOf<K extends ModelName>(model: K, options: TuneOptions<K>): Search {
  const fixed = fixedOf(model, options);
  const space = options.over === undefined ? defaultSpace(model, fixed) : checkSpace(model, options.over, fixed);
  if (Object.keys(space).length === 0) {
    const tunable = description.models.filter(isSearchable);
    const what = options.over === undefined ? 'has no option left to search' : 'is given no option to search';
    const allowed = `${tunable.map(({ name }) => name).join(', ')}, or over with options of ${model}`;
    throw new RecvaeError('INVALID_ARGUMENT', `${model} ${what}; allowed: ${allowed}`);
  }
  if (options.search === 'halving' && space.epochs !== undefined) {
    throw invalid('over.epochs', 'searched', 'not with halving, which sets the epochs');
  }
  const seed = options.seed ?? DEFAULT_SEED;
  const { over, trials, earlyStop = true } = options;
  const small = over !== undefined && sizeOf(space) <= (trials ?? DEFAULT_TRIALS);
  const kind = options.search ?? (small ? 'grid' : 'adaptive');
  const points = planOf(model, space, fixed, kind, { trials, seed });
  return { model, fixed, space, kind, points, seed, trials, extends: over === undefined, earlyStop };
}

/** The given options, with the seed where the model has one. */
function fixedOf(model: ModelName, { options, seed, over }: TuneOptions): Record<string, Json> {
  const given = Object.entries(options ?? {}).filter(([, value]) => value !== undefined);
  const fixed = Object.fromEntries(given) as Record<string, Json>;
  const hasSeed = optionsOf(model).some(({ name }) => name === 'seed');
  if (seed !== undefined && hasSeed && !(over !== undefined && 'seed' in over)) fixed.seed ??= seed;
  return fixed;
}

/** What a journal says of the job. */
function headerOf({ model, fixed, space, kind, points, earlyStop, seed }: Search, data: Split) {
  const header: Record<string, Json> = {
    command: 'tune',
    model,
    data: data.fingerprint(),
    metric: description.validationMetric,
    options: completeOptions({ model, options: fixed }),
    space: space as unknown as Json,
    search: kind,
    earlyStop,
  };
  if (kind !== 'grid') header.seed = seed;
  if (kind === 'halving') Object.assign(header, { trials: points.length, epochs: epochsOf(model, fixed) });
  return header;
}
