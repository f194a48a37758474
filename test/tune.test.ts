import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { addOver } from '../dist/cli/tune.js';
import { reportOf } from '../dist/decide/tune/report.js';
import {
  ablate,
  advise,
  compare,
  compareRepeatedly,
  estimateMemory,
  evaluate,
  fit,
  Interactions,
  load,
  type Model,
  type ModelName,
  type SearchProgress,
  type Split,
  split,
  type TuneOptions,
  type TuneReport,
  tune,
} from '../dist/index.js';
import { rungsOf } from '../dist/search/halving.js';
import { MedianRule } from '../dist/search/hopeless.js';
import { defaultSpace, drawsOf, endOf } from '../dist/search/spaces.js';
import type { TrialResult } from '../dist/search/trials.js';
import { recvae, whileItRuns } from './command.js';
import { planted, temporaryFiles, temporaryFolder, writePlanted } from './planted.js';

const SMALL = { hiddenDim: 16, latentDim: 8, batchSize: 20 };

async function data(): Promise<Split> {
  return split(planted(300), { seed: 1, validation: 0.2, test: 0.2 });
}

/** What must not depend on how fast anything was. */
function lasting({ report }: { report: TuneReport }): object {
  const { seconds: _, run: __, requestSeconds: ___, trials, ...rest } = report;
  return { ...rest, trials: trials.map(({ seconds: _, ...trial }) => trial) };
}

async function bytesOf(model: Pick<Model, 'save'>): Promise<Buffer> {
  const path = join(temporaryFolder(), 'model.safetensors');
  await model.save(path, { info: null });
  return readFileSync(path);
}

describe('the floor', () => {
  test('is told beside the model, and in words where the model does not beat it', async () => {
    const { report } = await tune('ease', await data(), { over: { lambda: [10, 100] } });
    expect(report.floor).toMatchObject({ part: 'test', users: report.users.test });
    expect(report.floor!.difference).toBeCloseTo(report.test!['ndcg@100']!.mean - report.floor!.mean, 12);
    expect(report.floor!.pValue).toBeLessThan(0.05);
    expect(report.verdict).not.toContain('Nothing was found');
    // All users alike: nothing to learn but what is popular.
    const alike = Array.from({ length: 60 }, (_, user) => ({
      user: `u${user}`,
      items: ['a', 'b', 'c', 'd', 'e', 'f'],
    }));
    const same = await tune('ease', await Interactions.fromHistories(alike), { over: { lambda: [10, 100] } });
    expect(same.report.floor).toMatchObject({ difference: 0, pValue: 1, detectable: 0 });
    expect(same.report.verdict).toMatch(
      /Nothing was found in these data: ease does not beat popularity, the floor \(1\.0000\), significantly on the test users/,
    );
  });
});

describe('grid', () => {
  test('finds the planted best, as a fit and an evaluation of each one do', async () => {
    const split = await data();
    // Four groups of users: one factor cannot tell them apart.
    const over = { factors: [1, 6], lambda: [0.003, 3] };
    const tuning = await tune('als', split, { over, seed: 2, earlyStop: false });
    const { report, model, evaluation } = tuning;
    expect(report.trials).toHaveLength(4);
    expect(report).toMatchObject({ model: 'als', search: 'grid', space: over, best: { factors: 6, lambda: 0.003 } });
    const values: number[] = [];
    for (const { options, validation } of report.trials) {
      const straight = await fit('als', split, { ...options, seed: 2 });
      const { metrics } = await evaluate(straight, split.validation, { metrics: ['ndcg@100'] });
      expect(validation).toBe(metrics['ndcg@100']!.mean);
      values.push(validation!);
    }
    expect(values).toEqual(values.toSorted((a, b) => b - a));
    expect(report.validation.mean).toBe(values[0]);
    const straight = await fit('als', split, { ...report.best, seed: 2 });
    expect(await bytesOf(model)).toEqual(await bytesOf(straight));
    const { metrics } = await evaluate(straight, split.test);
    for (const [name, { mean, standardError }] of Object.entries(metrics)) {
      expect(report.test![name]).toEqual({ mean, standardError });
      expect(evaluation!.metrics[name]!.mean).toBe(mean);
    }
    expect(report.atTheEdge).toEqual({ factors: 'highest', lambda: 'lowest' });
    expect(report.verdict).toContain('The best factors, 6, is the highest of those tried; better ones may lie beyond.');
    expect(report.verdict).toMatch(
      /^Use als with factors 6, lambda 0\.003: 0\.\d{4} of ndcg@100 on the validation users/,
    );
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  test('of a flat optimum names all values', async () => {
    const over = { lambda: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] };
    const { report } = await tune('ease', await data(), { over });
    expect(report).toMatchObject({ search: 'grid', plateaus: {} });
    expect(report.trials).toHaveLength(12);
    const { trials, values } = report.withinOneStandardError;
    const bar = report.validation.mean - report.validation.standardError!;
    expect(trials).toBe(report.trials.filter(({ validation }) => validation! >= bar).length);
    expect(values.lambda).toContain(report.best.lambda);
    expect(values.lambda).toHaveLength(trials);
    expect(report.options).toMatchObject(report.best);
  });

  test('trials are told apart by the users by whom they were judged', () => {
    const lambda = [1, 10, 100];
    const points = lambda.map((value) => ({ lambda: value }));
    const results = [0.5, 0.495, 0.48].map((validation, at): TrialResult => {
      const options = points[at]!;
      return { model: 'ease', options, validation, standardError: 0.01, curve: [], epochs: 0, seconds: 1 };
    });
    const search = { model: 'ease', fixed: {}, space: { lambda }, kind: 'grid', points, seed: 0 } as const;
    const { withinOneStandardError, verdict } = reportOf({
      ...{ search: { ...search, extends: false, earlyStop: true }, points, results, best: 0, edges: {}, plateaus: {} },
      // Of all validation users, of whom trials see a part: far from what those saw.
      validation: { mean: 0.4, standardError: 0.001 },
      evaluation: undefined,
    });
    expect(withinOneStandardError).toEqual({ trials: 2, values: { lambda: [1, 10] } });
    expect(verdict).toContain('0.4000 of ndcg@100 on the validation users');
    expect(verdict).toContain('2 trials are within one standard error (0.0100) of the best');
  });

  test('a trial whose arithmetic fails is a result, unless all do', async () => {
    const over = { learningRate: [1e30, 0.001] };
    const options = { ...SMALL, epochs: 2 };
    const { report } = await tune('mult-vae', await data(), { over, options });
    expect(report.best).toEqual({ learningRate: 0.001 });
    expect(report.trials[1]).toMatchObject({ validation: null, failed: expect.stringMatching(/./) });
    expect(report.verdict).toMatch(/the best of 1 trial\. 1 more failed, the last one so: the loss is not finite/);
    expect(report.verdict).not.toMatch(/optimum/);
    const all = tune('mult-vae', await data(), { over: { learningRate: [1e30] }, options });
    await expect(all).rejects.toMatchObject({
      code: 'NUMERICAL',
      message: expect.stringMatching(/^all trials failed/),
    });
  });
});

describe('random', () => {
  test('is the same for the same seed, and begins alike for more trials', async () => {
    const over = { lambda: { from: 0.1, to: 1000 }, precision: ['f32', 'f64'] as ('f32' | 'f64')[] };
    const run = async (trials: number, seed: number) => {
      const { report } = await tune('ease', await data(), { search: 'random', over, trials, seed });
      return report;
    };
    const [first, again, other, more] = [await run(5, 1), await run(5, 1), await run(5, 2), await run(8, 1)];
    expect(lasting({ report: again })).toEqual(lasting({ report: first }));
    const points = ({ trials }: TuneReport) => trials.map(({ options }) => JSON.stringify(options)).sort();
    expect(points(other)).not.toEqual(points(first));
    expect(points(more)).toEqual(expect.arrayContaining(points(first)));
    expect(first.trials).toHaveLength(5);
    for (const { options } of more.trials) {
      expect(options.lambda).toBeGreaterThanOrEqual(0.1);
      expect(options.lambda).toBeLessThanOrEqual(1000);
      expect(Number((options.lambda as number).toPrecision(4))).toBe(options.lambda);
    }
  });

  test('draws: whole numbers where the core wants them, uniform logarithms, no point twice', () => {
    const whole = drawsOf('recvae', { latentDim: { from: 1, to: 4 } }, {}, 4, 7);
    expect(whole.map(({ latentDim }) => latentDim).sort()).toEqual([1, 2, 3, 4]);
    const draws = drawsOf('ease', { lambda: { from: 1, to: 10_000 } }, {}, 400, 7);
    expect(new Set(draws.map(({ lambda }) => lambda)).size).toBe(400);
    // A quarter of them in each decade, give or take four standard errors of a share: 4 sqrt(.25 * .75 / 400) = .087.
    for (const decade of [0, 1, 2, 3]) {
      const inside = draws.filter(({ lambda }) => Math.floor(Math.log10(lambda as number)) === decade).length;
      expect(Math.abs(inside / 400 - 0.25)).toBeLessThan(0.087);
    }
    const linear = drawsOf('recvae', { gamma: { from: 0, to: 1 } }, {}, 400, 7).map(({ gamma }) => gamma as number);
    // Four standard errors of the mean of 400 uniform numbers: 4 / sqrt(12 * 400) = .058.
    expect(Math.abs(linear.reduce((sum, value) => sum + value, 0) / 400 - 0.5)).toBeLessThan(0.058);
    // A space that is small enough is tried whole, and begins as with fewer trials, so that their journal serves it.
    const whole3 = drawsOf('ease', { lambda: [1, 2, 2] }, {}, 5, 7).map(({ lambda }) => lambda);
    expect(whole3.sort()).toEqual([1, 2]);
    const lists = { lambda: [1, 2, 3, 4, 5, 6], precision: ['f32', 'f64'] };
    const all = drawsOf('ease', lists, {}, 12, 7);
    expect(new Set(all.map((point) => JSON.stringify(point))).size).toBe(12);
    for (const count of [1, 5, 11]) expect(drawsOf('ease', lists, {}, count, 7)).toEqual(all.slice(0, count));
    expect(drawsOf('ease', lists, {}, 100, 7)).toEqual(all);
  });

  test('no gamma where the weight of the KL term is the same for all', () => {
    expect(Object.keys(defaultSpace('recvae', {}))).toContain('gamma');
    expect(Object.keys(defaultSpace('recvae', { klWeight: 'constant' }))).not.toContain('gamma');
  });

  test('ends', () => {
    expect([1, 5, 9, 10].map((value) => endOf([10, 5, 1, 9], value))).toEqual([
      'lowest',
      undefined,
      undefined,
      'highest',
    ]);
    expect(endOf([5], 5)).toBeUndefined();
    expect(endOf(['a', 'b'], 'a')).toBeUndefined();
    const range = { from: 1, to: 1000 };
    expect([1.1, 30, 950].map((value) => endOf(range, value))).toEqual(['lowest', undefined, 'highest']);
  });
});

describe('hopeless trials', () => {
  // The later ones learn next to nothing.
  const over = { learningRate: [0.01, 0.008, 0.006, 0.005, 0.004, 1e-9, 0.007, 1e-8] };
  const options = { ...SMALL, epochs: 40, patience: 40, annealing: 0, seed: 1 };

  test('are stopped, and the result is the same whatever runs at once', async () => {
    const split = await data();
    const run = (more: TuneOptions<'mult-vae'>) => tune('mult-vae', split, { over, options, ...more });
    const first = await run({ parallel: 1, threads: 1 });
    const stopped = first.report.trials.filter(({ stopped }) => stopped);
    const rates = stopped.map(({ options }) => options.learningRate);
    expect(rates).toEqual(expect.arrayContaining([1e-8, 1e-9]));
    expect(rates).not.toContain(first.report.best.learningRate);
    // Half of 40 epochs for those that learn nothing.
    for (const { epochs } of stopped) expect(epochs).toBeGreaterThanOrEqual(20);
    expect(stopped.find(({ options }) => options.learningRate === 1e-9)!.epochs).toBe(20);
    for (const [parallel, threads] of [
      [2, 2],
      [8, 2],
    ] as const) {
      const again = await run({ parallel, threads });
      expect(lasting(again)).toEqual(lasting(first));
      expect(await bytesOf(again.model)).toEqual(await bytesOf(first.model));
    }
    const whole = await run({ earlyStop: false });
    expect(whole.report.trials.every(({ epochs }) => epochs === 40)).toBe(true);
    expect(whole.report.best).toEqual(first.report.best);
  });

  test('the rule: below the median of five or more that came before, and only once these have ended', () => {
    const result = (curve: number[]): TrialResult => ({
      model: 'recvae',
      options: { epochs: 6 },
      validation: Math.max(...curve),
      curve,
      epochs: curve.length,
      seconds: 0,
    });
    const rule = new MedianRule();
    const curve = [0.1, 0.1, 0.1, 0.1];
    for (const at of [0, 1, 2, 4]) rule.ended(at, result([0.2, 0.3, 0.4, 0.5 + at / 100]));
    expect(rule.stops(5, 6, curve)).toBe(false); // the fourth is missing
    expect(rule.stops(3, 6, curve)).toBe(false); // three are too few
    rule.ended(3, result([0.05, 0.05, 0.05, 0.06]));
    expect(rule.stops(5, 6, [0.1, 0.1])).toBe(false); // two epochs are too few
    expect(rule.stops(5, 6, [0.1, 0.1, 0.1])).toBe(true);
    expect(rule.stops(5, 8, [0.1, 0.1, 0.1])).toBe(false); // of 8, four are needed
    expect(rule.stops(5, 6, [0.1, 0.4, 0.1])).toBe(false); // its best is not below
    expect(rule.cut(5, result([0.5, 0.5, 0.52, 0.2]))).not.toHaveProperty('stopped');
    const cut = rule.cut(5, result([0.3, 0.2, 0.2, 0.9]));
    expect(cut).toMatchObject({ stopped: 'hopeless', epochs: 3, curve: [0.3, 0.2, 0.2], validation: 0.3 });
    // One that was stopped says nothing about later epochs; one that ended early says what it reached.
    rule.ended(5, result([0.3, 0.2, 0.2, 0.9]));
    rule.ended(6, result([0.6, 0.6]));
    expect(rule.stops(7, 6, [0.41, 0.41, 0.41])).toBe(false); // .05 .3 .4 .4 .4 .4 .6
    expect(rule.stops(7, 6, [0.41, 0.41, 0.41, 0.41])).toBe(true); // .06 .5 .51 .52 .54 .6
  });
});

describe('halving', () => {
  test('stages', () => {
    expect(rungsOf(12, 50)).toEqual([
      { trials: 12, epochs: 6 },
      { trials: 4, epochs: 17 },
      { trials: 1, epochs: 50 },
    ]);
    // Never less than a tenth of the epochs, nor than three.
    expect(rungsOf(27, 81).map(({ trials, epochs }) => [trials, epochs])).toEqual([
      [27, 9],
      [9, 27],
      [3, 81],
    ]);
    expect(rungsOf(9, 9)).toEqual([
      { trials: 9, epochs: 3 },
      { trials: 3, epochs: 9 },
    ]);
    expect(rungsOf(2, 50)).toEqual([{ trials: 2, epochs: 50 }]);
    expect(rungsOf(100, 2)).toEqual([{ trials: 100, epochs: 2 }]);
  });

  const over = { learningRate: [1e-9, 0.002, 1e-8, 0.001, 1e-7] };
  const cases: [ModelName, object, boolean][] = [
    ['recvae', { ...SMALL, epochs: 9, patience: 9 }, true],
    ['mult-vae', { ...SMALL, epochs: 9, patience: 9, annealing: 0 }, true],
    ['mult-vae', { ...SMALL, epochs: 9, patience: 9, annealing: 0.5 }, false],
    ['hvamp', { ...SMALL, pseudoUsers: 10, epochs: 9, patience: 9, warmUp: 4 }, true],
  ];
  test.each(cases)(
    '%s %o goes on from checkpoints to the bytes of straight training',
    async (model, options, goesOn) => {
      const split = await data();
      const folder = temporaryFolder();
      const journal = join(folder, 'job.journal');
      const temporary = temporaryFiles();
      const epochs = new Map<unknown, number[]>();
      const run = { search: 'halving', over, options, seed: 3 } as TuneOptions;
      const onProgress = ({ point: { learningRate }, epoch }: SearchProgress) => {
        if (epoch) epochs.set(learningRate, [...(epochs.get(learningRate) ?? []), epoch.epoch]);
      };
      const tuning = await tune(model, split, { ...run, journal, onProgress });
      const { report } = tuning;
      // 5 trials with 3 epochs, the best one with 9.
      expect(report.trials.map(({ epochs }) => epochs)).toEqual([9, 3, 3, 3, 3]);
      expect([0.001, 0.002]).toContain(report.best.learningRate);
      expect(report.withinOneStandardError.trials).toBe(1);
      expect(report.verdict).toContain('The others had fewer epochs, which does not say how flat the optimum is.');
      const winner = epochs.get(report.best.learningRate)!;
      const [three, nine] = [3, 9].map((count) => Array.from({ length: count }, (_, at) => at + 1)) as [
        number[],
        number[],
      ];
      expect(winner).toEqual(goesOn ? nine : [...three, ...nine]);
      const straight = await fit(model, split, { ...options, ...report.best, seed: 3 } as never);
      expect(await bytesOf(tuning.model)).toEqual(await bytesOf(straight));
      expect(readdirSync(folder)).toEqual(['job.journal']);
      // Without a journal and with one that has everything: the same.
      expect(lasting(await tune(model, split, run))).toEqual(lasting(tuning));
      const again = await tune(model, split, { ...run, journal });
      expect(lasting(again)).toEqual(lasting(tuning));
      expect(await bytesOf(again.model)).toEqual(await bytesOf(straight));
      expect(readdirSync(temporary).filter((name) => name.includes('checkpoints'))).toEqual([]);
    },
  );

  test('models without checkpoints are trained anew, those without epochs refuse', async () => {
    const als = await tune('als', await data(), {
      search: 'halving',
      over: { lambda: [1e-3, 1e-2, 1] },
      options: { epochs: 9 },
    });
    expect(als.report.trials.slice(1).every(({ epochs }) => epochs <= 3)).toBe(true);
    const text =
      "search is 'halving' for ease, which has no epochs to begin with few of; allowed: adaptive, grid, random";
    await expect(tune('ease', await data(), { search: 'halving' })).rejects.toThrow(text);
  });
});

describe('the journal', () => {
  const flags = [
    '--over',
    'learningRate=1e-3,2e-3,3e-3,4e-3,5e-3,6e-3',
    '--set',
    'epochs=200',
    '--set',
    'patience=200',
  ];
  const small = Object.entries(SMALL).flatMap(([name, value]) => ['--set', `${name}=${value}`]);

  test.each(['grid', 'halving'])('a %s search that is killed goes on to the same result', async (search) => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const job = ['tune', 'recvae', 'likes.csv', ...flags, ...small, '--search', search, '--parallel', '2', '--json'];
    const straight = await recvae(folder, [...job, 'straight.json', '--out', 'straight.st']);
    expect(straight.code).toBe(0);
    const kept = [...job, 'resumed.json', '--out', 'resumed.st', '--journal', 'job.journal'];
    const results = ['resumed.json', 'resumed.st', 'job.journal'];
    const killed = await whileItRuns(kept, /^\[2\//m, 'SIGKILL', folder, results);
    expect(killed.code).toBeNull();
    expect(existsSync(join(folder, 'resumed.json'))).toBe(false);
    const ended = readFileSync(join(folder, 'job.journal'), 'utf8')
      .split('\n')
      .slice(1, -1)
      .filter((line) => line.endsWith('}'));
    expect(ended.length).toBeGreaterThanOrEqual(2);
    const resumed = await recvae(folder, kept);
    expect(resumed.code).toBe(0);
    expect(resumed.stderr.match(/from the journal$/gm)).toHaveLength(ended.length);
    const read = (name: string) => lasting({ report: JSON.parse(readFileSync(join(folder, name), 'utf8')) });
    expect(read('resumed.json')).toEqual(read('straight.json'));
    expect(readFileSync(join(folder, 'resumed.st'))).toEqual(readFileSync(join(folder, 'straight.st')));
    expect(readdirSync(folder).sort()).toEqual(
      ['job.journal', 'likes.csv', 'resumed.json', 'resumed.st', 'straight.json', 'straight.st'].sort(),
    );
  });

  test('of another job is refused, and that of more trials is not', async () => {
    const split = await data();
    const journal = join(temporaryFolder(), 'job.journal');
    const over = { lambda: { from: 1, to: 100 } };
    const run = { search: 'random', over, trials: 2, journal } as const;
    await tune('ease', split, run);
    for (const [other, text] of [
      [
        { over: { lambda: { from: 1, to: 200 } } },
        'space: {"lambda":{"from":1,"to":100}} there, {"lambda":{"from":1,"to":200}} now',
      ],
      [{ seed: 5 }, 'seed: 0 there, 5 now'],
      [{ options: { precision: 'f64' as const } }, 'options: {"density":1,"lambda":500,"precision":"f32"} there'],
    ] as const) {
      await expect(tune('ease', split, { ...run, ...other })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(text),
      });
    }
    const elsewhere = tune('ease', planted(), { ...run, seed: 1 });
    await expect(elsewhere).rejects.toThrow(/data: "180 training .* there, "160 training .* now/);
    const found: boolean[] = [];
    const onProgress = ({ found: was, result }: SearchProgress) => result && found.push(was ?? false);
    await tune('ease', split, { ...run, trials: 4, onProgress });
    expect(found.sort()).toEqual([false, false, true, true]);
  });

  test('Ctrl-C tells of it', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const kept = ['--journal', 'job.journal'];
    const ablation = small.map((word) => word.replace('recvae.', '')).filter((word) => !word.startsWith('epochs='));
    for (const job of [
      ['tune', 'recvae', 'likes.csv', ...flags, ...small, ...kept],
      ['ablate', 'likes.csv', '--seed', '1', '--epochs', '20', ...ablation, ...kept],
    ]) {
      const { code, stderr } = await whileItRuns(job, /^\[1\//m, 'SIGINT', folder, ['job.journal']);
      expect({ code, stderr }).toEqual({
        code: 130,
        stderr: expect.stringContaining('kept in job.journal; the same command goes on from there'),
      });
      expect(readdirSync(folder).sort()).toEqual(['job.journal', 'likes.csv']);
      rmSync(join(folder, 'job.journal'));
    }
  });
});

test('an abort stops all trials, with its reason', async () => {
  const controller = new AbortController();
  const options = { ...SMALL, epochs: 100_000, patience: 100_000 };
  const onProgress = ({ epoch }: SearchProgress) => {
    if (epoch?.epoch === 3) controller.abort(new Error('enough'));
  };
  const run = { over: { gamma: [0.001, 0.01] }, options, signal: controller.signal, onProgress };
  await expect(tune('recvae', await data(), run)).rejects.toThrow('enough');
});

test('what does not fit is refused before any work, and less memory gives the same', async () => {
  const split = await data();
  const shape = { users: split.train.nUsers, items: split.train.nItems, interactions: split.train.nInteractions };
  const sizes = [8, 64].map((latentDim) => {
    const options = { ...SMALL, latentDim, epochs: 2 };
    return estimateMemory('recvae', { ...shape, options, threads: 2 });
  });
  const [, largest] = sizes as [never, (typeof sizes)[number]];
  const started: unknown[] = [];
  const run = {
    over: { latentDim: [8, 64] },
    options: { hiddenDim: 16, batchSize: 20, epochs: 2 },
    threads: 2,
    onProgress: (progress: SearchProgress) => started.push(progress),
  };
  const memoryLimit = largest.fit + largest.model;
  await expect(tune('recvae', split, { ...run, memoryLimit: memoryLimit - 1 })).rejects.toMatchObject({
    code: 'MEMORY',
  });
  expect(started).toEqual([]);
  const tight = await tune('recvae', split, { ...run, memoryLimit });
  expect(lasting(tight)).toEqual(lasting(await tune('recvae', split, run)));
});

describe('wrong use is found before any work', () => {
  const cases: [ModelName, object, RegExp][] = [
    ['ease', { over: { lamda: [1] } }, /a key of over is 'lamda'; allowed: lambda, precision/],
    ['ease', { over: { lambda: [] } }, /over\.lambda is an array; allowed: a list of one value or more, or a range/],
    ['ease', { over: { lambda: 5 } }, /over\.lambda is 5; allowed: a list/],
    ['ease', { over: { lambda: [10, -1] } }, /lambda is -1; allowed/],
    ['ease', { over: { lambda: { from: 5, to: 5 } } }, /over\.lambda\.to is 5; allowed: a number above from, 5/],
    ['ease', { over: { lambda: { from: -5, to: 5 } } }, /lambda is -5; allowed/],
    ['ease', { over: { lambda: { from: 1, to: Number.NaN } } }, /over\.lambda\.to is NaN; allowed: a finite number/],
    [
      'ease',
      { over: { lambda: { from: 1, to: 5 } }, search: 'grid' },
      /over\.lambda is '1\.\.5'; allowed: a list of values in a grid/,
    ],
    ['ease', { over: { lambda: { from: 1, to: 5, step: 1 } } }, /a key of over\.lambda is 'step'/],
    ['ease', { over: {} }, /ease is given no option to search; allowed: /],
    ['ease', { options: { lambda: 5 } }, /ease has no option left to search; allowed: ease, /],
    [
      'ease',
      { over: { lambda: [1] }, options: { lambda: 5 } },
      /lambda is searched and given a value; allowed: one of the two/,
    ],
    ['popularity', {}, /popularity has no option left to search; allowed: ease/],
    [
      'recvae',
      { over: { mixtureWeights: [[0.5, 0.5, 0.5]] } },
      /mixtureWeights is \[0\.5, 0\.5, 0\.5\]; allowed: a sum of 1/,
    ],
    ['recvae', { over: { epochs: [5] }, search: 'halving' }, /over\.epochs is 'searched'; allowed: not with halving/],
    ['recvae', { search: 'bayes' }, /search is 'bayes'; allowed: adaptive, grid, random, halving/],
    ['recvae', { search: 'grid' }, /over\.gamma is '0\.0005\.\.0\.05'; allowed: a list of values in a grid/],
    [
      'als',
      { search: 'grid', over: { factors: [1, 2, 3, 4], lambda: [1, 2, 3, 4] } },
      /trials is 12, but the grid has 16 points; allowed/,
    ],
    [
      'ease',
      { over: { lambda: { from: 1, to: 5, scale: 'cubic' } } },
      /over\.lambda\.scale is 'cubic'; allowed: log, linear/,
    ],
    [
      'edlae',
      { over: { dropoutRate: { from: 0, to: 0.5, scale: 'log' } } },
      /over\.dropoutRate\.from is 0; allowed: a number above 0/,
    ],
    ['recvae', { trials: 0 }, /trials is 0; allowed: a whole number from 1 to 10000/],
    ['recvae', { parallel: 1.5 }, /parallel is 1\.5/],
    ['recvae', { seed: -1 }, /seed is -1/],
    ['recvae', { earlyStop: 1 }, /earlyStop is 1; allowed: true or false/],
    ['recvae', { journal: '' }, /journal is ''; allowed: a path/],
    ['recvae', { budget: 5 }, /a key of options is 'budget'/],
    ['svd' as ModelName, {}, /'svd'; allowed: popularity, ease/],
  ];
  test.each(cases)('%s %o', async (model, options, message) => {
    const error = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) };
    await expect(tune(model, await data(), options)).rejects.toMatchObject(error);
  });

  test('without validation users', async () => {
    const error = { code: 'INVALID_DATA', message: expect.stringContaining('(validation, --validation)') };
    const without = { validation: 0 };
    await expect(tune('ease', planted(), { split: without })).rejects.toMatchObject(error);
    await expect(compare(planted(), { split: without, tune: true, models: [] })).rejects.toMatchObject(error);
    // Test users are not needed.
    const { report, evaluation } = await tune('ease', planted(), { split: { test: 0 } });
    expect(report.test).toBeNull();
    expect(evaluation).toBeUndefined();
  });
});

describe('a ready split beside options of a split', () => {
  const how = { split: { kind: 'last' } } as const;
  const works: [string, (input: Split) => Promise<unknown>][] = [
    ['ablate', (input) => ablate(input, how)],
    ['advise', (input) => advise(input, how)],
    ['compare', (input) => compare(input, how)],
    ['compareRepeatedly', (input) => compareRepeatedly(input, { ...how, repeat: 2 })],
    ['tune', (input) => tune('ease', input, how)],
  ];
  test.each(works)('%s', async (_, work) => {
    await expect(work(await data())).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'options.split has no meaning beside a ready split; allowed: interactions with options.split',
    });
  });
});

describe('a tuned comparison', () => {
  test('gives each model that has options to search the same number of trials', async () => {
    const options = { recvae: { hiddenDim: 16, batchSize: 50 } };
    const run = { tune: true, budget: 3, models: ['recvae'] as ModelName[], options, epochs: 3, seed: 1 };
    const stages: string[] = [];
    const { report, models } = await compare(planted(), {
      ...run,
      onProgress: ({ model, stage, tried }) => tried && stages.push(`${model} ${stage}`),
    });
    for (const { model, search, trials, validation, options } of report.models) {
      expect(search).toHaveLength(model === 'popularity' ? 0 : 3);
      expect(trials).toBe(search.length);
      if (search.length === 0) continue;
      const best = search.reduce((best, tried) => (tried.validation > best.validation ? tried : best));
      expect(options).toMatchObject(best.options as object);
      expect(validation).toBe(best.validation);
    }
    const tuned = report.models.map(({ model }) => model).filter((model) => model !== 'popularity');
    expect(stages).toEqual(tuned.flatMap((model) => Array(3).fill(`${model} search`)));
    const data = await split(planted(), { seed: 1 });
    const { recvae } = Object.fromEntries(report.models.map((row) => [row.model, row.options]));
    expect(await bytesOf(models.get('recvae')!)).toEqual(await bytesOf(await fit('recvae', data, recvae as object)));
  });

  test('budget', async () => {
    await expect(compare(planted(), { budget: 3 })).rejects.toThrow('budget is 3; allowed: only where tune is true');
    await expect(compare(planted(), { tune: true, budget: 0 })).rejects.toThrow(
      'budget is 0; allowed: a whole number from 1',
    );
  });
});

describe('the command line', () => {
  test('values, ranges and words', () => {
    const parsed = (text: string) => Object.values(addOver(text))[0];
    expect(addOver('b=1', { a: [2] })).toEqual({ a: [2], b: [1] });
    expect(parsed('x=1,2.5,1e-3')).toEqual([1, 2.5, 1e-3]);
    expect(parsed('x=.005,.01')).toEqual([0.005, 0.01]);
    expect(parsed('x=f32,f64')).toEqual(['f32', 'f64']);
    expect(parsed('x=[1,2],[3,4]')).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(parsed('x=1..1000')).toEqual({ from: 1, to: 1000 });
    expect(parsed('x=1e-4...01')).toEqual({ from: 1e-4, to: 0.01 });
    expect(parsed('x=-1..2')).toEqual({ from: -1, to: 2 });
    for (const text of ['', 'x', '=1', 'x='])
      expect(() => addOver(text), text).toThrow('It must be option=value,value');
    expect(() => addOver('x=1', { x: [2] })).toThrow('--over is given twice for x');
  });

  test('prints a table or JSON, and saves the model', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const job = ['tune', 'ease', 'likes.csv', '--over', 'lambda=1,10,100', '--seed', '1'];
    const { code, stdout, stderr } = await recvae(folder, [...job, '--out', 'ease.st', '--json', '-']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^\[3\/3\] ease \{"lambda":\d+\}: validation 0\.\d{4} \(\d+\.\d s\)$/m);
    expect(stderr).toContain('saved: ease.st');
    const { version, ...report }: TuneReport & { version: number } = JSON.parse(stdout);
    expect(version).toBe(1);
    expect(lasting({ report })).toEqual(
      lasting(await tune('ease', planted(), { over: { lambda: [1, 10, 100] }, seed: 1 })),
    );
    const model = await load(join(folder, 'ease.st'));
    expect(model.options).toMatchObject(report.best);
    expect(model.info).toMatchObject({
      metrics: { validation: { 'ndcg@100': report.validation.mean }, test: report.test },
    });
    // The model remembers its split: evaluate finds the same test users.
    const evaluated = await recvae(folder, ['evaluate', 'ease.st', 'likes.csv', '--json', '-']);
    expect(JSON.parse(evaluated.stdout).metrics['ndcg@100'].mean).toBe(report.test!['ndcg@100']!.mean);
    const shown = await recvae(folder, job);
    expect(shown.stdout).toMatch(
      /^ease: grid, 3 trials, 160 training and 20 validation users, \d+\.\d s\n\nndcg@100 +lambda +epochs +seconds\n/,
    );
    expect(shown.stdout).toContain(report.verdict);
    expect(shown.stdout).toMatch(/^On 20 test users, measured once:$/m);
  });

  test('wrong use ends with 2, and nothing is left', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    for (const [args, text] of [
      [['ease', '--over', 'lambda=-1'], /lambda is -1; allowed/],
      [['ease', '--over', 'lambda'], /--over is 'lambda'; allowed: option=value,value/],
      [['ease', '--trials', '0'], /trials is 0/],
      [['recvae', '--search', 'best'], /search is 'best'; allowed: adaptive, grid, random, halving/],
      [['popularity'], /popularity has no option left to search/],
      [['ease', '--journal', ''], /journal is ''/],
      [['ease', '--journal', 'x', '--out', './x'], /--journal is 'x', as is --out; allowed: another file/],
    ] as const) {
      const [model, ...flags] = args;
      const { code, stderr } = await recvae(folder, ['tune', model, 'likes.csv', ...flags]);
      expect(stderr).toMatch(text);
      expect(code).toBe(2);
    }
    writeFileSync(join(folder, 'job.journal'), 'user,item\n');
    const refused = await recvae(folder, ['tune', 'ease', 'likes.csv', '--journal', 'job.journal']);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('line 1: not a line of a journal') });
    rmSync(join(folder, 'job.journal'));
    expect(readdirSync(folder)).toEqual(['likes.csv']);
    const none = await recvae(folder, ['tune', 'ease', 'likes.csv', '--validation', '0']);
    expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('(validation, --validation)') });
  });

  test('compare --tune', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const job = ['compare', 'likes.csv', '--models', 'ease', '--tune', '--budget', '2', '--json', '-'];
    const { code, stdout, stderr } = await recvae(folder, job);
    expect(code).toBe(0);
    const searches = JSON.parse(stdout).models.map(({ search }: { search: unknown[] }) => search.length);
    expect(searches).toEqual(searches.map((_: number, at: number) => (at === 0 ? 0 : 2)));
    expect(stderr.match(/^\[2\/\d\] ease tried /gm)).toHaveLength(2);
    const alone = await recvae(folder, ['compare', 'likes.csv', '--budget', '2']);
    expect(alone).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('budget is 2; allowed: only where tune is true'),
    });
  });

  test('RecVAE without gamma says which one is taken, and how to find a better one', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const small = ['--set', 'hiddenDim=4', '--set', 'latentDim=2', '--set', 'epochs=1'];
    const said = async (...args: string[]) => {
      const { code, stderr } = await recvae(folder, [
        'train',
        args[0]!,
        'likes.csv',
        ...small,
        ...args.slice(1),
        '--out',
        'm.st',
      ]);
      expect(code).toBe(0);
      return stderr.includes('gamma');
    };
    const { stderr } = await recvae(folder, ['train', 'recvae', 'likes.csv', ...small, '--out', 'm.st']);
    expect(stderr).toMatch(
      /^gamma of recvae is not given; 0\.005, its default, is taken\. It is: KL weight per interaction/m,
    );
    expect(stderr).toContain('recvae tune recvae likes.csv --over gamma=0.0005..0.05 finds');
    expect(await said('recvae', '--set', 'gamma=.004')).toBe(false);
    expect(await said('recvae', '--set', 'klWeight=constant')).toBe(false);
    expect(await said('mult-vae')).toBe(false);
    expect(await said('recvae')).toBe(true);
  });
});
