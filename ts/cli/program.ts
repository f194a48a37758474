/** All commands: results on stdout, everything else on stderr; exit 0 done, 1 failed, 2 wrong use, 128 + n by signal n. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { toRecvaeError } from '../runtime/errors.js';
import { addAblate } from './ablate.js';
import { addAdvise } from './advise.js';
import { addCompact } from './compact.js';
import { addCompare } from './compare.js';
import { addDatasets } from './datasets.js';
import { addEvaluate } from './evaluate.js';
import { addExplain } from './explain.js';
import { inFlags, speakOf } from './flags.js';
import { addInspect } from './inspect.js';
import { endOnSignals, Interrupted } from './interrupt.js';
import { addModels } from './models.js';
import { cannotPrint, message, shown, writeOut } from './output.js';
import { addRecommend } from './recommend.js';
import { addSimilar } from './similar.js';
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
    .configureOutput({ writeOut, writeErr: (text) => process.stderr.write(shown(text)) })
    .hook('preAction', (_, command) => speakOf(command))
    .showHelpAfterError('(--help shows what is allowed)')
    .addHelpText(
      'after',
      `
<input> is a file of rows (CSV, TSV, NDJSON or a published format, plain, gzip or zstd; recvae datasets lists them), a
folder or a quoted pattern of such files ('likes/*.csv'), - for stdin with --format, a folder in the layout of the official
Mult-VAE and RecVAE scripts, or the name of a built-in data set: debian (a file or folder of that name is ./debian). With
the package @duckdb/node-api it is also Parquet or JSON ('likes/*.parquet'), and with --sql a DuckDB database.

Exit codes: 0 done, 1 failed, 2 wrong use, 130 stopped by Ctrl-C, 143 by SIGTERM; a second Ctrl-C does not wait.`,
    );
  const serving = [addRecommend, addSimilar, addExplain];
  const files = [addCompact, addInspect];
  const jobs = [
    addAdvise,
    addCompare,
    addTune,
    addAblate,
    addTrain,
    addEvaluate,
    ...serving,
    ...files,
    addSplit,
    addSynth,
    addModels,
    addDatasets,
  ];
  for (const add of jobs) add(program);
  return program;
}

/** Runs the command that the process was started with, and gives its exit code. */
export async function run(): Promise<number> {
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
  try {
    await createProgram().parseAsync();
    return 0;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2; // commander has printed it
    if (thrown instanceof Interrupted) {
      message(`recvae: ${thrown.message}`);
      process.exit(thrown.exitCode); // an input that is still open would keep the process alive
    }
    const error = toRecvaeError(thrown);
    message(`recvae: ${inFlags(error.message)}`);
    return error.code === 'INVALID_ARGUMENT' ? 2 : 1;
  }
}
