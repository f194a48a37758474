/** Splits that others have made, in files or by a column, and folds: by the library and by the command line. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Interactions, RecvaeError, split } from '../dist/index.js';
import { recvae } from './command.js';
import { planted, plantedColumns, temporaryFolder, writePlanted } from './planted.js';

/** The planted data as the lists of the graph papers: each fourth item of a user is for test. */
function writeLists(folder: string): void {
  const { users, items } = plantedColumns();
  const lists = [new Map<string, string[]>(), new Map<string, string[]>()];
  for (const [row, user] of users.entries()) {
    const list = lists[row % 4 === 3 ? 1 : 0]!;
    list.set(user, [...(list.get(user) ?? []), items[row]!]);
  }
  for (const [at, name] of ['train.txt', 'test.txt'].entries()) {
    const lines = [...lists[at]!].map(([user, items]) => `${user} ${items.join(' ')}\n`);
    writeFileSync(join(folder, name), lines.join(''));
  }
}

describe('train and test files of the same users', () => {
  test('stay as they are, and validation is a share of training', async () => {
    const folder = temporaryFolder();
    writeLists(folder);
    const [train, held] = await Promise.all(
      ['train.txt', 'test.txt'].map((name) => Interactions.fromFile(join(folder, name), { format: 'adjacency' })),
    );
    const both = await Interactions.fromParts({ train: train!, test: held! });
    const data = await split(both, { kind: 'files', validation: 0 });
    expect(data.train.nInteractions).toBe(train!.nInteractions);
    expect(data.test.target('u5')!.sort()).toEqual(held!.history('u5')!.slice().sort());
    expect(data.test.input('u5')!.sort()).toEqual(train!.history('u5')!.slice().sort());
    expect(data.test.areKnown).toBe(true);
    const drawn = await split(both, { kind: 'files' });
    expect(drawn.train.nInteractions + drawn.validation.nInteractions).toBeGreaterThan(train!.nInteractions);
    expect(drawn.test.input('u5')!.sort()).toEqual(data.test.input('u5')!.sort());
    await expect(split(train!, { kind: 'files' })).rejects.toThrow(
      "kind is 'files'; allowed: only for data of several files: train and test, and validation if there is such",
    );
    // biome-ignore lint/suspicious/noExplicitAny: what JavaScript may pass
    for (const wrong of [{ train }, { train, test: 'test.txt' }, { train, test: held, more: 1 }] as any[]) {
      await expect(Interactions.fromParts(wrong)).rejects.toBeInstanceOf(RecvaeError);
    }
  });

  test('are named by flags, and the model knows them again', async () => {
    const folder = temporaryFolder();
    writeLists(folder);
    const how = ['--format', 'adjacency', '--split', 'files', '--test-file', 'test.txt'];
    const compared = await recvae(folder, [
      'compare',
      'train.txt',
      ...how,
      '--models',
      'ease',
      '--no-search',
      '--json',
      '-',
    ]);
    expect(compared.code, compared.stderr).toBe(0);
    const { models, winner } = JSON.parse(compared.stdout);
    expect([winner, models[1].metrics['ndcg@100'].mean > 0.5]).toEqual(['ease', true]);
    const all = [...how, '--validation', '0'];
    expect((await recvae(folder, ['train', 'ease', 'train.txt', ...all, '--out', 'm.st'])).code).toBe(0);
    const evaluated = await recvae(folder, ['evaluate', 'm.st', 'train.txt', '--json', '-']);
    expect(evaluated.code, evaluated.stderr).toBe(0);
    expect(JSON.parse(evaluated.stdout)).toMatchObject({ sameTrainingUsers: true });
    for (const [args, text] of [
      [['train.txt', '--format', 'adjacency', '--split', 'files'], '--test-file is missing, which --split files needs'],
      [
        ['train.txt', '--format', 'adjacency', '--test-file', 'test.txt'],
        '--test-file has no meaning for what is not split by --split files',
      ],
      [['train.txt', ...how.slice(0, 4), '--test-file', 'none.txt'], 'none.txt'],
      [['train.txt', ...how, '--min-user', '3'], '--min-user has no meaning for parts that others have divided'],
    ] as const) {
      const { code, stderr } = await recvae(folder, ['split', ...args, '--out', 's']);
      expect([code !== 0, stderr.trim().split('\n').at(-1)]).toEqual([true, expect.stringContaining(text)]);
    }
  });
});

describe('a column', () => {
  test('says the parts, in files and on standard input', async () => {
    const folder = temporaryFolder();
    const { users, items } = plantedColumns();
    const words = ['train', 'train', 'train', 'val', 'test'];
    const rows = users.map((user, row) => `${user},${items[row]},${words[row % 5]}\n`);
    const text = `user,item,fold\n${rows.join('')}`;
    writeFileSync(join(folder, 'likes.csv'), text);
    const data = await split(await Interactions.fromFile(join(folder, 'likes.csv'), { part: 'fold' }), {
      kind: 'column',
    });
    expect(data.train.nInteractions).toBe(rows.filter((row) => row.endsWith('train\n')).length);
    expect([data.validation.nScored > 100, data.test.nScored > 100]).toEqual([true, true]);
    const args = ['-', '--format', 'csv', '--split', 'column', '--part', 'fold', '--out', 'split', '--json', '-'];
    const { code, stdout, stderr } = await recvae(folder, ['split', ...args], { input: text });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(JSON.parse(stdout)).toMatchObject({ interactions: data.train.nInteractions });
    const lines = readFileSync(join(folder, 'split', 'train.csv'), 'utf8')
      .trim()
      .split('\n');
    expect(lines.length - 1).toBe(data.train.nInteractions);
    for (const [args, text] of [
      [['--split', 'column'], "--split is 'column'; allowed: only for data with parts: --part names their column"],
      [['--split', 'column', '--part', 'item'], "--part is 'item'; allowed: a column other than user and item"],
      [['--split', 'column', '--part', 'fold', '--time', 'x'], "--part is 'fold'; allowed: only without time"],
    ] as const) {
      const { code, stderr } = await recvae(folder, ['split', 'likes.csv', ...args, '--out', 's']);
      expect([code, stderr.trim().split('\n').at(-1)]).toEqual([2, expect.stringContaining(text)]);
    }
  });
});

describe('folds', () => {
  test('test everybody once, by flags too', async () => {
    const likes = planted();
    const tested = new Set<string>();
    for (let fold = 1; fold <= 4; fold += 1) {
      const { test } = await split(likes, { kind: 'folds', folds: 4, fold, minUserItems: 1 });
      for (const user of test.userIds()) tested.add(user);
    }
    expect(tested.size).toBe(likes.nUsers);
    const folder = temporaryFolder();
    writePlanted(folder);
    const args = ['split', 'likes.csv', '--split', 'folds', '--folds', '4', '--fold', '2', '--out', 'a', '--json', '-'];
    expect(JSON.parse((await recvae(folder, args)).stdout).users).toEqual({ train: 100, validation: 50, test: 50 });
    const wrong = await recvae(folder, ['split', 'likes.csv', '--split', 'folds', '--fold', '6', '--out', 'b']);
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringContaining('--fold is 6; allowed: from 1 to 5 (folds)'),
    ]);
  });
});
