/** Output files that appear whole or not at all. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { RecvaeError } from './errors.js';

/** A name for a temporary file in the folder of `path`. */
export function beside(path: string): string {
  return join(dirname(path), `.recvae-${basename(path)}-${randomUUID()}`);
}

/** A file to be: its path, and what writes it to the path that it is given. */
export interface Output {
  path: string;
  write: (path: string) => Promise<void> | void;
}

/**
 * Writes files, all of them or none: under other names first, so that what can fail fails before the first one is there.
 * Folders that they need are made.
 */
export async function writeAll(outputs: Output[]): Promise<void> {
  const created: string[] = [];
  const temporaries: string[] = [];
  try {
    for (const { path, write } of outputs) {
      const folder = mkdirSync(dirname(path), { recursive: true });
      if (folder !== undefined) created.push(folder);
      const temporary = beside(path);
      temporaries.push(temporary);
      await write(temporary);
      if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
        throw new RecvaeError('IO', `cannot write ${path}: it is a folder`);
      }
    }
  } catch (error) {
    for (const path of [...temporaries, ...created]) rmSync(path, { recursive: true, force: true });
    throw error;
  }
  // From here on nothing is taken back: what has its name stays.
  try {
    for (const [at, { path }] of outputs.entries()) renameSync(temporaries[at]!, path);
  } catch (error) {
    for (const path of temporaries) rmSync(path, { force: true });
    throw error;
  }
}
