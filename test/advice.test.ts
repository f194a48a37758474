/** What `advise` says of made-up samples: which model, or why nobody can tell. */
import { expect, test } from 'vitest';
import { adviceOf, type Given } from '../dist/decide/advise/advice.js';
import { pairs } from '../dist/decide/pairs.js';
import type { AdviceReport, ModelName } from '../dist/index.js';

const METRIC = 'ndcg@100';
const USERS = 120;

/** Noise of validation users, the same for all models and samples but for a small part. */
function noise(salt: number): Float64Array {
  let state = 7 + salt;
  const random = () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
  return Float64Array.from({ length: USERS }, () => random() - 0.5);
}

/** Facts of samples with such means; `changes` go over them. */
async function facts(
  curves: Partial<Record<ModelName, Record<number, number>>>,
  all: number,
  changes = {},
  given: Given = {},
) {
  const base = noise(0);
  const sizes = [...new Set(Object.values(curves).flatMap((curve) => Object.keys(curve).map(Number)))].sort(
    (a, b) => a - b,
  );
  const values = sizes.map((users) => ({
    users,
    values: new Map(
      Object.entries(curves).flatMap(([model, curve], at) => {
        const mean = curve[users];
        const own = noise(100 * at + users);
        return mean === undefined
          ? []
          : [[model as ModelName, base.map((value, user) => mean + 0.2 * value + 0.05 * own[user]!)]];
      }),
    ),
  }));
  const samples = [];
  for (const { users, values: ofSample } of values) {
    const evaluations = new Map(
      [...ofSample].map(([model, perUser]) => [model, { metrics: { [METRIC]: { perUser } } }]),
    );
    const models = [...ofSample].map(([model, perUser]) => {
      const mean = perUser.reduce((sum, value) => sum + value, 0) / USERS;
      const metrics = { [METRIC]: { mean, standardError: 0.01 } };
      const network = model === 'recvae';
      return {
        model,
        metrics,
        options: {},
        search: [],
        untuned: network ? ['gamma'] : [],
        epochs: 0,
        unfinished: false,
      };
    });
    samples.push({ users, models, paired: await pairs(evaluations as never, 1, {}), activity: [] });
  }
  const names = Object.keys(curves);
  const made = {
    profile: { rareItems: 0, shortUsers: 0, repeatedUsers: 0, fullestUser: 0.1 },
    split: { trainingUsers: all, items: 50, validationUsers: USERS },
    sampledItems: 50,
    seed: 1,
    metric: METRIC,
    cost: names.map((model) => ({ model, seconds: 1, refusal: null })),
    samples,
    popularity: [],
    refused: [],
    smaller: [],
    ...changes,
  };
  const told = { given, wasSplit: true, inOrder: false };
  return adviceOf(made as unknown as AdviceReport, values, told, {});
}

const FLOOR = { 1000: 0.2, 2000: 0.2, 8000: 0.2 };

test('what leads on all training users is advised, with a network that stays behind', async () => {
  const found = await facts(
    {
      popularity: FLOOR,
      ease: { 1000: 0.36, 2000: 0.38, 8000: 0.4 },
      als: { 1000: 0.37, 2000: 0.39, 8000: 0.42 },
      recvae: { 1000: 0.33, 2000: 0.34 },
    },
    8000,
  );
  expect([found.model, found.leader, found.open]).toEqual(['als', 'als', []]);
  expect(found.verdict).toMatch(
    /^Use als: it leads on all 8000 training users \(ndcg@100 0\.4[12]\d\d, \+0\.0[12]\d\d to ease, the next one; 95 %/,
  );
  const recvae = found.trends.find(({ model }) => model === 'recvae')!;
  expect([recvae.measured, recvae.gaps.length]).toEqual([false, 2]);
  expect(found.reasons.join(' ')).toContain('on a line over the logarithm of their number that makes -0.0');
  expect(found.reasons.join(' ')).toContain('It was not tuned (gamma not searched).');
  expect(found.verdict).not.toMatch(/p [<=]/);
});

test('options that were given are part of what is advised', async () => {
  const curves = { popularity: FLOOR, ease: { 8000: 0.4 }, als: { 8000: 0.45 }, edlae: { 8000: 0.3 } };
  const given = { als: { lambda: 0.01, solver: 'cholesky' }, ease: { lambda: 20 }, edlae: { lambda: 1 } };
  const { model, options, next } = await facts(curves, 8000, {}, given);
  expect([model, options]).toEqual(['als', given.als]);
  expect(next.at(0)).toMatch(
    / --models ease,als.* --set ease\.lambda=20 .*--set als\.lambda=0\.01 --set als\.solver=cholesky/,
  );
  expect(next.at(-1)).toContain(
    'train als <input> --seed 1 --set lambda=0.01 --set solver=cholesky --out als.safetensors',
  );
});

test('a model beside which no cheaper one fitted into memory is told so', async () => {
  const advice = await facts({ popularity: { 2000: 0.2 }, recvae: { 2000: 0.5 } }, 2000);
  expect(advice.costlier).toMatchObject([{ model: 'recvae', gaps: [], wins: [], ahead: [] }]);
  expect(advice.reasons).toContain('recvae had no cheaper model but popularity beside it.');
});

test('a trend that may cross is left to compare', async () => {
  const found = await facts(
    {
      popularity: FLOOR,
      ease: { 1000: 0.37, 2000: 0.38, 8000: 0.4 },
      als: { 1000: 0.36, 2000: 0.37, 8000: 0.39 },
      recvae: { 1000: 0.33, 2000: 0.37 },
    },
    8000,
  );
  expect([found.model, found.leader, found.options]).toEqual([null, 'ease', {}]);
  expect(found.verdict).toMatch(
    /^I cannot tell; run compare: ease leads as far as was measured, but recvae may be better than ease on all/,
  );
  expect(found.next).toEqual([
    'recvae compare <input> --seed 1 --models ease,als,recvae,blend',
    'recvae tune recvae <input> --seed 1',
  ]);
});

test('samples of a part: a small gap is left open, a large one is not', async () => {
  const curves = (als: number) => ({
    popularity: { 1000: 0.2, 2000: 0.2 },
    ease: { 1000: 0.36, 2000: 0.38 },
    als: { 1000: als - 0.02, 2000: als },
  });
  const small = await facts(curves(0.3805), 64_000);
  expect(small.model).toBe(null);
  expect(small.open).toEqual([
    expect.stringMatching(/may be better than \w+ on all training users: its trend goes to/),
  ]);
  const large = await facts(curves(0.45), 64_000);
  expect(large.model).toBe('als');
  expect(large.verdict).toContain('Use als: it leads on 2000 of 64000 training users');
  expect(large.verdict).toContain('on all of them by the trend, 95 % interval');
  expect(large.next.at(-1)).toBe('recvae train als <input> --seed 1 --out als.safetensors');
});

test('one sample of a part, a model in a smaller form, or one that was not tried: nobody can tell', async () => {
  const two = { popularity: { 2000: 0.2 }, ease: { 2000: 0.38 }, als: { 2000: 0.4 } };
  const one = await facts(two, 64_000);
  expect(one.open).toContain('one sample says nothing of how ease goes on to all training users');
  const close = { ...two, als: { 2000: 0.3805 } };
  const smaller = [{ model: 'ease', changed: [{ name: 'density', from: 1, to: 0.01 }] }];
  expect((await facts(close, 2000, { smaller })).open.join()).toContain(
    'ease was tried in a smaller form, and may be as good as als',
  );
  expect((await facts(two, 2000, { smaller })).model).toBe('als');
  const why = 'recvae takes about 9 minutes even on 250 of the training users';
  const untried = { refused: [{ model: 'recvae', why }] };
  const cost = (refusal: string | null) =>
    ['popularity', 'ease', 'als', 'recvae'].map((model) => ({
      model,
      seconds: 1,
      refusal: model === 'recvae' ? refusal : null,
    }));
  expect((await facts(two, 2000, { ...untried, cost: cost(null) })).open).toEqual([`recvae was not tried (${why})`]);
  // What does not fit on all data is out of the question.
  expect((await facts(two, 2000, { ...untried, cost: cost('too large') })).model).toBe('als');
});

test('a network has to be significantly better than the best linear model', async () => {
  const curves = (recvae: number) => ({
    popularity: { 500: 0.2 },
    ease: { 500: 0.38 },
    als: { 500: 0.37 },
    recvae: { 500: recvae },
  });
  expect((await facts(curves(0.4), 500)).model).toBe('recvae');
  const near = await facts(curves(0.3803), 500);
  expect(near.model).toBe('ease');
});

test('nothing beats popularity: the advice on all users, an open question on a part of them', async () => {
  const curves = {
    popularity: { 1000: 0.4, 2000: 0.4 },
    ease: { 1000: 0.38, 2000: 0.39 },
    als: { 1000: 0.37, 2000: 0.38 },
  };
  const whole = await facts(curves, 2000);
  expect(whole.model).toBe('popularity');
  expect(whole.verdict).toMatch(
    /^Use popularity: nothing was found in these data, as no model beats popularity, the floor, significantly on all 2000/,
  );
  const part = await facts(curves, 64_000);
  expect(part.model).toBe(null);
  expect(part.verdict).toContain('no model beats popularity, the floor, significantly on 2000 of 64000 training users');
  // A network that was tried on fewer users finds something.
  const found = await facts({ ...curves, recvae: { 1000: 0.45 } }, 2000);
  expect(found.model).toBe(null);
  expect(found.open[1]).toBe('recvae beats it on 1000 of 2000 training users');
});
