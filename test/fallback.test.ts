/** What comes where a model knows nothing: the most popular items, and the word that it was so. */
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { EaseCounts, fit, Interactions, load, type Model, type ModelName } from '../dist/index.js';
import { recvae } from './command.js';
import { NEWCOMER, planted, plantedColumns, temporaryFolder } from './planted.js';

const OLD = fileURLToPath(new URL('./fixtures/models/first-ease.safetensors', import.meta.url));

/** The items by their number of users, the first in the data among equals. */
function popular(data: Interactions): { id: string; score: number }[] {
  const counts = new Map(data.itemIds().map((id) => [id, 0]));
  for (const user of data.userIds()) for (const id of data.history(user)!) counts.set(id, counts.get(id)! + 1);
  return [...counts].map(([id, score]) => ({ id, score })).sort((a, b) => b.score - a.score);
}

const KINDS: [ModelName, object][] = [
  ['popularity', {}],
  ['ease', { lambda: 10 }],
  ['edlae', { lambda: 10 }],
  ['rdlae', { lambda: 10 }],
  ['deql', { lambda: 10 }],
  ['hoease', { lambda: 10, pairs: 50 }],
  ['als', { factors: 4, epochs: 2 }],
  ['mult-dae', { latentDim: 4, epochs: 1 }],
  ['mult-vae', { hiddenDim: 8, latentDim: 4, epochs: 1 }],
  ['recvae', { hiddenDim: 8, latentDim: 4, epochs: 1, gamma: 0.01 }],
  ['hvamp', { hiddenDim: 8, latentDim: 4, pseudoUsers: 5, epochs: 1 }],
];

describe('fallback', () => {
  test.each(KINDS)(
    'of %s: an unknown history gets the most popular items, before and after the file',
    async (kind, options) => {
      const data = planted();
      const path = join(temporaryFolder(), 'm.st');
      const fitted = await fit(kind, data, options as never);
      await fitted.save(path);
      const best = popular(data);
      for (const model of [fitted, await load(path)] as Model[]) {
        expect(model.fallback).toBe('popularity');
        expect(model.recommend([], { k: 5 })).toEqual({ items: best.slice(0, 5), unknown: [], fallbackUsed: true });
        expect(model.recommend(['x', 'y'], { k: 2 })).toEqual({
          items: best.slice(0, 2),
          unknown: ['x', 'y'],
          fallbackUsed: true,
        });
        const [first, second, ...rest] = best;
        const filter = model.filter({ deny: [first!.id] });
        expect(model.recommend([], { k: 3, filter }).items).toEqual([second, ...rest.slice(0, 2)]);
        expect(model.recommend([], { allow: [rest.at(-1)!.id, second!.id] }).items).toEqual([second, rest.at(-1)]);
        const known = model.recommend([...NEWCOMER, 'x'], { k: 3 });
        expect(known.fallbackUsed).toBe(false);
        expect(model.recommend([...NEWCOMER, 'x'], { k: 3, fallback: 'none' })).toEqual(known);
        expect(model.recommend([], { k: 3, fallback: 'none' }).fallbackUsed).toBe(false);
        // Many at once, as objects, as columns and in a stream.
        const histories = [[], NEWCOMER, ['x'], NEWCOMER];
        const alone = histories.map((history) => model.recommend(history, { k: 4 }));
        expect(await model.recommendBatch(histories, { k: 4 })).toEqual(alone);
        expect([...(await model.recommendColumns(histories, { k: 4 })).fallbackUsed]).toEqual([1, 0, 1, 0]);
        const streamed = [];
        const users = histories.map((items, at) => ({ user: `u${at}`, items }));
        for await (const { user: _, ...result } of model.recommendStream(users, { k: 4 })) streamed.push(result);
        expect(streamed).toEqual(alone);
      }
    },
  );

  test('zeros of a pruned model are filled by popularity, and the scores stay', async () => {
    const data = planted();
    const dense = await fit('ease', data, { lambda: 10 });
    const model = await dense.compact({ topPerItem: 2 }, { signal: new AbortController().signal });
    await expect(dense.compact({ topPerItem: 2 }, { signal: AbortSignal.abort('no') })).rejects.toBe('no');
    expect(model.fallback).toBe('popularity');
    const list = model.recommend(['i2-0'], { k: 12 });
    const plain = model.recommend(['i2-0'], { k: 12, fallback: 'none' });
    const scores = (items: { score: number }[]) => items.map(({ score }) => score);
    expect(scores(list.items)).toEqual(scores(plain.items));
    const scored = plain.items.filter(({ score }) => score !== 0);
    expect(scored.length).toBeLessThan(12);
    expect(list.items.slice(0, scored.length)).toEqual(scored);
    expect([list.fallbackUsed, plain.fallbackUsed]).toEqual([true, false]);
    const whole = new Map(model.recommend(['i2-0'], { k: 40 }).items.map(({ id, score }) => [id, score]));
    const zeros = popular(data).filter(({ id }) => whole.get(id) === 0);
    expect(list.items.slice(scored.length).map(({ id }) => id)).toEqual(
      zeros.slice(0, 12 - scored.length).map(({ id }) => id),
    );
  });

  test('of a model that is fitted on counts is by all users that were counted', async () => {
    const { users, items } = plantedColumns();
    const half = users.length / 2;
    const part = (from: number, to: number) =>
      Interactions.fromColumns({
        users: users.slice(from, to).map((user) => `${user}-${from}`),
        items: items.slice(from, to),
      });
    const parts = [part(0, Math.floor(half)), part(Math.floor(half), users.length)] as const;
    const counts = await (await EaseCounts.count(parts[0])).update({ add: parts[1] });
    const model = await counts.fit({ lambda: 10 });
    const all = new Map<string, number>();
    for (const data of parts) for (const { id, score } of popular(data)) all.set(id, (all.get(id) ?? 0) + score);
    const { items: list } = model.recommend([], { k: 40 });
    expect(list).toHaveLength(40);
    for (const { id, score } of list) expect(score).toBe(all.get(id));
    expect(list.map(({ score }) => score)).toEqual(list.map(({ score }) => score).sort((a, b) => b - a));
  });

  test('old files keep none, and say so', async () => {
    const old = await load(OLD);
    expect(old.fallback).toBe('none');
    const list = old.recommend([], { k: 3 });
    expect([list.items.map(({ score }) => score), list.fallbackUsed]).toEqual([[0, 0, 0], false]);
    expect(() => old.recommend([], { fallback: 'popularity' })).toThrow(
      "fallback is 'popularity'; allowed: 'none' for a model whose file does not say how many users have an item",
    );
    expect(() => old.recommend([], { fallback: 'random' as never })).toThrow(
      "fallback is \"random\"; allowed: 'popularity' or 'none'",
    );
    // Saved anew it stays what it was.
    const folder = temporaryFolder();
    await old.save(join(folder, 'again.st'));
    expect((await load(join(folder, 'again.st'))).fallback).toBe('none');
    copyFileSync(OLD, join(folder, 'old.st'));
    const input = '{"user":"u","items":[]}\n';
    const told = await recvae(folder, ['recommend', 'old.st', '-k', '1'], { input });
    expect([told.code, told.stderr]).toEqual([
      0,
      expect.stringMatching(/^warning: old.st does not say how many users/),
    ]);
    const silent = await recvae(folder, ['recommend', 'old.st', '-k', '1', '--fallback', 'none'], { input });
    expect([silent.code, silent.stderr, silent.stdout]).toEqual([0, '', told.stdout]);
    const refused = await recvae(folder, ['recommend', 'old.st', '--fallback', 'popularity'], { input });
    expect([refused.code, refused.stderr]).toEqual([
      2,
      expect.stringMatching(/^recvae: --fallback is 'popularity'; allowed: 'none'/),
    ]);
  });
});

describe('lists of each history', () => {
  test('hold beside those of the call, in batches and in streams', async () => {
    const model = await fit('ease', planted(), { lambda: 10 });
    const requests = [
      { items: NEWCOMER, deny: ['i2-5', 'i2-6', 'new'] },
      { items: NEWCOMER, allow: ['i2-7', 'i2-8', 'i0-0', 'new'], deny: ['i2-8'] },
      { items: [], deny: ['i0-0'], allow: undefined },
      { items: NEWCOMER },
      { items: ['x'], allow: [] },
    ];
    const common = { k: 6, deny: ['i2-9'] };
    const expected = requests.map(({ items, allow, deny = [] }) =>
      model.recommend(items, { ...common, ...(allow && { allow }), deny: [...common.deny, ...deny] }),
    );
    expect(await model.recommendBatch(requests, common, { threads: 2 })).toEqual(expected);
    // A mixture of both forms, and a filter that was prepared.
    const filter = model.filter({ deny: common.deny });
    const mixed = requests.map((request) => (request.deny || request.allow ? request : request.items));
    expect(await model.recommendBatch(mixed, { k: 6, filter })).toEqual(expected);
    const found = [];
    const users = requests.map((request, at) => ({ user: at, ...request }));
    for await (const { user, ...result } of model.recommendStream(users, common)) {
      expect(user).toBe(String(found.length));
      found.push(result);
    }
    expect(found).toEqual(expected);
    const stream = model.recommendTransform(common);
    for (const user of users) stream.write(user);
    stream.end();
    const piped = [];
    for await (const { user: _, ...result } of stream) piped.push(result);
    expect(piped).toEqual(expected);
  });

  test('that are none are named', async () => {
    const model = await fit('ease', planted(), { lambda: 10 });
    // biome-ignore lint/suspicious/noExplicitAny: what TypeScript would have refused
    const cases: [any, string][] = [
      [{ items: [], allow: 'abc' }, "histories[1].allow is 'abc'; allowed: a list of ids"],
      [{ items: [], deny: [1.5] }, 'histories[1].deny[0] is 1.5; allowed: a string or a whole number'],
      [{ items: [], denny: [] }, "a key of histories[1] is 'denny'; allowed: items, allow, deny"],
      [{ allow: [] }, 'histories[1].items is undefined; allowed: a list of ids'],
    ];
    for (const [request, text] of cases) {
      await expect(model.recommendBatch([[], request])).rejects.toThrow(text);
    }
    const users = [{ user: 'a', items: [], deny: [null] }];
    const results = model.recommendStream(users as never);
    await expect(results.next()).rejects.toThrow('deny[0] of history 0 is null; allowed: a string or a whole number');
  });
});

test('the command line tells whose list is by popularity', async () => {
  const folder = temporaryFolder();
  await (await fit('ease', planted(), { lambda: 10 })).save(join(folder, 'm.st'));
  writeFileSync(
    join(folder, 'h.ndjson'),
    `${[[], ['i2-0'], ['x']].map((items, user) => JSON.stringify({ user, items })).join('\n')}\n`,
  );
  const { stdout, stderr } = await recvae(folder, ['recommend', 'm.st', '--history', 'h.ndjson', '-k', '1']);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(stderr).toBe('');
  expect(lines.map(({ fallbackUsed }) => fallbackUsed)).toEqual([true, undefined, true]);
});
