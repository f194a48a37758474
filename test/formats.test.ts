/** Files as they are published, files of any form, and splits within users, by the library and by the command line. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { evaluate, fit, Interactions, RecvaeError, readHistories, Split, split } from '../dist/index.js';
import { description } from '../dist/runtime/native.js';
import { ALS, recvae } from './command.js';
import { plantedColumns, temporaryFolder } from './planted.js';

/** The planted data as MovieLens 100K has them, with times that rise from row to row, and a few rows of low ratings. */
function writeUData(folder: string): string {
  const { users, items } = plantedColumns();
  const lines = users.map(
    (user, row) => `${user}\t${items[row]}\t${4 + (row % 2)}\t${881250949 + ((row * 7919) % 5000)}\n`,
  );
  const path = join(folder, 'u.data');
  writeFileSync(path, `${lines.join('')}u0\tdull\t1\t881250949\nu1\tdull\t3\t881250950\n`);
  return path;
}

/** Sizes and a hash of a split, which the types do not show. */
function fingerprintOf(data: Split): string {
  return (data as unknown as { fingerprint: () => string }).fingerprint();
}

async function refusal(work: () => Promise<unknown>): Promise<string> {
  const error = await work().then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(RecvaeError);
  return `${error.code}: ${error.message}`;
}

describe('files', () => {
  test('of a data set are recognised, in a folder and by a pattern too, and the command line says so', async () => {
    const folder = temporaryFolder();
    writeUData(folder);
    writeFileSync(join(folder, 'u.item'), '1|Toy Story\n');
    const likes = await Interactions.fromFile(folder);
    expect(likes.leftOut).toMatchObject([{ reason: 'minValue', rows: 2 }]);
    expect((await Interactions.fromFile(join(folder, 'u.da*'))).itemIds()).toEqual(likes.itemIds());
    for (const input of ['u.data', '.']) {
      const { code, stderr } = await recvae(folder, ['train', 'ease', input, '--out', 'm.st', '--seed', '1']);
      expect({ code, stderr }).toMatchObject({ code: 0 });
      expect(stderr).toContain(
        `${input} is read as --format movielens-100k, MovieLens 100K: likes are rows with a value of at least 4 (--min-value)`,
      );
      expect(stderr).toContain('2 rows are left out for a value below --min-value');
    }
    // The model knows how its data were read: evaluate, and recommend for rows of the same form.
    const evaluated = await recvae(folder, ['evaluate', 'm.st', 'u.data', '--json', '-']);
    expect(JSON.parse(evaluated.stdout)).toMatchObject({ sameTrainingUsers: true, warnings: [] });
    writeFileSync(join(folder, 'new.data'), 'x\ti2-0\t5\t1\nx\ti2-1\t4\t2\nx\ti3-1\t1\t3\n');
    const rows = ['recommend', 'm.st', '--history', 'new.data', '--format', 'movielens-100k', '-k', '1'];
    const answer = JSON.parse((await recvae(folder, rows)).stdout);
    expect(answer.items[0]).toMatch(/^i2-/);
  });

  test('of several kinds in a folder are read with a format, and not without', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'ratings.csv'), 'user_id,book_id,rating\n1,258,5\n2,4081,4\n2,260,3\n');
    writeFileSync(join(folder, 'books.csv'), 'book_id,title\n258,x\n');
    const books = await Interactions.fromFile(folder, { format: 'goodbooks' });
    expect([books.nUsers, books.nItems]).toEqual([2, 2]);
    expect(await refusal(() => Interactions.fromFile(folder))).toMatch(
      /^INVALID_DATA: .*books\.csv:1: there is no column 'user'/,
    );
    mkdirSync(join(folder, 'empty'));
    expect(await refusal(() => Interactions.fromFile(join(folder, 'empty')))).toMatch(
      /there is no file in this folder/,
    );
    expect(await refusal(() => Interactions.fromFile(join(folder, '*.tsv')))).toMatch(
      /^INVALID_ARGUMENT: path is '.*\*\.tsv'; allowed: a pattern that the name of a file matches$/,
    );
    expect(await refusal(() => Interactions.fromFile('likes.csv', { format: 'movielens' as never }))).toMatch(
      /^INVALID_ARGUMENT: format is "movielens"; allowed: 'csv' or 'tsv'/,
    );
  });

  test('that cannot be looked at are errors of this package', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'a.csv'), 'user,item\na,b\n');
    expect(await refusal(() => Interactions.fromFile(join(folder, 'a.csv', 'x')))).toMatch(/^IO: /);
    expect(await refusal(() => Interactions.fromFile(join(folder, 'a\0.csv')))).toMatch(/^(IO|INVALID_ARGUMENT): /);
  });

  test('come from stdin, from many files and with bad rows', async () => {
    const folder = temporaryFolder();
    const { users, items } = plantedColumns();
    const lines = users.map((user, row) => `${user};${items[row]}\n`);
    const flags = ['--separator', ';', '--no-header', '--skip-bad-rows', '1', '--seed', '1', '--out', 'm.st'];
    const input = gzipSync(`${lines.join('')}broken\n`);
    const { code, stderr } = await recvae(folder, ['train', 'ease', '-', '--format', 'csv', ...flags], { input });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toContain('1 row is left out for being malformed, such as stdin:');
    const without = await recvae(folder, ['train', 'ease', '-', '--out', 'm.st'], { input: 'user,item\n' });
    expect(without).toMatchObject({ code: 2 });
    expect(without.stderr).toContain('standard input only with --format');

    mkdirSync(join(folder, 'parts'));
    for (const part of [0, 1, 2]) {
      const own = lines.filter((_, row) => row % 3 === part);
      writeFileSync(join(folder, 'parts', `${part}.csv`), own.join(''));
    }
    const options = { separator: ';', header: false };
    const all = await Interactions.fromFile(join(folder, 'parts'), options);
    expect([all.nUsers, all.nInteractions]).toEqual([200, lines.length]);
    const paths = [0, 1, 2].map((part) => join(folder, 'parts', `${part}.csv`));
    expect((await Interactions.fromFile(paths, options)).userIds()).toEqual(all.userIds());
    const trained = await recvae(folder, ['train', 'ease', 'parts/*.csv', ...flags]);
    expect(trained).toMatchObject({ code: 0 });

    // Whoever reads histories says the same of them.
    const histories = [];
    for await (const { user } of readHistories({ source: paths, ...options })) histories.push(user);
    expect(histories).toHaveLength(200);
    expect(await refusal(async () => readHistories({ sql: 'SELECT 1', separator: ';' }).next())).toBe(
      "INVALID_ARGUMENT: separator is ';'; allowed: only for files of text under source, without sql, database and settings",
    );
  });

  test('with lists of items are rows of their users', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'h.ndjson'), '{"user":"u","items":["a",7]}\n{"user":"v","items":["a"]}\n');
    const lists = await Interactions.fromFile(join(folder, 'h.ndjson'), { item: 'items' });
    expect(lists.history('u')).toEqual(['a', '7']);
    writeFileSync(join(folder, 'train.txt'), '0 5 6\n1 5\n');
    expect((await Interactions.fromFile(join(folder, 'train.txt'), { format: 'adjacency' })).history(0)).toEqual([
      '5',
      '6',
    ]);
  });

  test('that nothing but the core reads are refused where DuckDB reads', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'likes.csv'), 'user,item\na,b\n');
    const sql = await recvae(folder, [
      'train',
      'ease',
      'likes.csv',
      '--sql',
      'FROM input',
      '--separator',
      ';',
      '--out',
      'm.st',
    ]);
    expect(sql).toMatchObject({ code: 2 });
    expect(sql.stderr).toContain('--separator has no meaning for what DuckDB reads');
    expect(await refusal(() => Interactions.fromArrow(new Uint8Array(), { separator: ';' } as never))).toBe(
      "INVALID_ARGUMENT: separator is ';'; allowed: only for tables and lists (the format is arrow)",
    );
  });

  test('are listed by recvae datasets and in the documentation', async () => {
    const { stdout } = await recvae(temporaryFolder(), ['datasets']);
    const page = readFileSync(new URL('../docs/data.md', import.meta.url), 'utf8');
    for (const { name, files, isPublished } of description.formats) {
      expect(stdout).toContain(name);
      if (!isPublished) continue;
      expect(page).toContain(name.startsWith('amazon-ratings') ? `-${name.slice(-4)}` : `\`${name}\``);
      for (const file of files) if (!/test|kaggle/.test(file)) expect(page).toContain(file);
    }
  });
});

describe('splits within users', () => {
  test('by time: known by what came before, asked for what came later', async () => {
    const folder = temporaryFolder();
    const likes = await Interactions.fromFile(writeUData(folder), { format: 'movielens-100k', time: '4' });
    const data = await split(likes, { kind: 'time', test: 0.2 });
    expect([data.test.areKnown, (await split(likes, { seed: 1 })).test.areKnown]).toEqual([true, false]);
    const user = data.test.userIds()[0]!;
    expect(data.test.input(user)).toEqual(expect.arrayContaining(data.train.history(user)!));
    const known = await evaluate(await fit('ease', data, { lambda: 10 }), data.test);
    expect(known).toMatchObject({ sameTrainingUsers: true, trainedUsers: 0, warnings: [] });
    expect(known.metrics['ndcg@100']!.mean).toBeGreaterThan(0.5);
    // A model of all data has seen what it has to find.
    const cheat = await evaluate(await fit('ease', likes, { lambda: 10 }), data.test);
    expect(cheat.trainedUsers).toBeGreaterThan(100);
    expect(cheat.warnings[0]).toMatch(/^the model was trained on other items of \d+ of the \d+ users/);
    await data.write(join(folder, 'split'));
    const again = await Split.fromOfficial(join(folder, 'split'));
    expect(fingerprintOf(again)).toBe(fingerprintOf(data));
    // A day may be a Date, a text or seconds.
    const days = ['1997-12-04T17:00:00Z', new Date('1997-12-04T17:00:00Z'), 881254800];
    const since = days.map((testSince) => split(likes, { kind: 'time', testSince, validationSince: 881253000 }));
    const [text, ...others] = (await Promise.all(since)).map(fingerprintOf);
    expect(others).toEqual([text, text]);
    expect(text).not.toBe(fingerprintOf(data));
    await expect(split(likes, { kind: 'time', testSince: new Date(Number.NaN) })).rejects.toThrow(
      'testSince is "Invalid Date"',
    );
  });

  test.each([
    [['--split', 'time', '--test-since', '1997-12-04T17:00:00Z']],
    [['--split', 'last']],
    [['--split', 'share', '--held-out-share', '0.3']],
  ])('%j works in every command', async (flags) => {
    const folder = temporaryFolder();
    writeUData(folder);
    const good = async (args: string[]) => {
      const result = await recvae(folder, args);
      expect({ args, code: result.code, stderr: result.code === 0 ? '' : result.stderr }).toEqual({
        args,
        code: 0,
        stderr: '',
      });
      return result;
    };
    await good(['train', 'ease', 'u.data', ...flags, '--seed', '1', '--set', 'lambda=10', '--out', 'm.st']);
    // The split is kept in the model.
    const own = JSON.parse((await good(['evaluate', 'm.st', 'u.data', '--json', '-'])).stdout);
    expect(own).toMatchObject({ sameTrainingUsers: true, trainedUsers: 0, warnings: [] });
    expect(own.metrics['ndcg@100'].mean).toBeGreaterThan(0.3);
    await good(['split', 'u.data', ...flags, '--seed', '1', '--out', 'parts']);
    const again = JSON.parse((await good(['evaluate', 'm.st', 'parts', '--json', '-'])).stdout);
    expect(again.metrics).toEqual(own.metrics);
    const models = ['--models', 'popularity,ease', ...ALS, '--seed', '1', '--json', '-'];
    const compared = JSON.parse((await good(['compare', 'u.data', ...flags, ...models])).stdout);
    expect(['ease', 'als']).toContain(compared.winner);
    await good(['tune', 'ease', 'u.data', ...flags, '--seed', '1', '--trials', '2', '--out', 't.st']);
  });

  test('what does not fit is refused, in the words of the flags', async () => {
    const folder = temporaryFolder();
    writeUData(folder);
    writeFileSync(join(folder, 'likes.csv'), 'user,item\na,b\nb,b\n');
    for (const [args, text] of [
      [
        ['likes.csv', '--split', 'last'],
        "--split is 'last'; allowed: only for data with times: --time names their column",
      ],
      [
        ['u.data', '--split', 'sometimes'],
        "--split is \"sometimes\"; allowed: 'strong' or 'folds' or 'time' or 'last' or 'share' or 'files' or 'column'",
      ],
      [['u.data', '--test-since', '1998-01-01'], "--test-since is '1998-01-01'; allowed: only with"],
      [
        ['u.data', '--split', 'time', '--test-since', 'soon'],
        '--test-since is "soon"; allowed: a finite number or a date',
      ],
      [['u.data', '--split', 'time', '--test-since', '2020-01-01'], 'no test user is left with something to find'],
      [['u.data', '--split', 'time', '--test', '500'], '--test is 500; allowed: a share below 1 of the interactions'],
      [['likes.csv', '--since', '2015-01-01'], '--since is 2015-01-01; allowed: only with --time'],
      [['likes.csv', '--time-unit', 'ms'], "--time-unit is 'ms'; allowed: only with --time"],
    ] as const) {
      const { code, stderr } = await recvae(folder, ['split', ...args, '--out', 'parts']);
      expect({ args, code }).toEqual({ args, code: text.startsWith('no test user') ? 1 : 2 });
      expect(stderr).toContain(text);
    }
  });
});
