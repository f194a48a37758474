/** Waiting that an AbortSignal ends. No listener stays on the signal while nothing is waited for. */

/** How a call can be stopped. */
export interface Abortable {
  /**
   * Stops the work. The promise is rejected with the signal's reason, as soon as the work has ended and its memory is given
   * back: that takes a moment, such as one batch of training. By default nothing stops it.
   */
  signal?: AbortSignal | undefined;
}

/** What `promise` gives, unless the signal is aborted before: then what is thrown is its reason. */
export async function unlessAborted<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  if (!signal) return promise;
  let onAbort = () => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      onAbort = () => reject(signal.reason);
      promise.then(resolve, reject);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * What an iterable hands out, until the signal is aborted: then its reason is thrown and the iterable is closed, also while
 * it does not answer.
 */
export async function* untilAborted<T>(
  signal: AbortSignal | undefined,
  iterable: Iterable<T> | AsyncIterable<T>,
): AsyncGenerator<T> {
  signal?.throwIfAborted();
  if (!signal) {
    yield* iterable;
    return;
  }
  const iterator = Symbol.asyncIterator in iterable ? iterable[Symbol.asyncIterator]() : iterable[Symbol.iterator]();
  let state: 'asked' | 'answered' | 'ended' = 'answered';
  try {
    for (;;) {
      state = 'asked';
      const { done, value } = await unlessAborted(
        signal,
        Promise.resolve(iterator.next()).catch((error) => {
          state = 'ended';
          throw error;
        }),
      );
      state = done ? 'ended' : 'answered';
      if (done) return;
      yield value;
    }
  } finally {
    // An iterable that does not answer would not end either: it is told, and not waited for.
    const closed = state === 'ended' ? undefined : Promise.resolve(iterator.return?.());
    if (state === 'answered') await closed;
    else closed?.catch(() => {});
  }
}
