/** Engines and devices: the same training by the processor's own arithmetic and by candle, and what is refused. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  evaluate,
  type FitRun,
  fit,
  type ModelName,
  type ModelOptions,
  type Progress,
  type Split,
  split,
} from '../dist/index.js';
import { recvae } from './command.js';
import { NEWCOMER, planted, temporaryFolder, writePlanted } from './planted.js';

const SMALL = { hiddenDim: 16, latentDim: 4, epochs: 4, batchSize: 50, learningRate: 0.01 };
const NETWORKS: [ModelName, ModelOptions[ModelName]][] = [
  ['recvae', SMALL],
  ['mult-vae', SMALL],
  ['mult-dae', { latentDim: 4, epochs: 4, batchSize: 50, learningRate: 0.01 }],
];

let data: Split;
beforeAll(async () => {
  data = await split(planted(), { seed: 1 });
});

describe.each(NETWORKS)('%s', (name, options) => {
  test('candle and the processor’s own engine train alike', async () => {
    const told: Progress[] = [];
    const by = async (engine: 'candle' | 'fused') =>
      fit(name, data, options, { engine, onProgress: (progress) => told.push(progress) });
    const [candle, fused] = [await by('candle'), await by('fused')];
    expect(candle.epochs.map(({ engine, device }) => `${engine} ${device}`)).toEqual(Array(4).fill('candle cpu'));
    expect(fused.epochs.map(({ engine, device }) => `${engine} ${device}`)).toEqual(Array(4).fill('fused cpu'));
    expect(new Set(told.map(({ engine }) => engine))).toEqual(new Set(['candle', 'fused']));
    for (const [at, epoch] of candle.epochs.entries()) {
      // f32, and Adam's first steps go in the direction of rounding errors where gradients are nearly 0.
      const ratio = epoch.logLikelihood! / fused.epochs[at]!.logLikelihood!;
      expect(Math.abs(ratio - 1)).toBeLessThan(2e-3);
    }
    const metrics = [];
    for (const model of [candle, fused]) {
      const { metrics: values } = await evaluate(model, data.test, { metrics: ['ndcg@100'] });
      metrics.push(values['ndcg@100']!.mean);
    }
    expect(Math.abs(metrics[0]! - metrics[1]!)).toBeLessThan(0.03);
    expect(candle.recommend(NEWCOMER).items).toHaveLength(10);
  });

  test('the same seed gives the same bits by candle, too, also with a checkpoint on the way', async () => {
    const path = join(temporaryFolder(), 'c.ckpt');
    const whole = await fit(name, data, options, { engine: 'candle' });
    const controller = new AbortController();
    const run: FitRun = { engine: 'candle', checkpoint: { path, resume: true } };
    const aborted = fit(name, data, options, {
      ...run,
      signal: controller.signal,
      onProgress: () => controller.abort('enough'),
    });
    // A fast machine may have been done before it heard of the abort.
    await aborted.catch((reason) => expect(reason).toBe('enough'));
    expect(existsSync(path)).toBe(true);
    const other = fit(name, data, options, { ...run, engine: 'fused' });
    await expect(other).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('engine: candle there, fused now'),
    });
    const resumed = await fit(name, data, options, run);
    expect(resumed.recommend(NEWCOMER)).toEqual(whole.recommend(NEWCOMER));
    const numbers = (epochs: readonly Progress[]) => epochs.map(({ seconds: _, ...rest }) => rest);
    expect(numbers(resumed.epochs)).toEqual(numbers(whole.epochs));
  });
});

describe('what is refused', () => {
  const cases: [string, ModelName, FitRun, string][] = [
    ['an engine', 'recvae', { engine: 'torch' as never }, `engine is "torch"; allowed: 'fused' or 'candle'`],
    ['a device', 'recvae', { device: 'gpu' }, "device is 'gpu'; allowed: cpu, cuda, cuda:N or auto"],
    [
      'CUDA in a build without',
      'recvae',
      { device: 'cuda:1' },
      "device is 'cuda:1'; allowed: cpu or auto: this build has no CUDA",
    ],
    [
      'an engine of networks',
      'ease',
      { engine: 'candle' },
      "engine is 'candle' for ease; allowed: for mult-dae, mult-vae, recvae",
    ],
  ];
  test.each(cases)('%s', async (_, model, run, message) => {
    await expect(fit(model, data, {}, run)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message });
  });
});

test('the command line takes both flags, and refuses before it reads data', async () => {
  const folder = temporaryFolder();
  writePlanted(folder);
  const set = ['--set', 'hiddenDim=8', '--set', 'latentDim=4', '--set', 'epochs=2'];
  const train = (...flags: string[]) =>
    recvae(folder, ['train', 'recvae', 'likes.csv', '--out', 'm.st', ...set, ...flags]);
  const trained = await train('--engine', 'candle', '--device', 'auto', '--json', '-');
  expect(trained.code).toBe(0);
  expect(JSON.parse(trained.stdout).epochs[0]).toMatchObject({ engine: 'candle', device: 'cpu' });
  const none = ['train', 'recvae', 'none.csv', '--out', 'n.st', '--device', 'cuda'];
  const refused = await recvae(folder, none);
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('this build has no CUDA')]);
});
