/**
 * Trials: models with different options that are trained on the training users of a split and judged on its validation
 * users, some at a time. Searching and taking apart (`tune`, `compare`, `ablate`) are lists of them.
 */
import { rmSync } from 'node:fs';
import type { Split } from '../data/split.js';
import type { Checkpoint } from '../models/checkpoint.js';
import { computeFor, isOnGpu } from '../models/compute.js';
import { checkFits } from '../models/estimate.js';
import { type FitRun, fitWatched } from '../models/fit.js';
import type { Model } from '../models/model.js';
import type { Progress } from '../models/progress.js';
import { guard, RecvaeError, toJson } from '../runtime/errors.js';
import type { Json, JsonLike } from '../runtime/json.js';
import { description, native } from '../runtime/native.js';
import type { ComputeOptions, ModelName } from '../runtime/options.generated.js';
import { type RunOptions, running, stoppable } from '../runtime/running.js';
import { canonical, type Journal } from './journal.js';

/** What is trained. */
export interface Trial {
  /** Which model. */
  model: ModelName;
  /** Its options as they are given to `fit`; what is left out has its default. */
  options: Record<string, Json>;
  /** How many of the most popular items of the data it is trained and judged on, if not on all. */
  items?: number;
}

/** What came of a trial: plain JSON. */
export interface TrialResult<T = Json> {
  /** Which model. */
  model: ModelName;
  /** All options with their values. */
  options: Record<string, Json>;
  /** The core's main metric on the validation users; `null` without such users, and of a trial that failed. */
  validation: number | null;
  /** Its standard error over those users, if it is known. */
  standardError?: number;
  /** How many items it was trained and judged on, if not on all. */
  items?: number;
  /** The metric after each epoch; empty for closed forms. */
  curve: number[];
  /** Epochs trained; 0 for closed forms. */
  epochs: number;
  /** Wall-clock seconds. */
  seconds: number;
  /** That it was stopped before its end. */
  stopped?: 'hopeless';
  /** Why there is no model: the arithmetic failed. */
  failed?: string;
  /** What else was found out about the model. */
  judged?: T;
}

/** What is told of trials while they run. */
export interface TrialProgress {
  /** Which trial of the list, from 0. */
  at: number;
  /** The trial. */
  trial: Trial;
  /** The epoch that ended, or else: */
  epoch?: Progress;
  /** what came of it. */
  result?: TrialResult;
  /** Whether that was found in the journal. */
  found?: boolean;
}

/** How {@link runTrials} works. */
export interface TrialRun<T> extends RunOptions, ComputeOptions {
  /** What to train and to validate on. */
  data: Split;
  /** How many trials at once, at most. By default one for each thread. */
  parallel?: number | undefined;
  /** Bytes that all trials at once may take beyond the data. By default what is free. */
  memoryLimit?: number | undefined;
  /** Bytes of that which are held already, or will be. */
  beside?: number | undefined;
  /** Where ended trials are kept, and looked for first. */
  journal?: Journal<TrialResult<T>> | undefined;
  /** Kept with each model. */
  info?: JsonLike | undefined;
  /** Where the training of a trial is kept, for models that have checkpoints. */
  checkpoint?: ((trial: Trial) => string | undefined) | undefined;
  /**
   * Asked after each epoch, with the metric after each so far and the most epochs: true stops the trial as hopeless.
   */
  hopeless?: ((at: number, curve: readonly number[], epochs: number) => boolean) | undefined;
  /** Called with the model while it is in memory; what it gives is kept with the result. */
  judge?: ((model: Model, trial: Trial, run: RunOptions) => Promise<T>) | undefined;
  /** Takes the models, which otherwise are disposed of. */
  take?: ((model: Model, at: number, result: TrialResult<T>) => void) | undefined;
  /** Trains a trial elsewhere, where {@link TrialRun.judge} and `hopeless` are not asked; its model stays there. */
  remote?: ((trial: Trial, key: string, signal: AbortSignal) => Promise<TrialResult<T>>) | undefined;
  /** Told of epochs and results. If it throws, all trials stop. */
  onProgress?: ((progress: TrialProgress) => unknown) | undefined;
}

/** All options of a trial with their values. */
export function completeOptions({ model, options }: Trial): Record<string, Json> {
  return JSON.parse(guard(() => native.completeOptions(model, toJson(options))));
}

/** What a trial is known by in a journal: two of the same key train the same model. */
export function keyOf(trial: Trial, run: ComputeOptions = {}): string {
  const { model, items, options } = trial;
  const further = { ...(items !== undefined && { items }), ...computeFor(model, run, options) };
  return canonical([model, completeOptions(trial), ...(Object.keys(further).length === 0 ? [] : [further])]);
}

/**
 * Runs trials, some at a time, and gives what came of them in their order. Neither `parallel` nor `threads` nor
 * `memoryLimit` changes that, seconds excepted. Arithmetic that fails is a result; any other failure stops all, and so
 * does an abort: what had ended by then is in the journal.
 */
export async function runTrials<T = Json>(trials: readonly Trial[], run: TrialRun<T>): Promise<TrialResult<T>[]> {
  const { journal, take } = run;
  const results: TrialResult<T>[] = new Array(trials.length);
  return stoppable(run, async ({ signal, tell }) => {
    const waiting: number[] = [];
    for (const [at, trial] of trials.entries()) {
      const result = journal?.done.get(keyOf(trial, run));
      if (result === undefined) {
        waiting.push(at);
        continue;
      }
      results[at] = result;
      tell({ at, trial, result: result as TrialResult, found: true });
    }
    const todo = waiting.map((at) => trials[at]!);
    const { parallel: here, ...share } = shareOf(todo, run.remote ? { ...run, parallel: 1 } : run);
    // Elsewhere there is room for as many as there are machines.
    const parallel = run.remote ? (run.parallel ?? todo.length) : here;
    const stop = new AbortController();
    const one = { ...run, ...share, signal: AbortSignal.any([signal, stop.signal]) };
    const worker = async () => {
      for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
        one.signal.throwIfAborted();
        const trial = trials[at]!;
        const key = keyOf(trial, run);
        const { result, model } = run.remote
          ? { result: await run.remote(trial, key, one.signal) }
          : await runTrial(trial, at, one, tell);
        results[at] = result;
        journal?.add(key, result);
        if (model && take) take(model, at, result);
        else model?.dispose();
        tell({ at, trial, result: result as TrialResult });
      }
    };
    let failure: { reason: unknown } | undefined;
    const workers = Array.from({ length: parallel }, () =>
      worker().catch((reason) => {
        failure ??= { reason };
        stop.abort();
      }),
    );
    await Promise.all(workers);
    if (failure) throw failure.reason;
    return results;
  });
}

/** How many trials at once, and the threads and the memory of each. */
export function shareOf<T>(
  trials: readonly Trial[],
  run: TrialRun<T>,
): { parallel: number; threads: number; memoryLimit: number | undefined } {
  const { data, threads = description.threads, memoryLimit, beside = 0 } = run;
  const onGpu = trials.some(({ model, options }) => isOnGpu(model, run, options));
  const asked = onGpu ? 1 : (run.parallel ?? threads);
  const check = ({ model, options }: Trial, each: number, held: number) =>
    checkFits(model, options, data, { threads: each, memoryLimit }, held);
  for (let parallel = Math.min(asked, Math.max(trials.length, 1)); ; parallel -= 1) {
    const each = Math.max(Math.floor(threads / parallel), 1);
    try {
      const fits = trials.map((trial) => check(trial, each, beside).fit);
      const largest = Math.max(0, ...fits);
      const at = fits.indexOf(largest);
      if (at >= 0) check(trials[at]!, each, beside + (parallel - 1) * largest);
      const limit = memoryLimit && Math.floor(Math.max(memoryLimit - beside, 0) / parallel);
      return { parallel, threads: each, memoryLimit: limit };
    } catch (error) {
      if (parallel === 1 || !(error instanceof RecvaeError && error.code === 'MEMORY')) throw error;
    }
  }
}

/** Runs one trial. */
async function runTrial<T>(
  trial: Trial,
  at: number,
  run: TrialRun<T>,
  tell: (progress: TrialProgress) => void,
): Promise<{ result: TrialResult<T>; model?: Model }> {
  const { data, threads, signal } = run;
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const curve: number[] = [];
  const hopeless = new AbortController();
  const onProgress = (epoch: Progress) => {
    if (epoch.validation !== undefined) curve.push(epoch.validation);
    tell({ at, trial, epoch });
    if (run.hopeless?.(at, curve, epoch.epochs)) hopeless.abort();
  };
  const { model: kind, items } = trial;
  const known = { model: kind, options: completeOptions(trial), ...(items !== undefined && { items }) };
  try {
    const model = await train(
      trial,
      data,
      {
        threads,
        memoryLimit: run.memoryLimit,
        signal: signal ? AbortSignal.any([signal, hopeless.signal]) : hopeless.signal,
        info: run.info,
        ...computeFor(kind, run, trial.options),
        onProgress,
      } as FitRun,
      run.checkpoint?.(trial),
    );
    const { mean: validation, standardError } = (await validate(model, data, { threads, signal })) ?? { mean: null };
    const judged = await run.judge?.(model, trial, { threads, signal });
    const { epochs } = model;
    const result: TrialResult<T> = {
      ...known,
      validation,
      ...(typeof standardError === 'number' && { standardError }),
      curve: epochs.flatMap(({ validation }) => validation ?? []),
      epochs: epochs.length,
      seconds: seconds(),
      ...(judged !== undefined && { judged }),
    };
    return { result, model };
  } catch (error) {
    const ended = { ...known, curve, epochs: curve.length, seconds: seconds() };
    if (hopeless.signal.aborted && !signal?.aborted) {
      return { result: { ...ended, validation: Math.max(...curve), stopped: 'hopeless' } };
    }
    if (!(error instanceof RecvaeError && error.code === 'NUMERICAL')) throw error;
    return { result: { ...ended, validation: null, failed: error.message } };
  }
}

/** Trains a model; from its checkpoint on, if there is one that the core goes on from with these options. */
async function train({ model, options }: Trial, data: Split, run: FitRun, path: string | undefined): Promise<Model> {
  if (path === undefined) return fitWatched(model, data, options as never, { ...run, everyEpoch: true });
  const checkpoint: Checkpoint = { path, resume: true };
  try {
    return await fitWatched(model, data, options as never, { ...run, checkpoint, everyEpoch: true });
  } catch (error) {
    if (!(error instanceof RecvaeError && /^INVALID_(ARGUMENT|MODEL_FILE)$/.test(error.code))) throw error;
    rmSync(path, { force: true });
    return fitWatched(model, data, options as never, { ...run, checkpoint, everyEpoch: true });
  }
}

/**
 * The main metric on the validation users, of 10,000 of them at most, with its standard error; `null` if there are
 * none.
 */
export async function validate(
  model: Model,
  data: Split,
  { threads, signal }: RunOptions,
): Promise<{ mean: number; standardError: number | null } | null> {
  const found = await running({ signal }, (run) => native.validate(model.native, data.validation.native, threads, run));
  return found && { mean: found.mean, standardError: found.standardError ?? null };
}
