/** What holds for any input, tried on random ones: fast-check shrinks what fails to its smallest form. */
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Batch,
  compare,
  estimateMemory,
  evaluate,
  fit,
  Interactions,
  load,
  type ModelName,
  RecvaeError,
  type Split,
  split,
} from '../dist/index.js';
import { description } from '../dist/runtime/native.js';
import { ofNetwork, TRAINED } from './kinds.js';
import { planted, temporaryFolder } from './planted.js';

/** Ids of all kinds, few enough to meet again. */
const id = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('a', 'b', 'c', 'd', 'é', '0', '1', '10', '-1', 'a,b', '"', '\n', ' ', '__proto__'),
  },
  { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' }) },
);
const pairs = fc.array(fc.tuple(id, id), { minLength: 1, maxLength: 60 });

/** Who has what, without any order. */
function contents(data: Interactions): Map<string, string[]> {
  return new Map(data.userIds().map((user) => [user, data.history(user)!.sort()]));
}

/** The same by the rules in a few lines: users in order of appearance, duplicates collapsed. */
function expected(rows: [string, string][]): Map<string, string[]> {
  const sets = new Map<string, Set<string>>();
  for (const [user, item] of rows) sets.set(user, (sets.get(user) ?? new Set()).add(item));
  return new Map([...sets].map(([user, items]) => [user, [...items].sort()]));
}

const columns = (rows: [string, string][]) => ({
  users: rows.map(([user]) => user),
  items: rows.map(([, item]) => item),
});

/** The error of a call that must be refused, as the caller's mistake. */
async function refused(call: () => unknown): Promise<void> {
  try {
    await call();
  } catch (error) {
    expect(error).toBeInstanceOf(RecvaeError);
    expect((error as RecvaeError).code, (error as RecvaeError).message).toBe('INVALID_ARGUMENT');
    expect((error as RecvaeError).message).toMatch(/allowed/);
    return;
  }
  throw new Error('no error');
}

describe('interactions', () => {
  test('the same rows give the same data by every way in, and come back from Arrow', async () => {
    await fc.assert(
      fc.asyncProperty(
        pairs,
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 400 }),
        async (rows, size, cut) => {
          const data = Interactions.fromColumns(columns(rows));
          expect(contents(data)).toEqual(expected(rows));
          expect(data.userIds()).toEqual([...expected(rows).keys()]);
          expect(data.itemIds()).toEqual([...new Set(rows.map(([, item]) => item))]);

          const batches: Batch[] = [];
          for (let start = 0; start < rows.length; start += size)
            batches.push(columns(rows.slice(start, start + size)));
          const fromBatches = await Interactions.fromBatches(batches);
          const fromHistories = await Interactions.fromHistories(rows.map(([user, item]) => ({ user, items: [item] })));
          for (const same of [fromBatches, fromHistories]) {
            expect(contents(same)).toEqual(contents(data));
            expect(same.itemIds()).toEqual(data.itemIds());
          }

          const bytes = data.toArrow();
          const pieces = Array.from({ length: Math.ceil(bytes.length / cut) }, (_, at) =>
            bytes.subarray(at * cut, (at + 1) * cut),
          );
          for (const form of [bytes, pieces]) {
            const again = await Interactions.fromArrow(form);
            expect(contents(again)).toEqual(contents(data));
            expect(again.userIds()).toEqual(data.userIds());
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  test('thresholds hold for everybody who is left, and nobody is left out who could stay', () => {
    fc.assert(
      fc.property(pairs, fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 }), (rows, minUser, minItem) => {
        // Taking away whoever has too few until nobody has.
        let left = [...expected(rows)].flatMap(([user, items]) =>
          items.map((item) => [user, item] as [string, string]),
        );
        for (let before = -1; before !== left.length; ) {
          before = left.length;
          const count = (side: 0 | 1, name: string) => left.filter((row) => row[side] === name).length;
          left = left.filter(([user, item]) => count(0, user) >= minUser && count(1, item) >= minItem);
        }
        const read = () => Interactions.fromColumns(columns(rows), { minUser, minItem });
        if (left.length === 0) {
          expect(read).toThrow(/no interactions left/);
          return;
        }
        const sorted = (data: Map<string, string[]>) => [...data].sort();
        expect(sorted(contents(read()))).toEqual(sorted(expected(left)));
      }),
      { numRuns: 200 },
    );
  });
});

describe('split', () => {
  const shares = fc.record({
    validation: fc.oneof(fc.double({ min: 0, max: 0.3, noNaN: true }), fc.integer({ min: 1, max: 30 })),
    test: fc.oneof(fc.double({ min: 0, max: 0.3, noNaN: true }), fc.integer({ min: 1, max: 30 })),
    heldOut: fc.double({ min: 0.05, max: 0.95, noNaN: true }),
    minUserItems: fc.integer({ min: 0, max: 12 }),
    shortUsers: fc.constantFrom('train' as const, 'drop' as const),
    seed: fc.integer({ min: 0, max: 2 ** 31 }),
  });

  test('nothing leaks, sizes are as asked for, and the seed decides', async () => {
    const data = planted(120);
    await fc.assert(
      fc.asyncProperty(shares, async (options) => {
        const eligible = data.userIds().filter((user) => data.history(user)!.length >= options.minUserItems);
        const others = options.shortUsers === 'drop' ? 0 : data.nUsers - eligible.length;
        const size = (share: number) => Math.round(share < 1 ? share * eligible.length : share);
        const sizes = [size(options.validation), size(options.test)] as const;
        const zero = (['validation', 'test'] as const).some((part, at) => options[part] > 0 && sizes[at] === 0);
        let parts: Split;
        try {
          parts = await split(data, options);
        } catch (error) {
          expect((error as RecvaeError).code).toBe('INVALID_DATA');
          const left = eligible.length - sizes[0] - sizes[1];
          expect(zero || left < 0 || left + others === 0).toBe(true);
          return;
        }
        expect([parts.validation.nUsers, parts.test.nUsers]).toEqual(sizes);
        const users = [parts.train, parts.validation, parts.test].flatMap((part) => part.userIds());
        expect(users.sort()).toEqual((options.shortUsers === 'drop' ? [...eligible] : data.userIds()).sort());
        const dropped = parts.leftOut.find(({ reason }) => reason === 'shortUsers')?.users ?? 0;
        expect(users.length + dropped).toBe(data.nUsers);
        for (const part of [parts.validation, parts.test]) {
          for (const user of part.userIds()) expect(eligible).toContain(user);
        }
        const known = new Set(parts.train.itemIds());
        for (const user of parts.train.userIds()) expect(parts.train.history(user)).toEqual(data.history(user));
        for (const part of [parts.validation, parts.test]) {
          for (const user of part.userIds()) {
            const [input, target] = [part.input(user)!, part.target(user)!];
            expect(parts.train.history(user)).toBeUndefined();
            // Every known item is on one side, none on both.
            expect([...input, ...target].sort()).toEqual(
              data
                .history(user)!
                .filter((item) => known.has(item))
                .sort(),
            );
            const n = input.length + target.length;
            const least = Math.min(options.minUserItems, 5);
            expect(target.length).toBe(n < least ? 0 : Math.floor(options.heldOut * n));
          }
        }
        const again = await split(data, options);
        for (const part of ['validation', 'test'] as const) {
          expect(again[part].userIds()).toEqual(parts[part].userIds());
          for (const user of parts[part].userIds()) expect(again[part].target(user)).toEqual(parts[part].target(user));
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('models', () => {
  const small = { hiddenDim: 8, latentDim: 4, epochs: 1, batchSize: 64 };
  const fitted = async (name: ModelName) => fit(name, planted(80), ofNetwork(name, small));

  test.each(TRAINED)(
    '%s: lists are as long as asked for, sorted, without what was seen; a saved model gives the same',
    async (name) => {
      const model = await fitted(name);
      const path = join(temporaryFolder(), 'model.safetensors');
      await model.save(path);
      const loaded = await load(path);
      const known = fc.constantFrom(...model.itemIds);
      const history = fc.array(fc.oneof({ weight: 3, arbitrary: known }, { weight: 1, arbitrary: id }), {
        maxLength: 50,
      });
      await fc.assert(
        fc.asyncProperty(history, fc.integer({ min: 1, max: 60 }), fc.boolean(), async (ids, k, filterSeen) => {
          const result = model.recommend(ids, { k, filterSeen });
          const { items, unknown } = result;
          const seen = new Set(ids.filter((one) => model.itemIds.includes(one)));
          const left = model.itemIds.length - (filterSeen ? seen.size : 0);
          expect(items.length).toBe(Math.min(k, left));
          expect(new Set(items.map((item) => item.id)).size).toBe(items.length);
          if (filterSeen) expect(items.filter((item) => seen.has(item.id))).toEqual([]);
          for (const [at, { score }] of items.entries()) {
            expect(Number.isFinite(score)).toBe(true);
            if (at > 0) expect(score).toBeLessThanOrEqual(items[at - 1]!.score);
          }
          expect(unknown).toEqual(ids.filter((one) => !seen.has(one)));
          if (seen.size === 0) expect(result.fallbackUsed).toBe(true);
          expect(model.recommend(ids, { k, filterSeen })).toEqual(result);
          expect(loaded.recommend(ids, { k, filterSeen })).toEqual(result);
          // The order of a history and its duplicates do not count.
          const shuffled = model.recommend([...ids].reverse().concat(ids), { k, filterSeen });
          expect(shuffled.items).toEqual(items);
        }),
        { numRuns: 60 },
      );
    },
  );
});

describe('options', () => {
  /** What no option takes, whatever its range: numbers out of all ranges, other types, and what JSON cannot hold. */
  const never = fc.oneof(
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1e9, 1e300, 10n ** 30n),
    fc.constantFrom(null, {}, [], [1], { value: 1 }, Symbol.for('x'), () => 1),
    fc.string({ maxLength: 5 }).filter((text) => !/^(f32|f64|csv|tsv|dense|user)$/.test(text)),
  );
  const names = description.models.map(({ name }) => name as ModelName);
  /** A model, the name of one of its options, and a bad value for it; functions and symbols are left out by JSON. */
  const bad = fc
    .constantFrom(...description.models.flatMap(({ name, options }) => options.map((option) => ({ name, option }))))
    .chain(({ name, option }) =>
      fc.record({
        model: fc.constant(name as ModelName),
        key: fc.constant(option.name),
        value: never.filter((value) => {
          if (typeof value === 'function' || typeof value === 'symbol') return false;
          if (option.typescript === 'number') return value !== 1e300 || /from|below|whole/.test(option.allowed);
          return true;
        }),
      }),
    );

  test('a bad value of any option of any model is refused', async () => {
    const data = planted(30);
    const parts = await split(data);
    await fc.assert(
      fc.asyncProperty(bad, async ({ model, key, value }) => {
        const options = { [key]: value } as object;
        await refused(() => fit(model, data, options));
        await refused(() => estimateMemory(model, { users: 1, items: 1, interactions: 1, options }));
        await refused(() => compare(parts, { options: { [model]: options } }));
      }),
      { numRuns: 300 },
    );
  });

  test('a key that does not exist is refused everywhere', async () => {
    const data = planted(30);
    const parts = await split(data);
    const model = await fit('popularity', data);
    const calls: ((options: object) => unknown)[] = [
      ...names.map((name) => (options: object) => fit(name, data, options)),
      (options) => fit('ease', data, {}, options),
      (options) => split(data, options),
      (options) => Interactions.fromColumns({ users: ['a'], items: ['b'] }, options),
      (options) => Interactions.fromBatches([], options),
      (options) => Interactions.fromArrow(new Uint8Array(), options),
      (options) => Interactions.fromFile('none.csv', options),
      (options) => Interactions.synth(options),
      (options) => model.recommend([], options),
      (options) => model.recommendBatch([], options),
      (options) => evaluate(model, parts.test, options),
      (options) => compare(parts, options),
    ];
    const key = fc.string({ minLength: 1, maxLength: 12 }).map((text) => `x${text}`);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...calls), key, fc.jsonValue(), (call, name, value) =>
        refused(() => call({ [name]: value })),
      ),
      { numRuns: 200 },
    );
  });

  test('whatever is passed as an argument, the answer is an error of ours', async () => {
    const data = planted(30);
    const model = await fit('popularity', data);
    const calls: ((value: never) => unknown)[] = [
      (value) => fit(value, data),
      (value) => fit('popularity', value),
      (value) => split(value),
      (value) => compare(value),
      (value) => evaluate(value, value),
      (value) => Interactions.fromColumns(value),
      (value) => Interactions.fromHistories([value]),
      (value) => Interactions.fromBatches([value]),
      (value) => Interactions.fromArrow([value]),
      (value) => model.recommend([value]),
      (value) => model.recommendBatch([value]),
      (value) => estimateMemory('ease', value),
    ];
    const anything = fc.anything({ withBigInt: true, withTypedArray: true, withDate: true, withNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...calls), anything, async (call, value) => {
        try {
          await call(value as never);
        } catch (error) {
          expect(error).toBeInstanceOf(RecvaeError);
          expect(['INVALID_ARGUMENT', 'INVALID_DATA']).toContain((error as RecvaeError).code);
        }
      }),
      { numRuns: 400 },
    );
  });
});
