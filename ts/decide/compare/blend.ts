/**
 * The last row of a comparison: what it has trained, together. Only weights are searched. The blend is counted with
 * what the parts that it keeps cost, and stands behind the costliest of them in the order from cheap to costly, by
 * which the verdict goes.
 */
import type { Split } from '../../data/split.js';
import { fitBlend } from '../../models/blend.js';
import type { BlendRecord } from '../../models/blend-record.js';
import { type Evaluation, evaluate, meansOf } from '../../models/evaluate.js';
import type { Model } from '../../models/model.js';
import { shareDone } from '../../models/progress.js';
import { guard, RecvaeError } from '../../runtime/errors.js';
import type { Json } from '../../runtime/json.js';
import { description } from '../../runtime/native.js';
import type { ModelName } from '../../runtime/options.generated.js';
import { withPeakMemory } from '../../runtime/peak-memory.js';
import type { RunOptions } from '../../runtime/running.js';
import { secondsOf } from '../../search/effort.js';
import { validate } from '../../search/trials.js';
import { FLOOR } from '../floor.js';
import { byPopularity, type Group, sizeOf } from '../groups.js';
import { pairedDifferences } from '../paired.js';
import { timeRequests } from '../requests.js';
import type { Course } from './course.js';
import { BLEND, type CompareOptions, complete, measured } from './options.js';
import type { BlendDifference, BlendGroup, BlendReport, ComparedModel, Skipped } from './report.js';

/** What a comparison has by then. */
interface State {
  data: Split;
  models: Map<ModelName, Model>;
  evaluations: Map<ModelName, Evaluation>;
  /** Groups of items with the values of each model. */
  popularity: Group[];
  compared: ComparedModel[];
  skipped: Skipped[];
}

/** What the blend is to a course: estimated seconds of its search. */
export function blendTask(data: Split): { model: ModelName; seconds: number; fitSeconds: number } {
  const seconds = secondsOf({ model: BLEND, options: {} }, data);
  return { model: BLEND, seconds, fitSeconds: seconds };
}

/**
 * Blends what there is, evaluates that and adds it to the rest; where that cannot be, it is skipped. Gives the blend.
 */
export async function addBlend(
  state: State,
  course: Course,
  index: number,
  options: CompareOptions & { seed: number },
): Promise<Model<'blend'> | undefined> {
  const { data, models, evaluations, compared, skipped } = state;
  const skip = (why: string): undefined => void skipped.push({ model: BLEND, what: 'model', why });
  const parts = [...models].filter(([model]) => model !== FLOOR);
  if (parts.length < 2) return skip(`there are ${parts.length} models to blend besides ${FLOOR}; allowed: 2 or more`);
  if (data.validation.nScored < 2) {
    return skip('there are fewer than two validation users with something to find, by whom weights are found');
  }
  const late = course.tooLate(index);
  if (late) return skip(late);
  const { threads, memoryLimit, info, signal: outer } = options;
  const started = performance.now();
  course.tell(index, { stage: 'fit' });
  const settings = complete(BLEND, options);
  const found = await course
    .within((signal) =>
      withPeakMemory(() =>
        fitBlend(
          data,
          { ...settings, parts: parts.map(([, model]) => model) },
          {
            ...(threads !== undefined && { threads }),
            ...(memoryLimit !== undefined && { memoryLimit }),
            ...(signal && { signal }),
            info: info ?? null,
            onProgress: (epoch) => course.tell(index, { stage: 'fit', done: shareDone(epoch) }),
          },
        ),
      ),
    )
    .catch((thrown) => refusalOf(thrown));
  if (typeof found === 'string') return skip(found);
  if (!found) return skip('its search did not end within budgetMinutes');
  const own = (performance.now() - started) / 1000;
  const { result: blend, peakMemory } = found;
  const kept = keptOf(blend);
  if (kept.length === 1) {
    // It is that model, and comparing a model with itself would only widen the intervals of all others.
    blend.dispose();
    return skip(`the best weights keep ${kept[0]} alone, so it would be that model again`);
  }
  const run = { threads, signal: outer };
  course.tell(index, { stage: 'evaluate', done: 1 });
  const validation = await validate(blend, data, run);
  const { groups, ...evaluation } = await evaluate(blend, data.test, {
    metrics: measured(options),
    groups: true,
    ...run,
  });
  state.popularity = byPopularity(BLEND, groups!, state.popularity);
  const task = blendTask(data);
  course.ended(index, own, task.seconds);
  const rows = compared.filter(({ model }) => kept.includes(model));
  const sum = (of: (row: ComparedModel) => number) => rows.reduce((sum, row) => sum + of(row), 0);
  models.set(BLEND, blend);
  evaluations.set(BLEND, evaluation);
  compared.push({
    model: BLEND,
    options: blend.options as unknown as Json,
    search: [],
    searchSeconds: 0,
    trials: 0,
    untuned: [],
    edges: {},
    plateaus: {},
    seconds: own + sum(({ seconds }) => seconds),
    estimatedSeconds: task.seconds + sum(({ estimatedSeconds }) => estimatedSeconds),
    peakMemory: Math.max(peakMemory, ...rows.map((row) => row.peakMemory)),
    fitMemory: Math.max(...rows.map((row) => row.fitMemory)),
    modelMemory: guard(() => blend.native.bytes),
    requestSeconds: await timeRequests(blend, data.test, { signal: outer }),
    curve: [],
    bestEpoch: null,
    validation: validation?.mean ?? null,
    epochs: 0,
    changed: [],
    metrics: meansOf(evaluation),
  });
  return blend;
}

/** What there is to say of a blend beside its row: of the values by user and by group that the comparison has. */
export async function reportOf(
  blend: Model<'blend'>,
  { models, evaluations, compared }: Pick<State, 'models' | 'evaluations' | 'compared'>,
  groups: Record<BlendGroup['by'], Group[]>,
  seed: number,
  run: RunOptions,
): Promise<BlendReport> {
  const names = [...models.keys()].filter((model) => model !== FLOOR && model !== BLEND);
  const kept = keptOf(blend);
  const { warnings, ...found } = blend.options;
  return {
    found,
    warnings,
    differences: await overall(names, kept, evaluations, seed, run),
    groups: await byGroups(names, kept, groups, seed, run),
    cost: compared
      .filter(({ model }) => model === BLEND || names.includes(model))
      .map(({ model, seconds, requestSeconds }) => ({
        model,
        seconds,
        bytes: guard(() => models.get(model)!.native.bytes),
        microseconds: 1e6 * requestSeconds.median,
      })),
  };
}

/** What lets a comparison go on without a blend, in words; anything else is thrown on. */
function refusalOf(thrown: unknown): string {
  if (thrown instanceof RecvaeError && (thrown.code === 'NUMERICAL' || thrown.code === 'MEMORY')) return thrown.message;
  throw thrown;
}

function keptOf(blend: Model<'blend'>): ModelName[] {
  return blend.options.parts.map(({ model }) => model);
}

/** Models from cheap to costly: a blend comes behind the costliest of its parts. */
export function byCost(models: ComparedModel[]): ComparedModel[] {
  const blend = models.find(({ model }) => model === BLEND);
  if (!blend) return models;
  const { parts } = blend.options as unknown as BlendRecord;
  const others = models.filter((model) => model !== blend);
  const last = Math.max(...parts.map(({ model }) => others.findIndex((other) => other.model === model)));
  return [...others.slice(0, last + 1), blend, ...others.slice(last + 1)];
}

const METRIC = description.validationMetric;

async function overall(
  names: ModelName[],
  kept: ModelName[],
  evaluations: Map<ModelName, Evaluation>,
  seed: number,
  run: RunOptions,
): Promise<BlendDifference[]> {
  const valuesOf = (model: ModelName) => evaluations.get(model)!.metrics[METRIC]!.perUser;
  const ours = valuesOf(BLEND);
  if (ours.length < 2) return [];
  const found = await pairedDifferences(
    names.map((name) => [ours, valuesOf(name)]),
    seed,
    run,
  );
  return names.map((part, at) => ({ part, kept: kept.includes(part), users: ours.length, ...found[at]! }));
}

/** The blend against each model on each group that has two users. */
async function byGroups(
  names: ModelName[],
  kept: ModelName[],
  groups: Record<BlendGroup['by'], Group[]>,
  seed: number,
  run: RunOptions,
): Promise<BlendGroup[]> {
  const all = (['activity', 'popularity'] as const).flatMap((by) => groups[by].map((group) => ({ by, ...group })));
  const asked = all.filter((group) => sizeOf(group) >= 2);
  const found = await pairedDifferences(
    asked.flatMap(({ values }) =>
      names.map((name): [Float64Array, Float64Array] => [values.get(BLEND)!, values.get(name)!]),
    ),
    seed,
    run,
  );
  return asked.map((group, at) => ({
    by: group.by,
    name: group.name,
    from: group.from,
    to: group.to,
    differences: names.map((part, its) => ({
      part,
      kept: kept.includes(part),
      users: sizeOf(group),
      ...found[at * names.length + its]!,
    })),
  }));
}
