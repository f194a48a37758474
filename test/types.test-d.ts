import { expectTypeOf, test } from 'vitest';
import {
  type EaseCounts,
  type EaseOptions,
  evaluate,
  fit,
  type HeldOut,
  Interactions,
  type Model,
  type ModelName,
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
  // @ts-expect-error -- ml-20m, netflix or msd
  Interactions.synth({ like: 'ml-1m' });
  // @ts-expect-error -- add
  counts.update({ ad: data });
  // @ts-expect-error -- seed
  writeSynth('made-up.csv', { sead: 1 });
});

test('a checkpoint has a path', () => {
  fit('recvae', data, {}, { checkpoint: { path: 'training.checkpoint', everyEpochs: 5, resume: true } });
  // @ts-expect-error -- no path
  fit('recvae', data, {}, { checkpoint: { everyEpochs: 5 } });
  // @ts-expect-error -- everyEpochs
  fit('recvae', data, {}, { checkpoint: { path: 'training.checkpoint', every: 5 } });
});

test('names are literal types', () => {
  expectTypeOf<ModelName>().toEqualTypeOf<'popularity' | 'ease' | 'mult-vae' | 'recvae'>();
});
