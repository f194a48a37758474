/** What a comparison tells: while it works, and in the end. */
import type { LeftOut } from '../../data/left-out.js';
import type { Profile } from '../../data/profile.js';
import type { BlendRecord } from '../../models/blend-record.js';
import type { Computed } from '../../models/compute.js';
import type { OptionChange } from '../../models/fitting.js';
import type { Progress } from '../../models/progress.js';
import type { Json } from '../../runtime/json.js';
import type { ModelName } from '../../runtime/options.generated.js';
import type { SearchedTrial, SearchSummary } from '../../search/train.js';
import type { Curve } from '../curve.js';
import type { ExampleUser } from '../examples.js';
import type { Difference } from '../paired.js';
import type { PairedDifference } from '../pairs.js';
import type { RequestSeconds } from '../requests.js';
import type { RunFacts } from '../run.js';
import type { ComparedGroup } from './outcomes.js';

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
  /** Of a repeated comparison, which one it is, from 1, and how many there are. */
  run?: number;
  /** See `run`. */
  runs?: number;
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

/** One model in a {@link ComparisonReport}. */
export interface ComparedModel extends SearchSummary, Curve {
  /** Which model. */
  model: ModelName;
  /** All options with their values. */
  options: Json;
  /**
   * Wall-clock seconds of search and training together; of a blend, its own and those of the parts that it keeps. Trials
   * that a journal had count with the seconds that they took.
   */
  seconds: number;
  /** The same as it was estimated before, at most, for a reference machine. */
  estimatedSeconds: number;
  /** Largest resident set of the process meanwhile, in bytes. */
  peakMemory: number;
  /** Bytes at the peak of a fit, beyond the data, by the core's estimate; of a blend, the most of its parts. */
  fitMemory: number;
  /** Bytes of the finished model, by the same; of a blend, those that it holds. */
  modelMemory: number;
  /** How long a request takes. */
  requestSeconds: RequestSeconds;
  /** The core's main metric on the validation users; `null` if there are none. */
  validation: number | null;
  /** Epochs trained; 0 for closed forms. */
  epochs: number;
  /** Of a network, and of iALS on a GPU, what computed it. */
  computed?: Computed;
  /**
   * Options that are not what was asked for, or not searched as far, since the model would not fit into memory with
   * them.
   */
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

/** The blend minus one of its parts, or a model that it could have had. */
export interface BlendDifference extends Difference {
  /** The part. */
  part: ModelName;
  /** Whether the blend has kept it. */
  kept: boolean;
  /** Users of this difference. */
  users: number;
}

/** A group of test users or of held-out items, with the differences on it. */
export interface BlendGroup {
  /** Of users by the length of their input, or of items by their training users. */
  by: 'activity' | 'popularity';
  /** `few`, `some`, `many`; `head`, `middle`, `tail`. */
  name: string;
  /** Least items of a user's input, or training users of an item. */
  from: number;
  /** Most of them. */
  to: number;
  /** Differences to each model, p-values corrected over all groups and models. */
  differences: BlendDifference[];
}

/** What a model takes. */
export interface BlendCost {
  model: ModelName;
  /** Wall-clock seconds of search and training; of the blend, its own and those of its parts. */
  seconds: number;
  /** Memory that the model holds, with ids. */
  bytes: number;
  /**
   * Median microseconds of a request: the 100 best items for the history of a test user, one after the other on this
   * machine.
   */
  microseconds: number;
}

/** What there is to say of a blend. */
export interface BlendReport {
  /** Scale, parts with weights, gate, what was dropped and what was tried. */
  found: Omit<BlendRecord, 'warnings'>;
  /** What speaks against the weights. */
  warnings: string[];
  /** Differences in the main metric to each model that it was made of, p-values corrected over these. */
  differences: BlendDifference[];
  /** The same by groups. */
  groups: BlendGroup[];
  /** What each one takes. */
  cost: BlendCost[];
}

/** Standard deviations of a mean over test users, by their source: the core's, see `apart.rs`. */
export interface VarianceApart {
  /** Mean over the splits. */
  mean: number;
  /** By which users are tested: the standard error of the mean, whoever they are. */
  users: number;
  /** By the random numbers of the training and of the search; `null` of a single seed. */
  seed: number | null;
  /**
   * By which users and interactions are trained on: what users and seed leave of `between`. `null` of a single split.
   */
  split: number | null;
  /** Between the splits, all of that together. `null` of a single split. */
  between: number | null;
}

/** One comparison of a repeated one. */
export interface RepeatRun {
  /** Seed of the models and of the bootstrap. */
  seed: number;
  /** Seed of the split. */
  splitSeed: number;
  /** Of a split into folds, which one is tested. */
  fold?: number;
  /** The model to use, by this comparison alone. */
  winner: ModelName;
  /** The main metric by model. */
  means: Partial<Record<ModelName, number>>;
}

/** What repeated comparisons say together. */
export interface RepeatReport {
  /** Metric that decides. */
  metric: string;
  /** All comparisons: those on other splits, then those with other seeds on the first split. */
  runs: RepeatRun[];
  /** On how many splits, each with a seed of its own. */
  splits: number;
  /** With how many seeds on the first split. */
  seeds: number;
  /** Models that all comparisons have, with how often each one won, and each metric that has a value per user. */
  models: { model: ModelName; wins: number; metrics: Record<string, VarianceApart> }[];
  /** The winner of the first comparison. */
  winner: ModelName;
  /** Of the other models, the difference to that winner, and in how many comparisons they were ahead of it. */
  differences: { model: ModelName; ahead: number; metrics: Record<string, VarianceApart> }[];
}

/** The result of {@link compare} as plain JSON. */
export interface ComparisonReport {
  /** The data that was compared on: the users of all parts of the split, and the items of the training users. */
  dataset: { users: number; items: number; interactions: number; density: number };
  /** What of the input is not in it or does not count, and why. */
  leftOut: LeftOut[];
  /** What speaks against the metrics, as in {@link Evaluation.warnings}; empty if nothing does. */
  warnings: string[];
  /** What the training users look like. */
  profile: Profile;
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
  /** What there is to say of a blend, if one was compared. */
  blend?: BlendReport;
  /** Every pair on every metric that has a value per user. */
  paired: PairedDifference[];
  /**
   * The main metric in groups, of test users by the length of their input (`activity`) and of items by their training
   * users (`popularity`). A mean of a group has no p-value here: {@link ComparisonReport.paired} is what decides.
   */
  groups: { activity: ComparedGroup[]; popularity: ComparedGroup[] };
  /** A test user of each group by activity, with what each model lists; empty with `examples: false`. */
  examples: ExampleUser[];
  /** Where the variance of all that comes from, if the comparison was repeated. */
  repeat?: RepeatReport;
  /** How and where this came about. */
  run: RunFacts;
  /**
   * The model to use; `popularity` where no model is significantly better than it, so that nothing was found in the
   * data.
   */
  winner: ModelName;
  /** Why: by how much, how sure, at what cost. */
  verdict: string;
}
