#!/usr/bin/env node
/** The command line: results on stdout, everything else on stderr; exit 0 done, 1 failed, 2 wrong use, 128 + n by signal n. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addAblate } from './cli/ablate.js';
import { addAdvise } from './cli/advise.js';
import { addCompact } from './cli/compact.js';
import { addCompare } from './cli/compare.js';
import { addEvaluate } from './cli/evaluate.js';
import { addExplain } from './cli/explain.js';
import { inFlags } from './cli/input.js';
import { addInspect } from './cli/inspect.js';
import { Interrupted } from './cli/interrupt.js';
import { addModels } from './cli/models.js';
import { addRecommend } from './cli/recommend.js';
import { addSimilar } from './cli/similar.js';
import { addSplit } from './cli/split.js';
import { addSynth } from './cli/synth.js';
import { addTrain } from './cli/train.js';
import { addTune } from './cli/tune.js';
import { toRecvaeError } from './errors.js';
import { removeAll } from './files.js';

const { version, description } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

function createProgram(): Command {
  const program = new Command('recvae')
    .description(description)
    .version(version)
    .exitOverride()
    .showHelpAfterError('(--help shows what is allowed)')
    .addHelpText(
      'after',
      `
<input> is a file (CSV, TSV or NDJSON, plain or gzip), a folder in the layout of the official Mult-VAE and RecVAE
scripts, or the name of a built-in data set: debian (a file or folder of that name is ./debian). With the package
@duckdb/node-api it is also a Parquet file or a quoted glob ('likes/*.parquet'), and with --sql a DuckDB database.

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
  ];
  for (const add of jobs) add(program);
  return program;
}

async function main(): Promise<number> {
  try {
    await createProgram().parseAsync();
    return 0;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2; // commander has printed it
    if (thrown instanceof Interrupted) {
      process.stderr.write(`recvae: ${thrown.message}\n`);
      removeAll();
      process.exit(thrown.exitCode); // an input that is still open would keep the process alive
    }
    const error = toRecvaeError(thrown);
    process.stderr.write(`recvae: ${inFlags(error.message)}\n`);
    return error.code === 'INVALID_ARGUMENT' ? 2 : 1;
  }
}

// A reader that has seen enough (`recvae … | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});
// One that does not want the messages still wants the result.
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.exit(1);
});
process.exitCode = await main();
