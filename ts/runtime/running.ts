/** Long work while it runs: a signal or a callback that throws stops it, and its progress is asked for. */
import { type Abortable, onAbort, unlessAborted } from './abort.js';
import { guardAsync } from './errors.js';
import { native } from './native.js';

/** How a call runs, as opposed to what it computes. */
export interface RunOptions extends Abortable {
  /**
   * Threads to compute with, at most, 1 to 1,024. By default the cores that this process may use, cgroup limits
   * included. All calls at once share as many threads as there are cores, and four more.
   */
  threads?: number | undefined;
}

/** The keys of {@link RunOptions}. */
export const RUN_KEYS = Object.keys({ threads: true, signal: true } satisfies Record<keyof RunOptions, true>);

/** What the caller of long work gives. */
interface Hooks<P> extends Abortable {
  onProgress?: ((progress: P) => unknown) | undefined;
  /** Called with how far the epoch at work is. */
  onStep?: ((step: native.NativeStep) => unknown) | undefined;
  /** Whether every epoch of a fit is told, in their order, and not only the latest. */
  everyEpoch?: boolean | undefined;
}

/** What the work is given. */
interface Control<P> {
  /** Aborted when the caller's signal is, or its callback has failed. */
  signal: AbortSignal;
  /** Calls the callback, if there is one. */
  tell: (progress: P) => void;
  /** Calls another one, whose failure stops the work too. */
  call: (callback: () => unknown) => void;
}

/**
 * Runs work that the caller's signal stops, for that signal's reason, and so does a callback that throws or gives back
 * a promise that is rejected, for what was thrown; the first of them counts. That holds until the promise is settled,
 * also when the work itself is done. Promises of callbacks are waited for at the end. The signal has no listener left
 * then.
 */
export async function stoppable<P, T>(
  { signal, onProgress }: Hooks<P>,
  work: (control: Control<P>) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  let stopped: { reason: unknown } | undefined;
  const stop = (reason: unknown) => {
    stopped ??= { reason };
    controller.abort();
  };
  const waiting = new Set<Promise<unknown>>();
  const call = (callback: () => unknown) => {
    if (stopped) return;
    try {
      const answer = callback() as PromiseLike<unknown> | undefined;
      if (typeof answer?.then !== 'function') return;
      const done = Promise.resolve(answer).catch(stop);
      waiting.add(done);
      done.finally(() => waiting.delete(done));
    } catch (thrown) {
      stop(thrown);
    }
  };
  const tell = (progress: P) => call(() => onProgress?.(progress));
  const release = signal && onAbort(signal, () => stop(signal.reason));
  try {
    const result = await work({ signal: controller.signal, tell, call });
    await unlessAborted(controller.signal, Promise.all(waiting));
    if (!stopped) return result;
  } catch (thrown) {
    if (!stopped) throw thrown;
  } finally {
    release?.();
  }
  throw stopped.reason;
}

/** Milliseconds between questions how far the work is. */
const PERIOD = 100;

/**
 * Runs long work of the binding. Its progress is asked for, at most ten times a second, and once more at the end: so
 * the last one always arrives, and nothing queues up while the event loop is busy. The timer does not keep the process
 * alive; the promise of the work does.
 */
export function running<P, T>(hooks: Hooks<P>, work: (run: native.NativeRun) => Promise<T>): Promise<T> {
  return stoppable(hooks, async ({ signal, tell, call }) => {
    const run = new native.NativeRun();
    if (hooks.everyEpoch) run.keepEpochs();
    const { onStep } = hooks;
    const ask = () => {
      // Taken first: a step that is older than an epoch that is told says nothing.
      const step = onStep === undefined ? null : run.takeStep();
      let last = 0;
      const told = (progress: unknown) => {
        last = (progress as { epoch?: number }).epoch ?? 0;
        tell(progress as P);
      };
      if (hooks.everyEpoch) for (const epoch of run.takeEpochs()) told(epoch);
      else if (hooks.onProgress !== undefined) {
        const progress = run.takeProgress();
        if (progress !== null) told(progress);
      }
      if (step !== null && step.epoch > last) call(() => onStep?.(step));
    };
    signal.addEventListener('abort', () => run.cancel(), { once: true });
    const isTold = hooks.onProgress !== undefined || onStep !== undefined;
    const timer = isTold ? setInterval(ask, PERIOD).unref() : undefined;
    try {
      const result = await guardAsync(() => work(run));
      if (isTold) ask();
      return result;
    } finally {
      clearInterval(timer);
    }
  });
}
