import type { Command } from 'commander';
import { EaseCounts } from '../ease-counts.js';
import { guard, RecvaeError, toJson } from '../errors.js';
import { fit, type Json, load } from '../models.js';
import { description, native } from '../native.js';
import type { EaseOptions, ModelName } from '../options.generated.js';
import { Split, split } from '../split.js';
import { addInputFlags, type InputFlags, infoOf, parseNumber, readInput, recipeOf } from './input.js';
import { checkWritable, EpochBar, message } from './output.js';
import { addSetting } from './settings.js';

interface Flags extends InputFlags {
  out: string;
  set?: Record<string, unknown>;
  threads?: number;
  from?: string;
  counts?: string;
  saveCounts?: string;
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
    .option('--from <file>', 'a saved model of the same kind that recvae and mult-vae begin with')
    .option('--counts <file>', 'ease: saved counts of earlier users, to which the training users are added')
    .option('--save-counts <file>', 'ease: where the counts of all users go, for the next --counts');
  addInputFlags(command).action(async (model: string, input: string, flags: Flags) => {
    const options: Record<string, unknown> = { ...flags.set };
    const known = description.models.find(({ name }) => name === model)?.options ?? [];
    if (flags.seed !== undefined && known.some(({ name }) => name === 'seed')) options.seed ??= flags.seed;
    refuseCounts(model, flags);
    guard(() => native.checkFit(model, toJson(options), flags.threads));
    checkWritable(flags.out, '--out');
    if (flags.saveCounts !== undefined) checkWritable(flags.saveCounts, '--save-counts');
    const from = flags.from === undefined ? undefined : await load(flags.from);
    guard(() => native.checkFit(model, toJson(options), flags.threads, from?.native));
    const before = flags.counts === undefined ? undefined : await EaseCounts.load(flags.counts);
    const recipe = recipeOf(flags);
    const read = await readInput(input, flags, recipe);
    const data = read instanceof Split ? read : await split(read, recipe.split);
    const bar = new EpochBar();
    const started = performance.now();
    try {
      const threads = flags.threads === undefined ? {} : { threads: flags.threads };
      const info = infoOf(read, recipe, data);
      const counts = countsAreUsed(flags) ? await count(data, before, threads) : undefined;
      const fitted = counts
        ? await counts.fit(options as EaseOptions, { ...threads, info })
        : await fit(model as ModelName, data, options as never, {
            ...threads,
            info,
            ...(from && { from }),
            onProgress: ({ epoch, epochs, validation }) => bar.update(model, epoch, epochs, validation),
          });
      const best = fitted.epochs.findLast(({ best }) => best)?.validation;
      const metrics: Record<string, Json> =
        best === undefined ? {} : { metrics: { validation: { [description.validationMetric]: best } } };
      await fitted.save(flags.out, { info: { ...(fitted.info as Record<string, Json>), ...metrics } });
      // After the model: a job that dies between the two can run again on the old counts.
      if (flags.saveCounts !== undefined) await counts?.save(flags.saveCounts);
      bar.stop();
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      message(`${model} trained in ${seconds} s, ${fitted.itemIds.length} items: ${flags.out}`);
      if (counts) message(`${before?.nUsers ?? 0} users counted before, ${counts.nUsers} now`);
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

function count(data: Split, before: EaseCounts | undefined, run: { threads?: number }): Promise<EaseCounts> {
  return before ? before.update({ add: data }, run) : EaseCounts.count(data, run);
}
