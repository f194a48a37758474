import type { Command } from 'commander';
import { type Evaluation, type EvaluationGroup, evaluate, meansOf } from '../models/evaluate.js';
import { load } from '../models/model.js';
import { perUserOutput } from '../models/per-user.js';
import { guard, RecvaeError } from '../runtime/errors.js';
import { writeAll } from '../runtime/files.js';
import { description, native } from '../runtime/native.js';
import type { MetricName } from '../runtime/options.generated.js';
import { checkPerUserFile, jsonFlag, metricsFlag, perUserFlag, seedFlag, threadsFlag } from './common-flags.js';
import { addListsDeviceFlag, loadOptionsOf } from './compute.js';
import { filesBehind, inputFiles, refuseSame } from './distinct.js';
import { MODEL_FILE } from './flags.js';
import { readSplit } from './input.js';
import { addInputFlags, TRAININGS_SEED } from './input-flags.js';
import { interruptible } from './interrupt.js';
import { checkWritable, message, print, table, writeJson, writing } from './output.js';
import { type InputFlags, ignoredValues, recipeFor, recipeIn } from './recipe.js';
import { tellTrained } from './users.js';

interface Flags extends InputFlags {
  on: string;
  metrics?: string[];
  groups?: boolean;
  perUser?: string;
  json?: string;
  threads?: number;
  device?: string;
}

/** `recvae evaluate`: metrics of a saved model on held-out users. */
export function addEvaluate(program: Command): void {
  const command = program
    .command('evaluate')
    .description('evaluate a saved model on the test users of an input')
    .argument(...MODEL_FILE)
    .argument('<input>', 'file, folder or data set; without flags it is read and split as for the training')
    .option('--on <part>', 'held-out users: test or validation', 'test')
    .addOption(metricsFlag(description.metrics))
    .option('--groups', 'also by the length of the history, and by the popularity of what has to be found')
    .addOption(perUserFlag())
    .addOption(seedFlag('seed of the split', TRAININGS_SEED))
    .addOption(threadsFlag())
    .addOption(jsonFlag());
  addListsDeviceFlag(command);
  addInputFlags(command, true).action(async (file: string, input: string, flags: Flags) => {
    const { on } = flags;
    if (on !== 'test' && on !== 'validation') {
      throw new RecvaeError('INVALID_ARGUMENT', `--on is '${on}'; allowed: test, validation`);
    }
    if (flags.metrics) guard(() => native.checkMetrics([...flags.metrics!]));
    const inputs = { '<model-file>': file, ...inputFiles(input, flags) };
    const outputs = { '--json': flags.json, '--per-user': flags.perUser };
    refuseSame({ inputs, outputs });
    checkWritable(flags.json, '--json');
    await checkPerUserFile(flags.perUser);
    const model = await load(file, loadOptionsOf(flags));
    const recipe = recipeFor(input, flags, recipeIn(model.info));
    const { parts: { test, validation } = {} } = recipe;
    refuseSame({
      inputs: { 'the test part': filesBehind(test), 'the validation part': filesBehind(validation) },
      outputs,
    });
    const work = async (signal: AbortSignal) => {
      const { data, leftOut } = await readSplit(input, flags, recipe, { signal });
      const metrics = flags.metrics as MetricName[] | undefined;
      const { threads, groups } = flags;
      const evaluation = await evaluate(model, data[on], { metrics, groups, threads, signal });
      const output = flags.perUser && perUserOutput(flags.perUser, data[on], new Map([[model.kind, evaluation]]));
      return { leftOut, ...evaluation, trained: tellTrained(model.info, data, evaluation), output };
    };
    const found = await interruptible(work);
    const { leftOut, trained, users, skipped, unknown, groups, output } = found;
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
      metrics: meansOf(found),
      ...(groups && { groups: { activity: groups.activity.map(ofGroup), popularity: groups.popularity.map(ofGroup) } }),
      ...ignoredValues(recipe),
    };
    const { json } = flags;
    const files = json === undefined || json === '-' ? [] : [{ path: json, write: writing(result) }];
    await writeAll(output ? [output, ...files] : files);
    if (output) message(`saved: ${output.path}`);
    if (json === '-') return writeJson(json, result);
    const rows = Object.entries(result.metrics).map(([name, { mean, standardError }]) => [
      name,
      mean.toFixed(5),
      standardError?.toFixed(5) ?? '',
    ]);
    await print(table([model.kind, 'mean', 'standard error'], rows));
    if (groups) await print(`\n${groupTable(groups)}`);
    message(`${users.length} ${on} users; ${skipped} with nothing to find were skipped`);
  });
}

/** A group without its values per user. */
function ofGroup({ users, metrics, ...group }: EvaluationGroup) {
  return { ...group, users: users.length, metrics: meansOf({ metrics: metrics as Evaluation['metrics'] }) };
}

/** The groups for people: a line for each, with the means. */
function groupTable({ activity, popularity }: NonNullable<Evaluation['groups']>): string {
  const names = Object.keys([...activity, ...popularity].find(({ users }) => users.length > 0)?.metrics ?? {});
  const line = (by: string) => (group: EvaluationGroup) => [
    `${group.name}: ${group.from === group.to ? group.from : `${group.from} to ${group.to}`} ${by}`,
    `${group.users.length}`,
    ...names.map((name) => group.metrics[name]?.mean.toFixed(5) ?? ''),
  ];
  const rows = [...activity.map(line('items in the history')), ...popularity.map(line('training users'))];
  return table(['group', 'users', ...names], rows);
}
