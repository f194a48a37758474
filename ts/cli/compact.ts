import { statSync } from 'node:fs';
import type { Command } from 'commander';
import type { LeftOut } from '../data/left-out.js';
import type { HeldOut } from '../data/split.js';
import { DEFAULT_SEED } from '../decide/dataset.js';
import { signed } from '../decide/wording.js';
import { type Evaluation, evaluate, type MetricValues } from '../models/evaluate.js';
import { load, type Model } from '../models/model.js';
import { RecvaeError } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import { description, native } from '../runtime/native.js';
import type { CompactOptions, MetricName } from '../runtime/options.generated.js';
import { running } from '../runtime/running.js';
import { jsonFlag, seedFlag, threadsFlag } from './common-flags.js';
import { filesBehind, inputFiles, refuseSame } from './distinct.js';
import { MODEL_FILE } from './flags.js';
import { addRecordFlag, readSplit } from './input.js';
import { addFlag, addInputFlags, TRAININGS_SEED } from './input-flags.js';
import { size } from './inspect.js';
import { checkWritable, message, print, table, withError, writeJson } from './output.js';
import { type InputFlags, ignoredValues, recipeFor, recipeIn } from './recipe.js';
import { type Trained, tellTrained } from './users.js';

interface Flags extends InputFlags, CompactOptions {
  heldOut?: string;
  on: string;
  json?: string;
  threads?: number;
  trainingRecord: boolean;
}

/** A metric of both models on the same users, and the mean of the users' differences with its 95 % interval. */
interface Loss {
  before: { mean: number; standardError: number | null };
  after: { mean: number; standardError: number | null };
  difference: number;
  interval: [number, number];
}

/** `recvae compact`: a smaller file of a saved EASE^R model, and what that costs. */
export function addCompact(program: Command): void {
  const metric = description.validationMetric;
  const command = program
    .command('compact')
    .description('save an EASE^R model smaller, and measure what that costs')
    .argument(...MODEL_FILE)
    .argument('<out>', 'where the smaller model goes');
  addFlag(command, description.compact, 'topPerItem', 'count');
  addFlag(command, description.compact, 'precision', 'f16|f32');
  command
    .option('--held-out <input>', `measure ${metric} of both on the held-out users of a file, folder or data set`)
    .option('--on <part>', 'held-out users: test or validation', 'test')
    .addOption(seedFlag('seed of the split', TRAININGS_SEED))
    .addOption(threadsFlag())
    .addOption(jsonFlag());
  addInputFlags(addRecordFlag(command), true).action(async (file: string, out: string, flags: Flags) => {
    const { topPerItem, precision, heldOut, on, json, threads } = flags;
    if (on !== 'test' && on !== 'validation') {
      throw new RecvaeError('INVALID_ARGUMENT', `--on is '${on}'; allowed: test, validation`);
    }
    refuseSame({
      inputs: { ...inputFiles('', flags), '<model-file>': file, '--held-out': filesBehind(heldOut) },
      outputs: { '<out>': out, '--json': json },
    });
    checkWritable(out, '<out>');
    checkWritable(json, '--json');
    const model = await load(file);
    const smaller = await model.compact({ topPerItem, precision }, { threads });
    const recipe = recipeFor(heldOut ?? '', flags, recipeIn(model.info));
    let loss: Loss | undefined;
    let measured: (Trained & { leftOut: LeftOut[] }) | undefined;
    if (heldOut !== undefined) {
      const { data, leftOut } = await readSplit(heldOut, flags, recipe);
      const { evaluation, ...found } = await measure([model, smaller], data[on], metric as MetricName, threads);
      loss = found;
      measured = { leftOut, ...tellTrained(model.info, data, evaluation) };
    }
    const compacted = { topPerItem, precision, ...(loss && { on, metric, ...loss }) };
    await smaller.save(out, {
      info: { ...asObject(model.info), compacted } as unknown as Json,
      trainingRecord: flags.trainingRecord,
    });
    const bytes = [file, out].map((path) => statSync(path).size) as [number, number];
    const result = {
      model: model.kind,
      options: model.options,
      ...compacted,
      ...measured,
      bytes: { before: bytes[0], after: bytes[1] },
      file: out,
      ...(heldOut !== undefined && ignoredValues(recipe)),
    };
    if (json !== undefined) await writeJson(json, result);
    if (json === '-') return;
    const rows = [
      ['before', size(bytes[0]), loss ? withError(loss.before) : ''],
      ['after', size(bytes[1]), loss ? withError(loss.after) : ''],
      ['difference', `${((bytes[1] / bytes[0] - 1) * 100).toFixed(1)} %`, loss ? rangeOf(loss) : ''],
    ];
    await print(
      loss
        ? table(['', 'size', metric], rows)
        : table(
            ['', 'size'],
            rows.map((row) => row.slice(0, 2)),
          ),
    );
    message(`saved: ${out}`);
  });
}

/** What the second model loses on users that neither has seen. */
async function measure(
  models: Model[],
  users: HeldOut,
  metric: MetricName,
  threads?: number,
): Promise<Loss & { evaluation: Evaluation }> {
  const found: Evaluation[] = [];
  for (const model of models) found.push(await evaluate(model, users, { metrics: [metric], threads }));
  const [before, after] = found.map(({ metrics }) => metrics[metric]!) as [MetricValues, MetricValues];
  const { difference, low, high } = await running({}, (run) =>
    native.pairedBootstrap(after.perUser, before.perUser, DEFAULT_SEED, threads, run),
  );
  const mean = ({ mean, standardError }: MetricValues) => ({ mean, standardError });
  return { before: mean(before), after: mean(after), difference, interval: [low, high], evaluation: found[0]! };
}
function rangeOf({ difference, interval: [low, high] }: Loss): string {
  return `${signed(difference)} (${signed(low)} to ${signed(high)})`;
}

/** The info as an object that another key can be added to. */
function asObject(info: Json): Record<string, Json> {
  if (info === null) return {};
  return typeof info === 'object' && !Array.isArray(info) ? info : { info };
}
