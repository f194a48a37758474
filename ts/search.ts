/** Training inside a comparison: EASE^R with its `lambda` searched, the others as they are. */
import type { ComparedModel, CompareProgress } from './compare.js';
import { RecvaeError } from './errors.js';
import { evaluate } from './evaluate.js';
import { type FitRun, fit, type Model, type Progress, type RunOptions } from './models.js';
import { description } from './native.js';
import type { EaseOptions, MetricName, ModelName, ModelOptions } from './options.generated.js';
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

/** Whether {@link train} looks for the best option. */
export function searches(model: ModelName, options: Record<string, unknown>, data: Split): boolean {
  return model === 'ease' && options.lambda === undefined && data.validation.nScored > 0;
}

/** Trains one model; EASE^R with the best `lambda` unless it is given. */
export async function train(
  model: ModelName,
  options: Record<string, unknown>,
  data: Split,
  run: FitRun,
  onStep: (step: Step) => void,
): Promise<Trained> {
  if (searches(model, options, data)) {
    return searchLambda(options, data, run, onStep);
  }
  const onProgress = (epoch: Progress) => onStep({ stage: 'fit', epoch });
  onStep({ stage: 'fit' });
  return { fitted: await fit(model, data, options as ModelOptions[typeof model], { ...run, onProgress }), search: [] };
}

/**
 * Climbs along the core's list of values from the default one (or the middle) as long as validation improves, first up, and
 * down if up is worse. The metric has one peak over `lambda` in practice, so this finds the best value of the list without
 * trying all.
 */
async function searchLambda(
  options: EaseOptions,
  data: Split,
  run: FitRun,
  onStep: (step: Step) => void,
): Promise<Trained> {
  const lambda = description.models.find(({ name }) => name === 'ease')!.options.find(({ name }) => name === 'lambda')!;
  const values = lambda.search as number[];
  const search: Trained['search'] = [];
  let best: { fitted: Model; validation: number } | undefined;
  let failure: unknown;
  const improves = async (at: number): Promise<boolean> => {
    const value = values[at];
    if (value === undefined) return false;
    let fitted: Model;
    try {
      fitted = await fit('ease', data, { ...options, lambda: value }, run);
    } catch (error) {
      // Too small for f32: other values still can be used.
      if (!(error instanceof RecvaeError && error.code === 'NUMERICAL')) throw error;
      failure = error;
      return false;
    }
    const tried = { options: { lambda: value }, validation: await validate(fitted, data, run) };
    search.push(tried);
    onStep({ stage: 'search', tried });
    if (best && tried.validation <= best.validation) {
      fitted.dispose(); // a matrix of items x items
      return false;
    }
    best?.fitted.dispose();
    best = { fitted, validation: tried.validation };
    return true;
  };
  const known = values.indexOf(lambda.default as number);
  const start = known >= 0 ? known : Math.floor(values.length / 2);
  await improves(start);
  for (const direction of [1, -1]) {
    let at = start + direction;
    while (await improves(at)) at += direction;
    if (at !== start + direction) break;
  }
  if (!best) throw failure;
  return { fitted: best.fitted, search };
}

/** The main metric on the validation users. */
export async function validate(model: Model, data: Split, { threads, signal }: RunOptions): Promise<number> {
  const metric = description.validationMetric as MetricName;
  const { metrics } = await evaluate(model, data.validation, { threads, signal, metrics: [metric] });
  return metrics[metric]!.mean;
}
