/** One rule for ids and values, by whatever way they come in. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type Batch,
  fit,
  type History,
  type Id,
  Interactions,
  type Model,
  RecvaeError,
  readHistories,
  split,
} from '../dist/index.js';
import { temporaryFolder } from './planted.js';

/** Users u have the items u, u + 1, … u + 4 (mod 9), all whole numbers. */
const users = Array.from({ length: 30 * 5 }, (_, row) => Math.floor(row / 5));
const items = users.map((user, row) => (user + (row % 5)) % 9);

let ease: Model<'ease'>;
let als: Model<'als'>;
beforeAll(async () => {
  const data = Interactions.fromColumns({ users, items });
  ease = await fit('ease', data, { lambda: 1 });
  als = await fit('als', data, { factors: 4, epochs: 2 });
});

async function failure(call: () => unknown): Promise<[code: string, message: string]> {
  try {
    await call();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(RecvaeError);
    return [(thrown as RecvaeError).code, (thrown as RecvaeError).message];
  }
  return ['', 'no error'];
}

/** What an id of a kind gives by every way in. The bad one is number 1 wherever there are several. */
function everyWay(id: Id): [name: string, call: () => unknown][] {
  const histories = [{ user: 'u', items: ['1'] }] as History[];
  const of = async (histories: History[]) => {
    for await (const _ of ease.recommendStream(histories)) {
    }
  };
  return [
    ['users[1]', () => Interactions.fromColumns({ users: ['u', id], items: ['1', '2'] })],
    ['items[1]', () => Interactions.fromColumns({ users: ['u', 'v'], items: ['1', id] })],
    ['users[1] of batch 1', () => Interactions.fromBatches([batch('u', '1'), batch(id, '2')])],
    ['items[1] of batch 1', () => Interactions.fromBatches([batch('u', '1'), batch('u', id)])],
    ['user of history 1', () => Interactions.fromHistories([...histories, { user: id, items: ['1'] }])],
    ['items[1] of history 1', () => Interactions.fromHistories([...histories, { user: 'v', items: ['1', id] }])],
    ['history[1]', () => ease.recommend(['1', id])],
    ['histories[1][1]', () => ease.recommendBatch([[], ['1', id]])],
    ['histories[1][1]', () => ease.recommendColumns([[], ['1', id]])],
    ['user of history 1', () => of([...histories, { user: id, items: [] }])],
    ['items[1] of history 1', () => of([...histories, { user: 'v', items: ['1', id] }])],
    ['allow[1]', () => ease.filter({ allow: ['1', id] })],
    ['deny[1]', () => ease.recommend([], { deny: ['1', id] })],
    ['id', () => ease.similarItems(id)],
    ['history[1]', () => ease.explain(['1', id], '2')],
    ['item', () => ease.explain(['1'], id)],
    ['histories[1][1]', () => als.embed([[], ['1', id]])],
    ['history[1]', () => als.similarUsers(['1', id], histories)],
    ['users[1].user', () => als.similarUsers(['1'], [...histories, { user: id, items: [] }])],
    ['users[1].items[1]', () => als.similarUsers(['1'], [...histories, { user: 'v', items: ['1', id] }])],
    ['user', () => Interactions.fromColumns({ users, items }).history(id)],
    ['user', async () => (await split(Interactions.fromColumns({ users, items }))).test.input(id)],
    ['user', async () => (await split(Interactions.fromColumns({ users, items }))).test.target(id)],
  ];
}

const batch = (user: Id, item: Id): Batch => ({ users: ['u', user], items: ['1', item] });

describe('ids', () => {
  test('a whole number stands for its digits by every way in', async () => {
    for (const five of [5, 5n]) {
      for (const [name, call] of everyWay(five)) expect(await failure(call), name).toEqual(['', 'no error']);
    }
    expect(Interactions.fromColumns({ users: [7, 8n, 'x', -0], items: [-1, 2n ** 64n, '007', 7] })).toMatchObject({
      nUsers: 4,
      nItems: 4,
    });
    const columns = Interactions.fromColumns({ users: Int32Array.of(-0, 5), items: BigUint64Array.of(2n ** 63n, 1n) });
    expect([columns.userIds(), columns.itemIds()]).toEqual([
      ['0', '5'],
      ['9223372036854775808', '1'],
    ]);
    expect(columns.history(5)).toEqual(['1']);
    const built = await Interactions.fromHistories([{ user: -0, items: Int8Array.of(3, 4) }]);
    expect([built.userIds(), built.history(0n)]).toEqual([['0'], ['3', '4']]);

    const recommended = ease.recommend(['1', '2'], { k: 3, deny: ['5'] });
    expect(ease.recommend([1, 2n], { k: 3, deny: [5] })).toEqual(recommended);
    expect(ease.recommend(Uint8Array.of(1, 2), { k: 3, deny: new Set([5n]) })).toEqual(recommended);
    expect(ease.recommend([1, 99]).unknown).toEqual(['99']);
    expect(ease.filter({ allow: [1, 99n] })).toMatchObject({ size: 1, unknown: ['99'] });
    expect(ease.similarItems(1, 2)).toEqual(ease.similarItems('1', 2));
    expect(await ease.explain([1, 2], 3)).toEqual(await ease.explain(['1', '2'], '3'));
    const results = [];
    for await (const result of ease.recommendStream([{ user: 12, items: [1, 99] }])) results.push(result);
    expect(results).toMatchObject([{ user: '12', unknown: ['99'] }]);
    const { users: alike } = await als.similarUsers([1], [{ user: 7, items: [1, 2] }]);
    expect(alike.map(({ user }) => user)).toEqual(['7']);
    // The same history, whose cosine rounding would put above 1 here and there.
    for (const items of [[1], [1, 2], [2, 3], [1, 2, 3], [3, 4, 5]]) {
      const { users } = await als.similarUsers(items, [{ user: 1, items }], 1);
      expect(users[0]!.score).toBeLessThanOrEqual(1);
      expect(users[0]!.score).toBeCloseTo(1, 5);
    }
  });

  test('half of a character is an error that names the row, by every way in', async () => {
    for (const half of ['\ud800', 'a title 🎬'.slice(0, -1), '\udc00x']) {
      for (const [name, call] of everyWay(half)) {
        const [code, message] = await failure(call);
        expect(code, `${name}: ${message}`).toBe('INVALID_DATA');
        expect(message).toMatch(/ is ".*\\ud[89c]\w\w.*", with half of a character.*; allowed: well-formed text$/);
        expect(message.startsWith(`${name} is "`), `${name}: ${message}`).toBe(true);
      }
    }
    // Whole characters, and the one that halves would become, are ids as any other.
    expect(Interactions.fromColumns({ users: ['u', 'u', 'u'], items: ['\ufffd', '🎬', 'é'] }).nItems).toBe(3);
  });

  test('a number that is not exact is refused by every way in, and the message shows the way out', async () => {
    for (const [id, text] of [
      [2 ** 53, 'below 2^53, where numbers are exact (larger ones as text or as a bigint)'],
      [-(2 ** 60), 'below 2^53'],
      [0.5, 'a string or a whole number'],
      [Number.NaN, 'a string or a whole number'],
      [null, 'a string or a whole number'],
      [true, 'a string or a whole number'],
    ] as const) {
      for (const [name, call] of everyWay(id as never)) {
        const [code, message] = await failure(call);
        expect(code, `${name}: ${message}`).toBe('INVALID_ARGUMENT');
        expect(message).toContain(`${name} is ${id}; allowed: `);
        expect(message).toContain(text);
      }
    }
  });

  test('short floats that are not exact are refused', async () => {
    const good = Float32Array.of(7, 2 ** 24 - 1);
    const bad = Float32Array.of(7, 2 ** 24 + 1);
    expect(Interactions.fromColumns({ users: good, items: good }).userIds()).toEqual(['7', '16777215']);
    const text = 'is 16777216; allowed: a whole number below 2^24 in a Float32Array';
    for (const [name, call] of [
      ['users[1]', () => Interactions.fromColumns({ users: bad, items: good })],
      ['items[1]', () => Interactions.fromColumns({ users: good, items: bad })],
      ['items[1] of batch 0', () => Interactions.fromBatches([{ users: good, items: bad }])],
      ['items[1] of history 0', () => Interactions.fromHistories([{ user: 'u', items: bad }])],
      ['history[1]', () => ease.recommend(bad)],
      ['deny[1]', () => ease.filter({ deny: bad })],
    ] as const) {
      const [code, message] = await failure(call);
      expect([code, message.startsWith(`${name} ${text}`)], message).toEqual(['INVALID_DATA', true]);
    }
    expect(await failure(() => Interactions.fromColumns({ users: Float32Array.of(0.5), items: ['x'] }))).toEqual([
      'INVALID_DATA',
      'users[0] is 0.5; allowed: a whole number below 2^53 (or text, or 64-bit integers)',
    ]);
  });

  test('an id that no file could hold is refused by every way in', async () => {
    const [long, longest] = ['ä'.repeat(32_769), 'ä'.repeat(32_768)];
    const data = Interactions.fromColumns({ users: [longest, 'u'], items: ['x', longest] });
    const back = await Interactions.fromArrow(data.toArrow());
    expect([back.userIds(), back.itemIds()]).toEqual([data.userIds(), data.itemIds()]);
    const sql = `SELECT 'u' AS "user", unnest(['x', repeat('ä', 32769)]) AS item`;
    for (const [text, call] of [
      ['users[1] is', () => Interactions.fromColumns({ users: ['u', long], items: ['x', 'y'] })],
      ['items[1] is', () => Interactions.fromColumns({ users: ['u', 'v'], items: ['x', long] })],
      ['items[1] of batch 0 is', () => Interactions.fromBatches([{ users: ['u', 'v'], items: ['x', long] }])],
      ["item 1 of user 'v' is", () => Interactions.fromHistories([{ user: 'v', items: ['x', long] }])],
      ['the user id of history 0 is', () => Interactions.fromHistories([{ user: long, items: ['x'] }])],
    ] as const) {
      const expected = ['INVALID_DATA', `${text} 65538 bytes long; allowed: at most 65536`];
      expect(await failure(call), text).toEqual(expected);
    }
    expect(await failure(() => Interactions.fromDuckDB({ sql }))).toEqual([
      'INVALID_DATA',
      'item in row 1 is 65538 bytes long; allowed: an id of at most 65536 bytes',
    ]);
  });
});

describe('values', () => {
  test('what is no number is never 0', async () => {
    for (const [bad, shown] of [
      [null, 'null'],
      ['', "''"],
      ['5', "'5'"],
      [undefined, 'undefined'],
      [true, 'true'],
    ] as const) {
      const values = [1, bad] as number[];
      const message = `is ${shown}; allowed: a number`;
      for (const list of [values, { length: 2, 0: 1, 1: bad } as never as number[]]) {
        const columns = { users: ['a', 'b'], items: ['x', 'y'], values: list };
        expect(await failure(() => Interactions.fromColumns(columns))).toEqual([
          'INVALID_ARGUMENT',
          `values[1] ${message}`,
        ]);
        expect(await failure(() => Interactions.fromBatches([columns]))).toEqual([
          'INVALID_ARGUMENT',
          `values[1] of batch 0 ${message}`,
        ]);
      }
    }
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const columns = { users: ['a', 'b'], items: ['x', 'y'], values: [1, value] };
      const message = (place: string) => ['INVALID_DATA', `${place} is ${value}; allowed: a finite number`];
      expect(await failure(() => Interactions.fromColumns(columns))).toEqual(message('values[1]'));
      expect(await failure(() => Interactions.fromBatches([columns]))).toEqual(message('values[1] of batch 0'));
      const sql = `SELECT 'a' AS "user", 'b' AS item, CAST('${value}' AS DOUBLE) AS rating`;
      expect(await failure(() => Interactions.fromDuckDB({ sql, value: 'rating' }))).toEqual(
        message('rating in row 0'),
      );
      const file = join(temporaryFolder(), 'a.csv');
      writeFileSync(file, `user,item,rating\na,b,${value}\n`);
      expect(await failure(() => Interactions.fromFile(file, { value: 'rating' }))).toEqual([
        'INVALID_DATA',
        `${file}:2:3: rating is '${value}'; allowed: a finite number`,
      ]);
    }
    const values = BigInt64Array.of(4n, 3n);
    expect(Interactions.fromColumns({ users: [1, 2], items: [1, 2], values }, { minValue: 4 }).nUsers).toBe(1);
    const none = () => Interactions.fromColumns({ users: [1, 2], items: [1, 2], values }, { minValue: 5 });
    expect((await failure(none))[1]).toBe('no interactions left: the values of all 2 rows lie below minValue');
  });

  test('that change nothing are told', async () => {
    const columns = { users: ['a', 'b'], items: ['x', 'y'], values: [1, -1] };
    const { fromColumns, fromBatches } = Interactions;
    expect(fromColumns(columns)).toMatchObject({ valuesIgnored: true, nUsers: 2 });
    expect(fromColumns(columns, { minValue: 1 })).toMatchObject({ valuesIgnored: false, nUsers: 1 });
    expect(fromColumns({ ...columns, values: undefined }).valuesIgnored).toBe(false);
    expect((await fromBatches([{ users: ['a'], items: ['x'] }, columns])).valuesIgnored).toBe(true);
    expect((await fromBatches([columns], { minValue: 1 })).valuesIgnored).toBe(false);
    const sql = `FROM (VALUES ('a', 'x', 1.0)) t("user", item, rating)`;
    expect((await Interactions.fromDuckDB({ sql, value: 'rating' })).valuesIgnored).toBe(true);
    expect((await Interactions.fromDuckDB({ sql, value: 'rating', minValue: 1 })).valuesIgnored).toBe(false);
    expect((await Interactions.fromDuckDB({ sql })).valuesIgnored).toBe(false);
    expect((await Interactions.dataset('debian')).valuesIgnored).toBe(false);
  });

  test('below the lowest leave no trace in histories either', async () => {
    const rows = `('a', 'x', 5), ('a', 'y', 3), ('b', 'x', 3), ('c', 'z', 4)`;
    const sql = `SELECT * FROM (VALUES ${rows}) t("user", item, rating)`;
    const collect = async (options: object) => {
      const found: string[] = [];
      for await (const { user, items } of readHistories({ sql, ...options })) found.push([user, ...items].join(' '));
      return found;
    };
    expect(await collect({ value: 'rating', minValue: 4 })).toEqual(['a x', 'c z']);
    expect(await collect({ value: 'rating' })).toEqual(['a x y', 'b x', 'c z']);
    expect(await collect({})).toEqual(['a x y', 'b x', 'c z']);
    for (const [options, text] of [
      [{ minValue: 4 }, 'minValue is 4; allowed: only with the option value, which names its column'],
      [
        { value: 'rating', sql: sql.replace('4)', 'NULL)') },
        'rating in row 3 (after sorting, if any) is null; allowed',
      ],
      [
        { value: 'rating', sql: sql.replace(', 4)', ", 'NaN'::DOUBLE)") },
        'rating in row 3 (after sorting, if any) is NaN',
      ],
      [
        { value: 'n', sql: `SELECT 'a' AS "user", [1, 2] AS item, 3 AS n` },
        "value is 'n'; allowed: none for the lists",
      ],
    ] as const) {
      expect((await failure(() => collect(options)))[1]).toContain(text);
    }
  });
});

test('a bigint in a message is shown as one', async () => {
  const data = Interactions.fromColumns({ users, items });
  expect((await failure(() => fit('ease', data, { lambda: 5n as never })))[1]).toMatch(/^lambda is "5n"; allowed: /);
  expect((await failure(() => fit('ease', data, {}, { threads: 5n as never })))[1]).toBe(
    'threads is 5n; allowed: a number',
  );
  expect((await failure(() => fit(5n as never, data)))[1]).toBe('model is 5n; allowed: a string');
  expect((await failure(() => ease.recommend([], { k: 2 ** 53 + 2 })))[1]).toBe(
    'k is 9007199254740994; allowed: a whole number, 1 or more, at most 2^53',
  );
});
