/** Batches of columns: forms of ids, back-pressure, and who closes what when something fails. */
import { describe, expect, test } from 'vitest';
import { type Batch, type BatchOptions, Interactions, RecvaeError } from '../dist/index.js';
import { plantedColumns } from './planted.js';

/** Hands out batches and keeps a record of what was asked of it. */
class Source implements AsyncIterable<Batch> {
  asked = 0;
  closed = false;
  readonly #batches: Batch[];

  constructor(batches: Batch[]) {
    this.#batches = batches;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch> {
    try {
      for (const batch of this.#batches) {
        this.asked += 1;
        yield batch;
      }
    } finally {
      this.closed = true;
    }
  }
}

describe('fromBatches', () => {
  test('is what the same columns in one piece are', async () => {
    const { users, items } = plantedColumns(30);
    const whole = Interactions.fromColumns({ users, items });
    async function* batches() {
      for (let row = 0; row < users.length; row += 7) {
        yield { users: users.slice(row, row + 7), items: items.slice(row, row + 7) };
      }
      yield { users: [], items: [] };
    }
    for (const iterable of [batches(), [{ users, items }], new Set([{ users, items }])]) {
      const data = await Interactions.fromBatches(iterable);
      expect(data.userIds()).toEqual(whole.userIds());
      expect(data.itemIds()).toEqual(whole.itemIds());
      for (const user of whole.userIds()) expect(data.history(user)).toEqual(whole.history(user));
    }
  });

  test('whole numbers of every kind stand for their digits', async () => {
    const columns = [
      Int8Array.of(7, 5),
      Uint8Array.of(7, 5),
      Uint8ClampedArray.of(7, 5),
      Int16Array.of(7, 5),
      Uint16Array.of(7, 5),
      Int32Array.of(7, 5),
      Uint32Array.of(7, 5),
      Float32Array.of(7, 5),
      Float64Array.of(7, 5),
      BigInt64Array.of(7n, 5n),
      BigUint64Array.of(7n, 5n),
      ['7', '5'],
      [7, 5],
      [7n, '5'],
    ];
    const data = await Interactions.fromBatches(columns.map((column) => ({ users: column, items: column })));
    expect(data.userIds()).toEqual(['7', '5']);
    expect(data.nInteractions).toBe(2);
    const limits = await Interactions.fromBatches([
      { users: BigInt64Array.of(-(2n ** 63n)), items: BigUint64Array.of(2n ** 64n - 1n) },
      { users: Float64Array.of(-0), items: Float64Array.of(Number.MAX_SAFE_INTEGER) },
      { users: Int8Array.of(-128), items: [2n ** 70n] },
    ]);
    expect(limits.userIds()).toEqual(['-9223372036854775808', '0', '-128']);
    expect(limits.itemIds()).toEqual(['18446744073709551615', '9007199254740991', '1180591620717411303424']);
  });

  test('values, times and thresholds decide which rows count', async () => {
    const users = ['a', 'a', 'a', 'b', 'b', 'c'];
    const items = ['x', 'y', 'z', 'x', 'y', 'w'];
    const batch = { users, items, values: [5, 4, 3, 5, 5, 1], timestamps: BigInt64Array.of(1n, 2n, 3n, 2n, 3n, 9n) };
    const ids = async (options: BatchOptions) => {
      const data = await Interactions.fromBatches([batch, batch], options);
      return data.userIds().map((user) => [user, ...data.history(user)!].join(' '));
    };
    expect(await ids({ minValue: 4 })).toEqual(['a x y', 'b x y']);
    expect(await ids({ since: 2 })).toEqual(['a y z', 'b y x', 'c w']);
    expect(await ids({ until: 3 })).toEqual(['a x y', 'b x']);
    expect(await ids({ since: 2, until: 9, minUser: 2 })).toEqual(['a y z', 'b y x']);
    await expect(ids({ until: 1 })).rejects.toThrow(
      'no interactions left: all 12 rows lie outside until (the times run from 1 to 9)',
    );
  });

  test('the next batch is asked for when the last one is taken', async () => {
    const good = { users: ['a'], items: ['x'] };
    const source = new Source([good, { users: ['b'], items: [''] }, good, good]);
    await expect(Interactions.fromBatches(source)).rejects.toThrow('items[0] of batch 1 is empty; allowed: an id');
    expect([source.asked, source.closed]).toEqual([2, true]);
    const whole = new Source([good, good]);
    await Interactions.fromBatches(whole);
    expect([whole.asked, whole.closed]).toEqual([2, true]);
    // Options are looked at before the source is opened.
    const untouched = new Source([good]);
    await expect(Interactions.fromBatches(untouched, { minUsers: 1 } as object)).rejects.toThrow("'minUsers'; allowed");
    expect([untouched.asked, untouched.closed]).toEqual([0, false]);
  });

  test('what the iterable throws comes through', async () => {
    const failing = async function* () {
      yield { users: ['a'], items: ['x'] };
      throw new RangeError('the cursor is gone');
    };
    await expect(Interactions.fromBatches(failing())).rejects.toThrow(new RangeError('the cursor is gone'));
  });

  test('errors name column, row and batch', async () => {
    const good = { users: ['a', 'b'], items: ['x', 'y'] };
    // biome-ignore lint/suspicious/noExplicitAny: what TypeScript would have refused
    const cases: [any, string, string, BatchOptions?][] = [
      [null, 'INVALID_ARGUMENT', 'batch 1 is null; allowed: an object'],
      [{ ...good, value: [1] }, 'INVALID_ARGUMENT', "a key of batch 1 is 'value'; allowed: users, items, "],
      [{ users: ['a'] }, 'INVALID_ARGUMENT', 'items of batch 1 is undefined; allowed: an array of ids'],
      [{ ...good, users: 'ab' }, 'INVALID_ARGUMENT', "users of batch 1 is 'ab'; allowed: an array of ids"],
      [{ ...good, users: new DataView(new ArrayBuffer(2)) }, 'INVALID_ARGUMENT', 'users of batch 1 is an object'],
      [
        { ...good, users: ['a', null] },
        'INVALID_ARGUMENT',
        'users[1] of batch 1 is null; allowed: a string or a whole',
      ],
      [{ ...good, users: ['a', 1.5] }, 'INVALID_ARGUMENT', 'users[1] of batch 1 is 1.5; allowed: a string or a whole'],
      [{ ...good, users: [1, 2 ** 53] }, 'INVALID_ARGUMENT', 'users[1] of batch 1 is 9007199254740992; allowed'],
      [
        { ...good, users: Float64Array.of(1, 2 ** 53) },
        'INVALID_DATA',
        'users[1] of batch 1 is 9007199254740992; allo',
      ],
      [{ ...good, users: Float64Array.of(1, 0.5) }, 'INVALID_DATA', 'users[1] of batch 1 is 0.5; allowed: a whole'],
      [{ ...good, users: Float64Array.of(1, Number.NaN) }, 'INVALID_DATA', 'users[1] of batch 1 is NaN; allowed'],
      [{ ...good, items: ['x'] }, 'INVALID_ARGUMENT', 'number of items of batch 1 is 1; allowed: as many as'],
      [{ ...good, values: [1] }, 'INVALID_ARGUMENT', 'number of values of batch 1 is 1; allowed: as many as'],
      [{ ...good, values: [1, null] }, 'INVALID_ARGUMENT', 'values[1] of batch 1 is null; allowed: a number'],
      [{ ...good, values: [1, Number.NaN] }, 'INVALID_DATA', 'values[1] of batch 1 is NaN; allowed: a finite number'],
      ...([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].flatMap((value) => [
        [{ ...good, values: [1, value] }, 'INVALID_DATA', `values[1] of batch 1 is ${value}; allowed: a finite number`],
        [
          { ...good, timestamps: [value, 1] },
          'INVALID_DATA',
          `timestamps[0] of batch 1 is ${value}; allowed: a finite number`,
        ],
      ]) as typeof cases),
      [
        { ...good, timestamps: new Date() },
        'INVALID_ARGUMENT',
        'timestamps of batch 1 is an object; allowed: an array',
      ],
      [good, 'INVALID_ARGUMENT', 'minValue is 1; allowed: only with values, which batch 0 lacks', { minValue: 1 }],
      [good, 'INVALID_ARGUMENT', 'until is 1; allowed: only with timestamps, which batch 0 lacks', { until: 1 }],
      [good, 'INVALID_ARGUMENT', 'since is "Infinity"; allowed', { since: Number.POSITIVE_INFINITY }],
    ];
    for (const [batch, code, text, options] of cases) {
      const first = Object.hasOwn(Object(batch), 'timestamps') ? { ...good, timestamps: [1, 2] } : good;
      const error = await Interactions.fromBatches([first, batch], options).then(
        () => 'no error',
        (thrown) => thrown,
      );
      expect(error, text).toBeInstanceOf(RecvaeError);
      expect(error.message).toContain(text);
      expect(error.code, text).toBe(code);
    }
    const times = 'column timestamps of batch 1 is missing; allowed: in all or in none; those before have it';
    await expect(Interactions.fromBatches([{ ...good, timestamps: [1, 2] }, good])).rejects.toThrow(times);
    for (const batches of [null, 3, 'ab', {}]) {
      await expect(Interactions.fromBatches(batches as never)).rejects.toThrow('an iterable of {users, items}');
    }
    await expect(Interactions.fromBatches([])).rejects.toThrow('no interactions: the input is empty');
  });
});
