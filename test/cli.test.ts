/** The built binary in an empty folder, as a user meets it. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, test } from 'vitest';
import { fit, Interactions, load, Split, writeSynth } from '../dist/index.js';
import { ALS, CLI, recvae } from './command.js';
import { randomNumbers, temporaryFolder, writePlanted } from './planted.js';

const ML1M = fileURLToPath(new URL('../../shared/data/ml-1m-split', import.meta.url));

/** What stands in the folder that holds the planted data. */
function planted(): string {
  const folder = temporaryFolder();
  writePlanted(folder);
  return folder;
}

describe('the jobs', () => {
  test('EASE^R with weights for a share of the pairs: train, evaluate, inspect, compact', async () => {
    const folder = planted();
    const train = ['train', 'ease', 'likes.csv', '--set', 'lambda=20', '--seed', '5', '--test', '40'];
    const density = [...train, '--set', 'density=0.2', '--out', 'm.st'];
    expect(await recvae(folder, density)).toMatchObject({ code: 0, stdout: '' });
    const { stdout } = await recvae(folder, ['evaluate', 'm.st', 'likes.csv', '--json', '-']);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ model: 'ease', options: { lambda: 20, density: 0.2 } });
    // Each item has nine others of its own kind, and a fifth of 40 items is 8.
    expect(result.metrics['ndcg@100'].mean).toBeGreaterThan(0.5);
    const inspected = JSON.parse((await recvae(folder, ['inspect', 'm.st', '--json', '-'])).stdout);
    const tensors = inspected.tensors.map(({ name }: { name: string }) => name);
    expect(tensors).toContain('model.weights.ends');
    expect(tensors).not.toContain('model.weights');
    expect((await recvae(folder, ['compact', 'm.st', 's.st', '--top-per-item', '3'])).code).toBe(0);
    const model = await load(join(folder, 's.st'));
    expect(model.options).toEqual({ lambda: 20, precision: 'f32', density: 0.2 });
  });

  test('train, evaluate and recommend', async () => {
    const folder = planted();
    const train = ['train', 'ease', 'likes.csv', '--set', 'lambda=20', '--seed', '5', '--test', '40', '--out', 'm.st'];
    expect(await recvae(folder, train)).toMatchObject({ code: 0, stdout: '' });

    const evaluated = await recvae(folder, ['evaluate', 'm.st', 'likes.csv', '--json', '-']);
    const result = JSON.parse(evaluated.stdout);
    expect(result).toMatchObject({ model: 'ease', options: { lambda: 20 }, on: 'test', unknownInteractions: 0 });
    // The split is the one of the training: 40 test users, none of which the model has seen.
    expect(result.users + result.skipped).toBe(40);
    expect(result.metrics['ndcg@100'].mean).toBeGreaterThan(0.5);
    const table = await recvae(folder, ['evaluate', 'm.st', 'likes.csv', '--metrics', 'recall@5,ndcg@5']);
    expect(table.stdout).toMatch(/^ease +mean +standard error\n+recall@5 +0\.\d{5} +0\.\d{5}\n+ndcg@5 /);

    const input = '{"user":"new","items":["i1-0","i1-1","i1-2","xyz"]}\n\n{"user":"empty","items":[]}\n';
    const { code, stdout, stderr } = await recvae(folder, ['recommend', 'm.st', '-k', '2'], { input });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [first, second, ...rest] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rest).toEqual([]);
    expect(first).toMatchObject({ user: 'new', unknown: ['xyz'] });
    expect(first.items).toHaveLength(2);
    expect(first.items.every((item: string) => item.startsWith('i1-'))).toBe(true);
    expect(first.scores[0]).toBeGreaterThanOrEqual(first.scores[1]);
    expect(Object.keys(second)).toEqual(['user', 'items', 'scores', 'fallbackUsed']);
    writeFileSync(join(folder, 'history.ndjson'), input);
    const fromFile = await recvae(folder, ['recommend', 'm.st', '-k', '2', '--history', 'history.ndjson']);
    expect(fromFile.stdout).toBe(stdout);
  });

  test('off a terminal, training tells of at most each tenth of its epochs, and the verdict that they were few', async () => {
    const folder = planted();
    const small = (model: string) => ['hiddenDim=4', 'latentDim=2'].flatMap((text) => ['--set', `${model}${text}`]);
    const flags = [...small(''), '--set', 'epochs=20', '--set', 'patience=20'];
    const { code, stderr } = await recvae(folder, ['train', 'mult-vae', 'likes.csv', ...flags, '--out', 'm.st']);
    expect(code).toBe(0);
    const epochs = stderr.match(/^mult-vae epoch \d+\/20 \| validation 0\.\d{4}$/gm)!;
    const numbers = epochs.map((line) => Number(/epoch (\d+)/.exec(line)![1]));
    expect(numbers.at(-1)).toBe(20);
    // Epochs that end within a tenth of a second of each other are left out.
    const tenths = numbers.map((number) => Math.floor(number / 2));
    expect(tenths).toEqual([...new Set(tenths)].sort((a, b) => a - b));

    const few = ['--epochs', '2', '--json', 'compared.json', ...small('mult-vae.')];
    const compare = ['compare', 'likes.csv', '--models', 'mult-vae', ...few];
    const compared = await recvae(folder, compare);
    expect(compared.stderr).toMatch(/^\[4\/4\] mult-vae tried \{"beta":0\.2\}: validation 0\./m);
    expect(compared.stdout).toMatch(
      /^Use .* Trained for fewer epochs than by default: als at most 2, not \d+; mult-vae at most 2, not \d+\.$/m,
    );
    // Said of networks that had their best epoch among the last ones.
    const told = /^ {2}mult-vae: .*; validation was best in epoch 2 of 2, and may be better with more/m;
    const { models } = JSON.parse(readFileSync(join(folder, 'compared.json'), 'utf8'));
    expect(told.test(compared.stdout)).toBe(models.at(-1).bestEpoch === 2);
    expect(compared.stdout).not.toMatch(/^ {2}als: .*may be better with more/m);
  });

  test('evaluate tells whether held-out users may have been trained on', async () => {
    const folder = planted();
    await recvae(folder, ['train', 'popularity', 'likes.csv', '--out', 'm.st']);
    const evaluated = async (...args: string[]) => {
      const { code, stdout, stderr } = await recvae(folder, ['evaluate', ...args, '--json', '-']);
      expect(code).toBe(0);
      const { sameTrainingUsers, users, trainedUsers, warnings } = JSON.parse(stdout);
      const told = `warning: the model was trained on ${trainedUsers} of the ${users} users`;
      expect(warnings.length).toBe(trainedUsers > 0 ? 1 : 0);
      return [sameTrainingUsers, stderr.includes(told)];
    };
    expect(await evaluated('m.st', 'likes.csv')).toEqual([true, false]);
    expect(await evaluated('m.st', 'likes.csv', '--seed', '9')).toEqual([false, true]);
    const model = await fit('popularity', await Interactions.fromFile(join(folder, 'likes.csv')));
    await model.save(join(folder, 'library.st'));
    expect(await evaluated('library.st', 'likes.csv')).toEqual([false, true]);
    await recvae(folder, ['compare', 'likes.csv', '--models', 'ease', ...ALS, '--seed', '4', '--save', 'out']);
    expect(await evaluated('out/ease.safetensors', 'likes.csv')).toEqual([true, false]);
    await recvae(folder, ['split', 'likes.csv', '--out', 'official']);
    await recvae(folder, ['train', 'popularity', 'official', '--out', 'official.st']);
    expect(await evaluated('official.st', 'official')).toEqual([true, false]);
  });

  test('Parquet files, databases and queries, which the model remembers', async () => {
    const folder = planted();
    const instance = await DuckDBInstance.create(join(folder, 'shop.duckdb'));
    const connection = await instance.connect();
    await connection.run(
      `CREATE TABLE likes AS SELECT row_number() OVER () AS n, * FROM read_csv('${folder}/likes.csv')`,
    );
    for (const [part, where] of [
      [1, 'n <= 900'],
      [2, 'n > 900'],
    ]) {
      const rows = `SELECT "user" AS who, item FROM likes WHERE ${where} ORDER BY n`;
      await connection.run(`COPY (${rows}) TO '${folder}/part-${part}.parquet'`);
    }
    connection.closeSync();
    instance.closeSync();
    const train = async (input: string, ...flags: string[]) => {
      const outcome = await recvae(folder, ['train', 'ease', input, ...flags, '--out', 'm.st']);
      expect(outcome).toMatchObject({ code: 0, stdout: '' });
      const evaluated = await recvae(folder, ['evaluate', 'm.st', input, '--json', '-']);
      const { sameTrainingUsers, metrics } = JSON.parse(evaluated.stdout);
      expect(sameTrainingUsers).toBe(true);
      return metrics['ndcg@100'].mean;
    };
    const expected = await train('likes.csv');
    expect(await train('part-*.parquet', '--user', 'who')).toBe(expected);
    expect(await train('shop.duckdb', '--sql', 'SELECT "user", item FROM likes ORDER BY n')).toBe(expected);
    expect(await train('part-*.parquet', '--sql', 'SELECT who AS "user", item FROM input')).toBe(expected);
    expect(await train('likes.csv', '--sql', "FROM input WHERE item LIKE 'i1-%'")).not.toBe(expected);
    expect(readdirSync(folder).sort()).toEqual([
      'likes.csv',
      'm.st',
      'part-1.parquet',
      'part-2.parquet',
      'shop.duckdb',
    ]);
  });

  test('recommend: NDJSON or Parquet in, NDJSON or Parquet out', async () => {
    const folder = planted();
    await recvae(folder, ['train', 'ease', 'likes.csv', '--out', 'm.st']);
    const lines = Array.from({ length: 1200 }, (_, n) => ({ user: `u${10_000 + n}`, items: [`i${n % 4}-${n % 10}`] }));
    writeFileSync(join(folder, 'h.ndjson'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const instance = await DuckDBInstance.create();
    const connection = await instance.connect();
    const rows = async (sql: string) => (await connection.run(sql)).getRowsJson();
    await rows(`COPY (SELECT "user" AS who, unnest(items) AS item FROM '${folder}/h.ndjson') TO '${folder}/h.parquet'`);

    const { stdout, stderr } = await recvae(folder, ['recommend', 'm.st', '-k', '3', '--history', 'h.ndjson']);
    expect(stderr).toBe('');
    const recommend = ['recommend', 'm.st', '-k', '3', '--history'];
    for (const history of [['h.ndjson'], ['h.parquet', '--user', 'who']]) {
      const printed = await recvae(folder, [...recommend, ...history]);
      expect(printed).toEqual({ code: 0, stdout, stderr: '' });
      for (const out of ['r.jsonl', 'r.parquet']) {
        const outcome = await recvae(folder, [...recommend, ...history, '--out', out]);
        expect(outcome).toMatchObject({ code: 0, stdout: '' });
        expect(outcome.stderr).toMatch(new RegExp(`^(\\d+ users, .*\n)*1200 users in \\d+\\.\\d s: ${out}\n$`));
      }
      expect(readFileSync(join(folder, 'r.jsonl'), 'utf8')).toBe(stdout);
      const expected = stdout
        .trimEnd()
        .split('\n')
        .flatMap((line) => {
          const { user, items, scores } = JSON.parse(line);
          return items.map((item: string, at: number) => [user, at + 1, item, scores[at]]);
        });
      expect(await rows(`SELECT "user", rank, item, score FROM '${folder}/r.parquet'`)).toEqual(expected);
    }
    connection.closeSync();
    instance.closeSync();

    // A bad line leaves the file as it was, and a signal leaves nothing beside it.
    writeFileSync(join(folder, 'bad.ndjson'), '{"user":"a","items":[]}\n[]\n');
    const bad = await recvae(folder, ['recommend', 'm.st', '--history', 'bad.ndjson', '--out', 'r.jsonl']);
    expect(bad).toMatchObject({ code: 1, stdout: '' });
    expect(readFileSync(join(folder, 'r.jsonl'), 'utf8')).toBe(stdout);
    const files = readdirSync(folder).sort();
    const child = spawn(process.execPath, [CLI, 'recommend', 'm.st', '--out', 's.jsonl'], { cwd: folder });
    child.stdin.write('{"user":"a","items":[]}\n');
    while (!readdirSync(folder).some((name) => name.startsWith('.recvae-s.jsonl'))) await setTimeout(5);
    child.kill('SIGTERM');
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(143);
    expect(readdirSync(folder).sort()).toEqual(files);
  });

  test('split writes what the other commands read', async () => {
    const folder = planted();
    expect((await recvae(folder, ['split', 'likes.csv', '--seed', '2', '--out', 'official'])).code).toBe(0);
    expect(readdirSync(join(folder, 'official'))).toContain('validation_te.csv');
    expect((await recvae(folder, ['train', 'popularity', 'official', '--out', 'm.st'])).code).toBe(0);
    expect((await recvae(folder, ['evaluate', 'm.st', 'official', '--on', 'validation'])).code).toBe(0);
  });

  test('compare prints a table and a sentence, saves the winner and writes JSON', async () => {
    const folder = planted();
    const flags = ['--models', 'ease', '--seed', '1', '--test', '0.2', '--save', 'out', '--json', 'result.json'];
    const { code, stdout, stderr } = await recvae(folder, ['compare', 'likes.csv', ...flags]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^model +ndcg@100/m);
    expect(stdout).toMatch(/^Use ease: /m);
    expect(stderr).toContain('ease tried {"lambda":500}');
    const report = JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'));
    expect(report.winner).toBe('ease');
    expect(report.models.map(({ model }: { model: string }) => model)).toEqual(['popularity', 'ease', 'als']);
    expect(JSON.parse(readFileSync(join(folder, 'out', 'comparison.json'), 'utf8'))).toEqual(report);
    expect(readdirSync(join(folder, 'out')).sort()).toEqual(['comparison.json', 'ease.safetensors']);
    // The saved model remembers the split.
    const evaluated = await recvae(folder, ['evaluate', 'out/ease.safetensors', 'likes.csv', '--json', '-']);
    expect(JSON.parse(evaluated.stdout).metrics).toEqual(report.models[1].metrics);
    const into = ['--models', 'ease', ...ALS, '--save', 'a/b', '--json', 'a/b/result.json'];
    expect((await recvae(folder, ['compare', 'likes.csv', ...into])).code).toBe(0);
    expect(readdirSync(join(folder, 'a', 'b')).sort()).toEqual(['comparison.json', 'ease.safetensors', 'result.json']);
    const json = await recvae(folder, [
      'compare',
      'likes.csv',
      '--models',
      'ease',
      ...ALS,
      '--set',
      'ease.lambda=5',
      '--json',
      '-',
    ]);
    expect(JSON.parse(json.stdout).models[1].options.lambda).toBe(5);
  });

  test('synth writes what the library writes', async () => {
    const folder = temporaryFolder();
    const { code, stdout, stderr } = await recvae(folder, ['synth', '--scale', '0.01', '--out', 'made-up.csv']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toMatch(/^1367 users x 20720 items, 99907 interactions in \d+\.\d s: made-up\.csv\n/);
    expect(stderr).toContain('accuracy on them means nothing');
    const file = readFileSync(join(folder, 'made-up.csv'));
    await writeSynth(join(folder, 'library.csv'), { scale: 0.01 });
    expect(readFileSync(join(folder, 'library.csv')).equals(file)).toBe(true);

    const flags = ['--like', 'ml-20m', '--scale', '0.01', '--threads', '1', '--out', 'again.csv'];
    expect((await recvae(folder, ['synth', ...flags, '--seed', '0'])).code).toBe(0);
    expect(readFileSync(join(folder, 'again.csv')).equals(file)).toBe(true);
    expect((await recvae(folder, ['synth', ...flags, '--seed', '1'])).code).toBe(0);
    expect(readFileSync(join(folder, 'again.csv')).equals(file)).toBe(false);
    expect(readdirSync(folder).sort()).toEqual(['again.csv', 'library.csv', 'made-up.csv']);
  });

  test('train, split, synth and models tell what they did as JSON', async () => {
    const folder = planted();
    const json = async (...args: string[]) => {
      const { code, stdout } = await recvae(folder, [...args, '--json', '-']);
      expect(code).toBe(0);
      return JSON.parse(stdout);
    };
    const flags = ['--seed', '1', '--set', 'factors=8', '--set', 'epochs=2', '--out', 'als.safetensors'];
    const trained = await json('train', 'als', 'likes.csv', ...flags);
    const model = await load(join(folder, 'als.safetensors'));
    expect(trained).toMatchObject({ model: 'als', items: model.itemIds.length, file: 'als.safetensors' });
    expect(trained.options).toEqual(model.options);
    expect(trained.epochs).toHaveLength(2);
    expect(trained.metrics.validation['ndcg@100']).toBe(
      Math.max(...trained.epochs.map(({ validation }: { validation: number }) => validation)),
    );
    const { users, items, interactions } = await json('split', 'likes.csv', '--seed', '1', '--out', 'split');
    const data = await Split.fromOfficial(join(folder, 'split'));
    expect([users.train, users.validation, users.test, items, interactions]).toEqual([
      data.train.nUsers,
      data.validation.nUsers,
      data.test.nUsers,
      data.train.nItems,
      data.train.nInteractions,
    ]);
    const made = await json('synth', '--like', 'ml-20m', '--scale', '0.01', '--out', 'made.csv');
    expect(made).toMatchObject({ file: 'made.csv', users: expect.any(Number) });
    const { models } = await json('models');
    expect(models.map(({ name }: { name: string }) => name)).toContain('edlae');
    // To a file, and nothing but messages elsewhere.
    const { stdout } = await recvae(folder, ['split', 'likes.csv', '--out', 'other', '--json', 'split.json']);
    expect([stdout, JSON.parse(readFileSync(join(folder, 'split.json'), 'utf8')).file]).toEqual(['', 'other']);
  });

  test('a folder of rows is none of a split because it has another file, or nothing', async () => {
    const folder = planted();
    mkdirSync(join(folder, 'rows'));
    const compare = () => recvae(folder, ['compare', 'rows', '--validation', '3']);
    expect((await compare()).stderr).toContain('rows: there is no file in this folder');
    for (const name of ['likes.csv', 'README.md']) writeFileSync(join(folder, 'rows', name), 'user,item\na,b\n');
    expect((await compare()).stderr).toMatch(
      /^recvae: a file in rows is 'rows\/README\.md'; allowed: names in \.parquet/,
    );
  });

  test('models and help', async () => {
    const folder = temporaryFolder();
    expect((await recvae(folder, ['models'])).stdout).toMatch(/lambda +500 +a finite number above 0/);
    expect((await recvae(folder, ['--help'])).code).toBe(0);
    expect((await recvae(folder, ['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test.skipIf(!existsSync(ML1M))('ML-1M: EASE^R meets the reference (skipped without ../shared)', async () => {
    const folder = temporaryFolder();
    const trained = await recvae(folder, ['train', 'ease', ML1M, '--set', 'lambda=500', '--out', 'ease.st']);
    expect(trained.code).toBe(0);
    const { stdout } = await recvae(folder, ['evaluate', 'ease.st', ML1M, '--json', '-']);
    const { metrics } = JSON.parse(stdout);
    for (const [name, mean] of [
      ['ndcg@100', 0.42357],
      ['recall@20', 0.36424],
      ['recall@50', 0.48088],
    ] as const) {
      expect(Math.abs(metrics[name].mean - mean), name).toBeLessThan(5e-5);
    }
  });
});

describe('wrong use ends with 2, failure with 1, and nothing is left behind', () => {
  const cases: [string, string[], number, RegExp][] = [
    ['no command', [], 2, /Usage/],
    ['an unknown command', ['trane'], 2, /unknown command/],
    ['a missing argument', ['evaluate', 'm.st'], 2, /<input> is missing; --help/],
    ['an unknown flag', ['compare', 'likes.csv', '--sead', '1'], 2, /unknown option '--sead'/],
    [
      'an option of a model as a flag',
      ['train', 'mult-vae', 'likes.csv', '--hidden-dim', '8', '--out', 'o'],
      2,
      /unknown option '--hidden-dim'; --set hiddenDim=… gives a model's option; --help/,
    ],
    ['a number that is none', ['compare', 'likes.csv', '--seed', 'one'], 2, /--seed is 'one'; allowed: a number/],
    ['an unknown model', ['train', 'eese', 'likes.csv', '--out', 'o'], 2, /'eese'; allowed: popularity, ease/],
    ['unknown models', ['compare', 'likes.csv', '--models', 'svd', '--save', 'o'], 2, /'svd'; allowed/],
    [
      'an unknown option',
      ['train', 'ease', 'likes.csv', '--set', 'lamda=5', '--out', 'o'],
      2,
      /'lamda'; allowed: lambda/,
    ],
    [
      'a metric that is none, before anything is read',
      ['evaluate', 'nothing.st', 'nothing.csv', '--metrics', 'ndgc@10'],
      2,
      /'ndgc@10'; allowed: ndcg@K/,
    ],
    ['a bad value', ['train', 'ease', 'likes.csv', '--set', 'lambda=NaN', '--out', 'o'], 2, /lambda is "NaN"/],
    ['a zero density', ['train', 'ease', 'likes.csv', '--set', 'density=0', '--out', 'o'], 2, /density is 0; allowed/],
    ['a zero lambda', ['train', 'ease', 'likes.csv', '--set', 'lambda=0', '--out', 'o'], 2, /lambda is 0; allowed/],
    ['half a setting', ['train', 'ease', 'likes.csv', '--set', 'lambda', '--out', 'o'], 2, /--set is 'lambda'/],
    ['a setting of no model', ['compare', 'likes.csv', '--set', 'lambda=5', '--save', 'o'], 2, /model\.option/],
    [
      'a setting of a model that is not compared, before the input is read',
      ['compare', 'nothing.csv', '--models', 'ease', '--set', 'recvae.gama=1', '--save', 'o'],
      2,
      /'gama'; allowed/,
    ],
    [
      'a good setting of a model that is not compared',
      ['compare', 'nothing.csv', '--models', 'edlae', '--set', 'recvae.gamma=1'],
      2,
      /--set is 'recvae\.gamma', of a model that is not compared; allowed: popularity\., ease\., edlae\., als\./,
    ],
    [
      'the same of advise',
      ['advise', 'nothing.csv', '--models', 'edlae', '--set', 'recvae.gamma=1'],
      2,
      /--set is 'recvae\.gamma', of a model that is not compared; allowed: popularity\., ease\., edlae\., als\./,
    ],
    [
      'a setting of the blend that is compared, after which the input is looked for',
      ['compare', 'nothing.csv', '--models', 'edlae,blend', '--set', 'blend.scale=rank'],
      1,
      /cannot read nothing\.csv/,
    ],
    [
      'a precision that no compared model has',
      ['compare', 'nothing.csv', '--models', 'edlae', '--precision', 'bf16'],
      2,
      /--precision is 'bf16'; allowed: f32 where only popularity, ease, edlae, als are compared/,
    ],
    [
      'a search and none',
      ['compare', 'nothing.csv', '--no-search', '--tune'],
      2,
      /--tune is true; allowed: only where options are searched/,
    ],
    ['help of no command', ['help', 'tunes'], 2, /<command> is 'tunes'; allowed: advise, compare, tune,/],
    ['one part twice', ['train', 'blend', 'likes.csv', '--parts', 'm.st,./m.st', '--out', 'o'], 2, /'\.\/m\.st' twice/],
    ['a hexadecimal setting', ['train', 'ease', 'l.csv', '--set', 'lambda=0x10', '--out', 'o'], 2, /lambda is "0x10"/],
    [
      'a setting, before the input is read',
      ['train', 'ease', 'no.csv', '--set', 'lambda=0', '--out', 'o'],
      2,
      /lambda/,
    ],
    ['a fractional seed', ['compare', 'nothing.csv', '--seed', '0.5'], 2, /seed is 0\.5/],
    ['no threads to compare', ['compare', 'nothing.csv', '--threads', '0'], 2, /threads is 0/],
    ['no epochs', ['compare', 'nothing.csv', '--models', 'ease', '--epochs', '0'], 2, /epochs is 0/],
    ['an empty --save', ['compare', 'likes.csv', '--save', ''], 2, /--save is ''/],
    [
      'stdout for a model',
      ['train', 'ease', 'likes.csv', '--out', '-'],
      2,
      /--out is '-'; allowed: a path, such as .\/-/,
    ],
    ['an empty --json', ['compare', 'likes.csv', '--json', ''], 2, /--json is ''/],
    ['an empty --json of evaluate', ['evaluate', 'm.st', 'likes.csv', '--json', ''], 2, /--json is ''/],
    ['an empty --out', ['train', 'ease', 'likes.csv', '--out', ''], 2, /--out is ''/],
    ['an empty --out of split', ['split', 'likes.csv', '--out', ''], 2, /--out is ''/],
    ['an empty --out of synth', ['synth', '--out', ''], 2, /out is ''/],
    ['no such file', ['train', 'ease', 'nothing.csv', '--out', 'o'], 1, /cannot read nothing\.csv/],
    ['a missing column', ['train', 'ease', 'likes.csv', '--item', 'movie', '--out', 'o'], 1, /likes\.csv:1.*movie/],
    ['too few users', ['split', 'likes.csv', '--test', '500', '--out', 'o'], 1, /leave none to train on/],
    ['no such model', ['recommend', 'nothing.st'], 1, /cannot read nothing\.st/],
    [
      'a foreign model',
      ['evaluate', 'likes.csv', 'likes.csv', '--json', 'o'],
      1,
      /likes\.csv: not a safetensors file: .* allowed: a recvae model/,
    ],
    ['a flag for files on a data set', ['compare', 'debian', '--user', 'u', '--save', 'o'], 2, /--user has no meaning/],
    ['an --out of another kind', ['recommend', 'm.st', '--out', 'o.txt'], 2, /--out is 'o\.txt'; allowed: a name in/],
    ['an empty --out of recommend', ['recommend', 'm.st', '--out', ''], 2, /--out is ''/],
    ['a column of NDJSON', ['recommend', 'm.st', '--user', 'who'], 2, /--user has no meaning for lines with histories/],
    ['SQL on a data set', ['compare', 'debian', '--sql', 'FROM x', '--save', 'o'], 2, /--sql has no meaning/],
    ['SQL that is none', ['split', 'likes.csv', '--sql', 'FRM x', '--out', 'o'], 2, /DuckDB: .*Parser Error/],
    ['no such Parquet file', ['split', 'no.parquet', '--out', 'o'], 1, /DuckDB: IO Error: No files found/],
    [
      'a format of a Parquet file',
      ['split', 'no.parquet', '--format', 'csv', '--out', 'o'],
      2,
      /--format has no meaning for what DuckDB reads/,
    ],
    ['an unwritable path', ['train', 'ease', 'likes.csv', '--out', 'none/o'], 1, /cannot write none\/o/],
    ['an unwritable JSON path', ['compare', 'likes.csv', '--save', 'o', '--json', 'none/o'], 1, /cannot write none\/o/],
    ['a folder as output', ['train', 'ease', 'likes.csv', '--out', '.'], 1, /cannot write \./],
    ['synth without --out', ['synth'], 2, /--out is missing; --help/],
    ['a like of no set', ['synth', '--like', 'ml-1m', '--out', 'o.csv'], 2, /like is "ml-1m"; allowed: 'ml-20m'/],
    ['a scale out of range', ['synth', '--scale', '0.001', '--out', 'o.csv'], 2, /scale is 0\.001; .* 0\.01 to 1$/m],
    ['a negative seed', ['synth', '--seed', '-1', '--out', 'o.csv'], 2, /seed is -1; allowed/],
    ['no threads', ['synth', '--threads', '0', '--out', 'o.csv'], 2, /threads is 0; allowed/],
    ['another kind of file', ['synth', '--out', 'o.tsv'], 2, /out is 'o\.tsv'; allowed: .*\.csv\.gz/],
    ['an input of synth', ['synth', 'likes.csv', '--out', 'o.csv'], 2, /too many arguments.* but got 1; --help/],
    ['an unwritable path of synth', ['synth', '--out', 'none/o.csv'], 1, /cannot write none\/o\.csv/],
  ];
  test.each(cases)('%s', async (_, args, code, text) => {
    const folder = planted();
    const outcome = await recvae(folder, args);
    expect(outcome.stderr).toMatch(text);
    expect(outcome.code).toBe(code);
    expect(outcome.stdout).toBe('');
    expect(readdirSync(folder)).toEqual(['likes.csv']);
  });

  test('an unwritable path is found before the work', async () => {
    const folder = planted();
    // The input does not exist either, but it is not reached.
    const { stderr } = await recvae(folder, ['compare', 'nothing.csv', '--json', 'none/o']);
    expect(stderr).toMatch(/cannot write none\/o/);
  });

  test('what was there before a failure stays', async () => {
    const folder = planted();
    mkdirSync(join(folder, 'out'));
    writeFileSync(join(folder, 'out', 'mine'), 'precious');
    expect((await recvae(folder, ['compare', 'nothing.csv', '--save', 'out'])).code).toBe(1);
    expect(readdirSync(join(folder, 'out'))).toEqual(['mine']);
  });

  test('the winner of the comparison that was saved there before goes, and nothing else', async () => {
    const folder = planted();
    const compare = (...models: string[]) => {
      const flags = ['--no-search', '--set', 'als.factors=1', '--save', 'out'];
      return recvae(folder, ['compare', 'likes.csv', ...flags, ...models]);
    };
    const saved = () => readdirSync(join(folder, 'out')).sort();
    writeFileSync(join(folder, 'first.csv'), readFileSync(join(folder, 'likes.csv')));
    expect((await compare()).stdout).toMatch(/^Use (?!popularity)/m);
    const [, first] = saved();
    // By popularity alone: some items are drawn more often than others, by all users alike.
    const random = randomNumbers(7);
    const drawn = () => Math.floor(12 * random() ** 2);
    const lines = Array.from({ length: 100 }, (_, user) => {
      const items = new Set<number>();
      while (items.size < 6) items.add(drawn());
      return [...items].map((item) => `u${user},i${item}\n`).join('');
    });
    writeFileSync(join(folder, 'likes.csv'), `user,item\n${lines.join('')}`);
    const { stdout, stderr } = await compare();
    const [, name] = /^Use (\w+)/m.exec(stdout) ?? [];
    expect(`${name}.safetensors`).not.toBe(first);
    expect(stderr).toContain(`removed out/${first}, the winner of the comparison that was saved there before`);
    expect(saved()).toEqual(['comparison.json', `${name}.safetensors`].sort());
    // Another model under the name of the winner is not what was saved.
    const own = await fit('popularity', await Interactions.fromFile(join(folder, 'likes.csv')));
    await own.save(join(folder, 'out', `${name}.safetensors`));
    writeFileSync(join(folder, 'likes.csv'), readFileSync(join(folder, 'first.csv')));
    expect((await compare()).stderr).not.toContain('removed');
    expect(saved()).toEqual(['comparison.json', `${name}.safetensors`, first].sort());
  });

  test('of several files all are written or none, and the result is printed all the same', async () => {
    const folder = planted();
    mkdirSync(join(folder, 'out', 'comparison.json'), { recursive: true });
    const flags = ['--models', 'ease', ...ALS, '--save', 'out', '--json', 'result.json'];
    const { code, stdout, stderr } = await recvae(folder, ['compare', 'likes.csv', ...flags]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^Use ease: /m);
    expect(stderr).toMatch(/cannot write out\/comparison\.json: it is a folder/);
    expect(readdirSync(join(folder, 'out'))).toEqual(['comparison.json']);
    expect(readdirSync(folder).sort()).toEqual(['likes.csv', 'out']);
  });

  test('a reader of the messages that has seen enough does not cost the result', async () => {
    const folder = planted();
    const args = ['compare', 'likes.csv', '--models', 'ease', ...ALS, '--save', 'out'];
    const child = spawn(process.execPath, [CLI, ...args], { cwd: folder });
    child.stderr.once('data', () => child.stderr.destroy());
    let stdout = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Use ease: /m);
    expect(readdirSync(join(folder, 'out')).sort()).toEqual(['comparison.json', 'ease.safetensors']);
  });

  test('a data set is not hidden by a folder of its name', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'debian'));
    expect((await recvae(folder, ['split', 'debian', '--out', 'out'])).stderr).toMatch(/training.* users/);
    expect((await recvae(folder, ['split', './debian', '--out', 'again'])).code).toBe(1);
  });

  test('a bad history names its line, a bad k the option', async () => {
    const folder = planted();
    await recvae(folder, ['train', 'popularity', 'likes.csv', '--out', 'm.st']);
    const good = '{"user":"u","items":[]}\n';
    for (const [line, text] of [
      ['{"user":', /^recvae: stdin:2:8: EOF while parsing a value, .*; allowed: {"user":"u1","items":\["a","b"\]}\n$/],
      ['[]', /^recvae: stdin:2:1: invalid type: sequence, expected a JSON object/],
      ['3', /^recvae: stdin:2:1: invalid type: integer `3`, expected a JSON object/],
      ['{"user":"u"}', /^recvae: stdin:2: there is no key 'items' among 'user'; allowed: {"user"/],
      ['{"user":"u","items":[1.5]}', /^recvae: stdin:2:24: invalid type: floating point `1.5`, expected a string or a/],
      ['{"user":"u","items":[1e30]}', /^recvae: stdin:2: items is 1e30; allowed: a string or a whole number\n$/],
      [Buffer.from('{"user":"\xff","items":[]}', 'latin1'), /^recvae: stdin:2:\d+: invalid unicode code point/],
    ] as const) {
      const input = Buffer.concat([Buffer.from(good), Buffer.from(line), Buffer.from(`\n${good}`)]);
      const { code, stdout, stderr } = await recvae(folder, ['recommend', 'm.st', '-k', '1'], { input });
      // The line before it is answered, the one after it is not.
      expect({ code, lines: stdout.split('\n').length }).toEqual({ code: 1, lines: 2 });
      expect(stderr).toMatch(text);
    }
    const { code, stderr } = await recvae(folder, ['recommend', 'm.st', '-k', '0'], { input: good });
    expect({ code, stderr }).toEqual({ code: 2, stderr: 'recvae: -k is 0; allowed: a whole number, 1 or more\n' });
    expect(await recvae(folder, ['recommend', 'm.st', '--history', 'none'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'recvae: cannot read none: No such file or directory (os error 2)\n',
    });
    // A folder is one of tables, as where data are read.
    const ofFolder = await recvae(folder, ['recommend', 'm.st', '--history', '.']);
    expect(ofFolder).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^recvae: a file in \. is 'm\.st'; allowed: names in \.parquet, /),
    });
  });

  test('ids may be whole numbers, and a byte order mark is no character', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'likes.csv'), `user,item\n${'u,1\nu,2\nv,1\nv,2\nw,1\n'}`);
    const model = await fit('ease', await Interactions.fromFile(join(folder, 'likes.csv')), { lambda: 1 });
    await model.save(join(folder, 'm.st'));
    const input = '\uFEFF{"user":7,"items":[1]}\r\n{"user":"é","items":[]}';
    const { stdout } = await recvae(folder, ['recommend', 'm.st'], { input });
    const lines = stdout.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ user: '7', items: ['2'] }, { user: 'é' }]);
  });

  test('a bad k is found before there is input', async () => {
    const folder = planted();
    await recvae(folder, ['train', 'popularity', 'likes.csv', '--out', 'm.st']);
    const child = spawn(process.execPath, [CLI, 'recommend', 'm.st', '-k', '0'], { cwd: folder });
    expect(await new Promise((resolve) => child.on('exit', resolve))).toBe(2);
  });

  test('a reader that has seen enough is no error', async () => {
    const folder = planted();
    await recvae(folder, ['train', 'popularity', 'likes.csv', '--out', 'm.st']);
    const child = spawn(process.execPath, [CLI, 'recommend', 'm.st'], { cwd: folder });
    child.stdin.on('error', () => {});
    child.stdin.end('{"user":"u","items":[]}\n'.repeat(50_000));
    child.stdout.once('data', () => child.stdout.destroy());
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const code = await new Promise((resolve) => child.on('exit', resolve));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});
