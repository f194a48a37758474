/** Waiting that an AbortSignal ends. No listener stays on the signal while nothing is waited for. */
import { setImmediate } from 'node:timers/promises';

/** How a call can be stopped. */
export interface Abortable {
  /**
   * Stops the work. The promise is rejected with the signal's reason, as soon as the work has ended and its memory is
   * given back: that takes a moment, such as one batch of training. By default nothing stops it.
   */
  signal?: AbortSignal | undefined;
}

/** What is called when a signal is aborted. Node warns of many listeners, so one of ours serves any number of calls. */
class Listener {
  static readonly #all = new WeakMap<AbortSignal, Listener>();
  readonly #actions = new Set<() => void>();
  readonly #signal: AbortSignal;
  readonly #listen = () => {
    for (const act of [...this.#actions]) act();
  };

  private constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#listen, { once: true });
    Listener.#all.set(signal, this);
  }

  static of(signal: AbortSignal): Listener {
    return Listener.#all.get(signal) ?? new Listener(signal);
  }

  add(act: () => void): void {
    this.#actions.add(act);
  }

  remove(act: () => void): void {
    this.#actions.delete(act);
    if (this.#actions.size > 0) return;
    this.#signal.removeEventListener('abort', this.#listen);
    Listener.#all.delete(this.#signal);
  }
}

/** Calls `act`, which must not throw, when the signal is aborted. What is given back takes it off the signal. */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  const listener = Listener.of(signal);
  listener.add(act);
  return () => listener.remove(act);
}

/** What `promise` gives, unless the signal is aborted before: then what is thrown is its reason. */
export async function unlessAborted<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  if (!signal) return promise;
  let release = () => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      const abort = () => reject(signal.reason);
      promise.then(resolve, reject);
      if (signal.aborted) abort();
      else release = onAbort(signal, abort);
    });
  } finally {
    release();
  }
}

/** What a stream has beside an iterator. */
type Stream<T> = { destroy?: () => unknown; getReader?: () => ReadableStreamDefaultReader<T> };

/**
 * The iterator of an iterable. Its `return` closes a stream also while that does not answer, for which the `return` of
 * a stream's own iterator would wait.
 */
export function openIterator<T>(iterable: Iterable<T> | AsyncIterable<T>): Iterator<T> | AsyncIterator<T> {
  const stream = iterable as Stream<T>;
  if (typeof stream.getReader === 'function') return openReader(stream.getReader());
  const iterator = Symbol.asyncIterator in iterable ? iterable[Symbol.asyncIterator]() : iterable[Symbol.iterator]();
  if (typeof stream.destroy !== 'function') return iterator;
  return {
    next: async () => iterator.next(),
    return: async () => {
      stream.destroy!();
      return (await iterator.return?.()) ?? { done: true, value: undefined };
    },
  };
}

/** The same of a web stream, such as the body of a response. */
function openReader<T>(reader: ReadableStreamDefaultReader<T>): AsyncIterator<T> {
  return {
    next: async () => {
      const { done, value } = await reader.read();
      if (!done) return { done, value };
      reader.releaseLock();
      return { done: true, value: undefined };
    },
    return: async () => {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}

/** Milliseconds after which the event loop gets its turn, where an iterable that never waits would keep it waiting. */
const TURN = 10;

/**
 * What an iterable hands out, until the signal is aborted: then its reason is thrown and the iterable is closed, also
 * while it does not answer.
 */
export async function* untilAborted<T>(
  signal: AbortSignal | undefined,
  iterable: Iterable<T> | AsyncIterable<T>,
): AsyncGenerator<T> {
  let turn = performance.now();
  const letOthers = async () => {
    await setImmediate();
    turn = performance.now();
  };
  if (!signal) {
    for await (const value of iterable) {
      yield value;
      if (performance.now() - turn > TURN) await letOthers();
    }
    return;
  }
  const iterator = openIterator(iterable);
  let state: 'asked' | 'answered' | 'ended' = 'answered';
  try {
    signal.throwIfAborted();
    for (;;) {
      state = 'asked';
      const next = (async () => iterator.next())();
      next.catch(() => {
        state = 'ended'; // it threw itself
      });
      const { done, value } = await unlessAborted(signal, next);
      state = done ? 'ended' : 'answered';
      if (done) return;
      yield value;
      if (performance.now() - turn > TURN) await letOthers();
      signal.throwIfAborted();
    }
  } finally {
    // An iterable that does not answer would not end either: it is told, and not waited for.
    const closed = state === 'ended' ? undefined : Promise.resolve(iterator.return?.());
    if (state === 'answered') await closed;
    else closed?.catch(() => {});
  }
}
