/** Jobs of Spark, and what their workers start. Those that need a Spark are skipped where there is none. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { Field, Int32, List, Table, tableFromIPC, tableToIPC, Utf8, vectorFromArray } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gramSql } from '../dist/data/gram-sql.js';
import { EaseCounts, fit, Interactions, type Model } from '../dist/index.js';
import { CLI, recvae as command } from './command.js';
import { plantedColumns, temporaryFolder } from './planted.js';
import { findSpark, type SparkCluster, startSpark } from './spark.js';

const found = findSpark();

/**
 * Rows in the order of the bytes of the items' ids, as Spark numbers them; ids with a capital, a comma, quotes, an
 * accent, zeros.
 */
function rows(): [user: string, item: string][] {
  const { users, items } = plantedColumns();
  const names = new Map(Object.entries({ 'i0-0': 'Z', 'i0-1': 'a,"b"', 'i0-2': 'é', 'i0-3': '007', 'i0-4': '7' }));
  const all = users.map((user, row): [string, string] => [user, names.get(items[row]!) ?? items[row]!]);
  return all.sort(([u, a], [v, b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)) || (u < v ? -1 : 1));
}

const field = (text: string) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function writeRows(path: string, all: [string, string][], header = 'user,item'): void {
  writeFileSync(path, `${header}\n${all.map(([user, item]) => `${user},${field(item)}\n`).join('')}`);
}

const dataOf = (all: [string, string][]) =>
  Interactions.fromColumns({ users: all.map(([user]) => user), items: all.map(([, item]) => item) });

async function bytesOf(model: Model): Promise<Buffer> {
  const path = join(temporaryFolder(), 'model');
  await model.save(path, { trainingRecord: false });
  return readFileSync(path);
}

/** The rows of a query, by DuckDB. */
async function query(sql: string): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  const found = (await connection.runAndReadAll(sql)).getRowObjectsJson();
  connection.closeSync();
  instance.closeSync();
  return found;
}

/** A list of texts per row. */
const lists = (values: (string[] | null)[]) => vectorFromArray(values, new List(new Field('item', new Utf8(), true)));

describe('what a worker starts', () => {
  /** Runs the command line on bytes, and gives those that it writes. */
  const through = (folder: string, args: string[], input: Uint8Array) =>
    execFileSync(process.execPath, [CLI, ...args], { cwd: folder, input, maxBuffer: 1 << 28, stdio: 'pipe' });

  test('counts pairs: the lower index first, each once, in the types of the contract', () => {
    const users = ['a', 'a', 'b', 'b', 'b', 'b'];
    const stream = tableToIPC(
      new Table({ item: vectorFromArray([7, 0, 7, 3, 0, 0], new Int32()), user: vectorFromArray(users, new Utf8()) }),
      'stream',
    );
    const bytes = through(temporaryFolder(), ['counts', 'pairs', '-'], stream);
    const table = tableFromIPC(bytes);
    expect(table.schema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual(['i Int32', 'j Int32', 'n Int64']);
    const pairs = table.toArray().map(({ i, j, n }) => [i, j, Number(n)].join(' '));
    expect(pairs.sort()).toEqual(['0 0 2', '0 3 1', '0 7 2', '3 3 1', '3 7 1', '7 7 2']);
  });

  test('recommend --arrow gives what lines of JSON give, with lists of a user', async () => {
    const folder = temporaryFolder();
    const all = rows();
    const model = await fit('ease', dataOf(all), { lambda: 10 });
    await model.save(join(folder, 'ease'));
    const users = Array.from({ length: 3000 }, (_, at) => `u${at}`);
    const items = users.map((_, at) =>
      at % 7 === 0 ? [] : all.slice(at % 900, (at % 900) + (at % 5)).map(([, item]) => item),
    );
    const allow = users.map((_, at) => (at % 3 === 0 ? ['Z', 'é', 'i3-1', 'unknown'] : null));
    const deny = users.map((_, at) => (at % 4 === 0 ? ['Z'] : null));
    const columns = {
      items: lists(items),
      user: vectorFromArray(users, new Utf8()),
      allow: lists(allow),
      deny: lists(deny),
    };
    const table = tableFromIPC(
      through(folder, ['recommend', 'ease', '--arrow', '-k', '4'], tableToIPC(new Table(columns), 'stream')),
    );
    const types = ['user Utf8', 'items List<Utf8>', 'scores List<Float32>'];
    expect(table.schema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual(types);
    // Batches stay small, whatever comes in at once.
    for (const { numRows } of table.batches) expect(numRows).toBeLessThanOrEqual(1024);
    const got = table.toArray().map(({ user, items, scores }) => ({ user, items: [...items], scores: [...scores] }));
    const histories = users.map((user, at) => ({
      user,
      items: items[at]!,
      ...(allow[at] && { allow: allow[at] }),
      ...(deny[at] && { deny: deny[at] }),
    }));
    const expected = [];
    for await (const { user, items } of model.recommendStream(histories, { k: 4 })) {
      expected.push({ user, items: items.map(({ id }) => id), scores: items.map(({ score }) => score) });
    }
    expect(got).toEqual(expected);
  });

  test('says what is wrong', async () => {
    const folder = temporaryFolder();
    await (await fit('ease', dataOf(rows()), { lambda: 10 })).save(join(folder, 'ease'));
    const columns = { user: vectorFromArray(['a'], new Utf8()), item: vectorFromArray(['x'], new Utf8()) };
    const stream = Buffer.from(tableToIPC(new Table(columns), 'stream'));
    for (const [args, text, input] of [
      [['counts', 'pairs', 'likes.csv'], "<source> is 'likes.csv'; allowed: - for counts pairs, which reads stdin"],
      [['counts', 'pairs', '-', '--out', 'o'], '--out has no meaning for counts pairs'],
      [['counts', 'pairs', '-'], "item 'x' is no index; allowed: whole numbers from 0 to 2147483647", stream],
      [
        ['counts', 'pairs', '-'],
        'the Arrow stream is broken at message 0: no message starts here',
        Buffer.from('user,item'),
      ],
      [['recommend', 'ease', '--arrow', '--history', 'likes.csv'], "--history is 'likes.csv'; allowed: - with --arrow"],
      [['recommend', 'ease', '--arrow', '--out', 'o.ndjson'], '--out has no meaning with --arrow'],
      [['recommend', 'ease', '--arrow', '--user', 'u'], '--user has no meaning with --arrow'],
      [['recommend', 'ease', '--arrow'], "the Arrow stream has no column 'items'", stream],
      [['recommend', 'ease', '--arrow'], 'it has no schema', Buffer.from('')],
      [['counts', 'pairs', '-'], 'it is cut off', stream.subarray(0, -100)],
    ] as [string[], string, Buffer?][]) {
      const { code, stderr } = await command(folder, args, { input });
      expect(code, args.join(' ')).not.toBe(0);
      expect(stderr).toContain(text);
    }
  });
});

describe('recvae spark', () => {
  test('prints the line of spark-submit', async () => {
    const flags = [
      '--user',
      'who',
      '--value',
      'stars',
      '--min-value',
      '4',
      '--min-user',
      '5',
      '--master',
      'local[*]',
      '--dry-run',
    ];
    const line = await command(
      temporaryFolder(),
      [
        ...['spark', 'gram', 's3a://shop/likes/*.parquet', '--out', 'gram', '--worker-command', 'npx recvae', ...flags],
        ...['--', '--conf', 'spark.executor.memory=4g'],
      ],
      { environment: { SPARK_HOME: '/opt/spark' } },
    );
    expect(line.stderr).toBe('');
    const [submit, ...words] = line.stdout.trim().split(' ');
    expect([submit, ...words.slice(0, 5)]).toEqual([
      '/opt/spark/bin/spark-submit',
      '--master',
      "'local[*]'",
      '--name',
      "'recvae",
      "gram'",
    ]);
    const [workers, conf, setting, job, options] = words.slice(-5);
    expect([conf, setting]).toEqual(['--conf', 'spark.executor.memory=4g']);
    for (const path of [workers!, job!]) expect(existsSync(path)).toBe(true);
    expect(JSON.parse(options!.slice(1, -1))).toEqual({
      ...{
        input: 's3a://shop/likes/*.parquet',
        out: 'gram',
        user: 'who',
        item: 'item',
        value: 'stars',
        minValue: 4,
        minUser: 5,
      },
      command: ['npx', 'recvae'],
    });
  });

  test.each([
    [['gram', 'l.csv', '--out', 'o', '--deny', 'd.csv'], '--deny has no meaning for spark gram'],
    [['recommend', 'm', '--out', 'o', '--min-item', '2'], '--min-item has no meaning for spark recommend'],
    [['recommend', 'm', '--out', 'o'], '--history is missing, which spark recommend needs'],
    [['gram', 'l.csv'], '--out is missing'],
    [['gram', 'l.csv', '--out', 'o', '--value', 'stars'], '--value has no meaning without --min-value'],
    [['gram', 'l.csv', '--out', 'o', '--partitions', '0'], '--partitions is 0; allowed: a whole number from 1 on'],
    [['fit', 'l.csv', '--out', 'o'], "<action> is 'fit'; allowed: gram, recommend"],
  ])('refuses %j', async (args, text) => {
    const { code, stderr } = await command(temporaryFolder(), ['spark', ...args]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(text)]);
  });

  test('names what is needed where it is not there', async () => {
    const folder = temporaryFolder();
    const java = (version: string) => {
      const home = join(folder, version);
      mkdirSync(join(home, 'bin'), { recursive: true });
      writeFileSync(join(home, 'bin', 'java'), `#!/bin/sh\necho 'openjdk version "${version}" 2026-01-01' >&2\n`, {
        mode: 0o755,
      });
      return home;
    };
    const args = ['spark', 'gram', 'l.csv', '--out', 'o', '--spark-submit', 'none-such'];
    for (const [environment, text] of [
      [{ JAVA_HOME: join(folder, 'none') }, /none\/bin\/java cannot be started .*; allowed: Java 17 or later/],
      [{ JAVA_HOME: java('1.8.0_402') }, /java is version 8; allowed: Java 17 or later/],
      [{ JAVA_HOME: java('21.0.3') }, /spark-submit is 'none-such'; allowed: .* \(pip install 'pyspark\[sql\]'\)/],
    ] as const) {
      const { code, stderr } = await command(folder, args, { environment });
      expect([code, stderr]).toEqual([2, expect.stringMatching(text)]);
    }
  });
});

/**
 * A command for workers that runs recvae, but each time kills the next of the victims once a part of the results has
 * been written: 'executor', the process that runs tasks, 'worker', the process that started that, or 'command', recvae
 * itself.
 */
function killing(folder: string, ...victims: ('executor' | 'worker' | 'command')[]): string {
  const path = join(folder, `kill-${victims.join('-')}.mjs`);
  const script = `#!${process.execPath}
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
const parent = (pid) => Number(/^PPid:\\s+(\\d+)/m.exec(readFileSync('/proc/' + pid + '/status', 'utf8'))[1]);
const child = spawn(process.execPath, [${JSON.stringify(CLI)}, ...process.argv.slice(2)], { stdio: ['inherit', 'pipe', 'inherit'] });
const victim = ${JSON.stringify(victims)}.find((name) => {
  try { mkdirSync(${JSON.stringify(path)} + '.' + name); return true; } catch { return false; }
});
let written = 0;
child.stdout.on('data', (chunk) => {
  process.stdout.write(victim === undefined ? chunk : chunk.subarray(0, chunk.length >> 1));
  written += chunk.length;
  if (victim === undefined || written < 1000) return;
  // Above this: a Python worker, the daemon that it was forked from, the executor, the worker.
  const executor = parent(parent(process.ppid));
  if (victim === 'worker') process.kill(parent(executor), 'SIGKILL');
  process.kill(victim === 'command' ? process.pid : executor, 'SIGKILL');
});
child.on('close', (code) => process.exit(code ?? 1));
`;
  writeFileSync(path, script, { mode: 0o755 });
  return path;
}

describe.skipIf(found === undefined)('by two workers', () => {
  let folder = '';
  let cluster: SparkCluster;
  const all = rows();
  const data = dataOf(all);

  /** Runs a job to its end. */
  function outcomeOf(args: readonly string[], master: readonly string[]) {
    return command(folder, ['spark', ...args, ...master, ...cluster.settings], { environment: cluster.environment });
  }

  /** Runs one that does what it should. */
  async function spark(args: readonly string[], master: readonly string[] = cluster.flags) {
    const outcome = await outcomeOf(args, master);
    expect(outcome.code, outcome.stderr).toBe(0);
    return outcome;
  }

  /** Without the workers, where none is killed: a process that is there at once, and tries no task again. */
  const ALONE = ['--master', 'local[2]'];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'recvae-spark-'));
    cluster = await startSpark(found!, folder);
    writeRows(join(folder, 'likes.csv'), [...all, ...all]);
  });

  afterAll(async () => {
    await cluster?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('the Gram matrix is that of a local fit, though a command and an executor are killed', async () => {
    // Values 1 to 5; some users and items have too few, and without them others have.
    const valued = all.map(([user, item], at) => `${user},${field(item)},${1 + ((at * 7) % 5)}\n`);
    writeFileSync(join(folder, 'stars.csv'), `u,i,stars\n${valued.join('')}${valued.join('')}`);
    const columns = ['--user', 'u', '--item', 'i', '--value', 'stars', '--min-value', '3'];
    const { stderr } = await spark([
      ...['gram', 'stars.csv', '--out', 'gram', '--partitions', '3', ...columns, '--min-user', '3', '--min-item', '24'],
      ...['--worker-command', killing(folder, 'command', 'executor')],
    ]);
    for (const name of ['command', 'executor']) {
      expect(existsSync(join(folder, `kill-command-executor.mjs.${name}`))).toBe(true);
    }
    const core = await Interactions.fromFile(join(folder, 'stars.csv'), {
      ...{ user: 'u', item: 'i', value: 'stars', minValue: 3, minUser: 3, minItem: 24 },
    });
    expect(core.nItems).toBeLessThan(40);
    expect(core.nUsers).toBeLessThan(200);
    expect(stderr).toContain(`${core.nUsers} users, ${core.nItems} items, ${core.nInteractions} interactions: gram\n`);
    const counts = await EaseCounts.fromGram(join(folder, 'gram'));
    expect([counts.nUsers, counts.itemIds]).toEqual([core.nUsers, core.itemIds()]);
    const [model, local] = [await counts.fit({ lambda: 10 }), await fit('ease', core, { lambda: 10 })];
    expect((await bytesOf(model)).equals(await bytesOf(local))).toBe(true);
    // Nothing but the tables is left.
    expect(readdirSync(join(folder, 'gram')).sort()).toEqual(['gram.parquet', 'totals.parquet', 'vocab.parquet']);
    expect(readdirSync(folder).filter((name) => name.includes('unfinished'))).toEqual([]);
  });

  test('everybody gets the recommendations of one machine, though a worker is killed', async () => {
    await (await fit('ease', data, { lambda: 10 })).save(join(folder, 'ease.safetensors'));
    const out = ['--out', 'lists', '--worker-command', killing(folder, 'worker'), '--partitions', '4'];
    await spark(['recommend', 'ease.safetensors', '--history', 'likes.csv', '-k', '6', '--ship-model', ...out]);
    expect(existsSync(join(folder, 'kill-worker.mjs.worker'))).toBe(true);
    await cluster.addWorker();
    const got = await query(`FROM read_parquet('${folder}/lists/*.parquet') ORDER BY user`);
    const types = await query(`DESCRIBE FROM read_parquet('${folder}/lists/*.parquet')`);
    expect(types.map(({ column_name, column_type }) => `${column_name} ${column_type}`)).toEqual([
      'user VARCHAR',
      'items VARCHAR[]',
      'scores FLOAT[]',
    ]);
    const local = await command(folder, ['recommend', 'ease.safetensors', '--history', 'likes.csv', '-k', '6']);
    const expected = local.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(got).toHaveLength(200);
    expect(got).toEqual(expected.sort((a, b) => (a.user < b.user ? -1 : 1)));
  });

  test('some users get some items: lists of their own out of rows and of lists', async () => {
    const model = await fit('ease', data, { lambda: 10 });
    await model.save(join(folder, 'ease.safetensors'));
    writeFileSync(join(folder, 'some.csv'), 'user\nu1\nu2\nu3\nu4\nu1\nnobody\n');
    writeRows(join(folder, 'allow.csv'), [
      ['u1', 'Z'],
      ['u1', 'é'],
      ['u2', 'a,"b"'],
      ['u5', 'Z'],
    ]);
    await query(
      `COPY (SELECT * FROM (VALUES ('u1', ['Z']), ('u3', ['007', '7'])) AS t("user", item)) TO '${folder}/deny.parquet'`,
    );
    const flags = ['--users', 'some.csv', '--allow', 'allow.csv', '--deny', 'deny.parquet'];
    const given = ['--history', 'likes.csv', '--include-seen', '--out', 'some', ...flags];
    await spark(['recommend', join(folder, 'ease.safetensors'), ...given], ALONE);
    const got = await query(`FROM read_parquet('${folder}/some/*.parquet') ORDER BY user`);
    const expected = [];
    for (const [user, lists] of Object.entries({
      u1: { allow: ['Z', 'é'], deny: ['Z'] },
      u2: { allow: ['a,"b"'] },
      u3: { deny: ['007', '7'] },
      u4: {},
    })) {
      const { items } = model.recommend(data.history(user)!, { filterSeen: false, ...lists });
      expected.push({ user, items: items.map(({ id }) => id), scores: items.map(({ score }) => score) });
    }
    expect(got).toEqual(expected);
  });

  test('what is wrong is told, and nothing is left', async () => {
    writeFileSync(join(folder, 'holes.csv'), 'user,item\nu1,a\n,b\n');
    copyFileSync(join(folder, 'likes.csv'), join(folder, 'not-a-model'));
    for (const [args, text] of [
      [['gram', 'holes.csv', '--out', 'o'], 'holes.csv: user is null or empty; allowed: an id'],
      [['recommend', 'not-a-model', '--history', 'likes.csv', '--out', 'o'], 'not-a-model'],
    ] as const) {
      const { code, stderr } = await outcomeOf(args, ALONE);
      expect([code, stderr]).toEqual([1, expect.stringContaining(text)]);
      expect(readdirSync(folder).filter((name) => /^o($|\.)/.test(name))).toEqual([]);
    }
  });

  test('the SQL of Spark makes the tables, too', async () => {
    const text = gramSql('spark', { table: 'likes', user: 'user', item: 'item', to: join(folder, 'sql') });
    const script = `
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.read.options(header=True, escape='"').csv(${JSON.stringify(join(folder, 'likes.csv'))}).createOrReplaceTempView("likes")
for statement in ${JSON.stringify(text)}.split(";\\n"):
    if statement.strip():
        spark.sql(statement)
`;
    writeFileSync(join(folder, 'sql.py'), script);
    const args = ['--master', 'local[2]', ...cluster.settings.slice(1), join(folder, 'sql.py')];
    execFileSync(join(found!.home, 'bin', 'spark-submit'), args, {
      env: { ...process.env, ...cluster.environment },
      stdio: 'pipe',
    });
    const model = await (await EaseCounts.fromGram(join(folder, 'sql'))).fit({ lambda: 10 });
    expect((await bytesOf(model)).equals(await bytesOf(await fit('ease', data, { lambda: 10 })))).toBe(true);
  });
});
