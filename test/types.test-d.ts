import { expectTypeOf, test } from 'vitest';
import {
  type AnyModel,
  type DefaultMetricName,
  type EaseCounts,
  type EaseOptions,
  type Evaluation,
  type Explanation,
  evaluate,
  Filter,
  fit,
  type HeldOut,
  Interactions,
  load,
  type Model,
  type ModelName,
  type RecommendationColumns,
  type Recommender,
  type SimilarItem,
  type Tuning,
  tune,
  writeSynth,
} from '../dist/index.js';

declare const data: Interactions;
declare const model: Model;
declare const counts: EaseCounts;
declare const heldOut: HeldOut;

test('a model name determines its options', () => {
  expectTypeOf(fit('ease', data, { lambda: 5 })).resolves.toEqualTypeOf<Model<'ease'>>();
  expectTypeOf<Model<'ease'>['options']>().toEqualTypeOf<Required<EaseOptions>>();
  fit('recvae', data, { gamma: 0.005, prior: 'standard' });
  fit('recvae', data, {}, { from: model });
  expectTypeOf(counts.fit({ lambda: 5 })).resolves.toEqualTypeOf<Model<'ease'>>();
  fit('edlae', data, { lambda: 5, dropoutRate: 0.3 });
  fit('rdlae', data, { lambda: 5, dropoutRate: 0.3, xi: 0.2 });
  fit('deql', data, { lambda: 5, dropoutRate: 0.3, keptWeight: 0.2 });
  fit('hoease', data, { lambda: 5, pairLambda: 50, pairs: 100 });
  // @ts-expect-error -- EDLAE's diagonal is 0
  fit('edlae', data, { xi: 0.2 });
  // @ts-expect-error -- nothing is drawn
  fit('mult-dae', data, { beta: 0.2 });
  // @ts-expect-error -- gamma belongs to recvae
  fit('ease', data, { gamma: 0.005 });
  // @ts-expect-error -- popularity has no options
  fit('popularity', data, { lambda: 5 });
});

test('misspelt names are errors', () => {
  // @ts-expect-error -- lambda
  fit('ease', data, { lamda: 5 });
  // @ts-expect-error -- ease
  fit('eese', data);
  // @ts-expect-error -- composite or standard
  fit('recvae', data, { prior: 'none' });
  // @ts-expect-error -- ndcg
  evaluate(model, heldOut, { metrics: ['ndgc@10'] });
  // @ts-expect-error -- filterSeen
  model.recommend([], { filterseen: true });
  // @ts-expect-error -- ml-20m, netflix, msd or million
  Interactions.synth({ like: 'ml-1m' });
  // @ts-expect-error -- add
  counts.update({ ad: data });
  // @ts-expect-error -- seed
  writeSynth('made-up.csv', { sead: 1 });
});

test('lists are those of a filter, results keep their shapes', () => {
  expectTypeOf(model.filter({ allow: new Set(['a']), deny: ['b'] })).toEqualTypeOf<Filter>();
  model.recommend([], { k: 3, filter: model.filter({}), allow: ['a'] });
  // @ts-expect-error -- deny
  model.recommend([], { denied: ['a'] });
  // @ts-expect-error -- a Filter comes from model.filter
  model.recommend([], { filter: new Filter() });
  model.filter({ allow: [1, 2n, 'a'], deny: Int32Array.of(1) });
  // @ts-expect-error -- ids are text or whole numbers
  model.filter({ allow: [true] });
  // @ts-expect-error -- similarItems takes what a filter takes
  model.similarItems('a', 5, { k: 3 });
  expectTypeOf(model.similarItems('a', 5)).toEqualTypeOf<SimilarItem[]>();
  expectTypeOf(model.recommendColumns([['a']])).resolves.toEqualTypeOf<RecommendationColumns>();
  model.recommendColumns({ items: Uint32Array.of(1), offsets: Uint32Array.of(0, 1) });
  expectTypeOf(model.explain(['a'], 'b', { k: 3 })).resolves.toEqualTypeOf<Explanation>();
});

test('a checkpoint has a path', () => {
  fit('recvae', data, {}, { checkpoint: { path: 'training.checkpoint', everyEpochs: 5, resume: true } });
  // @ts-expect-error -- no path
  fit('recvae', data, {}, { checkpoint: { everyEpochs: 5 } });
  // @ts-expect-error -- everyEpochs
  fit('recvae', data, {}, { checkpoint: { path: 'training.checkpoint', every: 5 } });
});

test('a search space has options of the model', () => {
  tune('ease', data, { over: { lambda: [1, 10], precision: ['f32'] } });
  tune('recvae', data, { search: 'random', over: { gamma: { from: 0.001, to: 0.01 } }, options: { epochs: 5 } });
  expectTypeOf(tune('als', data)).resolves.toEqualTypeOf<Tuning<'als'>>();
  // @ts-expect-error -- ease has no gamma
  tune('ease', data, { over: { gamma: [1] } });
  // @ts-expect-error -- numbers
  tune('ease', data, { over: { lambda: ['1'] } });
  // @ts-expect-error -- grid, random or halving
  tune('ease', data, { search: 'bayes' });
});

test('the kind of a loaded model says which options it has', async () => {
  const loaded = await load('model.safetensors');
  expectTypeOf(loaded).toEqualTypeOf<AnyModel>();
  expectTypeOf(loaded.kind).toEqualTypeOf<ModelName>();
  if (loaded.kind === 'ease') expectTypeOf(loaded.options.lambda).toEqualTypeOf<number>();
  // @ts-expect-error -- which model is it?
  loaded.options.lambda;
  expectTypeOf(loaded).toExtend<Model>();
  expectTypeOf(loaded).toExtend<Recommender>();
});

test('metrics are typed by their names', () => {
  expectTypeOf(evaluate(model, heldOut)).resolves.toEqualTypeOf<Evaluation<DefaultMetricName>>();
  const asked = evaluate(model, heldOut, { metrics: ['ndcg@7', 'coverage@3'] });
  expectTypeOf(asked).resolves.toEqualTypeOf<Evaluation<'ndcg@7' | 'coverage@3'>>();
  expectTypeOf<Evaluation<'ndcg@7'>>().toExtend<Evaluation>();
});

test('names are literal types', () => {
  expectTypeOf<ModelName>().toEqualTypeOf<
    | 'popularity'
    | 'ease'
    | 'edlae'
    | 'rdlae'
    | 'deql'
    | 'hoease'
    | 'als'
    | 'mult-dae'
    | 'mult-vae'
    | 'recvae'
    | 'hvamp'
    | 'blend'
  >();
});
