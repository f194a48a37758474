/** `<input>`: a file, a folder in the official layout or a built-in data set, with the flags that go with it. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { DuckDBOptions } from '../data/duckdb.js';
import { isPattern as hasPattern } from '../data/glob.js';
import { Interactions } from '../data/interactions.js';
import { allLeftOut, type LeftOut } from '../data/left-out.js';
import { needFiles, publishedSet } from '../data/published.js';
import { type RowFiles, rowFiles, TEXT_OPTIONS } from '../data/row-files.js';
import { isDatabase, isOurs, isTable, kindOf, NAMES } from '../data/sources.js';
import { Split, split } from '../data/split.js';
import { type Abortable, onAbort } from '../runtime/abort.js';
import { invalid } from '../runtime/check.js';
import { guardAsync, RecvaeError } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import { description, native, type PublishedSet } from '../runtime/native.js';
import type { DatasetName, ReadOptions, Thresholds } from '../runtime/options.generated.js';
import { inFlags, toFlag } from './flags.js';
import { message } from './output.js';
import { type InputFlags, type InputRecipe, ignoredValues, pick, READ, SHORT_USERS, SPLIT } from './recipe.js';
import { trainingUsers } from './users.js';

/** The flag of every command that saves a model. */
export function addRecordFlag(command: Command): Command {
  return command.option(
    '--no-training-record',
    'save no hashes of the training users (16 bytes each), by which evaluate knows them again and whoever guesses an id',
  );
}

/**
 * What a model file keeps: how the input was read and split, unless it was split already, and what and who was trained
 * on.
 */
function infoOf(input: Split | Interactions, recipe: InputRecipe, data: Split): { [key: string]: Json } {
  const how = input instanceof Split ? {} : { input: { ...recipe, split: { ...SHORT_USERS, ...recipe.split } } };
  const { nUsers: users, nItems: items, nInteractions: interactions } = data.train;
  return { ...how, data: { users, items, interactions }, trainingUsers: trainingUsers(data) } as unknown as {
    [key: string]: Json;
  };
}

/** The same for people. */
export function tellIgnoredValues(recipe: InputRecipe): void {
  if (!ignoredValues(recipe).valuesIgnored) return;
  const { value } = recipe.read;
  message(
    `warning: --value ${value} changes nothing without --min-value or --weighted: every row counts alike, whatever its ${value} is`,
  );
}

/** Says which of the models count every interaction alike, where the data have weights. */
export function tellUnusedWeights(training: Interactions, models: Iterable<string>): void {
  if (!training.weighted) return;
  const all = [...description.models, description.blend];
  const without = [...models].filter((name) => all.some((model) => model.name === name && !model.usesWeights));
  if (without.length === 0) return;
  const who = `${without.join(', ')} ${without.length === 1 ? 'counts' : 'count'}`;
  message(`warning: ${who} every interaction alike: --weighted changes nothing there, only for als`);
}

/** Columns by which people say how much they like something. */
const RATINGS = ['rating', 'ratings', 'stars', 'score'];

/**
 * Says what the first line of a table tells and the flags do not: that its fields are between semicolons, and that it
 * has ratings, of which without a word the worst one is a like.
 */
async function tellHeader(path: string, { read }: InputRecipe, { signal }: Abortable): Promise<void> {
  const kind = kindOf(path);
  if (read.header === false || read.separator !== undefined || (kind !== 'csv' && kind !== 'tsv')) return;
  // A pipe can be read only once, and that is not for this.
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return;
  const run = new native.NativeRun();
  const release = signal ? onAbort(signal, () => run.cancel()) : () => {};
  let header: string | null;
  try {
    header = await guardAsync(() => native.firstLine(path, run));
  } finally {
    release();
  }
  if (header === null) return;
  const columns = header.split(kind === 'csv' ? ',' : '\t').map((name) => name.trim().replace(/^"(.*)"$/, '$1'));
  if (columns.length === 1 && header.includes(';')) {
    message(`warning: the fields of ${path} seem to be between semicolons: --separator ';' reads them so`);
  }
  const found = columns.find((name) => RATINGS.includes(name.toLowerCase()));
  if (found === undefined || read.value !== undefined || read.minValue !== undefined) return;
  message(
    `warning: ${path} has the column ${found}, which is not read: every row is a like. --value ${found} --min-value 4 takes ` +
      'rows of 4 and more',
  );
}

function isFolder(input: string): boolean {
  return statSync(input, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function isPattern(input: string): boolean {
  return hasPattern(input) && !existsSync(input);
}

/** Whether `input` is a split already, to which flags for reading and splitting do not apply. */
function refuse(flags: InputFlags, names: readonly (keyof InputFlags)[], why: string): void {
  const [first] = Object.keys(pick(flags, names));
  if (first === undefined) return;
  throw new RecvaeError('INVALID_ARGUMENT', `${toFlag(first)} has no meaning for ${why}`);
}

/** Reads the interactions or the ready split behind `<input>`, with the parts that stand in files of their own. */
export async function readInput(
  input: string,
  flags: InputFlags,
  recipe: InputRecipe,
  run: Abortable = {},
): Promise<Split | Interactions> {
  const read = await readOne(input, flags, recipe, run);
  if (recipe.split.kind === 'files' && read instanceof Interactions) return withParts(read, flags, recipe, run);
  refuse(flags, ['testFile', 'validationFile'], 'what is not split by --split files');
  return read;
}

/** Reads what is behind `<input>` itself; names of data sets go before files. */
async function readOne(
  input: string,
  flags: InputFlags,
  recipe: InputRecipe,
  run: Abortable = {},
): Promise<Split | Interactions> {
  if (description.datasets.includes(input)) {
    refuse(flags, READ, 'a built-in data set');
    return Interactions.dataset(input as DatasetName);
  }
  if (isFolder(input) && isSplit(input, flags)) {
    refuse(flags, [...READ, ...SPLIT, 'split', 'heldOutShare'], 'a folder that is split already');
    return Split.fromOfficial(input);
  }
  const set = isPublished(input) ? publishedSet(input) : undefined;
  if (set) return readPublished(set, flags, recipe, run);
  tellIgnoredValues(recipe);
  const { sql, ...read } = recipe.read;
  if (input === '-') {
    refuse({ sql }, ['sql'], 'standard input');
    if (read.format === undefined) {
      throw invalid('<input>', input, 'standard input only with --format, which says what it is');
    }
  }
  if (isDatabase(input)) {
    refuse(flags, TEXT_OPTIONS, 'what DuckDB reads');
    return Interactions.fromDuckDB({ database: input, sql: queryOf(input, sql, '<input>'), ...forDuckDB(read) }, run);
  }
  const files = sql === undefined ? textFiles(input, read) : undefined;
  if (files) {
    if (files.format !== undefined) tellFormat(input, recipe, files.format);
    else await tellHeader(files.paths[0]!, recipe, run);
    addTime(recipe);
    return Interactions.fromFile(files.paths, { ...read, ...recipe.read, sql: undefined } as ReadOptions, run);
  }
  const isPlain = !isFolder(input) && !isPattern(input);
  if (isPlain && kindOf(input) === undefined && sql === undefined) {
    const sets = [...description.datasets, ...description.published.map(({ name }) => name)].join(', ');
    throw invalid('<input>', input, `${NAMES}, others with --format, folders, and the data sets ${sets}`);
  }
  refuse(flags, TEXT_OPTIONS, 'what DuckDB reads');
  return Interactions.fromDuckDB({ source: input, sql, ...forDuckDB(read) }, run);
}

/** Whether `<input>` is the name of a published data set; a file or a folder of that name is `./NAME`. */
function isPublished(input: string): boolean {
  return publishedSet(input) !== undefined;
}

/** The interactions of a published data set that is on this machine: of train and test files both. */
async function readPublished(
  set: PublishedSet,
  flags: InputFlags,
  recipe: InputRecipe,
  run: Abortable,
): Promise<Interactions> {
  refuse(flags, ['sql'], 'a published data set');
  const files = needFiles(set);
  const isDivided = set.split.kind === 'files';
  message(`${set.name} is ${set.title}; terms: ${set.terms} (${set.page})`);
  addTime(recipe);
  if (isDivided && recipe.split.kind === 'files') recipe.parts ??= { test: files[1]! };
  return Interactions.fromFile(isDivided ? [files[0]!] : files, recipe.read as ReadOptions & Thresholds, run);
}

/** Puts the parts of a split into one that others have made in files of their own. */
async function withParts(
  train: Interactions,
  flags: InputFlags,
  recipe: InputRecipe,
  run: Abortable,
): Promise<Interactions> {
  const { test, validation } = recipe.parts ?? {};
  refuse(flags, ['minUser', 'minItem'], 'parts that others have divided');
  if (test === undefined)
    throw new RecvaeError('INVALID_ARGUMENT', '--test-file is missing, which --split files needs');
  const own = { ...flags, preset: undefined };
  const partOf = async (path: string) => {
    const part = await readOne(path, own, recipe, run);
    if (part instanceof Split) throw invalid('--test-file', path, 'files of rows');
    return part;
  };
  return Interactions.fromParts(
    { train, test: await partOf(test), validation: validation === undefined ? undefined : await partOf(validation) },
    run,
  );
}

/** Whether a folder is a split in the layout of the official scripts, and not one of files of rows. */
function isSplit(folder: string, { format }: InputFlags): boolean {
  if (isTable(folder) || format !== undefined) return false;
  return description.officialFiles.some((name) => existsSync(join(folder, name)));
}

/** The files behind `<input>` if the core reads them all, with their format if they are a published data set. */
function textFiles(input: string, read: ReadOptions & Thresholds): RowFiles | undefined {
  if (input === '-') return { paths: [input] };
  let found: RowFiles;
  try {
    found = rowFiles(input, read);
  } catch (thrown) {
    // Whoever reads a folder or a pattern says what is wrong with it.
    if (read.format === undefined && (isFolder(input) || isPattern(input))) return undefined;
    throw thrown;
  }
  // Parquet says itself what it is.
  if (found.paths.some((path) => kindOf(path) === 'parquet')) return undefined;
  if (read.format !== undefined || found.format !== undefined) return found;
  return found.paths.every((path) => isOurs(kindOf(path))) ? found : undefined;
}

/** What DuckDB is told of the columns. */
function forDuckDB(read: ReadOptions & Thresholds): Omit<DuckDBOptions, 'source' | 'sql' | 'database'> {
  return Object.fromEntries(
    Object.entries(read).filter(([name]) => !(TEXT_OPTIONS as readonly string[]).includes(name)),
  );
}

/** Names the column of times where a split needs one and the format has it. */
function addTime({ read, split }: InputRecipe): void {
  const needs = split.kind === 'time' || split.kind === 'last';
  const time = description.formats.find(({ name }) => name === read.format)?.time;
  if (needs && read.time === undefined && time) read.time = time;
}

/** Notes the format that was recognised, and tells what it means. */
function tellFormat(input: string, recipe: InputRecipe, format: NonNullable<ReadOptions['format']>): void {
  if (recipe.read.format !== undefined) return;
  recipe.read.format = format;
  const { title, value, minValue } = description.formats.find(({ name }) => name === format)!;
  const least = recipe.read.minValue ?? minValue;
  const what = /^\d/.test(value) || value === '' ? 'a value' : /s$/.test(value) ? value : `a ${value}`;
  const likes =
    least === null ? 'every row is a like' : `likes are rows with ${what} of at least ${least} (--min-value)`;
  message(`${input} is read as --format ${format}, ${title}: ${likes}`);
}

/** The query for a database, which has no rows of its own. */
export function queryOf(database: string, sql: string | undefined, what: string): string {
  if (sql !== undefined) return sql;
  throw invalid(what, database, 'a DuckDB database only with --sql, the query for its rows');
}

/** An input as it was read, and its split. */
interface Prepared {
  read: Split | Interactions;
  data: Split;
  /** What a model that is trained on it keeps. */
  info: () => { [key: string]: Json };
  leftOut: LeftOut[];
}

/** Reads and, unless it is a split already, splits `<input>`; and tells what was left out. */
export async function readSplit(
  input: string,
  flags: InputFlags,
  recipe: InputRecipe,
  run: Abortable = {},
): Promise<Prepared> {
  const read = await readInput(input, flags, recipe, run);
  const data = read instanceof Split ? read : await split(read, recipe.split, run);
  return { read, data, info: () => infoOf(read, recipe, data), leftOut: tellLeftOut(read, data) };
}

/** Tells what was left out on the way from an input to its split, a line for each thing. */
function tellLeftOut(input: Split | Interactions, data: Split): LeftOut[] {
  const leftOut = allLeftOut(input, data);
  for (const { text } of leftOut) message(inFlags(text));
  return leftOut;
}
