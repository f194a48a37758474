import type { Command } from 'commander';
import { type AblatedModel, type AblationReport, labelOf } from '../decide/ablate/report.js';
import { KINDS } from '../decide/ablate/verdict.js';
import { type AblateOptions, type AblateProgress, ablateOn, checkAblate } from '../decide/ablate.js';
import { formatP, signed } from '../decide/wording.js';
import { description } from '../runtime/native.js';
import type { ComputeOptions } from '../runtime/options.generated.js';
import { addMemoryFlag, type JobFlags, jsonFlag, seedFlag, threadsFlag } from './common-flags.js';
import { addComputeFlags, computeOfFlags } from './compute.js';
import { inputFiles, journalFiles, refuseSame } from './distinct.js';
import { INPUT, parseNumber } from './flags.js';
import { readSplit, tellUnusedWeights } from './input.js';
import { addInputFlags } from './input-flags.js';
import { interruptible } from './interrupt.js';
import { tellJournal } from './journal.js';
import { checkWritable, jsonText, print, table, withError } from './output.js';
import { Bar, Reporter } from './progress.js';
import { ignoredValues, recipeFor } from './recipe.js';
import { reportFlag, withCommand, writeReport } from './report.js';
import { addSetting } from './settings.js';

interface Flags extends JobFlags, ComputeOptions {
  all?: boolean;
  seeds?: number[];
  epochs?: number;
  parallel?: number;
  journal?: string;
}

/** `recvae ablate`: which of RecVAE's changes pay. */
export function addAblate(program: Command): void {
  const changes = description.changes.map(({ name }) => name).join(', ');
  const command = program
    .command('ablate')
    .description(`say which of RecVAE's changes to Mult-VAE pay on these data: ${changes}`)
    .argument(...INPUT)
    .option('--all', 'all combinations, not only none, each alone, each left out and all')
    .option('--seeds <numbers>', 'comma-separated seeds of the models (default: 1,2,3)', (text) =>
      text.split(',').map(parseNumber),
    )
    .addOption(seedFlag('seed of the split and the bootstrap'))
    .option('--epochs <count>', 'most epochs of every model', parseNumber)
    .option(
      '--set <option=value>',
      'an option of recvae in all designs, or with mult-vae.option one of the reference; may be repeated',
      addSetting,
    )
    .addOption(threadsFlag(' of all trainings together'))
    .option('--parallel <count>', 'trainings at the same time at most (default: one for each thread)', parseNumber)
    .option('--journal <file>', 'keep each training that has ended; the same command goes on from it')
    .addOption(jsonFlag())
    .addOption(reportFlag());
  addComputeFlags(command);
  addInputFlags(addMemoryFlag(command)).action(async (input: string, flags: Flags) => {
    const { json, all, seeds, seed, epochs, threads, parallel, memoryLimit, journal, report: page } = flags;
    const recipe = recipeFor(input, flags);
    const own = bySort(flags.set);
    const run = { threads, parallel, memoryLimit, journal, ...computeOfFlags(flags) };
    const options: AblateOptions = { all, seeds, seed, epochs, ...own, split: recipe.split, ...run };
    checkAblate(options);
    refuseSame({
      inputs: inputFiles(input, flags),
      outputs: { '--json': json, '--report': page, ...journalFiles(journal) },
    });
    checkWritable(journal, '--journal');
    checkWritable(json, '--json');
    checkWritable(page, '--report');
    const reporter = new TrainingReporter();
    const work = async (signal: AbortSignal) => {
      const { read, data } = await readSplit(input, flags, recipe, { signal });
      tellUnusedWeights(data.train, ['recvae']);
      return ablateOn(data, read, { ...options, signal, onProgress: (progress) => reporter.report(progress) });
    };
    try {
      const report = withCommand({ ...(await interruptible(work)).report, ...ignoredValues(recipe) });
      reporter.stop();
      await writeReport(report, json, page);
      await print(json === '-' ? jsonText(report) : render(report));
    } catch (thrown) {
      tellJournal(thrown, journal);
      throw thrown;
    } finally {
      reporter.stop();
    }
  });
}

const REFERENCE = 'mult-vae.';

/** Settings of RecVAE, and of the reference where they say so. */
function bySort(settings: Record<string, unknown> = {}): Pick<AblateOptions, 'options' | 'reference'> {
  const isReference = ([key]: [string, unknown]) => key.startsWith(REFERENCE);
  const entries = Object.entries(settings);
  return {
    options: Object.fromEntries(entries.filter((entry) => !isReference(entry))),
    reference: Object.fromEntries(
      entries.filter(isReference).map(([key, value]) => [key.slice(REFERENCE.length), value]),
    ),
  };
}

/** A line for each training, and a bar with the latest epoch. */
class TrainingReporter extends Reporter<AblateProgress> {
  constructor() {
    super(new Bar('[{bar}] {value}/{total} trainings | {latest}'));
  }

  report({ seed, epoch, ended, done, trainings, ...model }: AblateProgress): void {
    const label = `${labelOf(model)}, seed ${seed}`;
    if (epoch) {
      this.bar.update(done, trainings, { latest: `${label}, epoch ${epoch.epoch}` });
      return;
    }
    const { validation, epochs, seconds, found } = ended!;
    const result = validation === null ? '' : `, validation ${validation.toFixed(4)}`;
    const when = found ? 'from the journal' : `${seconds.toFixed(1)} s`;
    this.tell(`[${done}/${trainings}] ${label}: ${epochs} epochs${result}, ${when}`);
  }
}

/** The least and the greatest of some numbers. */
function range(numbers: number[], format: (number: number) => string): string {
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)].map(format);
  return least === most ? least! : `${least} to ${most}`;
}

/** The report for people. */
function render({ testUsers, seeds, metric, changes, models, comparisons, verdict }: AblationReport): string {
  const ticks = (model: AblatedModel) => changes.map((change) => (model.changes.includes(change) ? '✓' : ''));
  const results = models.map((row) => [
    row.model,
    ...ticks(row),
    withError(row),
    range(
      row.seeds.map(({ mean }) => mean),
      (mean) => mean.toFixed(4),
    ),
    range(
      row.seeds.map(({ epochs }) => epochs),
      String,
    ),
  ]);
  const differences = comparisons.map(({ change, kind, difference, interval, pValue, seeds }) => [
    change,
    KINDS[kind],
    ...[difference, ...interval].map(signed),
    formatP(pValue),
    range(seeds, signed),
  ]);
  const lines = [
    `${testUsers} test users; seeds ${seeds.join(', ')}. recvae with no change keeps its own linear decoder, step size, epochs and`,
    'patience, and its beta does not grow. mult-vae, with all of that its own way, is for reference, outside the comparisons.',
    '',
    table(['model', ...changes, metric, 'over seeds', 'epochs'], results),
    `What a change brings in ${metric} on the same users, with 95 % interval and p-value after Holm's correction`,
    '',
    table(['change', '', 'difference', 'from', 'to', 'p', 'over seeds'], differences),
    verdict,
  ];
  return `${lines.join('\n')}\n`;
}
