import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Command } from 'commander';
import { ALWAYS, type CompareOptions, checkCompare, USUAL } from '../decide/compare/options.js';
import type { ComparedModel, CompareProgress, ComparisonReport } from '../decide/compare/report.js';
import { compareOn } from '../decide/compare.js';
import { isUnfinished } from '../decide/curve.js';
import { checkRepeat, journalsOf, mostRuns, repeatOn } from '../decide/repeat.js';
import { formatP, percent } from '../decide/wording.js';
import { isNetwork } from '../models/compute.js';
import { load } from '../models/model.js';
import { perUserOutput } from '../models/per-user.js';
import type { Output } from '../runtime/files.js';
import type { Json } from '../runtime/json.js';
import { allModels, description } from '../runtime/native.js';
import type { ComputeOptions, MetricName, ModelName } from '../runtime/options.generated.js';
import { DEFAULT_TRIALS } from '../search/find-best.js';
import type { SearchedTrial } from '../search/train.js';
import { blendLines } from './blend.js';
import {
  addMemoryFlag,
  checkPerUserFile,
  type JobFlags,
  jsonFlag,
  metricsFlag,
  perUserFlag,
  seedFlag,
  threadsFlag,
} from './common-flags.js';
import { addComputeFlags, computeOfFlags } from './compute.js';
import { inputFiles, journalFiles, refuseSame } from './distinct.js';
import { INPUT, inFlags, parseNumber } from './flags.js';
import { addRecordFlag, readSplit, tellUnusedWeights } from './input.js';
import { addInputFlags } from './input-flags.js';
import { interruptible } from './interrupt.js';
import { tellJournal } from './journal.js';
import { checkWritable, checkWritableFolder, message, table, withError, writeResult, writing } from './output.js';
import { Bar, EpochLines, Reporter, shortly } from './progress.js';
import { ignoredValues, recipeFor } from './recipe.js';
import { repeatLines } from './repeat.js';
import { examplesFlag, pageOutput, reportFlag, withCommand } from './report.js';
import { addSetting, byModel, refuseIdle } from './settings.js';

interface Flags extends JobFlags, ComputeOptions {
  models?: string[];
  epochs?: number;
  search: boolean;
  tune?: boolean;
  budget?: number;
  budgetMinutes?: number;
  journal?: string;
  metrics?: string[];
  perUser?: string;
  repeat?: number;
  save?: string;
  trainingRecord: boolean;
  examples: boolean;
}

/** `recvae compare`: the main job. */
export function addCompare(program: Command): void {
  const command = program
    .command('compare')
    .description('train popularity, EASE^R, iALS and then other models, and say with statistics which one to use')
    .argument(...INPUT)
    .option('--models <names>', `besides ${ALWAYS.join(', ')}, comma-separated (default: ${USUAL.join(',')})`, (text) =>
      text.split(','),
    )
    .addOption(seedFlag('seed of the split, the models and the bootstrap'))
    .option('--epochs <count>', 'most epochs of the models that train in epochs', parseNumber)
    .option('--set <model.option=value>', 'an option of a model (see: recvae models); may be repeated', addSetting)
    .option('--no-search', 'take the given options and the defaults; the result says which are not searched')
    .option(
      '--repeat <count>',
      'on so many splits, and with so many training seeds: where the variance comes from',
      parseNumber,
    )
    .option('--tune', 'search with as many trials for every model, whatever they take (see: recvae tune)')
    .option('--budget <trials>', `trials of each search with --tune (default: ${DEFAULT_TRIALS})`, parseNumber)
    .option(
      '--budget-minutes <minutes>',
      'take so long at most, with --repeat each time; what does not fit is left out and named',
      parseNumber,
    )
    .option('--journal <file>', 'keep trials that have ended in a file; the same command goes on from it')
    .addOption(metricsFlag(description.metrics, 'measured of the test users beside the main one, comma-separated'))
    .addOption(threadsFlag())
    .addOption(perUserFlag())
    .option('--save <folder>', 'save the winner as <model>.safetensors and the result as comparison.json')
    .addOption(jsonFlag())
    .addOption(reportFlag())
    .addOption(examplesFlag());
  addComputeFlags(command);
  addInputFlags(addMemoryFlag(addRecordFlag(command))).action(async (input: string, flags: Flags) => {
    const { save, json, report: page, perUser } = flags;
    const recipe = recipeFor(input, flags);
    const options: CompareOptions = {
      models: flags.models as ModelName[] | undefined,
      seed: flags.seed,
      epochs: flags.epochs,
      options: byModel(flags.set),
      search: flags.search,
      tune: flags.tune,
      budget: flags.budget,
      budgetMinutes: flags.budgetMinutes,
      journal: flags.journal,
      metrics: flags.metrics as MetricName[] | undefined,
      examples: flags.examples,
      split: recipe.split,
      threads: flags.threads,
      memoryLimit: flags.memoryLimit,
      ...computeOfFlags(flags),
    };
    checkCompare(options);
    refuseIdle(flags.set, flags.models);
    const { repeat } = flags;
    if (repeat !== undefined) checkRepeat(repeat, options, false);
    const journals = journalsOf(flags.journal, mostRuns(repeat ?? 1));
    const saved = ['comparison.json', ...allModels.map(({ name }) => `${name}.safetensors`)];
    refuseSame({
      inputs: inputFiles(input, flags),
      outputs: {
        '--save': save,
        'a file of --save': save && saved.map((name) => join(save, name)),
        '--json': json,
        '--report': page,
        '--per-user': perUser,
        ...journalFiles(...journals),
      },
    });
    if (save !== undefined) checkWritableFolder(save, '--save');
    // A file in the folder to save to may have to wait for it.
    const waits = (path: string | undefined) =>
      save !== undefined && path && resolve(dirname(path)) === resolve(save) && !existsSync(path);
    if (json !== undefined && !waits(json)) checkWritable(json, '--json');
    if (page !== undefined && !waits(page)) checkWritable(page, '--report');
    if (!waits(perUser)) await checkPerUserFile(perUser);
    for (const journal of journals) checkWritable(journal, '--journal');
    const reporter = new ModelReporter();
    const work = async (signal: AbortSignal) => {
      const { read, data, info } = await readSplit(input, flags, recipe, { signal });
      tellUnusedWeights(data.train, new Set([...ALWAYS, ...(flags.models ?? USUAL)]));
      const its = {
        ...options,
        signal,
        info: info(),
        onProgress: (progress: CompareProgress) => reporter.report(progress),
      };
      const compared =
        repeat === undefined ? await compareOn(data, read, its) : await repeatOn(data, read, { ...its, repeat });
      return { ...compared, heldOut: data.test };
    };
    try {
      const { report: compared, models, evaluations, heldOut } = await interruptible(work);
      const report = withCommand({ ...compared, ...ignoredValues(recipe) });
      reporter.stop();
      const outputs: Output[] = [];
      const former = save === undefined ? undefined : await formerWinner(save);
      if (save !== undefined) {
        const model = models.get(report.winner)!;
        const { metrics } = report.models.find(({ model }) => model === report.winner)!;
        const info = { ...(model.info as Record<string, Json>), metrics: { test: metrics } } as unknown as Json;
        outputs.push({
          path: join(save, `${report.winner}.safetensors`),
          write: (path) => model.save(path, { info, trainingRecord: flags.trainingRecord }),
        });
        outputs.push({ path: join(save, 'comparison.json'), write: writing(report) });
      }
      if (perUser !== undefined) outputs.push(perUserOutput(perUser, heldOut, evaluations));
      await writeResult(report, [...outputs, ...pageOutput(page, report)], json, render);
      if (former !== undefined && former !== `${report.winner}.safetensors`) {
        rmSync(join(save!, former), { force: true });
        message(`removed ${join(save!, former)}, the winner of the comparison that was saved there before`);
      }
    } catch (thrown) {
      reporter.stop();
      tellJournal(thrown, flags.journal);
      throw thrown;
    } finally {
      reporter.stop();
    }
  });
}

/**
 * The file of the winner that an earlier comparison has saved in a folder: whoever takes the model that lies there must
 * not get that one. It is told by what was measured of it, which the model's file says, too; another model of the same
 * name is somebody's own.
 */
async function formerWinner(folder: string): Promise<string | undefined> {
  try {
    const { winner, models } = JSON.parse(readFileSync(join(folder, 'comparison.json'), 'utf8')) as ComparisonReport;
    if (!allModels.some(({ name }) => name === winner)) return undefined;
    const name = `${winner}.safetensors`;
    using model = await load(join(folder, name));
    const { metrics } = model.info as { metrics?: { test?: Json } };
    const measured = models.find(({ model }) => model === winner)?.metrics;
    return measured !== undefined && isDeepStrictEqual(metrics?.test, measured) ? name : undefined;
  } catch {
    return undefined; // there is none, or nobody knows of what
  }
}

/** Progress as lines and as one bar over all, with the time that is left, from the beginning. */
class ModelReporter extends Reporter<CompareProgress> {
  readonly #lines = new EpochLines();

  constructor() {
    super(new Bar('{label} [{bar}] {percentage} % | {left} left'));
  }

  report(progress: CompareProgress): void {
    const {
      model,
      stage,
      step,
      steps,
      tried,
      epoch,
      fraction = 0,
      secondsLeft = 0,
      plan,
      run = 1,
      runs = 1,
    } = progress;
    if (plan && runs > 1) message(`comparison ${run} of ${runs}`);
    if (plan) message(planned(plan));
    else if (!epoch) {
      const what = { search: 'tried', fit: 'trains', evaluate: 'is evaluated' }[stage];
      this.tell(`[${step}/${steps}] ${model} ${what}${tried ? triedText(tried) : ''}`);
    } else if (stage === 'fit') this.#lines.tell(model, epoch);
    const done = epoch && epoch.epochs > 0 ? `: epoch ${epoch.epoch}/${epoch.epochs}` : '';
    this.bar.update(Math.round(1000 * fraction), 1000, { label: `${model}${done}`, left: shortly(secondsLeft) });
  }
}

function triedText({ options, validation, epochs, items }: SearchedTrial): string {
  const on = items === undefined ? '' : ` on ${items} items`;
  const after = epochs === undefined ? '' : ` for ${epochs} epochs`;
  return ` ${JSON.stringify(options)}${on}${after}: validation ${validation.toFixed(4)}`;
}

/** How long each model is expected to take. */
function planned(plan: NonNullable<CompareProgress['plan']>): string {
  const words = plan.map(({ model, seconds }) => `${model} ${shortly(seconds)}`);
  const all = plan.reduce((sum, { seconds }) => sum + seconds, 0);
  return `at most about ${shortly(all)}, on a machine of two cores: ${words.join(', ')}`;
}

/** What is to be known about a model's options. */
function searchWords({
  model,
  trials,
  searchSeconds,
  untuned,
  edges,
  plateaus,
  changed,
  computed,
  options,
  ...training
}: ComparedModel): string[] {
  const words = [
    ...(trials > 0 ? [`${trials} trial${trials === 1 ? '' : 's'}, ${searchSeconds.toFixed(1)} s`] : []),
    ...untuned.map((name) => `${name} not searched`),
    ...Object.entries(edges).map(([name, end]) => `the best ${name} is the ${end} of those searched`),
    ...Object.entries(plateaus).map(([name, { from, to }]) => `${name} makes no difference from ${from} to ${to}`),
    ...changed.map(({ name, from, to }) => `${name} ${to} in place of ${from}, which does not fit into memory`),
    ...(isNetwork(model) && isUnfinished(training, options)
      ? [`validation was best in epoch ${training.bestEpoch} of ${training.epochs}, and may be better with more`]
      : []),
    ...(computed ? [`computed in ${computed.precision} on ${computed.device} (${computed.engine})`] : []),
  ];
  return words.length === 0 ? [] : [`  ${model}: ${words.join('; ')}`];
}

/** The report for people. */
function render(report: ComparisonReport): string {
  const { dataset, trainingUsers, testUsers, metric, models, paired, verdict, effort, skipped } = report;
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
    `${users} users x ${items} items, ${interactions} interactions, density ${percent(density)}; ${trainingUsers} training and ${testUsers} test users`,
    '',
    table(['model', ...names, 'seconds', 'peak MiB'], results),
    `Difference to ease on the same users, with 95 % interval and p-value after Holm's correction (decides: ${metric})`,
    '',
    table(['metric', 'model', 'difference', 'from', 'to', 'p'], differences),
    ...(report.blend ? blendLines(report.blend, metric) : []),
    ...(report.repeat ? repeatLines(report.repeat) : []),
    `Options: ${effort}.`,
    ...models.flatMap(searchWords),
    ...skipped.map(
      ({ model, what, why }) => `Left out: ${what === 'model' ? model : `trials of ${model}`}: ${inFlags(why)}.`,
    ),
    '',
    verdict,
  ];
  return `${lines.join('\n')}\n`;
}
