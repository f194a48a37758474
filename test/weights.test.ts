/** Values as weights, by every way in and through the commands. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { estimateMemory, evaluate, fit, Interactions, load, type RecvaeError, split } from '../dist/index.js';
import { recvae } from './command.js';
import { temporaryFolder } from './planted.js';

const users = ['a', 'b', 'a', 'a', 'b'];
const items = ['x', 'x', 'y', 'x', 'z'];
const values = [3, 1.5, 2, 4, 0.25];
const options = { value: 'plays', weighted: true };

/** What a way in made of the rows above. */
function weightsOf(data: Interactions): [boolean, boolean, number[] | undefined, number[] | undefined] {
  return [data.weighted, data.valuesIgnored, data.weights('a'), data.weights('b')];
}

test('come in by every way, and those of a pair are added up', async () => {
  const folder = temporaryFolder();
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const rows = users.map((user, row) => ({ user, item: items[row]!, plays: values[row]! }));
  const csv = file('plays.csv', `user,item,plays\n${rows.map((row) => `${Object.values(row)}\n`).join('')}`);
  const ndjson = file('plays.ndjson', rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const sql = `FROM (VALUES ${rows.map((row) => `('${row.user}', '${row.item}', ${row.plays})`)}) t("user", item, plays)`;
  const expected = [true, false, [7, 2], [1.5, 0.25]];
  for (const data of [
    Interactions.fromColumns({ users, items, values }, { weighted: true }),
    await Interactions.fromBatches([{ users, items, values }], { weighted: true }),
    await Interactions.fromRows(rows, options),
    await Interactions.fromFile(csv, options),
    await Interactions.fromFile(ndjson, options),
    await Interactions.fromDuckDB({ sql, ...options }),
  ]) {
    expect(weightsOf(data)).toEqual(expected);
    expect(data.leftOut).toEqual([]);
  }
  const plain = Interactions.fromColumns({ users, items, values });
  expect(weightsOf(plain)).toEqual([false, true, undefined, undefined]);
  expect(plain.leftOut).toMatchObject([{ reason: 'duplicates', rows: 1 }]);
  // After minValue, which is about rows.
  const high = Interactions.fromColumns({ users, items, values }, { weighted: true, minValue: 2 });
  expect([high.weights('a'), high.weights('b')]).toEqual([[7, 2], undefined]);
});

test('that are none are refused', async () => {
  const failure = async (call: () => unknown) => {
    try {
      await call();
    } catch (thrown) {
      return [(thrown as RecvaeError).code, (thrown as RecvaeError).message];
    }
    return [];
  };
  const allowed = 'allowed: a number above 0 in single precision, as the option weighted makes it a weight';
  for (const value of [0, -2, 1e300]) {
    const values = [1, value];
    const columns = { users: ['a', 'b'], items: ['x', 'y'], values };
    expect(await failure(() => Interactions.fromColumns(columns, { weighted: true }))).toEqual([
      'INVALID_DATA',
      expect.stringContaining(allowed),
    ]);
  }
  const file = join(temporaryFolder(), 'plays.csv');
  writeFileSync(file, 'user,item,plays\na,x,0\n');
  expect(await failure(() => Interactions.fromFile(file, options))).toEqual([
    'INVALID_DATA',
    `${file}:2:3: plays is 0; ${allowed}`,
  ]);
  expect(await failure(() => Interactions.fromFile(file, { weighted: true }))).toEqual([
    'INVALID_ARGUMENT',
    'weighted is true; allowed: only with the option value, which names its column',
  ]);
  expect(await failure(() => Interactions.fromColumns({ users, items }, { weighted: true }))).toEqual([
    'INVALID_ARGUMENT',
    expect.stringContaining('weighted is true; allowed: only with values'),
  ]);
});

/** Users repeat items of their own kind, and meet others once. */
function plays(): { users: string[]; items: string[]; values: number[] } {
  const rows = { users: [] as string[], items: [] as string[], values: [] as number[] };
  for (let user = 0; user < 120; user += 1) {
    for (let item = 0; item < 40; item += 1) {
      const draw = (user * 7919 + item * 104_729 + user * item * 31) % 100;
      const isOwn = item % 4 === user % 4;
      if (draw >= (isOwn ? 60 : 25)) continue;
      rows.users.push(`u${user}`);
      rows.items.push(`i${item}`);
      rows.values.push(isOwn ? 4 + (draw % 17) : 1);
    }
  }
  return rows;
}

describe('of the training', () => {
  test('lead iALS, stay in its file, and are known in evaluation', async () => {
    const folder = temporaryFolder();
    const seed = { seed: 1, validation: 20, test: 20 };
    const [data, plain] = await Promise.all(
      [{ weighted: true }, {}].map((options) => split(Interactions.fromColumns(plays(), options), seed)),
    );
    expect([data!.train.weighted, plain!.train.weighted]).toEqual([true, false]);
    const als = await fit('als', data!, { factors: 8, confidence: 'log' });
    await als.save(join(folder, 'als.safetensors'));
    const loaded = await load(join(folder, 'als.safetensors'));
    const [first, again] = [await evaluate(als, data!.test), await evaluate(loaded, data!.test)];
    expect(again.metrics).toEqual(first.metrics);
    // The same users without their weights are others.
    expect((await evaluate(loaded, plain!.test)).metrics).not.toEqual(first.metrics);
    const equal = await fit('als', plain!, { factors: 8 });
    expect(equal.recommend(['i0', 'i4'])).not.toEqual(als.recommend(['i0', 'i4']));
    // Those that count every interaction alike are what they were.
    const [ease, same] = [await fit('ease', data!), await fit('ease', plain!)];
    expect(ease.recommend(['i0', 'i4'])).toEqual(same.recommend(['i0', 'i4']));
    const shape = { users: 1e5, items: 1e4, interactions: 1e7 };
    const [with_, without] = [true, false].map((weighted) => estimateMemory('als', { ...shape, weighted }).fit);
    expect(with_! - without!).toBe(8e7);
  });

  test('go through the commands, which say whom they are nothing to', async () => {
    const folder = temporaryFolder();
    const { users, items, values } = plays();
    const lines = users.map((user, row) => `${user},${items[row]},${values[row]}\n`);
    writeFileSync(join(folder, 'plays.csv'), `user,item,plays\n${lines.join('')}`);
    const read = ['plays.csv', '--value', 'plays', '--weighted'];
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await recvae(folder, args);
      expect(code, stderr).toBe(0);
      return { stdout, stderr };
    };
    const splitting = ['--validation', '20', '--test', '20'];
    const trained = await run('train', 'als', ...read, ...splitting, '--set', 'factors=8', '--out', 'a.safetensors');
    expect(trained.stderr).not.toContain('warning');
    // As the training was: the recipe knows the weights.
    const evaluated = JSON.parse((await run('evaluate', 'a.safetensors', 'plays.csv', '--json', '-')).stdout);
    expect(evaluated.metrics['ndcg@100'].mean).toBeGreaterThan(0);
    const { stderr } = await run('train', 'ease', ...read, ...splitting, '--out', 'e.safetensors');
    expect(stderr).toContain(
      'warning: ease counts every interaction alike: --weighted changes nothing there, only for als',
    );
    const compared = await run('compare', ...read, ...splitting, '--models', 'als,ease', '--no-search', '--json', '-');
    expect(compared.stderr).toContain('warning: popularity, ease count every interaction alike');
    expect(JSON.parse(compared.stdout).valuesIgnored).toBe(undefined);
  });
});
