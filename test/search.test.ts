/** The adaptive search: on functions whose best point is known, and in comparisons. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Course } from '../dist/decide/compare/course.js';
import {
  type CompareOptions,
  type CompareProgress,
  type ComparisonReport,
  compare,
  estimateSeconds,
  fit,
  Interactions,
  type Model,
  type ModelName,
  type Split,
  split,
  tune,
} from '../dist/index.js';
import { AdaptiveSearch, exploring, ROUND, type Settings } from '../dist/search/adaptive.js';
import { allowance, FITS, LEAST_SECONDS, MOST_TRIALS } from '../dist/search/effort.js';
import { findBest } from '../dist/search/find-best.js';
import { canonical, Journal } from '../dist/search/journal.js';
import type { Search } from '../dist/search/search.js';
import type { Point } from '../dist/search/spaces.js';
import { expectedImprovement, Surrogate } from '../dist/search/surrogate.js';
import type { TrialResult } from '../dist/search/trials.js';
import { recvae, whileItRuns } from './command.js';
import { planted, temporaryFolder, writePlanted } from './planted.js';

const SHIFTS = [
  [0.1, 0.7, 0.4],
  [0.55, 0.2, 0.9],
  [0.9, 0.33, 0.05],
];
const NOISE = 0.0025;
const log = (value: unknown) => Math.log10(value as number);

/** Searches until the end. */
function run(
  settings: Partial<Settings> & Pick<Settings, 'space'>,
  value: (point: Point) => number | null,
  noise = NOISE,
) {
  const search = new AdaptiveSearch({ shift: SHIFTS[0]!, most: 32, allows: () => true, ...settings });
  const rounds: number[] = [];
  for (let points = search.ask(); points.length > 0; points = search.ask()) {
    rounds.push(points.length);
    search.tell(points.map(value), noise);
  }
  return { search, rounds };
}

const LAMBDA = { lambda: { from: 0.5, to: 10_000 } };
const peakAt =
  (where: number) =>
  ({ lambda }: Point) =>
    0.4 - 0.02 * (log(lambda) - where) ** 2;

describe.each(SHIFTS)('the engine, from %d', (...shift) => {
  test('finds a peak inside in few trials', () => {
    const { search, rounds } = run({ space: LAMBDA, first: [{ lambda: 500 }], shift }, peakAt(1.3));
    expect(search.measured[0]!.point).toEqual({ lambda: 500 });
    expect(rounds[0]).toBe(exploring(1));
    expect(search.measured.length).toBeLessThanOrEqual(exploring(1) + 2 * ROUND);
    expect(search.best!.value).toBeGreaterThan(0.4 - NOISE / 4);
    expect(Math.abs(log(search.peak!.point.lambda) - 1.3)).toBeLessThan(0.1);
    expect(search).toMatchObject({ edges: {}, plateaus: {} });
  });

  test('extends a range at whose end the best point lies, as far as the option allows', () => {
    const { search } = run({ space: LAMBDA, shift }, peakAt(5));
    expect(Math.abs(log(search.best!.point.lambda) - 5)).toBeLessThan(0.3);
    expect(search.edges).toEqual({});
    const allows = (_: string, lambda: number) => lambda <= 12_000;
    const { search: bounded } = run({ space: LAMBDA, shift, allows }, peakAt(5));
    expect(bounded.measured.every(({ point }) => (point.lambda as number) <= 12_000)).toBe(true);
    expect(bounded.edges).toEqual({ lambda: 'highest' });
    const { search: fixed } = run({ space: LAMBDA, shift, allows: () => false }, peakAt(5));
    expect(Math.max(...fixed.measured.map(({ point }) => point.lambda as number))).toBe(10_000);
    expect(fixed.edges).toEqual({ lambda: 'highest' });
  });

  test('sees a plateau as one', () => {
    const { search, rounds } = run({ space: LAMBDA, shift }, () => 0.4);
    expect(rounds).toEqual([exploring(1), exploring(1)]);
    expect(search.edges).toEqual({});
    const { from, to } = search.plateaus.lambda!;
    expect(log(to) - log(from)).toBeGreaterThan(3.5);
  });

  test('says nothing of a range in which little was tried', () => {
    for (const most of [1, 2]) {
      const { search } = run({ space: LAMBDA, first: [{ lambda: 500 }], shift, most }, () => 0.4);
      const tried = search.measured.map(({ point }) => point.lambda as number);
      expect(tried).toHaveLength(most);
      const { from = 500, to = 500 } = search.plateaus.lambda ?? {};
      expect([from >= Math.min(...tried) * 0.999, to <= Math.max(...tried) * 1.001]).toEqual([true, true]);
    }
  });

  test('finds a narrow peak beside a plateau on which the first point lies, and the best of a list', () => {
    // As iALS has it on sparse data: nothing moves around the defaults.
    const space = { lambda: { from: 1e-5, to: 0.1 }, alpha0: { from: 1e-4, to: 0.5 }, factors: [64, 128, 256] };
    const value = ({ lambda, alpha0, factors }: Point) => {
      const peak = Math.exp(-(((log(lambda) + 4.1) / 0.9) ** 2) - ((log(alpha0) + 1.65) / 0.7) ** 2);
      return 0.055 + peak * (0.078 + (factors === 128 ? 0.004 : 0));
    };
    const first = [{ lambda: 0.006, alpha0: 0.2, factors: 64 }];
    const cost = ({ factors }: Point) => (factors as number) / 64;
    const { search } = run({ space, first, shift, cost }, value, 0.0007);
    const explored = search.measured.slice(0, exploring(3)).map(({ point }) => point.factors);
    expect(new Set(explored).size).toBeGreaterThan(1);
    const times = (factors: number) => explored.filter((one) => one === factors).length;
    expect(times(64)).toBeGreaterThan(times(256)); // which costs four times as much
    expect(search.best!.point.factors).toBe(128);
    expect(search.best!.value).toBeGreaterThan(0.137 - 0.0015);
    expect(search.edges).toEqual({});
  });

  test('climbs a list from value to value where each costs three times the one before', () => {
    // As iALS has it with many users and items: more factors are better, and never cheap.
    const space = { lambda: { from: 1e-5, to: 0.1 }, alpha0: { from: 1e-4, to: 0.5 }, factors: [64, 128, 256, 512] };
    const value = ({ lambda, alpha0, factors }: Point) => {
      const peak = Math.exp(-(((log(lambda) + 3.4) / 1.5) ** 2) - ((log(alpha0) + 1.65) / 0.7) ** 2);
      return 0.055 + peak * (0.078 + 0.004 * Math.log2((factors as number) / 64));
    };
    const cost = ({ factors }: Point) => 3 ** Math.log2((factors as number) / 64);
    const { search } = run({ space, first: [{ lambda: 0.006, alpha0: 0.2, factors: 64 }], shift, cost }, value, 0.001);
    const reached = (factors: number) => search.measured.findIndex(({ point }) => point.factors === factors);
    expect(search.best!.point.factors).toBe(512);
    expect(reached(512)).toBeLessThan(24);
    expect(search.best!.value).toBeGreaterThan(0.145 - 0.002);
  });

  test('climbs a ridge', () => {
    const space = { lambda: { from: 1e-5, to: 0.1 }, alpha0: { from: 1e-4, to: 0.5 } };
    const value = ({ lambda, alpha0 }: Point) =>
      0.4 - 0.03 * (log(lambda) - log(alpha0) + 1.5) ** 2 - 0.005 * (log(alpha0) + 0.8) ** 2;
    const { search } = run({ space, shift }, value);
    expect(search.best!.value).toBeGreaterThan(0.4 - NOISE / 2);
  });

  test('finds a ridge along which two options act together, beside a cliff', () => {
    // As iALS has it on video-games: the product of the two decides, and a little beyond its best value nothing is
    // learnt.
    const space = { lambda: { from: 1e-5, to: 0.1 }, alpha0: { from: 1e-4, to: 0.5 } };
    const value = ({ lambda, alpha0 }: Point) => {
      const [along, across] = [log(lambda) - log(alpha0), log(lambda) + log(alpha0) + 4.1];
      return across > 0.6 ? 0.065 : 0.145 - 0.012 * across ** 2 - 0.004 * (along - 0.1) ** 2;
    };
    const { search } = run({ space, first: [{ lambda: 0.006, alpha0: 0.2 }], shift }, value, 0.001);
    expect(search.best!.value).toBeGreaterThan(0.145 - 0.001);
    expect(search.measured.length).toBeLessThanOrEqual(32);
  });

  test('goes round points that fail', () => {
    const value = (point: Point) => ((point.lambda as number) < 20 ? null : peakAt(1.6)(point));
    const { search } = run({ space: LAMBDA, first: [{ lambda: 1 }], shift }, value);
    expect(search.measured[0]!.value).toBeNull();
    expect(search.best!.value).toBeGreaterThan(0.4 - NOISE);
    const { search: none, rounds } = run({ space: LAMBDA, shift }, () => null);
    expect(none.best).toBeUndefined();
    expect(none).toMatchObject({ edges: {}, plateaus: {} });
    expect(rounds.reduce((sum, points) => sum + points, 0)).toBeLessThanOrEqual(32);
  });
});

describe('the engine', () => {
  test('asks for the same whenever it is told the same, and not twice for a point', () => {
    const points = () =>
      run({ space: { ...LAMBDA, factors: [1, 2] } }, peakAt(2)).search.measured.map(({ point }) =>
        JSON.stringify(point),
      );
    expect(points()).toEqual(points());
    expect(new Set(points()).size).toBe(points().length);
  });

  test('takes whole numbers, words and small spaces', () => {
    const { search } = run({ space: { n: { from: 1, to: 3 } }, whole: new Set(['n']), allows: () => false }, () => 0.5);
    expect(search.measured.map(({ point }) => point.n).sort()).toEqual([1, 2, 3]);
    const solvers = run({ space: { solver: ['a', 'b'] } }, ({ solver }) => (solver === 'b' ? 1 : 0)).search;
    expect(solvers.best!.point).toEqual({ solver: 'b' });
    expect(solvers.edges).toEqual({});
  });

  test('keeps to narrow ranges, and tells their values apart', () => {
    for (const range of [
      { from: 1234, to: 1236 },
      { from: 0.9993, to: 0.9999 },
      { from: 1e-4, to: 0.9996, scale: 'log' },
    ] as const) {
      const { from, to } = range;
      const { search } = run({ space: { lambda: range }, most: 9, allows: () => false }, ({ lambda }) =>
        Number(lambda),
      );
      const tried = search.measured.map(({ point }) => point.lambda as number);
      expect(tried.every((value) => value >= from && value <= to)).toBe(true);
      expect(new Set(tried).size).toBeGreaterThan(4);
      expect(Math.max(...tried)).toBeGreaterThan(from + 0.8 * (to - from));
    }
  });

  test('asks on with hundreds of points measured', () => {
    const settings = { begin: 180, most: 186, ends: false };
    const { search } = run({ space: { ...LAMBDA, alpha: LAMBDA.lambda }, ...settings }, peakAt(1));
    expect(search.measured.length).toBe(186);
    expect(Math.abs(log(search.best!.point.lambda) - 1)).toBeLessThan(0.1);
  });

  test('goes on where another search has ended', () => {
    const { search: before } = run({ space: LAMBDA }, peakAt(1));
    const { search, rounds } = run({ space: LAMBDA, before, first: [before.peak!.point], most: 6 }, peakAt(1.4));
    expect(rounds[0]).toBe(1);
    expect(Math.abs(log(search.peak!.point.lambda) - 1.4)).toBeLessThan(0.12);
    // The step from one to the other, once more.
    expect(Math.abs(log(search.beyond(before, 2)!.lambda) - 1.8)).toBeLessThan(0.25);
  });

  test('with six points, three of them one by one, goes beyond the end of a range that the first ones are close to', () => {
    const gamma = { from: 5e-4, to: 0.05, scale: 'log' } as const;
    const far: number[] = [];
    for (const where of [-1.1, -0.9]) {
      for (const shift of SHIFTS) {
        const first = [{ gamma: 0.005 }, { gamma: 0.0486 }] as Point[];
        const settings = { space: { gamma }, shift, first, begin: 3, round: 1, most: 6, ends: false };
        const { search, rounds } = run(settings, ({ gamma }) => 0.13 - 0.01 * (log(gamma) - where) ** 2, 0.001);
        expect(rounds).toEqual([3, 1, 1, 1]);
        far.push(Math.abs(log(search.best!.point.gamma) - where));
      }
    }
    // In rounds of three one of these is 0.2 away. A tenth costs 0.0001, a tenth of what chance makes.
    expect(Math.max(...far)).toBeLessThan(0.1);
  });

  test('of points that were not all measured, goes on', () => {
    const search = new AdaptiveSearch({ space: LAMBDA, shift: [0.3], most: 10 });
    const [first] = search.ask();
    search.tell([0.3], NOISE);
    expect(search.measured).toEqual([{ point: first, value: 0.3 }]);
  });
});

test('the surrogate goes through what was measured, and knows less the farther away', () => {
  const points = [[0.1], [0.4], [0.5], [0.9]];
  const values = points.map(([x]) => Math.sin(3 * x!));
  const surrogate = new Surrogate(points, values, 1e-6);
  for (const [at, point] of points.entries()) {
    const { mean, deviation } = surrogate.predict(point);
    expect(mean).toBeCloseTo(values[at]!, 1);
    expect(deviation).toBeLessThan(surrogate.predict([0.7]).deviation);
  }
  expect(surrogate.predict([0.45]).mean).toBeCloseTo(Math.sin(1.35), 1);
  // With what was expected before, only the difference is learnt.
  const shifted = new Surrogate([[0.2]], [5.5], 1e-6, ([x]) => 5 + x!);
  expect(shifted.predict([0.2]).mean).toBeCloseTo(5.5, 3);
  expect(shifted.predict([0.8]).mean).toBeCloseTo(6.1, 3);
});

test('expected improvement', () => {
  // By hand: no doubt, an even chance (deviation / sqrt(2 pi)), and hopeless.
  expect(expectedImprovement({ mean: 3, deviation: 0 }, 2)).toBe(1);
  expect(expectedImprovement({ mean: 1, deviation: 0 }, 2)).toBe(0);
  expect(expectedImprovement({ mean: 2, deviation: 1 }, 2)).toBeCloseTo(0.39894228, 7);
  expect(expectedImprovement({ mean: 0, deviation: 0.1 }, 2)).toBeCloseTo(0, 9);
});

test('one rule for all: 60 seconds of a reference machine or six fits, and more of costly ones', () => {
  expect([LEAST_SECONDS, FITS]).toEqual([60, 6]);
  expect([allowance(0.1), allowance(10), allowance(100)]).toEqual([60, 60, 600]);
  // Ten of the costliest fits, as far as 300 seconds.
  expect([allowance(1, 20), allowance(1, 400), allowance(100, 400)]).toEqual([200, 300, 600]);
});

const SMALL = { hiddenDim: 16, latentDim: 4, batchSize: 50 };
const data = async (): Promise<Split> => split(planted(300), { seed: 1, validation: 0.2, test: 0.2 });

describe('a comparison', () => {
  test('searches what is not given, with the same effort for all, and says so', async () => {
    const options = { recvae: { ...SMALL, epochs: 5 }, 'mult-dae': { latentDim: 4, epochs: 5, lambda: 0.01 } };
    const seen: CompareProgress[] = [];
    const { report } = await compare(await data(), {
      models: ['recvae', 'mult-dae', 'edlae'],
      seed: 1,
      options,
      onProgress: (progress) => seen.push(progress),
    });
    const searched = report.models.map(({ model, search }) => [
      model,
      Object.keys((search[0]?.options ?? {}) as object),
    ]);
    expect(Object.fromEntries(searched)).toEqual({
      popularity: [],
      ease: ['lambda'],
      edlae: ['lambda', 'dropoutRate'],
      als: ['factors', 'alpha0', 'lambda'],
      'mult-dae': [],
      recvae: ['gamma'],
    });
    for (const row of report.models) {
      expect(row).toMatchObject({ untuned: [], changed: [], trials: row.search.length });
      expect(row.trials).toBeLessThanOrEqual(MOST_TRIALS);
      expect(row.searchSeconds > 0).toBe(row.trials > 0);
      expect(row.searchSeconds).toBeLessThanOrEqual(row.seconds);
      if (row.trials === 0) continue;
      const best = row.search.reduce((best, tried) => (tried.validation > best.validation ? tried : best));
      expect(row.options).toMatchObject(best.options as object);
      expect(row.validation).toBe(best.validation);
    }
    expect(report.effort).toMatch(/^each search up to 60 s or 6 fits of its model/);
    expect(report.skipped).toEqual([]);
    // What is to be done is told before anything, and how far it is at every step.
    expect(seen[0]!.plan!.map(({ model }) => model)).toEqual(report.models.map(({ model }) => model));
    const fractions = seen.map(({ fraction }) => fraction!);
    expect(fractions.every((fraction) => fraction >= 0 && fraction <= 1)).toBe(true);
    expect(seen.every(({ secondsLeft }) => secondsLeft! >= 0)).toBe(true);
    expect(fractions.at(-1)).toBeCloseTo(1, 9);
  });

  test('without a search takes what is given, and names what nobody looked for', async () => {
    const options = {
      ease: { lambda: 20 },
      als: { factors: 8 },
      recvae: { ...SMALL, epochs: 1, klWeight: 'constant' },
    };
    const run = {
      models: ['recvae', 'mult-vae'],
      options: { ...options, 'mult-vae': { ...SMALL, epochs: 1 } },
      seed: 1,
    };
    const { report } = await compare(await data(), { ...run, search: false } as CompareOptions);
    expect(Object.fromEntries(report.models.map(({ model, untuned }) => [model, untuned]))).toEqual({
      popularity: [],
      ease: [],
      als: ['alpha0', 'lambda'],
      'mult-vae': ['beta'],
      recvae: [], // which has no gamma with a constant weight
    });
    expect(
      report.models.every(({ search, trials, searchSeconds }) => search.length + trials + searchSeconds === 0),
    ).toBe(true);
    expect(report.effort).toBe('no options were searched');
  });

  test('without validation users searches nothing, and says so', async () => {
    const { report } = await compare(await split(planted(), { seed: 1, validation: 0 }), { models: [], seed: 1 });
    expect(report.models.map(({ untuned }) => untuned)).toEqual([[], ['lambda'], ['factors', 'alpha0', 'lambda']]);
    expect(report.effort).toMatch(/^no options were searched, for there are no validation users/);
  });

  test('with few minutes leaves out the costliest, and says what', async () => {
    const split = await data();
    // Hours for one model on any machine, and far more time for the others than they need.
    const epochs = 1_000_000;
    const options = { recvae: { hiddenDim: 256, latentDim: 64, batchSize: 10, epochs, patience: epochs } };
    const { report } = await compare(split, { models: ['recvae'], options, seed: 1, budgetMinutes: 2 });
    expect(report.models.map(({ model }) => model)).toContain('ease');
    expect(report.skipped).toContainEqual({
      model: 'recvae',
      what: 'model',
      why: expect.stringMatching(/^one fit takes about .* minutes, and .* of budgetMinutes \(2\) are left$/),
    });
    expect(report.effort).toContain('all within 2 minutes');
    const none = compare(split, { models: [], seed: 1, budgetMinutes: 1e-9 });
    await expect(none).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: /no model but popularity/ as never });
  });

  test('what a journal has costs what it took, and not what a look takes', async () => {
    const split = await data();
    const journal = join(temporaryFolder(), 'job.journal');
    const run = { models: ['edlae'], seed: 1, journal } as const;
    const { report: first } = await compare(split, run);
    const lines = readFileSync(journal, 'utf8').trim().split('\n').slice(1);
    const took = (model: string) =>
      lines
        .map((line) => JSON.parse(line).record as { model: string; seconds: number })
        .reduce((sum, record) => sum + (record.model === model ? record.seconds : 0), 0);
    const { report: again } = await compare(split, run);
    for (const [at, { model, trials, search }] of first.models.entries()) {
      const row = again.models[at]!;
      expect(row).toMatchObject({ model, trials, search });
      if (trials === 0) continue;
      expect(took(model)).toBeGreaterThan(0);
      expect(row.searchSeconds).toBeGreaterThanOrEqual(took(model));
      expect(row.seconds).toBeGreaterThanOrEqual(row.searchSeconds);
    }
  });

  test('a journal that is killed goes on to the same result', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const small = Object.entries({ ...SMALL, epochs: 200, patience: 200 }).flatMap(([name, value]) => [
      '--set',
      `recvae.${name}=${value}`,
    ]);
    const job = [
      'compare',
      'likes.csv',
      '--models',
      'recvae',
      '--seed',
      '1',
      '--set',
      'als.factors=8',
      ...small,
      '--json',
    ];
    const straight = await recvae(folder, [...job, 'straight.json']);
    expect(straight.code).toBe(0);
    const kept = [...job, 'resumed.json', '--journal', 'job.journal'];
    const killed = await whileItRuns(kept, /recvae tried/, 'SIGKILL', folder, ['resumed.json', 'job.journal']);
    expect(killed.code).toBeNull();
    const ended = readFileSync(join(folder, 'job.journal'), 'utf8').split('\n').length - 2;
    expect(ended).toBeGreaterThan(10);
    const resumed = await recvae(folder, kept);
    expect(resumed.code).toBe(0);
    const read = (name: string): ComparisonReport => JSON.parse(readFileSync(join(folder, name), 'utf8'));
    const lasting = ({ models, run: _, ...rest }: ComparisonReport) => ({
      ...rest,
      // What tells of seconds, and which model they make the cheaper one of two.
      verdict: rest.verdict
        .replace(/ Search and training took .*? of \w+\./, '')
        .replace(/, so [^,.]* stays[^.]*\./, ''),
      models: models.map(({ seconds: _, searchSeconds: __, peakMemory: ___, requestSeconds: ____, ...row }) => row),
    });
    expect(lasting(read('resumed.json'))).toEqual(lasting(read('straight.json')));
    const other = await recvae(folder, [...job, 'other.json', '--journal', 'job.journal', '--no-search']);
    expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining('search: true there, false now') });
    expect(existsSync(join(folder, 'other.json'))).toBe(false);
  });
});

test('tune searches in the same way, the same for any number of trials at once', async () => {
  const split = await data();
  const find = async (parallel: number) => {
    const { report } = await tune('edlae', split, { seed: 1, parallel, threads: 2 });
    const { run: _, requestSeconds: __, ...lasting } = report;
    return { ...lasting, seconds: 0, trials: report.trials.map((trial) => ({ ...trial, seconds: 0 })) };
  };
  const one = await find(1);
  expect(one.search).toBe('adaptive');
  expect(one.trials.length).toBeLessThanOrEqual(MOST_TRIALS);
  expect(await find(3)).toEqual(one);
  const { report } = await compare(split, { models: ['edlae'], seed: 1, options: { ease: { lambda: 1 } } });
  expect(report.models[2]!.options).toEqual(one.options);
});

describe('where fits are costly', () => {
  const search = (model: ModelName, fixed: Search['fixed'], space: Search['space']): Search => ({
    ...{ model, fixed, space, kind: 'adaptive', points: [], seed: 1, extends: true, earlyStop: true },
  });

  test('closed forms are searched on the most popular items, and confirmed by one fit or two', async () => {
    // Few items have most of the interactions, and most items few.
    const [users, items]: [string[], string[]] = [[], []];
    for (let user = 0; user < 4500; user += 1) {
      for (let at = 0; at < 6; at += 1) {
        users.push(`u${user}`);
        items.push(`i${Math.floor(7000 * (((user * 7919 + at * 104729) % 10007) / 10007) ** 3)}`);
      }
    }
    const many = await split(Interactions.fromColumns({ users, items }), { seed: 1 });
    const { nItems } = many.train;
    const fitSeconds = estimateSeconds('ease', { data: many.train, threads: 2 });
    const lambda = { from: 0.5, to: 10_000, scale: 'log' } as const;
    const told: number[] = [];
    const find = (allowed: number) =>
      findBest(search('ease', {}, { lambda }), {
        ...{ data: many, parallel: 1, allowed },
        onProgress: ({ done }) => told.push(done),
      });
    const found = await find(5 * fitSeconds);
    const sizes = [...new Set(found.results.map(({ items }) => items))];
    const [small, large] = sizes as [number, number];
    expect(sizes).toHaveLength(3);
    expect(sizes[2]).toBeUndefined();
    expect(small).toBe(Math.round(large / 2));
    expect(large).toBeLessThan(nItems / 2);
    const { length } = found.results.filter(({ items }) => items === undefined);
    expect(length).toBeLessThanOrEqual(2);
    expect(found.results[found.best]!.items).toBeUndefined();
    expect(found.model.options).toMatchObject(found.points[found.best]!);
    expect(found).toMatchObject({ searched: true, cut: false });
    for (const { validation } of found.results) expect(validation).not.toBeNull();
    expect(told.every((done) => done >= 0 && done <= 1)).toBe(true);
    // Where nothing is affordable there is one fit, with the defaults, which says so.
    const none = await find(1e-9);
    expect(none).toMatchObject({ searched: false, best: 0, points: [{ lambda: 500 }] });
    for (const { model } of [found, none]) model.dispose();
  });

  test('iALS begins where the numbers of users, items and interactions say', async () => {
    const split_ = await data();
    const { nUsers, nItems, nInteractions } = split_.train;
    const [log, three] = ['log' as const, (value: number) => Number(value.toPrecision(3))];
    const alpha0 = { from: 1e-4, to: 0.5, scale: log };
    const lambda = { from: 1e-5, to: 0.1, scale: log };
    const of = async (fixed: object, space: object) => {
      const found = await findBest(search('als', { factors: 4, epochs: 1, ...fixed }, space as never), {
        ...{ data: split_, parallel: 1, allowed: 1e9 },
      });
      found.model.dispose();
      return found.points;
    };
    const [user, item] = [nInteractions / nUsers, nInteractions / nItems];
    const begin = (alpha0: number, loss: number) => {
      const norms = Math.sqrt((user + alpha0 * nItems) * (item + alpha0 * nUsers));
      return three(Math.min((loss * (Math.sqrt(user) + Math.sqrt(item))) / norms, 0.1));
    };
    const ofBoth = await of({}, { alpha0, lambda });
    expect(ofBoth[0]).toEqual({ alpha0: 0.2, lambda: 0.006 });
    const [many, few] = [15, 6].map((times) => (times * user) / nItems) as [number, number];
    expect(ofBoth.slice(1, 4)).toEqual([
      { alpha0: three(Math.min(many, 0.5)), lambda: begin(many, 0.3) },
      { alpha0: three(Math.min(few, 0.5)), lambda: begin(few, 0.3) },
      { alpha0: three(Math.min(many, 0.5)), lambda: begin(many, 0.1) },
    ]);
    // What is given stays, and the other one is told for it.
    const given = await of({ alpha0: 0.01 }, { lambda });
    expect(given.slice(0, 3)).toEqual([{ lambda: 0.006 }, { lambda: begin(0.01, 0.3) }, { lambda: begin(0.01, 0.1) }]);
  });

  test('one option of a model with epochs is searched with all of them', async () => {
    const split_ = await data();
    const fixed = { hiddenDim: 8, latentDim: 4, batchSize: 50, epochs: 27, patience: 27, seed: 1 };
    const gamma = { from: 5e-4, to: 0.05, scale: 'log' } as const;
    const allowed = 6 * estimateSeconds('recvae', { data: split_.train, threads: 2, options: fixed });
    const found = await findBest(search('recvae', fixed, { gamma }), { data: split_, parallel: 1, allowed });
    expect(found.results.map(({ options }) => options.epochs)).toEqual(found.results.map(() => 27));
    expect(found.points[0]).toEqual({ gamma: 0.005 });
    expect(found.results.length).toBeGreaterThan(3);
    expect(found.results.length).toBeLessThanOrEqual(6);
    expect(found).toMatchObject({ searched: true, cut: false });
    const values = found.results.map(({ validation }) => validation!);
    expect(values[found.best]).toBe(Math.max(...values));
    // Where there is no time for a second fit, it is that of the defaults, and says that nothing was searched.
    const none = await findBest(search('recvae', fixed, { gamma }), {
      data: split_,
      parallel: 1,
      allowed: allowed / 6,
    });
    expect(none).toMatchObject({ searched: false, best: 0, points: [{ gamma: 0.005 }] });
    for (const { model } of [found, none]) model.dispose();
  });

  test('several are searched with a third of the epochs, and the best goes on beside the defaults', async () => {
    const split_ = await data();
    const fixed = { hiddenDim: 8, batchSize: 50, epochs: 27, patience: 27, seed: 1 };
    const space = { gamma: { from: 5e-4, to: 0.05, scale: 'log' }, latentDim: [4, 6, 200] } as const;
    // Less than a first round with all epochs takes, and what follows it, as long as any fit takes some time to begin.
    const allowed = 9.9 * estimateSeconds('recvae', { data: split_.train, threads: 2, options: fixed });
    const found = await findBest(search('recvae', fixed, space), { data: split_, parallel: 1, allowed });
    const epochs = found.results.map(({ options }) => options.epochs as number);
    const count = (many: number) => epochs.filter((one) => one === many).length;
    expect(count(9)).toBeGreaterThan(6);
    const whole = found.points.filter((_, at) => epochs[at] === 27);
    expect(whole).toHaveLength(epochs.length - count(9));
    expect(epochs[found.best]).toBe(27);
    expect(found).toMatchObject({ searched: true, cut: false });
    const few = found.results.filter(({ options }) => options.epochs === 9);
    const { options: best } = few.toSorted((a, b) => b.validation! - a.validation!)[0]!;
    const usual = { gamma: 0.005, latentDim: 200 };
    const going = { gamma: best.gamma, latentDim: best.latentDim };
    expect(whole).toEqual(canonical(going) === canonical(usual) ? [usual] : [going, usual]);
    // From its checkpoint, to the bytes of a training without a break.
    const straight = await fit('recvae', split_, { ...fixed, ...(found.points[found.best] as object) });
    const bytes = async (model: Model) => {
      const path = join(temporaryFolder(), 'model.safetensors');
      await model.save(path, { info: null });
      return readFileSync(path);
    };
    expect(await bytes(found.model)).toEqual(await bytes(straight));
    // Where there is less time, with as many as leave some for the whole first round and two that go on.
    const seconds = (point: object, epochs: number) =>
      estimateSeconds('recvae', { data: split_.train, threads: 2, options: { ...fixed, ...point, epochs } });
    const first = found.points.slice(0, 8);
    const time = first.reduce((sum, point) => sum + seconds(point, 6), 2 * seconds(usual, 27));
    const run = { data: split_, parallel: 1, allowed: 1.0001 * time };
    const hurried = await findBest(search('recvae', fixed, space), run);
    expect(hurried.points.slice(0, 8)).toEqual(first);
    const epochsOf = hurried.results.map(({ options }) => options.epochs);
    expect(epochsOf.slice(0, 8)).toEqual(first.map(() => 6));
    expect(epochsOf.slice(8).every((many) => many === 27)).toBe(true);
    expect(hurried).toMatchObject({ searched: true, cut: false });
    for (const { model } of [found, hurried]) model.dispose();
  });
});

describe('an adaptive search', () => {
  const fixed = { hiddenDim: 8, batchSize: 50, epochs: 27, patience: 27, seed: 1 };
  const space = { gamma: { from: 5e-4, to: 0.05, scale: 'log' }, latentDim: [4, 6, 200] } as const;
  const search: Omit<Search, 'trials'> = {
    ...{ model: 'recvae', fixed, space, kind: 'adaptive', points: [], seed: 1, extends: true, earlyStop: true },
  };

  test.each([1, 2, 3, 4, 5, 6, 12])('of %i trials makes no more, whatever a fit costs', async (trials) => {
    const split_ = await data();
    const allowed = 1e-6; // any fit is costly
    const found = await findBest({ ...search, trials }, { data: split_, parallel: 1, allowed });
    expect(found.results.length).toBeLessThanOrEqual(trials);
    expect(found.results.length).toBeGreaterThanOrEqual(Math.min(trials, 3));
    expect(found.results[found.best]!.options.epochs).toBe(27);
    expect(found.searched).toBe(true);
    found.model.dispose();
    // The defaults are the best: nothing learns at lower rates.
    const rates = { learningRate: { from: 1e-9, to: 5e-4, scale: 'log' }, latentDim: [4, 200] } as const;
    const usual = await findBest({ ...search, space: rates, trials }, { data: split_, parallel: 1, allowed });
    expect(usual.results.length).toBeLessThanOrEqual(trials);
    expect(usual.searched).toBe(true);
    usual.model.dispose();
  });

  test('of closed forms likewise', async () => {
    const items = Array.from(
      { length: 18_000 },
      (_, at) => `i${Math.floor(7000 * (((at * 7919) % 10007) / 10007) ** 3)}`,
    );
    const users = items.map((_, at) => `u${at % 3000}`);
    const many = await split(Interactions.fromColumns({ users, items }), { seed: 1 });
    for (const trials of [1, 2, 3, 4, 9]) {
      const lambda = { from: 0.5, to: 10_000, scale: 'log' } as const;
      const closed: Search = { ...search, model: 'ease', fixed: {}, space: { lambda }, trials };
      const found = await findBest(closed, { data: many, parallel: 1, allowed: 1e-6 });
      expect(found.results.length).toBeLessThanOrEqual(trials);
      expect(found.results[found.best]!.items).toBeUndefined();
      found.model.dispose();
    }
  });

  test('whose time is over gives the best of what it has tried on all data', async () => {
    const split_ = await data();
    const straight = await findBest({ ...search, trials: 5 }, { data: split_, parallel: 1 });
    for (const after of [0, 1, 4]) {
      const late = new AbortController();
      let ended = 0;
      const run = {
        ...{ data: split_, parallel: 1, signal: late.signal, late: late.signal },
        onProgress: ({ result, epoch }: { result?: unknown; epoch?: unknown }) => {
          if (result) ended += 1;
          if (epoch && ended === after) late.abort();
        },
      };
      if (after === 0) {
        await expect(findBest({ ...search, trials: 5 }, run)).rejects.toThrow(/aborted/);
        continue;
      }
      const found = await findBest({ ...search, trials: 5 }, run);
      expect(found.cut).toBe(true);
      expect(found.points).toEqual(straight.points.slice(0, after));
      const values = found.results.map(({ validation }) => validation);
      expect(values).toEqual(straight.results.slice(0, after).map(({ validation }) => validation));
      expect(values[found.best]).toBe(Math.max(...(values as number[])));
      expect(found.model.options).toMatchObject(found.points[found.best]!);
      found.model.dispose();
    }
    straight.model.dispose();
  });

  test('whose time is over, and whose best trial was in the journal, gives the best that it has trained', async () => {
    const data_ = await data();
    const journal = Journal.open<TrialResult>(undefined, {});
    const straight = await findBest({ ...search, trials: 4 }, { data: data_, parallel: 1, journal });
    straight.model.dispose();
    const [key] = journal.done.keys();
    journal.done.set(key!, { ...journal.done.get(key!)!, validation: 0.99 });
    const late = new AbortController();
    let ended = 0;
    const run = {
      ...{ data: data_, parallel: 1, journal, signal: late.signal, late: late.signal },
      onProgress: ({ result, found, epoch }: { result?: unknown; found?: boolean; epoch?: unknown }) => {
        if (result && !found) ended += 1;
        if (epoch && ended === 2) late.abort();
      },
    };
    const found = await findBest({ ...search, trials: 12 }, run);
    expect(found.cut).toBe(true);
    expect(found.results.length).toBeGreaterThan(4);
    const trained = found.results.slice(4).map(({ validation }) => validation!);
    expect(found.results[found.best]!.validation).toBe(Math.max(...trained));
    expect(found.model.options).toMatchObject(found.points[found.best]!);
    found.model.dispose();
  });

  test('that is aborted fails, whatever it has tried', async () => {
    const abort = new AbortController();
    const run = {
      ...{ data: await data(), parallel: 1, signal: abort.signal, late: new AbortController().signal },
      onProgress: ({ result }: { result?: unknown }) => result && abort.abort(),
    };
    await expect(findBest({ ...search, trials: 5 }, run)).rejects.toThrow(/aborted/);
  });
});

describe('the course of a comparison', () => {
  const tasks = [
    { model: 'popularity' as ModelName, seconds: 0, fitSeconds: 0 },
    { model: 'ease' as ModelName, seconds: 300, fitSeconds: 100 },
    { model: 'als' as ModelName, seconds: 100, fitSeconds: 10 },
  ];

  test('knows what is left before anything is done', () => {
    const told: CompareProgress[] = [];
    const course = new Course(tasks, { onProgress: (progress) => told.push(progress) });
    course.tell(0, { stage: 'fit' });
    course.ended(0, 0, 0);
    course.tell(1, { stage: 'search', done: 0.5 });
    expect(told[0]).toMatchObject({ model: 'popularity', step: 1, steps: 3, fraction: 0, secondsLeft: 400 });
    expect(told[1]).toMatchObject({ model: 'ease', fraction: 0.375 });
    expect(course.deadline(1)).toBeUndefined();
    expect(course.tooLate(1)).toBeUndefined();
  });

  test('shares the time by what models need, and leaves out what has none', async () => {
    const before = performance.now();
    const course = new Course(tasks, { budgetMinutes: 2 });
    const after = performance.now();
    expect(course.tooLate(1)).toBeUndefined();
    // Half of two minutes would be less than a fit and a half.
    const deadline = course.deadline(1)!;
    expect(deadline).toBeGreaterThanOrEqual(before + 120_000);
    expect(deadline).toBeLessThanOrEqual(after + 120_000);
    // What needs more than its share leaves the others theirs, and all that they leave over is its own.
    const [costly, cheap] = [
      { ...tasks[1]!, fitSeconds: 1 },
      { ...tasks[2]!, seconds: 30, fitSeconds: 1 },
    ];
    const longer = { ...cheap, seconds: 50 };
    for (const [order, most] of [
      [[costly, cheap], 90],
      [[cheap, costly], 60],
      [[longer, cheap, costly], 45],
      [[cheap, longer], 60],
      [[longer, cheap], 70],
    ] as const) {
      const begun = performance.now();
      const seconds = (new Course(order, { budgetMinutes: 2 }).deadline(0)! - begun) / 1000;
      // The clock goes on between the two.
      expect(Math.round(seconds / 5) * 5).toBe(most);
    }
    expect(new Course(tasks, { budgetMinutes: 1 }).tooLate(1)).toMatch(
      /^one fit takes about 1\.7 minutes, and 1\.0 of/,
    );
    const soon = new Course(tasks, { budgetMinutes: 1e-4 });
    const never = (signal: AbortSignal | undefined) =>
      new Promise<number>((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason)));
    expect(await soon.within(never)).toBeUndefined();
    await expect(soon.within(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
  });
});
