/** Serving: filters, columns, similar items and users, explanations, in every model and in every way to ask. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  Filter,
  fit,
  type HistoryColumns,
  Interactions,
  load,
  type Model,
  type ModelName,
  RecvaeError,
  type RunOptions,
  type ServeOptions,
  type UserRecommendation,
} from '../dist/index.js';
import { CLI } from './command.js';
import { TRAINED } from './kinds.js';
import { NEWCOMER, planted, plantedColumns, temporaryFolder } from './planted.js';
import { stopsEarly } from './stops-early.js';

const SMALL = { hiddenDim: 32, latentDim: 8, epochs: 30, batchSize: 20, learningRate: 0.01 };

const models = new Map<ModelName, Model>();
const model = (kind: ModelName) => models.get(kind)!;
beforeAll(async () => {
  for (const kind of TRAINED) {
    const { hiddenDim: _, ...single } = SMALL;
    const options = {
      popularity: {},
      ease: { lambda: 10 },
      edlae: { lambda: 5, dropoutRate: 0.2 },
      rdlae: { lambda: 5, dropoutRate: 0.2 },
      deql: { lambda: 5, dropoutRate: 0.2 },
      hoease: { lambda: 10, pairLambda: 50 },
      als: { factors: 8 },
      'mult-dae': single,
      'mult-vae': SMALL,
      recvae: SMALL,
      hvamp: { ...SMALL, pseudoUsers: 10 },
    }[kind];
    models.set(kind, await fit(kind, planted(), options));
  }
});

const idsOf = (items: { id: string }[]) => items.map(({ id }) => id);

/** Single and batched products of an autoencoder round differently. */
function expectClose(ours: { id: string; score: number }[], expected: { id: string; score: number }[]) {
  expect(idsOf(ours)).toEqual(idsOf(expected));
  for (const [at, { score }] of ours.entries()) expect(Math.abs(score - expected[at]!.score)).toBeLessThan(1e-4);
}

/** The message of the `INVALID_ARGUMENT` that a call fails with. */
async function refusal(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    expect(error).toBeInstanceOf(RecvaeError);
    expect((error as RecvaeError).code).toBe('INVALID_ARGUMENT');
    return (error as RecvaeError).message;
  }
  throw new Error('no error');
}

describe.each(TRAINED)('filters: %s', (kind) => {
  test('lists are the unfiltered ones without what does not pass, however they are asked for', async () => {
    const { itemIds } = model(kind);
    const whole = model(kind).recommend(NEWCOMER, { k: 1000, filterSeen: false }).items;
    const few = ['i2-7', 'i0-3', 'i2-0'];
    const cases: [{ allow?: string[]; deny?: string[] }, (id: string) => boolean][] = [
      [{ allow: few }, (id) => few.includes(id)],
      [{ allow: few, deny: ['i0-3'] }, (id) => id !== 'i0-3' && few.includes(id)],
      [{ deny: few }, (id) => !few.includes(id)],
      [{ allow: itemIds.filter((id) => !id.startsWith('i3')) }, (id) => !id.startsWith('i3')],
      [{ deny: [...itemIds.slice(2)] }, (id) => itemIds.indexOf(id) < 2],
      [{ allow: [] }, () => false],
      [{ deny: [] }, () => true],
    ];
    for (const [lists, passes] of cases) {
      const filter = model(kind).filter(lists);
      expect(filter.size).toBe(itemIds.filter(passes).length);
      for (const [k, filterSeen] of [
        [1, true],
        [6, true],
        [6, false],
        [1000, true],
        [1000, false],
      ] as const) {
        const expected = whole.filter(({ id }) => passes(id) && !(filterSeen && NEWCOMER.includes(id))).slice(0, k);
        const options: ServeOptions = { k, filterSeen };
        expectClose(model(kind).recommend(NEWCOMER, { ...options, filter }).items, expected);
        expectClose(model(kind).recommend(NEWCOMER, { ...options, ...lists }).items, expected);
        const [batched] = await model(kind).recommendBatch([NEWCOMER, []], { ...options, filter });
        expectClose(batched!.items, expected);
        const streamed: UserRecommendation[] = [];
        const stream = model(kind).recommendStream([{ user: 'u', items: NEWCOMER }], { ...options, ...lists });
        for await (const result of stream) streamed.push(result);
        expectClose(streamed[0]!.items, expected);
      }
    }
  });
});

describe('filters', () => {
  test('ids that the model does not know are ignored and told', () => {
    const filter = model('ease').filter({ allow: ['new', 'i1-1', 'i1-1', 'newer'], deny: ['gone', 'i1-2'] });
    expect(filter).toBeInstanceOf(Filter);
    expect([filter.size, filter.unknown]).toEqual([1, ['new', 'newer', 'gone']]);
    const { items, unknown } = model('ease').recommend(['x', 'i1-3'], { filter });
    expect([idsOf(items), unknown]).toEqual([['i1-1'], ['x']]);
    // A list of nothing but unknown ids lets nothing through, as an empty one.
    expect(model('ease').recommend(NEWCOMER, { allow: ['new'] }).items).toEqual([]);
  });

  test('a prepared filter is narrowed by lists of a call, and stays as it is', () => {
    const stocked = model('ease').filter({ allow: ['i2-5', 'i2-6', 'i2-7', 'i0-0'] });
    const narrowed = model('ease').recommend(NEWCOMER, {
      filter: stocked,
      allow: ['i2-6', 'i2-7', 'i3-3'],
      deny: ['i2-7'],
    });
    expect(idsOf(narrowed.items)).toEqual(['i2-6']);
    expect(model('ease').filter({ filter: stocked, deny: ['i0-0', 'i1-1'] }).size).toBe(3);
    expect(model('ease').recommend(NEWCOMER, { filter: stocked }).items).toHaveLength(4);
  });

  test('one of another model is refused, even of the same file', async () => {
    const path = join(temporaryFolder(), 'm.safetensors');
    await model('ease').save(path);
    const filter = (await load(path)).filter({ deny: ['i0-0'] });
    const text = 'filter is one of another model; allowed: a filter that this model made';
    const ease = model('ease');
    const calls = [
      () => ease.recommend([], { filter }),
      () => ease.recommendBatch([[]], { filter }),
      () => ease.recommendColumns([[]], { filter }),
      () => ease.recommendStream([], { filter }),
      () => ease.filter({ filter }),
      () => ease.similarItems('i0-0', 3, { filter }),
    ];
    for (const call of calls) expect(await refusal(call)).toBe(text);
  });

  test('bad lists are named', async () => {
    const ease = model('ease');
    const cases: [object, string][] = [
      [{ allow: ['a', 3.5] }, 'allow[1] is 3.5; allowed: a string or a whole number'],
      [{ deny: ['a', null] }, 'deny[1] is null; allowed: a string or a whole number'],
      [{ allow: 'abc' }, "allow is 'abc'; allowed: a list of ids"],
      [{ deny: null }, 'deny is null; allowed: a list of ids'],
      [{ filter: {} }, 'filter is an object; allowed: an instance of Filter'],
    ];
    for (const [options, text] of cases) {
      expect(await refusal(() => ease.recommend([], options))).toBe(text);
      expect(await refusal(() => ease.recommendBatch([], options))).toBe(text);
      expect(await refusal(() => ease.recommendStream([], options))).toBe(text);
      expect(await refusal(() => ease.filter(options))).toBe(text);
    }
    const misspelt = { alow: [] } as object;
    expect(await refusal(() => ease.recommend([], misspelt))).toBe(
      "a key of options is 'alow'; allowed: k, filterSeen, fallback, allow, deny, filter",
    );
    expect(await refusal(() => ease.filter({ k: 3 } as object))).toBe(
      "a key of options is 'k'; allowed: allow, deny, filter",
    );
  });
});

describe('columns', () => {
  const histories = [NEWCOMER, [], ['i0-0', 'nothing', 'i0-1', 'nothing', 'more'], ['x']];

  test.each(TRAINED)('%s: the same lists as objects have', async (kind) => {
    const filter = model(kind).filter({ deny: ['i0-5'] });
    for (const options of [undefined, { k: 3 }, { k: 1000, filterSeen: false, filter }, { allow: [] }]) {
      const objects = await model(kind).recommendBatch(histories, options);
      const columns = await model(kind).recommendColumns(histories, options, { threads: 2 });
      const { items, scores, offsets, unknown, unknownOffsets, fallbackUsed, itemIds } = columns;
      expect([items, scores, offsets].map((column) => column.constructor)).toEqual([
        Uint32Array,
        Float32Array,
        Uint32Array,
      ]);
      expect(itemIds).toBe(model(kind).itemIds);
      const read = histories.map((history, at) => ({
        items: Array.from(items.subarray(offsets[at], offsets[at + 1]), (item, entry) => ({
          id: itemIds[item],
          score: scores[offsets[at]! + entry],
        })),
        unknown: Array.from(unknown.subarray(unknownOffsets[at], unknownOffsets[at + 1]), (place) => history[place]),
        fallbackUsed: fallbackUsed[at] === 1,
      }));
      expect(read).toEqual(objects);
    }
    expect(await model(kind).recommendColumns([])).toMatchObject({ offsets: new Uint32Array(1) });
  });

  test('histories may be columns too, in any order and with duplicates', async () => {
    const index = new Map(model('ease').itemIds.map((id, at) => [id, at]));
    const items = Uint32Array.from(['i2-4', 'i2-0', 'i2-4', 'i1-1'], (id) => index.get(id)!);
    const columns = { items, offsets: Uint32Array.of(0, 3, 3, 4) };
    const expected = await model('ease').recommendColumns([['i2-0', 'i2-4'], [], ['i1-1']], { k: 4 });
    const promise = model('ease').recommendColumns(columns, { k: 4 });
    items.fill(99_999); // what becomes of them afterwards does not matter
    expect(await promise).toEqual(expected);
  });

  test('bad columns are named with the place', async () => {
    const n = model('ease').itemIds.length;
    const cases: [object, string][] = [
      [
        { items: [1], offsets: Uint32Array.of(0, 1) },
        'histories.items is an array; allowed: an instance of Uint32Array',
      ],
      [{ items: Uint32Array.of(1) }, 'histories.offsets is undefined; allowed: an instance of Uint32Array'],
      [
        { items: Uint32Array.of(1, n), offsets: Uint32Array.of(0, 2) },
        `items[1] of histories is ${n}; allowed: the index of an item, below ${n}`,
      ],
      [{ items: Uint32Array.of(1), offsets: Uint32Array.of() }, 'offsets[0] of histories is missing; allowed: 0'],
      [{ items: Uint32Array.of(1), offsets: Uint32Array.of(1, 1) }, 'offsets[0] of histories is 1; allowed: 0'],
      [
        { items: Uint32Array.of(1), offsets: Uint32Array.of(0, 2, 1) },
        'offsets[2] of histories is 1; allowed: 2 or more',
      ],
      [
        { items: Uint32Array.of(1), offsets: Uint32Array.of(0, 2) },
        'offsets[1] of histories is 2; allowed: the number of items, 1',
      ],
      [
        { items: Uint32Array.of(1), offset: Uint32Array.of(0, 1) },
        "a key of histories is 'offset'; allowed: items, offsets",
      ],
    ];
    for (const [columns, text] of cases) {
      expect(await refusal(() => model('ease').recommendColumns(columns as HistoryColumns))).toBe(text);
    }
    const ids = [['a'], ['b', 3.5]];
    expect(await refusal(() => model('ease').recommendColumns(ids))).toBe(
      'histories[1][1] is 3.5; allowed: a string or a whole number',
    );
    expect(await refusal(() => model('ease').recommendColumns([], { k: 0 }))).toMatch(/^k is 0; allowed/);
    expect(await refusal(() => model('ease').recommendColumns(null as never))).toMatch(/^histories is null; allowed/);
  });
});

describe('similar items', () => {
  test.each(['ease', 'edlae', 'rdlae', 'deql', 'hoease', 'mult-dae', 'mult-vae', 'recvae', 'hvamp'] as const)(
    '%s: those of the block come first',
    (kind) => {
      const similar = model(kind).similarItems('i1-4', 6);
      expect(similar).toHaveLength(6);
      for (const { id } of similar) expect(id).toMatch(/^i1-[^4]$/);
      const scores = similar.map(({ score }) => score);
      expect([...scores].sort((a, b) => b - a)).toEqual(scores);
      expect(model(kind).similarItems('i1-4')).toHaveLength(10);
      expect(model(kind).similarItems('i1-4', 1000)).toHaveLength(model(kind).itemIds.length - 1);
      const among = model(kind).similarItems('i1-4', 5, { allow: ['i1-4', 'i1-3', 'i0-0', 'new'], deny: ['i0-0'] });
      expect(idsOf(among)).toEqual(['i1-3']);
    },
  );

  test('ease: what a user of that one item is given', () => {
    expect(model('ease').similarItems('i1-4', 7)).toEqual(model('ease').recommend(['i1-4'], { k: 7 }).items);
  });

  test('who cannot tell says who can, and what is wrong is named', async () => {
    const { itemIds } = model('ease');
    expect(await refusal(() => model('popularity').similarItems(itemIds[0]!))).toBe(
      "the model of similarItems is 'popularity'; allowed: ease, edlae, rdlae, deql, hoease, als, mult-dae, mult-vae, recvae, hvamp, blend",
    );
    const ease = model('ease');
    expect(await refusal(() => ease.similarItems('nothing'))).toMatch(/^item is 'nothing'; allowed: the id of an item/);
    expect(await refusal(() => ease.similarItems(3.5))).toBe('id is 3.5; allowed: a string or a whole number');
    expect(await refusal(() => ease.similarItems('i1-4', 0))).toBe('k is 0; allowed: a whole number, 1 or more');
    expect(await refusal(() => ease.similarItems('i1-4', '5' as never))).toMatch(/^k is "5"; allowed/);
    expect(await refusal(() => ease.similarItems('i1-4', 5, { k: 3 } as object))).toMatch(/^a key of options is 'k'/);
  });
});

describe('similar users', () => {
  const users = Array.from({ length: 40 }, (_, n) => ({
    user: `user ${n}`,
    items: [0, 1, 2, 3, 4].map((item) => `i${n % 4}-${(item * 2 + n) % 10}`),
  }));

  test.each(['als', 'mult-dae', 'mult-vae', 'recvae', 'hvamp'] as const)(
    '%s: those of the group come first',
    async (kind) => {
      const found = await model(kind).similarUsers([...NEWCOMER, 'nothing'], users, 8, { threads: 1 });
      expect(found.unknown).toEqual(['nothing']);
      expect(found.users).toHaveLength(8);
      expect(found.users.every(({ user }) => Number(user.slice(5)) % 4 === 2)).toBe(true);
      expect(await model(kind).similarUsers(NEWCOMER, [])).toEqual({ users: [], unknown: [] });
      expect((await model(kind).similarUsers(NEWCOMER, users)).users).toHaveLength(10);
      // The cosines are those of the vectors that `embed` gives.
      const vectors = await model(kind).embed([NEWCOMER, ...users.map(({ items }) => items)]);
      const vector = (at: number) => [...vectors.subarray(at * SMALL.latentDim, (at + 1) * SMALL.latentDim)];
      expect(vectors).toHaveLength(41 * SMALL.latentDim);
      const dot = (a: number[], b: number[]) => a.reduce((sum, value, at) => sum + value * b[at]!, 0);
      for (const { user, score } of found.users) {
        const [a, b] = [vector(0), vector(1 + Number(user.slice(5)))];
        expect(score).toBeCloseTo(dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)), 4);
      }
    },
  );

  test('who cannot tell says who can, and what is wrong is named', async () => {
    for (const kind of ['ease', 'popularity'] as const) {
      const text = (what: string) =>
        `the model of ${what} is '${kind}'; allowed: als, mult-dae, mult-vae, recvae, hvamp`;
      expect(await refusal(() => model(kind).similarUsers([], users))).toBe(text('similarUsers'));
      expect(await refusal(() => model(kind).embed([[]]))).toBe(text('embed'));
    }
    const bad = (candidates: unknown, k?: number) =>
      refusal(() => model('recvae').similarUsers([], candidates as typeof users, k));
    expect(await bad([users[0], 'x'])).toBe("users[1] is 'x'; allowed: an object");
    expect(await bad([{ user: 3.5, items: [] }])).toBe('users[0].user is 3.5; allowed: a string or a whole number');
    expect(await bad([{ user: 'u', items: ['a', 3.5] }])).toBe(
      'users[0].items[1] is 3.5; allowed: a string or a whole number',
    );
    expect(await bad('users')).toBe("users is 'users'; allowed: a list of {user, items}");
    expect(await bad(users, 0.5)).toMatch(/^k is 0.5; allowed/);
  });
});

describe('explanations', () => {
  const history = [...NEWCOMER, 'i0-0', 'nothing'];

  test.each(TRAINED)('%s: one shape', async (kind) => {
    const explanation = await model(kind).explain(history, 'i2-7', { k: 3 });
    const { item, score, reasons, unknown } = explanation;
    expect(Object.keys(explanation)).toEqual(['item', 'score', 'reasons', 'unknown']);
    expect([item, unknown]).toEqual(['i2-7', ['nothing']]);
    const { items } = model(kind).recommend(history, { k: 1000 });
    expect(score).toBeCloseTo(items.find(({ id }) => id === 'i2-7')!.score, 4);
    expect(reasons).toHaveLength(kind === 'popularity' ? 0 : 3);
    for (const { id } of reasons) expect(NEWCOMER).toContain(id); // and not i0-0
    const contributions = reasons.map(({ contribution }) => contribution);
    expect([...contributions].sort((a, b) => b - a)).toEqual(contributions);
    expect((await model(kind).explain([], 'i2-7')).reasons).toEqual([]);
  });

  test('ease: contributions sum to the score, and are the scores of one item', async () => {
    const { score, reasons } = await model('ease').explain(history, 'i2-7', undefined, { threads: 1 });
    expect(reasons).toHaveLength(6);
    expect(reasons.reduce((sum, { contribution }) => sum + contribution, 0)).toBeCloseTo(score, 6);
    for (const { id, contribution } of reasons) {
      const alone = model('ease').recommend([id], { allow: ['i2-7'] }).items[0]!;
      expect(alone.score).toBe(contribution);
    }
  });

  test.each(['mult-dae', 'mult-vae', 'recvae', 'hvamp'] as const)(
    '%s: contributions are what the score loses',
    async (kind) => {
      const scoreOf = (items: string[]) => model(kind).recommend(items, { allow: ['i2-7'] }).items[0]!.score;
      const { score, reasons } = await model(kind).explain(history, 'i2-7');
      for (const { id, contribution } of reasons) {
        expect(contribution).toBeCloseTo(score - scoreOf(history.filter((other) => other !== id)), 4);
      }
    },
  );

  test('what is wrong is named', async () => {
    const bad = (...args: unknown[]) => refusal(() => model('ease').explain(...(args as [string[], string])));
    expect(await bad([], 'nothing')).toMatch(/^item is 'nothing'; allowed: the id of an item that the model knows/);
    expect(await bad([3.5], 'i2-7')).toBe('history[0] is 3.5; allowed: a string or a whole number');
    expect(await bad([], undefined)).toBe('item is undefined; allowed: a string or a whole number');
    expect(await bad([], 'i2-7', { k: 0 })).toBe('k is 0; allowed: a whole number, 1 or more');
    expect(await bad([], 'i2-7', { n: 1 })).toBe("explain option is 'n'; allowed: k");
    expect(await bad([], 'i2-7', {}, { thread: 1 })).toMatch(/^a key of run is 'thread'/);
  });
});

describe('signals and threads', () => {
  let large: Model<'mult-vae'>;
  beforeAll(async () => {
    // Each user has a stretch of the items.
    const users = Array.from({ length: 100_000 }, (_, n) => `u${Math.floor(n / 100)}`);
    const items = users.map((user, n) => `i${(Number(user.slice(1)) * 7 + n) % 2000}`);
    // Wide, so that a history costs much more to score than to hand over.
    const options = { epochs: 1, hiddenDim: 1000, latentDim: 500 };
    large = await fit('mult-vae', Interactions.fromColumns({ users, items }), options);
  });

  const many = Array.from({ length: 4000 }, (_, n) => [0, 1, 2, 3].map((item) => `i${(n * 3 + item) % 2000}`));
  const users = many.map((items, n) => ({ user: `${n}`, items }));
  const filter = () => large.filter({ deny: ['i7'] });
  /** Each of them takes a while. */
  const calls: [string, (run: RunOptions) => Promise<unknown>][] = [
    ['recommendBatch', (run) => large.recommendBatch(many, { k: 1, filter: filter() }, run)],
    ['recommendColumns', (run) => large.recommendColumns(many, { k: 1, filter: filter() }, run)],
    ['embed', (run) => large.embed([...many, ...many], run)],
    ['similarUsers', (run) => large.similarUsers(many[0]!, [...users, ...users], 3, run)],
    ['explain', (run) => large.explain(large.itemIds, 'i3', { k: 1 }, run)],
  ];

  describe.each(calls)('%s', (_, call) => {
    test('an aborted signal rejects at once', async () => {
      const reason = { why: 'before' };
      let rejected: unknown;
      call({ signal: AbortSignal.abort(reason) }).catch((error) => {
        rejected = error;
      });
      // What comes from another thread comes later than that.
      await setImmediate();
      expect(rejected).toBe(reason);
    });

    test('an abort stops the work in the middle', async () => {
      const { alone, beside } = await stopsEarly((run) => call({ threads: 1, ...run }));
      expect(isDeepStrictEqual(beside, alone)).toBe(true); // millions of numbers: toEqual takes half a minute
    });

    test('threads and signals are checked', async () => {
      expect(await refusal(() => call({ threads: 0 }))).toMatch(/^threads is 0; allowed: /);
      expect(await refusal(() => call({ threads: '1' as never }))).toBe("threads is '1'; allowed: a number");
      expect(await refusal(() => call({ signal: {} as never }))).toMatch(/^signal is an object; allowed: /);
      expect(await refusal(() => call({ onProgress: 1 } as never))).toMatch(/^a key of run is 'onProgress'; allowed/);
    });
  });
});

describe('smaller models', () => {
  test.each([{ precision: 'f16' }, { topPerItem: 6 }, { topPerItem: 6, precision: 'f16' }] as const)(
    '%o filters, names what is similar and explains as it scores',
    async (form) => {
      const folder = temporaryFolder();
      await model('ease').save(join(folder, 'small'), form);
      const small = await load(join(folder, 'small'));
      const whole = small.recommend(NEWCOMER, { k: 1000 }).items;
      const few = ['i2-7', 'i0-3', 'i2-9'];
      expect(small.recommend(NEWCOMER, { k: 1000, allow: few }).items).toEqual(
        whole.filter(({ id }) => few.includes(id)),
      );
      expect(small.recommend(NEWCOMER, { k: 1000, deny: few }).items).toEqual(
        whole.filter(({ id }) => !few.includes(id)),
      );
      const plain = small.recommend(['i1-4'], { k: 1000, fallback: 'none' });
      expect(small.similarItems('i1-4', 1000)).toEqual(plain.items);
      for (const { id, score } of whole) {
        const explanation = await small.explain(NEWCOMER, id);
        expect(explanation.score).toBe(score);
        expect(explanation.reasons).toHaveLength(NEWCOMER.length);
        const sum = explanation.reasons.reduce((sum, { contribution }) => sum + contribution, 0);
        expect(sum).toBeCloseTo(score, 6);
      }
    },
  );
});

test('the code of docs/serving.md runs', async () => {
  const page = readFileSync(new URL('../docs/serving.md', import.meta.url), 'utf8');
  const code = /^```ts\n(.*?)```$/ms.exec(page)![1]!;
  const folder = temporaryFolder();
  // The planted data with the page's movies for some of the items.
  const movies = [...new Set(Array.from(code.matchAll(/'(\d+)'/g), ([, id]) => id!))];
  const { users, items } = plantedColumns();
  const names = new Map([...new Set(items)].sort().map((id, at) => [id, movies[at] ?? id]));
  const data = Interactions.fromColumns({ users, items: items.map((id) => names.get(id)!) });
  await (await fit('ease', data)).save(join(folder, 'ease.safetensors'));
  await (await fit('recvae', data, SMALL)).save(join(folder, 'recvae.safetensors'));
  const dist = new URL('../dist/index.js', import.meta.url).href;
  const results = '{ unknown: inStock.unknown, items, second: [...second], similar, reasons, users }';
  const program = `${code.replace("'recvae'", JSON.stringify(dist))}\nconsole.log(JSON.stringify(${results}));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  const printed = JSON.parse(stdout);
  expect(printed.unknown).toEqual(['new this week']);
  expect(idsOf(printed.items).sort()).toEqual(['2571', '318', '858']);
  expect(printed.second).toHaveLength(4);
  expect(idsOf(printed.similar)).toHaveLength(3);
  expect(idsOf(printed.reasons).sort()).toEqual(['296', '593']);
  expect(printed.users).toMatchObject([{ user: 'u1' }]);
});

describe('on the command line', () => {
  const recvae = (folder: string, args: string[], input = '') => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
      cwd: folder,
      input,
      encoding: 'utf8',
    });
    return { code: status, stdout, stderr };
  };

  test('recommend takes lists, similar and explain answer as the library does', async () => {
    const folder = temporaryFolder();
    const ease = model('ease');
    await ease.save(join(folder, 'm.st'));
    writeFileSync(join(folder, 'stock.txt'), 'i2-5\r\ni2-6\ni0-0\nnew one\n\n');
    const input = `${JSON.stringify({ user: 'u', items: NEWCOMER })}\n`;
    const recommend = ['recommend', 'm.st', '--allow', '@stock.txt', '--deny', 'i0-0,i1-1'];
    const recommended = recvae(folder, recommend, input);
    expect(recommended).toMatchObject({ code: 0, stderr: '1 ids of the lists are not known to the model\n' });
    expect(JSON.parse(recommended.stdout).items.sort()).toEqual(['i2-5', 'i2-6']);

    const similar = recvae(folder, ['similar', 'm.st', 'i1-4', '-k', '3', '--deny', 'i1-5', '--json', '-']);
    expect(similar).toMatchObject({ code: 0, stderr: '' });
    const items = ease.similarItems('i1-4', 3, { deny: ['i1-5'] });
    expect(JSON.parse(similar.stdout)).toEqual({ version: 1, model: 'ease', item: 'i1-4', items });
    const table = recvae(folder, ['similar', 'm.st', 'i1-4', '-k', '1']);
    expect(table.stdout).toMatch(/^item +score\n+i1-\d +0\.\d{5}\n/);

    const flags = ['--history', `${NEWCOMER.join(',')},what`, '--item', 'i2-7'];
    const explained = recvae(folder, ['explain', 'm.st', ...flags, '--json', '-']);
    const reasons = await ease.explain([...NEWCOMER, 'what'], 'i2-7');
    expect(JSON.parse(explained.stdout)).toEqual({ version: 1, model: 'ease', ...reasons });
    expect(explained).toMatchObject({ code: 0, stderr: '1 items of the history are not known to the model\n' });
    const told = recvae(folder, ['explain', 'm.st', ...flags, '-k', '2']);
    expect(told.stdout).toMatch(/^item +contribution\n+i2-\d +0\.\d{5}\ni2-\d +0\.\d{5}\n$/);
    expect(told.stderr).toMatch(/i2-7 has the score 0\.\d{5}\n$/);

    for (const [args, code, text] of [
      [['similar', 'm.st', 'nothing'], 2, "item is 'nothing'"],
      [
        ['similar', 'm.st', 'i1-4', '--allow', '@none'],
        1,
        "--allow is '@none': cannot open none: no such file or directory (ENOENT)",
      ],
      [['explain', 'm.st', '--item', 'i1-4'], 2, '--history'],
      [['explain', 'm.st', '--history', 'a', '--item', 'nothing'], 2, "item is 'nothing'"],
      [['recommend', 'm.st', '--deny', '@none'], 1, 'if the id itself begins with @, write @@none'],
    ] as const) {
      const outcome = recvae(folder, [...args]);
      expect([outcome.code, outcome.stdout]).toEqual([code, '']);
      expect(outcome.stderr).toContain(text);
    }
  });
});
