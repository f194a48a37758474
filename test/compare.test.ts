import { describe, expect, test } from 'vitest';
import { decide } from '../dist/decide/compare/verdict.js';
import { type CompareProgress, compare, Interactions, type ModelName, split } from '../dist/index.js';
import { NEWCOMER, planted } from './planted.js';

describe('compare', () => {
  test('report, models and values per user', async () => {
    const seen: CompareProgress[] = [];
    const input = planted(400);
    const { report, models, evaluations } = await compare(input, {
      models: ['recvae'],
      seed: 3,
      epochs: 2,
      options: { recvae: { hiddenDim: 16, latentDim: 4, gamma: 0.005 }, als: { factors: 8 } },
      split: { test: 0.3 },
      onProgress: (progress) => seen.push(progress),
    });
    const { nUsers: users, nItems: items, nInteractions: interactions, density } = input;
    expect(report.dataset).toEqual({ users, items, interactions, density });
    expect(report.models.map(({ model }) => model)).toEqual(['popularity', 'ease', 'als', 'recvae']);
    expect([...models.keys()]).toEqual(['popularity', 'ease', 'als', 'recvae']);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);

    const [popularity, ease, , recvae] = report.models as [never, never, never, never] & typeof report.models;
    expect(recvae).toMatchObject({ options: { hiddenDim: 16, epochs: 2, seed: 3 }, epochs: 2 });
    const computed = { engine: 'fused', device: 'cpu', precision: 'f32' };
    expect(report.models.map((row) => row.computed)).toEqual([undefined, undefined, undefined, computed]);
    for (const { seconds, peakMemory } of report.models) {
      expect(seconds).toBeGreaterThan(0);
      expect(peakMemory).toBeGreaterThan(2 ** 20);
    }
    const ndcg = (model: (typeof report.models)[number]) => model.metrics['ndcg@100']!.mean;
    expect(ndcg(ease)).toBeGreaterThan(ndcg(popularity));

    // The search took the best value that it tried.
    const { search, options, validation } = report.models[1]!;
    const best = search.reduce((best, tried) => (tried.validation > best.validation ? tried : best));
    expect(search.length).toBeGreaterThan(2);
    expect(options).toMatchObject(best.options as object);
    expect(validation).toBe(best.validation);

    const pairs = report.paired.filter(({ metric }) => metric === 'ndcg@100');
    expect(pairs.map(({ a, b }) => [a, b])).toEqual([
      ['ease', 'popularity'],
      ['als', 'popularity'],
      ['recvae', 'popularity'],
      ['als', 'ease'],
      ['recvae', 'ease'],
      ['recvae', 'als'],
    ]);
    expect(new Set(report.paired.map(({ metric }) => metric))).toContain('recall@20');
    for (const { a, b, difference, interval, pValue, pValueUncorrected } of pairs) {
      const [ofA, ofB] = [a, b].map((name) => evaluations.get(name)!.metrics['ndcg@100']!.perUser) as unknown as [
        Float64Array,
        Float64Array,
      ];
      const differences = ofA.map((value, user) => value - ofB[user]!);
      expect(difference).toBeCloseTo(differences.reduce((sum, value) => sum + value, 0) / differences.length, 12);
      expect(interval[0]).toBeLessThanOrEqual(difference);
      expect(interval[1]).toBeGreaterThanOrEqual(difference);
      expect(pValue).toBeGreaterThanOrEqual(pValueUncorrected);
    }
    // Holm: the smallest p-value of six counts six times.
    const smallest = Math.min(...pairs.map(({ pValueUncorrected }) => pValueUncorrected));
    expect(Math.min(...pairs.map(({ pValue }) => pValue))).toBeCloseTo(6 * smallest, 12);

    expect(report.winner).toBe('ease');
    expect(report.verdict).toMatch(/^Use ease: /);
    const { items: found } = models.get(report.winner)!.recommend(NEWCOMER, { k: 5 });
    expect(found.every(({ id }) => id.startsWith('i2-'))).toBe(true);
    expect(seen.map(({ model }) => model).filter((model, at, all) => model !== all[at - 1])).toEqual([
      'popularity',
      'ease',
      'als',
      'recvae',
    ]);
    expect(seen.findLast(({ epoch }) => epoch)?.epoch).toEqual(models.get('recvae')!.epochs[1]);
  });

  test('by default all but mult-dae, in the order of the core', async () => {
    const small = { hiddenDim: 4, latentDim: 2 };
    const options = {
      recvae: small,
      'mult-vae': small,
      'mult-dae': { latentDim: 2 },
      ease: { lambda: 5 },
      als: { factors: 8 },
    };
    const names = async (models?: ModelName[]) => {
      const { report } = await compare(planted(), { models, seed: 1, epochs: 1, options });
      return report;
    };
    const report = await names();
    const usual = ['popularity', 'ease', 'edlae', 'als', 'mult-vae', 'recvae'];
    expect(report.models.map(({ model }) => model)).toEqual(usual);
    const asked = await names(['mult-dae', 'edlae']);
    expect(asked.models.map(({ model }) => model)).toEqual(['popularity', 'ease', 'edlae', 'als', 'mult-dae']);
    // Of EDLAE both options are searched together, from the defaults on.
    const { search, options: best, validation } = report.models[2]!;
    const tried = search.map(({ options }) => options as { lambda: number; dropoutRate: number });
    expect(tried[0]).toEqual({ lambda: 500, dropoutRate: 0.33 });
    expect(new Set(tried.map(({ dropoutRate }) => dropoutRate)).size).toBeGreaterThan(2);
    expect(new Set(tried.map(({ lambda }) => lambda)).size).toBeGreaterThan(2);
    expect(validation).toBe(Math.max(...search.map(({ validation }) => validation)));
    expect(best).toMatchObject(search.find((one) => one.validation === validation)!.options as object);
  });

  test('the same seed gives the same numbers, and a lambda that is given is not searched', async () => {
    const data = await split(planted());
    const run = async () => {
      const { report } = await compare(data, {
        models: [],
        seed: 1,
        options: { ease: { lambda: 20 }, als: { factors: 8 } },
      });
      return {
        models: report.models.map(({ metrics, options, search }) => ({ metrics, options, search })),
        ...report.paired,
      };
    };
    const first = await run();
    expect(first.models[1]).toMatchObject({ options: { lambda: 20 }, search: [] });
    expect(first.models[2]!.search.length).toBeGreaterThan(9);
    expect(await run()).toEqual(first);
  });
});

describe('wrong use is found before any work', () => {
  const cases: [string, object, RegExp][] = [
    ['an option', { options: { recvae: { gamma: -1 } } }, /gamma is -1; allowed/],
    ['an option of a model that is not compared', { models: [], options: { recvae: { gama: 1 } } }, /'gama'/],
    ['an unknown model in options', { options: { svd: {} } }, /'svd'; allowed: popularity, ease/],
    ['options that are none', { options: { ease: 5 } }, /options of ease is 5; allowed: an object/],
    ['a fractional seed', { seed: 1.5 }, /seed is 1\.5; allowed: a whole number from 0/],
    ['a negative seed', { models: [], seed: -1 }, /seed is -1/],
    ['a seed above 2^53', { seed: 2 ** 60 }, /seed is 1152921504606847000/],
    ['epochs that no compared model has', { models: [], epochs: 0 }, /epochs is 0/],
    ['threads', { threads: 0 }, /threads is 0/],
    ['an unknown key', { option: {} }, /'option'; allowed: models/],
    ['info that is no JSON', { info: 1n }, /info is not JSON/],
    ['a search that is not one', { search: 'no' }, /search is 'no'; allowed: true or false/],
    [
      'tuning without a search',
      { search: false, tune: true },
      /tune is true; allowed: only where options are searched/,
    ],
    ['no time at all', { budgetMinutes: 0 }, /budgetMinutes is 0; allowed: a number above 0/],
    ['time that is no number', { budgetMinutes: Number.NaN }, /budgetMinutes is NaN; allowed: a number above 0/],
    ['a journal without a name', { journal: 5 }, /journal is 5; allowed: a string/],
  ];
  test.each(cases)('%s', async (_, options, message) => {
    // The data cannot be split, which would be found next.
    const data = Interactions.fromColumns({ users: ['u', 'u'], items: ['a', 'b'] });
    const error = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) };
    await expect(compare(data, options)).rejects.toMatchObject(error);
  });

  test('the seed of the report repeats a run that was given none', async () => {
    const options = {
      models: ['mult-vae' as const],
      epochs: 1,
      options: { 'mult-vae': { hiddenDim: 4, latentDim: 2 } },
    };
    const { report } = await compare(planted(), options);
    const { report: again } = await compare(planted(), { ...options, seed: report.seed });
    expect(report.models[2]!.options).toMatchObject({ seed: report.seed });
    expect(again.models.map(({ metrics }) => metrics)).toEqual(report.models.map(({ metrics }) => metrics));
    expect(again.paired).toEqual(report.paired);
  });
});

describe('the verdict', () => {
  const model = (name: ModelName, mean: number, seconds = 1) => ({
    model: name,
    options: {},
    seconds,
    peakMemory: 1,
    fitMemory: 1,
    modelMemory: 1,
    requestSeconds: { median: 1, p90: 1, requests: 1 },
    validation: null,
    epochs: 0,
    curve: [],
    bestEpoch: null,
    search: [],
    searchSeconds: 0,
    estimatedSeconds: seconds,
    trials: 0,
    untuned: [],
    edges: {},
    plateaus: {},
    changed: [],
    metrics: { m: { mean, standardError: 0.01 } },
  });
  const judges = { count: 100, part: 'test' as const };
  const pair = (a: ModelName, b: ModelName, difference: number, pValue: number) => ({
    a,
    b,
    metric: 'm',
    difference,
    interval: [difference - 0.01, difference + 0.01] as [number, number],
    pValue,
    pValueUncorrected: pValue,
    detectable: 0.02,
  });

  test('a significantly better model wins, and the cost is named', () => {
    const { winner, verdict } = decide(
      [model('ease', 0.4, 2), model('recvae', 0.45, 200)],
      [pair('recvae', 'ease', 0.05, 0.002)],
      'm',
      judges,
    );
    expect(winner).toBe('recvae');
    expect(verdict).toContain('difference +0.0500, 95 % interval +0.0400 to +0.0600, p = .002');
    expect(verdict).toContain('100 times the time of ease');
  });

  test('a lead that is not established leaves the cheaper model', () => {
    const { winner, verdict } = decide(
      [model('ease', 0.4), model('recvae', 0.41)],
      [pair('recvae', 'ease', 0.01, 0.051)],
      'm',
      judges,
    );
    expect(winner).toBe('ease');
    expect(verdict).toContain('recvae is ahead, but the difference is not established');
    expect(verdict).toContain('difference -0.0100, 95 % interval -0.0200 to +0.0000');
  });

  test('the linear model in front is compared with the next best', () => {
    const { winner, verdict } = decide(
      [model('popularity', 0.1), model('ease', 0.4), model('recvae', 0.3)],
      [
        pair('ease', 'popularity', 0.3, 0.0001),
        pair('recvae', 'popularity', 0.2, 0.0001),
        pair('recvae', 'ease', -0.1, 0.0001),
      ],
      'm',
      judges,
    );
    expect(winner).toBe('ease');
    expect(verdict).toContain('0.4000 against 0.3000 of recvae, difference +0.1000, 95 % interval +0.0900 to +0.1100');
  });

  test('a costlier model has to beat every cheaper one', () => {
    const models = [model('ease', 0.4), model('als', 0.43), model('recvae', 0.435)];
    const pairs = (overAls: number) => [
      pair('als', 'ease', 0.03, 0.001),
      pair('recvae', 'ease', 0.035, 0.001),
      pair('recvae', 'als', 0.005, overAls),
    ];
    const tied = decide(models, pairs(0.2), 'm', judges);
    expect(tied.winner).toBe('als');
    expect(tied.verdict).toContain('recvae is ahead, but the difference is not established');
    expect(decide(models, pairs(0.01), 'm', judges).winner).toBe('recvae');
  });
});
