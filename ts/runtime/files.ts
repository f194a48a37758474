/** Output files that appear whole or not at all. */
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { guard, guardAsync, RecvaeError, toRecvaeError } from './errors.js';
import { native, noBinary } from './native.js';

/** What would stay behind if the process ended now. */
const temporary = new Set<string>();

/** Tells of a temporary file or folder, which {@link remove} or the end of the process removes. */
export function willRemove(path: string): void {
  temporary.add(path);
}

/** Removes a temporary file or folder, if it is there. */
export function remove(path: string): void {
  rmSync(path, { recursive: true, force: true });
  temporary.delete(path);
}

// However the process ends, short of a kill: the core knows of the files that it writes.
if (isMainThread && !noBinary) {
  process.on('exit', () => {
    for (const path of temporary) remove(path);
    native.removeUnfinished();
  });
}

/** Fails at once for what is neither a file nor a folder: opening a pipe waits until somebody writes to it. */
export function checkRegular(path: string): void {
  const there = guard(() => statSync(path, { throwIfNoEntry: false }));
  if (there === undefined || there.isFile() || there.isDirectory()) return;
  throw new RecvaeError('IO', `cannot read ${path}: it is not a regular file`);
}

/** A file to be: its path, and what writes it to the path that it is given. */
export interface Output {
  path: string;
  write: (path: string) => Promise<void> | void;
}

/**
 * Lets an error of writing a temporary file name the file that it was to become; Node's own name none after the
 * opening.
 */
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
 * Writes files, all of them or none: under other names first, so that what can fail fails before the first one is
 * there. Folders that they need are made; a link is followed, and a file that is replaced keeps its permissions.
 * `write` finds an empty file at the path that it is given.
 */
export async function writeAll(outputs: Output[]): Promise<void> {
  const created: string[] = [];
  const files: native.NativeOutput[] = [];
  try {
    for (const { path, write } of outputs) {
      const folder = mkdirSync(dirname(path), { recursive: true });
      if (folder !== undefined) created.push(folder);
      const file = guard(() => new native.NativeOutput(path));
      files.push(file);
      const { temporary } = file;
      await named(path, temporary, () => write(temporary));
      await guardAsync(() => file.flush());
    }
  } catch (error) {
    for (const file of files) file.discard();
    for (const path of created) remove(path);
    throw error;
  }
  // From here on nothing is taken back: what has its name stays.
  try {
    for (const file of files) guard(() => file.finish());
  } finally {
    for (const file of files) file.discard();
  }
}
