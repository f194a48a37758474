/** Results on stdout or in files, messages on stderr. */
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SingleBar } from 'cli-progress';
import Table from 'cli-table3';
import { toRecvaeError } from '../errors.js';

/** Writes a line for people to stderr. */
export function message(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Writes a result to stdout and waits until it has left. */
export function print(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()));
}

/** A name for a temporary file in the folder of `path`. */
function beside(path: string): string {
  return join(dirname(path), `.recvae-${basename(path)}-${randomUUID()}`);
}

/**
 * Fails if a file could not be written at `path`, so that long work is not done in vain. Nothing is left behind.
 * Permissions are tried, not read: read-only file systems and quotas count.
 */
export function checkWritable(path: string): void {
  if (path === '-') return;
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
      throw Object.assign(new Error(`it is a folder`), { syscall: 'open' });
    }
    const trial = beside(path);
    closeSync(openSync(trial, 'wx'));
    rmSync(trial);
  } catch (thrown) {
    const { message, code } = toRecvaeError(thrown);
    throw toRecvaeError(Object.assign(new Error(`cannot write ${path}: ${message}`), { code, syscall: 'open' }));
  }
}

/** Writes JSON to a file, whole or not at all, or to stdout for `-`. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  const text = `${JSON.stringify(value, null, 2)}\n`;
  if (path === '-') return print(text);
  const temporary = beside(path);
  try {
    writeFileSync(temporary, text, { flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
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

/** A bar with an estimate of the time left, where stderr is a terminal; nothing elsewhere. */
export class Bar {
  #bar: SingleBar | undefined;
  readonly #format: string;

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
      });
      this.#bar.start(total, 0, words);
    }
    this.#bar.update(value, words);
  }

  /** Takes the bar off the screen. */
  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

/** Epochs as a bar. */
export class EpochBar {
  readonly #bar = new Bar('{label} [{bar}] epoch {value}/{total} {validation} | {eta_formatted} left');

  /** An epoch ended. */
  update(label: string, epoch: number, epochs: number, validation: number | undefined): void {
    const text = validation === undefined ? '' : `| validation ${validation.toFixed(4)}`;
    this.#bar.update(epoch, epochs, { label, validation: text });
  }

  /** Takes the bar off the screen. */
  stop(): void {
    this.#bar.stop();
  }
}
