/** `recvae spark`: jobs for Apache Spark, which ships them; its workers start this command line. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Argument, type Command } from 'commander';
import { onAbort } from '../runtime/abort.js';
import { invalid } from '../runtime/check.js';
import { RecvaeError } from '../runtime/errors.js';
import { description } from '../runtime/native.js';
import type { ReadOptions, RecommendOptions, Thresholds } from '../runtime/options.generated.js';
import { docInFlags, parseNumber, toFlag } from './flags.js';
import { addFlag } from './input-flags.js';
import { interruptible } from './interrupt.js';
import { print, shellWord } from './output.js';

interface Flags extends Pick<ReadOptions, 'user' | 'item' | 'value' | 'minValue'>, Thresholds {
  out?: string;
  format?: string;
  partitions?: number;
  history?: string;
  k?: number;
  includeSeen?: boolean;
  fallback?: NonNullable<RecommendOptions['fallback']>;
  users?: string;
  allow?: string;
  deny?: string;
  shipModel?: boolean;
  master?: string;
  sparkSubmit?: string;
  workerCommand?: string;
  dryRun?: boolean;
}

/** The actions, and which of the flags that are not all's each takes. */
const ACTIONS = {
  gram: ['minUser', 'minItem'],
  recommend: ['history', 'k', 'includeSeen', 'fallback', 'users', 'allow', 'deny', 'shipModel'],
} as const satisfies Record<string, readonly (keyof Flags)[]>;

type Action = keyof typeof ACTIONS;

/** The oldest Java that Spark 4 runs on. */
const JAVA = 17;

/** `recvae spark`: what `recvae counts` and `recvae recommend` do, by a cluster that has the data. */
export function addSpark(program: Command): void {
  const command = program
    .command('spark')
    .description('count pairs of items for EASE^R, or recommend for everybody, by Apache Spark 4')
    .addArgument(
      new Argument(
        '<action>',
        'gram: count the pairs of items of the table <source>, for counts from-gram; recommend: lists by the model file <source>',
      ).choices(Object.keys(ACTIONS)),
    )
    .argument(
      '<source>',
      'of gram a table: Parquet, CSV, TSV, NDJSON or ORC, a folder or a pattern; of recommend a model file',
    )
    .argument('[flags...]', 'behind --, for spark-submit as they are, such as --conf spark.executor.memory=4g')
    .requiredOption('--out <folder>', 'a folder that is not there yet, which appears when it is whole')
    .option(
      '--history <table>',
      'of recommend, histories: a table of one item a row, or of a user with a list of items a row',
    )
    .option(
      '--format <name>',
      'of the table, where its name does not end in it: parquet, csv, tsv, json, orc or another one that Spark has',
    );
  const { read, thresholds, recommend } = description;
  for (const [name, argument] of Object.entries({
    user: 'column',
    item: 'column',
    value: 'column',
    minValue: 'number',
  })) {
    addFlag(command, read, name, argument);
  }
  for (const name of ['minUser', 'minItem']) addFlag(command, thresholds, name, 'count');
  const docOf = (name: string) => docInFlags(recommend.find((option) => option.name === name)!.doc, new Set());
  command
    .option(
      '-k <count>',
      `of recommend, items per user (default: ${recommend.find(({ name }) => name === 'k')!.default})`,
      parseNumber,
    )
    .option('--include-seen', 'of recommend, let items of the history come back')
    .option('--fallback <how>', `of recommend: ${docOf('fallback')}`)
    .option('--users <table>', 'of recommend, only for the users in the column --user of this table')
    .option(
      '--allow <table>',
      "of recommend, the only items that may come for a user, as a table like --history's; who is not in it may get all",
    )
    .option('--deny <table>', 'of recommend, items that must not come for a user, in the same way')
    .option('--ship-model', 'of recommend, copy the model file to each executor; without it all workers see its path')
    .option('--partitions <count>', 'tasks (default: of gram one for each core, of recommend two)', parseNumber)
    .option('--master <url>', "spark-submit's --master, such as spark://host:7077 or local[*]")
    .option('--spark-submit <file>', 'the program (default: that of SPARK_HOME, else that on the path)')
    .option(
      '--worker-command <words>',
      'how a worker starts recvae, such as "npx recvae" (default: by the paths of this machine)',
    )
    .option('--dry-run', 'print the line and run nothing')
    .addHelpText(
      'after',
      `
Spark 4 needs Java ${JAVA} or later, and on all machines a Python with the pyarrow and the pandas that it asks for (PYSPARK_PYTHON);
workers need Node and recvae, too.
Paths are Spark's: hdfs://, s3a:// and their kin, or files that all machines see.

gram writes the tables vocab, gram and totals, with items in the order of the bytes of their ids. recommend writes a row per user:
user, items and scores, in any order.`,
    );
  command.action(async (action: Action, source: string, more: string[], flags: Flags) => {
    const others = Object.entries(ACTIONS).filter(([name]) => name !== action);
    const other = others
      .flatMap(([, names]) => names as readonly (keyof Flags)[])
      .find((name) => flags[name] !== undefined);
    if (other !== undefined) {
      throw new RecvaeError('INVALID_ARGUMENT', `${toFlag(other)} has no meaning for spark ${action}`);
    }
    const line = lineOf(action, source, more, flags);
    if (flags.dryRun) return print(`${line.map(shellWord).join(' ')}\n`);
    checkJava();
    return interruptible((signal) => run(line, signal));
  });
}

/** A file that is shipped beside this one. */
const shipped = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The words of the command line. */
function lineOf(action: Action, source: string, more: string[], flags: Flags): string[] {
  const { master, sparkSubmit = ownSubmit() } = flags;
  return [
    sparkSubmit,
    ...(master === undefined ? [] : ['--master', master]),
    ...['--name', `recvae ${action}`, '--py-files', shipped('../spark/recvae_worker.py'), ...more],
    shipped(`../spark/recvae_${action}.py`),
    JSON.stringify(
      action === 'gram'
        ? { input: source, ...optionsOf(flags) }
        : { model: source, ...listsOf(flags), ...optionsOf(flags) },
    ),
  ];
}

/** What both jobs are told. Without a lowest value, values change nothing. */
function optionsOf(flags: Flags): object {
  const { out, format, value, minValue, minUser, minItem, partitions, workerCommand } = flags;
  if ((value === undefined) !== (minValue === undefined)) {
    const [given, missing] = value === undefined ? ['--min-value', '--value'] : ['--value', '--min-value'];
    throw new RecvaeError('INVALID_ARGUMENT', `${given} has no meaning without ${missing}`);
  }
  for (const [name, number] of Object.entries({ partitions, minUser, minItem })) {
    if (number === undefined || (Number.isSafeInteger(number) && number > 0)) continue;
    throw invalid(toFlag(name), number, 'a whole number from 1 on');
  }
  if (minValue !== undefined && !Number.isFinite(minValue)) throw invalid('--min-value', minValue, 'a finite number');
  const command = workerCommand?.split(' ').filter((word) => word !== '') ?? [process.execPath, shipped('../cli.js')];
  if (command.length === 0) throw invalid('--worker-command', workerCommand, 'a program and its arguments');
  const column = (name: 'user' | 'item') =>
    flags[name] ?? description.read.find((option) => option.name === name)!.default;
  const columns = { user: column('user'), item: column('item') };
  return { out, format, ...columns, value, minValue, minUser, minItem, partitions, command };
}

/** What the job of recommendations is told besides. */
function listsOf({ history, k, includeSeen, fallback, users, allow, deny, shipModel }: Flags): object {
  if (history === undefined)
    throw new RecvaeError('INVALID_ARGUMENT', '--history is missing, which spark recommend needs');
  const flags = [
    ...(k === undefined ? [] : ['-k', `${k}`]),
    ...(includeSeen ? ['--include-seen'] : []),
    ...(fallback === undefined ? [] : ['--fallback', fallback]),
  ];
  return { history, flags, users, allow, deny, shipped: shipModel };
}

/** The program of the Spark that the system names. */
function ownSubmit(): string {
  const home = process.env.SPARK_HOME;
  return home ? join(home, 'bin', 'spark-submit') : 'spark-submit';
}

/** Says what is needed where Java is missing or too old. */
function checkJava(): void {
  const home = process.env.JAVA_HOME;
  const java = home ? join(home, 'bin', 'java') : 'java';
  const { error, stderr } = spawnSync(java, ['-version'], { encoding: 'utf8' });
  const [, first, second] = /version "(\d+)(?:\.(\d+))?/.exec(stderr ?? '') ?? [];
  const version = Number(first === '1' ? second : first);
  if (version >= JAVA) return;
  const found = error
    ? `${java} cannot be started (${error.message})`
    : `${java} is version ${first === undefined ? 'unknown' : version}`;
  throw new RecvaeError(
    'INVALID_ARGUMENT',
    `${found}; allowed: Java ${JAVA} or later, which Spark 4 needs, on the path or in JAVA_HOME`,
  );
}

/** Where a program is, if it is on the path. */
function found(program: string): string | undefined {
  if (program.includes('/')) return existsSync(program) ? program : undefined;
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** The environment in which spark-submit finds the Python beside it, unless another one is named. */
function environment(submit: string): NodeJS.ProcessEnv {
  const python = join(dirname(submit), 'python3');
  return process.env.PYSPARK_PYTHON === undefined && existsSync(python)
    ? { ...process.env, PYSPARK_PYTHON: python }
    : process.env;
}

/** Runs spark-submit to its end. */
async function run([program, ...args]: string[], signal: AbortSignal): Promise<void> {
  const submit = found(program!);
  if (submit === undefined) {
    const allowed = `that of a Spark 4 in SPARK_HOME, on the path (pip install 'pyspark[sql]') or by --spark-submit`;
    throw invalid('spark-submit', program!, `a program that is there: ${allowed}`);
  }
  // All that it writes are messages; it puts those of a job in Python on its stdout.
  const child: ChildProcess = spawn(submit, args, { stdio: ['ignore', 2, 2], env: environment(submit) });
  const release = onAbort(signal, () => child.kill('SIGTERM'));
  try {
    const [code, killed] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, killed) => resolve([code, killed]));
    });
    signal.throwIfAborted();
    if (code === 0) return;
    throw new RecvaeError(
      'IO',
      `spark-submit ${killed === null ? `ended with ${code}` : `was killed by ${killed}`}; what it wrote says why`,
    );
  } finally {
    release();
  }
}
