/** What a service asks of a model. */
import type { Id } from '../data/ids.js';
import type { RunOptions } from '../runtime/running.js';
import type { ServeOptions } from './filter.js';
import type { Recommendation } from './serving.js';

/**
 * What a service needs of a {@link Model}, as an interface: code that takes a `Recommender` can be tested with a double
 * of three members.
 *
 * @example
 * ```ts
 * const double: Recommender = {
 *   itemIds: ['a'],
 *   recommend: () => ({ items: [{ id: 'a', score: 1 }], unknown: [], fallbackUsed: false }),
 *   recommendBatch: async (histories) => Array.from(histories, () => double.recommend([])),
 * };
 * ```
 */
export interface Recommender {
  /** Ids of the items that it knows. */
  readonly itemIds: readonly string[];
  /** As {@link Model.recommend}. */
  recommend(history: Iterable<Id>, options?: ServeOptions): Recommendation;
  /** As {@link Model.recommendBatch}. */
  recommendBatch(
    histories: Iterable<Iterable<Id>>,
    options?: ServeOptions,
    run?: RunOptions,
  ): Promise<Recommendation[]>;
}
