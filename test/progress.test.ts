/** How far closed forms are, the largest model that fits, and the seconds that are known before. */
import { describe, expect, test } from 'vitest';
import {
  EaseCounts,
  estimateMemory,
  estimateSeconds,
  fit,
  Interactions,
  largestThatFits,
  type ModelName,
  type Progress,
  RecvaeError,
  type Split,
  type StepProgress,
  split,
} from '../dist/index.js';

/** 1,367 users of some 2,500 items: a dense fit takes tenths of a second. */
async function some(): Promise<Interactions> {
  const data = await Interactions.synth({ like: 'ml-20m', scale: 0.01, seed: 3 });
  const users = data.userIds();
  return Interactions.fromHistories(
    users.map((user) => ({ user, items: data.history(user)!.filter((id) => Number(id.slice(1)) % 8 === 0) })),
  );
}

describe('onProgress of a closed form', () => {
  test.each([
    ['ease', {}],
    ['ease', { density: 0.05 }],
    ['edlae', {}],
    ['edlae', { density: 0.05 }],
    ['rdlae', {}],
    ['hoease', { pairs: 50 }],
    ['popularity', {}],
  ] as [ModelName, object][])('%s %j tells a share that grows to 1, and records no epoch', async (model, options) => {
    const seen: Progress[] = [];
    const fitted = await fit(model, await some(), options, { onProgress: (progress) => seen.push(progress) });
    const shares = seen.map(({ fraction }) => fraction!);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(shares.every((share) => share >= 0 && share <= 1)).toBe(true);
    expect(seen.at(-1)).toMatchObject({ epoch: 0, epochs: 0, best: false, fraction: 1 });
    expect(fitted.epochs).toEqual([]);
  });

  test('so does a fit on counts', async () => {
    const seen: Progress[] = [];
    const counts = await EaseCounts.count(await some());
    await counts.fit({}, { onProgress: (progress) => seen.push(progress) });
    expect(seen.at(-1)).toMatchObject({ epoch: 0, epochs: 0, fraction: 1 });
  });

  test('models with epochs have none', async () => {
    const seen: Progress[] = [];
    await fit('als', await some(), { factors: 4, epochs: 2 }, { onProgress: (progress) => seen.push(progress) });
    expect(seen.at(-1)).toMatchObject({ epoch: 2, epochs: 2 });
    expect(seen.some((progress) => 'fraction' in progress)).toBe(false);
  });

  test('what it throws stops the fit, and an abort does', async () => {
    const data = await some();
    const options = { density: 0.3 };
    const thrown = new RangeError('enough');
    const onProgress = ({ fraction }: Progress) => {
      expect(fraction).toBeLessThan(1);
      throw thrown;
    };
    // The whole takes many seconds, and an item of it some milliseconds.
    await expect(fit('ease', data, options, { onProgress })).rejects.toBe(thrown);
    const controller = new AbortController();
    const abort = () => controller.abort('late');
    await expect(fit('ease', data, options, { onProgress: abort, signal: controller.signal })).rejects.toBe('late');
  });
});

describe('onStep', () => {
  test.each([
    ['recvae', { epochs: 2, batchSize: 7, hiddenDim: 8, latentDim: 4, gamma: 0.01 }],
    ['als', { epochs: 2, factors: 4 }],
  ] as [ModelName, object][])(
    'of %s tells how far the epoch at work is, also before the first one ends',
    async (model, options) => {
      const seen: StepProgress[] = [];
      await fit(model, await some(), options, { onStep: (step) => seen.push(step) });
      expect(seen.length).toBeGreaterThan(0);
      for (const { epoch, epochs, fraction } of seen) {
        expect(epochs).toBe(2);
        expect([1, 2]).toContain(epoch);
        expect(fraction).toBeGreaterThanOrEqual(0);
        expect(fraction).toBeLessThan(1);
      }
      const done = seen.map(({ epoch, fraction }) => epoch + fraction);
      expect(done).toEqual([...done].sort((a, b) => a - b));
    },
  );

  test('is told nothing of an epoch that was told, and stops the fit when it throws', async () => {
    const told: string[] = [];
    await fit(
      'als',
      await some(),
      { epochs: 3, factors: 4 },
      {
        onProgress: ({ epoch }) => told.push(`epoch ${epoch}`),
        onStep: ({ epoch }) => {
          expect(told).not.toContain(`epoch ${epoch}`);
        },
      },
    );
    expect(told.at(-1)).toBe('epoch 3');
    const thrown = new RangeError('enough');
    const onStep = () => {
      throw thrown;
    };
    await expect(fit('als', await some(), { epochs: 3, factors: 4 }, { onStep })).rejects.toBe(thrown);
    await expect(fit('ease', await some(), {}, { onStep: 1 as never })).rejects.toThrow(
      'onStep is 1; allowed: a function',
    );
  });
});

describe('largestThatFits', () => {
  const sized = async (model: ModelName, options: object, memoryLimit: number): Promise<[Split, unknown]> => {
    const data = await split(await some(), { seed: 1 });
    return [data, largestThatFits(model, options as never, data, { memoryLimit, threads: 2 })];
  };

  test.each([
    ['ease', { lambda: 20 }, 'density'],
    ['edlae', { dropoutRate: 0.5 }, 'density'],
    ['deql', { keptWeight: 0.5 }, 'density'],
    ['hoease', { pairs: 1500 }, 'pairs'],
    ['als', { factors: 512, epochs: 1 }, 'factors'],
    ['mult-dae', { latentDim: 256, epochs: 1 }, 'latentDim'],
  ] as [ModelName, object, string][])('%s is given another %j', async (model, options, name) => {
    const { train } = await split(await some(), { seed: 1 });
    const { nUsers: users, nItems: items, nInteractions: interactions } = train;
    const whole = estimateMemory(model, { users, items, interactions, options: options as never, threads: 2 }).fit;
    const memoryLimit = Math.round(0.75 * whole);
    const [data, found] = await sized(model, options, memoryLimit);
    const { options: smaller, changed } = found as { options: never; changed: { name: string; to: number }[] };
    expect(changed.map(({ name }) => name)).toEqual([name]);
    expect(smaller).toEqual({ ...options, [name]: changed[0]!.to });
    expect(changed[0]).toMatchObject({ from: (options as Record<string, number>)[name] ?? 1 });
    await expect(fit(model, data, options as never, { memoryLimit, threads: 2 })).rejects.toThrow(RecvaeError);
    await fit(model, data, smaller, { memoryLimit, threads: 2 });
    expect((await sized(model, options, whole))[1]).toEqual({ options, changed: [] });
  });

  test('says why nothing fits, and refuses what is no option', async () => {
    const [data, found] = await sized('popularity', {}, 1000);
    expect(found).toEqual({
      refusal: expect.stringMatching(/^popularity on \d+ users x \d+ items, .*; the way out: /),
    });
    const wrong = () => largestThatFits('als', { factor: 1 } as never, data);
    expect(wrong).toThrow(/^als option is 'factor'; allowed: factors,/);
    expect(() => largestThatFits('als', {}, data, { memory: 1 } as never)).toThrow(
      "a key of limits is 'memory'; allowed: threads, memoryLimit, seconds",
    );
    expect(() => largestThatFits('als', {}, data.train as never)).toThrow('data is');
  });
});

describe('estimateSeconds', () => {
  const games = { users: 29_013, items: 23_715, interactions: 268_000, threads: 2 };

  test('knows a fit before it begins', () => {
    // About a minute on two cores of a server; the constants are measured by benches/costs.mjs, not here.
    const seconds = estimateSeconds('ease', games);
    expect(seconds).toBeGreaterThan(30);
    expect(seconds).toBeLessThan(120);
    for (const model of ['edlae', 'rdlae', 'deql'] as const) expect(estimateSeconds(model, games)).toBe(seconds);
    expect(estimateSeconds('hoease', { ...games, options: { pairs: 10_000 } })).toBeGreaterThan(2 * seconds);
    expect(estimateSeconds('ease', { ...games, threads: 1 }) / seconds).toBeCloseTo(2, 2);
    expect(estimateSeconds('ease', { ...games, options: { precision: 'f64' } })).toBeGreaterThan(1.5 * seconds);
    expect(estimateSeconds('ease', { ...games, options: { density: 0.001 } })).toBeLessThan(0.1 * seconds);
  });

  test('looks at data, whose users and items are uneven', () => {
    // Of 6,000 items most are rare and meet few others; or twenty users have 600 items each, so that these meet many.
    const item = (row: number, power: number) => `i${Math.floor(6000 * (((row * 7919) % 24_001) / 24_001) ** power)}`;
    const rows = Array.from({ length: 24_000 }, (_, row) => row);
    const of = (user: (row: number) => number, power: number) =>
      Interactions.fromColumns({
        users: rows.map((row) => `u${user(row)}`),
        items: rows.map((row) => item(row, power)),
      });
    const tail = of((row) => row % 3000, 3);
    const heavy = of((row) => (row % 2 === 0 ? row % 40 : row % 3000), 1);
    for (const [data, model, options, least, most] of [
      // Rare items leave the inverse.
      [tail, 'ease', {}, 0, 0.8],
      [tail, 'deql', { precision: 'f64' }, 0, 0.8],
      // What an item's equations take grows with the cube of the others that it meets.
      [heavy, 'edlae', { density: 0.02 }, 2, Number.POSITIVE_INFINITY],
      [tail, 'als', {}, 1, 1],
    ] as const) {
      const { nUsers: users, nItems: items, nInteractions: interactions } = data;
      const numbers = { users, items, interactions };
      const ratio = estimateSeconds(model, { data, options }) / estimateSeconds(model, { ...numbers, options });
      expect(ratio, model).toBeGreaterThanOrEqual(least);
      expect(ratio, model).toBeLessThanOrEqual(most);
      expect(estimateMemory(model, { data, options })).toEqual(estimateMemory(model, { ...numbers, options }));
    }
    expect(() => estimateSeconds('ease', { data: { nUsers: 3 } } as never)).toThrow(
      /^data is .*; allowed: an instance of Split or Interactions$/,
    );
    expect(() => estimateSeconds('ease', { data: tail, users: 3 } as never)).toThrow(
      /^a key of shape is 'users'; allowed: data, /,
    );
    expect(() => estimateSeconds('ease', null as never)).toThrow(/^shape is null; allowed/);
  });

  test('grows with epochs, and wants a shape', () => {
    for (const model of ['als', 'mult-dae', 'mult-vae', 'recvae', 'hvamp'] as const) {
      const of = (epochs: number) => estimateSeconds(model, { ...games, options: { epochs } as never });
      expect(of(20) / of(10)).toBeGreaterThan(1.5);
      expect(of(20) / of(10)).toBeLessThanOrEqual(2);
    }
    expect(() => estimateSeconds('ease', { ...games, users: -1 })).toThrow(/^users is -1; allowed/);
    expect(() => estimateSeconds('ease', { ...games, factors: 1 } as never)).toThrow(/'factors'; allowed/);
  });
});
