/**
 * Jobs of many trainings that go on after a crash, a kill or an abort: a file of JSON lines. The first line says what
 * the job is, each further one is a training that has ended.
 */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
  writeSync,
} from 'node:fs';
import { checkString, invalid } from '../runtime/check.js';
import { guard, RecvaeError } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import { native } from '../runtime/native.js';

/** Version of the file and of what its records mean. */
const FORMAT = 1;

/** What a job is; all of it must be equal for a job to go on. */
export type JournalHeader = Record<string, Json>;

/** JSON text that does not depend on the order of keys. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, it) =>
    typeof it === 'object' && it !== null && !Array.isArray(it)
      ? Object.fromEntries(Object.entries(it).sort(([a], [b]) => (a < b ? -1 : 1)))
      : it,
  );
}

/** The trainings of a job that have ended, by their keys; in a file if there is a path. */
export class Journal<R = Json> implements Disposable {
  /** What the file held when it was opened, and what was added. */
  readonly done = new Map<string, R>();
  readonly #release: () => void;
  readonly #file: number | undefined;

  private constructor(file?: number, release = () => {}) {
    this.#file = file;
    this.#release = release;
  }

  /**
   * Opens the journal of a job, or begins one; without a path it is kept in memory alone. A last line that is cut off,
   * by a kill in the middle of writing, is dropped. One at a time may use a file, also of two workers of one process: a
   * lock of the operating system on `<path>.lock`, which says whose it is, ends with who took it.
   *
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for a journal of another job, with what is there and what is asked
   * for, and for one that another process uses; `INVALID_DATA` for a file that is no journal; `IO`.
   */
  static open<R = Json>(path: string | undefined, header: JournalHeader): Journal<R> {
    if (path === undefined) return new Journal<R>();
    checkString(path, 'journal');
    if (path === '') throw invalid('journal', path, 'a path');
    return guard(() => {
      if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) {
        throw new RecvaeError('IO', `cannot write ${path}: it is there and is not a regular file`);
      }
      const file = openSync(path, 'a+');
      let release = () => {};
      try {
        release = lock(path);
        const journal = new Journal<R>(file, release);
        journal.#read(path, { format: FORMAT, ...header });
        return journal;
      } catch (error) {
        closeSync(file);
        release();
        throw error;
      }
    });
  }

  /** Adds a training that has ended: one line, on the disk when this returns. */
  add(key: string, record: R): void {
    this.done.set(key, record);
    guard(() => this.#write({ key, record }));
  }

  /** Closes the file. It stays: remove it when its job's result is safe. */
  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#release();
  }

  #write(line: unknown): void {
    if (this.#file === undefined) return;
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
    fsyncSync(this.#file);
  }

  #read(path: string, header: JournalHeader): void {
    const bytes = readFileSync(path);
    const end = bytes.lastIndexOf('\n') + 1;
    const [first, ...lines] = bytes.subarray(0, end).toString().split('\n').slice(0, -1);
    if (first === undefined) {
      const expected = JSON.stringify(header);
      if (!expected.startsWith(bytes.toString())) throw notOne(path, 1);
      ftruncateSync(this.#file!, 0);
      this.#write(header);
      return;
    }
    const there = parse(path, 1, first);
    if (there === null || typeof there !== 'object' || !('format' in there)) throw notOne(path, 1);
    refuseOther(path, there as JournalHeader, header);
    for (const [at, line] of lines.entries()) {
      const { key, record } = (parse(path, at + 2, line) ?? {}) as { key?: unknown; record?: R };
      if (typeof key !== 'string' || record === undefined) throw notOne(path, at + 2);
      this.done.set(key, record);
    }
    ftruncateSync(this.#file!, end);
  }
}

function parse(path: string, line: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notOne(path, line);
  }
}

function notOne(path: string, line: number): RecvaeError {
  return new RecvaeError(
    'INVALID_DATA',
    `${path}, line ${line}: not a line of a journal; allowed: a journal or no file`,
  );
}

/** JSON in a message: of what takes more than a few lines the beginning is enough to know it by. */
function shortened(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** Fails unless the job there is the job now. */
function refuseOther(path: string, there: JournalHeader, now: JournalHeader): void {
  const differences = [...new Set([...Object.keys(now), ...Object.keys(there)])]
    .map((name) => [name, canonical(there[name] ?? null), canonical(now[name] ?? null)])
    .filter(([, before, after]) => before !== after)
    .map(([name, before, after]) => `${name}: ${shortened(before!)} there, ${shortened(after!)} now`);
  if (differences.length === 0) return;
  const text = `journal is '${path}', which is one of another job (${differences.join('; ')})`;
  throw new RecvaeError('INVALID_ARGUMENT', `${text}; allowed: one of the same job, or a path where nothing is`);
}

/** Locks that this thread holds: one that the garbage collector found would be let go. */
const held = new Set<native.NativeLock>();

/** Takes the lock of a journal that is there, by whatever name; what is given back releases it. */
function lock(path: string): () => void {
  const file = `${realpathSync(path)}.lock`;
  const lock = native.NativeLock.tryTake(file);
  if (!lock.held) {
    const who = lock.owner === null ? 'another process' : `process ${lock.owner}`;
    const text = `journal is '${path}', which ${who} uses (${file})`;
    throw new RecvaeError('INVALID_ARGUMENT', `${text}; allowed: one that nobody else uses`);
  }
  held.add(lock);
  return () => {
    held.delete(lock);
    lock.release();
  };
}
