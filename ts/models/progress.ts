import type { ComputeOptions } from '../runtime/options.generated.js';

/** One epoch of training; of a closed form, which has none, how far it is. */
export interface Progress {
  /** Which epoch ended, from 1; 0 of a closed form. */
  epoch: number;
  /** How many there will be at most; 0 of a closed form. */
  epochs: number;
  /**
   * Of autoencoders, the mean log-likelihood per user, in nats: multinomial, or what the option `likelihood` of `hvamp`
   * says.
   */
  logLikelihood?: number;
  /** Of autoencoders, the mean weighted KL term per user, in nats. */
  kl?: number;
  /** Of iALS, its loss per user. */
  loss?: number;
  /** The validation metric, from 0 to 1, where there are validation users. */
  validation?: number;
  /** Whether it is the best epoch so far. */
  best: boolean;
  /** Seconds of training so far; before a checkpoint that was gone on from, those up to the checkpoint. */
  seconds: number;
  /**
   * Of a closed form (`popularity`, `ease`, `edlae`, `rdlae`, `deql`, `hoease`), the share of its work that is done,
   * from 0 to 1: it never falls, and is 1 when the model is there. Models with epochs have none.
   */
  fraction?: number;
  /** Of autoencoders, and of iALS on a GPU, the engine that trains. */
  engine?: NonNullable<ComputeOptions['engine']>;
  /** Of the same, the device on which it computes; of a closed form, where it is a GPU. */
  device?: string;
  /** Of the same, what the large products read: f32, or bf16 with sums in f32, which `hvamp` has not. */
  precision?: 'f32' | 'bf16';
}

/** The share of a fit that is done, from 0 to 1, if it takes all its epochs. */
export function shareDone({ epoch, epochs, fraction }: Progress): number {
  return fraction ?? epoch / Math.max(epochs, 1);
}

/** How far the epoch at work is. */
export interface StepProgress {
  /** Its number, from 1. */
  epoch: number;
  /** How many there will be at most. */
  epochs: number;
  /** The share of its steps that is done, from 0 to below 1; its end is told as {@link Progress}. */
  fraction: number;
}
