/** Arrow streams: what pyarrow and apache-arrow write is read, what is written they read, and bad bytes are refused. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Dictionary, Float64, Int32, Table, tableFromIPC, tableToIPC, Utf8, vectorFromArray } from 'apache-arrow';
import { describe, expect, test } from 'vitest';
import { type ColumnNames, Interactions, RecvaeError } from '../dist/index.js';
import { plantedColumns } from './planted.js';

// `make.py` beside them wrote them with pyarrow.
const FIXTURES = fileURLToPath(new URL('./fixtures/arrow', import.meta.url));
const fixture = (name: string) => readFileSync(join(FIXTURES, name));

const USERS = ['u1', 'u2', 'u1', 'ü3', 'u2', 'a user with a long name'];
const ITEMS = ['x', 'an item with a long name', 'y', 'x', 'y', 'z'];
const NUMBERS = ['3', '1', '3', '4', '1', '5'];

/** The rows as `user item`, sorted. */
function rowsOf(data: Interactions): string[] {
  return data
    .userIds()
    .flatMap((user) => data.history(user)!.map((item) => `${user} ${item}`))
    .sort();
}

const rows = (users: string[], items = ITEMS) => users.map((user, row) => `${user} ${items[row]}`).sort();

describe('fromArrow', () => {
  const integers = [8, 16, 32, 64].flatMap((bits) => [`int${bits}`, `uint${bits}`]);
  const cases: [string, string[]][] = [
    ...['utf8', 'large-utf8', 'utf8-view', 'dictionary', 'replaced', 'delta', 'beside'].map(
      (name) => [name, USERS] as [string, string[]],
    ),
    ...[...integers, 'dictionary-of-numbers'].map((name) => [name, NUMBERS] as [string, string[]]),
  ];
  test.each(cases)('reads pyarrow: %s', async (name, users) => {
    const bytes = fixture(`${name}.arrows`);
    const data = await Interactions.fromArrow(bytes);
    expect(rowsOf(data)).toEqual(rows(users));
    expect(data.userIds()).toEqual([...new Set(users)]);
    expect(data.itemIds()).toEqual([...new Set(ITEMS)]);
    // In pieces of any size, the result is the same.
    for (const size of [1, 7, 64, 1000]) {
      async function* pieces() {
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
      }
      expect(rowsOf(await Interactions.fromArrow(pieces()))).toEqual(rows(users));
    }
  });

  test('values and thresholds decide which rows count', async () => {
    const decimals = [32, 64, 128, 256].map((bits) => `decimal${bits}`);
    for (const name of ['utf8', 'beside', 'half', ...decimals]) {
      const data = await Interactions.fromArrow(fixture(`${name}.arrows`), { value: 'rating', minValue: 4 });
      expect(rowsOf(data)).toEqual(rows(USERS).filter((row) => !['u1 y', 'u2 y'].includes(row)));
    }
    const swapped = await Interactions.fromArrow(fixture('int16.arrows'), {
      user: 'item',
      item: 'user',
      value: 'rating',
      minValue: 4,
    });
    expect(rowsOf(swapped)).toEqual(['x 4', 'z 5']);
    const popular = await Interactions.fromArrow(fixture('utf8.arrows'), { minItem: 2 });
    expect(rowsOf(popular)).toEqual(['u1 x', 'u1 y', 'u2 y', 'ü3 x']);
  });

  test('reads apache-arrow', async () => {
    const { users, items } = plantedColumns(40);
    const plain = new Table({
      item: vectorFromArray(items, new Utf8()),
      user: vectorFromArray(users, new Utf8()),
      rating: vectorFromArray(
        users.map((_, row) => row % 5),
        new Float64(),
      ),
    });
    const encoded = new Table({
      user: vectorFromArray(users, new Dictionary(new Utf8(), new Int32())),
      item: vectorFromArray(items, new Utf8()),
    });
    const whole = Interactions.fromColumns({ users, items });
    for (const table of [plain, encoded]) {
      const data = await Interactions.fromArrow(tableToIPC(table, 'stream'));
      expect(data.userIds()).toEqual(whole.userIds());
      expect(data.itemIds()).toEqual(whole.itemIds());
      expect(rowsOf(data)).toEqual(rowsOf(whole));
    }
  });

  const bad: [string, string | Uint8Array, RegExp, ColumnNames?][] = [
    ['a null id', 'null-user.arrows', /^user in row 4 of the Arrow stream is null; allowed: an id$/],
    [
      'a null behind a dictionary',
      'null-in-dictionary.arrows',
      /^user in row 4 of the Arrow stream is null; allowed: an id$/,
    ],
    [
      'a null value',
      'null-value.arrows',
      /^rating in row 1 of the .* is null; allowed: a number$/,
      { value: 'rating' },
    ],
    ['an empty id', 'empty-id.arrows', /^item in row 5 of the Arrow stream is empty; allowed: an id$/],
    [
      'an id of another type',
      'dates.arrows',
      /^column 'user' of the Arrow stream has the type date; allowed: text or whole/,
    ],
    [
      'a value of another type',
      'utf8.arrows',
      /^column 'item' of .* has the type utf8; allowed: numbers$/,
      { value: 'item', item: 'rating' },
    ],
    [
      'a value in a dictionary',
      'encoded-values.arrows',
      /^column 'rating' of .* has the type float in a dictionary; allowed: numbers without a dictionary$/,
      { value: 'rating' },
    ],
    [
      'a decimal of too many digits',
      'long-decimal.arrows',
      /^rating in row 0 of .* is a decimal of more than 38 digits; allowed: up to 38$/,
      { value: 'rating' },
    ],
    [
      'an infinite value',
      'infinite.arrows',
      /^rating in row 0 of .* is Infinity; allowed: a finite number$/,
      { value: 'rating' },
    ],
    ['a missing column', 'utf8.arrows', /no column 'movie'; there are: 'user', 'item', 'rating'$/, { item: 'movie' }],
    [
      'compressed buffers',
      'compressed.arrows',
      /broken at message 1: its buffers are compressed; allowed: uncompressed/,
    ],
    ['a file', 'file.arrow', /it is an Arrow file; allowed: the streaming format/],
    ['other bytes', Buffer.from('user,item\n'), /no message starts here; allowed: the Arrow IPC streaming format$/],
    ['no bytes', new Uint8Array(), /it has no schema$/],
    ['half a stream', fixture('utf8.arrows').subarray(0, 700), /broken at message 2: it is cut off$/],
    ['two streams', Buffer.concat([fixture('utf8.arrows'), fixture('utf8.arrows')]), /there are bytes behind its end$/],
  ];
  test.each(bad)('refuses %s', async (_, source, text, options) => {
    const bytes = typeof source === 'string' ? fixture(source) : source;
    const error = await Interactions.fromArrow(bytes, options).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(RecvaeError);
    expect(error.message).toMatch(text);
    expect(error.code).toBe('INVALID_DATA');
  });

  test('refuses wrong arguments, and closes an iterable that it gives up', async () => {
    for (const [bytes, options, text] of [
      ['abc', {}, "bytes is 'abc'; allowed: a Uint8Array, an ArrayBuffer or an iterable of Uint8Arrays"],
      [null, {}, 'bytes is null; allowed'],
      [['abc'], {}, "a piece of bytes is 'abc'; allowed: a Uint8Array"],
      [[], { format: 'csv' }, "format is 'csv'; allowed: none for an Arrow stream"],
      [[], { escape: 'backslash' }, "escape is 'backslash'; allowed: none for an Arrow stream"],
      [[], { user: 'item' }, "item is 'item'; allowed: a column other than user"],
      [[], { minValue: 1 }, 'minValue is 1; allowed: only with the option value'],
      [[], { users: 'u' }, "'users'; allowed"],
    ] as const) {
      await expect(Interactions.fromArrow(bytes as never, options as never)).rejects.toThrow(text);
    }
    let closed = 0;
    const source = function* () {
      try {
        yield fixture('utf8.arrows').subarray(0, 16);
        yield fixture('utf8.arrows').subarray(0, 700);
        throw new Error('it was asked again');
      } finally {
        closed += 1;
      }
    };
    await expect(Interactions.fromArrow(source())).rejects.toThrow('the Arrow stream is broken');
    expect(closed).toBe(1);
  });

  test('a few bytes altered are read or refused, never more', async () => {
    let state = 1;
    const random = (below: number) => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state % below;
    };
    const outcomes = new Set<string>();
    for (let round = 0; round < 2000; round += 1) {
      const bytes = Buffer.from(fixture(['beside.arrows', 'utf8-view.arrows', 'dictionary.arrows'][round % 3]!));
      for (let n = random(3); n >= 0; n -= 1) bytes[random(bytes.length)] = [0, 255, 127, random(256)][random(4)]!;
      const outcome = await Interactions.fromArrow(bytes).then(
        () => 'read',
        (error) => error.code,
      );
      outcomes.add(outcome);
    }
    expect([...outcomes].sort()).toEqual(['INVALID_DATA', 'read']);
  });
});

describe('toArrow', () => {
  test('is what apache-arrow and fromArrow read', async () => {
    const { users, items } = plantedColumns(60);
    const data = Interactions.fromColumns({ users, items });
    const table = tableFromIPC(data.toArrow());
    expect(table.schema.fields.map(({ name, nullable }) => [name, nullable])).toEqual([
      ['user', false],
      ['item', false],
    ]);
    const expected = data.userIds().flatMap((user) => data.history(user)!.map((item) => ({ user, item })));
    expect(table.toArray().map((row) => row!.toJSON())).toEqual(expected);
    const again = await Interactions.fromArrow(data.toArrowStream());
    expect(again.userIds()).toEqual(data.userIds());
    expect(rowsOf(again)).toEqual(rowsOf(data));
  });

  test('is what pyarrow has read', async () => {
    // `python3 make.py written.arrows` printed these rows.
    const data = await Interactions.fromArrow(fixture('utf8.arrows'));
    expect(Buffer.from(data.toArrow()).equals(fixture('written.arrows'))).toBe(true);
  });

  test('comes in pieces of 65,536 rows', async () => {
    const users = Array.from({ length: 70_000 }, (_, row) => `u${row >> 3}`);
    const data = Interactions.fromColumns({ users, items: users.map((_, row) => `i${(row * 7) % 999}`) });
    const parts = [...data.toArrowStream()];
    expect(parts).toHaveLength(4);
    const table = tableFromIPC(parts);
    expect(table.batches.map(({ numRows }) => numRows)).toEqual([65_536, data.nInteractions - 65_536]);
    const last = data.userIds().at(-1)!;
    expect(table.get(table.numRows - 1)!.toJSON()).toEqual({ user: last, item: data.history(last)!.at(-1) });
    expect(rowsOf(await Interactions.fromArrow(parts))).toEqual(rowsOf(data));
  });
});
