/**
 * Recommendations from implicit feedback: EASE^R, EDLAE, RDLAE, DEQL, higher-order EASE^R, iALS, Mult-DAE, Mult-VAE,
 * RecVAE, H+Vamp, their floor, popularity, and blends of them, on a Rust core.
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

import './runtime/binary.js';

export type { Bytes, ColumnNames } from './data/arrow.js';
export type { Batch, BatchOptions, NumberColumn } from './data/batches.js';
export type { DuckDBOptions } from './data/duckdb.js';
export type { GramSource } from './data/gram.js';
export type { Id, IdColumn, IntegerArray } from './data/ids.js';
export { type ColumnOptions, type Columns, type History, Interactions, type Parts } from './data/interactions.js';
export type { LeftOut } from './data/left-out.js';
export { type Profile, profile, type Spread } from './data/profile.js';
export type { Row, RowColumn, RowCursor, RowOptions, Rows } from './data/rows.js';
export type { Shard } from './data/shard.js';
export { HeldOut, Split, split } from './data/split.js';
export { type SynthProgress, type SynthRun, writeSynth } from './data/synth.js';
export type { TextSource, UrlLike } from './data/text.js';
export type { ComparisonKind } from './decide/ablate/designs.js';
export type { AblatedModel, AblationReport, ChangeComparison, Finding } from './decide/ablate/report.js';
export { type AblateOptions, type AblateProgress, type Ablation, ablate } from './decide/ablate.js';
export type {
  Advice,
  AdviceReport,
  AdviseProgress,
  CostlierModel,
  GroupResult,
  ModelCost,
  SampleResult,
  TrialModel,
} from './decide/advise/report.js';
export type { Trend } from './decide/advise/trend.js';
export { type AdviseOptions, advise } from './decide/advise.js';
export type { CompareOptions } from './decide/compare/options.js';
export type { ComparedGroup } from './decide/compare/outcomes.js';
export type {
  BlendCost,
  BlendDifference,
  BlendGroup,
  BlendReport,
  ComparedModel,
  CompareProgress,
  ComparisonReport,
  RepeatReport,
  RepeatRun,
  Skipped,
  VarianceApart,
} from './decide/compare/report.js';
export type { Comparison } from './decide/compare.js';
export { compare } from './decide/compare.js';
export type { Curve } from './decide/curve.js';
export type { ExampleUser } from './decide/examples.js';
export type { FloorDifference } from './decide/floor.js';
export type { GroupMeans } from './decide/groups.js';
export type { Difference } from './decide/paired.js';
export type { PairedDifference } from './decide/pairs.js';
export { compareRepeatedly, type RepeatedComparison, type RepeatOptions } from './decide/repeat.js';
export type { RequestSeconds } from './decide/requests.js';
export type { RunFacts } from './decide/run.js';
export type { TunedTrial, TuneReport } from './decide/tune/report.js';
export { type TuneOptions, type Tuning, tune } from './decide/tune.js';
export type { BlendParts, BlendRun } from './models/blend.js';
export type { BlendPart, BlendRecord, Complete, DroppedPart, ModelSettings } from './models/blend-record.js';
export type { Checkpoint } from './models/checkpoint.js';
export type { Computed } from './models/compute.js';
export { EaseCounts, type EaseCountsChange, type EaseCountsRun, type LimitedRun } from './models/ease-counts.js';
export {
  estimateMemory,
  estimateSeconds,
  type FitData,
  type FitShape,
  type MemoryEstimate,
} from './models/estimate.js';
export {
  type Column,
  type EvaluateOptions,
  type Evaluation,
  type EvaluationGroup,
  evaluate,
  type MetricValues,
} from './models/evaluate.js';
export {
  exportModel,
  type ImportOptions,
  importModel,
  type ModelExportOptions,
  type SharedModelName,
} from './models/exchange.js';
export { Filter, type FilterOptions, type ServeOptions } from './models/filter.js';
export { type FitRun, fit } from './models/fit.js';
export { type Fitting, type FittingLimits, largestThatFits, type OptionChange } from './models/fitting.js';
export {
  type HistoryOptions,
  type HistoryRun,
  type ReadHistory,
  readHistories,
  writeRecommendations,
} from './models/histories.js';
export { type Inspection, inspect } from './models/inspect.js';
export { type AnyModel, load, Model, recommend, type SaveOptions } from './models/model.js';
export { writePerUser } from './models/per-user.js';
export type { Progress, StepProgress } from './models/progress.js';
export type { Recommender } from './models/recommender.js';
export type {
  Explanation,
  HistoryColumns,
  HistoryRequest,
  Recommendation,
  RecommendationColumns,
  SimilarItem,
  SimilarUsers,
  UserRecommendation,
  UserRequest,
} from './models/serving.js';
export { reportPage } from './report/report.js';
export type { Abortable } from './runtime/abort.js';
export { type BackendInfo, backendInfo, type CudaDevice } from './runtime/backend.js';
export { RecvaeError, type RecvaeErrorCode } from './runtime/errors.js';
export type { Json, JsonLike } from './runtime/json.js';
export type * from './runtime/options.generated.js';
export type { RunOptions } from './runtime/running.js';
export type { SearchKind, SearchProgress } from './search/search.js';
export type { Point, Range, SearchSpace } from './search/spaces.js';
export type { SearchedTrial, SearchSummary } from './search/train.js';
export type { Trial, TrialProgress, TrialResult } from './search/trials.js';
export { type Held, type HolderOptions, type Lease, ModelHolder } from './serve/holder.js';
export { createServer, type RecommendServer, type ServerOptions } from './serve/server.js';
