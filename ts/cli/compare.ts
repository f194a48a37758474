import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import {
  type CompareOptions,
  type CompareProgress,
  type ComparisonReport,
  checkCompare,
  compareOn,
  splitFor,
  USUAL,
} from '../compare.js';
import { RecvaeError } from '../errors.js';
import { type Output, writeAll } from '../files.js';
import type { Json } from '../models.js';
import { description } from '../native.js';
import type { ModelName } from '../options.generated.js';
import { DEFAULT_TRIALS } from '../tune/find-best.js';
import { formatP } from '../verdict.js';
import { addInputFlags, type InputFlags, ignoredValues, infoOf, parseNumber, readInput, recipeOf } from './input.js';
import { interruptible } from './interrupt.js';
import { addMemoryFlag } from './memory.js';
import { checkWritable, checkWritableFolder, EpochBar, jsonText, message, print, table, withError } from './output.js';
import { addSetting } from './settings.js';

interface Flags extends InputFlags {
  models?: string[];
  epochs?: number;
  set?: Record<string, unknown>;
  tune?: boolean;
  budget?: number;
  threads?: number;
  memoryLimit?: number;
  save?: string;
  json?: string;
}

/** `recvae compare`: the main job. */
export function addCompare(program: Command): void {
  const command = program
    .command('compare')
    .description('train popularity, EASE^R, iALS and then other models, and say with statistics which one to use')
    .argument('<input>', 'file, folder or data set')
    .option('--models <names>', `comma-separated (default: ${USUAL.join(',')})`, (text) => text.split(','))
    .option('--seed <number>', 'seed of the split, the models and the bootstrap', parseNumber)
    .option('--epochs <count>', 'most epochs of the models that train in epochs', parseNumber)
    .option('--set <model.option=value>', 'an option of a model (see: recvae models); may be repeated', addSetting)
    .option('--tune', 'search the options of every model, each with as many trials (see: recvae tune)')
    .option('--budget <trials>', `trials of each model with --tune (default: ${DEFAULT_TRIALS})`, parseNumber)
    .option('--threads <count>', `threads (default: ${description.threads})`, parseNumber)
    .option('--save <folder>', 'save the winner as <model>.safetensors and the result as comparison.json')
    .option('--json <file>', 'write the result as JSON, to stdout for -');
  addInputFlags(addMemoryFlag(command)).action(async (input: string, flags: Flags) => {
    const { save, json } = flags;
    const recipe = recipeOf(flags);
    const options: CompareOptions = {
      models: flags.models as ModelName[] | undefined,
      seed: flags.seed,
      epochs: flags.epochs,
      options: byModel(flags.set),
      tune: flags.tune,
      budget: flags.budget,
      split: recipe.split,
      threads: flags.threads,
      memoryLimit: flags.memoryLimit,
    };
    checkCompare(options);
    if (save !== undefined) checkWritableFolder(save, '--save');
    // A file in the folder to save to may have to wait for it.
    const inside = save !== undefined && json && resolve(dirname(json)) === resolve(save) && !existsSync(json);
    if (json !== undefined && !inside) checkWritable(json, '--json');
    const reporter = new Reporter();
    const work = async (signal: AbortSignal) => {
      const read = await readInput(input, flags, recipe, { signal });
      const data = await splitFor(read, { ...options, signal });
      return compareOn(data, read, {
        ...options,
        signal,
        info: infoOf(read, recipe, data),
        onProgress: (progress) => reporter.report(progress),
      });
    };
    try {
      const { report: compared, models } = await interruptible(work);
      const report = { ...compared, ...ignoredValues(recipe) };
      reporter.stop();
      const toText = (path: string) => writeFileSync(path, jsonText(report), { flag: 'wx' });
      const outputs: Output[] = [];
      if (save !== undefined) {
        const model = models.get(report.winner)!;
        const { metrics } = report.models.find(({ model }) => model === report.winner)!;
        const info = { ...(model.info as Record<string, Json>), metrics: { test: metrics } } as unknown as Json;
        outputs.push({
          path: join(save, `${report.winner}.safetensors`),
          write: (path) => model.save(path, { info }),
        });
        outputs.push({ path: join(save, 'comparison.json'), write: toText });
      }
      if (json !== undefined && json !== '-') outputs.push({ path: json, write: toText });
      try {
        await writeAll(outputs);
        if (save !== undefined) message(`saved: ${outputs[0]!.path}`);
      } finally {
        // Also after a failure: the result was costly.
        await print(json === '-' ? jsonText(report) : render(report));
      }
    } finally {
      reporter.stop();
    }
  });
}

/** `{'ease.lambda': 1}` as `{ease: {lambda: 1}}`. */
export function byModel(settings: Record<string, unknown> | undefined): CompareOptions['options'] {
  const result: Record<string, Record<string, unknown>> = {};
  for (const [key, value] of Object.entries(settings ?? {})) {
    const at = key.indexOf('.');
    const model = key.slice(0, Math.max(at, 0));
    if (!description.models.some(({ name }) => name === model)) {
      const names = description.models.map(({ name }) => name).join(', ');
      throw new RecvaeError('INVALID_ARGUMENT', `--set is '${key}'; allowed: model.option with one of ${names}`);
    }
    result[model] = { ...result[model], [key.slice(at + 1)]: value };
  }
  return result as CompareOptions['options'];
}

/** Progress as lines, and as a bar while epochs run. */
class Reporter {
  readonly #bar = new EpochBar();

  report({ model, stage, step, steps, tried, epoch }: CompareProgress): void {
    if (epoch) {
      this.#bar.update(model, epoch.epoch, epoch.epochs, epoch.validation);
      return;
    }
    this.#bar.stop();
    const what = { search: 'tried', fit: 'trains', evaluate: 'is evaluated' }[stage];
    const found = tried ? ` ${JSON.stringify(tried.options)}: validation ${tried.validation.toFixed(4)}` : '';
    message(`[${step}/${steps}] ${model} ${what}${found}`);
  }

  stop(): void {
    this.#bar.stop();
  }
}

function percent(share: number): string {
  return `${(share * 100).toPrecision(3)} %`;
}

/** The report for people. */
function render({ dataset, testUsers, metric, models, paired, verdict }: ComparisonReport): string {
  const { users, items, interactions, density } = dataset;
  const names = Object.keys(models[0]!.metrics);
  const results = models.map(({ model, metrics, seconds, peakMemory }) => [
    model,
    ...names.map((name) => withError(metrics[name]!)),
    seconds.toFixed(1),
    (peakMemory / 2 ** 20).toFixed(0),
  ]);
  const differences = paired
    .filter((pair) => pair.b === 'ease' || pair.a === 'ease')
    .map(({ a, b, metric, difference, interval: [low, high], pValue }) => {
      const sign = b === 'ease' ? 1 : -1;
      const [from, to] = sign === 1 ? [low, high] : [-high, -low];
      return [metric, b === 'ease' ? a : b, ...[sign * difference, from, to].map((n) => n.toFixed(4)), formatP(pValue)];
    });
  const lines = [
    `${users} users x ${items} items, ${interactions} interactions, density ${percent(density)}; ${testUsers} test users`,
    '',
    table(['model', ...names, 'seconds', 'peak MiB'], results),
    `Difference to ease on the same users, with 95 % interval and p-value after Holm's correction (decides: ${metric})`,
    '',
    table(['metric', 'model', 'difference', 'from', 'to', 'p'], differences),
    verdict,
  ];
  return `${lines.join('\n')}\n`;
}
