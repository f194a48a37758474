/** How long a model takes for one request. */
import { setImmediate } from 'node:timers/promises';
import type { HeldOut } from '../data/split.js';
import type { Model } from '../models/model.js';
import { type Abortable, unlessAborted } from '../runtime/abort.js';

/** Wall-clock seconds of single requests: a list of 100 items for the history of one held-out user. */
export interface RequestSeconds {
  median: number;
  /** What nine of ten requests stay below. */
  p90: number;
  /** How many were made. */
  requests: number;
}

/** Items of each list. */
const LENGTH = 100;
/** Requests at most, and milliseconds after which no other one begins. */
const MOST = 32;
const MOST_MILLISECONDS = 250;

/** Times requests of users spread over `heldOut`, one after the other on the event loop, which goes on between them. */
export async function timeRequests(model: Model, heldOut: HeldOut, { signal }: Abortable): Promise<RequestSeconds> {
  const users = heldOut.userIds();
  const count = Math.min(MOST, users.length);
  const histories = Array.from({ length: count }, (_, at) => {
    return heldOut.input(users[Math.floor((at * users.length) / count)]!)!;
  });
  const seconds: number[] = [];
  model.recommend(histories[0]!, { k: LENGTH }); // the first one makes room for the others
  const started = performance.now();
  for (const history of histories) {
    if (performance.now() - started > MOST_MILLISECONDS && seconds.length > 0) break;
    const from = performance.now();
    model.recommend(history, { k: LENGTH });
    seconds.push((performance.now() - from) / 1000);
    await unlessAborted(signal, setImmediate());
  }
  seconds.sort((a, b) => a - b);
  const quantile = (share: number) => seconds[Math.ceil(share * seconds.length) - 1]!;
  return { median: quantile(0.5), p90: quantile(0.9), requests: seconds.length };
}
