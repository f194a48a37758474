/**
 * Engines, devices and precisions: the same training by the processor's own arithmetic, by candle and in bf16, and what
 * is refused.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  ablate,
  advise,
  backendInfo,
  compare,
  evaluate,
  type FitRun,
  fit,
  load,
  type ModelName,
  type ModelOptions,
  type Progress,
  type Split,
  split,
  tune,
} from '../dist/index.js';
import { isOnGpu } from '../dist/models/compute.js';
import { keyOf } from '../dist/search/trials.js';
import { recvae } from './command.js';
import { NEWCOMER, planted, temporaryFolder, writePlanted } from './planted.js';

const SMALL = { hiddenDim: 16, latentDim: 4, epochs: 4, batchSize: 50, learningRate: 0.01 };
const NETWORKS: [ModelName, ModelOptions[ModelName]][] = [
  ['recvae', SMALL],
  ['mult-vae', SMALL],
  ['mult-dae', { latentDim: 4, epochs: 4, batchSize: 50, learningRate: 0.01 }],
];
const HVAMP = { ...SMALL, pseudoUsers: 10, warmUp: 2 };

let data: Split;
beforeAll(async () => {
  data = await split(planted(), { seed: 1 });
});

describe.each([...NETWORKS, ['hvamp', HVAMP] as (typeof NETWORKS)[number]])('%s', (name, options) => {
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

describe('what computes the networks is said of all of them together', () => {
  const told: (string | undefined)[] = [];
  const onProgress = ({ epoch }: { epoch?: Progress }) => {
    if (epoch && epoch.epochs > 0) told.push(epoch.engine);
  };
  const run = { engine: 'candle', seed: 1, onProgress } as const;
  const few = { ...SMALL, epochs: 2 };
  const few2 = { factors: 4, epochs: 2, alpha0: 0.1, lambda: 0.01 };
  const jobs: [string, () => Promise<unknown>][] = [
    ['tune', () => tune('recvae', data, { ...run, options: few, over: { gamma: [0.01, 0.02] } })],
    [
      'compare',
      () => compare(data, { ...run, models: ['recvae'], options: { recvae: few, als: few2 }, search: false }),
    ],
    ['ablate', () => ablate(data, { ...run, seeds: [1], options: few, reference: { ...few } })],
    [
      'advise',
      () => advise(data, { ...run, models: ['recvae'], options: { recvae: few, als: few2, ease: { lambda: 9 } } }),
    ],
  ];
  test.each(jobs)('%s', async (_, job) => {
    told.length = 0;
    await job();
    expect(new Set(told.filter((engine) => engine !== undefined))).toEqual(new Set(['candle']));
  });

  test('which is refused of a closed form that is alone', async () => {
    const message = /precision is 'auto' for ease; allowed: for mult-dae, mult-vae, recvae/;
    await expect(tune('ease', data, { precision: 'auto' })).rejects.toThrow(message);
    const unknown = /device is 'tpu'; allowed: cpu/;
    await expect(compare(data, { device: 'tpu' })).rejects.toThrow(unknown);
  });

  test('a journal does not give the trials of another precision', () => {
    const trial = { model: 'recvae', options: {} } as const;
    const keys = [{}, { precision: 'auto' }, { precision: 'f32' }, { engine: 'candle' }] as const;
    expect(new Set(keys.map((run) => keyOf(trial, run))).size).toBe(4);
    expect(new Set(keys.map((run) => keyOf({ model: 'ease', options: {} }, run))).size).toBe(1);
    // EASE^R has a device, where its options do not keep it on the processor.
    const devices = (options: object) =>
      ['cpu', 'auto', undefined].map((device) => keyOf({ model: 'ease', options: options as never }, { device }));
    expect(new Set(devices({})).size).toBe(3);
    expect(new Set(devices({ density: 0.5 })).size).toBe(1);
    // One training at a time has a GPU's memory.
    expect(isOnGpu('ease', { device: 'auto' }, {})).toBe(backendInfo().cuda.available);
    expect(isOnGpu('als', { device: 'cuda:1' }, {})).toBe(true);
    expect(isOnGpu('als', { device: 'cuda:1' }, { solver: 'cholesky' })).toBe(false);
    expect(isOnGpu('recvae', {}, {})).toBe(false);
    // H+Vamp has engines, and one precision.
    expect(new Set(keys.map((run) => keyOf({ model: 'hvamp', options: {} }, run))).size).toBe(2);
  });
});

/** Whether this processor has bf16. Where it has not, bf16 is refused with the reason. */
async function hasBf16(): Promise<boolean> {
  try {
    await fit('recvae', data, { ...SMALL, epochs: 1 }, { precision: 'bf16' });
    return true;
  } catch (thrown) {
    const message = "precision is 'bf16'; allowed: f32 or auto: this processor has neither AMX nor AVX512-BF16";
    expect(thrown).toMatchObject({ code: 'INVALID_ARGUMENT', message });
    return false;
  }
}

describe.each(NETWORKS)('the precision of %s', (name, options) => {
  test('changes little, and is told and kept', async (context) => {
    if (!(await hasBf16())) {
      context.skip();
      return;
    }
    const by = (precision: 'f32' | 'bf16', more: FitRun = {}) => fit(name, data, options, { precision, ...more });
    const path = join(temporaryFolder(), 'c.ckpt');
    const [f32, bf16] = [await by('f32'), await by('bf16', { checkpoint: { path, resume: true } })];
    expect(f32.epochs.map(({ precision }) => precision)).toEqual(Array(4).fill('f32'));
    expect(bf16.epochs.map(({ precision }) => precision)).toEqual(Array(4).fill('bf16'));
    for (const [at, epoch] of bf16.epochs.entries()) {
      // Numbers are off by 2^-8 of themselves at most; Adam's first steps go in the direction of the sign alone.
      expect(Math.abs(epoch.logLikelihood! / f32.epochs[at]!.logLikelihood! - 1)).toBeLessThan(5e-3);
    }
    const metrics = [];
    for (const model of [f32, bf16]) {
      const { metrics: values } = await evaluate(model, data.test, { metrics: ['ndcg@100'] });
      metrics.push(values['ndcg@100']!.mean);
    }
    expect(Math.abs(metrics[0]! - metrics[1]!)).toBeLessThan(0.03);
    expect((await by('bf16', { threads: 1 })).toJSON()).toEqual((await by('bf16', { threads: 2 })).toJSON());
    await expect(by('f32', { checkpoint: { path, resume: true } })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('precision: bf16 there, f32 now'),
    });
  });

  test('is f32 by default, and auto is what there is', async () => {
    expect((await fit(name, data, options)).epochs[0]).toMatchObject({ precision: 'f32' });
    const auto = await fit(name, data, options, { precision: 'auto' });
    expect(['f32', ...((await hasBf16()) ? ['bf16'] : [])]).toContain(auto.epochs[0]!.precision);
    expect(auto.recommend(NEWCOMER).items).toHaveLength(10);
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
      'CUDA of a closed form in a build without',
      'edlae',
      { device: 'cuda' },
      "device is 'cuda'; allowed: cpu or auto: this build has no CUDA",
    ],
    [
      'an engine of networks',
      'ease',
      { engine: 'candle' },
      "engine is 'candle' for ease; allowed: for mult-dae, mult-vae, recvae, hvamp",
    ],
    ['a precision', 'recvae', { precision: 'f16' as never }, `precision is "f16"; allowed: 'f32' or 'bf16' or 'auto'`],
    [
      'bf16 by candle',
      'mult-vae',
      { engine: 'candle', precision: 'bf16' },
      "precision is 'bf16' by the engine candle; allowed: f32 or auto there, or the engine fused",
    ],
    [
      'a precision of networks',
      'ease',
      { precision: 'bf16' },
      "precision is 'bf16' for ease; allowed: for mult-dae, mult-vae, recvae",
    ],
    [
      'a precision that may be one of networks',
      'als',
      { precision: 'auto' },
      "precision is 'auto' for als; allowed: for mult-dae, mult-vae, recvae",
    ],
    [
      'a precision that H+Vamp has not',
      'hvamp',
      { precision: 'bf16' },
      "precision is 'bf16' for hvamp; allowed: for mult-dae, mult-vae, recvae",
    ],
    [
      'a choice of precision that H+Vamp has not by candle either',
      'hvamp',
      { engine: 'candle', precision: 'auto' },
      "precision is 'auto' for hvamp; allowed: for mult-dae, mult-vae, recvae",
    ],
  ];
  test.each(cases)('%s', async (_, model, run, message) => {
    await expect(fit(model, data, {}, run)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message });
  });
});

test('a closed form takes the processor where auto finds no GPU, and where its options are the processor’s', async () => {
  const plain = await fit('ease', data, { lambda: 9 });
  for (const options of [{ lambda: 9 }, { lambda: 9, density: 0.5 }, { lambda: 9, precision: 'f64' }] as const) {
    const told: Progress[] = [];
    const onProgress = (progress: Progress) => told.push(progress);
    const model = await fit('ease', data, options, { device: 'auto', onProgress });
    expect(model.recommend(NEWCOMER).items).toHaveLength(10);
    expect(told.map(({ device }) => device)).toEqual(told.map(() => undefined));
    if (Object.keys(options).length === 1) expect(model.recommend(NEWCOMER)).toEqual(plain.recommend(NEWCOMER));
  }
});

test('a run of many models has closed forms on the device, too, and refuses one that is not there', async () => {
  const options = { models: ['ease', 'edlae'], options: { als: { factors: 4, epochs: 1 } }, search: false } as const;
  const { report } = await compare(data, { ...options, device: 'auto' });
  const { report: plain } = await compare(data, options);
  const metrics = ({ models }: typeof report) => models.map(({ model, metrics }) => [model, metrics]);
  expect(metrics(report)).toEqual(metrics(plain));
  const refused = { code: 'INVALID_ARGUMENT', message: /device is 'cuda:7'; allowed: cpu.* or auto/ };
  await expect(compare(data, { ...options, device: 'cuda:7' })).rejects.toMatchObject(refused);
  await expect(tune('ease', data, { device: 'cuda:7' })).rejects.toMatchObject(refused);
  const { report: tuned } = await tune('edlae', data, { device: 'auto', trials: 2, search: 'random' });
  expect(tuned.trials).toHaveLength(2);
});

test('lists are found on a device where one opens, with the same bits', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'm.st');
  const likes = Array.from({ length: 80 }, () => NEWCOMER);
  for (const [kind, options] of [
    ['ease', { lambda: 9 }],
    ['als', { factors: 4, epochs: 2 }],
    ['popularity', {}],
  ] as const) {
    await (await fit(kind, data, options)).save(path);
    const [plain, auto] = [await load(path), await load(path, { device: 'auto' })];
    expect(await auto.recommendBatch(likes, { k: 4 })).toEqual(await plain.recommendBatch(likes, { k: 4 }));
    const missing = { code: 'INVALID_ARGUMENT', message: /^device is 'cuda:7'; allowed: cpu.* or auto/ };
    await expect(load(path, { device: 'cuda:7' })).rejects.toMatchObject(missing);
  }
  const device = (command: string, rest: string[], name: string) =>
    recvae(folder, [command, 'm.st', ...rest, '--device', name], { input: '{"user":"u","items":[]}\n' });
  writePlanted(folder);
  for (const [command, rest] of [
    ['recommend', []],
    ['evaluate', ['likes.csv']],
  ] as const) {
    const refused = await device(command, [...rest], 'cuda:7');
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("--device is 'cuda:7'; allowed: cpu")]);
    expect((await device(command, [...rest], 'auto')).code).toBe(0);
  }
});

test('the command line takes the flags, and refuses before it reads data', async () => {
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
  const auto = await train('--precision', 'auto', '--json', '-');
  expect(['f32', 'bf16']).toContain(JSON.parse(auto.stdout).epochs[0].precision);
  const counted = ['train', 'ease', 'none.csv', '--out', 'n.st', '--device', 'cuda:1', '--save-counts', 'c.st'];
  const onCounts = await recvae(folder, counted);
  const counts = "recvae: --device is 'cuda:1' with --save-counts; allowed: cpu or auto there\n";
  expect([onCounts.code, onCounts.stderr]).toEqual([2, counts]);
  // EASE^R's precision is an option of the model.
  for (const model of ['ease', 'edlae']) {
    const own = await recvae(folder, ['train', model, 'none.csv', '--out', 'n.st', '--precision', 'bf16']);
    const text = `--precision has no meaning for ${model}; allowed: its own by --set precision, which is 'f32' or 'f64'`;
    expect([own.code, own.stderr]).toEqual([2, `recvae: ${text}\n`]);
    const set = await recvae(folder, ['train', model, 'none.csv', '--out', 'n.st', '--set', 'precision=bf16']);
    expect([set.code, set.stderr]).toEqual([2, "recvae: --set precision is \"bf16\"; allowed: 'f32' or 'f64'\n"]);
  }
  const als = await recvae(folder, ['train', 'als', 'none.csv', '--out', 'n.st', '--precision', 'bf16']);
  expect([als.code, als.stderr]).toEqual([2, expect.stringContaining("precision is 'bf16' for als")]);
});
