/** `<input>`: a file, a folder in the official layout or a built-in data set, with the flags that go with it. */
import { statSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { RecvaeError } from '../errors.js';
import { type DatasetName, Interactions, type ReadOptions } from '../interactions.js';
import { description, type OptionDescription } from '../native.js';
import type { SplitOptions } from '../options.generated.js';
import { Split, split } from '../split.js';

/** What the flags of {@link addInputFlags} are parsed into. */
export interface InputFlags extends ReadOptions {
  seed?: number;
  validation?: number;
  test?: number;
}

/** How an input was read and split: what a model file keeps, so that `evaluate` makes the same split again. */
export interface InputRecipe {
  read: ReadOptions;
  split: SplitOptions;
}

const DATASETS: readonly string[] = ['debian'] satisfies DatasetName[];

/** A number on the command line. */
export function parseNumber(text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number)) throw new InvalidArgumentError('It must be a number.');
  return number;
}

/** Text and default of an option of the core. */
function help(options: OptionDescription[], name: string): string {
  const { doc, default: value } = options.find((option) => option.name === name)!;
  return `${doc} (default: ${JSON.stringify(value)})`;
}

/** The flags of every command with an `<input>`. */
export function addInputFlags(command: Command): Command {
  const { thresholds, split: splitting } = description;
  return command
    .addOption(
      new Option('--format <name>', 'format of the file, if its name does not say it').choices([
        'csv',
        'tsv',
        'ndjson',
      ]),
    )
    .option('--user <column>', 'column of the user ids (default: "user")')
    .option('--item <column>', 'column of the item ids (default: "item")')
    .option('--value <column>', 'column of a number such as a rating')
    .option('--min-value <number>', 'leave out rows with a lower value', parseNumber)
    .option('--min-user <count>', help(thresholds, 'minUser'), parseNumber)
    .option('--min-item <count>', help(thresholds, 'minItem'), parseNumber)
    .option('--validation <users>', help(splitting, 'validation'), parseNumber)
    .option('--test <users>', help(splitting, 'test'), parseNumber);
}

/** Only what was given. */
function pick<K extends keyof InputFlags>(flags: InputFlags, names: readonly K[]): Pick<InputFlags, K> {
  return Object.fromEntries(
    names.filter((name) => flags[name] !== undefined).map((name) => [name, flags[name]]),
  ) as Pick<InputFlags, K>;
}

const READ = ['format', 'user', 'item', 'value', 'minValue', 'minUser', 'minItem'] as const;
const SPLIT = ['validation', 'test'] as const;

/** The flags as recipe; what they leave open, `before` fills in. */
export function recipeOf(flags: InputFlags, before?: InputRecipe): InputRecipe {
  const seed = flags.seed === undefined ? {} : { seed: flags.seed };
  return {
    read: { ...before?.read, ...pick(flags, READ) },
    split: { ...before?.split, ...pick(flags, SPLIT), ...seed },
  };
}

function isFolder(input: string): boolean {
  return statSync(input, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Whether `input` is a split already, to which flags for reading and splitting do not apply. */
function refuse(flags: InputFlags, names: readonly (keyof InputFlags)[], why: string): void {
  const [first] = Object.keys(pick(flags, names));
  if (first === undefined) return;
  const flag = `--${first.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new RecvaeError('INVALID_ARGUMENT', `${flag} has no meaning for ${why}`);
}

/** Reads the interactions or the ready split behind `<input>`. */
export async function readInput(input: string, flags: InputFlags, recipe: InputRecipe): Promise<Split | Interactions> {
  if (isFolder(input)) {
    refuse(flags, [...READ, ...SPLIT], 'a folder that is split already');
    return Split.fromOfficial(input);
  }
  if (DATASETS.includes(input)) {
    refuse(flags, READ, 'a built-in data set');
    return Interactions.dataset(input as DatasetName);
  }
  return Interactions.fromFile(input, recipe.read);
}

/** Reads and, unless it is a split already, splits `<input>`. */
export async function readSplit(input: string, flags: InputFlags, recipe: InputRecipe): Promise<Split> {
  const data = await readInput(input, flags, recipe);
  return data instanceof Split ? data : split(data, recipe.split);
}
