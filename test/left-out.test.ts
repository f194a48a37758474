/**
 * Who is not held out is trained on, and what is left out is said: by the library, and by every command in text and
 * JSON.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compare, fit, Interactions, type LeftOut, split, tune } from '../dist/index.js';
import { recvae } from './command.js';
import { plantedColumns, temporaryFolder } from './planted.js';

/** 40 users with the planted items, and 60 with two items each that nobody else has. */
function withShortUsers() {
  const { users, items } = plantedColumns(40);
  for (let user = 0; user < 60; user += 1) {
    users.push(`short${user}`, `short${user}`);
    items.push(`new${user % 5}`, `new${(user + 1) % 5}`);
  }
  return { users, items };
}

function writeShort(folder: string, extra = ''): void {
  const { users, items } = withShortUsers();
  writeFileSync(
    join(folder, 'shop.csv'),
    `user,item\n${users.map((user, row) => `${user},${items[row]}\n`).join('')}${extra}`,
  );
}

const told = (leftOut: LeftOut[]) => leftOut.map(({ reason, users, items }) => [reason, users, items]);

describe('the library', () => {
  test('trains on everybody who is not held out, and drops short users where it is asked to', async () => {
    const data = Interactions.fromColumns(withShortUsers());
    const none = await split(data, { validation: 0, test: 0 });
    expect([none.train.nUsers, none.train.nItems, none.leftOut]).toEqual([100, data.nItems, []]);
    const kept = await split(data);
    expect(kept.train.nUsers + kept.validation.nUsers + kept.test.nUsers).toBe(100);
    expect([kept.validation.nUsers, kept.test.nUsers, kept.train.nItems]).toEqual([4, 4, data.nItems]);
    expect(told(kept.leftOut)).toEqual([['neverHeldOut', 60, 0]]);
    const dropped = await split(data, { shortUsers: 'drop' });
    expect(told(dropped.leftOut)).toEqual([
      ['shortUsers', 60, 0],
      ['noTrainingUser', 0, 5],
    ]);
    expect(dropped.test.userIds()).toEqual(kept.test.userIds());
    await expect(split(data, { shortUsers: 'keep' as never })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: "shortUsers is \"keep\"; allowed: 'train' or 'drop'",
    });
  });

  test('says what reading left out, in every way in', async () => {
    const rows = { users: ['a', 'a', 'a', 'b'], items: ['x', 'x', 'y', 'x'], values: [5, 5, 1, 5] };
    const reasons = ({ leftOut }: Interactions) => leftOut.map(({ reason, rows }) => [reason, rows]);
    const expected = [
      ['minValue', 1],
      ['duplicates', 1],
    ];
    expect(reasons(Interactions.fromColumns(rows, { minValue: 4 }))).toEqual(expected);
    expect(reasons(await Interactions.fromBatches([rows], { minValue: 4 }))).toEqual(expected);
    const timed = { ...rows, timestamps: [1, 2, 3, 9] };
    const bounded = await Interactions.fromBatches([timed], { minValue: 4, until: 5 });
    expect(reasons(bounded)).toEqual([
      ['minValue', 1],
      ['time', 1],
      ['duplicates', 1],
    ]);
    const histories = [
      { user: 'a', items: ['x', 'x'] },
      { user: 'b', items: [] },
    ];
    expect(reasons(await Interactions.fromHistories(histories))).toEqual([
      ['duplicates', 1],
      ['emptyHistories', 1],
    ]);
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'a.csv'), 'user,item,stars\na,x,5\na,x,5\na,y,1\nb,x,5\n');
    const options = { value: 'stars', minValue: 4 };
    expect(reasons(await Interactions.fromFile(join(folder, 'a.csv'), options))).toEqual(expected);
    expect(reasons(await Interactions.fromDuckDB({ source: join(folder, 'a.csv'), ...options }))).toEqual(expected);
    const { leftOut } = Interactions.fromColumns(rows, { minUser: 2 });
    expect(leftOut.at(-1)).toEqual({
      reason: 'thresholds',
      rows: 0,
      users: 1,
      items: 0,
      interactions: 1,
      text: '1 user and 1 interaction are left out by minUser 2 and minItem 1',
    });
  });

  test('reports have the figures of what was compared', async () => {
    const data = Interactions.fromColumns(withShortUsers());
    for (const [shortUsers, users, items] of [
      ['train', 100, data.nItems],
      ['drop', 40, data.nItems - 5],
    ] as const) {
      const options = { split: { shortUsers, test: 0.2 }, threads: 1 };
      const { report } = await compare(data, { ...options, models: [], options: { ease: { lambda: 1 } } });
      expect(report.dataset).toMatchObject({ users, items, interactions: data.nInteractions - 120 * +(users === 40) });
      expect(report.trainingUsers).toBe(users - 12);
      expect(report.leftOut[0]).toMatchObject({ users: 60 });
      expect(report.warnings).toEqual([]);
      const tuned = await tune('ease', data, { ...options, over: { lambda: [1, 2] } });
      expect(tuned.report.leftOut).toEqual(report.leftOut);
    }
  });
});

describe('the command line', () => {
  test('all users, none held out: all are trained on and counted', async () => {
    const folder = temporaryFolder();
    writeShort(folder);
    const flags = ['shop.csv', '--validation', '0', '--test', '0', '--save-counts', 'counts', '--json', 'out.json'];
    const { code, stderr } = await recvae(folder, ['train', 'ease', ...flags, '--out', 'm.st']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/ 100 users, 45 items: m\.st\n0 users counted before, 100 now\n$/);
    expect(JSON.parse(readFileSync(join(folder, 'out.json'), 'utf8'))).toMatchObject({
      users: 100,
      items: 45,
      leftOut: [],
    });
    const asked = await recvae(folder, ['recommend', 'm.st', '-k', '3'], { input: '{"user":"x","items":["new1"]}\n' });
    expect(JSON.parse(asked.stdout)).not.toHaveProperty('unknown');
  });

  /** What each command that splits needs besides, and where its JSON is. */
  const commands: [string, string[]][] = [
    ['split', ['--out', 'folder']],
    ['train', ['--out', 'other.st']],
    ['evaluate', []],
    ['compact', ['small.st', '--top-per-item', '9', '--held-out']],
    ['compare', ['--models', 'ease', '--set', 'ease.lambda=1', '--set', 'als.factors=4', '--set', 'als.epochs=1']],
    ['tune', ['--over', 'lambda=1,2']],
    ['ablate', ['--seeds', '1', '--epochs', '1', '--set', 'hiddenDim=4', '--set', 'latentDim=2']],
    ['advise', ['--models', 'als', '--epochs', '1', '--users', '20', '--set', 'als.factors=4']],
  ];

  test.each(commands)('%s says what is left out, in text and JSON, and takes the flags', async (command, more) => {
    const folder = temporaryFolder();
    writeShort(folder, 'u0,i0-0\nu0,i0-0\n');
    const flags = [
      '--seed',
      '3',
      '--test',
      '0.2',
      '--validation',
      '0.2',
      '--min-user-items',
      '4',
      '--json',
      'out.json',
    ];
    const input = ['evaluate', 'compact'].includes(command) ? ['m.st', 'shop.csv'] : ['shop.csv'];
    if (command === 'train' || command === 'tune') input.unshift('ease');
    if (input[0] === 'm.st') await recvae(folder, ['train', 'ease', 'shop.csv', '--seed', '3', '--out', 'm.st']);
    // <out> of compact stands before its flags; --held-out has the input.
    const args = command === 'compact' ? ['m.st', ...more, 'shop.csv'] : [...input, ...more];
    const outcome = await recvae(folder, [command, ...args, ...flags, '--short-users', 'drop']);
    expect(outcome).toMatchObject({ code: 0 });
    const { leftOut } = JSON.parse(readFileSync(join(folder, 'out.json'), 'utf8'));
    const reasons = leftOut.map(({ reason }: LeftOut) => reason);
    expect(reasons.slice(0, 3)).toEqual(['duplicates', 'shortUsers', 'noTrainingUser']);
    expect(outcome.stderr).toContain('rows are left out for repeating an interaction\n');
    // For people with the words of the command line, and in JSON with those of the library.
    const [options, flagged] = ['minUserItems; shortUsers', '--min-user-items; --short-users'];
    expect(outcome.stderr).toContain(
      `60 users are left out, with 120 interactions, for having fewer than 4 items (${flagged} is drop)\n`,
    );
    for (const { text } of leftOut) expect(outcome.stderr.split(text.replace(options, flagged)).length).toBe(2);
  });

  test('what a model was trained on is what evaluate asks, also of earlier files', async () => {
    const folder = temporaryFolder();
    writeShort(folder);
    await recvae(folder, ['train', 'popularity', 'shop.csv', '--short-users', 'drop', '--test', '8', '--out', 'm.st']);
    const { stdout, stderr } = await recvae(folder, ['evaluate', 'm.st', 'shop.csv', '--json', '-']);
    expect(JSON.parse(stdout)).toMatchObject({ sameTrainingUsers: true, trainedUsers: 0, warnings: [] });
    expect(stderr).toContain('--short-users is drop');
    expect(stderr).not.toContain('warning');
    // Files of before short users were trained on: their recipe does not name them, and they have no record.
    const { train } = await split(Interactions.fromColumns(withShortUsers()), { shortUsers: 'drop', test: 8 });
    const sha256 = createHash('sha256').update(train.userIds().sort().join('\n')).digest('hex');
    const info = {
      input: { read: {}, split: { test: 8 } },
      trainingUsers: { count: train.nUsers, sha256 },
    };
    await (await fit('popularity', train)).save(join(folder, 'old.st'), { info, trainingRecord: false });
    const old = await recvae(folder, ['evaluate', 'old.st', 'shop.csv', '--json', '-']);
    expect(JSON.parse(old.stdout)).toMatchObject({ sameTrainingUsers: true, trainedUsers: null, warnings: [] });
  });

  test('a lower minimum holds users out who have something to find', async () => {
    const folder = temporaryFolder();
    const rows = Array.from({ length: 40 }, (_, user) => [0, 1, 2].map((item) => `u${user},i${(user + item) % 9}\n`));
    writeFileSync(join(folder, 'short.csv'), `user,item\n${rows.flat().join('')}`);
    const refused = await recvae(folder, ['train', 'ease', 'short.csv', '--out', 'm.st']);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('0 of 40 users have at least 5 items') });
    expect(
      (await recvae(folder, ['train', 'ease', 'short.csv', '--validation', '0', '--test', '0', '--out', 'm.st'])).code,
    ).toBe(0);
    const flags = ['--min-user-items', '3', '--held-out-share', '0.4'];
    await recvae(folder, ['train', 'ease', 'short.csv', ...flags, '--out', 'm.st']);
    const { stdout } = await recvae(folder, ['evaluate', 'm.st', 'short.csv', '--json', '-']);
    expect(JSON.parse(stdout)).toMatchObject({ users: 4, skipped: 0, sameTrainingUsers: true });
  });
});
