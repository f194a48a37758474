import { Argument, type Command, Option } from 'commander';
import { tablesIn } from '../data/gram.js';
import { type GramSqlOptions, gramSql, SQL_DIALECTS, type SqlDialect } from '../data/gram-sql.js';
import { Interactions } from '../data/interactions.js';
import type { Shard } from '../data/shard.js';
import { shardText } from '../data/shard.js';
import { Split } from '../data/split.js';
import { EaseCounts } from '../models/ease-counts.js';
import type { Progress } from '../models/progress.js';
import { unlessAborted } from '../runtime/abort.js';
import { invalid } from '../runtime/check.js';
import { RecvaeError } from '../runtime/errors.js';
import type { EaseOptions } from '../runtime/options.generated.js';
import { addMemoryFlag, type JobFlags, threadsFlag } from './common-flags.js';
import { filesBehind, refuseSame } from './distinct.js';
import { inFlags, toFlag } from './flags.js';
import { readInput } from './input.js';
import { addReadFlags } from './input-flags.js';
import { interruptible, leavable } from './interrupt.js';
import { checkWritable, message, print, printBytes } from './output.js';
import { EpochBar } from './progress.js';
import { pick, READ, recipeFor } from './recipe.js';
import { addSetting } from './settings.js';
import { addShardFlag } from './shard.js';

interface Flags extends JobFlags, Partial<GramSqlOptions> {
  out?: string;
  shard?: Shard;
  dialect?: SqlDialect;
}

/**
 * The actions, and which of the flags that are not all's each takes; `sql` takes the columns, which `shard` reads by.
 */
const ACTIONS = {
  shard: ['shard', 'out', ...READ],
  merge: ['out'],
  'from-gram': ['out'],
  fit: ['out', 'set'],
  sql: ['dialect', 'table', 'to', 'user', 'item'],
  pairs: [],
} as const satisfies Record<string, readonly (keyof Flags)[]>;

type Action = keyof typeof ACTIONS;

const OWN = ['shard', 'out', 'set', 'dialect', 'table', 'to', ...READ] as const;

/** `recvae counts`: what EASE^R is computed from, counted by several machines or by a database. */
export function addCounts(program: Command): void {
  const command = program
    .command('counts')
    .description('count pairs of items for EASE^R on several machines or by a database, and train on the counts')
    .addArgument(
      new Argument(
        '<action>',
        'shard: count a part of the users of <input>; merge: add up the files of all shards; from-gram: take the tables that a ' +
          'database wrote; fit: train on counts; sql: print the statements for a database; pairs: of an Arrow stream of user and item, ' +
          'an index, on stdin, the counted pairs as one on stdout',
      ).choices(Object.keys(ACTIONS)),
    )
    .argument('[source...]', 'of shard <input>, of merge files, of from-gram a folder, of fit a file, of pairs -')
    .option('--out <file>', 'where the counts go, or the model');
  addShardFlag(command, 'of shard, which users')
    .option('--set <option=value>', 'of fit, an option of ease (see: recvae models ease); may be repeated', addSetting)
    .addOption(new Option('--dialect <name>', 'of sql, whose SQL').choices(SQL_DIALECTS))
    .option('--table <name>', 'of sql, what stands behind FROM (default: interactions)')
    .option('--to <place>', 'of sql, the folder, bucket or stage for the tables (default: .)')
    .addOption(threadsFlag());
  addReadFlags(addMemoryFlag(command)).addHelpText(
    'after',
    `
All machines read the whole <input> in the same way, and count the users of their own shard: memory is that of the shard, with
--min-user or --min-item that of all. The merged file has the bytes of counting everybody in one run.`,
  );
  command.action(async (action: Action, sources: string[], flags: Flags) => {
    const taken: readonly string[] = ACTIONS[action];
    const [other] = OWN.filter((name) => !taken.includes(name) && isGiven(flags, name));
    if (other !== undefined) {
      throw new RecvaeError('INVALID_ARGUMENT', `${toFlag(other)} has no meaning for counts ${action}`);
    }
    if (action === 'sql') return print(sqlOf(sources, flags));
    const { threads, memoryLimit } = flags;
    const limits = { ...(threads !== undefined && { threads }), ...(memoryLimit !== undefined && { memoryLimit }) };
    if (action === 'pairs') return interruptible((signal) => pairsOf(sources, { ...limits, signal }));
    const out = needed(flags.out, '--out');
    if (sources.length === 0)
      throw new RecvaeError('INVALID_ARGUMENT', `<source> is missing, which counts ${action} needs`);
    if (sources.length > 1 && action !== 'merge') {
      throw invalid('<source>', sources.join(' '), `one for counts ${action}`);
    }
    refuseSame({ inputs: { '<source>': filesOf(action, sources) }, outputs: { '--out': out } });
    checkWritable(out, '--out');
    if (action === 'fit') return fitTo(out, sources[0]!, flags, limits);
    const started = performance.now();
    const counts = await interruptible((signal) => {
      const run = { ...limits, signal };
      if (action === 'merge') return EaseCounts.merge(sources, run);
      if (action === 'from-gram') return EaseCounts.fromGram(sources[0]!, run);
      return countShard(sources[0]!, flags, run);
    });
    await leavable(() => counts.save(out));
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const { nUsers, itemIds, shard } = counts;
    const which = shard === undefined ? '' : ` of shard ${shardText(shard)}`;
    message(`${nUsers} users${which}, ${itemIds.length} items in ${seconds} s: ${out}`);
  });
}

/** The files that are read. */
function filesOf(action: Action, sources: string[]): string[] {
  if (action === 'shard') return filesBehind(sources[0]);
  return action === 'from-gram' ? Object.values(tablesIn(sources[0]!)).flat() : sources;
}

/** Whether a flag was given; one that can only be taken back was not, where it holds. */
function isGiven(flags: Flags, name: (typeof OWN)[number]): boolean {
  return (READ as readonly string[]).includes(name)
    ? Object.keys(pick(flags, [name as (typeof READ)[number]])).length > 0
    : flags[name as keyof Flags] !== undefined;
}

function needed<T>(value: T | undefined, flag: string): T {
  if (value !== undefined) return value;
  throw new RecvaeError('INVALID_ARGUMENT', `${flag} is missing`);
}

type Run = Parameters<typeof EaseCounts.merge>[1];

async function countShard(input: string, flags: Flags, run: Run): Promise<EaseCounts> {
  const shard = needed(flags.shard, '--shard');
  const recipe = recipeFor(input, flags);
  const { signal } = run ?? {};
  // Of a published set the papers' way to read it is meant, not their split.
  const read = await readInput(input, flags, { read: { ...recipe.read, shard }, split: {} }, signal && { signal });
  if (read instanceof Split) message('the training users of the split are counted');
  for (const { text } of read.leftOut) message(inFlags(text));
  const unkept = (['user', 'item', 'value', 'minValue', 'sql'] as const).filter(
    (name) => recipe.read[name] !== undefined,
  );
  if (unkept.length > 0) {
    const flags = unkept.map((name) => toFlag(name)).join(', ');
    message(`counts do not keep how data were read: recommend and evaluate need ${flags} again`);
  }
  return EaseCounts.countShard(read, shard, run);
}

/** What a worker of a cluster adds to a Gram matrix. */
async function pairsOf(sources: string[], run: Run & { signal: AbortSignal }): Promise<void> {
  if (sources.join(' ') !== '-') throw invalid('<source>', sources.join(' '), '- for counts pairs, which reads stdin');
  const data = await Interactions.fromArrow(process.stdin, {}, { signal: run.signal });
  const counts = await EaseCounts.count(data, run);
  data.dispose();
  for (const part of counts.arrowPairs()) await unlessAborted(run.signal, printBytes(part));
}

async function fitTo(out: string, file: string, { set }: Flags, limits: object): Promise<void> {
  const counts = await EaseCounts.load(file);
  const bar = new EpochBar();
  const onProgress = (progress: Progress) => bar.update('ease', progress);
  const started = performance.now();
  try {
    const { nUsers: users, itemIds } = counts;
    const info = { data: { users, items: itemIds.length } };
    const work = (signal: AbortSignal) =>
      counts.fit({ ...set } as EaseOptions, { ...limits, signal, info, onProgress });
    const model = await interruptible(work);
    await leavable(() => model.save(out));
    bar.stop();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    message(`ease trained in ${seconds} s, ${users} users, ${itemIds.length} items: ${out}`);
  } finally {
    bar.stop();
  }
}

function sqlOf(sources: string[], { dialect, table, user, item, to }: Flags): string {
  if (sources.length > 0) throw invalid('<source>', sources.join(' '), 'none for counts sql, which has --table');
  const name = needed(dialect, '--dialect');
  return gramSql(name, { table: table ?? 'interactions', user: user ?? 'user', item: item ?? 'item', to: to ?? '.' });
}
