/**
 * Flags that several commands have, and messages of the library in the words of the command line, where its options are
 * flags.
 */
import { type Command, InvalidArgumentError } from 'commander';
import { allModels, noBinary } from '../runtime/native.js';

/** A number on the command line. */
export function parseNumber(text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number)) throw new InvalidArgumentError('It must be a number.');
  return number;
}

/** Where commander says what a value must be. */
const INVALID = /^option '(?:-\w, )?(-{1,2}[\w-]+)[^']*' argument '(.*)' is invalid\. It must be (.*)\.$/s;
const NO_CHOICE =
  /^(?:option '(?:-\w, )?(-{1,2}[\w-]+)[^']*' argument|command-argument value) '(.*)' is invalid(?: for argument '(.*)')?\. Allowed choices are (.*)\.$/s;

/** A message of commander in the words of all others: what was wrong, the value, what is allowed. */
export function ofCommander(text: string): string {
  const plain = text
    .trim()
    .replace(/^error: /, '')
    .replace(/(too many arguments.*)\.$/, '$1');
  const [, flag, value, allowed] = INVALID.exec(plain) ?? [];
  if (flag !== undefined) return `${flag} is '${value}'; allowed: ${allowed}`;
  const [, named, chosen, argument, choices] = NO_CHOICE.exec(plain) ?? [];
  if (choices !== undefined) return `${named ?? `<${argument}>`} is '${chosen}'; allowed: ${choices}`;
  return plain
    .replace(/^missing required argument '(.*)'$/, '<$1> is missing')
    .replace(/^required option '(?:-\w, )?(-{1,2}[\w-]+).*' not specified$/, '$1 is missing')
    .replace(/^option '(?:-\w, )?(-{1,2}[\w-]+).*' argument missing$/, '$1 has no value')
    .replace(/^unknown option '--([\w-]+).*'$/s, (same, flag) =>
      isOption(flag) ? `${same}; --set ${camel(flag)}=… gives a model's option` : same,
    )
    .replaceAll('\n', ' ');
}

/** What most commands read. */
export const INPUT = ['<input>', 'file, folder, quoted pattern, data set, or - for stdin'] as const;
/** What commands that ask a model read. */
export const MODEL_FILE = ['<model-file>', 'what train or compare has saved'] as const;

/** The options of the library that a flag names otherwise. */
const OTHERWISE: Record<string, string> = { heldOut: 'heldOutShare', everyEpochs: 'every', kind: 'split' };

/** The flags of the command that runs, by the options of the library for which they stand. */
let flags: ReadonlyMap<string, string> = new Map();

/** Lets messages name the flags of that command from here on. */
export function speakOf(command: Command): void {
  // Of --sql and --no-sql, which are one option, the first gives it a value.
  const options = [...command.options].sort((a, b) => Number(b.negate) - Number(a.negate));
  const own = new Map(options.map((option) => [option.attributeName(), option.long ?? option.short!]));
  for (const [name, attribute] of Object.entries(OTHERWISE)) {
    if (own.has(attribute)) own.set(name, toFlag(name));
  }
  flags = own;
}

/** The text of an option for the help of a command, with flags for the other options that it names. */
export function docInFlags(doc: string, names: ReadonlySet<string>): string {
  return doc.replace(/(?<![\w.])[a-z]+[A-Z]\w*/g, (name) => (names.has(name) ? toFlag(name) : name));
}

/** `minValue` as `--min-value`. */
export function toFlag(name: string): string {
  return `--${(OTHERWISE[name] ?? name).replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * A message of the library with flags for its options. What users wrote stays as it is: whatever stands between quotes,
 * the beginning of a line that could not be read, and words of the command line.
 */
export function inFlags(text: string): string {
  const names = [...flags.keys()];
  const long = names.filter((name) => /[A-Z]/.test(name));
  if (names.length === 0) return text;
  const theirs = process.argv.slice(2).filter((word) => long.some((name) => word.includes(name)));
  const kept = [/(?<!\w)'.*'|(?<!\w)".*"|, in: .*/.source, ...theirs.map((word) => word.replace(/[^\w\s]/g, '\\$&'))];
  const pieces = text.split(new RegExp(`(${kept.join('|')})`, 's'));
  // A word such as `user` is an option only where it is called one, or where a message begins with it.
  const called = new RegExp(`(\\bthe option )(${names.join('|')})\\b(: )?`, 'g');
  const first = new RegExp(`^(${names.join('|')})(?= is )`);
  const given = new RegExp(`(?<![\\w./-])(${names.join('|')})(?= = )`, 'g');
  const alone = new RegExp(`(?<![\\w./\\\\@:-])(${long.join('|') || '(?!)'})(?![\\w/\\\\@-]|[.:]\\w)`, 'g');
  const flagOf = (name: string) => (isSet(name) ? `--set ${name}` : flags.get(name)!);
  return pieces
    .map((piece, at) => {
      if (at % 2 === 1) return piece;
      const begun = at === 0 ? piece.replace(first, flagOf) : piece;
      return begun
        .replace(called, (_, __, name, colon) => flagOf(name) + (colon ? ' ' : ''))
        .replace(given, flagOf)
        .replace(alone, flagOf);
    })
    .join('');
}

/** Whether the option was given by `--set`, and so is a model's and no flag of the same name. */
function isSet(name: string): boolean {
  const words = process.argv.slice(2);
  return words.some(
    (word, at) => word.startsWith(`--set=${name}=`) || (word === '--set' && words[at + 1]?.startsWith(`${name}=`)),
  );
}

/** `hidden-dim` as `hiddenDim`. */
function camel(flag: string): string {
  return flag.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
}

/** Whether a model has an option that somebody takes for a flag of a command that trains one model. */
function isOption(flag: string): boolean {
  const trains = ['train', 'tune'].includes(process.argv[2] ?? '');
  return trains && !noBinary && allModels.some(({ options }) => options.some(({ name }) => name === camel(flag)));
}
