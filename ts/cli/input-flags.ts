/** The flags of every command with an `<input>`: how it is read and split, with the core's texts and defaults. */
import type { Command } from 'commander';
import { description, type OptionDescription } from '../runtime/native.js';
import type { ReadOptions } from '../runtime/options.generated.js';
import { docInFlags, parseNumber, toFlag } from './flags.js';

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
  else if (typescript === 'number | string | Date') command.option(flag, text, parseMoment);
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
const TRAININGS = "the training's";

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
  part: 'column',
  skipBadRows: 'count',
} satisfies Record<Exclude<keyof ReadOptions, 'header' | 'weighted'>, string>;

/** The flags of a command that reads an `<input>` and does not split it. `ofModel`: as for {@link addInputFlags}. */
export function addReadFlags(command: Command, ofModel = false): Command {
  const add = (options: OptionDescription[], name: string, argument: string) =>
    addFlag(command, options, name, argument, ofModel);
  const { read, thresholds } = description;
  for (const [name, argument] of Object.entries(READ_FLAGS)) {
    add(read, name, argument);
    if (name === 'minValue') {
      const doc = docOf(read, 'weighted').replace(/^Whether the value/, 'the value');
      command.option('--weighted', doc + defaultText(undefined, ofModel));
    }
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
  return command;
}

/** The flags of every command with an `<input>`. `ofModel`: of one that reads it as a model was trained. */
export function addInputFlags(command: Command, ofModel = false): Command {
  addReadFlags(command, ofModel);
  const { split: splitting } = description;
  const add = (options: OptionDescription[], name: string, argument: string) =>
    addFlag(command, options, name, argument, ofModel);
  const { doc: kinds, default: kind } = splitting.find(({ name }) => name === 'kind')!;
  command.option('--split <kind>', `${kinds}${defaultText(String(kind), ofModel)}`);
  command.option(
    '--test-file <file>',
    `of --split files, the test part; <input> is the training part${defaultText(undefined, ofModel)}`,
  );
  command.option('--validation-file <file>', `of --split files, the validation part${defaultText(undefined, ofModel)}`);
  add(splitting, 'validation', 'users');
  add(splitting, 'test', 'users');
  add(splitting, 'minUserItems', 'count');
  add(splitting, 'shortUsers', 'train|drop');
  const { doc, default: share } = splitting.find(({ name }) => name === 'heldOut')!;
  command.option('--held-out-share <share>', `${doc}${defaultText(String(share), ofModel)}`, parseNumber);
  add(splitting, 'last', 'items');
  add(splitting, 'testSince', 'time');
  add(splitting, 'validationSince', 'time');
  add(splitting, 'folds', 'count');
  add(splitting, 'fold', 'number');
  add(splitting, 'generator', 'philox|numpy');
  const presets = description.published.map(({ name }) => name).join(', ');
  return command.option(
    '--preset <name>',
    `read and split as papers do with that data set, where no flag says otherwise; <input> NAME alone does so: ${presets}`,
  );
}

/** The text of an option. */
function docOf(options: OptionDescription[], name: string): string {
  return options.find((option) => option.name === name)!.doc;
}
