import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { evaluate, fit, Interactions, load, type Progress, recommend, Split, split } from '../dist/index.js';
import { ofNetwork, TRAINED } from './kinds.js';
import { NEWCOMER, planted, plantedColumns, temporaryFolder } from './planted.js';

const SMALL = { hiddenDim: 16, latentDim: 8, epochs: 3, batchSize: 50 };

describe('Interactions', () => {
  test('the same data come from columns, histories and files', async () => {
    const { users, items } = plantedColumns(20);
    const fromColumns = Interactions.fromColumns({ users, items });
    const grouped = new Map<string, string[]>();
    for (const [row, user] of users.entries()) grouped.set(user, [...(grouped.get(user) ?? []), items[row]!]);
    async function* histories() {
      for (const [user, ofUser] of grouped) yield { user, items: ofUser };
    }
    const fromHistories = await Interactions.fromHistories(histories());
    const path = join(temporaryFolder(), 'likes.tsv.gz');
    writeFileSync(path, gzipSync(`item\tuser\n${users.map((user, row) => `${items[row]}\t${user}\n`).join('')}`));
    const fromFile = await Interactions.fromFile(path);
    for (const data of [fromColumns, fromHistories, fromFile]) {
      expect(data.nUsers).toBe(20);
      expect(data.nInteractions).toBe(users.length);
      expect(data.density).toBeCloseTo(users.length / data.nUsers / data.nItems, 12);
      expect(data.userIds()).toEqual(fromColumns.userIds());
      expect(data.itemIds()).toEqual(fromColumns.itemIds());
      expect(data.history('u3')).toEqual(fromColumns.history('u3'));
      expect(data.history('nobody')).toBeUndefined();
    }
  });

  test('values, thresholds and duplicates', () => {
    const users = ['a', 'a', 'a', 'b', 'b'];
    const items = ['x', 'x', 'y', 'x', 'y'];
    const data = Interactions.fromColumns({ users, items, values: [5, 5, 2, 4, 4] }, { minValue: 4, minUser: 2 });
    expect(data.userIds()).toEqual(['b']);
    expect(data.nInteractions).toBe(2);
  });

  test('what an iterable throws comes through', async () => {
    const failing = async function* () {
      yield { user: 'a', items: ['x'] };
      throw new RangeError('the cursor is gone');
    };
    await expect(Interactions.fromHistories(failing())).rejects.toThrow(new RangeError('the cursor is gone'));
  });
});

describe('split', () => {
  test('users are held out whole, and the seed decides which', async () => {
    const data = await split(planted(), { validation: 30, test: 0.2, seed: 7 });
    expect(data.validation.nUsers).toBe(30);
    expect(data.test.nUsers).toBe(Math.round(0.2 * 200));
    const all = [data.train, data.validation, data.test].flatMap((part) => part.userIds());
    expect(new Set(all).size).toBe(all.length);
    const [user] = data.test.userIds();
    expect(data.train.history(user!)).toBeUndefined();
    expect(data.test.input(user!)!.filter((item) => data.test.target(user!)!.includes(item))).toEqual([]);
    expect((await split(planted(), { validation: 30, test: 0.2, seed: 7 })).test.userIds()).toEqual(
      data.test.userIds(),
    );
    expect((await split(planted(), { validation: 30, test: 0.2, seed: 8 })).test.userIds()).not.toEqual(
      data.test.userIds(),
    );
  });

  test('the official layout brings the same split back', async () => {
    const data = await split(planted());
    const folder = join(temporaryFolder(), 'official');
    await data.write(folder);
    const again = await Split.fromOfficial(folder);
    expect(again.train.itemIds()).toEqual(data.train.itemIds());
    for (const user of data.test.userIds()) expect(again.test.target(user)).toEqual(data.test.target(user));
  });
});

describe('models', () => {
  test.each(['ease', 'mult-vae', 'recvae'] as const)('%s finds the planted block for a new user', async (kind) => {
    const epochs = { hiddenDim: 32, latentDim: 8, epochs: 30, batchSize: 20, learningRate: 0.01 };
    const model = await fit(kind, await split(planted()), kind === 'ease' ? { lambda: 10 } : epochs);
    const { items, unknown } = model.recommend([...NEWCOMER, 'no such item'], { k: 5 });
    expect(items.map(({ id }) => id).sort()).toEqual(['i2-5', 'i2-6', 'i2-7', 'i2-8', 'i2-9']);
    expect(unknown).toEqual(['no such item']);
    expect([...items].sort((a, b) => b.score - a.score)).toEqual(items);
  });

  test('one by one, in a batch and as a function', async () => {
    const model = await fit('ease', planted(), { lambda: 10 });
    const histories = [NEWCOMER, [], ['i0-0', 'nothing', 'i0-1', 'nothing']];
    const batch = await model.recommendBatch(histories, { k: 3 }, { threads: 2 });
    expect(batch).toEqual(histories.map((history) => model.recommend(history, { k: 3 })));
    expect(batch[2]!.unknown).toEqual(['nothing', 'nothing']);
    expect(recommend(model, NEWCOMER)).toEqual(model.recommend(NEWCOMER));
    expect(await model.recommendBatch([])).toEqual([]);
    const seen = model.recommend(NEWCOMER, { k: 100, filterSeen: false }).items.map(({ id }) => id);
    expect(seen).toContain('i2-0');
    expect(model.recommend(NEWCOMER, { k: 100 }).items).toHaveLength(model.itemIds.length - NEWCOMER.length);
  });

  test.each(TRAINED)('%s: saved, loaded, the same', async (kind) => {
    const options = ofNetwork(kind, SMALL);
    const folder = temporaryFolder();
    const data = await split(planted());
    const paths = [1, 2].map((threads) => ({ threads, path: join(folder, `${threads}.safetensors`) }));
    for (const { threads, path } of paths) {
      const model = await fit(kind, data, options, { threads, info: { source: 'planted' } });
      await model.save(path);
      const again = await load(path);
      expect(again.kind).toBe(kind);
      expect(again.options).toEqual(model.options);
      expect(again.options).toMatchObject(options);
      expect(again.info).toEqual({ source: 'planted' });
      expect(again.recommend(NEWCOMER)).toEqual(model.recommend(NEWCOMER));
    }
    // The same bytes for any number of threads.
    expect(readFileSync(paths[0]!.path).equals(readFileSync(paths[1]!.path))).toBe(true);
  });

  test('epochs are reported while training runs, and the event loop stays free', async () => {
    const seen: Progress[] = [];
    let ticks = 0;
    const timer = setInterval(() => {
      ticks += 1;
    }, 1);
    const options = { ...SMALL, hiddenDim: 300, epochs: 5, patience: 5 };
    const model = await fit('recvae', await split(planted(400)), options, { onProgress: (epoch) => seen.push(epoch) });
    clearInterval(timer);
    // Ten times a second at most, but always the last one.
    expect(model.epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5]);
    expect(seen).toEqual(model.epochs.filter(({ epoch }) => seen.some((progress) => progress.epoch === epoch)));
    expect(seen.at(-1)).toEqual(model.epochs.at(-1));
    expect(model.epochs[0]).toMatchObject({ epochs: 5, best: true });
    expect(model.epochs[0]!.validation).toBeGreaterThan(0);
    expect(ticks).toBeGreaterThan(3);
  });

  test('what a progress callback throws rejects the promise', async () => {
    const onProgress = () => {
      throw new RangeError('enough');
    };
    await expect(fit('mult-vae', planted(), SMALL, { onProgress })).rejects.toThrow(new RangeError('enough'));
  });

  test('more fits at once than libuv has threads', async () => {
    const data = await split(planted());
    const models = await Promise.all([1, 2, 5, 10, 20, 50].map((lambda) => fit('ease', data, { lambda })));
    expect(models.map(({ options }) => options.lambda)).toEqual([1, 2, 5, 10, 20, 50]);
  });
});

describe('evaluate', () => {
  test('means, errors and values per user agree', async () => {
    const data = await split(planted());
    const model = await fit('ease', data, { lambda: 10 });
    const { metrics, users, skipped } = await evaluate(model, data.test, { metrics: ['ndcg@10', 'coverage@10'] });
    expect(users.length + skipped).toBe(data.test.nUsers);
    const { mean, standardError, perUser } = metrics['ndcg@10']!;
    expect(perUser).toBeInstanceOf(Float64Array);
    expect(perUser).toHaveLength(users.length);
    const average = perUser.reduce((sum, value) => sum + value, 0) / perUser.length;
    expect(mean).toBeCloseTo(average, 12);
    const squares = perUser.reduce((sum, value) => sum + (value - average) ** 2, 0);
    expect(standardError).toBeCloseTo(Math.sqrt(squares / (perUser.length - 1) / perUser.length), 12);
    expect(metrics['coverage@10']!.standardError).toBeNull();
    const popularity = await evaluate(await fit('popularity', data), data.test, { metrics: ['ndcg@10'] });
    expect(mean).toBeGreaterThan(popularity.metrics['ndcg@10']!.mean);
  });

  test('items that the model does not know are counted', async () => {
    const model = await fit('popularity', Interactions.fromColumns({ users: ['a', 'b'], items: ['i0-0', 'i0-1'] }));
    const { test: heldOut } = await split(planted(), { minUserItems: 5 });
    const { unknown } = await evaluate(model, heldOut, { metrics: ['recall@5'] });
    expect(unknown).toBeGreaterThan(0);
  });
});
