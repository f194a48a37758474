/**
 * Trial runs of {@link advise}: the models on samples of growing size, judged on the validation users, whole and by
 * group.
 */
import { profile } from '../../data/profile.js';
import type { Split } from '../../data/split.js';
import { computeFor } from '../../models/compute.js';
import { checkFits } from '../../models/estimate.js';
import { type Evaluation, evaluate } from '../../models/evaluate.js';
import type { Model } from '../../models/model.js';
import { RecvaeError } from '../../runtime/errors.js';
import type { Json } from '../../runtime/json.js';
import { description } from '../../runtime/native.js';
import type { ComputeOptions, MetricName, ModelName } from '../../runtime/options.generated.js';
import { withPeakMemory } from '../../runtime/peak-memory.js';
import type { RunOptions } from '../../runtime/running.js';
import { curveOf, isUnfinished } from '../curve.js';
import { FLOOR } from '../floor.js';
import { byActivity, byPopularity, type Group, meansOf, sizeOf } from '../groups.js';
import { pairedDifferences } from '../paired.js';
import { pairs, pairsOf } from '../pairs.js';
import type { AdviseProgress, GroupResult, SampleResult, TrialModel } from './report.js';
import { SampleSearch, searchedOf, untunedOf } from './sample-search.js';
import type { SampleValues } from './trend.js';

/** What is judged by. */
export const METRIC = description.validationMetric as MetricName;

/** A sample and the models that are tried on it, the cheapest first. */
export interface TrialSample {
  sample: Split;
  models: ModelName[];
}

/** How trial runs work. */
interface Trials extends RunOptions, ComputeOptions {
  /** The options of a model on a sample. */
  settings: (model: ModelName, sample: Split) => Record<string, unknown>;
  seed: number;
  memoryLimit?: number | undefined;
  onProgress: (progress: AdviseProgress) => void;
}

/** What trial runs found. */
interface TrialResults {
  samples: SampleResult[];
  /** Values by validation user, by sample. */
  values: SampleValues[];
  /** Users of the largest sample on which all models were tried. */
  sharedUsers: number;
  /** Items of that sample by how many users have them. */
  popularity: GroupResult[];
  /** Models that do not fit into memory even there, with the core's words. */
  refused: { model: ModelName; why: string }[];
}

/** Trains the models on their samples, the smallest sample first, and compares them. */
export async function trySamples(planned: TrialSample[], trials: Trials): Promise<TrialResults> {
  const { signal, threads, seed } = trials;
  const run = { threads, signal };
  const { samples, refused } = whatFits(planned, trials);
  const most = Math.max(...samples.map(({ models }) => models.length));
  const shared = samples.findLast(({ models }) => models.length === most)!;
  const searches = new Map<ModelName, SampleSearch>();
  const results: Omit<SampleResult, 'activity'>[] = [];
  const values: SampleValues[] = [];
  const activity: Group[][] = [];
  let popularity: Group[] = [];
  let step = 0;
  const steps = samples.reduce((sum, { models }) => sum + models.length, 0);
  for (const { sample, models: names } of samples) {
    const evaluations = new Map<ModelName, Evaluation>();
    const models: TrialModel[] = [];
    const { nUsers: users, nInteractions: interactions } = sample.train;
    for (const model of names) {
      step += 1;
      const search = searches.get(model) ?? new SampleSearch(model, seed);
      searches.set(model, search);
      const { fitted, trial } = await trainOn(model, search, sample, trials, { model, users, step, steps });
      try {
        const wanted = { ...run, metrics: [METRIC], groups: sample === shared.sample };
        const { groups, ...evaluation } = await evaluate(fitted, sample.validation, wanted);
        const { mean, standardError } = evaluation.metrics[METRIC]!;
        evaluations.set(model, evaluation);
        models.push({ ...trial, validation: mean, metrics: { [METRIC]: { mean, standardError } } });
        if (groups) popularity = byPopularity(model, groups, popularity);
      } finally {
        fitted.dispose(); // nobody else has it
      }
    }
    activity.push(byActivity(sample.validation, evaluations));
    values.push({
      users,
      values: new Map([...evaluations].map(([model, { metrics }]) => [model, metrics[METRIC]!.perUser])),
    });
    const looks = await profile(sample, { signal });
    results.push({ users, interactions, profile: looks, models, paired: await pairs(evaluations, seed, run) });
  }
  const compared = await compareGroups(activity.flat(), seed, run);
  const groups = activity.map((ofSample) => compared.splice(0, ofSample.length));
  return {
    samples: results.map((result, at) => ({ ...result, activity: groups[at]! })),
    values,
    sharedUsers: shared.sample.train.nUsers,
    popularity: await compareGroups(popularity, seed, run),
    refused,
  };
}

/** The models that fit into memory on all of their samples, where a search keeps the best one besides. */
function whatFits(planned: TrialSample[], trials: Trials) {
  const refused: TrialResults['refused'] = [];
  const fits = (model: ModelName, sample: Split): boolean => {
    const options = trials.settings(model, sample);
    try {
      const { model: kept } = checkFits(model, options, sample, trials);
      const space = searchedOf(model, options as Record<string, Json>);
      if (Object.keys(space).length > 0) checkFits(model, options, sample, trials, kept);
      return true;
    } catch (error) {
      if (!(error instanceof RecvaeError && error.code === 'MEMORY')) throw error;
      if (!refused.some((other) => other.model === model)) refused.push({ model, why: error.message });
      return false;
    }
  };
  const fitting = planned.map(({ sample, models }) => ({
    sample,
    models: models.filter((model) => fits(model, sample)),
  }));
  const samples = fitting.filter(({ models }) => models.length > 1);
  if (samples.length === 0) throw new RecvaeError('MEMORY', refused.map(({ why }) => why).join('; '));
  const tried = new Set(samples.flatMap(({ models }) => models));
  return { samples, refused: refused.filter(({ model }) => !tried.has(model)) };
}

/** Trains one model, and says all about it but how good it is. */
async function trainOn(
  model: ModelName,
  searching: SampleSearch,
  sample: Split,
  { threads, signal, memoryLimit, onProgress, settings, ...compute }: Trials,
  step: Omit<AdviseProgress, 'stage'>,
): Promise<{ fitted: Model; trial: Omit<TrialModel, 'validation' | 'metrics'> }> {
  const started = performance.now();
  const options = settings(model, sample);
  const run = {
    threads,
    signal,
    ...(memoryLimit !== undefined && { memoryLimit }),
    ...computeFor(model, compute, options),
  };
  const { result, peakMemory } = await withPeakMemory(() =>
    searching.train(options, sample, run, (progress) => onProgress({ ...step, ...progress })),
  );
  const seconds = (performance.now() - started) / 1000;
  const { fitted, ...searched } = result;
  const { epochs } = fitted;
  return {
    fitted,
    trial: {
      model,
      options: fitted.options as Json,
      seconds,
      peakMemory,
      epochs: epochs.length,
      ...searched,
      untuned: untunedOf(model, options as Record<string, Json>),
      ...curveOf(epochs),
      unfinished: isUnfinished(curveOf(epochs), fitted.options),
    },
  };
}

/** Pairs without popularity on each group that has two users, with Holm's correction over all of them. */
async function compareGroups(groups: Group[], seed: number, run: RunOptions): Promise<GroupResult[]> {
  const asked = groups.flatMap((group) => {
    const models = [...group.values.keys()].filter((model) => model !== FLOOR);
    return sizeOf(group) < 2 ? [] : pairsOf(models).map((pair) => ({ group, ...pair }));
  });
  const values = asked.map(({ group, a, b }): [Float64Array, Float64Array] => [
    group.values.get(a)!,
    group.values.get(b)!,
  ]);
  const found = await pairedDifferences(values, seed, run);
  return groups.map((group) => {
    const { values, ...known } = group;
    const paired = asked.flatMap(({ group: its, a, b }, at) =>
      its === group ? [{ a, b, metric: METRIC, ...found[at]! }] : [],
    );
    return { ...known, users: sizeOf(group), means: meansOf(values), paired };
  });
}
