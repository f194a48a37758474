/** Training inside a comparison: the linear models with their main options searched, the others as they are. */
import type { ComparedModel, CompareProgress } from './compare.js';
import { RecvaeError } from './errors.js';
import { type FitRun, fit, type Json, type Model, type Progress } from './models.js';
import { optionsOf } from './native.js';
import type { ModelName, ModelOptions } from './options.generated.js';
import type { Split } from './split.js';
import { runTrials, type TrialResult } from './trials.js';
import { findBest, planOf, type Search } from './tune/find-best.js';
import { defaultSpace } from './tune/spaces.js';

/** A trained model and how its options were found. */
export interface Trained {
  /** The model. */
  fitted: Model;
  /** What a search tried, in that order. */
  search: ComparedModel['search'];
}

/** What happens to the model at work. */
export type Step = Pick<CompareProgress, 'stage' | 'tried' | 'epoch'>;

/** What is searched, one option after the other, unless it is given: what decides, in models that are trained in seconds. */
const SEARCHED: { [K in ModelName]?: (keyof ModelOptions[K] & string)[] } = {
  ease: ['lambda'],
  edlae: ['lambda', 'dropoutRate'],
  als: ['lambda', 'alpha0', 'factors'],
};

/** The options that {@link train} looks for. */
function searched(model: ModelName, options: Record<string, unknown>, data: Split): string[] {
  if (data.validation.nScored === 0) return [];
  return (SEARCHED[model] ?? []).filter((name) => options[name] === undefined);
}

/** Whether {@link train} looks for the best options. */
export function searches(model: ModelName, options: Record<string, unknown>, data: Split): boolean {
  return searched(model, options, data).length > 0;
}

/** The options with the highest value of each one that {@link train} looks for: the model that takes most memory. */
export function largest(model: ModelName, options: Record<string, unknown>, data: Split): Record<string, Json> {
  const known = optionsOf(model);
  const highest = searched(model, options, data).map((name) => {
    const values = known.find((option) => option.name === name)!.search as number[];
    return [name, Math.max(...values)];
  });
  return { ...options, ...Object.fromEntries(highest) };
}

/** The search of a tuned comparison: so many trials in the core's lists of values; `undefined` if there is nothing to search. */
export function tuned(
  model: ModelName,
  options: Record<string, unknown>,
  trials: number,
  seed: number,
): Search | undefined {
  const fixed = options as Record<string, Json>;
  const space = defaultSpace(model, fixed);
  if (Object.keys(space).length === 0) return undefined;
  return { model, fixed, space, ...planOf(model, space, fixed, { trials, seed }), earlyStop: true };
}

/** Trains the models of a {@link tuned} search, one at a time, and gives the best one. */
export async function trainTuned(
  search: Search,
  data: Split,
  run: FitRun,
  onStep: (step: Step) => void,
): Promise<Trained> {
  const { threads, memoryLimit, info, signal } = run;
  const { results, model } = await findBest(search, {
    data,
    threads,
    memoryLimit,
    info,
    signal,
    parallel: 1,
    onProgress: ({ at, epoch, result }) => {
      if (epoch) onStep({ stage: 'search', epoch });
      if (typeof result?.validation !== 'number') return;
      onStep({ stage: 'search', tried: { options: search.points[at]!, validation: result.validation } });
    },
  });
  const tried = results.flatMap(({ validation }, at) =>
    validation === null ? [] : [{ options: search.points[at]!, validation }],
  );
  return { fitted: model, search: tried };
}

/** Trains one model, with the best of the options that are searched. */
export async function train(
  model: ModelName,
  options: Record<string, unknown>,
  data: Split,
  run: FitRun,
  onStep: (step: Step) => void,
): Promise<Trained> {
  const names = searched(model, options, data);
  if (names.length > 0) return new Climb(model, options, data, run, onStep).search(names);
  const onProgress = (epoch: Progress) => onStep({ stage: 'fit', epoch });
  onStep({ stage: 'fit' });
  return { fitted: await fit(model, data, options as ModelOptions[typeof model], { ...run, onProgress }), search: [] };
}

/**
 * Climbs along the core's list of values of one option after the other, from the default one (or the middle) as long as
 * validation improves, first up, and down if up is worse. The metric has one peak over each in practice, so this finds the
 * best value of a list without trying all.
 */
class Climb {
  readonly #model: ModelName;
  readonly #options: Record<string, unknown>;
  readonly #data: Split;
  readonly #run: FitRun;
  readonly #onStep: (step: Step) => void;
  readonly #tried: Trained['search'] = [];
  #best: { fitted: Model; options: Record<string, Json>; validation: number } | undefined;
  #failure: unknown;

  constructor(
    model: ModelName,
    options: Record<string, unknown>,
    data: Split,
    run: FitRun,
    onStep: (step: Step) => void,
  ) {
    this.#model = model;
    this.#options = options;
    this.#data = data;
    this.#run = run;
    this.#onStep = onStep;
  }

  async search(names: string[]): Promise<Trained> {
    for (const name of names) await this.#climb(name, names);
    if (!this.#best) throw this.#failure;
    return { fitted: this.#best.fitted, search: this.#tried };
  }

  async #climb(name: string, names: string[]): Promise<void> {
    const { search, default: usual } = optionsOf(this.#model).find((option) => option.name === name)!;
    const values = search as number[];
    const found = this.#best?.options ?? {};
    const improves = async (at: number) =>
      values[at] !== undefined && (await this.#improves({ ...found, [name]: values[at] }));
    const known = values.indexOf(usual as number);
    const start = known >= 0 ? known : Math.floor(values.length / 2);
    // The options before this one were found with its default.
    if (name === names[0] || known < 0) await improves(start);
    for (const direction of [1, -1]) {
      let at = start + direction;
      while (await improves(at)) at += direction;
      if (at !== start + direction) break;
    }
  }

  async #improves(options: Record<string, Json>): Promise<boolean> {
    let fitted: Model | undefined;
    const trial = { model: this.#model, options: { ...this.#options, ...options } as Record<string, Json> };
    const take = (model: Model) => {
      fitted = model;
    };
    const { threads, memoryLimit, info, signal } = this.#run;
    const run = { data: this.#data, parallel: 1, threads, memoryLimit, info, signal, take };
    let result: TrialResult | undefined;
    try {
      [result] = await runTrials([trial], run);
    } catch (error) {
      // Others need less: a larger model than fits is not the best one here.
      if (this.#best && error instanceof RecvaeError && error.code === 'MEMORY') return false;
      throw error;
    }
    const { validation, failed } = result!;
    if (fitted === undefined || validation === null) {
      // Too small for f32: other values still can be used.
      this.#failure = new RecvaeError('NUMERICAL', failed!);
      return false;
    }
    const tried = { options, validation };
    this.#tried.push(tried);
    this.#onStep({ stage: 'search', tried });
    if (this.#best && tried.validation <= this.#best.validation) {
      fitted.dispose(); // a matrix of items x items
      return false;
    }
    this.#best?.fitted.dispose();
    this.#best = { fitted, options, validation: tried.validation };
    return true;
  }
}
