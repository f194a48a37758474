/** `<input>`: a file, a folder in the official layout or a built-in data set, with the flags that go with it. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { DuckDBOptions } from '../data/duckdb.js';
import { isPattern as hasPattern } from '../data/glob.js';
import { Interactions } from '../data/interactions.js';
import { allLeftOut, type LeftOut } from '../data/left-out.js';
import { type RowFiles, rowFiles, TEXT_OPTIONS } from '../data/row-files.js';
import { isDatabase, isTable, kindOf, NAMES } from '../data/sources.js';
import { Split, split } from '../data/split.js';
import type { Abortable } from '../runtime/abort.js';
import { invalid } from '../runtime/check.js';
import { RecvaeError } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import { description, type OptionDescription } from '../runtime/native.js';
import type { DatasetName, ReadOptions, SplitOptions, Thresholds } from '../runtime/options.generated.js';
import { docInFlags, inFlags, parseNumber, toFlag } from './flags.js';
import { message } from './output.js';
import { trainingUsers } from './users.js';

/** What the flags of {@link addInputFlags} are parsed into. */
export interface InputFlags extends ReadOptions, Thresholds {
  sql?: string;
  seed?: number;
  validation?: number;
  test?: number;
  minUserItems?: number;
  shortUsers?: SplitOptions['shortUsers'];
  heldOutShare?: number;
  split?: SplitOptions['kind'];
  last?: number;
  testSince?: SplitOptions['testSince'];
  validationSince?: SplitOptions['validationSince'];
}

/** How an input was read and split: what a model file keeps as `input`, so that `evaluate` makes the same split again. */
export interface InputRecipe {
  read: ReadOptions & Thresholds & { sql?: string };
  split: SplitOptions;
}

/** Adds a flag for an option of the core, with the core's text and default. */
export function addFlag(
  command: Command,
  options: OptionDescription[],
  name: string,
  argument: string,
  ofModel = false,
): void {
  const { doc, default: value, typescript } = options.find((option) => option.name === name)!;
  const text = `${docInFlags(doc, NAMES_OF_FLAGS)}${defaultText(value === null ? undefined : JSON.stringify(value), ofModel)}`;
  const flag = `${toFlag(name)} <${argument}>`;
  if (typescript === 'number') command.option(flag, text, parseNumber);
  else if (typescript === 'number | string') command.option(flag, text, parseMoment);
  else command.option(flag, text);
}

/** Options of the core that are flags. */
const NAMES_OF_FLAGS = new Set(
  [description.read, description.thresholds, description.split, description.sample, description.compact].flatMap(
    (rows) => rows.map(({ name }) => name),
  ),
);

/** What holds without a flag; where a model has a recipe, that goes first. */
function defaultText(value: string | undefined, ofModel: boolean): string {
  const parts = [...(ofModel ? [TRAININGS] : []), ...(value === undefined ? [] : [ofModel ? `else ${value}` : value])];
  return parts.length === 0 ? '' : ` (default: ${parts.join(', ')})`;
}

/** What holds without a flag where a model is at hand that says how it was trained. */
export const TRAININGS = "the training's";

/** The same for the seed of a split. */
export const TRAININGS_SEED = `${TRAININGS}, else ${description.split.find(({ name }) => name === 'seed')!.default}`;

/** A point of time on the command line: a number, or a date, which the core reads. */
function parseMoment(text: string): number | string {
  const number = Number(text);
  return text.trim() === '' || Number.isNaN(number) ? text : number;
}

/** The flags that say how rows are read, with what each takes. */
const READ_FLAGS = {
  format: 'name',
  separator: 'text',
  encoding: 'utf8|latin1',
  quote: 'double|none',
  escape: 'quote|backslash',
  user: 'column',
  item: 'column',
  value: 'column',
  minValue: 'number',
  time: 'column',
  timeUnit: 's|ms',
  since: 'time',
  until: 'time',
  skipBadRows: 'count',
} satisfies Record<Exclude<keyof ReadOptions, 'header'>, string>;

/** The flags of every command with an `<input>`. `ofModel`: of one that reads it as a model was trained. */
export function addInputFlags(command: Command, ofModel = false): Command {
  const add = (options: OptionDescription[], name: string, argument: string) =>
    addFlag(command, options, name, argument, ofModel);
  const { read, thresholds, split: splitting } = description;
  for (const [name, argument] of Object.entries(READ_FLAGS)) {
    add(read, name, argument);
    // It stands beside the other one that is about the form of the rows.
    if (name === 'separator') {
      command.option(
        '--no-header',
        docOf(read, 'header').replace(/^Whether the first row names/, 'the first row does not name') +
          defaultText(undefined, ofModel),
      );
    }
  }
  command.option(
    '--sql <query>',
    `a DuckDB query for the rows: of a database file (.duckdb, .db), or of files, which it sees as input${defaultText(undefined, ofModel)}`,
  );
  add(thresholds, 'minUser', 'count');
  add(thresholds, 'minItem', 'count');
  const { doc: kinds, default: kind } = splitting.find(({ name }) => name === 'kind')!;
  command.option('--split <kind>', `${kinds}${defaultText(String(kind), ofModel)}`);
  add(splitting, 'validation', 'users');
  add(splitting, 'test', 'users');
  add(splitting, 'minUserItems', 'count');
  add(splitting, 'shortUsers', 'train|drop');
  const { doc, default: share } = splitting.find(({ name }) => name === 'heldOut')!;
  command.option('--held-out-share <share>', `${doc}${defaultText(String(share), ofModel)}`, parseNumber);
  add(splitting, 'last', 'items');
  add(splitting, 'testSince', 'time');
  add(splitting, 'validationSince', 'time');
  return command;
}

/** The text of an option. */
function docOf(options: OptionDescription[], name: string): string {
  return options.find((option) => option.name === name)!.doc;
}

/** The flag of every command that saves a model. */
export function addRecordFlag(command: Command): Command {
  return command.option(
    '--no-training-record',
    'save no hashes of the training users (16 bytes each), by which evaluate knows them again and whoever guesses an id',
  );
}

/** What a model file keeps: how the input was read and split, unless it was split already, and what and who was trained on. */
function infoOf(input: Split | Interactions, recipe: InputRecipe, data: Split): { [key: string]: Json } {
  const how = input instanceof Split ? {} : { input: { ...recipe, split: { ...SHORT_USERS, ...recipe.split } } };
  const { nUsers: users, nItems: items, nInteractions: interactions } = data.train;
  return { ...how, data: { users, items, interactions }, trainingUsers: trainingUsers(data) } as unknown as {
    [key: string]: Json;
  };
}

/** What becomes of short users unless it is said. A recipe says it, so that one that does not is known to be an older one. */
const SHORT_USERS = {
  shortUsers: description.split.find(({ name }) => name === 'shortUsers')!.default as SplitOptions['shortUsers'],
};

/** How data are split unless it is said. */
const KIND = description.split.find(({ name }) => name === 'kind')!.default as NonNullable<SplitOptions['kind']>;

/** The recipe in a model's info, if there is one. Those of earlier versions do not say that they dropped short users. */
export function recipeIn(info: Json): InputRecipe | undefined {
  const recipe = (info as { input?: InputRecipe } | null)?.input;
  return recipe && { ...recipe, split: { shortUsers: 'drop', ...recipe.split } };
}

/** For the JSON of a command: that values were named that changed nothing. */
export function ignoredValues({ read }: InputRecipe): { valuesIgnored?: true } {
  return read.value !== undefined && read.minValue === undefined ? { valuesIgnored: true } : {};
}

/** The same for people. */
export function tellIgnoredValues(recipe: InputRecipe): void {
  if (!ignoredValues(recipe).valuesIgnored) return;
  const { value } = recipe.read;
  message(
    `warning: --value ${value} changes nothing without --min-value: every row counts alike, whatever its ${value} is`,
  );
}

/** Only what was given. A flag that can only be taken back (`--no-header`) was not, where it holds. */
function pick<K extends keyof InputFlags>(flags: InputFlags, names: readonly K[]): Pick<InputFlags, K> {
  const given = (name: K) => flags[name] !== undefined && !(name === 'header' && flags[name] === true);
  return Object.fromEntries(names.filter(given).map((name) => [name, flags[name]])) as Pick<InputFlags, K>;
}

const READ = [...TEXT_OPTIONS, 'escape', 'user', 'item', 'value', 'minValue', 'minUser', 'minItem', 'sql'] as const;
const SPLIT = ['validation', 'test', 'minUserItems', 'shortUsers', 'last', 'testSince', 'validationSince'] as const;

/** The flags as recipe; what they leave open, `before` fills in. */
export function recipeOf(flags: InputFlags, before?: InputRecipe): InputRecipe {
  const seed = flags.seed === undefined ? {} : { seed: flags.seed };
  const heldOut = flags.heldOutShare === undefined ? {} : { heldOut: flags.heldOutShare };
  const kind = flags.split === undefined ? {} : { kind: flags.split };
  // What was said of one kind of split means nothing for another one.
  const isOther = flags.split !== undefined && flags.split !== (before?.split.kind ?? KIND);
  const splitBefore = isOther ? { seed: before?.split.seed } : before?.split;
  return {
    read: { ...before?.read, ...pick(flags, READ) },
    split: { ...splitBefore, ...pick(flags, SPLIT), ...kind, ...heldOut, ...seed },
  };
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

/** Reads the interactions or the ready split behind `<input>`; names of data sets go before files. */
export async function readInput(
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
    addTime(recipe);
    return Interactions.fromFile(files.paths, { ...read, ...recipe.read, sql: undefined } as ReadOptions, run);
  }
  const isPlain = !isFolder(input) && !isPattern(input);
  if (isPlain && kindOf(input) === undefined && sql === undefined) {
    const sets = description.datasets.join(', ');
    throw invalid('<input>', input, `${NAMES}, others with --format, folders, and the data sets ${sets}`);
  }
  refuse(flags, TEXT_OPTIONS, 'what DuckDB reads');
  return Interactions.fromDuckDB({ source: input, sql, ...forDuckDB(read) }, run);
}

/** Whether a folder is a split in the layout of the official scripts, and not one of files of rows. */
function isSplit(folder: string, { format }: InputFlags): boolean {
  if (isTable(folder) || format !== undefined) return false;
  if (description.officialFiles.some((name) => existsSync(join(folder, name)))) return true;
  return textFiles(folder, {}) === undefined;
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
  const isText = found.paths.every((path) => ['csv', 'tsv', 'ndjson'].includes(kindOf(path) ?? ''));
  return isText ? found : undefined;
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
  const what = /^\d/.test(value) || value === '' ? 'a value' : `a ${value}`;
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
export interface Prepared {
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
