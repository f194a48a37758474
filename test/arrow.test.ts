/** Arrow: what pyarrow and apache-arrow write is read, what is written they read, and bad bytes are refused. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { Dictionary, Float64, Int32, Table, tableFromIPC, tableToIPC, Utf8, vectorFromArray } from 'apache-arrow';
import { describe, expect, test } from 'vitest';
import { type ColumnNames, Interactions, RecvaeError, readHistories, split } from '../dist/index.js';
import { recvae } from './command.js';
import { planted, plantedColumns, temporaryFolder } from './planted.js';

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

/** What a few bytes are altered of. */
const ALTERED = [
  'beside.arrows',
  'utf8-view.arrows',
  'dictionary.arrows',
  'large-lists.arrows',
  'file.arrow',
  'compressed/few-lz4.arrows',
  'compressed/few-zstd.arrows',
];

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

  test('items in lists, and ids that are decimals', async () => {
    for (const name of ['lists', 'large-lists']) {
      const data = await Interactions.fromArrow(fixture(`${name}.arrows`), { time: 'at', since: 30 });
      expect(rowsOf(data)).toEqual(['u1 x', 'ü3 x', 'ü3 y', 'ü3 z']);
      const [time] = data.leftOut.filter(({ reason }) => reason === 'time');
      const all = await Interactions.fromArrow(fixture(`${name}.arrows`));
      expect(rowsOf(all)).toEqual(['u1 x', 'u1 y', 'ü3 x', 'ü3 y', 'ü3 z']);
      expect(all.leftOut.map(({ reason }) => reason)).toEqual(['duplicates', 'emptyHistories']);
      expect(time).toMatchObject({ rows: 2 });
    }
    expect(rowsOf(await Interactions.fromArrow(fixture('lists-of-numbers.arrows')))).toContain('ü3 2');
    const decimals = await Interactions.fromArrow(fixture('decimal-ids.arrows'));
    expect(rowsOf(decimals)).toEqual([...new Set(NUMBERS)].sort().map((number) => `${number} ${number}`));
  });

  test('times of every type, and parts', async () => {
    const bytes = fixture('times.arrows');
    const newest = ['a user with a long name z', 'u2 y'];
    for (const time of ['s', 'ms', 'us', 'ns', 'zone', 'day', 'day64', 'text', 'coded', 'number', 'double']) {
      const since = await Interactions.fromArrow(bytes, { time, since: '2020-09-13' });
      expect([time, rowsOf(since)]).toEqual([time, newest]);
      const date = await Interactions.fromArrow(bytes, { time, since: new Date('2020-09-13') });
      expect([time, rowsOf(date)]).toEqual([time, newest]);
      const until = await Interactions.fromArrow(bytes, { time, until: '1970-01-01' });
      expect([time, rowsOf(until)]).toEqual([time, ['u1 y']]);
    }
    const milliseconds = { time: 'milliseconds', timeUnit: 'ms', since: 1_600_000_000_000 } as const;
    expect(rowsOf(await Interactions.fromArrow(bytes, milliseconds))).toEqual(newest);
    const data = await Interactions.fromArrow(bytes, { part: 'fold' });
    const { train, validation } = await split(data, { kind: 'column', test: 0 });
    // Of the item of the test part, nothing is trained on.
    expect([train.nInteractions, validation.userIds(), validation.target('u2')]).toEqual([4, ['u2'], ['y']]);
  });

  test.each(['lz4', 'zstd'])('bodies compressed by %s', async (codec) => {
    const read = (name: string) => Interactions.fromArrow(fixture(join('compressed', `${name}-${codec}.arrows`)));
    for (const name of ['few', 'many', 'views', 'encoded']) {
      const data = await read(name);
      expect([name, rowsOf(data)]).toEqual([name, rows(USERS)]);
    }
    expect((await read('lists')).nInteractions).toBe(4 * new Set(ITEMS).size);
    const numbers = await read('numbers');
    expect([numbers.nUsers, numbers.nItems, numbers.nInteractions]).toEqual([4, 300, 300]);
    const blocks = await read('blocks');
    expect([blocks.nUsers, blocks.nItems, blocks.nInteractions]).toEqual([60, 100, 6000]);
    expect(blocks.history('user 000000059')?.at(-1)).toBe('item 000000099');
    const file = await Interactions.fromArrow(fixture(join('compressed', `file-${codec}.feather`)), { time: 'at' });
    expect(rowsOf(file)).toEqual(rows(USERS));
  });

  test('files, whole and in pieces of any size', async () => {
    for (const name of ['file', 'file-of-dictionaries']) {
      const bytes = fixture(`${name}.arrow`);
      expect(rowsOf(await Interactions.fromArrow(bytes))).toEqual(rows(USERS));
      for (const size of [1, 5, 64, 1000]) {
        async function* pieces() {
          for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
        }
        expect(rowsOf(await Interactions.fromArrow(pieces()))).toEqual(rows(USERS));
      }
    }
    await expect(Interactions.fromArrow(fixture('file-without-rows.arrow'))).rejects.toThrow('no interactions');
    const { users, items } = plantedColumns(40);
    const table = new Table({ user: vectorFromArray(users, new Utf8()), item: vectorFromArray(items, new Utf8()) });
    // This one has its schema in the footer alone.
    const file = tableToIPC(table, 'file');
    const data = await Interactions.fromArrow(file);
    expect(data.userIds()).toEqual([...new Set(users)]);
    await expect(Interactions.fromArrow(file.subarray(0, -10))).rejects.toThrow('its footer is missing');
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
    ['a null list', 'null-list.arrows', /^item in row 1 of the Arrow stream is null; allowed: a list of ids$/],
    ['a null in a list', 'null-in-list.arrows', /^item in row 1 of the Arrow stream is null; allowed: an id$/],
    [
      'a list with values',
      'lists.arrows',
      /^column 'item' of .* holds lists, whose items have no value of their own; allowed: an item a row$/,
      { value: 'at' },
    ],
    [
      'users in lists',
      'lists.arrows',
      /^column 'item' of the Arrow stream has the type list; allowed: text or whole numbers, with a dictionary or not$/,
      { user: 'item', item: 'user' },
    ],
    ['a missing time', 'times.arrows', /^missing in row 1 of .* is null; allowed: a time$/, { time: 'missing' }],
    [
      'a date that is none',
      'times.arrows',
      /^user in row 0 of .* is 'u1'; allowed: a number, or a date such as/,
      { user: 'item', item: 'coded', time: 'user' },
    ],
    [
      'a part that is none',
      'times.arrows',
      /^other in row 5 of .* is 'tests'; allowed: train, validation, valid, val, dev, test$/,
      { part: 'other' },
    ],
    [
      'parts that are numbers',
      'times.arrows',
      /^column 's' of .* has the type timestamp; allowed: text/,
      { part: 's' },
    ],
    ['a file that is cut off', fixture('file.arrow').subarray(0, -1), /^the Arrow file is .*: its footer is missing$/],
    [
      'a file without its end',
      fixture('file.arrow').subarray(0, 600),
      /^the Arrow file is broken at message .* cut off/,
    ],
    ['Feather of version 1', Buffer.from('FEA1\0\0\0\0'), /it is a Feather file of version 1; allowed: version 2$/],
    [
      'other bytes',
      Buffer.from('user,item\n'),
      /no message starts here; allowed: the Arrow IPC streaming or file format$/,
    ],
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
      [[], { format: 'csv' }, "format is 'csv'; allowed: arrow, or none"],
      [[], { escape: 'backslash' }, "escape is 'backslash'; allowed: only for csv (the format is arrow)"],
      [[], { encoding: 'latin1' }, "encoding is 'latin1'; allowed: only for text (the format is arrow)"],
      [[], { separator: ';' }, "separator is ';'; allowed: only for tables and lists (the format is arrow)"],
      [[], { header: false }, 'header is false; allowed: only for tables (the format is arrow)'],
      [[], { since: 1 }, 'since is 1; allowed: only with the option time, which names its column'],
      [[], { timeUnit: 'ms' }, "timeUnit is 'ms'; allowed: only with the option time, which names its column"],
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
      const bytes = Buffer.from(fixture(ALTERED[round % ALTERED.length]!));
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

describe('files of Arrow', () => {
  /** A folder with the planted likes as Arrow. */
  function withFiles() {
    const folder = temporaryFolder();
    const { users, items } = plantedColumns();
    const times = users.map((_, row) => row % 100);
    const table = new Table({
      user: vectorFromArray(users, new Utf8()),
      item: vectorFromArray(items, new Utf8()),
      at: vectorFromArray(times, new Int32()),
    });
    writeFileSync(join(folder, 'likes.arrow'), tableToIPC(table, 'file'));
    writeFileSync(join(folder, 'likes.arrows'), tableToIPC(table, 'stream'));
    writeFileSync(join(folder, 'likes.feather.gz'), gzipSync(tableToIPC(table, 'file')));
    return folder;
  }

  test('are training input and histories, by their names, in folders and on standard input', async () => {
    const folder = withFiles();
    const whole = planted();
    mkdirSync(join(folder, 'parts'));
    copyFileSync(join(folder, 'likes.arrow'), join(folder, 'parts', '1.arrow'));
    copyFileSync(join(folder, 'likes.arrow'), join(folder, 'parts', '2.arrow'));
    for (const name of ['likes.arrow', 'likes.arrows', 'likes.feather.gz', 'parts']) {
      const data = await Interactions.fromFile(join(folder, name));
      expect([name, data.userIds(), data.itemIds()]).toEqual([name, whole.userIds(), whole.itemIds()]);
    }
    const histories = [];
    for await (const { user, items } of readHistories({ source: join(folder, 'likes.arrow') })) {
      expect(items).toEqual(whole.history(user)!.sort());
      histories.push(user);
    }
    expect(histories).toHaveLength(whole.nUsers);
    const some = [];
    for await (const history of readHistories({ source: join(folder, 'likes.arrow'), time: 'at', since: 99 })) {
      some.push(...history.items);
    }
    expect(some.length).toBeLessThan(whole.nInteractions / 50);

    const flags = ['--seed', '1', '--out', 'm.st'];
    const split = ['--split', 'time', '--time', 'at'];
    expect(await recvae(folder, ['train', 'ease', 'likes.arrow', ...split, ...flags])).toMatchObject({ code: 0 });
    const input = readFileSync(join(folder, 'likes.arrows'));
    const piped = await recvae(folder, ['train', 'ease', '-', '--format', 'arrow', ...flags], { input });
    expect(piped).toMatchObject({ code: 0, stderr: expect.stringContaining('40 items') });
    const lists = await recvae(folder, ['recommend', 'm.st', '--history', 'likes.arrow', '-k', '3']);
    expect(lists).toMatchObject({ code: 0 });
    expect(lists.stdout.trim().split('\n')).toHaveLength(whole.nUsers);
  });

  test('that are bad are named, and rows that are bad are left out where that is asked for', async () => {
    const folder = temporaryFolder();
    for (const name of ['null-user.arrows', 'null-in-list.arrows', 'file.arrow']) {
      copyFileSync(join(FIXTURES, name), join(folder, name));
    }
    const path = join(folder, 'null-user.arrows');
    await expect(Interactions.fromFile(path)).rejects.toMatchObject({
      code: 'INVALID_DATA',
      message: `${path}: user in row 4 of the Arrow stream is null; allowed: an id`,
    });
    const data = await Interactions.fromFile(path, { skipBadRows: 1 });
    expect(data.leftOut).toMatchObject([{ reason: 'badRows', rows: 1 }]);
    // Nothing of a row counts of which an item is bad.
    const lists = await Interactions.fromFile(join(folder, 'null-in-list.arrows'), { skipBadRows: 1 });
    expect(rowsOf(lists)).toEqual(['u1 x']);
    writeFileSync(join(folder, 'cut.arrow'), readFileSync(join(folder, 'file.arrow')).subarray(0, 700));
    await expect(Interactions.fromFile(join(folder, 'cut.arrow'))).rejects.toThrow(
      /cut\.arrow: the Arrow file is broken/,
    );
    const sql = await recvae(folder, ['train', 'ease', 'file.arrow', '--sql', 'FROM input', '--out', 'm.st']);
    expect(sql).toMatchObject({ code: 2, stderr: expect.stringContaining('which DuckDB does not read') });
  });
});
