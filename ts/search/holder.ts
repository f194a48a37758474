import type { Model } from '../models/model.js';

/** Keeps the model of the best trial so far. */
export class Holder {
  #held: { at: number; validation: number; model: Model } | undefined;

  take(model: Model, at: number, validation: number): void {
    const better =
      !this.#held || validation > this.#held.validation || (validation === this.#held.validation && at < this.#held.at);
    if (better) {
      this.dispose();
      this.#held = { at, validation, model };
    } else {
      model.dispose();
    }
  }

  /** The model of that trial, if it is the one that is held. */
  release(at: number): Model | undefined {
    if (this.#held?.at !== at) return undefined;
    const { model } = this.#held;
    this.#held = undefined;
    return model;
  }

  /** The trial whose model is held. */
  get at(): number | undefined {
    return this.#held?.at;
  }

  /** Whether there is one. */
  get holds(): boolean {
    return this.#held !== undefined;
  }

  dispose(): void {
    this.#held?.model.dispose();
    this.#held = undefined;
  }
}
