import { rmSync } from 'node:fs';
import type { Command } from 'commander';
import { toNative } from '../checkpoint.js';
import { EaseCounts, type LimitedRun } from '../ease-counts.js';
import { guard, RecvaeError, toJson } from '../errors.js';
import { fit, type Json, load } from '../models.js';
import { description, native } from '../native.js';
import type { EaseOptions, ModelName } from '../options.generated.js';
import { Split, split } from '../split.js';
import { addCheckpointFlags, type CheckpointFlags, checkpointOf, tellHowToGoOn } from './checkpoint.js';
import { tellGamma } from './gamma.js';
import { addInputFlags, type InputFlags, ignoredValues, infoOf, parseNumber, readInput, recipeOf } from './input.js';
import { interruptible } from './interrupt.js';
import { addMemoryFlag } from './memory.js';
import { checkWritable, EpochBar, message, writeJson } from './output.js';
import { addSetting } from './settings.js';

interface Flags extends InputFlags, CheckpointFlags {
  out: string;
  set?: Record<string, unknown>;
  threads?: number;
  memoryLimit?: number;
  from?: string;
  counts?: string;
  saveCounts?: string;
  json?: string;
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
    .option('--threads <count>', `threads (default: ${description.threads})`, parseNumber)
    .option('--from <file>', 'a saved model of the same kind that recvae, mult-vae and mult-dae begin with')
    .option('--counts <file>', 'ease: saved counts of earlier users, to which the training users are added')
    .option('--save-counts <file>', 'ease: where the counts of all users go, for the next --counts')
    .option('--json <file>', 'write the result as JSON, to stdout for -');
  addCheckpointFlags(command);
  addInputFlags(addMemoryFlag(command)).action(async (model: string, input: string, flags: Flags) => {
    const options: Record<string, unknown> = { ...flags.set };
    const known = description.models.find(({ name }) => name === model)?.options ?? [];
    if (flags.seed !== undefined && known.some(({ name }) => name === 'seed')) options.seed ??= flags.seed;
    refuseCounts(model, flags);
    const { threads, out } = flags;
    const checkpoint = checkpointOf(flags, out);
    guard(() => native.checkFit(model, toJson(options), threads, toNative(checkpoint)));
    checkWritable(out, '--out');
    if (flags.json !== undefined) checkWritable(flags.json, '--json');
    tellGamma(model, input, options);
    if (flags.saveCounts !== undefined) checkWritable(flags.saveCounts, '--save-counts');
    const from = flags.from === undefined ? undefined : await load(flags.from);
    guard(() => native.checkFit(model, toJson(options), threads, toNative(checkpoint), from?.native));
    const before = flags.counts === undefined ? undefined : await EaseCounts.load(flags.counts);
    const recipe = recipeOf(flags);
    const bar = new EpochBar();
    let started = 0;
    let counts: EaseCounts | undefined;
    const work = async (signal: AbortSignal) => {
      const read = await readInput(input, flags, recipe, { signal });
      const data = read instanceof Split ? read : await split(read, recipe.split, { signal });
      started = performance.now();
      const info = infoOf(read, recipe, data);
      const run = {
        signal,
        ...(threads === undefined ? {} : { threads }),
        ...(flags.memoryLimit === undefined ? {} : { memoryLimit: flags.memoryLimit }),
      };
      if (countsAreUsed(flags)) {
        counts = await count(data, before, run);
        return counts.fit(options as EaseOptions, { ...run, info });
      }
      return fit(model as ModelName, data, options as never, {
        ...run,
        ...(checkpoint && { checkpoint }),
        ...(from && { from }),
        info,
        onProgress: ({ epoch, epochs, validation }) => bar.update(model, epoch, epochs, validation),
      });
    };
    try {
      const fitted = await interruptible(work);
      const best = fitted.epochs.findLast(({ best }) => best)?.validation;
      const metrics: Record<string, Json> =
        best === undefined ? {} : { metrics: { validation: { [description.validationMetric]: best } } };
      await fitted.save(out, { info: { ...(fitted.info as Record<string, Json>), ...metrics } });
      // After the model: a job that dies between the two can run again on the old counts.
      if (flags.saveCounts !== undefined) await counts?.save(flags.saveCounts);
      if (checkpoint) rmSync(checkpoint.path, { force: true });
      bar.stop();
      const seconds = (performance.now() - started) / 1000;
      message(`${model} trained in ${seconds.toFixed(1)} s, ${fitted.itemIds.length} items: ${out}`);
      if (flags.json !== undefined) {
        const { epochs, options, itemIds } = fitted;
        const trained = { model, options, items: itemIds.length, ...metrics, epochs, seconds, file: out };
        await writeJson(flags.json, { ...trained, ...ignoredValues(recipe) });
      }
      if (counts) message(`${before?.nUsers ?? 0} users counted before, ${counts.nUsers} now`);
    } catch (thrown) {
      bar.stop();
      if (checkpoint) tellHowToGoOn(thrown, checkpoint);
      throw thrown;
    } finally {
      bar.stop();
    }
  });
}

function countsAreUsed({ counts, saveCounts }: Flags): boolean {
  return counts !== undefined || saveCounts !== undefined;
}

/** Counts are EASE^R's, and want a file of their own. */
function refuseCounts(model: string, flags: Flags): void {
  if (flags.saveCounts === flags.out) {
    throw new RecvaeError('INVALID_ARGUMENT', `--save-counts is '${flags.out}', as is --out; allowed: another file`);
  }
  if (model === 'ease' || !countsAreUsed(flags)) return;
  const flag = flags.counts === undefined ? '--save-counts' : '--counts';
  throw new RecvaeError('INVALID_ARGUMENT', `${flag} has no meaning for ${model}, only for ease`);
}

function count(data: Split, before: EaseCounts | undefined, run: LimitedRun): Promise<EaseCounts> {
  return before ? before.update({ add: data }, run) : EaseCounts.count(data, run);
}
