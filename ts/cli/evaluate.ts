import type { Command } from 'commander';
import { evaluate } from '../models/evaluate.js';
import { load } from '../models/model.js';
import { RecvaeError } from '../runtime/errors.js';
import { description } from '../runtime/native.js';
import type { MetricName } from '../runtime/options.generated.js';
import { jsonFlag, seedFlag, threadsFlag } from './common-flags.js';
import { filesBehind, refuseSame } from './distinct.js';
import { MODEL_FILE } from './flags.js';
import {
  addInputFlags,
  type InputFlags,
  ignoredValues,
  readSplit,
  recipeIn,
  recipeOf,
  TRAININGS_SEED,
} from './input.js';
import { interruptible } from './interrupt.js';
import { checkWritable, message, print, table, writeJson } from './output.js';
import { tellTrained } from './users.js';

interface Flags extends InputFlags {
  on: string;
  metrics?: string[];
  json?: string;
  threads?: number;
}

/** `recvae evaluate`: metrics of a saved model on held-out users. */
export function addEvaluate(program: Command): void {
  const command = program
    .command('evaluate')
    .description('evaluate a saved model on the test users of an input')
    .argument(...MODEL_FILE)
    .argument('<input>', 'file, folder or data set; without flags it is read and split as for the training')
    .option('--on <part>', 'held-out users: test or validation', 'test')
    .option(
      '--metrics <names>',
      `comma-separated, of ${description.metricNames.join(', ')}, each with @ and a length (default: ${description.metrics.join(',')})`,
      (text) => text.split(','),
    )
    .addOption(seedFlag('seed of the split', TRAININGS_SEED))
    .addOption(threadsFlag())
    .addOption(jsonFlag());
  addInputFlags(command, true).action(async (file: string, input: string, flags: Flags) => {
    const { on } = flags;
    if (on !== 'test' && on !== 'validation') {
      throw new RecvaeError('INVALID_ARGUMENT', `--on is '${on}'; allowed: test, validation`);
    }
    refuseSame({ inputs: { '<model-file>': file, '<input>': filesBehind(input) }, outputs: { '--json': flags.json } });
    checkWritable(flags.json, '--json');
    const model = await load(file);
    const recipe = recipeOf(flags, recipeIn(model.info));
    const work = async (signal: AbortSignal) => {
      const { data, leftOut } = await readSplit(input, flags, recipe, { signal });
      const metrics = flags.metrics as MetricName[] | undefined;
      const evaluation = await evaluate(model, data[on], { metrics, threads: flags.threads, signal });
      return { leftOut, ...evaluation, trained: tellTrained(model.info, data, evaluation) };
    };
    const { leftOut, trained, metrics, users, skipped, unknown } = await interruptible(work);
    if (unknown > 0) message(`${unknown} held-out interactions are with items that the model does not know`);
    const result = {
      model: model.kind,
      options: model.options,
      on,
      users: users.length,
      skipped,
      unknownInteractions: unknown,
      leftOut,
      ...trained,
      metrics: Object.fromEntries(
        Object.entries(metrics).map(([name, { mean, standardError }]) => [name, { mean, standardError }]),
      ),
      ...ignoredValues(recipe),
    };
    if (flags.json !== undefined) await writeJson(flags.json, result);
    if (flags.json === '-') return;
    const rows = Object.entries(result.metrics).map(([name, { mean, standardError }]) => [
      name,
      mean.toFixed(5),
      standardError?.toFixed(5) ?? '',
    ]);
    await print(table([model.kind, 'mean', 'standard error'], rows));
    message(`${users.length} ${on} users; ${skipped} with nothing to find were skipped`);
  });
}
