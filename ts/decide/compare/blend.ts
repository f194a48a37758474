/**
 * The last row of a comparison: what it has trained, together. Only weights are searched. The blend is counted with what the parts
 * that it keeps cost, and stands behind the costliest of them in the order from cheap to costly, by which the verdict goes.
 */
import type { Split } from '../../data/split.js';
import { fitBlend } from '../../models/blend.js';
import type { BlendRecord } from '../../models/blend-record.js';
import { type Evaluation, evaluate, meansOf } from '../../models/evaluate.js';
import type { Model } from '../../models/model.js';
import { shareDone } from '../../models/progress.js';
import { guard, RecvaeError } from '../../runtime/errors.js';
import type { Json } from '../../runtime/json.js';
import { description, native } from '../../runtime/native.js';
import type { ModelName } from '../../runtime/options.generated.js';
import { withPeakMemory } from '../../runtime/peak-memory.js';
import { type RunOptions, running } from '../../runtime/running.js';
import { secondsOf } from '../../search/effort.js';
import { validate } from '../../search/trials.js';
import { FLOOR } from '../floor.js';
import { pairedDifferences } from '../paired.js';
import { timeRequests } from '../requests.js';
import type { Course } from './course.js';
import { BLEND, type CompareOptions, complete } from './options.js';
import type { BlendDifference, BlendGroup, BlendReport, ComparedModel, Skipped } from './report.js';

/** What a comparison has by then. */
interface State {
  data: Split;
  models: Map<ModelName, Model>;
  evaluations: Map<ModelName, Evaluation>;
  compared: ComparedModel[];
  skipped: Skipped[];
}

/** What the blend is to a course: estimated seconds of its search. */
export function blendTask(data: Split): { model: ModelName; seconds: number; fitSeconds: number } {
  const seconds = secondsOf({ model: BLEND, options: {} }, data);
  return { model: BLEND, seconds, fitSeconds: seconds };
}

/** Blends what there is, evaluates that and adds it to the rest; where that cannot be, it is skipped. */
export async function addBlend(
  state: State,
  course: Course,
  index: number,
  options: CompareOptions & { seed: number },
): Promise<BlendReport | undefined> {
  const { data, models, evaluations, compared, skipped } = state;
  const skip = (why: string): undefined => void skipped.push({ model: BLEND, what: 'model', why });
  const parts = [...models].filter(([model]) => model !== FLOOR);
  if (parts.length < 2) return skip(`there are ${parts.length} models to blend besides ${FLOOR}; allowed: 2 or more`);
  if (data.validation.nScored < 2) {
    return skip('there are fewer than two validation users with something to find, by whom weights are found');
  }
  const late = course.tooLate(index);
  if (late) return skip(late);
  const { threads, memoryLimit, info, seed, signal: outer } = options;
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
  const run = { threads, signal: outer };
  course.tell(index, { stage: 'evaluate', done: 1 });
  const validation = await validate(blend, data, run);
  const evaluation = await evaluate(blend, data.test, run);
  const task = blendTask(data);
  course.ended(index, own, task.seconds);
  const kept = keptOf(blend);
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
  const names = parts.map(([model]) => model);
  const { warnings, ...record } = blend.options;
  return {
    found: record,
    warnings,
    differences: await overall(names, kept, evaluations, seed, run),
    groups: await byGroups(names, kept, state, seed, run),
    cost: compared
      .filter(({ model }) => model === BLEND || names.includes(model))
      .map(({ model, seconds }) => ({ model, seconds, ...costOf(models.get(model)!, data) })),
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
  { data, models, evaluations }: State,
  seed: number,
  run: RunOptions,
): Promise<BlendGroup[]> {
  const all = [...names, BLEND];
  type Group = Omit<BlendGroup, 'differences'> & { values: Map<ModelName, Float64Array> };
  const groups: Group[] = guard(() => native.activityGroups(data.test.native)).map(({ name, from, to, positions }) => {
    const of = (model: ModelName) =>
      Float64Array.from(positions, (at) => evaluations.get(model)!.metrics[METRIC]!.perUser[at]!);
    return { by: 'activity', name, from, to, values: new Map(all.map((model) => [model, of(model)])) };
  });
  const popular: Group[] = guard(() => native.popularityGroups(data.train.native)).map(({ name, from, to }) => ({
    by: 'popularity',
    name,
    from,
    to,
    values: new Map(),
  }));
  for (const model of all) {
    const found = await running({ signal: run.signal }, (own) =>
      native.evaluateByPopularity(
        models.get(model)!.native,
        data.test.native,
        data.train.native,
        METRIC,
        run.threads,
        own,
      ),
    );
    for (const [at, { perUser }] of found.entries()) popular[at]!.values.set(model, perUser);
  }
  const asked = [...groups, ...popular].filter(({ values }) => values.get(BLEND)!.length >= 2);
  const pairs = asked.flatMap(({ values }) =>
    names.map((name): [Float64Array, Float64Array] => [values.get(BLEND)!, values.get(name)!]),
  );
  const found = await pairedDifferences(pairs, seed, run);
  return asked.map(({ values, ...group }, at) => ({
    ...group,
    differences: names.map((part, its) => ({
      part,
      kept: kept.includes(part),
      users: values.get(BLEND)!.length,
      ...found[at * names.length + its]!,
    })),
  }));
}

/** Requests that are timed, after one that is not. */
const REQUESTS = 50;

/** What a model holds, and what a request takes: the median over some test users. */
function costOf(model: Model, { test }: Split): { bytes: number; microseconds: number } {
  const histories = test
    .userIds()
    .slice(0, REQUESTS)
    .map((user) => test.input(user)!);
  model.recommend(histories[0]!, { k: 100 });
  const times = histories
    .map((history) => {
      const started = performance.now();
      model.recommend(history, { k: 100 });
      return 1000 * (performance.now() - started);
    })
    .sort((a, b) => a - b);
  return { bytes: guard(() => model.native.bytes), microseconds: times[Math.floor(times.length / 2)]! };
}
