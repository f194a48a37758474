/** Smaller splits on which models are tried, each made once for all searches of a comparison. */
import type { Split } from '../data/split.js';
import type { Abortable } from '../runtime/abort.js';

/** Samples of a split with all of its users and its most popular items. */
export class Samples implements Disposable {
  readonly #data: Split;
  readonly #made = new Map<number, Promise<Split>>();
  #disposed = false;

  constructor(data: Split) {
    this.#data = data;
  }

  /** The sample of so many items. */
  of(items: number, { signal }: Abortable): Promise<Split> {
    const made =
      this.#made.get(items) ?? this.#data.sample({ users: Math.max(this.#data.train.nUsers, 2), items }, { signal });
    this.#made.set(items, made);
    return made;
  }

  /** Gives their memory back. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const made of this.#made.values()) {
      made.then(
        (sample) => sample.dispose(),
        () => {},
      );
    }
  }
}
