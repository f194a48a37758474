/** An abort in the middle of a call, at any speed of the machine. */
import { getEventListeners } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'vitest';
import type { RunOptions } from '../dist/index.js';

const ATTEMPTS = 10;

/**
 * Settles an aborted call while the same call, started at the same time with as many threads, still works. How long a
 * call takes is known from the one before only, and a busy machine may make that one slow: then the abort comes too
 * late, and it is tried again, a bit earlier. Gives back the results of the calls that were not aborted, the one before
 * and the one beside.
 */
export async function stopsEarly<T>(call: (run: RunOptions) => Promise<T>): Promise<{ alone: T; beside: T }> {
  for (let attempt = 1; ; attempt += 1) {
    const started = performance.now();
    const alone = await call({});
    const time = performance.now() - started;
    const controller = new AbortController();
    const order: string[] = [];
    const settled = Promise.allSettled([call({ signal: controller.signal })]).finally(() => order.push('stopped'));
    const whole = call({}).finally(() => order.push('whole'));
    await setTimeout(time / (2 + attempt));
    const reason = { why: 'enough' };
    controller.abort(reason);
    const [outcome] = await settled;
    const beside = await whole;
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    const early = outcome.status === 'rejected' && order[0] === 'stopped';
    if (!early && attempt < ATTEMPTS) continue;
    expect(outcome.status, 'of the call that was aborted').toBe('rejected');
    expect((outcome as PromiseRejectedResult).reason).toBe(reason);
    expect(order).toEqual(['stopped', 'whole']);
    return { alone, beside };
  }
}
