/** Metrics beside hits, in groups, and by user in files: by the library and by the command line. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { compare, evaluate, fit, Interactions, type MetricName, split, writePerUser } from '../dist/index.js';
import { recvae } from './command.js';
import { planted, temporaryFolder, writePlanted } from './planted.js';

const MORE: MetricName[] = ['auc', 'novelty@5', 'diversity@5', 'miscalibration@5', 'tail@5'];

const hasDuckDB = await import('@duckdb/node-api').then(
  () => true,
  () => false,
);

describe('metrics beside hits', () => {
  test('are there where asked for, and say what they should of known data', async () => {
    const data = await split(planted());
    const [ease, popularity] = [await fit('ease', data, { lambda: 10 }), await fit('popularity', data)];
    const [ours, floor] = [
      await evaluate(ease, data.test, { metrics: MORE }),
      await evaluate(popularity, data.test, { metrics: MORE }),
    ];
    expect(Object.keys(ours.metrics)).toEqual(MORE);
    for (const { mean, perUser, standardError } of Object.values(ours.metrics)) {
      expect(perUser).toHaveLength(ours.users.length);
      expect(mean).toBeGreaterThanOrEqual(0);
      expect(standardError).not.toBeNull();
    }
    // Members of a group like its block: a list of one block has the same users; the most popular items have others.
    expect(ours.metrics.auc.mean).toBeGreaterThan(floor.metrics.auc.mean);
    expect(ours.metrics.auc.mean).toBeGreaterThan(0.85);
    expect(ours.metrics['diversity@5']!.mean).toBeLessThan(floor.metrics['diversity@5']!.mean);
    expect(ours.metrics['novelty@5']!.mean).toBeGreaterThan(floor.metrics['novelty@5']!.mean);
  });

  test('know the training of the split, also of a model with other items', async () => {
    const data = await split(planted());
    const other = await fit(
      'popularity',
      Interactions.fromColumns({ users: ['a', 'a', 'b'], items: ['i0-0', 'x', 'x'] }),
    );
    const { metrics, unknown } = await evaluate(other, data.test, { metrics: ['novelty@2', 'tail@2'] });
    expect(unknown).toBeGreaterThan(0);
    // One of the two items has no user there, which counts as one.
    expect(metrics['novelty@2'].mean).toBeGreaterThan(Math.log2(data.train.nUsers) / 2);
  });

  test('have groups if asked, whose means make up the whole', async () => {
    const data = await split(planted());
    const model = await fit('ease', data, { lambda: 10 });
    const plain = await evaluate(model, data.test);
    expect(plain.groups).toBeUndefined();
    const { metrics, groups, users } = await evaluate(model, data.test, {
      metrics: ['ndcg@10', 'auc', 'tail@10', 'coverage@10'],
      groups: true,
    });
    const { activity, popularity } = groups!;
    expect(activity.reduce((sum, group) => sum + group.users.length, 0)).toBe(users.length);
    expect(popularity.map(({ name }) => name)).toEqual(['head', 'middle', 'tail']);
    for (const name of ['ndcg@10', 'auc', 'tail@10'] as const) {
      const sum = activity.reduce((sum, group) => sum + group.metrics[name]!.mean * group.users.length, 0);
      expect(sum / users.length).toBeCloseTo(metrics[name].mean, 12);
    }
    for (const group of [...activity, ...popularity]) {
      expect(group.metrics['coverage@10']!.perUser).toHaveLength(0);
      expect(group.metrics.auc!.perUser).toHaveLength(group.users.length);
      expect(JSON.parse(JSON.stringify(group)).users).toEqual([...group.users]);
    }
    // biome-ignore lint/suspicious/noExplicitAny: what JavaScript may pass
    await expect(evaluate(model, data.test, { groups: 'yes' as any })).rejects.toThrow(
      "groups is 'yes'; allowed: true or false",
    );
  });

  test('that are none are named with what there is', async () => {
    const data = await split(planted());
    const model = await fit('popularity', data);
    for (const name of ['auc@5', 'novelty', 'calibration@5']) {
      await expect(evaluate(model, data.test, { metrics: [name as MetricName] })).rejects.toThrow(
        new RegExp(`^metric is '${name}'; allowed: ndcg@K, .*, novelty@K, .* with K from 1 to 1000000, or auc$`),
      );
    }
    await expect(compare(data, { metrics: ['nope' as MetricName] })).rejects.toThrow(
      "metric is 'nope'; allowed: ndcg@K",
    );
  });
});

describe('values by user', () => {
  test('are written whole as CSV, plain and compressed', async () => {
    const folder = temporaryFolder();
    const data = await split(planted());
    const metrics: MetricName[] = ['ndcg@10', 'auc', 'coverage@10'];
    const found = await evaluate(await fit('ease', data), data.test, { metrics });
    const paths = ['v.csv', 'v.csv.gz'].map((name) => join(folder, name));
    for (const path of paths) await writePerUser(path, data.test, { ease: found, again: found });
    const text = readFileSync(paths[0]!, 'utf8');
    expect(gunzipSync(readFileSync(paths[1]!)).toString()).toBe(text);
    const [head, ...rows] = text.trim().split('\n');
    // Coverage has no value per user.
    expect(head).toBe('model,user,ndcg@10,auc');
    expect(rows).toHaveLength(2 * found.users.length);
    const ids = data.test.userIds();
    const { perUser } = found.metrics['ndcg@10']!;
    const values = [perUser[0], found.metrics.auc!.perUser[0]];
    expect(rows[0]).toBe(`ease,${ids[found.users[0]!]},${values.join(',')}`);
    expect(rows.at(-1)).toMatch(/^again,/);
    for (const [path, evaluations, text] of [
      [join(folder, 'v.txt'), { ease: found }, "v.txt'; allowed: a name in .csv, .csv.gz or .parquet"],
      [join(folder, 'w.csv'), {}, 'evaluations is an object; allowed: one evaluation or more'],
      [
        join(folder, 'w.csv'),
        { ease: found, other: await evaluate(await fit('ease', data), data.test, { metrics: ['ndcg@5'] }) },
        "evaluations is 'other'; allowed: evaluations with the same metrics, such as ndcg@10",
      ],
      [
        join(folder, 'w.csv'),
        {
          ease: found,
          other: await evaluate(await fit('ease', data), (await split(planted(), { test: 7 })).test, { metrics }),
        },
        "evaluations is 'other'; allowed: evaluations of the same held-out users",
      ],
      [
        join(folder, 'w.csv'),
        // Of as many users, all of whom have something to find: rows alone do not tell them apart.
        { of: await evaluate(await fit('ease', data), data.validation, { metrics }) },
        "evaluations is 'of'; allowed: evaluations of the same held-out users, those of heldOut",
      ],
    ] as const) {
      await expect(writePerUser(path, data.test, evaluations as never)).rejects.toThrow(text);
    }
    for (const none of [5, 'text', {}, null]) {
      const written = writePerUser(join(folder, 'w.csv'), data.test, { of: found, a: none } as never);
      await expect(written).rejects.toThrow(/^evaluations\.a is .*; allowed: an evaluation, as evaluate gives it$/);
    }
    expect([data.validation.nUsers, data.validation.nScored]).toEqual([data.test.nUsers, data.test.nScored]);
    expect(existsSync(join(folder, 'w.csv'))).toBe(false);
  });

  test.skipIf(!hasDuckDB)('are written as Parquet by the command line, beside the JSON', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    await recvae(folder, ['train', 'ease', 'likes.csv', '--set', 'lambda=10', '--out', 'm.st']);
    const args = ['evaluate', 'm.st', 'likes.csv', '--metrics', 'ndcg@10,novelty@10,gini@10', '--groups'];
    const outputs = ['--per-user', 'v.parquet', '--json', 'r.json'];
    const { code, stdout, stderr } = await recvae(folder, [...args, ...outputs]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/few: \d+ to \d+ items in the history +\d+ +\d\.\d{5}/);
    const result = JSON.parse(readFileSync(join(folder, 'r.json'), 'utf8'));
    expect(result.groups.popularity).toHaveLength(3);
    const duckdb = await import('@duckdb/node-api');
    const connection = await (await duckdb.DuckDBInstance.create()).connect();
    const sql = `SELECT count(*)::INT, avg("ndcg@10"), avg("novelty@10") FROM '${join(folder, 'v.parquet')}'`;
    const [[count, ndcg, novelty]] = (await (await connection.run(sql)).getRows()) as [[number, number, number]];
    connection.closeSync();
    expect(count).toBe(result.users);
    expect(ndcg).toBeCloseTo(result.metrics['ndcg@10'].mean, 12);
    expect(novelty).toBeCloseTo(result.metrics['novelty@10'].mean, 12);
  });

  test('that cannot be written are refused before any work', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    for (const [name, text] of [
      ['v.txt', /^recvae: --per-user is 'v.txt'; allowed: a name in .csv, .csv.gz or .parquet\n$/],
      ['none/v.csv', /^recvae: cannot write none\/v.csv|<input>|none.csv/],
      ['likes.csv', /^recvae: --per-user is 'likes.csv', as is <input>; allowed: another file\n$/],
    ] as const) {
      const { code, stderr } = await recvae(folder, [
        'compare',
        name === 'likes.csv' ? name : 'none.csv',
        '--per-user',
        name,
      ]);
      expect([name, code === 0]).toEqual([name, false]);
      expect(stderr).toMatch(text);
    }
    const compared = await recvae(folder, [
      ...['compare', 'likes.csv', '--models', 'ease', '--no-search', '--epochs', '2', '--per-user', 'c.csv'],
      ...['--metrics', 'auc,tail@5', '--json', '-', '--quiet'],
    ]);
    expect(compared.code, compared.stderr).toBe(0);
    // The metric that decides is measured in any case.
    const { models, testUsers } = JSON.parse(compared.stdout);
    expect(Object.keys(models[0].metrics)).toEqual(['ndcg@100', 'auc', 'tail@5']);
    const rows = readFileSync(join(folder, 'c.csv'), 'utf8').trim().split('\n');
    expect([rows[0], rows.length]).toEqual(['model,user,ndcg@100,auc,tail@5', 1 + 3 * testUsers]);
  });
});
