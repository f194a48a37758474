/**
 * Successive halving: all trials are given few epochs, and the best third of them goes on with three times as many,
 * until those that are left have had all.
 *
 * A trial goes on from its checkpoint where the core allows more epochs than it began with (RecVAE, and Mult-VAE
 * without annealing), and is then the very training that it would have been without a break; elsewhere it is trained
 * anew.
 *
 * Source: K. Jamieson, A. Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS
 * 2016, arXiv 1502.07943, algorithm 1; with thirds, and the most epochs at the end, as in Hyperband (arXiv 1603.06560).
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guard, RecvaeError, toJson } from '../runtime/errors.js';
import { remove, willRemove } from '../runtime/files.js';
import type { Json } from '../runtime/json.js';
import { native } from '../runtime/native.js';
import type { ModelName } from '../runtime/options.generated.js';
import { canonical } from './journal.js';
import { completeOptions, type Trial, type TrialResult } from './trials.js';

/** What part of the trials stays, and by what the epochs grow. */
const FACTOR = 3;
/** Share of the epochs that a stage has at least, and the least number. */
const LEAST_SHARE = 0.1;
const LEAST_EPOCHS = 3;

/** How many trials there are at a stage, and how many epochs they will have had. */
interface Rung {
  /** Number of trials. */
  trials: number;
  /** Epochs at most. */
  epochs: number;
}

/**
 * The stages for a number of trials and the most epochs; the last one has these. The first one has a tenth of them at
 * least: in the very first epochs options that make training fast look better than those that make it good.
 */
export function rungsOf(trials: number, epochs: number): Rung[] {
  let stages = 0;
  while (FACTOR ** (stages + 1) <= trials && epochs / FACTOR ** (stages + 1) >= leastEpochs(epochs)) stages += 1;
  return Array.from({ length: stages + 1 }, (_, stage) => ({
    trials: Math.floor(trials / FACTOR ** stage),
    epochs: Math.round(epochs / FACTOR ** (stages - stage)),
  }));
}

/** The fewest epochs that say anything about all of them. */
export function leastEpochs(epochs: number): number {
  return Math.max(LEAST_EPOCHS, Math.ceil(LEAST_SHARE * epochs));
}

/** The most epochs of a model; refuses those that have none. */
export function epochsOf(model: ModelName, options: Record<string, Json>): number {
  const { epochs } = completeOptions({ model, options });
  if (typeof epochs === 'number') return epochs;
  const text = `search is 'halving' for ${model}, which has no epochs to begin with few of; allowed: adaptive, grid, random`;
  throw new RecvaeError('INVALID_ARGUMENT', text);
}

/** The best of some trials, best first; of equals the earlier. Those that failed come last. */
export function ranked(results: readonly (TrialResult | undefined)[]): number[] {
  const value = (at: number) => results[at]?.validation ?? -1;
  return [...results.keys()].filter((at) => results[at]).sort((a, b) => value(b) - value(a) || a - b);
}

/** Where trials are kept between stages: a folder that goes when the search is done. */
export class Checkpoints {
  readonly #folder: string | undefined;

  private constructor(folder: string | undefined) {
    this.#folder = folder;
  }

  /**
   * Beside the journal, where a search that was killed finds it again; without one in the system's folder for temporary
   * files.
   */
  static open(model: ModelName, journal: string | undefined): Checkpoints {
    return guard(() => {
      const folder =
        journal === undefined ? mkdtempSync(join(tmpdir(), 'recvae-checkpoints-')) : `${journal}.checkpoints`;
      if (journal === undefined) willRemove(folder);
      mkdirSync(folder, { recursive: true });
      try {
        const any = { path: join(folder, 'any'), options: toJson({ resume: true }) };
        native.checkFit(model, '{}', undefined, any);
        return new Checkpoints(folder);
      } catch (error) {
        remove(folder);
        if ((error as { code?: unknown }).code !== 'INVALID_ARGUMENT') throw error;
        return new Checkpoints(undefined); // a model that is trained too fast to have them
      }
    });
  }

  /** The file of a trial, whatever its epochs. */
  readonly of = ({ model, options: { epochs: _, ...options } }: Trial): string | undefined => {
    if (this.#folder === undefined) return undefined;
    const name = createHash('sha256')
      .update(canonical([model, options]))
      .digest('hex')
      .slice(0, 32);
    return join(this.#folder, `${name}.checkpoint`);
  };

  /** Removes the file of a trial that does not go on. */
  drop(trial: Trial): void {
    const path = this.of(trial);
    if (path !== undefined) remove(path);
  }

  /** Removes all. */
  remove(): void {
    if (this.#folder !== undefined) remove(this.#folder);
  }
}
