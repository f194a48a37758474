/** Ids, values and histories on the command line. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, cpSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, test } from 'vitest';
import { fit, Interactions, load } from '../dist/index.js';
import { CLI, recvae } from './command.js';
import { temporaryFolder, writePlanted } from './planted.js';

/** A folder with a model of the planted data, which are there too. */
async function plantedModel(): Promise<string> {
  const folder = temporaryFolder();
  const likes = await Interactions.fromFile(writePlanted(folder));
  await (await fit('ease', likes, { lambda: 10 })).save(join(folder, 'm.st'));
  return folder;
}

async function duckdb(statement: string): Promise<void> {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  await connection.run(statement);
  connection.closeSync();
  instance.closeSync();
}

const answers = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

describe('ids', () => {
  test('above 2^53 are read in a history as the training reads them', async () => {
    const folder = temporaryFolder();
    const id = (n: number) => 76561197960287000n + BigInt(n);
    const lines = Array.from({ length: 60 }, (_, row) => {
      const user = Math.floor(row / 3);
      return `{"user":${id(500 + user)},"item":${id((user + (row % 3)) % 8)}}\n`;
    });
    writeFileSync(join(folder, 'games.ndjson'), lines.join(''));
    const likes = await Interactions.fromFile(join(folder, 'games.ndjson'));
    const model = await fit('ease', likes, { lambda: 1 });
    await model.save(join(folder, 'm.st'));
    const input = `{"user":${id(930)},"items":[${id(1)},${id(2)}]}\n{"user":18446744073709551615,"items":[-0]}\n`;
    const { code, stdout, stderr } = await recvae(folder, ['recommend', 'm.st', '-k', '2'], { input });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { items } = model.recommend([id(1), id(2)], { k: 2 });
    expect(answers(stdout)).toMatchObject([
      { user: '76561197960287930', items: items.map(({ id }) => id) },
      { user: '18446744073709551615', unknown: ['0'] },
    ]);
    expect(answers(stdout)[0]).not.toHaveProperty('unknown');
  });

  test('that begin with @ are ids, and the message says how they are written', async () => {
    const folder = temporaryFolder();
    const users = Array.from({ length: 40 }, (_, row) => Math.floor(row / 4));
    const names = ['@angular/core', 'rxjs', 'tslib', '@types/node', 'zone.js'];
    const items = users.map((user, row) => names[(2 * user + (row % 4)) % 5]!);
    const model = await fit('ease', Interactions.fromColumns({ users, items }), { lambda: 1 });
    await model.save(join(folder, 'm.st'));
    writeFileSync(join(folder, 'ids.txt'), '@angular/core\nrxjs\n');
    const explain = (history: string) =>
      recvae(folder, ['explain', 'm.st', '--history', history, '--item', 'tslib', '--json', '-']);
    const expected = await model.explain(['@angular/core', 'rxjs'], 'tslib');
    for (const history of ['@@angular/core,rxjs', 'rxjs,@angular/core', '@ids.txt']) {
      const { stdout, stderr } = await explain(history);
      expect([JSON.parse(stdout).score, stderr], history).toEqual([expected.score, '']);
    }
    const input = '{"user":"a","items":["rxjs"]}\n';
    const denied = await recvae(folder, ['recommend', 'm.st', '--deny', '@@angular/core,@types/node'], { input });
    expect(answers(denied.stdout)[0].items.sort()).toEqual(['tslib', 'zone.js']);
    expect(await explain('@angular/core,rxjs')).toEqual({
      code: 1,
      stdout: '',
      stderr:
        "recvae: --history is '@angular/core,rxjs': cannot open angular/core,rxjs: no such file or directory (ENOENT); " +
        '@ before the first id names a file with one id per line; if the id itself begins with @, ' +
        'write @@angular/core,rxjs\n',
    });
  });
});

describe('histories', () => {
  test('a file that is not there is told in one line, before the model is loaded', async () => {
    const folder = temporaryFolder();
    const outcome = await recvae(folder, ['recommend', 'no-model.st', '--history', 'missing.ndjson']);
    expect(outcome).toEqual({
      code: 1,
      stdout: '',
      stderr: 'recvae: cannot read missing.ndjson: No such file or directory (os error 2)\n',
    });
  });

  test('ids of any number of digits are those of the training', async () => {
    const folder = temporaryFolder();
    const id = (n: number) => `1844674407370955161${n}00000`;
    const likes = Array.from({ length: 40 }, (_, row) => {
      return `{"user":${id(Math.floor(row / 4))},"item":-${id((Math.floor(row / 4) + (row % 4)) % 7)}}\n`;
    });
    writeFileSync(join(folder, 'likes.ndjson'), likes.join(''));
    const model = await fit('ease', await Interactions.fromFile(join(folder, 'likes.ndjson')), { lambda: 1 });
    await model.save(join(folder, 'm.st'));
    const input = `{"items":["-${id(1)}",-${id(2)} , -7],"user":${id(9)}}\n`;
    const { code, stdout, stderr } = await recvae(folder, ['recommend', 'm.st', '-k', '2'], { input });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { items } = model.recommend([`-${id(1)}`, `-${id(2)}`], { k: 2 });
    const expected = [{ user: id(9), items: items.map(({ id }) => id), unknown: ['-7'] }];
    expect(answers(stdout)).toMatchObject(expected);
  });

  test('may have lists of what may come and what must not', async () => {
    const folder = await plantedModel();
    const line = (lists: object) => `${JSON.stringify({ user: 'u', items: ['i2-0', 'i2-1'], ...lists })}\n`;
    const ask = async (lists: object) => {
      const { code, stdout, stderr } = await recvae(folder, ['recommend', 'm.st', '-k', '2'], { input: line(lists) });
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout).items as string[];
    };
    const [best, second] = await ask({});
    const misspelt = await recvae(folder, ['recommend', 'm.st', '-k', '1'], { input: line({ deni: [best] }) });
    expect(JSON.parse(misspelt.stdout).items).toEqual([best]);
    expect(misspelt.stderr).toBe(
      "warning: key 'deni' of line 1 is not read; those read are user, items, allow and deny\n",
    );
    expect(await ask({ deny: [best] })).toEqual([second, expect.any(String)]);
    expect(await ask({ allow: [second, 'i0-0'] })).toEqual([second, 'i0-0']);
    expect(await ask({ allow: [] })).toEqual([]);
    writeFileSync(join(folder, 'h.ndjson'), line({ deny: [best] }));
    const found = await recvae(folder, ['recommend', 'm.st', '-k', '1', '--history', 'h.ndjson']);
    expect(JSON.parse(found.stdout).items).toEqual([second]);
  });

  test('may be compressed, in files and on stdin, and are bounded all the same', async () => {
    const folder = await plantedModel();
    const lines = Array.from({ length: 3000 }, (_, n) => `{"user":"u${n}","items":["i${n % 4}-0","i${n % 4}-1"]}\n`);
    writeFileSync(join(folder, 'h.ndjson'), lines.join(''));
    const { stdout: plain } = await recvae(folder, ['recommend', 'm.st', '-k', '2', '--history', 'h.ndjson']);
    expect(answers(plain)).toHaveLength(3000);
    await duckdb(
      `COPY (SELECT "user", items FROM read_json('${join(folder, 'h.ndjson')}', format = 'newline_delimited'))
        TO '${join(folder, 'h.zst')}' (FORMAT json, COMPRESSION zstd)`,
    );
    // Two members, as gzip writes when it appends.
    const gzip = Buffer.concat([gzipSync(lines.slice(0, 2000).join('')), gzipSync(lines.slice(2000).join(''))]);
    writeFileSync(join(folder, 'h.ndjson.gz'), gzip);
    for (const name of ['h.ndjson.gz', 'h.zst']) {
      const history = await recvae(folder, ['recommend', 'm.st', '-k', '2', '--history', name]);
      expect(history).toEqual({ code: 0, stdout: plain, stderr: '' });
      const input = readFileSync(join(folder, name));
      expect(await recvae(folder, ['recommend', 'm.st', '-k', '2'], { input })).toEqual(history);
    }
    // What is cut off is told after what came before it.
    const cut = await recvae(folder, ['recommend', 'm.st', '-k', '2'], { input: gzip.subarray(0, gzip.length - 9) });
    expect(cut.stderr).toMatch(/^recvae: stdin: the gzip stream is broken or cut off: .*\n$/);
    expect([cut.code, answers(cut.stdout).length > 2000]).toEqual([1, true]);
    const bomb = gzipSync(Buffer.alloc(64 << 20, 'x'));
    const refused = await recvae(folder, ['recommend', 'm.st'], { input: bomb });
    expect(refused).toEqual({
      code: 1,
      stdout: '',
      stderr: 'recvae: stdin:1: the line is longer than 1048576 bytes; allowed: one JSON object per line\n',
    });
  });

  test('a stdin that cannot be read is told', async () => {
    const folder = await plantedModel();
    const stdin = openSync(folder, 'r');
    const child = spawnSync(process.execPath, [CLI, 'recommend', 'm.st'], {
      cwd: folder,
      encoding: 'utf8',
      stdio: [stdin, 'pipe', 'pipe'],
    });
    closeSync(stdin);
    expect(child).toMatchObject({
      status: 1,
      stdout: '',
      stderr: 'recvae: cannot read stdin: Is a directory (os error 21)\n',
    });
  });

  test('of JSON are lines, or a table where a column is named; of a database they need a query', async () => {
    const folder = await plantedModel();
    writeFileSync(join(folder, 'lines.json'), '{"user":"a","items":["i1-0","i1-1"]}\n');
    writeFileSync(join(folder, 'table.json'), '[{"user":"a","items":["i1-0","i1-1"]}]\n');
    const recommend = ['recommend', 'm.st', '-k', '2', '--history'];
    const expected = await recvae(folder, [...recommend, 'lines.json']);
    expect(expected.code).toBe(0);
    expect(await recvae(folder, [...recommend, 'table.json', '--item', 'items'])).toEqual(expected);
    expect(await recvae(folder, [...recommend, 'likes.duckdb'])).toEqual({
      code: 2,
      stdout: '',
      stderr:
        "recvae: --history is 'likes.duckdb'; allowed: a DuckDB database only with --sql, the query for its rows\n",
    });
    expect(await recvae(folder, [...recommend, 'lines.json', '--out', 'x.txt'])).toEqual({
      code: 2,
      stdout: '',
      stderr:
        "recvae: --out is 'x.txt'; allowed: a name in .ndjson, .jsonl or .csv (these also with .gz) or .parquet\n",
    });
  });

  test('a line that does not end is refused before it fills the memory', async () => {
    const folder = await plantedModel();
    const child = spawn(process.execPath, [CLI, 'recommend', 'm.st', '-k', '1'], { cwd: folder });
    let [stdout, stderr, written, ended] = ['', '', 0, false];
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.stdin.on('error', () => {}); // it ends before it has read everything
    const closed = once(child, 'close').then(([code]) => {
      ended = true;
      return code;
    });
    child.stdin.write('{"user":"u","items":[]}\n{"user":"');
    const piece = Buffer.alloc(1 << 16, 'x');
    while (!ended) {
      written += piece.length;
      if (!child.stdin.write(piece)) await Promise.race([once(child.stdin, 'drain').catch(() => {}), closed]);
    }
    expect([await closed, answers(stdout).length]).toEqual([1, 1]);
    expect(stderr).toBe('recvae: stdin:2: the line is longer than 1048576 bytes; allowed: one JSON object per line\n');
    // What lies in pipes and buffers beyond the limit of a line.
    expect(written).toBeLessThan(8 << 20);
  });
});

describe('the reading rule of the training', () => {
  /** What `recommend` says of the users, by their names. */
  const lists = (stdout: string) => new Map(answers(stdout).map(({ user, items }) => [user, items]));

  test('holds for the histories of a table, and can be told otherwise', async () => {
    const folder = temporaryFolder();
    // Users rate a block of 12 items: eight of them 5, and four 1, which are no likes.
    const rows = Array.from({ length: 60 * 12 }, (_, row) => {
      const [user, n] = [Math.floor(row / 12), row % 12];
      return { user: `u${user}`, item: `i${user % 3}-${(n + user) % 14}`, rating: n < 8 ? 5 : 1 };
    });
    const csv = `who,item,rating\n${rows.map(({ user, item, rating }) => `${user},${item},${rating}\n`).join('')}`;
    writeFileSync(join(folder, 'likes.csv'), csv);
    const train = ['train', 'ease', 'likes.csv', '--user', 'who', '--value', 'rating', '--min-value', '4'];
    const trained = await recvae(folder, [...train, '--set', 'lambda=1', '--out', 'm.st']);
    expect(trained.code, trained.stderr).toBe(0);
    const at = (name: string) => join(folder, name);
    await duckdb(`COPY (FROM read_csv('${at('likes.csv')}')) TO '${at('likes.parquet')}'`);
    const other = 'SELECT who AS customer, item, 6 - rating AS dislike FROM';
    await duckdb(`COPY (${other} read_csv('${at('likes.csv')}')) TO '${at('other.parquet')}'`);
    await duckdb(`COPY (SELECT who, item FROM read_csv('${at('likes.csv')}')) TO '${at('bare.parquet')}'`);
    const list = 'SELECT who, list(item) AS item, 5 AS rating FROM';
    await duckdb(`COPY (${list} read_csv('${at('likes.csv')}') GROUP BY who) TO '${at('lists.parquet')}'`);

    const model = await load(at('m.st'));
    const wanted = (isLike: (rating: number) => boolean) => {
      const histories = new Map<string, string[]>();
      for (const { user, item, rating } of rows) {
        if (isLike(rating)) histories.set(user, [...(histories.get(user) ?? []), item]);
      }
      return new Map(
        [...histories].map(([user, items]) => [user, model.recommend(items, { k: 3 }).items.map(({ id }) => id)]),
      );
    };
    const [likes, all] = [wanted((rating) => rating >= 4), wanted(() => true)];
    expect(likes).not.toEqual(all);
    const recommend = (...flags: string[]) => recvae(folder, ['recommend', 'm.st', '-k', '3', '--history', ...flags]);
    const rule = 'as in the training, rows with rating below 4 do not count (--no-value: every row does)\n';
    // Side by side: what takes the time is starting Node and DuckDB.
    const right = [
      [['likes.parquet'], likes, rule],
      [['likes.csv'], likes, rule],
      [['likes.parquet', '--no-value'], all, ''],
      [['lists.parquet', '--no-value'], all, ''],
      [['likes.parquet', '--min-value', '1'], all, rule.replace('as in the training, ', '').replace('4', '1')],
      [['other.parquet', '--user', 'customer', '--value', 'dislike'], wanted((rating) => 6 - rating >= 4), ''],
      [['likes.csv', '--sql', "FROM input WHERE rating = '1'", '--no-value'], wanted((rating) => rating === 1), ''],
    ] as const;
    const check = async ([flags, expected, stderr]: (typeof right)[number]) => {
      const outcome = await recommend(...flags);
      const leftOut = /^(\d+) rows are left out for a value below --min-value\n/m;
      expect([outcome.code, outcome.stderr.replace(leftOut, '')], flags.join(' ')).toEqual([0, stderr]);
      const low = rows.filter(({ rating }) => rating < 4).length;
      if (stderr === rule) expect(outcome.stderr).toMatch(new RegExp(`^${low} rows are left out`, 'm'));
      expect(lists(outcome.stdout), flags.join(' ')).toEqual(expected);
    };
    await Promise.all(right.map(check));
    const wrong = [
      [['bare.parquet'], undefined, '--no-value'],
      [['lists.parquet'], 2, "value is 'rating'; allowed: none for the lists in column 'item'"],
      [['other.parquet', '--no-value'], undefined, 'users are in the column who (--user names another)'],
      [['likes.csv', '--no-value', '--min-value', '3'], 2, '--min-value has no meaning with --no-value'],
      [['-', '--value', 'rating'], 2, '--value has no meaning for lines with histories'],
    ] as const;
    const refuse = async ([flags, code, text]: (typeof wrong)[number]) => {
      const outcome = await recommend(...flags);
      expect([outcome.stdout, outcome.stderr], flags.join(' ')).toEqual(['', expect.stringContaining(text)]);
      expect(outcome.code, outcome.stderr).toBe(code ?? outcome.code);
    };
    await Promise.all(wrong.map(refuse));
  });

  test('the form of the rows is that of the training where files of that name can have it, and flags say otherwise', async () => {
    const folder = temporaryFolder();
    const at = (name: string) => join(folder, name);
    const rows = readFileSync(writePlanted(folder), 'utf8').trimEnd().split('\n').slice(1);
    writeFileSync(at('semi.csv'), `user;item;at\n${rows.map((row, n) => `${row.replace(',', ';')};${n}\n`).join('')}`);
    const train = ['train', 'ease', 'semi.csv', '--separator', ';', '--time', 'at', '--skip-bad-rows', '1'];
    const trained = await recvae(folder, [...train, '--set', 'lambda=10', '--out', 'semi.st']);
    expect(trained.code, trained.stderr).toBe(0);
    writeFileSync(at('h.csv'), 'user;item\na;i2-0\na;i2-1\nb;i0-0;x;y\n');
    writeFileSync(at('h.ndjson'), '{"user":"a","item":"i2-0"}\n{"user":"a","item":"i2-1"}\n');
    writeFileSync(at('comma.csv'), 'user,item\na,i2-0\na,i2-1\n');
    writeFileSync(at('bare.csv'), 'a,i2-0\na,i2-1\n');
    const recommend = (...flags: string[]) =>
      recvae(folder, ['recommend', 'semi.st', '-k', '2', '--history', ...flags]);
    const own = await recommend('h.csv');
    // Without a time: that of a history plays no part. Nothing is left out without a word.
    expect([own.code, own.stderr]).toEqual([
      0,
      '1 row is left out for being malformed, such as h.csv:4: the row has 4 fields; allowed: 2, as in the header\n',
    ]);
    const comma = await recommend('comma.csv');
    expect([comma.code, comma.stderr]).toEqual([
      1,
      expect.stringContaining('; as in the training, with --separator ; --skip-bad-rows 1 (flags say otherwise)\n'),
    ]);
    for (const flags of [
      ['h.ndjson'],
      ['comma.csv', '--separator', ','],
      ['bare.csv', '--separator', ',', '--no-header'],
      ['h.csv', '--skip-bad-rows', '2'],
    ]) {
      const found = await recommend(...flags);
      expect([found.code, found.stdout], `${flags.join(' ')}: ${found.stderr}`).toEqual([0, own.stdout]);
    }
    expect((await recommend('h.csv', '--skip-bad-rows', '0')).code).toBe(1);
    // A folder of such files is read as one.
    mkdirSync(at('parts'));
    for (const [name, row] of Object.entries({ one: 'a;i2-0', two: 'a;i2-1' }))
      writeFileSync(at(`parts/${name}.csv`), `user;item\n${row}\n`);
    expect((await recommend('parts')).stdout).toBe(own.stdout);
    // A name that says nothing is that of a table where the training was told what it is.
    writeFileSync(at('likes.txt'), 'a i2-0 i2-1\nb i2-0 i2-1\n');
    const lists = await recvae(folder, [
      'train',
      'ease',
      'likes.txt',
      '--format',
      'adjacency',
      '--set',
      'lambda=1',
      '--validation',
      '0',
      '--test',
      '0',
      '--out',
      'lists.st',
    ]);
    expect(lists.code, lists.stderr).toBe(0);
    const again = await recvae(folder, [
      'recommend',
      'lists.st',
      '-k',
      '1',
      '--include-seen',
      '--history',
      'likes.txt',
    ]);
    expect([again.code, JSON.parse(again.stdout.split('\n')[0] || '{}').user], again.stderr).toEqual([0, 'a']);
  });

  test('the query of the training is asked of the histories, too', async () => {
    const folder = temporaryFolder();
    const csv = readFileSync(writePlanted(folder), 'utf8').trimEnd().split('\n');
    // Every user has seen everything, and likes some of it.
    writeFileSync(join(folder, 'seen.csv'), csv.map((row, at) => `${row},${at ? at % 2 : 'liked'}\n`).join(''));
    await duckdb(`COPY (FROM read_csv('${join(folder, 'seen.csv')}')) TO '${join(folder, 'seen.parquet')}'`);
    const sql = 'SELECT "user" AS u, item FROM input WHERE liked = 1';
    const train = ['train', 'ease', 'seen.parquet', '--sql', sql, '--user', 'u', '--set', 'lambda=1', '--out', 'm.st'];
    expect((await recvae(folder, train)).code).toBe(0);
    const recommend = (...flags: string[]) => recvae(folder, ['recommend', 'm.st', '--history', ...flags]);
    const [own, none] = [
      await recommend('seen.parquet'),
      await recommend('seen.parquet', '--no-sql', '--user', 'user'),
    ];
    expect(own.stderr).toBe("as in the training, rows are those of the training's --sql (--no-sql: all)\n");
    expect([own.code, none.code, none.stderr]).toEqual([0, 0, '']);
    expect(own.stdout).not.toBe(none.stdout);
    expect((await recommend('seen.parquet', '--sql', sql)).stdout).toBe(own.stdout);
    cpSync(join(folder, 'likes.csv'), join(folder, 'bare.csv'));
    const { stdout, stderr } = await recommend('bare.csv');
    expect([stdout, stderr]).toEqual([
      '',
      expect.stringMatching(/^.*\n?recvae: bare\.csv: DuckDB: .*liked.*--no-sql: all/s),
    ]);
  });
});

describe('values', () => {
  test('without a lowest one change nothing, and that is said', async () => {
    const folder = temporaryFolder();
    const rows = readFileSync(writePlanted(folder), 'utf8').trimEnd().split('\n');
    writeFileSync(
      join(folder, 'rated.csv'),
      rows.map((row, at) => `${row},${at ? 1 - 2 * (at % 2) : 'rating'}\n`).join(''),
    );
    const warning = 'warning: --value rating changes nothing without --min-value or --weighted: every row counts alike';
    const unread = 'warning: rated.csv has the column rating, which is not read: every row is a like';
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await recvae(folder, [...args, '--json', '-']);
      expect(code, stderr).toBe(0);
      expect(stderr.includes(unread)).toBe(!args.includes('--value') && args[0] === 'train');
      return [stderr.includes(warning), JSON.parse(stdout).valuesIgnored];
    };
    const train = ['train', 'popularity', 'rated.csv', '--out', 'm.st'];
    expect(await run(...train)).toEqual([false, undefined]);
    expect(await run(...train, '--value', 'rating', '--min-value', '1')).toEqual([false, undefined]);
    expect(await run(...train, '--value', 'rating')).toEqual([true, true]);
    writeFileSync(join(folder, 'semicolons.csv'), 'user;item\na;b\n');
    const semicolons = await recvae(folder, ['train', 'popularity', 'semicolons.csv', '--out', 'o.st']);
    expect(semicolons.stderr).toMatch(
      /^warning: the fields of semicolons.csv seem to be between semicolons: --separator ';' reads/,
    );
    // The model's recipe says it again.
    expect(await run('evaluate', 'm.st', 'rated.csv')).toEqual([true, true]);
    expect(await run('split', 'rated.csv', '--value', 'rating', '--out', 'split')).toEqual([true, true]);
    const compare = ['compare', 'rated.csv', '--models', 'ease', '--set', 'ease.lambda=1'];
    expect(await run(...compare, '--value', 'rating')).toEqual([true, true]);
    expect(await run('tune', 'ease', 'rated.csv', '--over', 'lambda=1,2', '--value', 'rating')).toEqual([true, true]);
  });

  test('messages name flags here, and options in the library', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'a.csv'), 'uid,item\n1,2\n');
    writeFileSync(join(folder, 'a.ndjson'), '{"user":1,"item":2}\n');
    for (const [args, cli, options, library] of [
      [['a.csv'], "a.csv:1: there is no column 'user' among 'uid', 'item'; name it by --user", {}, 'the option user'],
      [
        ['a.ndjson', '--item', 'sku'],
        "a.ndjson:1: there is no key 'sku' among 'item', 'user'; name it by --item",
        { item: 'sku' },
        'the option item',
      ],
      [
        ['a.csv', '--min-value', '4'],
        '--min-value is 4; allowed: only with --value, which names its column',
        { minValue: 4 },
        'minValue is 4; allowed: only with the option value',
      ],
    ] as const) {
      const { code, stderr } = await recvae(folder, ['train', 'popularity', ...args, '--out', 'm.st']);
      expect([code === 0, stderr]).toEqual([false, `recvae: ${cli}\n`]);
      await expect(Interactions.fromFile(join(folder, args[0]), options)).rejects.toThrow(library);
    }
  });

  test('names of options become flags, and what users wrote stays', async () => {
    const folder = temporaryFolder();
    const rows = Array.from({ length: 60 }, (_, row) => `u${row % 12},minItem${row % 5}\n`).join('');
    writeFileSync(join(folder, 'minItem x.csv'), `user,item\n${rows}`);
    writeFileSync(join(folder, 'bad.csv'), 'minUser,item\n1,2\n');
    writeFileSync(join(folder, 'bad.ndjson'), '{minItem: 3}\n');
    const train = (...args: string[]) => ['train', 'ease', ...args, '--out', 'm.st'];
    for (const [args, text] of [
      [train('minItem x.csv', '--memory-limit', '1000'), /; 1000 bytes is allowed by --memory-limit; the way out: /],
      [train('minItem x.csv', '--min-user', '99'), /: --min-user 99 and --min-item 1 remove all 60 interactions of /],
      [train('minItem x.csv', '--validation', '-1'), /^recvae: --validation is -1; allowed: /],
      [train('minItem x.csv', '--held-out-share', '2'), /^recvae: --held-out-share is 2; allowed: /],
      [
        train('minItem x.csv', '--validation', '0.001'),
        / users have at least 5 items \(--min-user-items\), and --validation = 0\.001 of them rounds to no user; allowed: /,
      ],
      [train('bad.csv'), /^recvae: bad\.csv:1: there is no column 'user' among 'minUser', 'item'; name it by --user\n/],
      [train('bad.ndjson'), /^recvae: bad\.ndjson:1:2: key must be a string, in: \{minItem: 3\}\n/],
      [train('minItem y.csv'), /^recvae: cannot read minItem y\.csv: /],
      [['similar', 'm.st', 'minItem7'], /^recvae: item is 'minItem7'; allowed: /],
    ] as const) {
      if (args[0] === 'similar') expect((await recvae(folder, train('minItem x.csv'))).code).toBe(0);
      const { code, stderr } = await recvae(folder, [...args]);
      expect([code === 0, stderr]).toEqual([false, expect.stringMatching(text)]);
    }
    writeFileSync(join(folder, 'short.csv'), `user,item\n${rows}u99,minItem0\n`);
    const kept = await recvae(folder, train('short.csv', '--min-user-items', '2'));
    expect(kept.stderr).toMatch(
      /^1 user is trained on but never held out, .* fewer than 2 items \(--min-user-items\)\n/,
    );
    const none = ['--validation', '0', '--test', '0', '--short-users', 'drop', '--min-user-items', '6'];
    expect((await recvae(folder, train('short.csv', ...none))).stderr).toMatch(
      / \(--short-users = drop\), so that .*, by a lower --min-user-items or by --short-users = train\n$/,
    );
  });

  test('what <input> may be is said by what it is not', async () => {
    const folder = temporaryFolder();
    const rows = ['ax', 'ay', 'bx', 'bz'].map(([user, item]) => ({ user, item }));
    writeFileSync(join(folder, 'likes.json'), JSON.stringify(rows));
    writeFileSync(join(folder, 'lines.json'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const none = ['--validation', '0', '--test', '0'];
    for (const args of [['likes.json'], ['lines.json', '--format', 'ndjson'], ['lines.json']]) {
      const { code, stderr } = await recvae(folder, ['train', 'ease', ...args, ...none, '--out', 'm.st']);
      expect([code, stderr]).toEqual([0, expect.stringMatching(/2 users, 3 items/)]);
    }
    for (const [input, text] of [
      ['likes.duckdb', /^recvae: <input> is 'likes\.duckdb'; allowed: a DuckDB database only with --sql, the query/],
      [
        'likes.parquet.gz',
        /^recvae: <input> is 'likes\.parquet\.gz'; allowed: names in \.parquet, \.csv, .*data sets debian/,
      ],
      [
        'debain',
        /^recvae: <input> is 'debain'; allowed: names in .*, others with --format, folders, and the data sets debian/,
      ],
    ] as const) {
      const { code, stderr } = await recvae(folder, ['split', input, '--out', 'o']);
      expect([code, stderr]).toEqual([2, expect.stringMatching(text)]);
    }
  });
});
