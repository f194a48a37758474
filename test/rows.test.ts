/**
 * Rows as drivers hand them out: what cells may be, how sources are closed, and that rows go in a few thousand at a
 * time.
 */
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Interactions, RecvaeError, type Row, type RowOptions, type Rows, split } from '../dist/index.js';
import { plantedColumns } from './planted.js';

/** node:sqlite, where Node has it. */
const sqlite = await import('node:sqlite' as string).catch(() => undefined);

function histories(data: Interactions): string[] {
  return data.userIds().map((user) => [user, ...data.history(user)!].join(' '));
}

/** Hands out rows and keeps a record of what was asked of it. */
class Source implements AsyncIterable<Row> {
  asked = 0;
  closed = false;
  readonly #rows: Row[];

  constructor(rows: Row[]) {
    this.#rows = rows;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Row> {
    try {
      for (const row of this.#rows) {
        this.asked += 1;
        yield row;
      }
    } finally {
      this.closed = true;
    }
  }
}

describe('fromRows', () => {
  test('any number of rows is what their columns are', async () => {
    const { users, items } = plantedColumns();
    const whole = Interactions.fromColumns({ users, items });
    // More than are gathered at once, several times over.
    const rows = [0, 1, 2].flatMap(() => users.map((user, row) => ({ user, item: items[row]!, more: {} })));
    expect(rows.length).toBeGreaterThan(4096);
    const sources: Rows[] = [rows, new Set(rows), new Source(rows), Readable.from(rows), rows.values()];
    for (const source of sources) {
      const data = await Interactions.fromRows(source);
      expect(histories(data)).toEqual(histories(whole));
      expect(data.itemIds()).toEqual(whole.itemIds());
    }
  });

  test('cells are text, whole numbers, numeric text and dates', async () => {
    const rows = [
      { u: 7, i: 5n, v: '4.5', t: 1000 },
      { u: '7', i: -0, v: 4n, t: 2000 },
      { u: 7n, i: 2n ** 70n, v: ' 1e1 ', t: '3000' },
      { u: 8, i: '5', v: 3.9, t: 4000n },
      { u: 8, i: '6', v: '.5E+2', t: '4000.5' },
    ];
    const columns = { user: 'u', item: 'i' };
    const read = async (options: RowOptions) =>
      histories(await Interactions.fromRows(rows, { ...columns, ...options }));
    expect(await read({})).toEqual(['7 5 0 1180591620717411303424', '8 5 6']);
    expect(await read({ value: 'v', minValue: 4 })).toEqual(['7 5 0 1180591620717411303424', '8 6']);
    expect(await read({ timestamp: 't', since: 2000, until: 4000.5 })).toEqual(['7 0 1180591620717411303424', '8 5']);
    expect(await read({ minUser: 3 })).toEqual(['7 5 0 1180591620717411303424']);
    expect((await Interactions.fromRows(rows, { ...columns, value: 'v' })).valuesIgnored).toBe(true);
    expect((await Interactions.fromRows(rows, { ...columns, value: 'v', minValue: 1 })).valuesIgnored).toBe(false);
    const arrays = rows.map(({ u, i, v, t }) => [t, v, u, i]);
    const data = await Interactions.fromRows(arrays, { user: 2, item: 3, value: 1, minValue: 4, timestamp: 0 });
    expect(histories(data)).toEqual(['7 5 0 1180591620717411303424', '8 6']);
  });

  test('dates are seconds since 1970, as a split counts them, and stand beside dates only', async () => {
    const day = (at: number) => new Date(Date.UTC(2026, 0, at));
    const rows = [1, 2, 3, 4, 5, 6].flatMap((at) =>
      ['a', 'b', 'c'].map((user, u) => ({ user, item: `i${(at + 2 * u) % 6}`, at: day(at) })),
    );
    const read = (options: RowOptions) => Interactions.fromRows(rows, { timestamp: 'at', ...options });
    expect(histories(await read({ since: day(2), until: new Date(day(4).getTime() - 1) })).sort()).toEqual([
      'a i2 i3',
      'b i4 i5',
      'c i0 i1',
    ]);
    const parts = await split(await read({}), { kind: 'time', testSince: day(6), validationSince: '2026-01-05' });
    expect([parts.train.nInteractions, parts.validation.nUsers, parts.test.nUsers]).toEqual([12, 3, 3]);
    const mixed = async (rows: Row[], options: RowOptions = {}) =>
      Interactions.fromRows(rows, { timestamp: 'at', ...options });
    const row = (at: unknown) => ({ user: 'a', item: 'x', at });
    await expect(mixed([row(day(1)), row(5)])).rejects.toThrow(
      'timestamp of row 1 is 5; allowed: a Date, as timestamp of row 0 is one: numbers may count in any unit',
    );
    await expect(mixed([row('5'), row(day(1))])).rejects.toThrow(
      "timestamp of row 1 is '2026-01-01T00:00:00.000Z'; allowed: a number, as timestamp of row 0 is one",
    );
    await expect(mixed([row(5)], { since: day(1) })).rejects.toThrow(
      'timestamp of row 0 is 5; allowed: a Date, as since is one',
    );
    await expect(mixed([row(day(1))], { since: 3, until: day(2) })).rejects.toThrow(
      "until is '2026-01-02T00:00:00.000Z'; allowed: a number, as since is one",
    );
  });

  test('errors name the row, counted over all of them', async () => {
    const good = { user: 'a', item: 'x', value: 1, at: 1 };
    const many = Array.from({ length: 5000 }, () => good);
    const all: RowOptions = { value: 'value', timestamp: 'at' };
    const cases: [unknown, string, string, RowOptions?][] = [
      [null, 'INVALID_ARGUMENT', 'row 5000 is null; allowed: an object or an array'],
      [{ user: 'a' }, 'INVALID_DATA', 'row 5000 has no column "item" for the item; its columns are: user'],
      [{ ...good, user: null }, 'INVALID_ARGUMENT', 'user of row 5000 is null; allowed: a string or a whole number'],
      [{ ...good, user: 1.5 }, 'INVALID_ARGUMENT', 'user of row 5000 is 1.5; allowed: a string or a whole number'],
      [{ ...good, item: 2 ** 53 }, 'INVALID_ARGUMENT', 'item of row 5000 is 9007199254740992; allowed: a string'],
      [{ ...good, item: '' }, 'INVALID_DATA', 'item of row 5000 is empty; allowed: an id'],
      [{ ...good, item: '\ud800' }, 'INVALID_DATA', 'item of row 5000 is "\\ud800", with half of a character'],
      [{ ...good, item: 'x'.repeat(65_537) }, 'INVALID_DATA', 'item of row 5000 is 65537 bytes long; allowed: at most'],
      [{ ...good, item: Buffer.from('x') }, 'INVALID_ARGUMENT', 'item of row 5000 is an object; allowed: a string'],
      ...(['', 'x', '0x10', 'NaN', '1 2', null, true, new Date(0)] as const).map(
        (value) =>
          [{ ...good, value }, 'INVALID_ARGUMENT', 'value of row 5000 is ', all] as [
            unknown,
            string,
            string,
            RowOptions,
          ],
      ),
      [{ ...good, value: Number.NaN }, 'INVALID_DATA', 'value of row 5000 is NaN; allowed: a finite number', all],
      [{ ...good, value: '1e999' }, 'INVALID_DATA', 'value of row 5000 is inf; allowed: a finite number', all],
      [
        { ...good, at: new Date('x') },
        'INVALID_ARGUMENT',
        "timestamp of row 5000 is 'Invalid Date'; allowed: a d",
        all,
      ],
      [
        { ...good, at: '2026-01-01' },
        'INVALID_ARGUMENT',
        "timestamp of row 5000 is '2026-01-01'; allowed: a Date",
        all,
      ],
    ];
    for (const [row, code, text, options] of cases) {
      const source = new Source([...many, row as Row, good]);
      const error = await Interactions.fromRows(source, options).then(
        () => 'no error',
        (thrown) => thrown,
      );
      expect(error, text).toBeInstanceOf(RecvaeError);
      expect(error.message.replace('Infinity', 'inf')).toContain(text);
      expect(error.code, text).toBe(code);
      expect(source.closed, text).toBe(true);
    }
  });

  test('options are looked at before the source is opened', async () => {
    // biome-ignore lint/suspicious/noExplicitAny: what TypeScript would have refused
    const cases: [any, string][] = [
      [{ users: 'a' }, "a key of options is 'users'; allowed: user, item, value, timestamp, minValue"],
      [{ user: true }, 'user is true; allowed: the name of a column, or its position from 0'],
      [{ user: -1 }, 'user is -1; allowed: the name of a column, or its position from 0'],
      [{ user: 'a', item: 'a' }, "item is 'a'; allowed: a column other than user"],
      [{ value: 'item' }, "value is 'item'; allowed: a column other than user and item"],
      [{ timestamp: 'item' }, "timestamp is 'item'; allowed: a column other than user and item"],
      [{ minValue: 4 }, 'minValue is 4; allowed: only with the option value, which names its column'],
      [{ since: 4 }, 'since is 4; allowed: only with the option timestamp, which names its column'],
      [{ timestamp: 'at', until: new Date('x') }, "until is 'Invalid Date'; allowed: a number or a date"],
      [{ minUser: -1 }, 'minUser is -1; allowed'],
    ];
    for (const [options, text] of cases) {
      const source = new Source([{ user: 'a', item: 'x' }]);
      await expect(Interactions.fromRows(source, options)).rejects.toThrow(text);
      expect([source.asked, source.closed]).toEqual([0, false]);
    }
    for (const rows of [null, 3, 'ab', {}]) {
      await expect(Interactions.fromRows(rows as never)).rejects.toThrow('rows is');
    }
    await expect(Interactions.fromRows([])).rejects.toThrow('no interactions: the input is empty');
  });

  test('what the source throws comes through', async () => {
    const failing = async function* () {
      yield { user: 'a', item: 'x' };
      throw new RangeError('the cursor is gone');
    };
    await expect(Interactions.fromRows(failing())).rejects.toThrow(new RangeError('the cursor is gone'));
    const cursor = {
      closed: 0,
      read: () => Promise.reject(new RangeError('no more')),
      close() {
        this.closed += 1;
      },
    };
    await expect(Interactions.fromRows(cursor)).rejects.toThrow(new RangeError('no more'));
    expect(cursor.closed).toBe(1);
  });

  test('a cursor is read until it is empty, and closed once', async () => {
    const left = Array.from({ length: 10_000 }, (_, row) => ({ user: row % 7, item: row % 11 }));
    const asked: number[] = [];
    const cursor = {
      closed: 0,
      async read(count: number) {
        asked.push(count);
        return left.splice(0, Math.min(count, 3000)); // fewer than asked for are no end
      },
      close() {
        this.closed += 1;
        throw new Error('is not told');
      },
    };
    expect((await Interactions.fromRows(cursor)).nInteractions).toBe(77);
    expect([cursor.closed, asked.length, left.length]).toEqual([1, 5, 0]);
  });

  test('no more rows are held than are gathered at once', async () => {
    // Rows are taken back as soon as they are in the core: what lives is counted, not what was made.
    let most = 0;
    let made = 0;
    const taken = new Set<number>();
    function* rows() {
      for (let row = 0; row < 20_000; row += 1) {
        made += 1;
        most = Math.max(most, made - taken.size);
        yield {
          get user() {
            return row % 5;
          },
          get item() {
            taken.add(row);
            return row % 3;
          },
        };
      }
    }
    expect((await Interactions.fromRows(rows())).nInteractions).toBe(15);
    expect(taken.size).toBe(20_000);
    expect(most).toBeLessThanOrEqual(4097);
  });

  describe('an abort', () => {
    const reason = new Error('enough');

    test('before the call opens nothing', async () => {
      const source = new Source([{ user: 1, item: 2 }]);
      await expect(Interactions.fromRows(source, {}, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      expect([source.asked, source.closed]).toEqual([0, false]);
    });

    test('stops an endless iterator that never waits, and closes it', async () => {
      const controller = new AbortController();
      let closed = false;
      function* endless() {
        try {
          for (let row = 0; ; row += 1) {
            if (row === 50_000) controller.abort(reason);
            yield { user: row % 10, item: row % 7 };
          }
        } finally {
          closed = true;
        }
      }
      await expect(Interactions.fromRows(endless(), {}, { signal: controller.signal })).rejects.toBe(reason);
      expect(closed).toBe(true);
    });

    test('destroys a stream that does not answer', async () => {
      const controller = new AbortController();
      const stream = new Readable({ objectMode: true, read() {} });
      stream.push({ user: 1, item: 2 });
      const reading = Interactions.fromRows(stream, {}, { signal: controller.signal });
      await setImmediate();
      controller.abort(reason);
      await expect(reading).rejects.toBe(reason);
      expect(stream.destroyed).toBe(true);
    });

    test('closes a cursor that does not answer', async () => {
      const controller = new AbortController();
      let closed = 0;
      const cursor = { read: () => new Promise<Row[]>(() => {}), close: () => ++closed };
      const reading = Interactions.fromRows(cursor, {}, { signal: controller.signal });
      await setImmediate();
      controller.abort(reason);
      await expect(reading).rejects.toBe(reason);
      expect(closed).toBe(1);
    });
  });
});

describe.skipIf(sqlite === undefined)('node:sqlite', () => {
  test('statements are iterated, with big integers and without', () => {
    const database = new sqlite.DatabaseSync(':memory:');
    database.exec('CREATE TABLE likes (customer INTEGER, sku TEXT, stars REAL, at INTEGER)');
    const insert = database.prepare('INSERT INTO likes VALUES (?, ?, ?, ?)');
    const { users, items } = plantedColumns();
    for (const [row, user] of users.entries()) insert.run(Number(user.slice(1)), items[row], 1 + (row % 5), row);
    const kept = users.map((_, row) => row).filter((row) => 1 + (row % 5) >= 3 && row >= 10);
    const expected = Interactions.fromColumns({
      users: kept.map((row) => users[row]!.slice(1)),
      items: kept.map((row) => items[row]!),
    });
    const checks = [false, true].map(async (big) => {
      const statement = database.prepare('SELECT * FROM likes ORDER BY at');
      statement.setReadBigInts(big);
      const options = { user: 'customer', item: 'sku', value: 'stars', timestamp: 'at', minValue: 3, since: 10 };
      expect(histories(await Interactions.fromRows(statement.iterate(), options))).toEqual(histories(expected));
    });
    return Promise.all(checks);
  });
});
