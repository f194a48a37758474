import type { Command } from 'commander';
import type { Spread } from '../data/profile.js';
import { Split } from '../data/split.js';
import type { AdviceReport, AdviseProgress, GroupResult } from '../decide/advise/report.js';
import { type AdviseOptions, advise, checkAdvise, PRECISION, TRIED } from '../decide/advise.js';
import { ALWAYS } from '../decide/compare/options.js';
import { formatP, percent, rough } from '../decide/wording.js';
import { description } from '../runtime/native.js';
import type { ComputeOptions, ModelName } from '../runtime/options.generated.js';
import { addMemoryFlag, type JobFlags, jsonFlag, seedFlag, threadsFlag } from './common-flags.js';
import { addComputeFlags, computeOfFlags } from './compute.js';
import { inputFiles, refuseSame } from './distinct.js';
import { INPUT, inFlags, parseNumber, toFlag } from './flags.js';
import { readInput, tellUnusedWeights } from './input.js';
import { addFlag, addInputFlags } from './input-flags.js';
import { interruptible } from './interrupt.js';
import { checkWritable, jsonText, message, print, shellWord, table, withError } from './output.js';
import { EpochBar, Reporter } from './progress.js';
import { type InputFlags, ignoredValues, recipeFor, recipeOf } from './recipe.js';
import { reportFlag, withCommand, writeReport } from './report.js';
import { addSetting, byModel, refuseIdle } from './settings.js';

interface Flags extends JobFlags, ComputeOptions {
  models?: string[];
  users?: number;
  items?: number;
  epochs?: number;
}

/** `recvae advise`: what should be used on these data? */
export function addAdvise(program: Command): void {
  const command = program
    .command('advise')
    .description(
      'look at the data, try EASE^R, iALS and RecVAE on samples, and say which model to use and what to distrust',
    )
    .argument(...INPUT)
    .option(
      '--models <names>',
      'comma-separated, to try besides popularity, ease and als (default: edlae,recvae)',
      (text) => text.split(','),
    );
  // --items, and not --item, which is a column.
  addFlag(command, description.sample, 'users', 'count');
  addFlag(command, description.sample, 'items', 'count');
  command
    .option('--epochs <count>', 'most epochs of the models that train in epochs', parseNumber)
    .addOption(seedFlag('seed of the split, the samples, the models and the bootstrap'))
    .option('--set <model.option=value>', 'an option of a model (see: recvae models); may be repeated', addSetting)
    .addOption(threadsFlag())
    .addOption(jsonFlag())
    .addOption(reportFlag());
  addComputeFlags(command, { precision: PRECISION });
  addInputFlags(addMemoryFlag(command)).action(async (input: string, flags: Flags) => {
    const recipe = recipeFor(input, flags);
    const { json, models, users, items, epochs, seed, threads, memoryLimit, report: page } = flags;
    const options: AdviseOptions = {
      models: models as ModelName[] | undefined,
      users,
      items,
      epochs,
      seed,
      options: byModel(flags.set),
      split: recipe.split,
      threads,
      memoryLimit,
      ...computeOfFlags(flags),
    };
    checkAdvise(options);
    refuseIdle(flags.set, models ?? TRIED);
    refuseSame({ inputs: inputFiles(input, flags), outputs: { '--json': json, '--report': page } });
    checkWritable(json, '--json');
    checkWritable(page, '--report');
    const reporter = new SampleReporter();
    try {
      const report = await interruptible(async (signal) => {
        const read = await readInput(input, flags, recipe, { signal });
        // A ready split goes without the recipe of one.
        const how = read instanceof Split ? undefined : recipe.split;
        const all = read instanceof Split ? read.train : read;
        tellUnusedWeights(all, new Set([...ALWAYS, ...(models ?? TRIED)]));
        return advise(read, { ...options, split: how, signal, onProgress: (progress) => reporter.report(progress) });
      });
      reporter.stop();
      const next = report.next.map((step) => step.replace('<input>', () => inputWords(input, flags)));
      const named = withCommand({ ...report, next, ...ignoredValues(recipe) });
      for (const { text } of report.leftOut) message(inFlags(text));
      await writeReport(named, json, page);
      await print(json === '-' ? jsonText(named) : render(named));
    } finally {
      reporter.stop();
    }
  });
}

/** The input with the flags that it was read and split with, for a shell. */
export function inputWords(input: string, flags: InputFlags): string {
  const { preset, testFile, validationFile } = flags;
  const { seed: _, ...recipe } = { ...recipeOf(flags).read, ...recipeOf(flags).split };
  const named = Object.entries({ preset, testFile, validationFile }).filter(([, value]) => value !== undefined);
  const words = [...Object.entries(recipe), ...named].map(([name, value]) => {
    const flag = toFlag(name);
    if (value === true) return flag;
    return value === false ? flag.replace(/^--/, '--no-') : `${flag} ${shellWord(String(value))}`;
  });
  return [shellWord(input), ...words].join(' ');
}

/** Progress as lines, and as a bar while epochs run. */
class SampleReporter extends Reporter<AdviseProgress, EpochBar> {
  constructor() {
    super(new EpochBar());
  }

  report({ model, users, stage, step, steps, tried, epoch }: AdviseProgress): void {
    const label = `${model} on ${users} users`;
    if (epoch) {
      this.bar.update(label, epoch);
      return;
    }
    if (tried)
      this.tell(
        `[${step}/${steps}] ${label} tried ${JSON.stringify(tried.options)}: validation ${tried.validation.toFixed(4)}`,
      );
    else if (stage === 'fit') this.tell(`[${step}/${steps}] ${label} trains`);
  }
}

/** The report for people. */
function render(report: AdviceReport): string {
  const sections: [string, string][] = [
    ['Data', renderData(report)],
    ['Cost on all training users', renderCost(report)],
    ['Trial runs', renderTrials(report)],
    ['Who is served how well', renderGroups(report)],
    ['Advice', renderAdvice(report)],
  ];
  return `${sections.map(([title, text]) => `${title}\n${'-'.repeat(title.length)}\n${text.trimEnd()}`).join('\n\n')}\n`;
}

function renderData({ profile, split }: AdviceReport): string {
  const { users, items, interactions, density, perUser, perItem, gini, top1Percent, top20Percent, tail } = profile;
  const { few } = description;
  const columns: (keyof Spread)[] = ['min', 'p10', 'p25', 'median', 'p75', 'p90', 'p99', 'max', 'mean'];
  const row = (name: string, spread: Spread) => [name, ...columns.map((key) => String(Number(spread[key].toFixed(1))))];
  return [
    `${users} users x ${items} items, ${interactions} interactions, density ${percent(density)}`,
    `${split.trainingUsers} training users x ${split.items} items, ${split.validationUsers} validation users with something to find`,
    table(['', ...columns], [row('items per user', perUser), row('users per item', perItem)]),
    `Popularity: Gini ${gini.toFixed(3)}; the top 1 % of items have ${percent(top1Percent)} of the interactions, the top 20 % ` +
      `${percent(top20Percent)}, the other 80 % ${percent(tail)}`,
    `Fewer than ${few}: ${percent(profile.rareItems)} of the items, ${percent(profile.shortUsers)} of the users; ` +
      `${percent(profile.repeatedUsers)} of the users repeat another one; the fullest user has ${percent(profile.fullestUser)} of the items`,
  ].join('\n');
}

function renderCost({ cost }: AdviceReport): string {
  const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
  const rows = cost.map(({ model, fitMemory, modelMemory, refusal, seconds: value }) => [
    model,
    mebibytes(fitMemory),
    mebibytes(modelMemory),
    refusal === null ? 'yes' : 'no',
    String(rough(value)),
  ]);
  const laws = [...new Set(cost.map(({ law }) => law))].map((law) => {
    const models = cost.filter((row) => row.law === law).map(({ model }) => model);
    return `- ${models.join(', ')}: ${law}`;
  });
  return [
    table(['model', 'fit MiB', 'model MiB', 'fits', 'seconds'], rows),
    'Seconds of one fit with all its epochs: extrapolated from the samples or estimated, good to a factor of 2. They grow with',
    ...laws,
  ].join('\n');
}

function renderTrials({ samples, metric, profile, split }: AdviceReport): string {
  const order = samples.reduce((most, sample) => (sample.models.length > most.models.length ? sample : most)).models;
  const models = order.map(({ model }) => model);
  const means = (index: number) =>
    models.map((model) => {
      const trial = samples[index]!.models.find((trial) => trial.model === model);
      return trial ? withError(trial.metrics[metric]!) : '';
    });
  const curve = samples.map(({ users, interactions }, at) => [`${users}`, `${interactions}`, ...means(at)]);
  const looks = (name: string, { perUser, perItem, tail, items, rareItems }: AdviceReport['profile']) => [
    name,
    ...[perUser.median, perUser.mean, perItem.median, perItem.mean].map((value) => String(Number(value.toFixed(1)))),
    `${items}`,
    percent(rareItems),
    percent(tail),
  ];
  const found = models.map((model) => {
    const { users, models } = samples.findLast(({ models }) => models.some((trial) => trial.model === model))!;
    const { search, options, epochs, bestEpoch, unfinished, seconds, untuned } = models.find(
      (trial) => trial.model === model,
    )!;
    const names = new Set(search.flatMap(({ options }) => Object.keys(options as object)));
    const chosen = [...names].map((name) => `${name} ${(options as Record<string, unknown>)[name]}`).join(', ');
    const training =
      bestEpoch === null ? '' : `best epoch ${bestEpoch} of ${epochs}${unfinished ? ', not finished' : ''}`;
    const untouched = untuned.length > 0 ? `not tuned: ${untuned.join(', ')}` : '';
    return [model, `${users}`, seconds.toFixed(1), [chosen, training, untouched].filter(Boolean).join('; ')];
  });
  return [
    `${metric} on validation users, by training users in the sample (${split.trainingUsers} are all)`,
    table(['users', 'interactions', ...models], curve),
    'What the samples look like beside the data',
    table(
      ['users', 'items per user, median', 'mean', 'users per item, median', 'mean', 'items', 'rare items', 'tail'],
      [...samples.map(({ users, profile }) => looks(`${users}`, profile)), looks('data', profile)],
    ),
    table(['model', 'users', 'seconds', 'found there'], found),
  ].join('\n');
}

function differences(pairs: ({ group: string } & AdviceReport['samples'][number]['paired'][number])[]): string {
  const rows = pairs.map(({ group, a, b, difference, interval, pValue }) => [
    group,
    `${a} - ${b}`,
    ...[difference, ...interval].map((number) => number.toFixed(4)),
    formatP(pValue),
  ]);
  return table(['group', 'models', 'difference', 'from', 'to', 'p'], rows);
}

function renderGroups({ samples, popularity, metric, sharedUsers }: AdviceReport): string {
  const { activity, users, models } = samples.find(({ users }) => users === sharedUsers)!;
  const names = models.map(({ model }) => model);
  const groups = (found: GroupResult[], unit: string) =>
    table(
      [unit, 'from', 'to', 'users', ...(found[0]?.items === undefined ? [] : ['items']), ...names],
      found.map(({ name, from, to, users, items, means }) => [
        name,
        `${from}`,
        `${to}`,
        `${users}`,
        ...(items === undefined ? [] : [`${items}`]),
        ...names.map((model) => (means[model] ? withError(means[model]) : '')),
      ]),
    );
  const paired = (found: GroupResult[]) =>
    differences(found.flatMap(({ name, paired }) => paired.map((pair) => ({ group: name, ...pair }))));
  return [
    `${metric} on ${users} training users, by items in the input of the validation user`,
    groups(activity, 'active'),
    paired(activity),
    `${metric} of the held-out items of a group alone, by training users of the item in the sample (a third of the interactions each)`,
    groups(popularity, 'items'),
    paired(popularity),
  ].join('\n');
}

function renderAdvice({ reasons, distrust, next }: AdviceReport): string {
  const list = (lines: string[]) => lines.map((line) => `- ${line}`).join('\n');
  return [list(reasons), '', 'Distrust', list(distrust), '', 'Next', ...next.map((step) => `  npx ${step}`)].join('\n');
}
