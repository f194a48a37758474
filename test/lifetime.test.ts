/** Native memory: given back when asked to, known to V8, and never under the feet of a call. */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeAll, describe, expect, test } from 'vitest';
import { EaseCounts, evaluate, fit, Interactions, load, type Model, RecvaeError, split } from '../dist/index.js';
import { native } from '../dist/runtime/native.js';
import { NEWCOMER, planted, temporaryFolder } from './planted.js';

/** Matches the error of a call that came too late. */
const disposed = (what: string) =>
  expect.objectContaining({ code: 'INVALID_ARGUMENT', message: `${what} is disposed; allowed: one in use` });

function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(RecvaeError);
    return error;
  }
  throw new Error('no error');
}

describe('dispose', () => {
  test('of a model: what needs its parameters throws, and the second time is nothing', async () => {
    const data = await split(planted());
    const model = await fit('ease', data, { lambda: 10 });
    model.dispose();
    model.dispose();
    expect(thrown(() => model.recommend(NEWCOMER))).toEqual(disposed('model'));
    expect(thrown(() => model.recommendStream([]))).toEqual(disposed('model'));
    await expect(model.recommendBatch([NEWCOMER])).rejects.toEqual(disposed('model'));
    await expect(model.save('nowhere')).rejects.toEqual(disposed('model'));
    await expect(evaluate(model, data.test)).rejects.toEqual(disposed('model'));
    expect(thrown(() => model.filter({ deny: NEWCOMER }))).toEqual(disposed('model'));
    expect(thrown(() => model.recommend(NEWCOMER, { deny: NEWCOMER }))).toEqual(disposed('model'));
    expect(thrown(() => model.similarItems('i0-0'))).toEqual(disposed('model'));
    await expect(model.recommendBatch([NEWCOMER], { allow: NEWCOMER })).rejects.toEqual(disposed('model'));
    await expect(model.recommendColumns([NEWCOMER])).rejects.toEqual(disposed('model'));
    await expect(model.embed([NEWCOMER])).rejects.toEqual(disposed('model'));
    await expect(model.similarUsers(NEWCOMER, [])).rejects.toEqual(disposed('model'));
    await expect(model.explain(NEWCOMER, 'i0-0')).rejects.toEqual(disposed('model'));
    expect([model.kind, model.options.lambda, model.itemIds.length]).toEqual(['ease', 10, 40]);
  });

  test('of a model that made a filter, which other models refuse as before', async () => {
    const [model, other] = [await fit('ease', planted()), await fit('ease', planted())];
    const filter = model.filter({ allow: ['i0-0', 'i0-1', 'new'] });
    model.dispose();
    expect([filter.size, filter.unknown]).toEqual([2, ['new']]);
    expect(thrown(() => model.recommend(NEWCOMER, { filter }))).toEqual(disposed('model'));
    expect(thrown(() => model.similarItems('i0-0', 3, { filter }))).toEqual(disposed('model'));
    expect(thrown(() => model.filter({ filter }))).toEqual(disposed('model'));
    await expect(model.recommendColumns([NEWCOMER], { filter })).rejects.toEqual(disposed('model'));
    const message = 'filter is one of another model; allowed: a filter that this model made';
    expect(thrown(() => other.recommend(NEWCOMER, { filter }))).toMatchObject({ code: 'INVALID_ARGUMENT', message });
  });

  test('of interactions', async () => {
    const data = planted();
    data.dispose();
    data.dispose();
    for (const call of [
      () => data.nUsers,
      () => data.nItems,
      () => data.nInteractions,
      () => data.density,
      () => data.userIds(),
      () => data.itemIds(),
      () => data.history('u1'),
      () => data.toArrow(),
    ]) {
      expect(thrown(call)).toEqual(disposed('interactions'));
    }
    await expect(split(data)).rejects.toEqual(disposed('interactions'));
    await expect(fit('popularity', data)).rejects.toEqual(disposed('interactions'));
  });

  test('of counts', async () => {
    const counts = await EaseCounts.count(planted());
    const path = `${temporaryFolder()}/counts`;
    const [updated, fitted, saved] = [counts.update({ add: planted() }), counts.fit({ lambda: 10 }), counts.save(path)];
    counts.dispose();
    counts.dispose();
    for (const call of [
      () => counts.update({ add: planted() }),
      () => counts.fit({ lambda: 10 }),
      () => counts.save('nowhere'),
    ]) {
      await expect(call()).rejects.toEqual(disposed('counts'));
    }
    expect([counts.nUsers, counts.itemIds.length]).toEqual([200, 40]);
    expect((await updated).nUsers).toBe(400);
    expect((await fitted).recommend(NEWCOMER).items).toHaveLength(10);
    await saved;
    const data = planted();
    data.dispose();
    for (const change of [{ add: data }, { remove: data }]) {
      await expect((await EaseCounts.load(path)).update(change)).rejects.toEqual(disposed('interactions'));
    }
    await expect(EaseCounts.count(data)).rejects.toEqual(disposed('interactions'));
  });

  test('of a model to begin with', async () => {
    const options = { hiddenDim: 8, latentDim: 4, epochs: 1 };
    const from = await fit('recvae', planted(), options);
    const warm = fit('recvae', planted(), options, { from });
    from.dispose();
    expect((await warm).epochs).toHaveLength(1);
    await expect(fit('recvae', planted(), options, { from })).rejects.toEqual(disposed('model'));
  });

  test('of a split and of its parts', async () => {
    const data = await split(planted());
    const model = await fit('popularity', data);
    data.validation.dispose();
    expect(thrown(() => data.validation.nScored)).toEqual(disposed('heldOut'));
    expect(data.test.nUsers).toBe(20);
    await expect(fit('popularity', data)).rejects.toEqual(disposed('heldOut'));
    data.dispose();
    data.dispose();
    const { test: heldOut } = data;
    for (const call of [
      () => heldOut.nUsers,
      () => heldOut.userIds(),
      () => heldOut.input('u1'),
      () => heldOut.target('u1'),
    ]) {
      expect(thrown(call)).toEqual(disposed('heldOut'));
    }
    expect(thrown(() => data.train.nUsers)).toEqual(disposed('interactions'));
    await expect(data.write('nowhere')).rejects.toEqual(disposed('split'));
    await expect(evaluate(model, heldOut)).rejects.toEqual(disposed('heldOut'));
  });

  test('at the end of a block, by using', async () => {
    expect(typeof Symbol.dispose).toBe('symbol');
    let kept: Model | undefined;
    {
      using model = await fit('popularity', planted());
      kept = model;
      expect(kept.recommend([]).items).toHaveLength(10);
    }
    expect(thrown(() => kept.recommend([]))).toEqual(disposed('model'));
    for (const data of [planted(), await split(planted())]) data[Symbol.dispose]();
    (await split(planted())).test[Symbol.dispose]();
    (await EaseCounts.count(planted()))[Symbol.dispose]();
  });

  test('lets the calls in flight end as they would have', async () => {
    const data = await split(planted(400));
    const model = await fit('ease', data, { lambda: 10 });
    const histories = Array.from({ length: 2000 }, (_, n) => NEWCOMER.slice(n % NEWCOMER.length));
    const expected = await model.recommendBatch(histories);
    const { metrics } = await evaluate(model, data.test);
    const filter = model.filter({ deny: ['i0-0'] });
    const columns = await model.recommendColumns(histories, { filter });
    const explanation = await model.explain(NEWCOMER, 'i2-7');
    const path = `${temporaryFolder()}/model`;

    const batch = model.recommendBatch(histories);
    const evaluation = evaluate(model, data.test);
    const columnsToo = model.recommendColumns(histories, { filter });
    const explained = model.explain(NEWCOMER, 'i2-7');
    const saved = model.save(path);
    const fitted = fit('ease', data, { lambda: 10 });
    model.dispose();
    data.dispose();
    expect(await batch).toEqual(expected);
    expect((await evaluation).metrics).toEqual(metrics);
    expect(await columnsToo).toEqual(columns);
    expect(await explained).toEqual(explanation);
    await saved;
    for (const other of [await load(path), await fitted]) {
      expect(await other.recommendBatch(histories)).toEqual(expected);
    }
  });
});

describe('what V8 knows', () => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  /** Bytes that V8 knows of once the garbage is gone; finalisers of native objects run after the collection. */
  async function known(): Promise<number> {
    for (let turn = 0; turn < 4; turn += 1) {
      collect();
      await setImmediate();
    }
    return native.knownMemory();
  }
  /** Buffers of Node's own and typed arrays count too; what is measured is larger. */
  const NOISE = 256 * 1024;

  let path: string;
  let bytes: number;
  let data: Interactions;
  beforeAll(async () => {
    const all = await Interactions.dataset('debian');
    const users = all.userIds().slice(0, 1000);
    data = await Interactions.fromHistories(users.map((user) => ({ user, items: all.history(user)! })));
    bytes = 4 * data.nItems ** 2;
    all.dispose();
  });

  test('a model counts from its fit or its load to its disposal, once', async () => {
    expect(bytes).toBeGreaterThan(8 * NOISE);
    const start = await known();
    const fitted = await fit('ease', data, { lambda: 10 });
    expect(Math.abs((await known()) - start - bytes)).toBeLessThan(NOISE);
    path = `${temporaryFolder()}/model`;
    await fitted.save(path);
    const loaded = await load(path);
    expect(Math.abs((await known()) - start - 2 * bytes)).toBeLessThan(NOISE);
    fitted.dispose();
    fitted.dispose();
    expect(Math.abs((await known()) - start - bytes)).toBeLessThan(NOISE);
    loaded.dispose();
    expect(Math.abs((await known()) - start)).toBeLessThan(NOISE);
  });

  test('counts count, of half a matrix at most, until their disposal', async () => {
    const start = await known();
    const counts = await EaseCounts.count(data);
    const size = (await known()) - start;
    expect(size).toBeGreaterThan(data.nItems * 8);
    expect(size).toBeLessThan(bytes / 2 + data.nItems * 100 + NOISE);
    const file = `${temporaryFolder()}/counts`;
    await counts.save(file);
    const loaded = await EaseCounts.load(file);
    expect(Math.abs((await known()) - start - 2 * size)).toBeLessThan(NOISE);
    counts.dispose();
    loaded.dispose();
    expect(Math.abs((await known()) - start)).toBeLessThan(NOISE);
  });

  test('it goes with the garbage, once, whether it was disposed of or not', async () => {
    const start = await known();
    for (const dispose of [false, true]) {
      await (async () => {
        const model = await fit('ease', data, { lambda: 10 });
        expect(Math.abs((await known()) - start - bytes)).toBeLessThan(NOISE);
        if (dispose) model.dispose();
      })();
      expect(Math.abs((await known()) - start)).toBeLessThan(NOISE);
    }
  });

  test('a filter keeps no model', async () => {
    const start = await known();
    const filter = await (async () => {
      const model = await fit('ease', data, { lambda: 10 });
      expect(Math.abs((await known()) - start - bytes)).toBeLessThan(NOISE);
      return model.filter({ deny: model.itemIds.slice(0, 3) });
    })();
    expect(Math.abs((await known()) - start)).toBeLessThan(NOISE);
    expect(filter.size).toBe(data.nItems - 3);
  });

  test('interactions count, and a split with its parts counts once', async () => {
    const start = await known();
    const made = await Interactions.synth({ scale: 0.01 });
    // Four bytes an interaction, and what users and items take.
    const size = (await known()) - start;
    expect(size).toBeGreaterThan(4 * made.nInteractions);
    expect(size).toBeLessThan(4 * made.nInteractions + 100 * (made.nUsers + made.nItems) + NOISE);
    const parts = await split(made);
    const both = await known();
    expect(both - start - size).toBeGreaterThan(4 * parts.train.nInteractions);
    expect(both - start - size).toBeLessThan(2 * size);
    parts.train.dispose();
    parts.validation.dispose();
    expect(Math.abs((await known()) - both)).toBeLessThan(NOISE);
    parts.dispose();
    expect(Math.abs((await known()) - start - size)).toBeLessThan(NOISE);
    made.dispose();
    expect(Math.abs((await known()) - start)).toBeLessThan(NOISE);
  });
});

test('a model that is loaded while another one serves takes its place between two answers', async () => {
  const folder = temporaryFolder();
  const data = await Interactions.dataset('debian');
  const users = data.userIds().slice(0, 500);
  const histories = users.map((user) => data.history(user)!);
  const some = await Interactions.fromHistories(users.map((user, at) => ({ user, items: histories[at]! })));
  // Two models that answer differently, each with its answers.
  const versions = new Map<string, { single: string[]; batch: string }>();
  for (const lambda of [1, 1000]) {
    const model = await fit('ease', some, { lambda }, { info: `${lambda}` });
    await model.save(`${folder}/${lambda}`);
    const single = histories.map((history) => JSON.stringify(model.recommend(history)));
    versions.set(`${lambda}`, { single, batch: JSON.stringify(await model.recommendBatch(histories)) });
    model.dispose();
  }
  expect(versions.get('1')!.batch).not.toBe(versions.get('1000')!.batch);

  let serving = await load(`${folder}/1`);
  let swaps = 0;
  const answered = { '1': 0, '1000': 0 };
  const SWAPS = 20;
  const check = (version: string, answer: string, right: string) => {
    expect(answer).toBe(right);
    answered[version as '1'] += 1;
  };
  async function single() {
    for (let n = 0; swaps < SWAPS; n += 1) {
      const version = serving.info as string;
      const answer = JSON.stringify(serving.recommend(histories[n % histories.length]!));
      check(version, answer, versions.get(version)!.single[n % histories.length]!);
      if (n % 16 === 0) await setImmediate();
    }
  }
  async function batches() {
    while (swaps < SWAPS) {
      const version = serving.info as string;
      // The model may be disposed of before the answer is there.
      const answer = JSON.stringify(await serving.recommendBatch(histories));
      check(version, answer, versions.get(version)!.batch);
    }
  }
  async function swap() {
    for (; swaps < SWAPS; swaps += 1) {
      const next = await load(`${folder}/${serving.info === '1' ? '1000' : '1'}`);
      const old = serving;
      serving = next;
      old.dispose();
    }
  }
  await Promise.all([single(), batches(), batches(), swap()]);
  expect(answered['1']).toBeGreaterThan(SWAPS);
  expect(answered['1000']).toBeGreaterThan(SWAPS);
});
