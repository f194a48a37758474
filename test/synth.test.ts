/** Made-up data: the file and the memory hold the same, the seed decides, bad wishes are refused. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Interactions, RecvaeError, type SynthOptions, type SynthProgress, writeSynth } from '../dist/index.js';
import { temporaryFolder } from './planted.js';

/** 1,367 users, 99,907 interactions. */
const SMALL: SynthOptions = { like: 'ml-20m', scale: 0.01, seed: 3 };

/** The ids of all users' histories, in the order of rows and columns. */
function content(data: Interactions): unknown {
  return [data.itemIds(), data.userIds().map((user) => [user, data.history(user)])];
}

test('a file, plain or compressed, holds what the data in memory are', async () => {
  const data = await Interactions.synth(SMALL);
  expect([data.nUsers, data.nItems, data.nInteractions]).toEqual([1_367, 20_720, 99_907]);
  const folder = temporaryFolder();
  for (const name of ['made-up.csv', 'made-up.csv.gz']) {
    const path = join(folder, name);
    expect(await writeSynth(path, SMALL)).toEqual({
      users: 1_367,
      nUsers: 1_367,
      nItems: 20_720,
      interactions: 99_907,
      nInteractions: 99_907,
    });
    expect(content(await Interactions.fromFile(path))).toEqual(content(data));
  }
  const [plain, compressed] = ['made-up.csv', 'made-up.csv.gz'].map((name) => readFileSync(join(folder, name)));
  expect(gunzipSync(compressed!).equals(plain!)).toBe(true);
});

test('the same seed gives the same bytes for any number of threads, another seed gives others', async () => {
  const folder = temporaryFolder();
  const bytes = async (seed: number, threads: number) => {
    const path = join(folder, `${seed}-${threads}.csv.gz`);
    await writeSynth(path, { ...SMALL, seed }, { threads });
    return readFileSync(path);
  };
  const first = await bytes(3, 1);
  expect((await bytes(3, 3)).equals(first)).toBe(true);
  expect((await bytes(4, 3)).equals(first)).toBe(false);
  const one = await Interactions.synth(SMALL, { threads: 1 });
  expect(content(await Interactions.synth(SMALL, { threads: 3 }))).toEqual(content(one));
  expect(content(await Interactions.synth({ ...SMALL, seed: 4 }))).not.toEqual(content(one));
});

describe('progress', () => {
  test('grows to the whole', async () => {
    const seen: SynthProgress[] = [];
    const path = join(temporaryFolder(), 'made-up.csv');
    const options = { ...SMALL, scale: 0.3 };
    const last = await writeSynth(path, options, { threads: 1, onProgress: (progress) => seen.push(progress) });
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.map(({ users }) => users)).toEqual([...new Set(seen.map(({ users }) => users))].sort((a, b) => a - b));
    expect(seen.at(-1)).toEqual(last);
    expect(last).toMatchObject({ users: 41_003, nUsers: 41_003, interactions: 2_997_205, nInteractions: 2_997_205 });
  });

  test('what a callback throws rejects the promise', async () => {
    const onProgress = () => {
      throw new RangeError('enough');
    };
    const path = join(temporaryFolder(), 'made-up.csv');
    await expect(writeSynth(path, SMALL, { onProgress })).rejects.toThrow(new RangeError('enough'));
  });
});

describe('what is refused leaves nothing behind', () => {
  const refused: [string, object, RegExp][] = [
    ['too small a share', { scale: 0.009 }, /^scale is 0\.009; allowed: a finite number from 0\.01 to 1$/],
    ['more than the whole', { scale: 1.1 }, /^scale is 1\.1; allowed/],
    ['no number', { scale: Number.NaN }, /^scale is "NaN"; allowed/],
    ['a negative seed', { seed: -1 }, /^seed is -1; allowed: a whole number/],
    ['an unknown set', { like: 'ml-1m' }, /^like is "ml-1m"; allowed: 'ml-20m' or 'netflix' or 'msd' or 'million'$/],
    ['an unknown option', { sead: 1 }, /'sead'; allowed: like, scale, seed/],
  ];
  test.each(refused)('%s', async (_, options, message) => {
    const folder = temporaryFolder();
    const error = { name: 'RecvaeError', code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) };
    await expect(Interactions.synth({ ...SMALL, ...options })).rejects.toMatchObject(error);
    await expect(writeSynth(join(folder, 'made-up.csv'), { ...SMALL, ...options })).rejects.toMatchObject(error);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('threads', async () => {
    const path = join(temporaryFolder(), 'made-up.csv');
    const error = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(/^threads is 0; allowed/) };
    await expect(Interactions.synth(SMALL, { threads: 0 })).rejects.toMatchObject(error);
    await expect(writeSynth(path, SMALL, { threads: 0 })).rejects.toMatchObject(error);
  });

  test('paths', async () => {
    const folder = temporaryFolder();
    const failure = (path: string) => writeSynth(path, SMALL).catch((error: unknown) => error as RecvaeError);
    const unknown = await failure(join(folder, 'made-up.tsv'));
    expect(unknown).toBeInstanceOf(RecvaeError);
    expect(unknown).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(/\.csv or \.csv\.gz$/) });
    expect(await failure(join(folder, 'none', 'made-up.csv'))).toMatchObject({
      code: 'IO',
      message: expect.stringMatching(/^cannot write .*made-up\.csv/),
    });
    expect(await failure(3 as unknown as string)).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(readdirSync(folder)).toEqual([]);
  });

  test('what stood there before a failure stays', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'mine.csv');
    writeFileSync(path, 'precious');
    await expect(writeSynth(path, { ...SMALL, scale: 2 })).rejects.toThrow(RecvaeError);
    expect(readFileSync(path, 'utf8')).toBe('precious');
    await writeSynth(path, SMALL);
    expect(readFileSync(path, 'utf8').startsWith('user,item\nu0,i')).toBe(true);
    expect(readdirSync(folder)).toEqual(['mine.csv']);
  });
});
