/**
 * A comparison again and again, on other splits and with other training seeds: how much of what it found is chance, and
 * whose.
 */
import { Interactions } from '../data/interactions.js';
import { Split } from '../data/split.js';
import type { Evaluation } from '../models/evaluate.js';
import { checkInstance, checkObject, invalid, LARGEST_SEED } from '../runtime/check.js';
import { guard, toJson } from '../runtime/errors.js';
import { description, native } from '../runtime/native.js';
import type { ModelName, SplitOptions } from '../runtime/options.generated.js';
import { stoppable } from '../runtime/running.js';
import { type CompareOptions, checkCompare } from './compare/options.js';
import type { ComparisonReport, RepeatReport, RepeatRun, VarianceApart } from './compare/report.js';
import { type Comparison, compareOn } from './compare.js';
import { DEFAULT_SEED, datasetOf, splitFor } from './dataset.js';

/** How {@link compareRepeatedly} works. */
export interface RepeatOptions extends CompareOptions {
  /** How many splits, and how many training seeds on the first of them: 2 to 100. */
  repeat: number;
  /**
   * As {@link CompareOptions.journal}, of the first comparison; comparison n has a file of its own beside it, whose
   * name ends in `.n`. A call that is made again goes on where it was.
   */
  journal?: string | undefined;
  /** As {@link CompareOptions.budgetMinutes}, of each comparison: all of them take so many times as long. */
  budgetMinutes?: number | undefined;
}

/** What {@link compareRepeatedly} gives: the first comparison, and all of them together. */
export interface RepeatedComparison extends Comparison {
  report: ComparisonReport & { repeat: RepeatReport };
}

/** Kinds of splits that come out the same whatever is drawn; of `files` and `column` the test part does. */
const FIXED: readonly SplitOptions['kind'][] = ['time', 'last', 'files', 'column'];

/** Fails for a number of repetitions that makes no sense. */
export function checkRepeat(
  repeat: unknown,
  { seed = DEFAULT_SEED, split }: Pick<CompareOptions, 'seed' | 'split'>,
  isSplit: boolean,
): void {
  if (!Number.isInteger(repeat) || (repeat as number) < 2 || (repeat as number) > 100) {
    throw invalid('repeat', repeat, 'a whole number from 2 to 100');
  }
  const folds = foldsOf(split);
  if (!isSplit && split?.kind === 'folds' && (repeat as number) > folds) {
    throw invalid('repeat', repeat, `at most ${folds}, as there are so many folds (folds)`);
  }
  // The seeds that come after the given ones, before any work.
  const more = (repeat as number) - 1;
  const isLate = (seed: number) => Number.isInteger(seed) && seed + more > LARGEST_SEED;
  const allowed = `at most 2^53 - ${more}, as repeat takes the ${more} after it, too`;
  if (isLate(seed)) throw invalid('seed', seed, allowed);
  if (isSplit || FIXED.includes(split?.kind) || split?.kind === 'folds') return;
  const first = split?.seed ?? seed;
  if (isLate(first)) throw invalid('split.seed', first, allowed);
  guard(() => native.checkSplit(toJson({ ...split, seed: first + more })));
}

/**
 * Compares models as {@link compare} does, on `repeat` splits, each with a training seed of its own, and on the first
 * split with `repeat` training seeds: 2 `repeat` - 1 comparisons. The variance of every metric, and of the differences
 * to the first winner, is taken apart by test users, training seed and split. By the kind `folds` each split is another
 * fold. An input that is split already, and kinds that come out the same each time, are repeated with other training
 * seeds alone.
 *
 * The report is that of the first comparison, with {@link ComparisonReport.repeat}. Each comparison has its own
 * searches: what they find by chance is part of the variance.
 *
 * @throws {@link RecvaeError} As {@link compare}.
 */
export async function compareRepeatedly(
  input: Split | Interactions,
  options: RepeatOptions,
): Promise<RepeatedComparison> {
  checkInstance(input, 'input', Split, Interactions);
  checkObject(options, 'options');
  const { repeat, ...rest } = options;
  checkRepeat(repeat, rest, input instanceof Split);
  checkCompare(rest);
  return stoppable(rest, async ({ signal, tell }) => {
    const run = { ...rest, signal, onProgress: tell };
    return repeatOn(await splitFor(input, run), input, { ...run, repeat });
  });
}

/** The journals of so many comparisons: that of the first one has the name that is given. */
export function journalsOf(journal: string | undefined, runs: number): string[] {
  if (journal === undefined) return [];
  return Array.from({ length: runs }, (_, at) => (at === 0 ? journal : `${journal}.${at + 1}`));
}

/** How many comparisons there are at most. */
export function mostRuns(repeat: number): number {
  return 2 * repeat - 1;
}

/** By what a comparison is drawn. */
type Draw = Pick<RepeatRun, 'seed' | 'splitSeed' | 'fold'>;

/** What stays of a comparison: the values by test user. */
interface Measured {
  run: RepeatRun;
  evaluations: Map<ModelName, Evaluation>;
}

/** {@link compareRepeatedly} on `data`, the first split of `input`, with options that have been checked. */
export async function repeatOn(
  data: Split,
  input: Split | Interactions,
  { repeat, ...options }: RepeatOptions,
): Promise<RepeatedComparison> {
  const { split: how, onProgress: tell } = options;
  const seed = options.seed ?? DEFAULT_SEED;
  const start: Draw = { seed, splitSeed: how?.seed ?? seed, ...(how?.kind === 'folds' && { fold: how.fold ?? 1 }) };
  const isDrawn = !(input instanceof Split) && !FIXED.includes(how?.kind);
  const others = Array.from({ length: repeat - 1 }, (_, at) => at + 1);
  const runs = 1 + others.length * (isDrawn ? 2 : 1);
  const journals = journalsOf(options.journal, runs);
  let run = 0;
  const compareBy = (split: Split, draw: Draw): Promise<Comparison> => {
    run += 1;
    const number = run;
    return compareOn(split, input, {
      ...options,
      journal: journals[number - 1],
      seed: draw.seed,
      examples: number === 1 && options.examples !== false,
      ...(tell && { onProgress: (progress) => tell({ ...progress, run: number, runs }) }),
    });
  };
  const first = await compareBy(data, start);
  const [bySplit, bySeed] = [[measuredBy(first, start)], [measuredBy(first, start)]];
  for (const at of isDrawn ? others : []) {
    const draw: Draw = { seed: seed + at, ...nextSplit(start, at, how) };
    const { splitSeed, fold } = draw;
    using other = await splitFor(input, { ...options, split: { ...how, seed: splitSeed, ...(fold && { fold }) } });
    bySplit.push(measuredBy(letGo(await compareBy(other, draw)), draw));
  }
  for (const at of others) {
    const draw: Draw = { ...start, seed: seed + at };
    bySeed.push(measuredBy(letGo(await compareBy(data, draw)), draw));
  }
  return { ...first, report: { ...first.report, repeat: reportOf(first.report, bySplit, bySeed, populationOf(data)) } };
}

/** Another seed of the split, or another fold of the same one. */
function nextSplit({ splitSeed, fold }: Draw, at: number, how: SplitOptions | undefined): Omit<Draw, 'seed'> {
  return fold === undefined ? { splitSeed: splitSeed + at } : { splitSeed, fold: ((fold - 1 + at) % foldsOf(how)) + 1 };
}

function foldsOf(how: SplitOptions | undefined): number {
  return how?.folds ?? (description.split.find(({ name }) => name === 'folds')!.default as number);
}

/**
 * From how many users the test users are drawn: all who have enough items, or, where the split is within users, those
 * that are tested each time.
 */
function populationOf(data: Split): number {
  if (data.test.areKnown) return data.test.nScored;
  const never = data.leftOut.find(({ reason }) => reason === 'neverHeldOut')?.users ?? 0;
  return datasetOf(data).users - never;
}

/** A comparison whose models nobody needs. */
function letGo(found: Comparison): Comparison {
  for (const model of found.models.values()) model.dispose();
  return found;
}

function measuredBy({ report, evaluations }: Comparison, draw: Draw): Measured {
  const means = Object.fromEntries(report.models.map(({ model, metrics }) => [model, metrics[report.metric]!.mean]));
  return { run: { ...draw, winner: report.winner, means }, evaluations };
}

/** What all comparisons say together. */
function reportOf(
  { metric, winner }: ComparisonReport,
  bySplit: Measured[],
  bySeed: Measured[],
  population: number,
): RepeatReport {
  const all = [...bySplit, ...bySeed.slice(1)];
  const [{ evaluations }] = bySplit as [Measured];
  // A model that one of them left out has no variance.
  const models = [...evaluations.keys()].filter((model) => all.every((each) => each.evaluations.has(model)));
  const names = Object.entries(evaluations.get(winner)!.metrics).flatMap(([name, { perUser }]) =>
    perUser.length > 1 ? [name] : [],
  );
  const apart = (of: (each: Measured, name: string) => Float64Array): Record<string, VarianceApart> => {
    const entries = names.map((name) => {
      const [splits, seeds] = [bySplit, bySeed].map((list) => list.map((each) => of(each, name)));
      return [name, partsOf(guard(() => native.varianceApart(splits!, seeds!, population)))] as const;
    });
    return Object.fromEntries(entries);
  };
  const valuesOf = (each: Measured, model: ModelName, name: string) =>
    each.evaluations.get(model)!.metrics[name]!.perUser;
  const wins = (model: ModelName) => all.filter(({ run }) => run.winner === model).length;
  return {
    metric,
    runs: all.map(({ run }) => run),
    splits: bySplit.length,
    seeds: bySeed.length,
    models: models.map((model) => ({
      model,
      wins: wins(model),
      metrics: apart((each, name) => valuesOf(each, model, name)),
    })),
    winner,
    differences: models
      .filter((model) => model !== winner && models.includes(winner))
      .map((model) => ({
        model,
        ahead: all.filter(({ run }) => run.means[model]! > run.means[winner]!).length,
        metrics: apart((each, name) => {
          const others = valuesOf(each, winner, name);
          return valuesOf(each, model, name).map((value, at) => value - others[at]!);
        }),
      })),
  };
}

function partsOf({ mean, users, seed, split, between }: native.NativeApart): VarianceApart {
  return { mean, users, seed: seed ?? null, split: split ?? null, between: between ?? null };
}
