/** What an ablation tells in the end. */
import type { LeftOut } from '../../data/left-out.js';
import type { Profile } from '../../data/profile.js';
import type { Json } from '../../runtime/json.js';
import type { Curve } from '../curve.js';
import type { FloorDifference } from '../floor.js';
import type { Difference } from '../paired.js';
import type { RunFacts } from '../run.js';
import type { ComparisonKind } from './designs.js';

/** One model of an {@link AblationReport}: RecVAE with some of its changes, or the reference. */
export interface AblatedModel {
  /** `mult-vae` is the reference. */
  model: 'recvae' | 'mult-vae';
  /** Names of RecVAE's changes that it has; of the reference none. */
  changes: string[];
  /** All options with their values, but the seed. */
  options: { [key: string]: Json };
  /** Mean over the test users of each one's mean over the seeds. */
  mean: number;
  /** Its standard error, which comes from the users alone. */
  standardError: number | null;
  /** Seed by seed. */
  seeds: (Curve & {
    seed: number;
    /** Mean over the test users. */
    mean: number;
    /** Mean over the validation users; `null` if there are none. */
    validation: number | null;
    /** Epochs trained. */
    epochs: number;
    /** Whether the number of epochs stopped it, not `patience`: it may not be at its best. */
    atLimit: boolean;
    /** Wall-clock seconds, of the run that trained it. */
    seconds: number;
  })[];
}

/**
 * What a change brings: the mean difference with it minus without it, on the same test users, p-values corrected over
 * all.
 */
export interface ChangeComparison extends Difference {
  /** Name of the change. */
  change: string;
  /** Against what. */
  kind: ComparisonKind;
  /** The same difference under each seed, in the order of {@link AblationReport.seeds}. */
  seeds: number[];
  /** Corrected p below .05 and the same sign under every seed. */
  established: boolean;
}

/**
 * What is known about a change.
 *
 * - `pays`: it is established to be better in a comparison, and in none to be worse.
 * - `costs`: the other way round.
 * - `depends`: better in one and worse in another.
 * - `open`: nothing is established.
 */
export type Finding = 'pays' | 'costs' | 'depends' | 'open';

/** The result of {@link ablate} as plain JSON. */
export interface AblationReport {
  /** The data: the users of all parts of the split, and the items of the training users. */
  dataset: { users: number; items: number; interactions: number; density: number };
  /** What of the input is not in it or does not count, and why. */
  leftOut: LeftOut[];
  /** What the training users look like. */
  profile: Profile;
  /** Test users that count. */
  testUsers: number;
  /** Seed of the bootstrap, and of the split where it had none of its own. */
  seed: number;
  /** Seeds of the models. */
  seeds: number[];
  /** What is measured. */
  metric: string;
  /** Names of RecVAE's changes. */
  changes: string[];
  /** The reference, and then the designs by number of changes. */
  models: AblatedModel[];
  /** What each change brings, kind by kind. */
  comparisons: ChangeComparison[];
  /** What that says about each change. */
  findings: { change: string; finding: Finding }[];
  /** The design with the highest mean against popularity, which it has to beat. */
  floor: FloorDifference | null;
  /** How and where this came about. */
  run: RunFacts;
  /** The same in words, a line for each finding and for what bears on them. */
  verdict: string;
}

/** A model in words. */
export function labelOf({ model, changes }: Pick<AblatedModel, 'model' | 'changes'>): string {
  if (model === 'mult-vae') return model;
  return `${model} with ${changes.length === 0 ? 'no change' : changes.join(', ')}`;
}
