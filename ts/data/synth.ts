import { checkRun, checkString } from '../runtime/check.js';
import { toJson } from '../runtime/errors.js';
import { native } from '../runtime/native.js';
import type { SynthOptions } from '../runtime/options.generated.js';
import { type RunOptions, running } from '../runtime/running.js';

/** How much of a made-up file is written, and at the end what it holds. */
export interface SynthProgress {
  /** Users written so far, each with all items. */
  users: number;
  /** How many there will be. */
  nUsers: number;
  /** How many items there will be. */
  nItems: number;
  /** Interactions written so far. */
  interactions: number;
  /** How many there will be. */
  nInteractions: number;
}

/** How {@link writeSynth} runs. */
export interface SynthRun extends RunOptions {
  /**
   * Called with the latest state, on the event loop, at most ten times a second; the last one always comes. It does not
   * keep the process alive. If it throws, or gives back a promise that is rejected, writing stops, and the promise is
   * rejected with what was thrown.
   */
  onProgress?: ((progress: SynthProgress) => void) | undefined;
}

const KEYS = Object.keys({
  threads: true,
  signal: true,
  onProgress: true,
} satisfies Record<keyof SynthRun, true>);

/**
 * Writes made-up interactions, as many as in a set of the papers or a share of them, to a CSV file with the columns
 * `user` and `item`: whole or not at all, off the event loop, in memory that does not grow with their number. For
 * measuring speed and memory.
 *
 * **Accuracy on such data means nothing.** They follow a recipe, not real users: report no metric on them, and choose
 * no model and no option by them.
 *
 * The same options (with their seed) give the same bytes for any number of threads. {@link Interactions.synth} gives
 * the same data without a file.
 *
 * @param path - Where the file goes; a name in `.csv`, or in `.csv.gz` for a compressed one.
 * @returns The last progress: what the file holds.
 * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option or another ending of the name, `IO`.
 */
export async function writeSynth(path: string, options?: SynthOptions, run: SynthRun = {}): Promise<SynthProgress> {
  checkString(path, 'path');
  checkRun(run, KEYS);
  const { threads, signal, onProgress } = run;
  return running({ signal, onProgress }, (run) => native.writeSynth(toJson(options), path, threads, run));
}
