import type { Abortable } from '../runtime/abort.js';
import { checkInstance, checkString, signalOf } from '../runtime/check.js';
import { guard, guardAsync, toJson } from '../runtime/errors.js';
import { native } from '../runtime/native.js';
import type { SampleOptions, SplitOptions } from '../runtime/options.generated.js';
import { running } from '../runtime/running.js';
import { type Id, idOf } from './ids.js';
import { Interactions } from './interactions.js';
import { type LeftOut, leftOutOf } from './left-out.js';

/**
 * Users each with items that go in and items that have to be found. By splits of the kinds `strong` and `folds` no model sees
 * them in training; by the others they are known from it.
 */
export class HeldOut implements Disposable {
  /** @internal */
  readonly native: native.NativeHeldOut;
  /** What of it `JSON.stringify` writes: its size, not its rows. */
  // A field that is a function, so that nobody can send a copy without rows to another thread.
  readonly toJSON = () => {
    // Held-out users stay in their thread: make the split in the other one.
    const { nUsers, nScored, nInteractions } = this;
    return { nUsers, nScored, nInteractions };
  };

  private constructor(handle: native.NativeHeldOut) {
    this.native = handle;
  }

  /** @internal */
  static wrap(handle: native.NativeHeldOut): HeldOut {
    return new HeldOut(handle);
  }

  /** Number of users, those with nothing to find included. */
  get nUsers(): number {
    return guard(() => this.native.nUsers);
  }

  /** Number of users with something to find: those that count in metrics. */
  get nScored(): number {
    return guard(() => this.native.nScored);
  }

  /** Whether some of them are trained on, too: by every kind of split but `strong` and `folds`. */
  get areKnown(): boolean {
    return guard(() => this.native.areKnown);
  }

  /** Number of interactions, input and target together. */
  get nInteractions(): number {
    return guard(() => this.native.nInteractions);
  }

  /** Ids of the users in row order; length `nUsers`. */
  userIds(): string[] {
    return guard(() => this.native.userIds());
  }

  /** The items of a user that a model is shown; `undefined` if the user is not held out here. */
  input(user: Id): string[] | undefined {
    const id = idOf(user, 'user');
    return guard(() => this.native.input(id)) ?? undefined;
  }

  /** The items of a user that a model has to find; `undefined` if the user is not held out here. */
  target(user: Id): string[] | undefined {
    const id = idOf(user, 'user');
    return guard(() => this.native.target(id)) ?? undefined;
  }

  /**
   * Lets the users go: their memory is freed with that of the last part of the split. Whatever is asked afterwards
   * throws `INVALID_ARGUMENT`, "heldOut is disposed". To dispose again does nothing.
   */
  dispose(): void {
    guard(() => this.native.dispose());
  }

  /** {@link HeldOut.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Training, validation and test users. All have the items of the training users. */
export class Split implements Disposable {
  /** What models are trained on. */
  readonly train: Interactions;
  /** Held-out users for choosing options and the best epoch. */
  readonly validation: HeldOut;
  /** Held-out users for the result. */
  readonly test: HeldOut;
  /** @internal */
  readonly native: native.NativeSplit;
  /** What of it `JSON.stringify` writes: the sizes of its parts. */
  // A field that is a function, so that nobody can send a copy without rows to another thread.
  readonly toJSON = () => {
    // A split stays in its thread: make it in the other one.
    const { train, validation, test } = this;
    return { train, validation, test };
  };

  private constructor(handle: native.NativeSplit) {
    this.native = handle;
    this.train = Interactions.wrap(handle.train);
    this.validation = HeldOut.wrap(handle.validation);
    this.test = HeldOut.wrap(handle.test);
  }

  /** @internal */
  static wrap(handle: native.NativeSplit): Split {
    return new Split(handle);
  }

  /**
   * Reads a split in the layout of the official Mult-VAE and RecVAE scripts: `unique_sid.txt`, `train.csv`,
   * `validation_tr.csv`, `validation_te.csv`, `test_tr.csv`, `test_te.csv`.
   *
   * @throws {@link RecvaeError} `IO`, or `INVALID_DATA` with file and line.
   */
  static async fromOfficial(folder: string): Promise<Split> {
    checkString(folder, 'folder');
    return new Split(await guardAsync(() => native.readOfficial(folder)));
  }

  /** What of the data is in none of the parts or does not count, and why; empty if there is nothing of the kind. */
  get leftOut(): LeftOut[] {
    return leftOutOf(this.native);
  }

  /**
   * A smaller split for trial runs, off the event loop: some of the training users, drawn by a seed, the most popular
   * items, and the same validation users with what is left of their items. It has no test users, so that nothing that
   * is decided on it can have seen them. Samples with as many items ask the same; with the same seed, a smaller one's
   * users are among a larger one's.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option.
   */
  async sample(options?: SampleOptions, run: Abortable = {}): Promise<Split> {
    const signal = signalOf(run);
    return new Split(await running({ signal }, () => this.native.sample(toJson(options))));
  }

  /**
   * Writes the split in that layout.
   *
   * @throws {@link RecvaeError} `IO`.
   */
  async write(folder: string): Promise<void> {
    checkString(folder, 'folder');
    return guardAsync(() => this.native.writeOfficial(folder));
  }

  /**
   * Users and distinct interactions of all parts together: by some kinds of splits, users are in several of them.
   *
   * @internal
   */
  totals(): { users: number; interactions: number } {
    const [users, interactions] = guard(() => this.native.totals()) as [number, number];
    return { users, interactions };
  }

  /**
   * Sizes and a hash of all parts with their ids, in one line.
   *
   * @internal
   */
  fingerprint(): string {
    return guard(() => this.native.fingerprint());
  }

  /**
   * Disposes of the split and of its parts, whose native memory is freed at once, or when the calls in flight that use
   * it have ended. Whatever is asked afterwards throws `INVALID_ARGUMENT`. To dispose again does nothing.
   */
  dispose(): void {
    for (const part of [this.train, this.validation, this.test]) part.dispose();
    guard(() => this.native.dispose());
  }

  /** {@link Split.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Splits by users, unless the option `kind` says otherwise (strong generalisation, the protocol of the Mult-VAE paper):
 * validation and test users are held out whole, and a share of each one's items has to be found from the others. The
 * same seed gives the same split. Users with fewer than `minUserItems` items are never held out: they are trained on,
 * or with `shortUsers: 'drop'` left out as in that paper. {@link Split.leftOut} says what is in none of the parts.
 *
 * By the kinds `time`, `last` and `share` users are trained on with a part of their items, and asked for the others:
 * what came later by the clock, their last items, or a share of them. Items that nobody is trained on cannot be found;
 * they are counted.
 *
 * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option, or for a kind that needs times which the data do not
 * have; `INVALID_DATA` if there are too few users.
 */
export async function split(interactions: Interactions, options?: SplitOptions, run: Abortable = {}): Promise<Split> {
  checkInstance(interactions, 'interactions', Interactions);
  const signal = signalOf(run);
  return Split.wrap(await running({ signal }, () => native.split(interactions.native, toJson(options))));
}

/** The users that are trained on. */
export function trainingPart(data: Interactions | Split, what: string): Interactions {
  checkInstance(data, what, Split, Interactions);
  return data instanceof Split ? data.train : data;
}
