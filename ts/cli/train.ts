import { rmSync } from 'node:fs';
import type { Command } from 'commander';
import { toNative } from '../checkpoint.js';
import { guard, toJson } from '../errors.js';
import { fit, type Json } from '../models.js';
import { description, native } from '../native.js';
import type { ModelName } from '../options.generated.js';
import { Split, split } from '../split.js';
import { addCheckpointFlags, type CheckpointFlags, checkpointOf, tellHowToGoOn } from './checkpoint.js';
import { addInputFlags, type InputFlags, infoOf, parseNumber, readInput, recipeOf } from './input.js';
import { interruptible } from './interrupt.js';
import { addMemoryFlag } from './memory.js';
import { checkWritable, EpochBar, message } from './output.js';
import { addSetting } from './settings.js';

interface Flags extends InputFlags, CheckpointFlags {
  out: string;
  set?: Record<string, unknown>;
  threads?: number;
  memoryLimit?: number;
}

/** `recvae train`: a model from the training users, with early stopping on the validation users. */
export function addTrain(program: Command): void {
  const command = program
    .command('train')
    .description('train one model on the training users of an input and save it')
    .argument('<model>', description.models.map(({ name }) => name).join(', '))
    .argument('<input>', 'file, folder or data set')
    .requiredOption('--out <file>', 'where the model goes')
    .option('--set <option=value>', 'an option of the model (see: recvae models); may be repeated', addSetting)
    .option('--seed <number>', 'seed of the split and of the model', parseNumber)
    .option('--threads <count>', `threads (default: ${description.threads})`, parseNumber);
  addCheckpointFlags(command);
  addInputFlags(addMemoryFlag(command)).action(async (model: string, input: string, flags: Flags) => {
    const options: Record<string, unknown> = { ...flags.set };
    const known = description.models.find(({ name }) => name === model)?.options ?? [];
    if (flags.seed !== undefined && known.some(({ name }) => name === 'seed')) options.seed ??= flags.seed;
    const { threads, out } = flags;
    const checkpoint = checkpointOf(flags, out);
    guard(() => native.checkFit(model, toJson(options), threads, toNative(checkpoint)));
    checkWritable(out, '--out');
    const recipe = recipeOf(flags);
    const bar = new EpochBar();
    let started = 0;
    const work = async (signal: AbortSignal) => {
      const read = await readInput(input, flags, recipe, { signal });
      const data = read instanceof Split ? read : await split(read, recipe.split, { signal });
      started = performance.now();
      return fit(model as ModelName, data, options as never, {
        signal,
        ...(threads === undefined ? {} : { threads }),
        ...(flags.memoryLimit === undefined ? {} : { memoryLimit: flags.memoryLimit }),
        ...(checkpoint && { checkpoint }),
        info: infoOf(read, recipe, data),
        onProgress: ({ epoch, epochs, validation }) => bar.update(model, epoch, epochs, validation),
      });
    };
    try {
      const fitted = await interruptible(work);
      const best = fitted.epochs.findLast(({ best }) => best)?.validation;
      const metrics: Record<string, Json> =
        best === undefined ? {} : { metrics: { validation: { [description.validationMetric]: best } } };
      await fitted.save(out, { info: { ...(fitted.info as Record<string, Json>), ...metrics } });
      if (checkpoint) rmSync(checkpoint.path, { force: true });
      bar.stop();
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      message(`${model} trained in ${seconds} s, ${fitted.itemIds.length} items: ${out}`);
    } catch (thrown) {
      bar.stop();
      if (checkpoint) tellHowToGoOn(thrown, checkpoint);
      throw thrown;
    } finally {
      bar.stop();
    }
  });
}
