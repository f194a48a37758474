import { Interactions } from '../data/interactions.js';
import { allLeftOut } from '../data/left-out.js';
import { profile } from '../data/profile.js';
import { Split, split } from '../data/split.js';
import { computedBy, computeOf } from '../models/compute.js';
import { estimateMemory } from '../models/estimate.js';
import { type Evaluation, evaluate, meansOf, warningsOf } from '../models/evaluate.js';
import type { OptionChange } from '../models/fitting.js';
import type { AnyModel, Model } from '../models/model.js';
import { checkInstance } from '../runtime/check.js';
import { RecvaeError } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import { description, optionsOf } from '../runtime/native.js';
import type { ModelName } from '../runtime/options.generated.js';
import { withPeakMemory } from '../runtime/peak-memory.js';
import { stoppable } from '../runtime/running.js';
import { COSTLY_FITS, COSTLY_SECONDS, FITS, LEAST_SECONDS, MOST_TRIALS, secondsOf } from '../search/effort.js';
import { DEFAULT_TRIALS } from '../search/find-best.js';
import { Journal, type JournalHeader } from '../search/journal.js';
import { Samples } from '../search/samples.js';
import type { Space } from '../search/spaces.js';
import { canSearch, estimated, type Step, sized, type Trained, type TrainRun, train } from '../search/train.js';
import { completeOptions, type TrialResult, validate } from '../search/trials.js';
import { addBlend, blendTask, byCost, reportOf } from './compare/blend.js';
import { Course } from './compare/course.js';
import { BLEND, type CompareOptions, checkCompare, complete, measured, order } from './compare/options.js';
import { comparedGroups } from './compare/outcomes.js';
import type { ComparedModel, ComparisonReport, Skipped } from './compare/report.js';
import { decide } from './compare/verdict.js';
import { curveOf } from './curve.js';
import { checkTestUsers, DEFAULT_SEED, datasetOf, splitFor } from './dataset.js';
import { examplesOf } from './examples.js';
import { FLOOR } from './floor.js';
import { byActivity, byPopularity, type Group } from './groups.js';
import { pairs } from './pairs.js';
import { timeRequests } from './requests.js';
import { startRun } from './run.js';

/** What {@link compare} found. */
export interface Comparison {
  /** Plain JSON. */
  report: ComparisonReport;
  /** The trained models. */
  models: Map<ModelName, AnyModel>;
  /** Their evaluations on the test users, with the values per user. */
  evaluations: Map<ModelName, Evaluation>;
}

/**
 * The main job: trains popularity, EASE^R, iALS and the others on the same training users, evaluates them on the same
 * test users, and says with statistics which one to use.
 *
 * The options that matter most (`recvae tune --help` lists them) are searched on the validation users unless they are
 * given, see {@link CompareOptions.search}. A model that would not fit into memory is made smaller, see
 * {@link ComparedModel.changed}. Models are compared in pairs by user with the bootstrap, corrected by Holm's method.
 * Of the models that are significantly better than popularity in the main metric (corrected p below .05), the winner is
 * the cheapest one that no other one beats significantly; where there is none, nothing was found in the data, and the
 * winner is popularity.
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

/**
 * {@link compare} on `data`, the split of `input`, with options that have been checked and a callback that does not
 * throw.
 */
export async function compareOn(
  data: Split,
  input: Split | Interactions,
  options: CompareOptions,
): Promise<Comparison> {
  checkTestUsers(data);
  checkTunable(data, options);
  const { seed = DEFAULT_SEED, threads, signal, examples = true } = options;
  const run = startRun(threads);
  const { plans, skipped } = planned(data, { ...options, seed });
  const models = new Map<ModelName, AnyModel>();
  const evaluations = new Map<ModelName, Evaluation>();
  const compared: ComparedModel[] = [];
  let popularity: Group[] = [];
  let failure: RecvaeError | undefined;
  using journal = Journal.open<TrialResult>(options.journal, headerOf(plans, data, { ...options, seed }));
  using samples = new Samples(data);
  const blends = options.models?.includes(BLEND) ?? false;
  const tasks = blends ? [...plans, blendTask(data)] : plans;
  const course = new Course(tasks, options);
  course.tell(0, { stage: 'fit', plan: tasks.map(({ model, seconds }) => ({ model, seconds })) });
  for (const [index, plan] of plans.entries()) {
    const late = course.tooLate(index);
    if (late) {
      skipped.push({ model: plan.model, what: 'model', why: late });
      continue;
    }
    const training = { threads, ...computeOf(options), seed, journal, samples, deadline: course.deadline(index) };
    const onStep = (step: Step) => course.tell(index, step);
    const found = await course
      .within((signal, late) => trainPlanned(plan, data, options, { ...training, signal, late }, onStep))
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
    const { fitted, cut, spent, journalled: _, ...row } = found;
    if (cut)
      skipped.push({ model: plan.model, what: 'trials', why: `its search ended after ${row.trials} for want of time` });
    course.tell(index, { stage: 'evaluate', done: 1 });
    const validation = await validate(fitted, data, { threads, signal });
    const wanted = { metrics: measured(options), groups: true, threads, signal };
    const { groups, ...evaluation } = await evaluate(fitted, data.test, wanted);
    popularity = byPopularity(plan.model, groups!, popularity);
    course.ended(index, row.seconds, spent);
    models.set(plan.model, fitted as AnyModel);
    evaluations.set(plan.model, evaluation);
    compared.push({
      model: plan.model,
      options: fitted.options as Json,
      ...row,
      estimatedSeconds: plan.seconds,
      validation: validation?.mean ?? null,
      epochs: fitted.epochs.length,
      ...curveOf(fitted.epochs),
      ...computedBy(fitted.epochs),
      ...memoryOf(fitted, data, threads),
      requestSeconds: await timeRequests(fitted, data.test, { signal }),
      changed: plan.changed,
      metrics: meansOf(evaluation),
    });
  }
  const state = { data, models, evaluations, popularity, compared, skipped };
  const blended = blends ? await addBlend(state, course, plans.length, { ...options, seed }) : undefined;
  if (compared.every(({ model }) => model === FLOOR)) throw failure ?? nothingLeft(skipped);

  const groups = { activity: byActivity(data.test, evaluations), popularity: state.popularity };
  const blend = blended && (await reportOf(blended, state, groups, seed, { threads, signal }));
  const paired = await pairs(evaluations, seed, { threads, signal });
  const metric = description.validationMetric;
  const { winner, verdict } = decide(byCost(compared), paired, metric, { count: data.test.nScored, part: 'test' });
  const report: ComparisonReport = {
    dataset: datasetOf(data),
    leftOut: allLeftOut(input, data),
    warnings: [...warningsOf(evaluations.values()), ...(blend?.warnings ?? [])],
    profile: await profile(data, { signal }),
    trainingUsers: data.train.nUsers,
    testUsers: data.test.nScored,
    seed,
    metric,
    effort: effortOf(data, options),
    models: compared,
    skipped,
    ...(blend && { blend }),
    paired,
    groups: {
      activity: comparedGroups(groups.activity, winner),
      popularity: comparedGroups(groups.popularity, winner),
    },
    examples: examples ? examplesOf(models, data.test, evaluations.get(winner)!.users) : [],
    run: run(),
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

/** Bytes of a model and of its fit. */
function memoryOf(
  { kind, options }: Model,
  { train, validation }: Split,
  threads: number | undefined,
): Pick<ComparedModel, 'fitMemory' | 'modelMemory'> {
  const { nUsers: users, nItems: items, nInteractions: interactions } = train;
  const shape = { users, items, interactions, validation: validation.nScored > 0, weighted: train.weighted };
  const { fit, model } = estimateMemory(kind, { ...shape, ...(threads !== undefined && { threads }), options });
  return { fitMemory: fit, modelMemory: model };
}

/** What arithmetic failed with, or a GPU has no memory for; anything else is thrown on. */
function failedOf(thrown: unknown): RecvaeError {
  if (thrown instanceof RecvaeError && /^(NUMERICAL|MEMORY)$/.test(thrown.code)) return thrown;
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
  // What a model costs is no less after a break.
  const seconds = result.journalled + (performance.now() - started) / 1000;
  return { ...result, seconds, peakMemory };
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

/** Fails if options are to be tuned and there is nobody to tune them on. */
function checkTunable({ validation }: Split, { tune }: CompareOptions): void {
  if (!tune || validation.nScored > 0) return;
  const text =
    'there are no validation users to tune on; allowed: 1 or more, which split makes (validation, --validation)';
  throw new RecvaeError('INVALID_DATA', text);
}

/** The rule of {@link CompareOptions.search} in words. */
function effortOf(data: Split, options: CompareOptions): string {
  const { search = true, tune = false, budget = DEFAULT_TRIALS, budgetMinutes } = options;
  const rule = !canSearch({ search }, data)
    ? `no options were searched${search ? ', for there are no validation users to search them on' : ''}`
    : tune
      ? `${budget} trials of each model that has options to search`
      : `each search up to ${LEAST_SECONDS} s or ${FITS} fits of its model, whichever is more (up to ${COSTLY_SECONDS} s ${COSTLY_FITS} of ` +
        `the costliest), by an estimate for a reference machine, and up to ${MOST_TRIALS} trials; earlier if nothing more was to be gained`;
  return budgetMinutes === undefined ? rule : `${rule}; all within ${Number(budgetMinutes.toPrecision(3))} minutes`;
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
