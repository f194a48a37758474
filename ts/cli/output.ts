/** Results on stdout or in files, messages on stderr. */
import { closeSync, mkdirSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';
import Table from 'cli-table3';
import { RecvaeError, toRecvaeError } from '../errors.js';
import { beside, writeAll } from '../files.js';
import type { Progress } from '../models.js';

/** Writes a line for people to stderr. */
export function message(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Writes a result to stdout and waits until it has left. */
export function print(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()));
}

/**
 * Fails if a file could not be written at `path`, so that long work is not done in vain. Nothing is left behind.
 * Permissions are tried, not read: read-only file systems and quotas count.
 */
export function checkWritable(path: string, flag: string): void {
  if (path === '') throw new RecvaeError('INVALID_ARGUMENT', `${flag} is ''; allowed: a path`);
  if (path === '-') return;
  attempt(path, () => {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
      throw Object.assign(new Error(`it is a folder`), { syscall: 'open' });
    }
    const trial = beside(path);
    closeSync(openSync(trial, 'wx'));
    rmSync(trial);
  });
}

/** The same for files in a folder that need not be there yet, and is not there afterwards. */
export function checkWritableFolder(path: string, flag: string): void {
  if (path === '') throw new RecvaeError('INVALID_ARGUMENT', `${flag} is ''; allowed: a path`);
  attempt(path, () => {
    const created = mkdirSync(path, { recursive: true });
    try {
      const trial = beside(join(path, 'trial'));
      closeSync(openSync(trial, 'wx'));
      rmSync(trial);
    } finally {
      if (created !== undefined) rmSync(created, { recursive: true, force: true });
    }
  });
}

function attempt(path: string, work: () => void): void {
  try {
    work();
  } catch (thrown) {
    const { message, code } = toRecvaeError(thrown);
    throw toRecvaeError(Object.assign(new Error(`cannot write ${path}: ${message}`), { code, syscall: 'open' }));
  }
}

/** Text of a file of JSON. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Writes JSON to a file, whole or not at all, or to stdout for `-`. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  const text = jsonText(value);
  if (path === '-') return print(text);
  await writeAll([{ path, write: (temporary) => writeFileSync(temporary, text, { flag: 'wx' }) }]);
}

/** Rows in columns; numbers stand to the right. */
export function table(head: string[], rows: string[][]): string {
  const none = '';
  const chars = Object.fromEntries(
    [
      'top',
      'top-mid',
      'top-left',
      'top-right',
      'bottom',
      'bottom-mid',
      'bottom-left',
      'bottom-right',
      'left',
      'left-mid',
    ]
      .concat(['mid', 'mid-mid', 'right', 'right-mid'])
      .map((name) => [name, none]),
  );
  const isNumber = (column: number) => rows.every((row) => /^[-+.\d]|^$/.test(row[column] ?? ''));
  const result = new Table({
    head,
    colAligns: head.map((_, column) => (column > 0 && isNumber(column) ? 'right' : 'left')),
    chars: { ...chars, middle: '  ' },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  result.push(...rows);
  const lines = result.toString().split('\n');
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

/** A mean with its standard error. */
export function withError({ mean, standardError }: { mean: number; standardError: number | null }): string {
  return standardError === null ? mean.toFixed(4) : `${mean.toFixed(4)} ± ${standardError.toFixed(4)}`;
}

/** What ends a process that does not listen. */
export const SIGNALS: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** A bar with an estimate of the time left, where stderr is a terminal; nothing elsewhere. */
export class Bar {
  #bar: SingleBar | undefined;
  readonly #format: string;
  /** Gives the terminal its cursor and its line wrap back; where nobody else listens, the signal ends the process as ever. */
  readonly #onSignal = (signal: NodeJS.Signals) => {
    this.stop();
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };

  /** @param format - cli-progress's; words of its own are given to `update`. */
  constructor(format: string) {
    this.#format = format;
  }

  /** `value` of `total` is done. */
  update(value: number, total: number, words: Record<string, string> = {}): void {
    if (!process.stderr.isTTY) return;
    if (!this.#bar) {
      this.#bar = new SingleBar({
        format: this.#format,
        stream: process.stderr,
        hideCursor: true,
        clearOnComplete: true,
        gracefulExit: false, // it would swallow the signal
      });
      for (const signal of SIGNALS) process.once(signal, this.#onSignal);
      this.#bar.start(total, 0, words);
    }
    this.#bar.update(value, words);
  }

  /** Takes the bar off the screen. */
  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }
}

/**
 * Epochs as a bar, and where stderr is no terminal as a line for each tenth of them. Epochs may be left out. What a closed form
 * has done is a bar of its share, and where stderr is no terminal nothing.
 */
export class EpochBar {
  /** The epoch of the last line, and of which model. */
  #last = { label: '', epoch: 0 };
  readonly #bar = new Bar('{label} [{bar}] epoch {value}/{total} {validation} | {eta_formatted} left');
  readonly #share = new Bar('{label} [{bar}] {percentage} % | {eta_formatted} left');

  /** An epoch ended, or a closed form is so far. */
  update(label: string, { epoch, epochs, validation, fraction }: Progress): void {
    if (fraction !== undefined) {
      this.#share.update(Math.round(1000 * fraction), 1000, { label });
      if (fraction === 1) this.#share.stop();
      return;
    }
    const text = validation === undefined ? '' : `| validation ${validation.toFixed(4)}`;
    this.#bar.update(epoch, epochs, { label, validation: text });
    const tenth = (number: number) => Math.floor((10 * number) / epochs);
    const last = this.#last.label === label && this.#last.epoch < epoch ? this.#last.epoch : 0;
    if (!process.stderr.isTTY && (last === 0 || tenth(epoch) > tenth(last))) {
      this.#last = { label, epoch };
      message(`${label} epoch ${epoch}/${epochs}${text && ` ${text}`}`);
    }
  }

  /** Takes the bar off the screen. */
  stop(): void {
    this.#bar.stop();
    this.#share.stop();
  }
}
