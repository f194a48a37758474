/**
 * Two readers of one format: what the core reads and what comes by way of DuckDB is the same, or both refuse it. Tried
 * on generated files with ids of every kind, well-formed and not. `READERS_FILES=10000` tries that many of each format.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type DuckDBOptions,
  Interactions,
  type ReadOptions,
  RecvaeError,
  readHistories,
  Split,
  split,
} from '../dist/index.js';
import { planted, temporaryFolder } from './planted.js';

const FILES = Number(process.env.READERS_FILES ?? 30);

type Rows = Map<string, string[]>;
type Escape = NonNullable<ReadOptions['escape']>;

/** Ids that some reader takes for something else. */
const id = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('a', 'b', '7', '007', '7.0', '1e3', '-0', '18446744073709551616', 'é', '🦀'),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom("'", "'a", "a'", "'a'", '"', '"a', 'a"b', '""', 'a,b', 'a\tb', 'a;b', 'a|b', '#a'),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
      '2024-01-01',
      '2024-01-01 00:00:00',
      '12:30:00',
      'true',
      'NULL',
      'null',
      'NaN',
      '\\N',
      '\\"',
      'a\\',
      ' a ',
      '',
      '@a/b',
      '__proto__',
    ),
  },
  { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 6, unit: 'grapheme' }) },
);

/** A number in JSON, as it is written. */
const number = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('7', '-7', '0', '-0', '18446744073709551615', '18446744073709551616') },
  { weight: 1, arbitrary: fc.constantFrom('7.0', '1e3', '1.5', '-0.0', '1e30') },
);

const rows = fc.array(fc.tuple(id, id, id), { minLength: 1, maxLength: 12 });
const end = fc.constantFrom('\n', '\n', '\r\n');

/** A field as RFC 4180 has it, or as it comes. */
function field(text: string, how: 'always' | 'needed' | 'raw', escapes: Escape): string {
  if (how === 'raw' || (how === 'needed' && !/[",\r\n]/.test(text))) return text;
  const escaped = escapes === 'quote' ? text.replaceAll('"', '""') : text.replace(/["\\]/g, '\\$&');
  return `"${escaped}"`;
}

const how = fc.oneof(
  { weight: 6, arbitrary: fc.constant('needed' as const) },
  { weight: 3, arbitrary: fc.constant('always' as const) },
  { weight: 1, arbitrary: fc.constant('raw' as const) },
);

interface File {
  name: string;
  text: string;
  escape: Escape;
}

const csv: fc.Arbitrary<File> = fc
  .record({
    rows,
    end,
    hows: fc.array(how, { minLength: 1, maxLength: 7 }),
    escape: fc.constantFrom<Escape>('quote', 'quote', 'quote', 'backslash'),
    header: fc.constantFrom('user,item,title', 'title,"user",item', 'item,title,user'),
    last: fc.boolean(),
  })
  .map(({ rows, end, hows, escape: escapes, header, last }) => {
    let n = 0;
    const lines = rows.map((row) => row.map((text) => field(text, hows[n++ % hows.length]!, escapes)).join(','));
    return { name: 'a.csv', text: [header, ...lines].join(end) + (last ? end : ''), escape: escapes };
  });

const tsv: fc.Arbitrary<File> = fc.record({ rows, end, last: fc.boolean() }).map(({ rows, end, last }) => {
  const lines = rows.map((row) => row.map((text) => (n(text) ? text : text.replace(/[\t\r\n]/g, '_'))).join('\t'));
  return { name: 'a.tsv', text: ['user\titem\ttitle', ...lines].join(end) + (last ? end : ''), escape: 'quote' };
});

/** One in some texts stays as it is, with tabs and line ends. */
function n(text: string): boolean {
  return text.length % 7 === 6;
}

const jsonValue = fc.oneof(
  { weight: 12, arbitrary: id.map((text) => JSON.stringify(text)) },
  { weight: 4, arbitrary: number },
  { weight: 1, arbitrary: fc.constantFrom('null', 'true', '[1]', '{"a":1}', '"\\u0041"', 'NaN', '01') },
);
/** Half a pair is no text; in a column that nobody asked for, the core does not look at it. */
const jsonId = fc.oneof({ weight: 30, arbitrary: jsonValue }, { weight: 1, arbitrary: fc.constant('"\\ud800"') });
const ndjson: fc.Arbitrary<File> = fc
  .record({
    rows: fc.array(fc.tuple(jsonId, jsonId, jsonValue), { minLength: 1, maxLength: 5 }),
    strings: fc.boolean(),
    end: fc.constantFrom('\n', '\r\n', '\n\n'),
    keys: fc.constantFrom(
      ['user', 'item', 'title'],
      ['item', 'user', 'title'],
      ['user', 'item', 'User'],
      ['user', 'item', 'user'],
    ),
  })
  .map(({ rows, strings, end, keys }) => {
    // Most files have one wrong value in many rows only if all rows can be wrong: half of them are of strings.
    const text = (value: string) => (strings && !value.startsWith('"') ? JSON.stringify(value) : value);
    const lines = rows.map((row) => `{${row.map((value, at) => `"${keys[at]}": ${text(value)}`).join(', ')}}`);
    return { name: 'a.ndjson', text: lines.join(end) + end, escape: 'quote' };
  });

const contents = (data: Interactions): Rows =>
  new Map([...data.userIds()].sort().map((user) => [user, data.history(user)!.sort()]));

/** What a reader gives, or its error. */
async function result(read: () => Promise<Rows>): Promise<Rows | RecvaeError> {
  try {
    return await read();
  } catch (error) {
    expect(error).toBeInstanceOf(RecvaeError);
    expect((error as RecvaeError).code, (error as RecvaeError).message).toBe('INVALID_DATA');
    return error as RecvaeError;
  }
}

async function historiesOf(options: DuckDBOptions): Promise<Rows> {
  const users = new Map<string, Set<string>>();
  for await (const { user, items } of readHistories(options)) {
    users.set(user, new Set([...(users.get(user) ?? []), ...items]));
  }
  if (users.size === 0) throw new RecvaeError('INVALID_DATA', 'no rows');
  return new Map([...users].sort(([a], [b]) => (a < b ? -1 : 1)).map(([user, items]) => [user, [...items].sort()]));
}

describe('the readers of a format agree', () => {
  test.each([
    ['csv', csv],
    ['tsv', tsv],
    ['ndjson', ndjson],
  ] as const)(
    '%s',
    async (_, file) => {
      const folder = temporaryFolder();
      const sql = 'SELECT "user", item FROM input';
      const counts = { files: 0, refused: 0 };
      const property = fc.asyncProperty(
        file,
        fc.boolean(),
        fc.boolean(),
        async ({ name, text, escape: escapes }, bom, gz) => {
          const source = join(folder, gz ? `${name}.gz` : name);
          const bytes = Buffer.from(`${bom ? '\uFEFF' : ''}${text}`);
          writeFileSync(source, gz ? gzipSync(bytes) : bytes);
          const ours = await result(async () => contents(await Interactions.fromFile(source, { escape: escapes })));
          const ways = {
            source: () => Interactions.fromDuckDB({ source, escape: escapes }).then(contents),
            query: () => Interactions.fromDuckDB({ source, sql, escape: escapes }).then(contents),
            histories: () => historiesOf({ source, escape: escapes }),
            'histories of a query': () => historiesOf({ source, sql, escape: escapes }),
          };
          counts.files += 1;
          if (ours instanceof RecvaeError) counts.refused += 1;
          for (const [way, read] of Object.entries(ways)) {
            // Where all rows have lists of items, they are histories, and no interactions.
            if (way.includes('histories') && text.includes('"item": [1]')) continue;
            // Opening a database takes longest: of many files every tenth is read by all ways.
            if (counts.files % 10 !== 0 && FILES > 1000 && way.includes('histories')) continue;
            const theirs = await result(read);
            // In SQL, names that differ in capitals are one: the other column is an error there, never its values.
            if (theirs instanceof RecvaeError && text.includes('"User"') && theirs.message.includes("no column 'user'"))
              continue;
            const note = `${way}: ${ours instanceof RecvaeError ? ours.message : ''} / ${theirs instanceof RecvaeError ? theirs.message : ''}`;
            if (ours instanceof RecvaeError) expect(theirs, note).toBeInstanceOf(RecvaeError);
            else expect(theirs, note).toEqual(ours);
          }
        },
      );
      await fc.assert(property, { numRuns: FILES });
      if (process.env.READERS_FILES) console.info(JSON.stringify(counts));
    },
    FILES * 2000 + 60_000,
  );
});

describe('what the core makes of', () => {
  const written = (name: string, text: string) => {
    const path = join(temporaryFolder(), name);
    writeFileSync(path, text);
    return path;
  };

  test('a byte order mark: no part of an id, a header or a format, and no row', async () => {
    const likes = await Interactions.fromFile([written('p.csv', 'user,item\na,x\nb,y\n'), written('m.csv', '\ufeff')]);
    expect([likes.nUsers, likes.nItems]).toEqual([2, 2]);
    const known = await Interactions.fromFile(
      written('ratings.csv', '\ufeffuserId,movieId,rating,timestamp\n1,2,5.0,100\n3,4,4.0,101\n'),
    );
    expect(known.nUsers).toBe(2);
    const folder = join(temporaryFolder(), 'parts');
    const before = await split(planted(), { seed: 1 });
    await before.write(folder);
    for (const name of ['unique_sid.txt', 'train.csv']) {
      const path = join(folder, name);
      writeFileSync(path, `\ufeff${readFileSync(path, 'utf8')}`);
    }
    const { train } = await Split.fromOfficial(folder);
    expect(train.itemIds()).toEqual(before.train.itemIds());
  });

  test('a quote that is left open before the last line, and a list in a row that is left out', async () => {
    for (const end of ['', '\n']) {
      const path = written('open.csv', `user,item\na,x\n"e,v\nf,u${end}`);
      const { leftOut } = await Interactions.fromFile(path, { skipBadRows: 2 });
      expect(leftOut).toMatchObject([{ reason: 'badRows', rows: 2 }]);
    }
    const rows = ['["x"],"at":1e15', '"x","at":1500000000', '"y","at":1500000000'];
    const path = written('l.ndjson', rows.map((row, at) => `{"user":"u${at}","item":${row}}\n`).join(''));
    const read = await Interactions.fromFile(path, { time: 'at', since: '2015-01-01', skipBadRows: 1 });
    expect([read.nUsers, read.nItems]).toEqual([2, 2]);
  });
});
