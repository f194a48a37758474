/** Patterns of file names, as DuckDB reads them: `*`, `?` and `[…]` within a name, `**` for any folders. */
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { join, parse, sep } from 'node:path';

/** What stands between the names of a path. */
const SEPARATORS = sep === '/' ? /\/+/ : /[\\/]+/;

/** Whether a path has the characters of a pattern. */
export function isPattern(path: string): boolean {
  return /[*?[]/.test(path);
}

/** The names in a folder; none if it cannot be looked into. */
export function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** The files that a pattern means, in the order of their names. */
export function expand(pattern: string): string[] {
  const { root } = parse(pattern);
  let found = [root === '' ? '.' : root];
  for (const part of pattern.slice(root.length).split(SEPARATORS)) {
    found = found.flatMap((folder) => {
      if (part === '**') return [folder, ...foldersBelow(folder)];
      if (!/[*?[]/.test(part)) return [join(folder, part)];
      const names = new RegExp(`^${translate(part)}$`, 'su');
      return entries(folder)
        .filter((name) => names.test(name))
        .map((name) => join(folder, name));
    });
  }
  return found.filter((path) => statOf(path)?.isFile()).sort((a, b) => (a < b ? -1 : 1));
}

function statOf(path: string) {
  try {
    return statSync(path);
  } catch {
    return undefined; // a link that leads nowhere
  }
}

function foldersBelow(folder: string): string[] {
  return entries(folder)
    .map((name) => join(folder, name))
    .filter((path) => statOf(path)?.isDirectory() && !isLink(path))
    .flatMap((path) => [path, ...foldersBelow(path)]);
}

function isLink(path: string): boolean {
  try {
    return readlinkSync(path) !== '';
  } catch {
    return false;
  }
}

/** A part of a pattern as a regular expression. */
function translate(part: string): string {
  return part.replace(/\[(!?)([^\]]+)\]|\*|\?|[\\^$.|+(){}[\]/]/g, (found, not: string, set: string) => {
    if (found === '*') return '.*';
    if (found === '?') return '.';
    if (set === undefined) return `\\${found}`;
    return `[${not === '' ? '' : '^'}${set.replace(/[\\^[\]]/g, '\\$&')}]`;
  });
}
