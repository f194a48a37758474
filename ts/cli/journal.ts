/** `--journal <file>`. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { RecvaeError } from '../errors.js';
import { Interrupted } from './interrupt.js';
import { message } from './output.js';

/** After an interruption, says that the trials that ended are kept. */
export function tellJournal(thrown: unknown, journal: string | undefined): void {
  if (!(thrown instanceof Interrupted) || journal === undefined || !existsSync(journal)) return;
  message(`the trials that ended are kept in ${journal}; the same command goes on from there`);
}

/** Fails if two files are one. */
export function refuseSame(files: Record<string, string | undefined>): void {
  const seen = new Map<string, string>();
  for (const [flag, path] of Object.entries(files)) {
    if (path === undefined || path === '-') continue;
    const other = seen.get(resolve(path));
    if (other !== undefined) {
      throw new RecvaeError('INVALID_ARGUMENT', `${flag} is '${path}', as is ${other}; allowed: another file`);
    }
    seen.set(resolve(path), flag);
  }
}
