/** Ids on the command line: comma-separated, or in a file. */
import { constants, openSync, readFileSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { FilterOptions } from '../models/filter.js';
import { unlessAborted } from '../runtime/abort.js';
import { RecvaeError, toRecvaeError } from '../runtime/errors.js';

/** What {@link addFilterFlags} are parsed into. */
export interface FilterFlags {
  allow?: string;
  deny?: string;
}

/** How a flag with ids is written. */
export const IDS = '<ids|@file>';

/** What that means, for the help. */
export const IDS_HELP = 'comma-separated (@@a,b if the first one is @a), or a file with one per line';

/** The flags of every command that names items. */
export function addFilterFlags(command: Command): Command {
  return command
    .option(`--allow ${IDS}`, `the only items that may come: ${IDS_HELP}`)
    .option(`--deny ${IDS}`, 'items that must not come, also allowed ones');
}

/** The lists that the flags name. */
export async function filterIn({ allow, deny }: FilterFlags, signal: AbortSignal): Promise<FilterOptions> {
  return {
    allow: allow === undefined ? undefined : await readIds(allow, '--allow', signal),
    deny: deny === undefined ? undefined : await readIds(deny, '--deny', signal),
  };
}

/**
 * The ids of `a,b,c` or `@file`; empty ones, such as an empty last line, do not count. A list whose first id begins
 * with @, as scoped packages of npm and names in social networks do, has another @ in front.
 */
export async function readIds(text: string, flag: string, signal: AbortSignal): Promise<string[]> {
  const ids = (list: string, separator: RegExp) => list.split(separator).filter((id) => id !== '');
  if (text.startsWith('@@')) return ids(text.slice(1), /,/);
  if (!text.startsWith('@')) return ids(text, /,/);
  const path = text.slice(1);
  let bytes: Buffer;
  try {
    bytes = await bytesOf(path, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message } = toRecvaeError(thrown);
    const help = `@ before the first id names a file with one id per line; if the id itself begins with @, write @${text}`;
    throw new RecvaeError(code, `${flag} is '${text}': ${message}; ${help}`, { cause: thrown });
  }
  try {
    return ids(new TextDecoder('utf-8', { fatal: true }).decode(bytes), /\r?\n/);
  } catch {
    throw new RecvaeError('INVALID_DATA', `${path}: not UTF-8; allowed for ${flag}: text`);
  }
}

/**
 * All that is in a file. A named pipe is opened without waiting for somebody who writes: a thread that waits in the
 * operating system cannot be stopped, and Node waits for it when it ends.
 */
async function bytesOf(path: string, signal: AbortSignal): Promise<Buffer> {
  if (!statSync(path, { throwIfNoEntry: false })?.isFIFO()) return readFileSync(path);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const pipe = new Socket({ fd, readable: true, writable: false });
  try {
    return await unlessAborted(signal, buffer(pipe));
  } finally {
    pipe.destroy();
  }
}
