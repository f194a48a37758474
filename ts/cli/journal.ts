/** `--journal <file>`. */
import { existsSync } from 'node:fs';
import { Interrupted } from './interrupt.js';
import { message } from './output.js';

/** After an interruption, says that the trials that ended are kept. */
export function tellJournal(thrown: unknown, journal: string | undefined): void {
  if (!(thrown instanceof Interrupted) || journal === undefined || !existsSync(journal)) return;
  message(`the trials that ended are kept in ${journal}; the same command goes on from there`);
}
