/** Training inside a comparison: the linear models with their main options searched, the others as they are. */
import type { ComparedModel, CompareProgress } from './compare.js';
import { RecvaeError } from './errors.js';
import { evaluate } from './evaluate.js';
import { type FitRun, fit, type Json, type Model, type Progress, type RunOptions } from './models.js';
import { description } from './native.js';
import type { MetricName, ModelName, ModelOptions } from './options.generated.js';
import type { Split } from './split.js';

/** A trained model and how its options were found. */
export interface Trained {
  /** The model. */
  fitted: Model;
  /** What a search tried, in that order. */
  search: ComparedModel['search'];
}

/** What happens to the model at work. */
type Step = Pick<CompareProgress, 'stage' | 'tried' | 'epoch'>;

/** What is searched, one option after the other, unless it is given: what decides, in models that are trained in seconds. */
const SEARCHED: { [K in ModelName]?: (keyof ModelOptions[K] & string)[] } = {
  ease: ['lambda'],
  edlae: ['lambda', 'dropoutRate'],
  als: ['lambda', 'alpha0'],
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
    const { search, default: usual } = description.models
      .find(({ name }) => name === this.#model)!
      .options.find((option) => option.name === name)!;
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
    let fitted: Model;
    try {
      fitted = await fit(this.#model, this.#data, { ...this.#options, ...options } as never, this.#run);
    } catch (error) {
      // Too small for f32: other values still can be used.
      if (!(error instanceof RecvaeError && error.code === 'NUMERICAL')) throw error;
      this.#failure = error;
      return false;
    }
    const tried = { options, validation: await validate(fitted, this.#data, this.#run) };
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

/** The main metric on the validation users. */
export async function validate(model: Model, data: Split, { threads, signal }: RunOptions): Promise<number> {
  const metric = description.validationMetric as MetricName;
  const { metrics } = await evaluate(model, data.validation, { threads, signal, metrics: [metric] });
  return metrics[metric]!.mean;
}
