/** Ctrl-C and its kin: the first signal stops the work, which then cleans up; a second one ends the process at once. */
import { constants } from 'node:os';
import { unlessAborted } from '../runtime/abort.js';
import { message, SIGNALS } from './output.js';

/** Why a command stops: the process was sent a signal. */
export class Interrupted extends Error {
  /** What a shell makes of the signal: 128 and its number. */
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`stopped by ${signal}`);
    this.exitCode = 128 + constants.signals[signal];
  }
}

/** How many pieces of work listen to signals themselves. */
let working = 0;

/** Lets signals end the process also where no work stops at them, as an end that cleans up. */
export function endOnSignals(): void {
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (working > 0) return;
      const { message: why, exitCode } = new Interrupted(signal);
      message(`recvae: ${why}`);
      process.exit(exitCode);
    });
  }
}

/**
 * Runs work that stops when the process is sent a signal. That throws {@link Interrupted} also where the work was done
 * before it looked, so that a shell does not go on with the next command.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    const interrupted = new Interrupted(signal);
    if (controller.signal.aborted) process.exit(interrupted.exitCode);
    controller.abort(interrupted);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  working += 1;
  try {
    const result = await work(controller.signal);
    controller.signal.throwIfAborted();
    return result;
  } finally {
    working -= 1;
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

/**
 * Waits until the process is told to end, by Ctrl-C or SIGTERM, which here is no failure; SIGHUP calls `onHangUp`
 * instead. A second one, while what follows cleans up, ends the process at once.
 */
export async function untilStopped(onHangUp: () => void): Promise<NodeJS.Signals> {
  working += 1;
  process.on('SIGHUP', onHangUp);
  return new Promise((resolve) => {
    let isEnding = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (isEnding) process.exit(new Interrupted(signal).exitCode);
      isEnding = true;
      resolve(signal);
    };
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  });
}

/**
 * Waits for what nothing stops, such as writing a file. A signal throws {@link Interrupted} at once: the process has to
 * end.
 */
export function leavable<T>(work: () => Promise<T>): Promise<T> {
  return interruptible((signal) => unlessAborted(signal, work()));
}
