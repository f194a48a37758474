/**
 * Recommendations from implicit feedback: EASE^R, EDLAE, iALS, Mult-DAE, Mult-VAE, RecVAE and their floor, popularity, on a Rust core.
 *
 * @example
 * ```ts
 * const data = await split(await Interactions.fromFile('likes.csv.gz'));
 * const model = await fit('ease', data, { lambda: 500 });
 * const { metrics } = await evaluate(model, data.test);
 * const { items } = model.recommend(['item 1', 'item 2'], { k: 5 });
 * ```
 *
 * @packageDocumentation
 */

export {
  type AblatedModel,
  type AblateOptions,
  type AblateProgress,
  type Ablation,
  type AblationReport,
  ablate,
  type ChangeComparison,
  type ComparisonKind,
  type Finding,
} from './ablate.js';
export type { Abortable } from './abort.js';
export type { Advice, CostlierModel } from './advise/advice.js';
export type { GroupResult, SampleResult, TrialModel } from './advise/sample-runs.js';
export type { Trend } from './advise/trend.js';
export { type AdviceReport, type AdviseOptions, type AdviseProgress, advise, type ModelCost } from './advise.js';
export type { Bytes, ColumnNames } from './arrow.js';
export type { Batch, BatchOptions, NumberColumn } from './batches.js';
export type { Checkpoint } from './checkpoint.js';
export type {
  ComparedModel,
  CompareOptions,
  CompareProgress,
  Comparison,
  ComparisonReport,
  PairedDifference,
  Skipped,
} from './compare.js';
export { compare } from './compare.js';
export type { DuckDBOptions } from './duckdb.js';
export { EaseCounts, type EaseCountsChange, type EaseCountsRun, type LimitedRun } from './ease-counts.js';
export { RecvaeError, type RecvaeErrorCode } from './errors.js';
export { estimateMemory, estimateSeconds, type FitShape, type MemoryEstimate } from './estimate.js';
export { type EvaluateOptions, type Evaluation, evaluate, type MetricValues } from './evaluate.js';
export { Filter, type FilterOptions, type ServeOptions } from './filter.js';
export { type Fitting, type FittingLimits, largestThatFits, type OptionChange } from './fitting.js';
export type { FloorDifference } from './floor.js';
export { type HistoryOptions, type ReadHistory, readHistories, writeRecommendations } from './histories.js';
export type { Id, IdColumn, IntegerArray } from './ids.js';
export { type Inspection, inspect } from './inspect.js';
export { type ColumnOptions, type Columns, type History, Interactions } from './interactions.js';
export type { LeftOut } from './left-out.js';
export {
  type FitRun,
  fit,
  type Json,
  load,
  Model,
  type Progress,
  type Recommendation,
  type RunOptions,
  recommend,
  type SaveOptions,
  type UserRecommendation,
} from './models.js';
export type * from './options.generated.js';
export type { Difference } from './paired.js';
export { type Profile, profile, type Spread } from './profile.js';
export type { SearchedTrial, SearchSummary } from './search.js';
export type {
  Explanation,
  HistoryColumns,
  RecommendationColumns,
  SimilarItem,
  SimilarUsers,
} from './serving.js';
export { HeldOut, Split, split } from './split.js';
export { type SynthProgress, type SynthRun, writeSynth } from './synth.js';
export {
  type Point,
  type Range,
  type SearchKind,
  type SearchProgress,
  type SearchSpace,
  type Trial,
  type TrialProgress,
  type TrialResult,
  type TunedTrial,
  type TuneOptions,
  type TuneReport,
  type Tuning,
  tune,
} from './tune.js';
