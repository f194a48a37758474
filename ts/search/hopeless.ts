/**
 * The median rule: a trial whose best validation so far is below the median of what the trials before it had after as
 * many epochs is hopeless.
 *
 * "Before" is meant in the order of the trials, not of time, and all of those must have ended: so it is known
 * beforehand which trials decide about which, and results do not depend on how many run at once. A trial that ran ahead
 * of those that decide about it is cut afterwards, as if it had been stopped where the rule says.
 *
 * Source: D. Golovin et al., Google Vizier: A Service for Black-Box Optimization, KDD 2017, section 3.2; there running
 * averages stand where we have the best so far.
 */
import type { TrialResult } from './trials.js';

/** Trials that must have come that far before any is stopped. */
const MIN_TRIALS = 5;
/**
 * Share of the epochs that a trial has in any case, and the least number. Before, a curve tells how fast a trial learns
 * and not how far it gets: RecVAE's best gamma on MovieLens-1M, .005, is behind .001 for the first third.
 */
const GRACE = 0.5;
const MIN_EPOCHS = 3;

/** Epochs that every trial has before it is compared with others. */
function graceOf(epochs: number): number {
  return Math.max(MIN_EPOCHS, Math.ceil(GRACE * epochs));
}

/** Watches over the trials of one list. */
export class MedianRule {
  readonly #results: TrialResult[] = [];
  readonly #cut: TrialResult[] = [];

  /** A trial ended. */
  ended(at: number, result: TrialResult): void {
    this.#results[at] = result;
    for (let next = this.#cut.length; this.#results[next] !== undefined; next += 1) {
      this.#cut.push(this.cut(next, this.#results[next]!));
    }
  }

  /** Whether a trial with such a curve can be stopped: the trials before it have ended, and the rule applies. */
  stops(at: number, epochs: number, curve: readonly number[]): boolean {
    return this.#cut.length >= at && this.#hopelessFrom(at, epochs, curve) !== undefined;
  }

  /** The result up to where the rule stops the trial; the trials before it must have ended. */
  cut(at: number, result: TrialResult): TrialResult {
    if (result.failed !== undefined) return result;
    const epochs = this.#hopelessFrom(at, result.options.epochs as number, result.curve);
    if (epochs === undefined) return result;
    const curve = result.curve.slice(0, epochs);
    return { ...result, curve, epochs, validation: Math.max(...curve), stopped: 'hopeless' };
  }

  /** The first epoch after which the trial is hopeless. */
  #hopelessFrom(at: number, epochs: number, curve: readonly number[]): number | undefined {
    for (let epoch = graceOf(epochs); epoch <= curve.length; epoch += 1) {
      const others = this.#cut
        .slice(0, at)
        .filter(
          ({ failed, stopped, curve }) => failed === undefined && (stopped === undefined || curve.length >= epoch),
        )
        .map(({ curve }) => Math.max(...curve.slice(0, epoch)));
      if (others.length < MIN_TRIALS) return undefined;
      if (Math.max(...curve.slice(0, epoch)) < median(others)) return epoch;
    }
    return undefined;
  }
}

function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
}
