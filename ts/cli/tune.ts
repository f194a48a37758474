import { type Command, InvalidArgumentError } from 'commander';
import type { Split } from '../data/split.js';
import type { TuneReport } from '../decide/tune/report.js';
import { checkTune, type TuneOptions, tuneOn } from '../decide/tune.js';
import { computeFor } from '../models/compute.js';
import { RecvaeError } from '../runtime/errors.js';
import type { Output } from '../runtime/files.js';
import type { Json } from '../runtime/json.js';
import { description, isSearchable, searchText } from '../runtime/native.js';
import type { ComputeOptions, ModelName } from '../runtime/options.generated.js';
import { DEFAULT_TRIALS } from '../search/find-best.js';
import { placeOf, TrialQueue } from '../search/queue.js';
import type { SearchKind, SearchProgress, SearchRun } from '../search/search.js';
import type { Range } from '../search/spaces.js';
import { addMemoryFlag, type JobFlags, jsonFlag, seedFlag, threadsFlag } from './common-flags.js';
import { addComputeFlags, computeOfFlags } from './compute.js';
import { inputFiles, journalFiles, refuseSame } from './distinct.js';
import { INPUT, parseNumber } from './flags.js';
import { addRecordFlag, readSplit, tellUnusedWeights } from './input.js';
import { addInputFlags } from './input-flags.js';
import { interruptible } from './interrupt.js';
import { tellJournal } from './journal.js';
import { checkWritable, message, table, withError, writeResult } from './output.js';
import { Bar, Reporter, TimeLeft } from './progress.js';
import { ignoredValues, recipeFor } from './recipe.js';
import { examplesFlag, pageOutput, reportFlag, withCommand } from './report.js';
import { addSetting, parse } from './settings.js';
import { serve, trainsTrials, trainTrials } from './tune-worker.js';

interface Flags extends JobFlags, ComputeOptions {
  search?: SearchKind;
  over?: Record<string, Json[] | Range>;
  trials?: number;
  earlyStop: boolean;
  parallel?: number;
  journal?: string;
  queue?: string;
  serve?: boolean;
  out?: string;
  trainingRecord: boolean;
  examples: boolean;
}

/** `recvae tune`: the best options of a model. */
export function addTune(program: Command): void {
  const tunable = description.models.filter(isSearchable);
  const command = program
    .command('tune')
    .description('search the options of one model on the validation users, and measure the best ones on the test users')
    .argument('<model>', tunable.map(({ name }) => name).join(', '))
    .argument(...INPUT)
    .option(
      '--search <kind>',
      'adaptive, grid, random or halving (default: a grid if --over has few values, else adaptive)',
    )
    .option(
      '--over <option=values>',
      'values to try (a,b,c) or a range (a..b), may be repeated (default: see below)',
      addOver,
    )
    .option('--set <option=value>', 'an option that is not searched (see: recvae models); may be repeated', addSetting)
    .option('--trials <count>', `trials at most (default: ${DEFAULT_TRIALS}; of adaptive, as it needs)`, parseNumber)
    .addOption(seedFlag('seed of the split, of random trials and of the model'))
    .option('--no-early-stop', 'train hopeless trials to their end, too')
    .addOption(threadsFlag())
    .option('--parallel <count>', 'trials at once, at most (default: as many as threads)', parseNumber)
    .option('--journal <file>', 'keep trials that have ended in a file; the same command goes on from it')
    .option('--queue <url>', 'let other processes train the trials, by a queue in the Redis at redis://host:port')
    .option('--serve', 'of --queue: train the trials of the same command elsewhere, until Ctrl-C')
    .option('--out <file>', 'where the model of the best options goes')
    .addOption(jsonFlag())
    .addOption(reportFlag())
    .addOption(examplesFlag())
    .addHelpText('after', `\nSearched by default:\n${defaults(tunable)}`);
  addComputeFlags(command);
  addInputFlags(addMemoryFlag(addRecordFlag(command))).action(async (model: ModelName, input: string, flags: Flags) => {
    const recipe = recipeFor(input, flags);
    const { out, json, report: page } = flags;
    const options: TuneOptions = {
      search: flags.search,
      over: flags.over as TuneOptions['over'],
      options: flags.set as TuneOptions['options'],
      trials: flags.trials,
      seed: flags.seed,
      split: recipe.split,
      earlyStop: flags.earlyStop,
      threads: flags.threads,
      parallel: flags.parallel,
      memoryLimit: flags.memoryLimit,
      journal: flags.journal,
      examples: flags.examples,
      ...computeOfFlags(flags),
    };
    checkTune(model, options);
    if (flags.serve) return serveQueue(input, flags);
    refuseSame({
      inputs: inputFiles(input, flags),
      outputs: { '--out': out, '--json': json, '--report': page, ...journalFiles(flags.journal) },
    });
    checkWritable(out, '--out');
    checkWritable(json, '--json');
    checkWritable(page, '--report');
    checkWritable(flags.journal, '--journal');
    const reporter = new TrialReporter();
    const work = async (signal: AbortSignal) => {
      const { read, data, info } = await readSplit(input, flags, recipe, { signal });
      tellUnusedWeights(data.train, [model]);
      const onProgress = (progress: SearchProgress) => reporter.report(progress);
      const tuning = { ...options, signal, info: info(), onProgress };
      const queue = flags.queue === undefined ? undefined : await openQueue(flags.queue, data);
      if (!queue) return tuneOn(model, data, read, tuning);
      try {
        const remote: SearchRun['remote'] = (trial, key, signal) => {
          return queue.run(trial, computeFor(model, options, trial.options), key, signal);
        };
        return await tuneOn(model, data, read, { ...tuning, remote });
      } finally {
        await queue.close();
      }
    };
    try {
      const { report: tuned, model: fitted } = await interruptible(work);
      const report = withCommand({ ...tuned, ...ignoredValues(recipe) });
      reporter.stop();
      const outputs: Output[] = [];
      if (out !== undefined) {
        const metrics = {
          validation: { [report.metric]: report.validation.mean },
          ...(report.test && { test: report.test }),
        };
        const info = { ...(fitted.info as Record<string, Json>), metrics } as unknown as Json;
        outputs.push({ path: out, write: (path) => fitted.save(path, { info, trainingRecord: flags.trainingRecord }) });
      }
      await writeResult(report, [...outputs, ...pageOutput(page, report)], json, render);
    } catch (thrown) {
      reporter.stop();
      tellJournal(thrown, flags.journal);
      throw thrown;
    } finally {
      reporter.stop();
    }
  });
}

/** Opens the queue for the trials, and tells who serves it. */
async function openQueue(url: string, data: Split): Promise<TrialQueue> {
  const queue = await TrialQueue.open(url, data);
  const workers = await queue.workers();
  const none = workers === 0 ? ': they wait for the same command with --serve' : '';
  message(`trials go to ${placeOf(url)}, which ${workers} processes serve${none}`);
  return queue;
}

/** Trains the trials of others: here is who talks with Redis, or its child, which has the data. */
async function serveQueue(input: string, flags: Flags): Promise<void> {
  const { queue, threads, memoryLimit } = flags;
  if (queue === undefined) throw new RecvaeError('INVALID_ARGUMENT', '--serve has no meaning without --queue');
  if (!trainsTrials()) return interruptible((signal) => serve(queue, signal));
  return interruptible(async (signal) => {
    const { data } = await readSplit(input, flags, recipeFor(input, flags), { signal });
    await trainTrials(data, { threads, memoryLimit, signal });
  });
}

/** What each model is searched over by default, for the help. */
function defaults(models: typeof description.models): string {
  const lines = models.map(({ name, options }) => {
    const searched = options.filter(({ search }) => search !== null);
    return `  ${name}: ${searched.map((option) => `${option.name}=${searchText(option)}`).join(' ')}`;
  });
  return lines.join('\n');
}

/** Adds one `option=a,b,c` or `option=a..b` to those before it. */
export function addOver(text: string, before: Record<string, Json[] | Range> = {}): Record<string, Json[] | Range> {
  const at = text.indexOf('=');
  const name = text.slice(0, Math.max(at, 0));
  const allowed = 'option=value,value,… or option=from..to';
  if (name === '' || text.length === at + 1) throw new InvalidArgumentError(`It must be ${allowed}.`);
  if (Object.hasOwn(before, name)) {
    throw new RecvaeError(
      'INVALID_ARGUMENT',
      `--over is given twice for ${name}; allowed: ${name} once, with all values`,
    );
  }
  return { ...before, [name]: valuesOf(text.slice(at + 1)) };
}

function valuesOf(text: string): Json[] | Range {
  const [, from, to] = /^([-+.\deE]+?)\.\.([-+.\deE]+)$/.exec(text) ?? [];
  if (from !== undefined && to !== undefined) return { from: Number(from), to: Number(to) };
  try {
    return JSON.parse(`[${text}]`);
  } catch {
    return text.split(',').map((value) => parse(value) as Json);
  }
}

/** Trials as lines, and as a bar while they run. */
class TrialReporter extends Reporter<SearchProgress> {
  readonly #left = new TimeLeft();

  constructor() {
    super(new Bar('{label} [{bar}] {value}/{total} trials {epoch} | {left} left'));
  }

  report({ at, trial, point, epoch, result, found, ended, trials }: SearchProgress): void {
    if (epoch) {
      const { fraction } = epoch;
      const done = fraction === undefined ? `epoch ${epoch.epoch}/${epoch.epochs}` : `${(100 * fraction).toFixed(0)} %`;
      const words = `| trial ${at + 1}: ${done}`;
      const share = (ended + (fraction ?? epoch.epoch / epoch.epochs)) / trials;
      const left = this.#left.tell(Math.min(share, 1));
      this.bar.update(ended, trials, { label: trial.model, epoch: words, left });
    }
    if (!result) return;
    const { validation, seconds, epochs, stopped, failed } = result;
    const what = validation === null ? `failed: ${failed}` : `validation ${validation.toFixed(4)}`;
    const after = epochs > 0 ? ` after ${epochs} epochs` : '';
    const how = `${stopped ? `, ${stopped}` : ''}${found ? ', from the journal' : ` (${seconds.toFixed(1)} s)`}`;
    const on = trial.items === undefined ? '' : ` on ${trial.items} items`;
    this.tell(`[${ended}/${trials}] ${trial.model} ${JSON.stringify(point)}${on}: ${what}${after}${how}`);
  }
}

/** The report for people. */
function render({ model, search, metric, users, trials, space, test, seconds, verdict }: TuneReport): string {
  const names = Object.keys(space);
  const rows = trials.map(({ options, validation, epochs, seconds, stopped, failed, items }) => [
    validation === null ? '' : validation.toFixed(4),
    ...names.map((name) => JSON.stringify(options[name])),
    String(epochs),
    seconds.toFixed(1),
    failed === undefined ? (stopped ?? (items === undefined ? '' : `on ${items} items`)) : 'failed',
  ]);
  const head = [metric, ...names, 'epochs', 'seconds', ''];
  const lines = [
    `${model}: ${search}, ${trials.length} trials, ${users.train} training and ${users.validation} validation users, ${seconds.toFixed(1)} s`,
    '',
    table(head, rows),
    verdict,
    '',
    test === null
      ? 'There are no test users with anything to find: expect less of new users than of those that the options were chosen by.'
      : `On ${users.test} test users, measured once:\n\n${table(
          [model, 'test'],
          Object.entries(test).map(([name, value]) => [name, withError(value)]),
        )}`.trimEnd(),
  ];
  return `${lines.join('\n')}\n`;
}
