/** Output files that appear whole or not at all. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { RecvaeError, toRecvaeError } from './errors.js';

/** What would stay behind if the process ended now. */
const temporary = new Set<string>();

/** Tells of a temporary file or folder, which {@link remove} or {@link removeAll} removes. */
export function willRemove(path: string): void {
  temporary.add(path);
}

/** Removes a temporary file or folder, if it is there. */
export function remove(path: string): void {
  rmSync(path, { recursive: true, force: true });
  temporary.delete(path);
}

/** Removes all of them: for a process that is told to end. */
export function removeAll(): void {
  for (const path of temporary) remove(path);
}

/** A name for a temporary file in the folder of `path`. */
export function beside(path: string): string {
  return join(dirname(path), `.recvae-${basename(path)}-${randomUUID()}`);
}

/** A file to be: its path, and what writes it to the path that it is given. */
export interface Output {
  path: string;
  write: (path: string) => Promise<void> | void;
}

/** Lets an error of writing a temporary file name the file that it was to become; Node's own name none after the opening. */
async function named(path: string, name: string, write: () => Promise<void> | void): Promise<void> {
  try {
    await write();
  } catch (thrown) {
    const error = toRecvaeError(thrown);
    if (error.code !== 'IO') throw thrown;
    const message = error.message.replaceAll(name, path);
    throw new RecvaeError('IO', message.includes(path) ? message : `cannot write ${path}: ${message}`, {
      cause: thrown,
    });
  }
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
      const name = beside(path);
      temporaries.push(name);
      willRemove(name);
      await named(path, name, () => write(name));
      if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
        throw new RecvaeError('IO', `cannot write ${path}: it is a folder`);
      }
    }
  } catch (error) {
    for (const path of [...temporaries, ...created]) remove(path);
    throw error;
  }
  // From here on nothing is taken back: what has its name stays.
  try {
    for (const [at, { path }] of outputs.entries()) renameSync(temporaries[at]!, path);
  } finally {
    for (const path of temporaries) remove(path);
  }
}
