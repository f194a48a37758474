/** Files that a command reads and files that it writes: none may be another one, by whatever name. */
import { type BigIntStats, fstatSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { entries, expand, isPattern } from '../data/glob.js';
import { filesHere, publishedSet } from '../data/published.js';
import { isTable, kindOf } from '../data/sources.js';
import { RecvaeError } from '../runtime/errors.js';
import { description } from '../runtime/native.js';
import type { InputFlags } from './recipe.js';

/** Paths by the flag or the argument that names them; `-` is stdin or stdout. */
type Named = Record<string, string | readonly string[] | undefined>;

/** What a command reads and writes. */
interface Files {
  inputs?: Named;
  outputs: Named;
  /** Pairs of an input and an output that may be one: the output is the next version of the input. */
  updates?: readonly (readonly [input: string, output: string])[];
}

interface File {
  flag: string;
  path: string;
  identity: string;
}

/**
 * Fails, before any work, if an output is an input or another output: the file would be replaced, and what it held be
 * lost. Files are compared, not names: links and other spellings of one file are found.
 *
 * @throws {@link RecvaeError} `INVALID_ARGUMENT`.
 */
export function refuseSame({ inputs = {}, outputs, updates = [] }: Files): void {
  const read = filesOf(inputs, 0);
  // Results go to stdout whatever the flags say.
  const files = Object.entries(outputs).filter(([, path]) => path !== '-');
  const written = filesOf({ stdout: '-', ...Object.fromEntries(files) }, 1);
  for (const [at, output] of written.entries()) {
    const mayUpdate = (input: File) => updates.some(([from, to]) => from === input.flag && to === output.flag);
    const other = [...read.filter((input) => !mayUpdate(input)), ...written.slice(0, at)].find(
      ({ flag, identity }) => identity === output.identity && flag !== output.flag,
    );
    if (other === undefined) continue;
    const [last, first] = output.flag === 'stdout' ? [other, output] : [output, other];
    const spelt = first.path === '-' || resolve(last.path) === resolve(first.path);
    const as = spelt ? `as is ${first.flag}` : `the same file as ${first.flag}, '${first.path}'`;
    throw new RecvaeError('INVALID_ARGUMENT', `${last.flag} is '${last.path}', ${as}; allowed: another file`);
  }
}

/**
 * Fails for a flag that names one file twice, by whatever names.
 *
 * @throws {@link RecvaeError} `INVALID_ARGUMENT`.
 */
export function refuseTwice(flag: string, paths: readonly string[]): void {
  const files = filesOf({ [flag]: paths }, 0);
  const again = files.find(({ identity }, at) => files.slice(0, at).some((file) => file.identity === identity));
  if (again === undefined) return;
  throw new RecvaeError('INVALID_ARGUMENT', `${flag} has '${again.path}' twice; allowed: each file once`);
}

/** The files that an `<input>` or a `--history` stands for: a file, those of a folder, those that a pattern means. */
export function filesBehind(input: string | undefined): string[] {
  if (input === undefined || description.datasets.includes(input)) return [];
  const set = publishedSet(input);
  if (set) return filesHere(set) ?? [];
  if (statOf(input)?.isDirectory()) {
    // A folder of a split has files of text that are no part of it.
    const isSplit = !isTable(input) && entries(input).some((name) => description.officialFiles.includes(name));
    const isRows = (name: string) => kindOf(name) !== undefined || /\.(?:txt|dat|data)(?:\.gz|\.zst)?$/i.test(name);
    const parts = entries(input).filter((name) => (isSplit ? kindOf(name) === 'parquet' : isRows(name)));
    return [input, ...[...description.officialFiles, ...parts].map((name) => join(input, name))];
  }
  return isPattern(input) ? [input, ...expand(input)] : [input];
}

/** The files that an input and its other parts stand for, by the flags that name them. */
export function inputFiles(input: string, flags: Pick<InputFlags, 'testFile' | 'validationFile'>): Named {
  return {
    '<input>': filesBehind(input),
    '--test-file': filesBehind(flags.testFile),
    '--validation-file': filesBehind(flags.validationFile),
  };
}

/** A journal, and what stands beside it while it is used. */
export function journalFiles(...journals: (string | undefined)[]): Named {
  const known = journals.filter((journal) => journal !== undefined);
  return {
    '--journal': known,
    'the lock of --journal': known.map((journal) => `${journal}.lock`),
    'the checkpoints of --journal': known.map((journal) => `${journal}.checkpoints`),
  };
}

/** The file in `@file`. */
export function fileIn(ids: string | undefined): string | undefined {
  return ids?.startsWith('@') ? ids.slice(1) : undefined;
}

function filesOf(named: Named, descriptor: number): File[] {
  return Object.entries(named).flatMap(([flag, paths]) =>
    [paths ?? []].flat().flatMap((path) => {
      const identity = path === '-' ? identityOfOpen(descriptor) : identityOf(path);
      return identity === undefined ? [] : [{ flag, path, identity }];
    }),
  );
}

function statOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true });
  } catch {
    return undefined; // not there, or not to be looked at, which whoever opens it says
  }
}

/** What two names of one file have in common. */
function identityOf(path: string): string | undefined {
  if (path === '') return undefined;
  const stat = statOf(path);
  return stat && stat.ino > 0n ? `${stat.dev}:${stat.ino}` : placeOf(resolve(path), 0);
}

/** The same of a file that stdin or stdout is directed to; pipes and devices may be both. */
function identityOfOpen(descriptor: number): string | undefined {
  try {
    const stat = fstatSync(descriptor, { bigint: true });
    return stat.isFile() ? `${stat.dev}:${stat.ino}` : undefined;
  } catch {
    return undefined; // closed
  }
}

/** Links that lead to links, at most. */
const LINKS = 40;

/** Where a file would be that is not there: the real path of its folder, and its name. */
function placeOf(path: string, links: number): string {
  if (links < LINKS) {
    try {
      return placeOf(resolve(dirname(path), readlinkSync(path)), links + 1);
    } catch {
      // no link
    }
  }
  try {
    return folded(realpathSync(path));
  } catch {
    const folder = dirname(path);
    return folder === path ? folded(path) : join(placeOf(folder, links), folded(basename(path)));
  }
}

/** Where systems usually take names for one that differ in case or in how accents are composed. */
function folded(name: string): string {
  if (process.platform !== 'win32' && process.platform !== 'darwin') return name;
  return name.normalize('NFC').toLowerCase();
}
