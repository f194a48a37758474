/** What advice tells: while it works, and in the end. */
import type { LeftOut } from '../../data/left-out.js';
import type { Profile } from '../../data/profile.js';
import type { OptionChange } from '../../models/fitting.js';
import type { Json } from '../../runtime/json.js';
import type { ModelName } from '../../runtime/options.generated.js';
import type { ComparedModel, CompareProgress } from '../compare/report.js';
import type { GroupMeans } from '../groups.js';
import type { PairedDifference } from '../pairs.js';
import type { RunFacts } from '../run.js';
import type { Trend } from './trend.js';

/** What {@link advise} is told while it works. */
export interface AdviseProgress extends Omit<CompareProgress, 'stage'> {
  /** What happens to the model. */
  stage: 'search' | 'fit';
  /** Training users of the sample. */
  users: number;
}

/** What only a comparison tells of a model. */
type ComparedOnly = 'changed' | 'estimatedSeconds' | 'fitMemory' | 'modelMemory' | 'requestSeconds';

/** A model on a sample; its metrics are those of the validation users. */
export interface TrialModel extends Omit<ComparedModel, ComparedOnly> {
  /** Whether training ended with its last epoch and not for want of a better one: with more epochs it may be better. */
  unfinished: boolean;
}

/** A group of validation users, or of items by their users in the sample, and how well it is served. */
export interface GroupResult extends GroupMeans {
  /** Pairs of models without popularity. P-values are corrected over all groups of its kind, and all samples. */
  paired: PairedDifference[];
}

/** What one sample says. */
export interface SampleResult {
  /** Sampled training users. */
  users: number;
  /** Their interactions. */
  interactions: number;
  /** What these look like, beside {@link AdviceReport.profile}: what a sample keeps and what it does not. */
  profile: Profile;
  /** The models, the cheapest first. */
  models: TrialModel[];
  /** Every pair of models on all validation users, corrected over the pairs of this sample. */
  paired: PairedDifference[];
  /** Validation users by the length of their input. */
  activity: GroupResult[];
}

/** What a model costs on all training users. */
export interface ModelCost {
  /** Which model. */
  model: ModelName;
  /** Bytes at the peak of a fit, beyond the data. */
  fitMemory: number;
  /** Bytes of the finished model. */
  modelMemory: number;
  /** Why a fit is refused here, in the core's words; `null` if it fits. */
  refusal: string | null;
  /**
   * Seconds of one fit, with all epochs that its options allow: measured on the largest sample and carried over by
   * `law`, or, of a model that was not tried, {@link estimateSeconds}. Good to a factor of about 2.
   */
  seconds: number;
  /** What the seconds grow with. */
  law: string;
}

/** The result of {@link advise} as plain JSON. */
export interface AdviceReport extends Advice {
  /** What the data look like; of a split, its training users. */
  profile: Profile;
  /** What of the input is not in the split or does not count, and why. */
  leftOut: LeftOut[];
  /** Training users, the validation users that count, and whether these are trained on, too. */
  split: { trainingUsers: number; items: number; validationUsers: number; knownUsers?: boolean };
  /** Items that the samples have; fewer than all only where `items` said so. */
  sampledItems: number;
  /** Users of the largest sample on which all models were tried: groups of users and items are told of that one. */
  sharedUsers: number;
  /** Seed of everything. */
  seed: number;
  /** What is judged by, on validation users. */
  metric: string;
  /** Every model, the cheapest first. */
  cost: ModelCost[];
  /** Trial runs, the smallest sample first. */
  samples: SampleResult[];
  /** How well items are found in that sample, by how many of its users have them. */
  popularity: GroupResult[];
  /** Models that were not tried since they do not fit into memory or take too long, with the reason. */
  refused: { model: ModelName; why: string }[];
  /** How and where this came about. */
  run: RunFacts;
  /**
   * Models that were tried in a smaller form, such as EASE^R with a `density`, as they would have taken too long
   * otherwise.
   */
  smaller: { model: ModelName; changed: OptionChange[] }[];
}

/** What to do. */
export interface Advice {
  /**
   * The model to use; `null` where nobody can tell from the samples, and {@link compare} has to decide. `popularity`:
   * see `verdict`.
   */
  model: ModelName | null;
  /** The model that leads as far as was measured, sure or not. */
  leader: ModelName;
  /** Those of the advised model's options that were searched, with the values that were best on its largest sample. */
  options: Record<string, Json>;
  /** The answer in a sentence: the model and by how much it leads, or why nobody can tell. */
  verdict: string;
  /** Why nobody can tell; empty if a model is advised. */
  open: string[];
  /**
   * Where the other models but popularity stand against the leader on all training users, measured or by their trend.
   */
  trends: Trend[];
  /** Where each costlier model starts to win against all cheaper ones, or that it does not within what was measured. */
  costlier: CostlierModel[];
  /** The same and all other reasons in words. */
  reasons: string[];
  /** What these figures do not show. */
  distrust: string[];
  /** Commands to run next, with `<input>` for the data. */
  next: string[];
}

/** A model beyond those that are always compared, against all cheaper ones. */
export interface CostlierModel {
  /** Which model. */
  model: ModelName;
  /** By sample: its mean minus that of the best cheaper model. */
  gaps: { users: number; against: ModelName; gap: number }[];
  /**
   * Where it is significantly better than every cheaper model: at how many sampled users, and in which group (`all`:
   * everybody).
   */
  wins: { users: number; group: string; from: number | null; to: number | null }[];
  /** Groups of users of its largest sample in which its mean is the best, established or not. */
  ahead: string[];
  /**
   * Groups of items that it finds significantly better than every cheaper model, in the largest sample of all models.
   */
  finds: string[];
  /** Whether its training ended for want of epochs in its largest sample. */
  unfinished: boolean;
}
