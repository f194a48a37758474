// Requests for recommendations, put on a server over many connections at once, and what came of them.
import { readFileSync } from 'node:fs';
import autocannon from 'autocannon';

/** Histories that take turns. */
const HISTORIES = 997;

/** Histories of users of some data, far from each other. */
export function historiesOf(data) {
  const users = data.userIds();
  return Array.from({ length: HISTORIES }, (_, n) => data.history(users[(n * 7919) % users.length]));
}

/**
 * Asks `url` for `k` items for the histories in turn, so many seconds long. `isRight(n, body)` says whether an answer
 * to history n is right. Gives what was counted, with the most memory of the server's process, and whether all went
 * well.
 */
export async function load(url, { histories, k, connections, seconds, isRight, pid }) {
  let wrong = 0;
  const { duration, latency, requests, errors, timeouts, non2xx } = await autocannon({
    url,
    connections,
    duration: seconds,
    requests: histories.map((items, n) => ({
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ items, k }),
      onResponse: (status, body) => {
        if (status !== 200 || !isRight(n, body)) wrong += 1;
      },
    })),
  });
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    connections,
    seconds: duration,
    requests: requests.total,
    perSecond: Math.round(requests.average),
    ...{ p50Ms: latency.p50, p99Ms: latency.p99, maxMs: latency.max, errors, timeouts, non2xx, wrong },
    serverPeakMiB: Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)[1]) / 1024),
    ok: errors === 0 && timeouts === 0 && non2xx === 0 && wrong === 0 && requests.total > 0,
  };
}
