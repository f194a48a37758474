/** The files of rows behind a path, a folder, a pattern or several of them, and what they are read as. */
import { statSync } from 'node:fs';
import { invalid } from '../runtime/check.js';
import { guard, toJson } from '../runtime/errors.js';
import { native } from '../runtime/native.js';
import type { ReadOptions, Thresholds } from '../runtime/options.generated.js';
import { isPattern } from './glob.js';
import { filesAt } from './sources.js';

/**
 * Options that say how text is to be understood, which nothing but the core reads; without escape, which DuckDB knows
 * too.
 */
export const TEXT_OPTIONS = [
  'format',
  'separator',
  'header',
  'encoding',
  'quote',
  'skipBadRows',
] as const satisfies readonly (keyof ReadOptions)[];

/** Options of times, which hold for what DuckDB reads, too. */
export const TIME_OPTIONS = ['time', 'timeUnit', 'since', 'until'] as const satisfies readonly (keyof ReadOptions)[];

/** Files that the core is to read. */
export interface RowFiles {
  paths: string[];
  /** The format of a published data set, if they are one. */
  format?: NonNullable<ReadOptions['format']>;
}

/** Whether a path stands for files that have to be looked for. */
function isMany(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isDirectory() ?? isPattern(path);
}

/**
 * Finds them. Of a folder or a pattern they are those of a published data set where there are such: those with the
 * names of the format that the options name, or those of which name or header leave no doubt; and otherwise all.
 */
export function rowFiles(path: string | readonly string[], options: ReadOptions & Thresholds = {}): RowFiles {
  return guard(() => {
    let areMany = false;
    const paths = (typeof path === 'string' ? [path] : path).flatMap((path) => {
      if (!isMany(path)) return [path];
      areMany = true;
      const found = filesAt(path);
      if (found === undefined) throw invalid('path', path, 'a pattern that the name of a file matches');
      return found;
    });
    const published = native.publishedFiles(paths, toJson(options));
    // A file that was named itself is read, whatever it is called.
    if (published === null || (!areMany && published.paths.length < paths.length)) return { paths };
    return { paths: published.paths, format: published.format as NonNullable<ReadOptions['format']> };
  });
}
