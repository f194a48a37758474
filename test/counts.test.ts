/** Counts of EASE^R from several machines and from databases: the bytes of one run on all users. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, test } from 'vitest';
import { gramSql, SQL_DIALECTS } from '../dist/data/gram-sql.js';
import { EaseCounts, fit, Interactions, type Model } from '../dist/index.js';
import { recvae as command } from './command.js';
import { plantedColumns, temporaryFolder } from './planted.js';
import { findPostgres, findPsql, startPostgres } from './postgres.js';

const recvae = (folder: string, ...args: string[]) => command(folder, args);

/**
 * Users with items, in the order of the bytes of the items' ids, as the SQL numbers them; an id with a capital, a
 * comma, an accent.
 */
function rows(): [string, string][] {
  const { users, items } = plantedColumns();
  const names = new Map([
    ['i0-0', 'Z'],
    ['i0-1', 'a,"b"'],
    ['i0-2', 'é'],
  ]);
  const all = users.map((user, row): [string, string] => [user, names.get(items[row]!) ?? items[row]!]);
  return all.sort(([u, a], [v, b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)) || (u < v ? -1 : 1));
}

const field = (text: string) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** A file of the rows, each pair twice. */
function writeRows(folder: string, name = 'likes.csv', all = rows()): string {
  const lines = [...all, ...all].map(([user, item]) => `${user},${field(item)}\n`);
  writeFileSync(join(folder, name), `user,item\n${lines.join('')}`);
  return name;
}

async function bytesOf(model: Model): Promise<Buffer> {
  const path = join(temporaryFolder(), 'model');
  await model.save(path, { trainingRecord: false });
  return readFileSync(path);
}

const local = async () => {
  const all = rows();
  const data = Interactions.fromColumns({ users: all.map(([user]) => user), items: all.map(([, item]) => item) });
  return { data, model: await bytesOf(await fit('ease', data, { lambda: 10 })) };
};

async function expectLocal(counts: EaseCounts): Promise<void> {
  const { data, model } = await local();
  expect(counts.nUsers).toBe(data.nUsers);
  expect(counts.itemIds).toEqual(data.itemIds());
  expect((await bytesOf(await counts.fit({ lambda: 10 }))).equals(model)).toBe(true);
}

/** The tables of a small Gram matrix: users a and b have x and y, c has y. */
const SMALL = {
  vocab: 'item,index\nx,0\ny,1\n',
  gram: 'i,j,n\n0,1,2\n1,1,3\n0,0,2\n',
  totals: 'name,n\nusers,3\ninteractions,5\n',
};

function writeTables(tables: Partial<typeof SMALL> = {}): string {
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries({ ...SMALL, ...tables })) writeFileSync(join(folder, `${name}.csv`), text);
  return folder;
}

describe('a Gram matrix that was made elsewhere', () => {
  test('is counts: CSV, TSV, NDJSON, Parquet, compressed and in parts', async () => {
    const history = [
      ['a', 'x'],
      ['a', 'y'],
      ['b', 'x'],
      ['b', 'y'],
      ['c', 'y'],
    ];
    const data = Interactions.fromColumns({ users: history.map(([u]) => u!), items: history.map(([, i]) => i!) });
    const expected = await bytesOf(await fit('ease', data, { lambda: 1 }));
    const of = async (source: Parameters<typeof EaseCounts.fromGram>[0]) => {
      const counts = await EaseCounts.fromGram(source, { threads: 2 });
      expect([counts.nUsers, counts.itemIds, counts.shard]).toEqual([3, ['x', 'y'], undefined]);
      expect((await bytesOf(await counts.fit({ lambda: 1 }))).equals(expected)).toBe(true);
    };
    await of(writeTables());
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'gram.tsv'));
    writeFileSync(join(folder, 'gram.tsv', 'part-0.tsv'), 'i\tj\tn\n0\t1\t2\n');
    writeFileSync(join(folder, 'gram.tsv', 'part-1.tsv'), 'i\tj\tn\n1\t1\t3\n0\t0\t2\n');
    writeFileSync(join(folder, 'vocab.csv.gz'), gzipSync(SMALL.vocab));
    writeFileSync(join(folder, 'totals.ndjson'), '{"name":"users","n":3}\n');
    await of(folder);
    const instance = await DuckDBInstance.create();
    const connection = await instance.connect();
    const tables = writeTables();
    for (const name of Object.keys(SMALL)) {
      // Types as engines have them: sums are HUGEINT, counts BIGINT.
      const from = `read_csv('${join(tables, `${name}.csv`)}')`;
      await connection.run(`COPY (SELECT * FROM ${from}) TO '${join(tables, `${name}-0.parquet`)}' (FORMAT parquet)`);
    }
    connection.closeSync();
    instance.closeSync();
    const parquet = (name: string) => join(tables, `${name}-*.parquet`);
    await of({ vocab: parquet('vocab'), gram: [parquet('gram')], totals: join(tables, 'totals.csv') });
  });

  test.each([
    [
      { vocab: 'item,index\nx,0\ny,2\n' },
      'vocab has index = 2; allowed: whole numbers from 0 to 1, as vocab has 2 items',
    ],
    [{ vocab: 'item,index\nx,0\ny,0\n' }, 'vocab has index = 0 in two spellings or twice; allowed: once'],
    [{ vocab: 'item,index\nx,0\ny,1\nx,1\n' }, "vocab has 2 indices for item 'x'; allowed: 1"],
    [{ vocab: 'item,index\nx,0\nx,0\n' }, 'vocab has 1 rows that repeat an item and its index; allowed: each once'],
    [{ gram: 'i,j,n\n0,0,2\n0,2,1\n' }, 'gram has j = 2; allowed: whole numbers from 0 to 1, as vocab has 2 items'],
    [{ gram: `${SMALL.gram}1,0,2\n` }, 'gram has the pair i = 1, j = 0; allowed: i at most j, the upper triangle'],
    [{ gram: `${SMALL.gram}0,1,2\n` }, 'gram has 1 rows that repeat a pair of items; allowed: each once'],
    [{ gram: `${SMALL.gram}00,1,2\n` }, 'gram has i = 0 in two spellings or twice; allowed: once'],
    [
      { gram: 'i,j,n\n0,0,2\n0,1,1.5\n1,1,3\n' },
      'gram has n = 1.5 for i = 0, j = 1; allowed: a whole number from 0 to 4294967295',
    ],
    [{ gram: 'i,j,n\n0,0,2\n0,1,-1\n1,1,3\n' }, 'gram has n = -1 for i = 0, j = 1; allowed: a whole number'],
    [
      { gram: 'i,j,n\n0,0,2\n0,1,3\n1,1,3\n' },
      "gram has 3 users with both 'x' and 'y', which 2 and 3 of 3 users have; allowed: 2 to 2",
    ],
    [
      { gram: 'i,j,n\n0,0,2\n1,1,3\n' },
      "gram has 0 users with both 'x' and 'y', which 2 and 3 of 3 users have; allowed: 2 to 2",
    ],
    [
      { gram: 'i,j,n\n0,0,2\n0,1,2\n1,1,4\n', totals: 'name,n\nusers,3\n' },
      "gram has 4 users with item 'y'; allowed: at most the 3 users of totals",
    ],
    [{ gram: 'i,j\n0,0\n' }, 'gram: '],
    [
      { totals: 'name,n\nusers,3\ninteractions,6\n' },
      'totals has 6 interactions, and the diagonal of gram comes to 5; allowed: the same',
    ],
    [{ totals: 'name,n\ninteractions,5\n' }, "totals has no row 'users'; allowed: one"],
    [{ totals: 'name,n\nusers,three\n' }, 'totals has users = three; allowed: a whole number'],
  ])('is refused where it cannot be: %j', async (tables, message) => {
    const error = { code: 'INVALID_DATA', message: expect.stringContaining(message) };
    await expect(EaseCounts.fromGram(writeTables(tables))).rejects.toMatchObject(error);
  });

  test('a table that is missing and arguments that make no sense are named', async () => {
    const folder = temporaryFolder();
    const cases = [
      [folder, 'INVALID_DATA', `${folder}: there is no table 'vocab'; allowed: vocab.parquet, .csv`],
      [join(folder, 'none'), 'IO', 'none'],
      [7, 'INVALID_ARGUMENT', 'source is 7; allowed: an object'],
      [{ gram: 'g' }, 'INVALID_ARGUMENT', 'vocab is undefined; allowed: a string'],
      [{ gram: 'g', users: 3 }, 'INVALID_ARGUMENT', "a key of source is 'users'; allowed: vocab, gram, totals"],
      [{ gram: [], vocab: 'v', totals: 't' }, 'INVALID_ARGUMENT', 'gram is an array; allowed: a file, a folder'],
    ] as const;
    for (const [source, code, message] of cases) {
      const error = { code, message: expect.stringContaining(message) };
      await expect(EaseCounts.fromGram(source as never), message).rejects.toMatchObject(error);
    }
    const small = EaseCounts.fromGram(writeTables(), { memoryLimit: 1000 });
    await expect(small).rejects.toMatchObject({ code: 'MEMORY', message: expect.stringContaining('pairs of 2 items') });
  });
});

describe('SQL', () => {
  test('of DuckDB gives the counts of a local fit', async () => {
    const folder = temporaryFolder();
    writeRows(folder);
    const to = join(folder, "it's");
    mkdirSync(to);
    const table = `read_csv('${join(folder, 'likes.csv')}', all_varchar = true)`;
    const { stdout } = await recvae(folder, 'counts', 'sql', '--dialect', 'duckdb', '--table', table, '--to', to);
    const instance = await DuckDBInstance.create();
    const connection = await instance.connect();
    await connection.run(stdout);
    connection.closeSync();
    instance.closeSync();
    await expectLocal(await EaseCounts.fromGram(to));
    const outcome = await recvae(folder, 'counts', 'from-gram', "it's", '--out', 'all.counts');
    expect(outcome).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^200 users, 40 items in .* s: all.counts\n$/),
    });
    await expectLocal(await EaseCounts.load(join(folder, 'all.counts')));
    const fitted = await recvae(folder, 'counts', 'fit', 'all.counts', '--set', 'lambda=10', '--out', 'ease.st');
    expect(fitted).toMatchObject({ code: 0, stderr: expect.stringContaining('200 users, 40 items: ease.st') });
  });

  const [bin, client] = [findPostgres(), findPsql()];
  test.skipIf(bin === undefined || client === undefined)(
    'of PostgreSQL does, under another collation too',
    async () => {
      const server = await startPostgres(bin!);
      try {
        const folder = temporaryFolder();
        const connected = await server.connect();
        const { port } = connected as unknown as { port: number };
        await connected.query("CREATE DATABASE shop ENCODING 'UTF8' TEMPLATE template0");
        await connected.end();
        const psql = (input: string) => {
          const session = [
            '-h',
            '127.0.0.1',
            '-p',
            String(port),
            '-U',
            'tester',
            '-d',
            'shop',
            '-v',
            'ON_ERROR_STOP=1',
          ];
          execFileSync(client!, [...session, '-q'], {
            cwd: folder,
            input,
            env: { ...process.env, PGCLIENTENCODING: 'UTF8' },
          });
        };
        // A collation of its own sorts Z behind a; bytes do not.
        psql(
          `CREATE TABLE likes ("User" text, sku text COLLATE "en-x-icu");\n\\copy likes FROM '${writeRows(folder)}' CSV HEADER\n`,
        );
        psql(gramSql('postgres', { table: 'public.likes', user: 'User', item: 'sku', to: '.' }));
        await expectLocal(await EaseCounts.fromGram(folder));
      } finally {
        await server.stop();
      }
    },
  );

  test('of the others says that nobody ran it, and quotes names', async () => {
    const folder = temporaryFolder();
    const run = ['duckdb', 'postgres', 'spark'];
    for (const dialect of SQL_DIALECTS) {
      const text = gramSql(dialect, { table: 'likes', user: 'customer id', item: 'item', to: 'place' });
      const said = run.includes(dialect) ? "recvae's tests run this text" : "not run by recvae's tests";
      expect(text.split('\n')[0]).toContain(`(${said})`);
      expect(text).toMatch(/CAST\(["`]customer id["`] AS (?:STRING|String|VARCHAR|text)\) AS u/);
      for (const table of ['vocab', 'gram', 'totals']) expect(text).toMatch(new RegExp(`place/${table}\\b`));
    }
    const mistakes = [
      [['--dialect', 'oracle'], "--dialect is 'oracle'; allowed: duckdb, postgres"],
      [[], '--dialect is missing'],
      [['likes.csv', '--dialect', 'duckdb'], "<source> is 'likes.csv'; allowed: none for counts sql"],
      [['--dialect', 'duckdb', '--out', 'x'], '--out has no meaning for counts sql'],
    ] as const;
    for (const [args, message] of mistakes) {
      const outcome = await recvae(folder, 'counts', 'sql', ...args);
      expect(outcome, message).toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
    }
  });
});

describe('shards', () => {
  test('merged are one run, byte for byte: of text and of Parquet, with values and thresholds', async () => {
    const folder = temporaryFolder();
    writeRows(folder);
    const instance = await DuckDBInstance.create();
    const connection = await instance.connect();
    await connection.run(`COPY (SELECT "user" AS who, item, length(item) AS stars FROM read_csv('${join(folder, 'likes.csv')}'))
      TO '${join(folder, 'likes.parquet')}' (FORMAT parquet)`);
    connection.closeSync();
    instance.closeSync();
    // On the command line, which keeps only the users of the shard in memory.
    const all = ['--validation', '0', '--test', '0'];
    const flags = ['--user', 'who', '--value', 'stars', '--min-value', '2'];
    const once = await recvae(
      folder,
      'train',
      'ease',
      'likes.parquet',
      ...all,
      ...flags,
      '--save-counts',
      'c',
      '--out',
      'm',
    );
    expect(once.code, once.stderr).toBe(0);
    const outcomes = await Promise.all(
      [0, 1, 2].map((k) =>
        recvae(folder, 'counts', 'shard', 'likes.parquet', ...flags, '--shard', `${k}/3`, '--out', `${k}`),
      ),
    );
    for (const [k, { code, stderr }] of outcomes.entries()) {
      expect([code, stderr], stderr).toEqual([0, expect.stringContaining(`users of shard ${k}/3, 38 items in`)]);
    }
    const merged = await recvae(folder, 'counts', 'merge', '2', '0', '1', '--out', 'merged');
    expect(merged.code, merged.stderr).toBe(0);
    expect(readFileSync(join(folder, 'merged')).equals(readFileSync(join(folder, 'c')))).toBe(true);
    // In a program, which reads them all; the thresholds are met by all users together.
    writeRows(folder, 'rare.csv', [['u3', 'rare'], ['alone', 'Z'], ...rows()]);
    const data = await Interactions.fromFile(join(folder, 'rare.csv'), { minItem: 3, minUser: 2 });
    expect([data.nUsers, data.nItems]).toEqual([200, 40]);
    const files = [0, 1, 2, 3].map((index) => join(folder, `part-${index}`));
    for (const [index, file] of files.entries()) await (await EaseCounts.countShard(data, { index, of: 4 })).save(file);
    await (await EaseCounts.merge(files)).save(join(folder, 'merged'));
    await (await EaseCounts.count(data)).save(join(folder, 'c'));
    expect(readFileSync(join(folder, 'merged')).equals(readFileSync(join(folder, 'c')))).toBe(true);
    const thresholds = ['--min-item', '3', '--min-user', '2', '--shard', '3/4'];
    const own = await recvae(folder, 'counts', 'shard', 'rare.csv', ...thresholds, '--out', 'own');
    expect(own.code, own.stderr).toBe(0);
    expect(readFileSync(join(folder, 'own')).equals(readFileSync(files[3]!))).toBe(true);
  });

  test('of another input, missing and repeated ones are refused by name', async () => {
    const folder = temporaryFolder();
    const all = rows();
    const data = (some: typeof all) =>
      Interactions.fromColumns({ users: some.map(([user]) => user), items: some.map(([, item]) => item) });
    const path = (name: string) => join(folder, name);
    const save = async (name: string, some: typeof all, index: number, of: number) =>
      (await EaseCounts.countShard(data(some), { index, of })).save(path(name));
    for (const index of [0, 1, 2]) await save(`${index}`, all, index, 3);
    await save('other', all.slice(1), 1, 3);
    await save('of2', all, 1, 2);
    copyFileSync(path('1'), path('copy'));
    const whole = await EaseCounts.count(data(all));
    await whole.save(path('whole'));
    await (await EaseCounts.merge(['2', '0', '1'].map(path))).save(path('merged'));
    expect(readFileSync(path('merged')).equals(readFileSync(path('whole')))).toBe(true);
    const cases = [
      [
        ['0', 'other', '2'],
        `${path('other')}: shard 1/3 of another input than ${path('0')} is of; allowed: the same rows`,
      ],
      [['0', 'of2', '2'], `${path('of2')}: shard 1/2; allowed: a shard of 3, as in ${path('0')}`],
      [['0', '1', 'copy', '2'], `${path('copy')}: shard 1/3, and so is ${path('1')}; allowed: each shard once`],
      [['0'], 'there is no file of shard 1/3, 2/3; allowed: all 3 shards, each once'],
      [['0', 'whole'], `${path('whole')}: counts of all users; allowed: counts of a shard`],
    ] as const;
    for (const [names, message] of cases) {
      const error = { code: 'INVALID_DATA', message: expect.stringContaining(message) };
      await expect(EaseCounts.merge(names.map(path)), message).rejects.toMatchObject(error);
    }
    await expect(EaseCounts.merge([])).rejects.toMatchObject({ message: 'files is none; allowed: one or more' });
    const shard = await EaseCounts.load(path('1'));
    expect(shard.shard).toEqual({ index: 1, of: 3 });
    const alone = 'the counts are of shard 1/3; allowed to fit: all 3 shards, merged';
    await expect(shard.fit()).rejects.toMatchObject({ code: 'INVALID_DATA', message: alone });
    await expect(shard.update({ add: data(all) })).rejects.toMatchObject({
      message: expect.stringContaining('allowed to update'),
    });
    await expect(EaseCounts.countShard(data(all), { index: 3, of: 3 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'index of the shard is 3; allowed: a whole number from 0 to 2',
    });
  });

  test('on the command line a scheduler says which one, and mistakes are named', async () => {
    const folder = temporaryFolder();
    writeRows(folder);
    const shard = (environment: object, ...flags: string[]) => {
      const args = ['counts', 'shard', 'likes.csv', ...flags, '--out', 'part'];
      return command(folder, args, { environment });
    };
    const kubernetes = await shard({ JOB_COMPLETION_INDEX: '1' }, '--shard', 'auto/2');
    expect(kubernetes).toMatchObject({ code: 0, stderr: expect.stringContaining('of shard 1/2') });
    const slurm = await shard({ SLURM_ARRAY_TASK_ID: '0' }, '--shard', 'auto/2');
    expect(slurm).toMatchObject({ code: 0, stderr: expect.stringContaining('of shard 0/2') });
    const mistakes = [
      [{}, ['--shard', 'auto/2'], 'neither JOB_COMPLETION_INDEX nor SLURM_ARRAY_TASK_ID is set'],
      [
        { SLURM_ARRAY_TASK_ID: '2' },
        ['--shard', 'auto/2'],
        "--shard is 'auto/2'; allowed: k/n with k from 0 to n - 1; k is 2",
      ],
      [{}, ['--shard', '2/2'], "--shard is '2/2'; allowed: k/n with k from 0 to n - 1"],
      [{}, ['--shard', 'half'], "--shard is 'half'; allowed: k/n such as 0/4, or auto/n"],
      [{}, [], '--shard is missing'],
      [{}, ['--shard', '0/2', '--set', 'lambda=1'], '--set has no meaning for counts shard'],
    ] as const;
    for (const [environment, flags, message] of mistakes) {
      const outcome = await shard(environment, ...flags);
      expect(outcome, message).toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
    }
    expect(existsSync(join(folder, 'ease.st'))).toBe(false);
  });
});
