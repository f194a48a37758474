/**
 * How an input is read and split: what the flags say, what a model was trained with, and what papers do with a data
 * set.
 */
import { publishedSet } from '../data/published.js';
import { TEXT_OPTIONS, TIME_OPTIONS } from '../data/row-files.js';
import type { Shard } from '../data/shard.js';
import { invalid } from '../runtime/check.js';
import type { Json } from '../runtime/json.js';
import { description } from '../runtime/native.js';
import type { ReadOptions, SplitOptions, Thresholds } from '../runtime/options.generated.js';

/** What the flags of `addInputFlags` are parsed into. */
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
  folds?: number;
  fold?: number;
  generator?: SplitOptions['generator'];
  testFile?: string;
  validationFile?: string;
  preset?: string;
}

/**
 * How an input was read and split: what a model file keeps as `input`, so that `evaluate` makes the same split again.
 */
export interface InputRecipe {
  /** `shard`: the users who are kept, of a machine that counts a part of them. */
  read: ReadOptions & Thresholds & { sql?: string; shard?: Shard };
  split: SplitOptions;
  /** Of the split of kind files, the files that are not trained on. */
  parts?: { test?: string; validation?: string };
}

/**
 * What becomes of short users unless it is said. A recipe says it, so that one that does not is known to be an older
 * one.
 */
export const SHORT_USERS = {
  shortUsers: description.split.find(({ name }) => name === 'shortUsers')!.default as SplitOptions['shortUsers'],
};

/** How data are split unless it is said. */
const KIND = description.split.find(({ name }) => name === 'kind')!.default as NonNullable<SplitOptions['kind']>;

/**
 * The recipe in a model's info, if there is one. Those of earlier versions do not say that they dropped short users.
 */
export function recipeIn(info: Json): InputRecipe | undefined {
  const recipe = (info as { input?: InputRecipe } | null)?.input;
  return recipe && { ...recipe, split: { shortUsers: 'drop', ...recipe.split } };
}

/** For the JSON of a command: that values were named that changed nothing. */
export function ignoredValues({ read }: InputRecipe): { valuesIgnored?: true } {
  const isIgnored = read.value !== undefined && read.minValue === undefined && read.weighted !== true;
  return isIgnored ? { valuesIgnored: true } : {};
}

/** Only what was given. A flag that can only be taken back (`--no-header`) was not, where it holds. */
export function pick<K extends keyof InputFlags>(flags: InputFlags, names: readonly K[]): Pick<InputFlags, K> {
  const given = (name: K) => flags[name] !== undefined && !(name === 'header' && flags[name] === true);
  return Object.fromEntries(names.filter(given).map((name) => [name, flags[name]])) as Pick<InputFlags, K>;
}

/** The flags that say how an input is read, and how it is split. */
export const READ = [
  ...TEXT_OPTIONS,
  ...TIME_OPTIONS,
  'part',
  'escape',
  'user',
  'item',
  'value',
  'minValue',
  'weighted',
  'minUser',
  'minItem',
  'sql',
] as const;
/** See {@link READ}. */
export const SPLIT = [
  ...(['validation', 'test', 'minUserItems', 'shortUsers', 'last', 'testSince', 'validationSince'] as const),
  ...(['folds', 'fold', 'generator'] as const),
] as const;

/** The flags as recipe; what they leave open, `before` fills in. */
export function recipeOf(flags: InputFlags, before?: InputRecipe): InputRecipe {
  const seed = flags.seed === undefined ? {} : { seed: flags.seed };
  const heldOut = flags.heldOutShare === undefined ? {} : { heldOut: flags.heldOutShare };
  const kind = flags.split === undefined ? {} : { kind: flags.split };
  // What was said of one kind of split means nothing for another one.
  const isOther = flags.split !== undefined && flags.split !== (before?.split.kind ?? KIND);
  const splitBefore = isOther ? { seed: before?.split.seed } : before?.split;
  const recipe: InputRecipe = {
    read: { ...before?.read, ...pick(flags, READ) },
    split: { ...splitBefore, ...pick(flags, SPLIT), ...kind, ...heldOut, ...seed },
  };
  const { testFile: test, validationFile: validation } = flags;
  if (validation === '') throw invalid('--validation-file', validation, 'a path');
  const parts = { ...(isOther ? {} : before?.parts), ...(test && { test }), ...(validation && { validation }) };
  if (Object.keys(parts).length > 0) recipe.parts = parts;
  return recipe;
}

/**
 * The recipe of an input that is not a model's: of a published data set, or of the one whose preset is asked for, the
 * papers'.
 */
export function recipeFor(input: string, flags: InputFlags, before?: InputRecipe): InputRecipe {
  const name = flags.preset ?? input;
  const set = publishedSet(name);
  if (flags.preset !== undefined && !set) {
    throw invalid('--preset', name, description.published.map(({ name }) => name).join(', '));
  }
  const preset = set && { read: set.read, split: set.split };
  return recipeOf(flags, flags.preset === undefined ? (before ?? preset) : preset);
}
