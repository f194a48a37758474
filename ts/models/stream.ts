/**
 * Recommendations for a stream of histories: in batches, two of which are in memory at a time, in the order of the
 * stream.
 */
import { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { idOf, idsOf } from '../data/ids.js';
import { onAbort, openIterator, unlessAborted } from '../runtime/abort.js';
import { checkObject, invalid, isIterable, knownKeys } from '../runtime/check.js';
import type { RunOptions } from '../runtime/running.js';
import type { ServeOptions } from './filter.js';
import {
  REQUEST_KEYS,
  type Recommendation,
  type Requests,
  type RequestTexts,
  requestsOfTexts,
  type UserRecommendation,
  type UserRequest,
} from './serving.js';

const KEYS = ['user', ...REQUEST_KEYS];

/** Histories that are scored together. */
const BATCH = 1024;

/** What recommends for a batch of histories whose ids were looked at. */
interface Recommender {
  recommendRequests: (requests: Requests, options?: ServeOptions, run?: RunOptions) => Promise<Recommendation[]>;
}

/** A history with the texts of its ids, and its user. */
interface Row extends RequestTexts {
  user: string;
}

/** What is asked of a source of histories, one at a time. */
type Source = Iterator<UserRequest> | AsyncIterator<UserRequest>;

/** The iterator of histories. */
export function openHistories(histories: Iterable<UserRequest> | AsyncIterable<UserRequest>): Source {
  if (typeof histories !== 'object' || !isIterable(histories))
    throw invalid('histories', histories, 'an iterable of {user, items}');
  return openIterator(histories);
}

/**
 * Results in groups: as many histories as have come by the time the ones before them are done, up to 1,024. The next
 * group is gathered and scored while the results of the last one are used. What the source throws comes after the
 * results of all histories before it.
 */
export async function* recommendGroups(
  model: Recommender,
  source: Source,
  options: ServeOptions | undefined,
  run: RunOptions,
): AsyncGenerator<UserRecommendation[]> {
  const { signal } = run;
  const gatherer = new Gatherer(source);
  const start = async () => {
    const rows = await gatherer.group();
    if (rows.length === 0) return undefined;
    const results = model.recommendRequests(requestsOfTexts(rows), options, run);
    results.catch(() => {}); // it is looked at when its turn comes
    return { rows, results };
  };
  // A source may take long to answer.
  const next = (ahead: ReturnType<typeof start>) => unlessAborted(signal, ahead);
  try {
    signal?.throwIfAborted();
    let ahead = start();
    for (let group = await next(ahead); group; group = await next(ahead)) {
      ahead = start();
      ahead.catch(() => {});
      const { rows, results } = group;
      yield (await results).map((result, at) => ({ user: rows[at]!.user, ...result }));
    }
  } finally {
    await gatherer.close();
  }
}

/** Asks a source for histories, one after the other. */
class Gatherer {
  readonly #source: Source;
  /** The answer that is awaited. */
  #next: Promise<IteratorResult<UserRequest>> | undefined;
  #failed: { error: unknown } | undefined;
  #ended = false;
  #number = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  /** At least one history, unless the source has ended, and those that come without waiting. */
  async group(): Promise<Row[]> {
    if (this.#failed) throw this.#failed.error;
    const rows: Row[] = [];
    try {
      while (rows.length < BATCH && !this.#ended) {
        this.#next ??= Promise.resolve(this.#source.next());
        // What has arrived is answered before more is waited for.
        if (rows.length > 0 && !(await comesSoon(this.#next))) break;
        const { done, value } = await this.#next;
        this.#next = undefined;
        if (done) this.#ended = true;
        else rows.push(this.#check(value));
      }
    } catch (error) {
      this.#ended ||= this.#next !== undefined; // it threw itself
      this.#next = undefined;
      if (rows.length === 0) throw error;
      this.#failed = { error };
    }
    return rows;
  }

  #check(history: UserRequest): Row {
    const what = `history ${this.#number}`;
    checkObject(history, what);
    knownKeys(history, KEYS, what);
    const user = idOf(history.user, `user of ${what}`);
    const items = idsOf(history.items, 'items', ` of ${what}`);
    const row: Row = { user, items };
    for (const name of ['allow', 'deny'] as const) {
      if (history[name] !== undefined) row[name] = idsOf(history[name], name, ` of ${what}`);
    }
    this.#number += 1;
    return row;
  }

  /** Lets the source clean up, without waiting for an answer that may never come. */
  async close(): Promise<void> {
    if (this.#ended) return;
    const closed = Promise.resolve(this.#source.return?.()).catch(() => {});
    if (this.#next === undefined) await closed;
    else this.#next.catch(() => {});
  }
}

/** Whether a promise is settled once the event loop has gone round. */
async function comesSoon(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  // Sources that have the next history at hand answer within a few microtasks; going round takes longer.
  for (let turn = 0; turn < 8 && !settled; turn += 1) await undefined;
  if (!settled) await setImmediate();
  return settled;
}

/** What is written to a stream, as a source of one history at a time: a write is done when its history is taken. */
class Written implements AsyncIterableIterator<UserRequest> {
  #offered: { history: UserRequest; done: () => void } | undefined;
  #taker: ((result: IteratorResult<UserRequest>) => void) | undefined;
  #ended = false;

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<UserRequest>> {
    const offered = this.#offered;
    this.#offered = undefined;
    offered?.done();
    if (offered) return Promise.resolve({ done: false, value: offered.history });
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#taker = resolve;
    });
  }

  return(): Promise<IteratorResult<UserRequest>> {
    this.end();
    return this.next();
  }

  offer(history: UserRequest, done: () => void): void {
    const taker = this.#taker;
    this.#taker = undefined;
    if (!taker) {
      this.#offered = { history, done };
      return;
    }
    taker({ done: false, value: history });
    done();
  }

  end(): void {
    this.#ended = true;
    this.#taker?.({ done: true, value: undefined });
  }
}

/** A stream of histories to one of results. */
export function duplex(
  recommend: (histories: AsyncIterable<UserRequest>) => AsyncGenerator<UserRecommendation>,
  signal: AbortSignal | undefined,
): Duplex {
  const written = new Written();
  const results = recommend(written);
  const stream = new Duplex({
    objectMode: true,
    write: (history: UserRequest, _, done) => written.offer(history, done),
    final(done) {
      written.end();
      done();
    },
    read() {
      results.next().then(
        ({ done, value }) => this.push(done ? null : value),
        (error) => this.destroy(error),
      );
    },
    destroy(error, done) {
      release?.();
      written.end();
      results.return(undefined).catch(() => {});
      done(error);
    },
  });
  // Also a stream that nobody reads at the moment. Streams take no error that is false.
  const abort = () => stream.destroy(signal?.reason || new DOMException('This operation was aborted', 'AbortError'));
  const release = signal && onAbort(signal, abort);
  if (signal?.aborted) abort();
  return stream;
}
