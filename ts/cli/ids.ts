/** Ids on the command line: comma-separated, or in a file. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { RecvaeError, toRecvaeError } from '../errors.js';
import type { FilterOptions } from '../filter.js';

/** What {@link addFilterFlags} are parsed into. */
export interface FilterFlags {
  allow?: string;
  deny?: string;
}

/** How a flag with ids is written. */
export const IDS = '<ids|@file>';

/** The flags of every command that names items. */
export function addFilterFlags(command: Command): Command {
  return command
    .option(`--allow ${IDS}`, 'the only items that may come: comma-separated, or a file with one per line')
    .option(`--deny ${IDS}`, 'items that must not come, also allowed ones');
}

/** The lists that the flags name. */
export function filterIn({ allow, deny }: FilterFlags): FilterOptions {
  return {
    allow: allow === undefined ? undefined : readIds(allow, '--allow'),
    deny: deny === undefined ? undefined : readIds(deny, '--deny'),
  };
}

/** The ids of `a,b,c` or `@file`; empty ones, such as an empty last line, do not count. */
export function readIds(text: string, flag: string): string[] {
  if (!text.startsWith('@')) return text.split(',').filter((id) => id !== '');
  const path = text.slice(1);
  try {
    const lines = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path)).split(/\r?\n/);
    return lines.filter((id) => id !== '');
  } catch (thrown) {
    if (thrown instanceof TypeError)
      throw new RecvaeError('INVALID_DATA', `${path}: not UTF-8; allowed for ${flag}: text`);
    throw toRecvaeError(thrown);
  }
}
