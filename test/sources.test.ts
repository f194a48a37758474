/**
 * The ways in and out that need no driver: URLs, streams and standard input; buffers; CSV and gzip; histories in lines
 * of rows.
 */
import { createReadStream, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  fit,
  Interactions,
  load,
  type ReadHistory,
  RecvaeError,
  readHistories,
  type UserRecommendation,
  writeRecommendations,
} from '../dist/index.js';
import { recvae } from './command.js';
import { NEWCOMER, planted, temporaryFolder, writePlanted } from './planted.js';

function same(found: Interactions, expected: Interactions): void {
  expect(found.userIds()).toEqual(expected.userIds());
  expect(found.itemIds()).toEqual(expected.itemIds());
  for (const user of expected.userIds()) expect(found.history(user)).toEqual(expected.history(user));
}

describe('fromFile', () => {
  test('takes a path, a URL, a stream of bytes or of text, and the body of a response', async () => {
    const path = writePlanted(temporaryFolder());
    const expected = planted();
    const format = 'csv' as const;
    same(await Interactions.fromFile(path), expected);
    same(await Interactions.fromFile(pathToFileURL(path)), expected);
    const bytes = readFileSync(path);
    for (const stream of [
      createReadStream(path),
      createReadStream(path, { encoding: 'utf8', highWaterMark: 100 }),
      createReadStream(path, { highWaterMark: 1 << 10 }),
      new Response(bytes).body!,
      [bytes],
      new Set(bytes.toString().split(/(?<=\n)/)),
      Readable.from([gzipSync(bytes)]),
    ]) {
      same(await Interactions.fromFile(stream as AsyncIterable<Uint8Array>, { format }), expected);
    }
    // More than is handed over at once.
    const [head, ...rows] = bytes.toString().trim().split('\n');
    const many = Array.from({ length: 400 }, () => `${rows.join('\n')}\n`);
    same(await Interactions.fromFile(Readable.from([`${head}\n`, ...many]), { format }), expected);
  });

  test('closes a stream that it refuses, and says where', async () => {
    let closed = 0;
    async function* bad() {
      try {
        yield 'user,item\na,x\n';
        yield 'b\n';
        for (;;) yield 'c,y\n'.repeat(1 << 18);
      } finally {
        closed += 1;
      }
    }
    await expect(Interactions.fromFile(bad(), { format: 'csv' })).rejects.toMatchObject({
      code: 'INVALID_DATA',
      message: expect.stringMatching(/^stream:3: /),
    });
    expect(closed).toBe(1);
    const failing = async function* () {
      yield 'user,item\na,x\n';
      throw new RangeError('the line is dead');
    };
    await expect(Interactions.fromFile(failing(), { format: 'csv' })).rejects.toThrow(
      new RangeError('the line is dead'),
    );
    // biome-ignore lint/suspicious/noExplicitAny: what TypeScript would have refused
    const cases: [any, object, string][] = [
      [[Buffer.from('user,item\n')], {}, "format is not clear from the name 'stream'; allowed: "],
      [new URL('https://example.com/likes.csv'), {}, "source is 'https://example.com/likes.csv'; allowed: a file: URL"],
      [[1], { format: 'csv' }, 'a piece of the stream is 1; allowed: a Uint8Array or text'],
      [
        Buffer.from('user,item\n'),
        { format: 'csv' },
        'source is an object; allowed: a path, a list of paths, a file: URL',
      ],
      [3, {}, "source is 3; allowed: a path, a list of paths, a file: URL, '-' or an iterable of bytes or text"],
      [null, {}, 'source is null; allowed: a path'],
    ];
    for (const [source, options, text] of cases) {
      const error = await Interactions.fromFile(source, options).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(RecvaeError);
      expect(error.message).toContain(text);
    }
  });

  test('stops at an abort, also while the stream does not answer', async () => {
    const controller = new AbortController();
    const stream = new Readable({ read() {} });
    stream.push('user,item\na,x\n');
    const reading = Interactions.fromFile(stream, { format: 'csv' }, { signal: controller.signal });
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
  });

  test('- is standard input, for the library and the command line', async () => {
    const folder = temporaryFolder();
    const path = writePlanted(folder);
    const input = gzipSync(readFileSync(path));
    const train = [
      'train',
      'ease',
      '-',
      '--format',
      'csv',
      '--set',
      'lambda=10',
      '--validation',
      '0',
      '--test',
      '0',
      '--out',
      'm.st',
    ];
    const { code, stderr } = await recvae(folder, train, { input });
    expect([code, stderr]).toEqual([0, expect.stringContaining('200 users, 40 items')]);
    const whole = await fit('ease', planted(), { lambda: 10 });
    expect((await load(join(folder, 'm.st'))).recommend(NEWCOMER)).toEqual(whole.recommend(NEWCOMER));
    const bad = await recvae(folder, train, { input: 'user,item\nx\n' });
    expect([bad.code, bad.stderr]).toEqual([1, expect.stringMatching(/^recvae: stdin:2: /)]);
  });
});

test('fromArrow takes an ArrayBuffer', async () => {
  const data = planted();
  const bytes = data.toArrow();
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  expect((await Interactions.fromArrow(buffer)).nInteractions).toBe(data.nInteractions);
  expect((await Interactions.fromArrow(await new Response(bytes as BodyInit).arrayBuffer())).nUsers).toBe(data.nUsers);
  await expect(Interactions.fromArrow({} as never)).rejects.toThrow(
    'bytes is an object; allowed: a Uint8Array, an ArrayBuffer or',
  );
});

describe('writeRecommendations', () => {
  test('writes CSV and gzip', async () => {
    const folder = temporaryFolder();
    const names = ['plain', 'with,comma', 'with "quotes"', 'two\nlines', 'käse'];
    const users = names.flatMap((_, n) => Array.from({ length: 3 }, (_, user) => `${names[user]} ${n}`));
    const data = Interactions.fromColumns({ users, items: users.map((_, row) => names[row % names.length]!) });
    const model = await fit('ease', data, { lambda: 1 });
    const histories = () => names.map((user, at) => ({ user, items: [names[at]!] }));
    const all = async () => {
      const found = [];
      for await (const result of model.recommendStream(histories(), { k: 3 })) found.push(result);
      return found;
    };
    const results = await all();
    const quoted = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const csv = `user,rank,item,score\n${results
      .flatMap(({ user, items }) =>
        items.map(({ id, score }, at) => `${quoted(user)},${at + 1},${quoted(id)},${score}\n`),
      )
      .join('')}`;
    for (const name of ['a.csv', 'a.csv.gz', 'a.CSV.GZ', 'a.ndjson', 'a.jsonl.gz']) {
      const path = join(folder, name);
      expect(await writeRecommendations(path, model.recommendStream(histories(), { k: 3 }))).toBe(5);
      const bytes = readFileSync(path);
      const text = (/gz$/i.test(name) ? gunzipSync(bytes) : bytes).toString();
      if (/csv/i.test(name)) expect(text).toBe(csv);
      else
        expect(
          text
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line).user),
        ).toEqual(names);
    }
    await expect(writeRecommendations(join(folder, 'a.xml'), model.recommendStream([]))).rejects.toThrow(
      'allowed: a name in .ndjson, .jsonl or .csv (these also with .gz) or .parquet',
    );
    // Nobody is somebody's file: the head alone.
    await writeRecommendations(join(folder, 'none.csv'), model.recommendStream([]));
    expect(readFileSync(join(folder, 'none.csv'), 'utf8')).toBe('user,rank,item,score\n');
    const thrown = new RangeError('no more');
    const failing = (async function* () {
      yield results[0]!;
      throw thrown;
    })();
    await expect(writeRecommendations(join(folder, 'b.csv.gz'), failing)).rejects.toBe(thrown);
    // Also where the results fail before the file could be opened, and some time later.
    for (let time = 0; time < 20; time += 1) {
      const never = (async function* (): AsyncGenerator<UserRecommendation> {
        yield* [];
        throw thrown;
      })();
      await expect(writeRecommendations(join(folder, 'b.csv'), never)).rejects.toBe(thrown);
    }
    await setTimeout(50);
    expect(readdirSync(folder).filter((name) => name.startsWith('b') || name.startsWith('.'))).toEqual([]);
  });
});

describe('histories', () => {
  const rows = [
    ['u2', 'b', 5],
    ['u1', 'a', 4],
    ['u2', 'a', 1],
    ['u1', 'c', 3],
  ] as const;
  const texts: Record<string, string> = {
    'h.csv': `user,item,rating\n${rows.map((row) => row.join(',')).join('\n')}\n`,
    'h.tsv': `user\titem\trating\n${rows.map((row) => row.join('\t')).join('\n')}\n`,
    'h.ndjson': rows.map(([user, item, rating]) => `${JSON.stringify({ user, item, rating })}\n`).join('\n'),
    'h.jsonl': `\ufeff\n${rows.map(([user, item, rating]) => `${JSON.stringify({ rating, item, user })}\n`).join('')}`,
  };

  async function read(source: string, more: object = {}): Promise<ReadHistory[]> {
    const found = [];
    for await (const history of readHistories({ source, ...more })) found.push(history);
    return found;
  }

  test('come from CSV, TSV and lines of rows, plain and compressed', async () => {
    const folder = temporaryFolder();
    for (const [name, text] of Object.entries(texts)) {
      for (const [file, bytes] of [
        [name, Buffer.from(text)],
        [`${name}.gz`, gzipSync(text)],
      ] as const) {
        const path = join(folder, file);
        writeFileSync(path, bytes);
        expect(await read(path), file).toEqual([
          { user: 'u1', items: ['a', 'c'] },
          { user: 'u2', items: ['a', 'b'] },
        ]);
        expect(await read(path, { value: 'rating', minValue: 4 }), file).toEqual([
          { user: 'u1', items: ['a'] },
          { user: 'u2', items: ['b'] },
        ]);
      }
    }
    writeFileSync(
      join(folder, 'lists.ndjson.gz'),
      gzipSync('{"user":"u2","items":["b"]}\n{"user":"u1","items":["a","c"]}\n'),
    );
    expect(await read(join(folder, 'lists.ndjson.gz'), { item: 'items' })).toEqual([
      { user: 'u2', items: ['b'] },
      { user: 'u1', items: ['a', 'c'] },
    ]);
  });

  test('of the command line do, too, read as the training was', async () => {
    const folder = temporaryFolder();
    const path = writePlanted(folder);
    const [, ...lines] = readFileSync(path, 'utf8').trim().split('\n');
    const likes = lines.map((line, row) => [...line.split(','), String(1 + (row % 5))] as [string, string, string]);
    const files: Record<string, string> = {
      'rated.csv': `user,item,rating\n${likes.map((row) => row.join(',')).join('\n')}\n`,
      'rated.tsv': `user\titem\trating\n${likes.map((row) => row.join('\t')).join('\n')}\n`,
      'rated.ndjson': likes
        .map(([user, item, rating]) => `${JSON.stringify({ user, item, rating: Number(rating) })}\n`)
        .join(''),
    };
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(folder, name), text);
      writeFileSync(join(folder, `${name}.gz`), gzipSync(text));
    }
    const train = [
      'train',
      'ease',
      'rated.csv',
      '--value',
      'rating',
      '--min-value',
      '4',
      '--set',
      'lambda=10',
      '--out',
      'm.st',
    ];
    expect((await recvae(folder, train)).code).toBe(0);
    const recommend = (file: string, ...more: string[]) =>
      recvae(folder, ['recommend', 'm.st', '--history', file, '-k', '3', ...more]);
    const expected = await recommend('rated.csv');
    expect(expected.code).toBe(0);
    expect(expected.stderr).toContain('as in the training, rows with rating below 4 do not count');
    for (const name of Object.keys(files)) {
      for (const file of [name, `${name}.gz`]) expect(await recommend(file), file).toEqual(expected);
    }
    const all = await recommend('rated.ndjson', '--no-value');
    expect(all.stdout).not.toBe(expected.stdout);
    expect(all.stdout).toBe((await recommend('rated.csv', '--no-value')).stdout);
    expect((await recommend('rated.ndjson', '--user', 'nobody')).stderr).toContain("'nobody'");
    writeFileSync(join(folder, 'lists.ndjson'), '{"user":"u","items":["i0-0"]}\n');
    const refused = await recommend('lists.ndjson', '--user', 'user');
    expect([refused.code, refused.stderr]).toEqual([2, 'recvae: --user has no meaning for lines with histories\n']);
  });
});
