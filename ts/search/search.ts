/** What a search is: what is searched, how it runs and what is told of it. */
import type { Json } from '../runtime/json.js';
import type { ModelName } from '../runtime/options.generated.js';
import type { Samples } from './samples.js';
import type { Point, Space } from './spaces.js';
import type { TrialProgress, TrialRun } from './trials.js';

/** How points of a space are chosen. */
export type SearchKind = 'adaptive' | 'grid' | 'random' | 'halving';

/** What is searched. */
export interface Search {
  model: ModelName;
  /** Options that stay as they are. */
  fixed: Record<string, Json>;
  space: Space;
  kind: SearchKind;
  /** The points of the space that are tried; none yet of `adaptive`, which finds them on its way. */
  points: Point[];
  /** Seed of what is drawn. */
  seed: number;
  /** Of `adaptive`, how many points are tried; by default as many as its effort allows, see `search/effort.ts`. */
  trials?: number | undefined;
  /** Whether `adaptive` may go beyond its ranges. */
  extends: boolean;
  /** Whether hopeless trials of `grid` and `random` are stopped. */
  earlyStop: boolean;
}

/** What a search is told, with how many trials it has at most. */
export interface SearchProgress extends TrialProgress {
  /** What the trial tries: values of the options that are searched. */
  point: Point;
  /** Share of the search that is done, by estimates. */
  done: number;
  /** Trials so far that have ended, and all. */
  ended: number;
  /** See `ended`; of halving, those of all stages. */
  trials: number;
}

/** How a search runs; `beside` is what is held besides its own models. */
export interface SearchRun extends Omit<TrialRun<Json>, 'hopeless' | 'judge' | 'take' | 'onProgress' | 'checkpoint'> {
  onProgress?: ((progress: SearchProgress) => unknown) | undefined;
  /** Path of the journal. */
  journalPath?: string | undefined;
  /** Samples of the data that other searches use, too. By default the search makes its own. */
  samples?: Samples | undefined;
  /** Estimated seconds that an adaptive search may take. By default what is allowed to all, see `search/effort.ts`. */
  allowed?: number | undefined;
  /**
   * On the clock of `performance`, in milliseconds: when the search has to be done. By default it takes what its effort
   * allows.
   */
  deadline?: number | undefined;
  /** Ends an adaptive search, which then gives the best of what it has tried on all data, if there is any. */
  late?: AbortSignal | undefined;
}
