/**
 * The course of a comparison: how far it is, when it will end, and what still can be done in the minutes that it may
 * take.
 */
import { RecvaeError } from '../../runtime/errors.js';
import type { ModelName } from '../../runtime/options.generated.js';
import type { Step } from '../../search/train.js';
import type { CompareOptions } from './options.js';
import type { CompareProgress } from './report.js';

/** What is to be done, in estimated seconds of the reference machine. */
interface Task {
  model: ModelName;
  /** At most, search included. */
  seconds: number;
  /** Of one fit. */
  fitSeconds: number;
}

/** What happens to the model at work. */
type CourseStep = Omit<Step, 'stage'> & Pick<CompareProgress, 'stage' | 'plan'>;

/** Share of the work from which on the clock tells more of the rest than the estimates. */
const TELLING = 0.03;
/** What the first, tiny fits may say about the machine at most. */
const LEAST_PACE = 0.2;
/** The longest that a timer of Node waits, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

/**
 * What the first may have of what is left: those that need less than an equal share leave the rest of it to the others.
 * It has an equal share also where it needs less, for needs are estimates, and its part of what nobody needs.
 */
function fairShare(left: number, needs: readonly number[]): number {
  const own = needs[0]!;
  let rest = left;
  for (const [at, need] of [...needs].sort((a, b) => a - b).entries()) {
    const share = rest / (needs.length - at);
    if (need > share) return own > share ? share : Math.max(own, left / needs.length);
    rest -= need;
  }
  return Math.max(own + rest / needs.length, left / needs.length);
}

/** Watches over a comparison. */
export class Course {
  readonly #tasks: readonly Task[];
  readonly #options: CompareOptions;
  readonly #started = performance.now();
  readonly #end: number | undefined;
  /** Seconds by the clock for one of the reference machine, from what has ended. */
  #pace = 1;
  #clock = 0;
  #estimated = 0;
  #done = 0;

  constructor(tasks: readonly Task[], options: CompareOptions) {
    this.#tasks = tasks;
    this.#options = options;
    const { budgetMinutes } = options;
    this.#end = budgetMinutes === undefined ? undefined : this.#started + 60_000 * budgetMinutes;
  }

  /** Why a model cannot be trained in the time that is left; `undefined` if it can. */
  tooLate(index: number): string | undefined {
    if (this.#end === undefined) return undefined;
    const left = (this.#end - performance.now()) / 1000;
    const needed = this.#tasks[index]!.fitSeconds * this.#pace;
    if (needed <= left) return undefined;
    const [fit, rest] = [needed, Math.max(left, 0)].map((seconds) => (seconds / 60).toFixed(1));
    return `one fit takes about ${fit} minutes, and ${rest} of budgetMinutes (${Number(this.#options.budgetMinutes!.toPrecision(3))}) are left`;
  }

  /**
   * When the search of a model has to be done, on the clock of `performance`: all have the same time, where they need
   * it by their estimates. What one leaves over goes to those after it, which take longer.
   */
  deadline(index: number): number | undefined {
    if (this.#end === undefined) return undefined;
    const now = performance.now();
    const needs = this.#tasks.slice(index).map(({ seconds }) => 1000 * seconds * this.#pace);
    const share = fairShare(this.#end - now, needs);
    return Math.min(now + Math.max(share, 1500 * this.#tasks[index]!.fitSeconds * this.#pace), this.#end);
  }

  /**
   * What work gives, or `undefined` if it has not ended when the comparison has to: `late` says that this is why its
   * signal was aborted.
   */
  async within<T>(
    work: (signal: AbortSignal | undefined, late: AbortSignal | undefined) => Promise<T>,
  ): Promise<T | undefined> {
    const { signal } = this.#options;
    if (this.#end === undefined) return work(signal, undefined);
    const late = AbortSignal.timeout(Math.ceil(Math.min(Math.max(this.#end - performance.now(), 0), LONGEST)));
    try {
      return await work(signal ? AbortSignal.any([signal, late]) : late, late);
    } catch (error) {
      if (late.aborted && !signal?.aborted && !(error instanceof RecvaeError)) return undefined;
      throw error;
    }
  }

  /** Tells how far a model is. */
  tell(index: number, { done = 0, ...step }: CourseStep): void {
    const all = this.#tasks.reduce((sum, { seconds }) => sum + seconds, 0);
    const now = this.#done + this.#tasks[index]!.seconds * Math.min(done, 1);
    const fraction = Math.min(now / Math.max(all, 1e-9), 1);
    const elapsed = (performance.now() - this.#started) / 1000;
    const estimate = (all - now) * this.#pace;
    const secondsLeft = fraction > TELLING ? Math.min((elapsed * (1 - fraction)) / fraction, 10 * estimate) : estimate;
    const { model } = this.#tasks[index]!;
    const progress: CompareProgress = {
      model,
      step: index + 1,
      steps: this.#tasks.length,
      ...step,
      fraction,
      secondsLeft,
    };
    this.#options.onProgress?.(progress);
  }

  /**
   * A model has ended, after so many seconds by the clock for so many estimated ones: by that others are told better.
   */
  ended(index: number, seconds: number, estimated: number): void {
    this.#done += this.#tasks[index]!.seconds;
    this.#clock += seconds;
    this.#estimated += estimated;
    if (this.#estimated > 0) this.#pace = Math.max(this.#clock / this.#estimated, LEAST_PACE);
  }
}
