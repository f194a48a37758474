import { Interactions } from '../data/interactions.js';
import { allLeftOut } from '../data/left-out.js';
import { profile } from '../data/profile.js';
import { Split } from '../data/split.js';
import { COMPUTE, computeOf } from '../models/compute.js';
import { evaluate } from '../models/evaluate.js';
import type { Progress } from '../models/progress.js';
import { checkInstance, checkObject, checkRun, checkSeed, checkString, invalid } from '../runtime/check.js';
import { guard, RecvaeError, toJson } from '../runtime/errors.js';
import { description, native } from '../runtime/native.js';
import type {
  ComputeOptions,
  MetricName,
  MultVaeOptions,
  RecvaeOptions,
  SplitOptions,
} from '../runtime/options.generated.js';
import { type RunOptions, stoppable } from '../runtime/running.js';
import { Journal } from '../search/journal.js';
import { runTrials, type Trial, type TrialResult } from '../search/trials.js';
import { changesOf, contrastsOf, type Design, designsOf, optionsOf, SWITCHED } from './ablate/designs.js';
import { type AblatedModel, type AblationReport, type ChangeComparison, labelOf } from './ablate/report.js';
import { ablationVerdict, findings, isEstablished } from './ablate/verdict.js';
import { curveIn } from './curve.js';
import { checkTestUsers, DEFAULT_SEED, datasetOf, splitFor } from './dataset.js';
import { againstFloor, floorWords } from './floor.js';
import { pairedDifferences } from './paired.js';
import { startRun } from './run.js';

/** What {@link ablate} is told while it works. */
export interface AblateProgress {
  /** What is trained. */
  model: 'recvae' | 'mult-vae';
  /** Names of RecVAE's changes that it has. */
  changes: string[];
  /** The model's seed. */
  seed: number;
  /** The epoch that ended, or else: */
  epoch?: Progress;
  /** What came of the training, and whether the journal had it already. */
  ended?: { validation: number | null; epochs: number; seconds: number; found: boolean };
  /** How many trainings have ended. */
  done: number;
  /** How many there are. */
  trainings: number;
}

/** How {@link ablate} works. */
export interface AblateOptions extends RunOptions, ComputeOptions {
  /** Whether all sixteen designs are trained instead of ten; only then there are main effects. By default not. */
  all?: boolean | undefined;
  /** Seeds of the models, each 0 to 2^53 and once. By default 1, 2 and 3. */
  seeds?: readonly number[] | undefined;
  /**
   * Most epochs of every model; `epochs` in {@link AblateOptions.options} and {@link AblateOptions.reference} goes
   * before it.
   */
  epochs?: number | undefined;
  /** Options of RecVAE that all designs share; not those that make its changes, nor `seed`. */
  options?: RecvaeOptions | undefined;
  /** Options of the reference, Mult-VAE; not `seed`. */
  reference?: MultVaeOptions | undefined;
  /** Seed of the split and of the bootstrap, 0 to 2^53. By default that of {@link split}. */
  seed?: number | undefined;
  /**
   * How to split {@link Interactions}; its own `seed` goes before the one above. Beside a ready split it is refused.
   */
  split?: SplitOptions | undefined;
  /**
   * Trainings at the same time at most, 1 or more; they share `threads`. The result does not depend on it. By default
   * `threads`.
   */
  parallel?: number | undefined;
  /** Bytes that all trainings at the same time may take beyond the data. By default what is free. */
  memoryLimit?: number | undefined;
  /**
   * A file that keeps every training that has ended, so that the same call goes on after a kill or an abort. More
   * seeds, `all` and other options go on from it too, and train only what it lacks; other data are refused. By default
   * there is none.
   */
  journal?: string | undefined;
  /**
   * Called after every epoch and every training, on the event loop. It does not keep the process alive. If it throws,
   * or gives back a promise that is rejected, the work stops, and the promise is rejected with what was thrown.
   */
  onProgress?: ((progress: AblateProgress) => void) | undefined;
}

/** What {@link ablate} found. */
export interface Ablation {
  /** Plain JSON. */
  report: AblationReport;
  /** For each of the report's models, in their order, one value per test user that counts: the mean over the seeds. */
  perUser: Float64Array[];
}

/**
 * Which of RecVAE's changes to Mult-VAE pay on these data: trains RecVAE without any of them, with each alone, with all
 * but each, and whole (with `all`, every combination), each under every seed, and compares them on the same test users.
 *
 * A user's value is the core's main metric, averaged over the seeds. Pairs are compared user by user with the
 * bootstrap; p-values are corrected by Holm's method over all comparisons together. The interval knows the chance of
 * the users, not that of training, so a difference counts as established only if it also has the same sign under every
 * seed. Validation users choose the best epoch; test users are asked once per training, and no option is chosen by
 * them.
 *
 * **What the base is.** RecVAE without any change is Mult-VAE as far as the changes go: one tanh layer in the encoder,
 * N(0, I) as prior, the constant weight `beta`, one step for encoder and decoder together. All else is RecVAE's in
 * every row: the decoder is linear (Mult-VAE's has a hidden tanh layer), `beta` counts in full from the first step
 * (Mult-VAE's grows), and step size, initial weights, epochs and patience are RecVAE's. `mult-vae` itself, with its own
 * defaults, is a row for reference, outside the comparisons.
 *
 * Two things bear on fairness. An epoch of alternating training is `encoderPasses` + `decoderPasses` passes over the
 * users, one of joint training a single pass, and `patience` counts epochs: give enough of both that slow designs get
 * to their best; the verdict tells how many trainings `epochs` ended. And `gamma` and `beta` weight the same term: one
 * that is badly chosen speaks for or against the KL weight per user where only the number was wrong.
 *
 * @throws {@link RecvaeError} As {@link split}, {@link fit} and {@link evaluate}; `INVALID_ARGUMENT` and `MEMORY`
 * before any work; `INVALID_ARGUMENT` for a journal of other data or in use, `INVALID_DATA` for a file that is no
 * journal, `NUMERICAL` if the arithmetic of a training fails, once all others have ended.
 */
export async function ablate(input: Split | Interactions, options: AblateOptions = {}): Promise<Ablation> {
  checkInstance(input, 'input', Split, Interactions);
  checkAblate(options);
  return stoppable(options, async ({ signal, tell }) => {
    const run = { ...options, signal, onProgress: tell };
    return ablateOn(await splitFor(input, run), input, run);
  });
}

/**
 * {@link ablate} on `data`, the split of `input`, with options that have been checked and a callback that does not
 * throw.
 */
export async function ablateOn(data: Split, input: Split | Interactions, options: AblateOptions): Promise<Ablation> {
  const { all = false, seeds = SEEDS, seed = DEFAULT_SEED, threads, signal } = options;
  const run = startRun(threads);
  checkTestUsers(data);
  const rows: Row[] = ['reference', ...designsOf(all)];
  const results = await train(rows, seeds, data, options);

  const ofSeed = (row: Row, at: number) => Float64Array.from(results.get(row)![at]!.judged!.perUser);
  /** The users' means over designs and seeds. */
  const values = (designs: Row[], at?: number) => {
    const places = at === undefined ? seeds.keys() : [at];
    const lists = [...places].flatMap((place) => designs.map((row) => ofSeed(row, place)));
    return guard(() => native.meanOfLists(lists));
  };
  const mean = (perUser: Float64Array) => guard(() => native.mean(perUser));

  const perUser = rows.map((row) => values([row]));
  const models = rows.map((row, index): AblatedModel => {
    const ended = results.get(row)!;
    const { seed: _, ...shared } = ended[0]!.options;
    const { mean: overall, standardError } = mean(perUser[index]!);
    return {
      ...nameOf(row),
      options: shared,
      mean: overall,
      standardError: standardError ?? null,
      seeds: ended.map(({ options, validation, epochs, seconds, curve }, at) => ({
        ...curveIn(curve),
        seed: seeds[at]!,
        mean: mean(values([row], at)).mean,
        validation,
        epochs,
        atLimit: epochs === options.epochs,
        seconds,
      })),
    };
  });

  const contrasts = contrastsOf(all);
  const found = await pairedDifferences(
    contrasts.map((contrast) => [values(contrast.with), values(contrast.without)]),
    seed,
    { threads, signal },
  );
  const comparisons = contrasts.map(({ change, kind, ...designs }, index): ChangeComparison => {
    const perSeed = seeds.map((_, at) => mean(values(designs.with, at)).mean - mean(values(designs.without, at)).mean);
    const comparison = { change, kind, ...found[index]!, seeds: perSeed };
    return { ...comparison, established: isEstablished(comparison) };
  });

  // The reference, which is outside of the comparisons, is the first row.
  const best = models.reduce((best, { mean }, at) => (at > 1 && mean > models[best]!.mean ? at : best), 1);
  const floor = await againstFloor(perUser[best]!, data, data.test, seed, { threads, signal });
  const report: AblationReport = {
    dataset: datasetOf(data),
    leftOut: allLeftOut(input, data),
    profile: await profile(data, { signal }),
    testUsers: data.test.nScored,
    seed,
    seeds: [...seeds],
    metric: description.validationMetric,
    changes: description.changes.map(({ name }) => name),
    models,
    comparisons,
    findings: findings(comparisons),
    floor,
    run: run(),
    verdict: [ablationVerdict(comparisons, models), floorWords(nameWords(models[best]!), floor)]
      .filter(Boolean)
      .join('\n'),
  };
  return { report, perUser };
}

/** What is trained under every seed. */
type Row = Design | 'reference';

const SEEDS = [1, 2, 3];

function nameOf(row: Row): Pick<AblatedModel, 'model' | 'changes'> {
  return row === 'reference' ? { model: 'mult-vae', changes: [] } : { model: 'recvae', changes: changesOf(row) };
}

/** The best model in words. */
function nameWords({ model, changes }: AblatedModel): string {
  return `the best model, ${model}${model === 'recvae' ? ` with ${changes.join(', ') || 'none of its changes'}` : ''},`;
}

function trialOf(row: Row, seed: number, { epochs, options, reference }: AblateOptions): Trial {
  const limit = epochs === undefined ? {} : { epochs };
  const own = row === 'reference' ? reference : { ...options, ...optionsOf(row) };
  return { model: nameOf(row).model, options: { ...limit, ...own, seed } as Trial['options'] };
}

/** What the journal keeps of a model beside the result of its training. */
interface Judged {
  perUser: number[];
}

/** Trains every row under every seed, and gives the results by row in the order of the seeds. */
async function train(
  rows: Row[],
  seeds: readonly number[],
  data: Split,
  options: AblateOptions,
): Promise<Map<Row, TrialResult<Judged>[]>> {
  const { threads, signal, parallel, memoryLimit, journal: path, onProgress = () => {} } = options;
  const metric = description.validationMetric as MetricName;
  const runs = seeds.flatMap((seed) => rows.map((row) => ({ row, seed })));
  using journal = Journal.open<TrialResult<Judged>>(path, { command: 'ablate', data: data.fingerprint(), metric });
  let done = 0;
  const results = await runTrials<Judged>(
    runs.map(({ row, seed }) => trialOf(row, seed, options)),
    {
      data,
      threads,
      signal,
      parallel,
      memoryLimit,
      ...computeOf(options),
      journal,
      judge: async (model, _, run) => {
        const { metrics } = await evaluate(model, data.test, { ...run, metrics: [metric] });
        return { perUser: [...metrics[metric]!.perUser] };
      },
      onProgress: ({ at, epoch, result, found = false }) => {
        const { row, seed } = runs[at]!;
        const known = { ...nameOf(row), seed };
        if (epoch) return onProgress({ ...known, epoch, done, trainings: runs.length });
        done += 1;
        const { validation, epochs, seconds } = result!;
        onProgress({ ...known, ended: { validation, epochs, seconds, found }, done, trainings: runs.length });
      },
    },
  );
  for (const [at, { failed }] of results.entries()) {
    if (failed === undefined) continue;
    const { row, seed } = runs[at]!;
    throw new RecvaeError('NUMERICAL', `${labelOf(nameOf(row))}, seed ${seed}: ${failed}`);
  }
  return new Map(rows.map((row) => [row, results.filter((_, at) => runs[at]!.row === row)]));
}

const KEYS = Object.keys({
  all: true,
  seeds: true,
  epochs: true,
  options: true,
  reference: true,
  seed: true,
  split: true,
  parallel: true,
  memoryLimit: true,
  journal: true,
  threads: true,
  signal: true,
  onProgress: true,
  ...COMPUTE,
} satisfies Record<keyof AblateOptions, true>);

/** Finds what is not allowed before hours of training. */
export function checkAblate(options: AblateOptions): void {
  checkRun(options, KEYS, 'options');
  const { all, seeds = SEEDS, seed, parallel, threads, journal } = options;
  if (all !== undefined && typeof all !== 'boolean') throw invalid('all', all, 'true or false');
  if (!Array.isArray(seeds) || seeds.length === 0) throw invalid('seeds', seeds, 'a list of at least one seed');
  for (const [at, one] of seeds.entries()) {
    checkSeed(one, `seeds[${at}]`);
    if (seeds.indexOf(one) < at) throw invalid(`seeds[${at}]`, one, 'seeds that differ');
  }
  if (seed !== undefined) checkSeed(seed, 'seed');
  if (parallel !== undefined && !(Number.isInteger(parallel) && parallel >= 1)) {
    throw invalid('parallel', parallel, 'a whole number, 1 or more');
  }
  if (journal !== undefined) checkString(journal, 'journal');
  refuse(options.options, 'options', SWITCHED, 'an ablation switches it itself');
  refuse(options.options, 'options', ['seed'], 'seeds has them');
  refuse(options.reference, 'reference', ['seed'], 'seeds has them');
  for (const row of ['reference', ...designsOf(false)] as Row[]) {
    const { model, options: own } = trialOf(row, seeds[0]!, options);
    const compute = toJson(computeOf(options));
    guard(() => native.checkFit(model, toJson(own), threads, undefined, undefined, compute));
  }
}

/** Fails for options that are not the caller's to set. */
function refuse(given: unknown, what: string, names: readonly string[], why: string): void {
  if (given === undefined) return;
  checkObject(given, what);
  const found = names.find((name) => (given as Record<string, unknown>)[name] !== undefined);
  if (found !== undefined) throw invalid(`a key of ${what}`, found, `others (${why})`);
}
