/** What a blend says of itself. */
import type { Json } from '../runtime/json.js';
import type { BlendOptions, ModelName, ModelOptions } from '../runtime/options.generated.js';

/** A part of a {@link BlendRecord}. */
export interface BlendPart {
  /** Which model. */
  model: ModelName;
  /** Its share, from 0 to 1; all sum to 1. */
  weight: number;
  /** NDCG@100 of the part alone on the validation users; `null` where the weights were given. */
  validation: number | null;
  /** All its options with their values. */
  options: Json;
}

/** A model that a blend could have had, but is not worth it. */
export interface DroppedPart {
  /** Which model. */
  model: ModelName;
  /** What NDCG@100 on the validation users loses without it; below 0 if it gains. */
  cost: number;
  /** Standard error of that, paired by user. */
  standardError: number;
  /** NDCG@100 of the model alone on the validation users. */
  validation: number;
  /** All its options with their values. */
  options: Json;
}

/** What a blend is and how it was found: `options` of a {@link Model} of kind `blend`. */
export interface BlendRecord {
  /** How the parts' scores are made comparable. */
  scale: NonNullable<BlendOptions['scale']>;
  /** The parts, by kind and options. */
  parts: BlendPart[];
  /** Weights that depend on the history: slopes of features, see `models/blend/gate.rs`; `null` if they do not. */
  gate: { means: number[]; deviations: number[]; slopes: number[][]; recovery: number } | null;
  /** Parts that were dropped, in the order in which they went. */
  dropped: DroppedPart[];
  /**
   * What is kept only if it is better by more than chance, and what NDCG@100 gains by it: `rank` over z-scores on the
   * validation users, `gate` over constant weights on validation users that neither was fitted to.
   */
  tried: { what: 'rank' | 'gate'; gain: number; standardError: number; kept: boolean }[];
  /** NDCG@100 on the validation users; `null` if there are none. */
  validation: number | null;
  /**
   * What speaks against the weights, in sentences: that a part was trained on validation users, or that nobody knows.
   */
  warnings: string[];
  /** Where random numbers began. */
  seed: number;
}

/** Options with all their values: none is left to a default. */
export type Complete<T> = { [K in keyof T]-?: Exclude<T[K], undefined> };

/** All options of a model with their values; those of a blend say what it is made of. */
export type ModelSettings<K extends ModelName> = K extends 'blend' ? BlendRecord : Complete<ModelOptions[K]>;
