/** All commands: results on stdout, everything else on stderr; exit 0 done, 1 failed, 2 wrong use, 128 + n by signal n. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { toRecvaeError } from '../runtime/errors.js';
import { noBinary } from '../runtime/native.js';
import { addAblate } from './ablate.js';
import { addAdvise } from './advise.js';
import { addCompact } from './compact.js';
import { addCompare } from './compare.js';
import { addCompletion } from './completion.js';
import { addCounts } from './counts.js';
import { addDatasets } from './datasets.js';
import { addEvaluate } from './evaluate.js';
import { examplesOf } from './examples.js';
import { addExport, addImport } from './exchange.js';
import { addExplain } from './explain.js';
import { inFlags, ofCommander, speakOf } from './flags.js';
import { addInfo } from './info.js';
import { addInspect } from './inspect.js';
import { endOnSignals, Interrupted } from './interrupt.js';
import { addModels } from './models.js';
import { cannotPrint, logging, message, shown, writeOut } from './output.js';
import { addRecommend } from './recommend.js';
import { addReport } from './report.js';
import { addServe } from './serve.js';
import { addSimilar } from './similar.js';
import { addSpark } from './spark.js';
import { addSplit } from './split.js';
import { addSynth } from './synth.js';
import { addTrain } from './train.js';
import { addTune } from './tune.js';

const { version, description } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

export function createProgram(): Command {
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
  const serving = [addRecommend, addSimilar, addExplain, addServe];
  const files = [addCompact, addInspect, addImport, addExport];
  const jobs = [
    addAdvise,
    addCompare,
    addTune,
    addAblate,
    addReport,
    addTrain,
    addCounts,
    addSpark,
    addEvaluate,
    ...serving,
    ...files,
    addSplit,
    addSynth,
    addModels,
    addInfo,
    addDatasets,
    addCompletion,
  ];
  for (const add of jobs) add(program);
  for (const command of program.commands) command.addHelpText('after', examplesOf(command.name()));
  return program;
}

/** How messages are written, from the first one on: also those about the words of the command line themselves. */
function listenTo(words: string[]): void {
  logging.quiet = words.includes('--quiet');
  const at = words.indexOf('--log');
  if (words[at + 1] === 'json' || words.includes('--log=json')) logging.format = 'json';
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
    await createProgram().parseAsync();
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
