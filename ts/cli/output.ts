/** Results on stdout or in files, messages on stderr. */
import { fstatSync, mkdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import Table from 'cli-table3';
import { guard, RecvaeError, toRecvaeError } from '../runtime/errors.js';
import { type Output, writeAll } from '../runtime/files.js';
import { native } from '../runtime/native.js';
import { escaped, escapedInLines } from '../runtime/text.js';

export { escaped, shellWord } from '../runtime/text.js';

/** A message as a terminal may have it. Whatever is in it, only its first line begins at the margin, as messages do. */
export function shown(text: string): string {
  return escapedInLines(text).replace(/\n(?=\S)/g, '\n  ');
}

/** A number with five digits behind the point; what rounds to zero has no sign. */
export function fiveDigits(number: number): string {
  return number.toFixed(5).replace(/^-(0\.0*)$/, '$1');
}

/** How messages are written to stderr: `--quiet` and `--log json`. */
export const logging: { quiet: boolean; format: 'text' | 'json' } = { quiet: false, format: 'text' };

/** How grave a message is, as its beginning says. */
function levelOf(text: string): 'error' | 'warn' | 'info' {
  if (text.startsWith('recvae: ')) return 'error';
  return text.startsWith('warning: ') ? 'warn' : 'info';
}

/**
 * Writes a message for people to stderr, or with `--log json` as a line of JSON with `time`, `level`, `message` and
 * `fields` for programs. `--quiet` leaves out what is neither a warning nor an error.
 */
export function message(text: string, fields: Record<string, unknown> = {}): void {
  const level = levelOf(text);
  if (logging.quiet && level === 'info') return;
  if (logging.format === 'text') {
    process.stderr.write(`${shown(text)}\n`);
    return;
  }
  const time = new Date().toISOString();
  const line = { time, level, message: text.replace(/^(?:recvae|warning): /, ''), ...fields };
  process.stderr.write(`${escapedInLines(JSON.stringify(line))}\n`);
}

/** Whether there is somebody to show a bar to. */
export function hasBar(): boolean {
  return process.stderr.isTTY === true && !logging.quiet && logging.format === 'text';
}

/**
 * Writes a result to stdout and waits until it has left. In JSON too, whose escapes mean the same as the characters.
 */
export async function print(text: string): Promise<void> {
  const safe = escapedInLines(text);
  if (isFile()) writeOut(safe);
  else await new Promise<void>((resolve) => process.stdout.write(safe, () => resolve()));
}

/** The same for bytes, as they are. */
export async function printBytes(bytes: Uint8Array): Promise<void> {
  if (isFile()) writeOut(bytes);
  else await new Promise<void>((resolve) => process.stdout.write(bytes, () => resolve()));
}

/** Writes to stdout, to a file all of it: Node takes for success that a full disk had room for a part. */
export function writeOut(content: string | Uint8Array): void {
  if (!isFile()) {
    process.stdout.write(content);
    return;
  }
  const bytes = Buffer.from(content);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
  } catch (thrown) {
    throw cannotPrint(thrown);
  }
}

/** Whether stdout is a file, or a device that is no terminal. */
function isFile(): boolean {
  const stdout = fstatSync(1);
  return stdout.isFile() || (stdout.isCharacterDevice() && !isatty(1));
}

/** The error of an output that nobody could take. */
export function cannotPrint(thrown: unknown): RecvaeError {
  return new RecvaeError('IO', `cannot write to stdout: ${(thrown as Error).message}`, { cause: thrown });
}

/**
 * Fails if a file that is asked for could not be written at `path`, so that long work is not done in vain. Nothing is
 * left behind. Permissions are tried, not read: read-only file systems and quotas count.
 */
export function checkWritable(path: string | undefined, flag: string): void {
  if (path === '') throw new RecvaeError('INVALID_ARGUMENT', `${flag} is ''; allowed: a path`);
  if (path === '-' && flag === '--json') return;
  // Elsewhere it stands for stdin or stdout: nobody means a file of that name.
  if (path === '-')
    throw new RecvaeError('INVALID_ARGUMENT', `${flag} is '-'; allowed: a path, such as ./- for that name`);
  if (path !== undefined) guard(() => native.checkWritable(path));
}

/** The same for files in a folder that need not be there yet, and is not there afterwards. */
export function checkWritableFolder(path: string, flag: string): void {
  if (path === '') throw new RecvaeError('INVALID_ARGUMENT', `${flag} is ''; allowed: a path`);
  const trial = join(path, 'trial');
  try {
    const created = mkdirSync(path, { recursive: true });
    try {
      native.checkWritable(trial);
    } finally {
      if (created !== undefined) rmSync(created, { recursive: true, force: true });
    }
  } catch (thrown) {
    const { message } = toRecvaeError(thrown);
    const reason = message.replace(`cannot write ${trial}: `, '');
    throw new RecvaeError('IO', `cannot write ${path}: ${reason}`, { cause: thrown });
  }
}

/**
 * The version of what commands write as JSON, which docs/schemas describes: it grows when a key goes or means something
 * else.
 */
const JSON_VERSION = 1;

/** Text of a file of JSON: the keys of a result behind the version. */
export function jsonText(result: object): string {
  return `${JSON.stringify({ version: JSON_VERSION, ...result }, null, 2)}\n`;
}

/** What writes JSON to a file. */
export function writing(value: object): (path: string) => void {
  return (path) => writeFileSync(path, jsonText(value));
}

/** Writes JSON to a file, whole or not at all, or to stdout for `-`. */
export async function writeJson(path: string, value: object): Promise<void> {
  if (path === '-') return print(jsonText(value));
  await writeAll([{ path, write: writing(value) }]);
}

/**
 * Writes what came of a costly job: files, of which the first is told, and the report, to stdout also where a file
 * cannot be written.
 */
export async function writeResult<R extends { warnings: string[] }>(
  report: R,
  files: Output[],
  json: string | undefined,
  render: (report: R) => string,
): Promise<void> {
  const outputs = json === undefined || json === '-' ? files : [...files, { path: json, write: writing(report) }];
  try {
    await writeAll(outputs);
    if (files.length > 0) message(`saved: ${files[0]!.path}`);
  } finally {
    for (const warning of report.warnings) message(`warning: ${warning}`);
    await print(json === '-' ? jsonText(report) : render(report));
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
    head: head.map(escaped),
    colAligns: head.map((_, column) => (column > 0 && isNumber(column) ? 'right' : 'left')),
    chars: { ...chars, middle: '  ' },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  result.push(...rows.map((row) => row.map(escaped)));
  const lines = result.toString().split('\n');
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

/** A mean with its standard error. */
export function withError({ mean, standardError }: { mean: number; standardError: number | null }): string {
  return standardError === null ? mean.toFixed(4) : `${mean.toFixed(4)} ± ${standardError.toFixed(4)}`;
}

/** What ends a process that does not listen. */
export const SIGNALS: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
