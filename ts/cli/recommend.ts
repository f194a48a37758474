import { createHash } from 'node:crypto';
import { mkdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { arrowHistories } from '../data/arrow.js';
import type { History } from '../data/interactions.js';
import type { LeftOut } from '../data/left-out.js';
import { TEXT_OPTIONS } from '../data/row-files.js';
import { type Shard, shardText } from '../data/shard.js';
import { filesAt, isDatabase, kindOf } from '../data/sources.js';
import type { FilterOptions, ServeOptions } from '../models/filter.js';
import {
  areLists,
  arrowOf,
  lineOf,
  parsed,
  readHistories,
  writeRecommendations,
  writerFor,
} from '../models/histories.js';
import { load } from '../models/model.js';
import type { UserRecommendation, UserRequest } from '../models/serving.js';
import { modelIdentity, recommendShard } from '../models/shards.js';
import { openHistories, recommendGroups } from '../models/stream.js';
import { onAbort, unlessAborted } from '../runtime/abort.js';
import { invalid } from '../runtime/check.js';
import { guard, guardAsync, RecvaeError, toRecvaeError } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import { description, native } from '../runtime/native.js';
import type { ReadOptions, RecommendOptions } from '../runtime/options.generated.js';
import { threadsFlag } from './common-flags.js';
import { addListsDeviceFlag, loadOptionsOf } from './compute.js';
import { fileIn, filesBehind, refuseSame } from './distinct.js';
import { warnOfFallback } from './fallback.js';
import { docInFlags, inFlags, MODEL_FILE, parseNumber, toFlag } from './flags.js';
import { addFilterFlags, type FilterFlags, filterIn } from './ids.js';
import { queryOf, tellIgnoredValues } from './input.js';
import { interruptible } from './interrupt.js';
import { checkWritable, message, print, printBytes } from './output.js';
import { type InputRecipe, recipeIn } from './recipe.js';
import { addShardFlag } from './shard.js';

interface Flags extends FilterFlags {
  history: string;
  format?: ReadOptions['format'];
  separator?: string;
  header?: boolean;
  encoding?: NonNullable<ReadOptions['encoding']>;
  quote?: NonNullable<ReadOptions['quote']>;
  skipBadRows?: number;
  user?: string;
  item?: string;
  value?: string | false;
  minValue?: number;
  sql?: string | false;
  escape?: NonNullable<ReadOptions['escape']>;
  k?: number;
  includeSeen?: boolean;
  fallback?: NonNullable<RecommendOptions['fallback']>;
  threads?: number;
  device?: string;
  out?: string;
  shard?: Shard;
  usersPerPart?: number;
  arrow?: boolean;
}

/** Users of a part of a shard, unless it is said. */
const USERS_PER_PART = 1 << 16;

/** Milliseconds between messages about the progress. */
const SILENCE = 5000;

/** `recvae recommend`: histories in, recommendations out, one JSON object per line or in Parquet. */
export function addRecommend(program: Command): void {
  const { default: k } = description.recommend.find(({ name }) => name === 'k')!;
  const command = program
    .command('recommend')
    .description('recommend items for histories, one JSON object per line: {"user":"u1","items":["a","b"]}')
    .argument(...MODEL_FILE)
    .option(
      '--history <file>',
      'lines of NDJSON with histories or with rows of a table, plain, gzip or zstd; - is stdin, with histories; or another table: ' +
        'CSV or TSV, plain, gzip or zstd, Parquet, a quoted glob of them',
      '-',
    );
  const ofTable = (name: string) => {
    const { doc, default: value } = description.read.find((option) => option.name === name)!;
    const otherwise = value === null ? '' : `, else ${JSON.stringify(value)}`;
    return `of a table: ${docInFlags(doc, new Set(['minValue']))} (default: the training's${otherwise})`;
  };
  command
    .option('--format <name>', ofTable('format'))
    .option('--separator <text>', ofTable('separator'))
    .option('--header', 'of a table: the first row names the columns, whatever the training was told')
    .option('--no-header', 'of a table: the first row does not name the columns, which have numbers from 1')
    .option('--encoding <utf8|latin1>', ofTable('encoding'))
    .option('--quote <double|none>', ofTable('quote'))
    .option('--skip-bad-rows <count>', ofTable('skipBadRows'), parseNumber)
    .option('--user <column>', ofTable('user'))
    .option('--item <column>', ofTable('item'))
    .option('--value <column>', ofTable('value'))
    .option('--no-value', 'of a table: every row counts, whatever the training did')
    .option('--min-value <number>', ofTable('minValue'), parseNumber)
    .option(
      '--sql <query>',
      "of a table: a DuckDB query for the rows, which sees it as input (default: the training's)",
    )
    .option('--no-sql', "of a table: without the training's query")
    .option('--escape <how>', ofTable('escape'));
  addFilterFlags(command)
    .option('-k <count>', `items per user (default: ${k})`, parseNumber)
    .option('--include-seen', 'let items of the history come back')
    .option('--fallback <how>', docOfFallback())
    .addOption(threadsFlag());
  addListsDeviceFlag(command).option(
    '--out <file>',
    'write to a file in .ndjson, .jsonl, .csv (these also with .gz) or .parquet, which appears when it is whole; with --shard, a folder',
  );
  command.option(
    '--arrow',
    'stdin and stdout are Arrow IPC streams: user and items, also allow and deny, in; user, items and scores out',
  );
  addShardFlag(command, 'recommend for a part of the users, into the folder --out')
    .option(
      '--users-per-part <count>',
      `of --shard: users in a file of --out (default: ${USERS_PER_PART})`,
      parseNumber,
    )
    .addHelpText(
      'after',
      `
A line may have the lists allow, of the only items that may come for it, and deny, of items that must not. Ids may be whole
numbers too. Results are written while the input is read, line by line in its order: a line that cannot be understood ends
the command with exit code 1, after the results of the lines before it.

A table of histories has one row per interaction, or per user with a list of items in the column --item. It is read as
the training read its data: the same columns, and rows with a value below --min-value do not count. Lines of NDJSON are such
rows where the first one has no "items". CSV and Parquet results have one row per item: user, rank, item, score. Parquet, --sql
and databases need the package @duckdb/node-api.

With --shard, each of n machines runs the same command with its own k and reads the whole --history, which cannot be stdin. --out is
a folder for all of them, such as lists.parquet, with a file for every ${USERS_PER_PART.toLocaleString('en')} users. A shard that was killed goes on where it was
when the same command runs again. The one that is done last writes _manifest.json and _SUCCESS.`,
    )
    .action((file: string, flags: Flags) => interruptible((signal) => run(file, flags, signal)));
}

/** Fails for flags that do not go with --shard, or only with it. */
function checkShard({ shard, usersPerPart, history, out }: Flags): void {
  if (shard === undefined) {
    if (usersPerPart === undefined) return;
    throw new RecvaeError('INVALID_ARGUMENT', '--users-per-part has no meaning without --shard');
  }
  if (out === undefined) throw new RecvaeError('INVALID_ARGUMENT', '--out is missing, which --shard needs');
  if (history === '-') throw invalid('--history', history, 'a file with --shard, which reads it again after a kill');
  if (usersPerPart === undefined || (Number.isSafeInteger(usersPerPart) && usersPerPart > 0)) return;
  throw invalid('--users-per-part', usersPerPart, 'a whole number from 1 on');
}

/** Fails for flags that do not go with --arrow. */
function checkArrow(flags: Flags): void {
  if (!flags.arrow) return;
  if (flags.history !== '-') throw invalid('--history', flags.history, '- with --arrow, which reads stdin');
  const [other] = [...tableFlags(flags), ...(['out', 'shard'] as const).filter((name) => flags[name] !== undefined)];
  if (other === undefined) return;
  throw new RecvaeError('INVALID_ARGUMENT', `${toFlag(other)} has no meaning with --arrow`);
}

/** What the fallback is, and what holds without the flag. */
function docOfFallback(): string {
  return description.recommend.find(({ name }) => name === 'fallback')!.doc;
}

async function run(file: string, flags: Flags, signal: AbortSignal): Promise<void> {
  const { history, allow, deny, out } = flags;
  refuseSame({
    inputs: {
      '<model-file>': file,
      '--history': filesBehind(history),
      '--allow': fileIn(allow),
      '--deny': fileIn(deny),
    },
    outputs: { '--out': out },
  });
  checkShard(flags);
  checkArrow(flags);
  if (out !== undefined) {
    writerFor(out.replace(/\/+$/, ''), '--out');
    // It stays: to take it away again might take what another shard has put there meanwhile.
    if (flags.shard) guard(() => mkdirSync(out, { recursive: true }));
    checkWritable(flags.shard ? join(out, '_job.json') : out, '--out');
  }
  const lists = await filterIn(flags, signal);
  // However it ends, nobody goes on reading.
  const ended = new AbortController();
  try {
    await recommendFor(file, flags, lists, open(flags, AbortSignal.any([signal, ended.signal])), signal);
  } finally {
    ended.abort();
  }
}

/** Recommends for the histories. */
async function recommendFor(
  file: string,
  flags: Flags,
  lists: FilterOptions,
  histories: Opened,
  signal: AbortSignal,
): Promise<void> {
  const model = await load(file, loadOptionsOf(flags));
  const filter = model.filter(lists);
  if (filter.unknown.length > 0) message(`${filter.unknown.length} ids of the lists are not known to the model`);
  const { fallback } = flags;
  if (fallback === undefined) {
    warnOfFallback(file, model, '--fallback none takes that; training anew changes it');
  }
  const options: ServeOptions = { k: flags.k, filterSeen: flags.includeSeen ? false : undefined, fallback, filter };
  const run = { threads: flags.threads, signal };
  await model.recommendBatch([], options, run); // finds a bad option before it waits for input
  if (flags.shard)
    return intoShard(file, flags, lists, histories(model.info), (some) => {
      return told(recommendGroups(model, openHistories(some), options, run));
    });
  const groups = recommendGroups(model, openHistories(histories(model.info)), options, run);
  if (flags.out !== undefined) return intoFile(flags.out, groups);
  if (flags.arrow) {
    for await (const part of arrowOf(groups)) await unlessAborted(signal, printBytes(part));
    return;
  }
  for await (const group of groups) await unlessAborted(signal, print(group.map(lineOf).join('')));
}

/** What is known of the histories before there is a model: how to read them with it. */
type Opened = (info: Json) => AsyncIterable<UserRequest>;

/** Opens the histories that the flags name. A file that is not there is found before the model is loaded. */
function open(flags: Flags, signal: AbortSignal): Opened {
  const { history } = flags;
  if (flags.arrow) return () => arrowHistories(process.stdin, signal);
  if (isTabular(flags)) {
    if (flags.value === false && flags.minValue !== undefined) {
      throw new RecvaeError('INVALID_ARGUMENT', '--min-value has no meaning with --no-value');
    }
    return (info) => tableOf(flags, recipeIn(info)?.read ?? {}, signal);
  }
  const [ofTable] = tableFlags(flags);
  const isRegular = statSync(history, { throwIfNoEntry: false })?.isFile() ?? false;
  const isFile = kindOf(history) === 'ndjson' && isRegular;
  if (ofTable !== undefined && !isFile) {
    throw new RecvaeError('INVALID_ARGUMENT', `${toFlag(ofTable)} has no meaning for lines with histories`);
  }
  const run = new native.NativeRun();
  onAbort(signal, () => run.cancel());
  const lines = guard(() => new native.NativeHistories(history === '-' ? undefined : history, run));
  return async function* (info) {
    const trained = recipeIn(info)?.read ?? {};
    const line = isFile ? await guardAsync(() => native.firstLine(history, run)) : null;
    const first = line === null ? undefined : parsed(line);
    // A name that says nothing is that of a table where the training was told what its rows are.
    const isNamed = kindOf(history) === undefined && trained.format !== undefined && isRegular;
    const isRow = first !== undefined && !Object.hasOwn(first, 'items');
    if (isRow || isNamed) yield* tableOf(flags, trained, signal);
    else if (ofTable === undefined) yield* historiesOf(lines, signal);
    else throw new RecvaeError('INVALID_ARGUMENT', `${toFlag(ofTable)} has no meaning for lines with histories`);
  };
}

/** The flags that were given and say how to read a table. */
function tableFlags(flags: Flags) {
  const names = [...TEXT_OPTIONS, 'user', 'item', 'value', 'minValue', 'sql', 'escape'] as const;
  return names.filter((name) => flags[name] !== undefined && (flags[name] !== false || name === 'header'));
}

/** Whether histories are rows of a table, and not lines of NDJSON. */
function isTabular(flags: Flags): boolean {
  const { history } = flags;
  const kind = kindOf(history);
  if (flags.format !== undefined) return true;
  // JSON may be either: whoever names columns means a table.
  if (kind === 'json' && tableFlags(flags).length > 0) return true;
  const isFolder = statSync(history, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return isDatabase(history) || isFolder || ['parquet', 'csv', 'tsv', 'arrow'].includes(kind ?? '');
}

/** The histories in lines of JSON. What comes before a bad line is handed out. */
async function* historiesOf(lines: native.NativeHistories, signal: AbortSignal): AsyncGenerator<UserRequest> {
  let told = false;
  const tell = () => {
    const skipped = told ? null : lines.skipped();
    if (!skipped) return;
    told = true;
    const { key, line } = skipped;
    message(`warning: key '${key}' of line ${line} is not read; those read are user, items, allow and deny`);
  };
  const next = async () => {
    try {
      return await guardAsync(() => lines.next());
    } catch (thrown) {
      signal.throwIfAborted();
      throw thrown;
    }
  };
  for (let histories = await next(); histories.length > 0; histories = await next()) {
    tell();
    yield* histories;
  }
}

/**
 * The histories in a table. It is read as the data were for the training, where the flags say nothing else: a row that
 * was no like there is none here.
 */
async function* tableOf(
  flags: Flags,
  trained: Partial<InputRecipe['read']>,
  signal: AbortSignal,
): AsyncGenerator<History> {
  const { history } = flags;
  const user = flags.user ?? trained.user;
  const item = flags.item ?? trained.item;
  const sql = flags.sql === false ? undefined : (flags.sql ?? trained.sql);
  const minValue = flags.value === false ? undefined : (flags.minValue ?? trained.minValue);
  const own = flags.value === false ? undefined : flags.value;
  const value = own ?? (minValue === undefined || flags.value === false ? undefined : trained.value);
  if (own !== undefined && minValue === undefined) tellIgnoredValues({ read: { value: own }, split: {} });
  const ways: string[] = [];
  if (value !== undefined && own === undefined) {
    const way = `rows with ${value} below ${minValue} do not count (--no-value: every row does)`;
    if (flags.minValue === undefined) ways.push(way);
    else message(way);
  }
  if (sql !== undefined && flags.sql === undefined) ways.push("rows are those of the training's --sql (--no-sql: all)");
  for (const way of ways) message(`as in the training, ${way}`);
  for (const name of ['user', 'item'] as const) {
    if (flags[name] === undefined && trained[name] !== undefined) {
      ways.push(`${name}s are in the column ${trained[name]} (--${name} names another)`);
    }
  }
  const how = flags.escape ?? (kindOf(history) === 'csv' ? trained.escape : undefined);
  const escaping = how === undefined ? {} : { escape: how };
  const from = isDatabase(history)
    ? { database: history, sql: queryOf(history, sql, '--history') }
    : { source: history, sql };
  const isText = sql === undefined && !isDatabase(history) && kindOf(history) !== 'parquet';
  const ofTraining = isText ? await formOf(flags, trained) : {};
  const flagOf = ([name, value]: [string, unknown]) => (value === false ? `--no-${name}` : `${toFlag(name)} ${value}`);
  const form = Object.entries(ofTraining).map(flagOf);
  if (form.length > 0) ways.push(`with ${form.join(' ')} (flags say otherwise)`);
  const text = { ...ofTraining, ...given(flags) };
  const tell = (leftOut: LeftOut[]) => {
    for (const { text } of leftOut) message(inFlags(text));
  };
  try {
    const rows = { ...from, user, item, value, minValue, ...escaping, ...text };
    yield* readHistories(rows, { signal, onLeftOut: tell });
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message } = toRecvaeError(thrown);
    if (code === 'IO' || ways.length === 0) throw thrown;
    const place = message.startsWith(`${history}:`) ? '' : `${history}: `;
    throw new RecvaeError(code, `${place}${message}; as in the training, ${ways.join(', ')}`, { cause: thrown });
  }
}

/** The flags for text that were given. */
function given(flags: Flags): Pick<Flags, (typeof TEXT_OPTIONS)[number]> {
  return Object.fromEntries(TEXT_OPTIONS.flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]])));
}

/**
 * The form of the training's rows, where the flags say nothing else and files of such a name can have it. Its time is
 * left aside: what came later is part of a history.
 */
async function formOf(flags: Flags, trained: Partial<InputRecipe['read']>): Promise<Pick<ReadOptions, 'format'>> {
  const [path = flags.history] = filesAt(flags.history) ?? [];
  const isOther = flags.format !== undefined && flags.format !== trained.format;
  const kind = kindOf(path);
  const isJson = kind === 'ndjson' || kind === 'json';
  // Lines with lists are histories already: none of them may be missing.
  const mayMiss = !isJson || !(await areLists([path], flags.item ?? trained.item ?? 'item'));
  const names = isOther ? [] : isJson || kind === 'arrow' ? (['skipBadRows'] as const) : TEXT_OPTIONS;
  const kept = names.filter((name) => flags[name] === undefined && (name !== 'skipBadRows' || mayMiss));
  return Object.fromEntries(kept.flatMap((name) => (trained[name] === undefined ? [] : [[name, trained[name]]])));
}

/** Makes the parts of a shard. */
async function intoShard(
  file: string,
  { history, k, includeSeen, fallback, out, shard, usersPerPart, ...flags }: Flags,
  { allow, deny }: FilterOptions,
  histories: AsyncIterable<History>,
  recommend: Parameters<typeof recommendShard>[2],
): Promise<void> {
  const started = performance.now();
  const bytesOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? null;
  const files = (filesAt(history) ?? [history]).map((path) => ({ file: basename(path), bytes: bytesOf(path) }));
  const { format, user, item, value, minValue, sql, escape: escaping } = flags;
  const read = { ...given({ history, ...flags }), format, user, item, value, minValue, sql, escape: escaping };
  const lists = { allow: hashOf(allow), deny: hashOf(deny) };
  // What is not given is what the core takes, so that whoever spells it out goes on with the same job.
  const usual = description.recommend.find(({ name }) => name === 'k')!.default;
  const complete = { k: k ?? usual, includeSeen: includeSeen ?? false };
  const job = { model: modelIdentity(file), history: files, read, ...complete, fallback, ...lists };
  const result = await recommendShard(
    {
      folder: out!,
      shard: shard!,
      usersPerPart: usersPerPart ?? USERS_PER_PART,
      // As it will be read again: without what is undefined.
      job: JSON.parse(JSON.stringify(job)),
    },
    histories,
    recommend,
  );
  const { users, parts, partsBefore, missing } = result;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const made = parts - partsBefore;
  message(
    `shard ${shardText(shard!)}: ${users} users; parts made: ${made}, there before: ${partsBefore}; ${seconds} s: ${out}`,
  );
  const manifest = join(out!, '_manifest.json');
  message(missing === 0 ? `all shards are done: ${manifest}` : `shards not done yet: ${missing} of ${shard!.of}`);
}

/** A list in short. */
function hashOf(ids: FilterOptions['allow']): string | undefined {
  return (
    ids &&
    createHash('sha256')
      .update(JSON.stringify([...ids]))
      .digest('hex')
  );
}

/** Results one at a time; tells of the progress. */
async function* told(groups: AsyncIterable<UserRecommendation[]>): AsyncGenerator<UserRecommendation> {
  const started = performance.now();
  let [users, last] = [0, started];
  for await (const group of groups) {
    yield* group;
    users += group.length;
    const now = performance.now();
    if (now - last < SILENCE) continue;
    last = now;
    message(`${users} users, ${Math.round((1000 * users) / (now - started))} per second`);
  }
}

/** Writes the file, and tells of the progress. */
async function intoFile(out: string, groups: AsyncIterable<UserRecommendation[]>): Promise<void> {
  const started = performance.now();
  const users = await writeRecommendations(out, told(groups));
  message(`${users} users in ${((performance.now() - started) / 1000).toFixed(1)} s: ${out}`);
}
