/**
 * The search of {@link advise}: a model's options on growing samples, where each larger one goes on from what the
 * smaller one told.
 *
 * Two cases are searched as a comparison searches them, with its effort. A closed form of many items would take too
 * long at every trial: there it is tried on fewer items, and fitted to all of them twice at most. And a sample with
 * many times the users of the one before is another problem: on video-games the best `lambda` times `alpha0` of iALS is
 * a seventh on 25,145 users of what it is on 1,000, and a search that goes on from there ends with half of what is to
 * be found.
 */
import type { Split } from '../../data/split.js';
import { computeOf, isNetwork } from '../../models/compute.js';
import { checkFits, refusalOf } from '../../models/estimate.js';
import { type FitRun, fit } from '../../models/fit.js';
import type { Progress } from '../../models/progress.js';
import { guard, RecvaeError } from '../../runtime/errors.js';
import type { Json } from '../../runtime/json.js';
import { native } from '../../runtime/native.js';
import type { ModelName } from '../../runtime/options.generated.js';
import { AdaptiveSearch, exploring, noiseOf, ROUND } from '../../search/adaptive.js';
import { secondsOf } from '../../search/effort.js';
import { Holder } from '../../search/holder.js';
import { defaultSpace, isAllowed, isRange, type Point, type Space, wholeOf } from '../../search/spaces.js';
import { type Step, type Trained, train } from '../../search/train.js';
import { completeOptions, runTrials } from '../../search/trials.js';
import { isClosed, LINEAR_SECONDS } from './plan.js';

/** Trials on the first sample for so many options, and on each larger one. */
const onFirst = (options: number) => exploring(options) + 2 * ROUND;
const onLarger = (options: number) => 2 + 2 * options;
/** A sample with more than so many times the users of the one before is another problem. */
const ANOTHER = 8;

/** A trained model, and what its search tried. */
type Sampled = Omit<Trained, 'untuned' | 'cut' | 'spent' | 'journalled'>;

/** The search of one model over all samples. */
export class SampleSearch {
  readonly #model: ModelName;
  readonly #seed: number;
  #before: AdaptiveSearch | undefined;
  /** Users of the sample before. */
  #users = Infinity;

  constructor(model: ModelName, seed: number) {
    this.#model = model;
    this.#seed = seed;
  }

  /** Trains the model on the next larger sample, with the best options that are found there. */
  async train(
    options: Record<string, unknown>,
    sample: Split,
    run: FitRun,
    onStep: (step: Step) => void,
  ): Promise<Sampled> {
    const fixed = options as Record<string, Json>;
    const space = searchedOf(this.#model, fixed);
    if (Object.keys(space).length === 0) {
      onStep({ stage: 'fit' });
      const onProgress = (epoch: Progress) => onStep({ stage: 'fit', epoch });
      const fitted = await fit(this.#model, sample, options as never, { ...run, onProgress });
      return { fitted, search: [], searchSeconds: 0, trials: 0, edges: {}, plateaus: {} };
    }
    const isAnother = sample.train.nUsers > ANOTHER * this.#users;
    this.#users = sample.train.nUsers;
    const isCostly =
      isClosed(this.#model) && secondsOf({ model: this.#model, options: fixed }, sample) > LINEAR_SECONDS;
    if (isCostly || isAnother) {
      const {
        untuned: _,
        cut: __,
        spent: ___,
        journalled: ____,
        ...sampled
      } = await train(this.#model, options, sample, { ...run, seed: this.#seed }, onStep);
      return sampled;
    }
    return this.#search(space, fixed, sample, run, onStep);
  }

  async #search(
    space: Space,
    fixed: Record<string, Json>,
    sample: Split,
    run: FitRun,
    onStep: (step: Step) => void,
  ): Promise<Sampled> {
    const started = performance.now();
    const engine = this.#engine(space, fixed);
    const holder = new Holder();
    const search: Sampled['search'] = [];
    let [best, failure] = [{ at: -1, validation: -Infinity }, 'nothing was tried'];
    try {
      for (let [points, start] = [engine.ask(), 0]; points.length > 0; points = engine.ask()) {
        const first = start;
        const { threads, signal, memoryLimit } = run;
        const places = [...points.keys()].filter((at) => {
          const reason = refusalOf(() => checkFits(this.#model, { ...fixed, ...points[at] }, sample, run));
          failure = reason ?? failure;
          return reason === null;
        });
        const trials = places.map((at) => ({ model: this.#model, options: { ...fixed, ...points[at]! } }));
        const results = await runTrials(trials, {
          threads,
          signal,
          memoryLimit,
          ...computeOf(run),
          data: sample,
          parallel: 1,
          take: (model, at, { validation }) => holder.take(model, first + places[at]!, validation ?? -Infinity),
        });
        const values: (number | null)[] = points.map(() => null);
        for (const [index, { validation, failed }] of results.entries()) {
          const at = places[index]!;
          failure = failed ?? failure;
          values[at] = validation;
          if (validation === null) continue;
          const tried = { options: points[at]! as Json, validation };
          search.push(tried);
          onStep({ stage: 'search', tried });
          if (validation > best.validation) best = { at: first + at, validation };
        }
        start += points.length;
        engine.tell(values, noiseOf(results.findLast(({ standardError }) => standardError)?.standardError));
      }
      this.#before = engine;
      const fitted = holder.release(best.at);
      if (!fitted) throw new RecvaeError('NUMERICAL', failure);
      const searchSeconds = (performance.now() - started) / 1000;
      const { edges, plateaus, measured } = engine;
      return { fitted, search, searchSeconds, trials: measured.length, edges, plateaus };
    } finally {
      holder.dispose();
    }
  }

  #engine(space: Space, fixed: Record<string, Json>): AdaptiveSearch {
    const model = this.#model;
    const names = Object.keys(space);
    const before = this.#before?.best ? this.#before : undefined;
    return new AdaptiveSearch({
      space,
      first: before ? pointsOf(before) : [usualPoint(model, fixed, space)],
      shift: [...guard(() => native.searchUniforms(this.#seed, names.length))],
      most: before ? onLarger(names.length) : onFirst(names.length),
      whole: wholeOf(model, fixed, space),
      allows: (name, value) => isAllowed(model, fixed, { [name]: value }),
      ...(before && { before }),
    });
  }
}

/** The options that are searched, of a network none: it has its defaults, which is said of it. */
export function searchedOf(model: ModelName, fixed: Record<string, Json>): Space {
  return isNetwork(model) ? {} : defaultSpace(model, fixed);
}

/** Options worth searching that are neither given nor searched. */
export function untunedOf(model: ModelName, fixed: Record<string, Json>): string[] {
  return isNetwork(model) ? Object.keys(defaultSpace(model, fixed)) : [];
}

/** What a larger sample begins with: the best of the smaller one, and what is expected to be the best. */
function pointsOf(before: AdaptiveSearch): Point[] {
  const [best, peak] = [before.best!.point, before.peak!.point];
  return JSON.stringify(best) === JSON.stringify(peak) ? [best] : [best, peak];
}

/** The default options of a space. */
function usualPoint(model: ModelName, fixed: Record<string, Json>, space: Space): Point {
  const usual = completeOptions({ model, options: fixed });
  const clamped = (name: string) => {
    const [values, value] = [space[name]!, usual[name]!];
    if (!isRange(values)) return values.includes(value) ? value : values[0]!;
    return Math.min(Math.max(value as number, values.from), values.to);
  };
  return Object.fromEntries(Object.keys(space).map((name) => [name, clamped(name)]));
}
