import { rmSync } from 'node:fs';
import type { Command } from 'commander';
import type { LeftOut } from '../data/left-out.js';
import type { Split } from '../data/split.js';
import type { BlendRecord } from '../models/blend-record.js';
import { toNative } from '../models/checkpoint.js';
import { EaseCounts, type LimitedRun } from '../models/ease-counts.js';
import { fit } from '../models/fit.js';
import { load, type Model } from '../models/model.js';
import type { Progress, StepProgress } from '../models/progress.js';
import type { OptionDescription } from '../runtime/description.js';
import { guard, RecvaeError, toJson } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import { allModels, description, native } from '../runtime/native.js';
import type { ComputeOptions, EaseOptions, ModelName } from '../runtime/options.generated.js';
import { blendWords } from './blend.js';
import { addCheckpointFlags, type CheckpointFlags, checkpointOf, tellHowToGoOn } from './checkpoint.js';
import { addMemoryFlag, type JobFlags, jsonFlag, seedFlag, threadsFlag } from './common-flags.js';
import { addComputeFlags, computeOfFlags } from './compute.js';
import { inputFiles, refuseSame, refuseTwice } from './distinct.js';
import { INPUT, parseNumber } from './flags.js';
import { tellGamma } from './gamma.js';
import { addRecordFlag, readSplit, tellUnusedWeights } from './input.js';
import { addInputFlags } from './input-flags.js';
import { interruptible, leavable } from './interrupt.js';
import { checkWritable, message, writeJson } from './output.js';
import { EpochBar } from './progress.js';
import { ignoredValues, recipeFor } from './recipe.js';
import { addSetting } from './settings.js';

interface Flags extends JobFlags, CheckpointFlags, ComputeOptions {
  epochs?: number;
  out: string;
  parts?: string[];
  from?: string;
  counts?: string;
  saveCounts?: string;
  trainingRecord: boolean;
}

/** `recvae train`: a model from the training users, with early stopping on the validation users. */
export function addTrain(program: Command): void {
  const command = program
    .command('train')
    .description('train one model on the training users of an input and save it')
    .argument('<model>', allModels.map(({ name }) => name).join(', '))
    .argument(...INPUT)
    .requiredOption('--out <file>', 'where the model goes')
    .option('--set <option=value>', 'an option of the model (see: recvae models); may be repeated', addSetting)
    .option('--epochs <count>', 'most epochs, of a model that trains in epochs: --set epochs in short', parseNumber)
    .addOption(seedFlag('seed of the split and of the model'))
    .addOption(threadsFlag())
    .option('--parts <files>', 'blend: saved models of this split, comma-separated, to be used together', (text) =>
      text.split(','),
    )
    .option('--from <file>', 'a saved model of the same kind that recvae, mult-vae, mult-dae and hvamp begin with')
    .option('--counts <file>', 'ease: saved counts of earlier users, to which the training users are added')
    .option('--save-counts <file>', 'ease: where the counts of all users go, for the next --counts')
    .addOption(jsonFlag());
  addComputeFlags(command);
  addCheckpointFlags(command);
  addInputFlags(addMemoryFlag(addRecordFlag(command))).action(async (model: string, input: string, flags: Flags) => {
    const options: Record<string, unknown> = { ...flags.set };
    const known = allModels.find(({ name }) => name === model)?.options ?? [];
    if (flags.seed !== undefined && known.some(({ name }) => name === 'seed')) options.seed ??= flags.seed;
    if (flags.epochs !== undefined) {
      const { epochs } = flags;
      const isModel = allModels.some(({ name }) => name === model);
      if (isModel && !known.some(({ name }) => name === 'epochs')) {
        throw new RecvaeError('INVALID_ARGUMENT', `--epochs has no meaning for ${model}, which has no epochs`);
      }
      if (options.epochs !== undefined && options.epochs !== epochs) {
        throw new RecvaeError(
          'INVALID_ARGUMENT',
          `--epochs is ${epochs} and --set epochs is ${options.epochs}; allowed: one of them`,
        );
      }
      options.epochs = epochs;
    }
    refuseCounts(model, flags);
    refuseDevice(flags);
    refuseParts(model, flags);
    refusePrecision(model, flags, known);
    const { threads, out } = flags;
    const checkpoint = checkpointOf(flags);
    refuseSame({
      inputs: {
        ...inputFiles(input, flags),
        '--parts': flags.parts,
        '--from': flags.from,
        '--counts': flags.counts,
      },
      outputs: {
        '--out': out,
        '--checkpoint': flags.checkpoint,
        '--save-counts': flags.saveCounts,
        '--json': flags.json,
      },
      updates: [
        ['--from', '--out'],
        ['--counts', '--save-counts'],
      ],
    });
    const compute = computeOfFlags(flags);
    const check = (from?: Model) =>
      guard(() =>
        native.checkFit(model, toJson(options), threads, toNative(checkpoint), from?.native, toJson(compute)),
      );
    check();
    checkWritable(out, '--out');
    checkWritable(flags.json, '--json');
    tellGamma(model, input, options);
    checkWritable(flags.saveCounts, '--save-counts');
    const from = flags.from === undefined ? undefined : await load(flags.from);
    check(from);
    const parts = await Promise.all((flags.parts ?? []).map((path) => load(path)));
    const before = flags.counts === undefined ? undefined : await EaseCounts.load(flags.counts);
    const recipe = recipeFor(input, flags);
    const bar = new EpochBar();
    let started = 0;
    let counts: EaseCounts | undefined;
    const onProgress = (progress: Progress) => bar.update(model, progress);
    const onStep = (step: StepProgress) => bar.step(model, step);
    let leftOut: LeftOut[] = [];
    let trained = 0;
    const work = async (signal: AbortSignal) => {
      const prepared = await readSplit(input, flags, recipe, { signal });
      const { data } = prepared;
      leftOut = prepared.leftOut;
      tellUnusedWeights(data.train, [model]);
      started = performance.now();
      const info = prepared.info();
      // The model has the earlier users besides; its record knows them, where the counts do.
      if (before !== undefined) delete info.trainingUsers;
      const run = {
        signal,
        ...(threads === undefined ? {} : { threads }),
        ...(flags.memoryLimit === undefined ? {} : { memoryLimit: flags.memoryLimit }),
      };
      trained = data.train.nUsers;
      bar.begin(model);
      if (countsAreUsed(flags)) {
        counts = await count(data, before, run);
        trained = counts.nUsers;
        // How many interactions the earlier users had is not told by counts of pairs.
        if (before !== undefined) info.data = { users: counts.nUsers, items: counts.itemIds.length };
        return counts.fit(options as EaseOptions, { ...run, info, onProgress });
      }
      if (model === 'blend') return fit(model, data, { ...options, parts }, { ...run, info, onProgress });
      return fit(model as ModelName, data, options as never, {
        ...run,
        ...compute,
        ...(checkpoint && { checkpoint }),
        ...(from && { from }),
        info,
        onProgress,
        onStep,
      });
    };
    try {
      const fitted = await interruptible(work);
      const blended = fitted.kind === 'blend' ? (fitted.options as BlendRecord) : undefined;
      const best = blended?.validation ?? fitted.epochs.findLast(({ best }) => best)?.validation;
      const metrics: Record<string, Json> =
        best === undefined ? {} : { metrics: { validation: { [description.validationMetric]: best } } };
      const { trainingRecord } = flags;
      const info = { ...(fitted.info as Record<string, Json>), ...metrics };
      await leavable(() => fitted.save(out, { info, trainingRecord }));
      // After the model: a job that dies between the two can run again on the old counts.
      const { saveCounts } = flags;
      if (saveCounts !== undefined) await leavable(async () => counts?.save(saveCounts));
      if (checkpoint) rmSync(checkpoint.path, { force: true });
      bar.stop();
      const seconds = (performance.now() - started) / 1000;
      message(
        `${model} ${blended ? 'made' : 'trained'} in ${seconds.toFixed(1)} s, ${trained} users, ${fitted.itemIds.length} items: ${out}`,
      );
      for (const warning of blended?.warnings ?? []) message(`warning: ${warning}`);
      for (const line of blended ? blendWords(blended) : []) message(line);
      if (flags.json !== undefined) {
        const { epochs, options, itemIds } = fitted;
        const result = { model, options, users: trained, items: itemIds.length, leftOut, ...metrics, epochs, seconds };
        await writeJson(flags.json, { ...result, file: out, ...ignoredValues(recipe) });
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

/** Counts are EASE^R's. */
function refuseCounts(model: string, flags: Flags): void {
  if (model === 'ease' || !countsAreUsed(flags)) return;
  const flag = flags.counts === undefined ? '--save-counts' : '--counts';
  throw new RecvaeError('INVALID_ARGUMENT', `${flag} has no meaning for ${model}, only for ease`);
}

/** Counts are fitted by the processor. */
function refuseDevice(flags: Flags): void {
  const { device } = flags;
  if (device === undefined || device === 'cpu' || device === 'auto' || !countsAreUsed(flags)) return;
  const flag = flags.counts === undefined ? '--save-counts' : '--counts';
  throw new RecvaeError('INVALID_ARGUMENT', `--device is '${device}' with ${flag}; allowed: cpu or auto there`);
}

/** The flag is of networks; a model that has an option of its own of that name takes it by --set. */
function refusePrecision(model: string, { precision }: Flags, options: OptionDescription[]): void {
  const own = options.find(({ name }) => name === 'precision');
  if (precision === undefined || own === undefined) return;
  const text = `--precision has no meaning for ${model}; allowed: its own by --set precision, which is ${own.allowed}`;
  throw new RecvaeError('INVALID_ARGUMENT', text);
}

/** Parts are a blend's, which has nothing else. */
function refuseParts(model: string, { parts }: Flags): void {
  if (parts !== undefined) refuseTwice('--parts', parts);
  if ((model === 'blend') === (parts !== undefined)) return;
  const text =
    model === 'blend'
      ? 'blend is given no --parts; allowed: saved models'
      : `--parts has no meaning for ${model}, only for blend`;
  throw new RecvaeError('INVALID_ARGUMENT', text);
}

function count(data: Split, before: EaseCounts | undefined, run: LimitedRun): Promise<EaseCounts> {
  return before ? before.update({ add: data }, run) : EaseCounts.count(data, run);
}
