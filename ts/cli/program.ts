/**
 * All commands: results on stdout, everything else on stderr; exit 0 done, 1 failed, 2 wrong use, 128 + n by signal n.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { invalid } from '../runtime/check.js';
import { toRecvaeError } from '../runtime/errors.js';
import { noBinary } from '../runtime/native.js';
import { addCompletion } from './completion.js';
import { examplesOf } from './examples.js';
import { inFlags, ofCommander, speakOf } from './flags.js';
import { endOnSignals, Interrupted } from './interrupt.js';
import { cannotPrint, logging, message, shown, writeOut } from './output.js';

const { version, description } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/** Makes a command, and adds it. */
type Add = (program: Command) => void;

/**
 * The commands in the order of the help. Each module is read when it is needed: all of them take longer than what most
 * commands do.
 */
const COMMANDS = new Map<string, () => Promise<Add>>([
  ['advise', async () => (await import('./advise.js')).addAdvise],
  ['compare', async () => (await import('./compare.js')).addCompare],
  ['tune', async () => (await import('./tune.js')).addTune],
  ['ablate', async () => (await import('./ablate.js')).addAblate],
  ['report', async () => (await import('./report.js')).addReport],
  ['train', async () => (await import('./train.js')).addTrain],
  ['counts', async () => (await import('./counts.js')).addCounts],
  ['spark', async () => (await import('./spark.js')).addSpark],
  ['evaluate', async () => (await import('./evaluate.js')).addEvaluate],
  ['recommend', async () => (await import('./recommend.js')).addRecommend],
  ['similar', async () => (await import('./similar.js')).addSimilar],
  ['explain', async () => (await import('./explain.js')).addExplain],
  ['serve', async () => (await import('./serve.js')).addServe],
  ['compact', async () => (await import('./compact.js')).addCompact],
  ['inspect', async () => (await import('./inspect.js')).addInspect],
  ['import', async () => (await import('./exchange.js')).addImport],
  ['export', async () => (await import('./exchange.js')).addExport],
  ['split', async () => (await import('./split.js')).addSplit],
  ['synth', async () => (await import('./synth.js')).addSynth],
  ['models', async () => (await import('./models.js')).addModels],
  ['info', async () => (await import('./info.js')).addInfo],
  ['datasets', async () => (await import('./datasets.js')).addDatasets],
]);

/** The program with the command that is asked for, or with all. */
export async function createProgram(asked?: string): Promise<Command> {
  const program = new Command('recvae')
    .description(description)
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut,
      writeErr: (text) => process.stderr.write(shown(text)),
      outputError: (text) => message(`recvae: ${ofCommander(text)}; --help shows what is allowed`),
    })
    .configureHelp({ showGlobalOptions: true })
    .option('--quiet', 'no messages but warnings and errors, and no bar')
    .addOption(
      new Option('--log <format>', 'how messages are written to stderr').choices(['text', 'json']).default('text'),
    )
    .hook('preAction', (_, command) => {
      if (noBinary) throw noBinary; // help and the version do without
      speakOf(command);
    })
    .addHelpText(
      'after',
      `
<input> is a file of rows (CSV, TSV, NDJSON or a published format, plain, gzip or zstd; recvae datasets lists them), a
folder or a quoted pattern of such files ('likes/*.csv'), - for stdin with --format, a folder in the layout of the official
Mult-VAE and RecVAE scripts, the name of a built-in data set, debian, or of one that recvae datasets get has downloaded,
such as ml-20m, which is read and split as in the papers (a file or folder of that name is ./debian). With
the package @duckdb/node-api it is also Parquet or JSON ('likes/*.parquet'), and with --sql a DuckDB database.

Exit codes: 0 done, 1 failed, 2 wrong use, 130 stopped by Ctrl-C, 143 by SIGTERM; a second Ctrl-C does not wait.`,
    );
  const only = COMMANDS.get(asked ?? '');
  for (const add of only ? [only] : COMMANDS.values()) (await add())(program);
  if (!only) addCompletion(program); // after those that it completes
  for (const command of program.commands) command.addHelpText('after', examplesOf(command.name()));
  return program;
}

/** How messages are written, from the first one on: also those about the words of the command line themselves. */
function listenTo(words: string[]): void {
  logging.quiet = words.includes('--quiet');
  const at = words.indexOf('--log');
  if (words[at + 1] === 'json' || words.includes('--log=json')) logging.format = 'json';
}

/** The word that names a command: the first one, unless an option is before it that the commands do not share. */
function commandIn(words: string[]): string | undefined {
  for (let at = 0; at < words.length; at++) {
    if (words[at] === '--log') at++;
    else if (words[at] !== '--quiet' && !words[at]!.startsWith('--log=')) return words[at];
  }
}

/** Fails for `help` of a command that there is not, where commander shows all commands as if nothing were wrong. */
function refuseHelp(program: Command, words: string[]): void {
  const at = words.indexOf('help');
  const asked = words[at + 1];
  if (commandIn(words) !== 'help' || asked === undefined || asked.startsWith('-')) return;
  const names = [...program.commands.map((command) => command.name()), 'help'];
  if (!names.includes(asked)) throw invalid('<command>', asked, names.join(', '));
}

/** Runs the command that the process was started with, and gives its exit code. */
export async function run(): Promise<number> {
  listenTo(process.argv.slice(2));
  endOnSignals();
  // A reader that has seen enough (`recvae … | head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    message(`recvae: ${cannotPrint(error).message}`);
    process.exit(1);
  });
  // One that does not want the messages still wants the result.
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exit(1);
  });
  if (noBinary) message(`recvae: ${noBinary.message}`);
  try {
    const program = await createProgram(commandIn(process.argv.slice(2)));
    refuseHelp(program, process.argv.slice(2));
    await program.parseAsync();
    return 0;
  } catch (thrown) {
    if (noBinary && thrown === noBinary) return 1; // told
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2; // commander has printed it
    if (thrown instanceof Interrupted) {
      message(`recvae: ${thrown.message}`);
      process.exit(thrown.exitCode); // an input that is still open would keep the process alive
    }
    const error = toRecvaeError(thrown);
    message(`recvae: ${inFlags(error.message)}`, { code: error.code });
    return error.code === 'INVALID_ARGUMENT' ? 2 : 1;
  }
}
