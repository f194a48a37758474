/**
 * A model that serves while the next one is loaded: load, verify, swap, dispose.
 *
 * A request holds a lease on the model that it began with. After a swap new requests get the new model, and the old one
 * is disposed of when the last lease on it has ended, so no request fails and none sees two models.
 */
import { type Stats, statSync } from 'node:fs';
import { load, type Model } from '../models/model.js';
import { checkObject, checkString, invalid, knownKeys } from '../runtime/check.js';
import { guard, RecvaeError, toRecvaeError } from '../runtime/errors.js';
import type { LoadOptions } from '../runtime/options.generated.js';

/** A model that is held, with what was prepared for it. */
export interface Held<P = undefined> {
  /** The model. It must not be disposed of by others. */
  readonly model: Model;
  /** What {@link HolderOptions.prepare} made for it, such as its filters. */
  readonly prepared: P;
  /** Which load of the holder it is, from 1. */
  readonly generation: number;
  /** When it was loaded. */
  readonly loadedAt: Date;
}

/** Milliseconds that Node's timers can wait. */
export const LONGEST = 2 ** 31 - 1;

/** A held model in use: until {@link Lease.release}, it is not disposed of. */
export interface Lease<P = undefined> extends Held<P>, Disposable {
  /** Gives it back; doing so again does nothing. `using` does it at the end of the block. */
  release(): void;
}

/** How a holder loads its models. */
export interface HolderOptions<P = undefined> {
  /**
   * How the file is opened. By default it is read into memory and every byte verified
   * (`{ mmap: false, verify: true }`): a file that others write into while it serves then does no harm.
   */
  load?: LoadOptions | undefined;
  /**
   * Called with a model that was loaded, before it serves; if it throws or rejects, the model is disposed of and the
   * old one goes on serving. The place to try the new model on what it must be able to do. `before` is the model that
   * serves now.
   */
  verify?: (model: Model, before: Model | undefined) => unknown;
  /**
   * Makes what goes with a model, such as `(model) => model.filter({ allow: inStock })`; also once a model, and before
   * it serves.
   */
  prepare?: ((model: Model) => P | Promise<P>) | undefined;
  /**
   * Called after a swap, with what serves now. What it throws, the load throws, too; the new model serves all the same.
   */
  onSwap?: ((held: Held<P>) => void) | undefined;
  /** Called when a load that nobody awaits failed: one of {@link ModelHolder.watch}. By default it is ignored. */
  onError?: ((error: RecvaeError) => void) | undefined;
}

const KEYS = Object.keys({
  ...{ load: true, verify: true, prepare: true, onSwap: true, onError: true },
} satisfies Record<keyof HolderOptions, true>);

/** One model of the holder, and who uses it. */
interface Slot<P> extends Held<P> {
  leases: number;
  retired: boolean;
}

/** What tells a file from the one that was there before. */
type Mark = string | undefined;

/**
 * Holds the model in a file, for servers: loads it, verifies it, puts it in the place of the one before, and disposes
 * of that when nobody uses it any more.
 *
 * @example
 * ```ts
 * const holder = await ModelHolder.open('ease.safetensors', { prepare: (model) => model.filter({ deny: soldOut }) });
 * holder.watch(); // loads the file anew when another one is in its place
 * const answer = await holder.use(({ model, prepared: filter }) => model.recommend(['318'], { k: 5, filter }));
 * ```
 */
export class ModelHolder<P = undefined> implements Disposable {
  /** The file. */
  readonly path: string;
  readonly #options: HolderOptions<P>;
  #slot: Slot<P> | undefined;
  #generations = 0;
  /** The load at work, and the one that was asked for meanwhile. */
  #loading: Promise<Held<P>> | undefined;
  #next: Promise<Held<P>> | undefined;
  /** What the file was when it was last loaded, also in vain. */
  #mark: Mark;
  #timer: NodeJS.Timeout | undefined;
  #disposed = false;

  private constructor(path: string, options: HolderOptions<P>) {
    this.path = path;
    this.#options = options;
  }

  /**
   * Loads the first model.
   *
   * @throws {@link RecvaeError} as {@link load}; what `verify` and `prepare` throw.
   */
  static async open<P = undefined>(path: string, options: HolderOptions<P> = {}): Promise<ModelHolder<P>> {
    checkString(path, 'path');
    knownKeys(options, KEYS, 'options');
    for (const name of ['verify', 'prepare', 'onSwap', 'onError'] as const) {
      if (options[name] !== undefined && typeof options[name] !== 'function') {
        throw invalid(name, options[name], 'a function');
      }
    }
    if (options.load !== undefined) checkObject(options.load, 'load');
    const holder = new ModelHolder<P>(path, options);
    await holder.reload();
    return holder;
  }

  /** Whether it is disposed of, and serves no more. */
  get isDisposed(): boolean {
    return this.#disposed;
  }

  /**
   * What serves now. It may be disposed of as soon as the event loop gets its turn: {@link ModelHolder.use} keeps it.
   */
  get current(): Held<P> {
    if (this.#slot === undefined) throw new RecvaeError('INVALID_ARGUMENT', 'the holder is disposed');
    return this.#slot;
  }

  /** Takes the model that serves now, and keeps it until it is released. */
  acquire(): Lease<P> {
    const slot = this.current as Slot<P>;
    slot.leases += 1;
    let isHeld = true;
    const release = () => {
      if (!isHeld) return;
      isHeld = false;
      slot.leases -= 1;
      this.#retire(slot);
    };
    const { model, prepared, generation, loadedAt } = slot;
    return { model, prepared, generation, loadedAt, release, [Symbol.dispose]: release };
  }

  /** Does work with the model that serves now, which is kept until the work, or its promise, has ended. */
  async use<T>(work: (held: Held<P>) => T | Promise<T>): Promise<T> {
    const lease = this.acquire();
    try {
      return await work(lease);
    } finally {
      lease.release();
    }
  }

  /**
   * Loads the file, verifies it and swaps. Until then, and if it fails, the model of before serves on. Calls while one
   * is at work share one more load, so that the last state of the file is seen.
   *
   * @throws {@link RecvaeError} as {@link load}; what `verify` and `prepare` throw.
   */
  reload(): Promise<Held<P>> {
    if (this.#loading === undefined) {
      this.#loading = this.#load().finally(() => {
        this.#loading = undefined;
      });
      return this.#loading;
    }
    this.#next ??= this.#loading
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.reload();
      });
    return this.#next;
  }

  async #load(): Promise<Held<P>> {
    if (this.#disposed) throw new RecvaeError('INVALID_ARGUMENT', 'the holder is disposed');
    // Before the file is read: what comes later is seen as another one.
    this.#mark = markOf(this.path);
    const { mmap = false, verify = true, ...how } = this.#options.load ?? {};
    const model = await load(this.path, { ...how, mmap, verify });
    let slot: Slot<P>;
    try {
      await this.#options.verify?.(model, this.#slot?.model);
      const prepared = (await this.#options.prepare?.(model)) as P;
      if (this.#disposed) throw new RecvaeError('INVALID_ARGUMENT', 'the holder is disposed');
      this.#generations += 1;
      slot = { model, prepared, generation: this.#generations, loadedAt: new Date(), leases: 0, retired: false };
    } catch (thrown) {
      model.dispose();
      throw thrown;
    }
    const before = this.#slot;
    this.#slot = slot;
    if (before) {
      before.retired = true;
      this.#retire(before);
    }
    this.#options.onSwap?.(slot);
    return slot;
  }

  #retire(slot: Slot<P>): void {
    if (slot.retired && slot.leases === 0) slot.model.dispose();
  }

  /**
   * Looks again and again whether another file is in its place, by its times, size and number, and loads it then. A
   * file that cannot be loaded is tried again when it changes again. It does not keep the process alive.
   *
   * @param milliseconds - Between two looks, up to 2^31 - 1; 1,000 by default.
   * @returns What ends it; {@link ModelHolder.dispose} does too.
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for such a number, and once the holder is disposed of.
   */
  watch(milliseconds = 1000): () => void {
    if (!(milliseconds >= 1 && milliseconds <= LONGEST)) {
      throw invalid('milliseconds', milliseconds, `a number from 1 to ${LONGEST}`);
    }
    if (this.#disposed) throw new RecvaeError('INVALID_ARGUMENT', 'the holder is disposed');
    clearInterval(this.#timer);
    const fail = (thrown: unknown) => {
      if (!this.#disposed) this.#options.onError?.(toRecvaeError(thrown));
    };
    const look = () => {
      let mark: Mark;
      try {
        mark = markOf(this.path);
      } catch (thrown) {
        fail(thrown);
        return;
      }
      // A file that is gone for a moment is being replaced.
      if (mark === undefined || mark === this.#mark || this.#loading !== undefined) return;
      this.reload().catch(fail);
    };
    const timer = setInterval(look, milliseconds);
    timer.unref();
    this.#timer = timer;
    return () => clearInterval(timer);
  }

  /** Lets the model go when nobody uses it any more, and serves no other. To dispose again does nothing. */
  dispose(): void {
    this.#disposed = true;
    clearInterval(this.#timer);
    const slot = this.#slot;
    this.#slot = undefined;
    if (slot === undefined) return;
    slot.retired = true;
    this.#retire(slot);
  }

  /** {@link ModelHolder.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

function markOf(path: string): Mark {
  const stat: Stats | undefined = guard(() => statSync(path, { throwIfNoEntry: false }));
  return stat && [stat.dev, stat.ino, stat.size, stat.mtimeMs, stat.ctimeMs].join(' ');
}
