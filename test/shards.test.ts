/** Recommendations by several machines: together what one run gives, also after kills. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fit } from '../dist/index.js';
import { CLI, recvae as command } from './command.js';
import { planted, plantedColumns } from './planted.js';

const recvae = (folder: string, ...args: string[]) => command(folder, args);

/** Users: enough for a few seconds of parts. */
const MANY = 3000;

let folder: string;

/** The rows of Parquet files, in the order of the files' names and in their own. */
async function rowsOf(paths: string[]): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  const rows: unknown[][] = [];
  for (const path of paths) {
    const query = `SELECT "user", rank, item, score FROM read_parquet('${path}')`;
    rows.push(...(await connection.runAndReadAll(query)).getRows());
  }
  connection.closeSync();
  instance.closeSync();
  return rows;
}

/** The parts in a folder, in their order. */
const partsIn = (out: string) =>
  readdirSync(join(folder, out))
    .filter((name) => name.startsWith('part-'))
    .sort()
    .map((name) => join(folder, out, name));

const textOf = (out: string) => Buffer.concat(partsIn(out).map((path) => readFileSync(path)));

const JSON_OF = (...path: string[]) => JSON.parse(readFileSync(join(folder, ...path), 'utf8'));

/** Runs all shards of a job at once. */
async function allShards(of: number, out: string, ...args: string[]) {
  const outcomes = await Promise.all(
    Array.from({ length: of }, (_, index) =>
      recvae(folder, 'recommend', 'ease.st', ...args, '--shard', `${index}/${of}`, '--out', out),
    ),
  );
  for (const { code, stderr } of outcomes) expect(code, stderr).toBe(0);
  return outcomes;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'recvae-'));
  await (await fit('ease', planted(), { lambda: 10 })).save(join(folder, 'ease.st'));
  const { users, items } = plantedColumns();
  const lines = users.map((user, row) => `${user},${items[row]}\n`);
  writeFileSync(join(folder, 'likes.csv'), `user,item\n${lines.join('')}`);
  const history = (user: number) => ({
    user: `n${user}`,
    items: [0, 1, 2].map((at) => `i${user % 4}-${(user + at) % 10}`),
  });
  const many = Array.from({ length: MANY }, (_, user) => `${JSON.stringify(history(user))}\n`);
  writeFileSync(join(folder, 'many.ndjson'), many.join(''));
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  const text = join(folder, 'many.ndjson');
  await connection.run(
    `COPY (SELECT * FROM read_json('${text}')) TO '${join(folder, 'many.parquet')}' (FORMAT parquet)`,
  );
  connection.closeSync();
  instance.closeSync();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('recommend --shard', () => {
  test('all shards together are the run without them, row by row, with a manifest', async () => {
    await recvae(folder, 'recommend', 'ease.st', '--history', 'many.ndjson', '-k', '3', '--out', 'one.ndjson');
    const outcomes = await allShards(4, 'all.ndjson', '--history', 'many.ndjson', '-k', '3', '--users-per-part', '130');
    expect(textOf('all.ndjson').equals(readFileSync(join(folder, 'one.ndjson')))).toBe(true);
    expect(outcomes.some(({ stderr }) => stderr.includes('all shards are done: '))).toBe(true);
    const { users, parts } = JSON_OF('all.ndjson', '_manifest.json');
    expect(users).toBe(MANY);
    expect(parts.map(({ file }: { file: string }) => join(folder, 'all.ndjson', file))).toEqual(partsIn('all.ndjson'));
    expect(parts.map(({ users }: { users: number }) => users)).toEqual([...Array(23).fill(130), 10]);
    expect(existsSync(join(folder, 'all.ndjson', '_SUCCESS'))).toBe(true);
    // A shard that is done has nothing to do.
    const table = ['--history', 'many.parquet', '--item', 'items'];
    const parquet = [...table, '--users-per-part', '500'];
    await recvae(folder, 'recommend', 'ease.st', ...table, '--out', 'one.parquet');
    await allShards(3, 'all.parquet', ...parquet);
    expect(await rowsOf(partsIn('all.parquet'))).toEqual(await rowsOf([join(folder, 'one.parquet')]));
    const again = await allShards(3, 'all.parquet', ...parquet);
    expect(again[1]!.stderr).toMatch(
      /^shard 1\/3: 1000 users; parts made: 0, there before: 2; .*\nall shards are done/,
    );
    // Rows of a table, and a folder of parts as the next input.
    await recvae(folder, 'recommend', 'ease.st', '--history', 'likes.csv', '--out', 'one.csv');
    await allShards(2, 'all.csv', '--history', 'likes.csv', '--users-per-part', '90');
    const [header, ...rows] = readFileSync(join(folder, 'one.csv'), 'utf8').split('\n');
    const bodies = partsIn('all.csv').map((path) => readFileSync(path, 'utf8').replace(`${header}\n`, ''));
    expect(bodies.join('')).toBe(rows.join('\n'));
  });

  test('a shard that is killed again and again loses nothing and has nothing twice', async () => {
    await recvae(folder, 'recommend', 'ease.st', '--history', 'many.ndjson', '--out', 'whole.ndjson');
    const out = 'killed.ndjson';
    const args = ['recommend', 'ease.st', '--history', 'many.ndjson', '--users-per-part', '10', '--out', out];
    await recvae(folder, ...args, '--shard', '1/2');
    const done = () => (existsSync(join(folder, out)) ? readdirSync(join(folder, out)).length : 0);
    let kills = 0;
    const before = done();
    for (; kills < 10; kills += 1) {
      const [start, child] = [done(), spawn(process.execPath, [CLI, ...args, '--shard', '0/2'], { cwd: folder })];
      const ended = new Promise((resolve) => child.once('close', resolve));
      // In the middle of its parts, which there are 150 of: once it has made a few.
      while (child.exitCode === null && done() < start + 3) await setTimeout(1);
      child.kill('SIGKILL');
      await ended;
      if (existsSync(join(folder, out, '_done', 'shard-0-of-2.json'))) break;
    }
    expect(kills).toBeGreaterThan(2); // where parts are made faster than processes start, few kills find one at work
    expect(done() - before).toBeLessThan(150);
    const last = await recvae(folder, ...args, '--shard', '0/2');
    expect(last.stderr).toMatch(
      /^shard 0\/2: 1500 users; parts made: \d+, there before: [1-9]\d+; .*\nall shards are done/,
    );
    expect(textOf(out).equals(readFileSync(join(folder, 'whole.ndjson')))).toBe(true);
    // Nothing of what the kills left is there any more.
    expect(readdirSync(join(folder, out)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('another job, other histories and foreign files in the folder are refused', async () => {
    const shard = (out: string, ...flags: string[]) =>
      recvae(
        folder,
        'recommend',
        'ease.st',
        '--history',
        'likes.csv',
        '--out',
        out,
        '--users-per-part',
        '50',
        ...flags,
      );
    expect((await shard('job.ndjson', '--shard', '0/2', '-k', '5')).code).toBe(0);
    mkdirSync(join(folder, 'foreign.ndjson'));
    writeFileSync(join(folder, 'foreign.ndjson', 'notes.txt'), '');
    const cases = [
      [
        'job.ndjson',
        ['--shard', '1/2', '-k', '6'],
        1,
        'job.ndjson has parts of another job: k is 5 there, and 6 here; allowed: the same',
      ],
      ['job.ndjson', ['--shard', '1/2'], 1, 'k is 5 there, and 10 here'],
      ['job.ndjson', ['--shard', '1/3', '-k', '5'], 1, 'shards is 2 there, and 3 here'],
      ['job.ndjson', ['--shard', '1/2', '-k', '5', '--deny', 'i0-0'], 1, 'deny is null there, and "'],
      [
        'foreign.ndjson',
        ['--shard', '0/2'],
        1,
        'foreign.ndjson has the file notes.txt and no _job.json; allowed: a new or empty',
      ],
      ['lists', ['--shard', '0/2'], 2, "--out is 'lists'; allowed: a name in .ndjson"],
      ['x.ndjson', ['--shard', '2/2'], 2, "--shard is '2/2'; allowed: k/n with k from 0 to n - 1"],
      ['x.ndjson', [], 2, '--users-per-part has no meaning without --shard'],
      [
        'x.ndjson',
        ['--shard', '0/2', '--users-per-part', '0'],
        2,
        '--users-per-part is 0; allowed: a whole number from 1 on',
      ],
      ['x.ndjson', ['--shard', '0/2', '--history', '-'], 2, "--history is '-'; allowed: a file with --shard"],
    ] as const;
    for (const [out, flags, code, message] of cases) {
      const outcome = await shard(out, ...flags);
      expect(outcome, message).toMatchObject({ code, stderr: expect.stringContaining(message) });
    }
    expect(existsSync(join(folder, 'x.ndjson'))).toBe(false);
    // Of the same size, but not the same: users of a part that is there, and of one of another shard.
    const path = join(folder, 'changing.ndjson');
    const write = (users: string[]) =>
      writeFileSync(path, users.map((user) => `{"user":"${user}","items":["i0-0"]}\n`).join(''));
    const change = (index: number) =>
      recvae(
        folder,
        ...['recommend', 'ease.st', '--history', 'changing.ndjson', '--out', 'changed.ndjson'],
        ...['--users-per-part', '1', '--shard', `${index}/2`],
      ); // prettier-ignore
    write(['a', 'b', 'c']);
    await change(0);
    rmSync(join(folder, 'changed.ndjson', '_done', 'shard-0-of-2.json'));
    write(['x', 'b', 'c']);
    expect((await change(0)).stderr).toContain('part-00000000.ndjson was made from other histories than there are now');
    write(['a', 'b', 'c']);
    expect((await change(0)).code).toBe(0);
    write(['a', 'b', 'x']);
    const other =
      'changed.ndjson: shard 1/2 has read other histories than shard 0/2; allowed: the same, in the same order';
    expect((await change(1)).stderr).toContain(other);
    expect(existsSync(join(folder, 'changed.ndjson', '_SUCCESS'))).toBe(false);
  });

  test('a shard that is done looks again: at its histories, and whether its parts are there', async () => {
    const out = join(folder, 'again.ndjson');
    const write = (item: string) => {
      const lines = ['a', 'b', 'c', 'd'].map((user) => `{"user":"${user}","items":["${item}"]}\n`);
      writeFileSync(join(folder, 'again-in.ndjson'), lines.join(''));
    };
    const make = (index: number) => {
      const args = ['--history', 'again-in.ndjson', '--out', 'again.ndjson', '--users-per-part', '1'];
      return recvae(folder, 'recommend', 'ease.st', ...args, '--shard', `${index}/2`);
    };
    write('i0-0');
    for (const index of [0, 1]) expect((await make(index)).code).toBe(0);
    const whole = textOf('again.ndjson');
    expect((await make(0)).stderr).toMatch(/parts made: 0, there before: 2; .*\nall shards are done/);
    rmSync(join(out, 'part-00000002.ndjson'));
    expect((await make(1)).stderr).toContain('shards not done yet: 1 of 2');
    expect(existsSync(join(out, '_SUCCESS'))).toBe(false);
    expect((await make(0)).stderr).toMatch(/parts made: 1, there before: 1; .*\nall shards are done/);
    expect([textOf('again.ndjson').equals(whole), existsSync(join(out, '_SUCCESS'))]).toEqual([true, true]);
    // The same users and bytes, other items.
    write('i0-1');
    for (const index of [0, 1]) {
      const { code, stderr } = await make(index);
      expect([code, stderr]).toEqual([1, expect.stringContaining('was made from other histories than there are now')]);
    }
  });
});
