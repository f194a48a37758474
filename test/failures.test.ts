/**
 * What can fail, made to fail: the error says what and where, what was there before stays, and nothing is left behind.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fit, Interactions, load, RecvaeError, type RecvaeErrorCode, Split, split } from '../dist/index.js';
import { ALS, CLI } from './command.js';
import { planted, temporaryFolder, writePlanted } from './planted.js';

const script = (name: string) => fileURLToPath(new URL(`failures/${name}.mjs`, import.meta.url));

async function failure(code: RecvaeErrorCode, call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    expect(error).toBeInstanceOf(RecvaeError);
    expect((error as RecvaeError).code, (error as RecvaeError).message).toBe(code);
    return (error as RecvaeError).message;
  }
  throw new Error('no error');
}

/** A folder in which nothing more can be written, and how to start a program for which that holds. */
interface Full {
  folder: string;
  start: (args: string[]) => { status: number | null; stdout: string; stderr: string };
}

const OLD = 'what was there before\n';

/**
 * A small file system in memory, filled to the last page. Where it cannot be mounted (that takes root), programs are
 * started with a limit on the size of files instead, which fails in the middle of a write too.
 */
function full(names: string[]): Full {
  const folder = temporaryFolder();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', folder]).status === 0;
  const run = (program: string, args: string[]) => spawnSync(program, args, { encoding: 'utf8' });
  const start = mounted
    ? (args: string[]) => run(process.execPath, args)
    : (args: string[]) => run('sh', ['-c', 'trap "" XFSZ; ulimit -f 1; exec "$0" "$@"', process.execPath, ...args]);
  if (mounted) onTestFinished(() => void spawnSync('umount', [folder]));
  for (const name of names) writeFileSync(join(folder, name), OLD);
  if (mounted) {
    try {
      for (let number = 0; ; number += 1) writeFileSync(join(folder, `filler${number}`), Buffer.alloc(4096));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
    }
  } else if (spawnSync('sh', ['-c', 'ulimit -f 1']).status !== 0) {
    throw new Error('a full disk can be had neither by mounting one nor by a limit on the size of files');
  }
  return { folder, start };
}

describe.skipIf(process.platform === 'win32')('a full disk', () => {
  test.each([
    ['model', 'model.safetensors'],
    ['lines', 'lists.ndjson'],
    ['parquet', 'lists.parquet'],
    ['synth', 'made-up.csv'],
  ])('%s', (what, name) => {
    const { folder, start } = full([name]);
    const before = readdirSync(folder);
    const path = join(folder, name);
    const { stdout, stderr } = start([script('write'), what, path]);
    expect(stdout, stderr).not.toBe('');
    const error = JSON.parse(stdout);
    expect(error).toMatchObject({ name: 'RecvaeError', code: 'IO' });
    expect(error.message).toContain(name);
    expect(readFileSync(path, 'utf8')).toBe(OLD);
    expect(readdirSync(folder)).toEqual(before);
  });

  test('a split', () => {
    const { folder, start } = full([]);
    const before = readdirSync(folder);
    const error = JSON.parse(start([script('write'), 'split', join(folder, 'parts')]).stdout);
    expect(error).toMatchObject({ name: 'RecvaeError', code: 'IO' });
    expect(error.message).toContain(folder);
    expect(readdirSync(folder)).toEqual(before);
  });

  test('what the command line writes', async () => {
    const inputs = temporaryFolder();
    const likes = writePlanted(inputs);
    const model = join(inputs, 'model.safetensors');
    await (await fit('ease', planted())).save(model);
    const histories = join(inputs, 'users.ndjson');
    writeFileSync(
      histories,
      Array.from({ length: 2000 }, (_, user) => `{"user":"u${user}","items":["i0-1"]}\n`).join(''),
    );
    const { folder, start } = full(['lists.ndjson', 'report.json', 'made-up.csv']);
    const before = readdirSync(folder);
    const at = (name: string) => join(folder, name);
    for (const [args, name] of [
      [['recommend', model, '--history', histories, '--out', at('lists.ndjson')], 'lists.ndjson'],
      [['compare', likes, '--models', 'ease', ...ALS, '--json', at('report.json')], 'report.json'],
      [['synth', '--scale', '0.01', '--out', at('made-up.csv')], 'made-up.csv'],
      [['compare', likes, '--models', 'ease', ...ALS, '--save', at('best')], 'best'],
      [['split', likes, '--out', at('parts')], ''],
    ] as const) {
      const { status, stderr } = start([CLI, ...args]);
      expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringMatching(/^recvae: /m) });
      expect(stderr.split('\n').find((line) => line.startsWith('recvae: '))).toContain(join(folder, name));
      expect(readdirSync(folder)).toEqual(before);
    }
    for (const name of ['lists.ndjson', 'report.json', 'made-up.csv']) expect(readFileSync(at(name), 'utf8')).toBe(OLD);
  });
});

test('a file system that is only read is found before the work', ({ skip }) => {
  const folder = temporaryFolder();
  const mount = (options: string) => spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).status === 0;
  if (!mount('ro,size=64k')) skip('mounting takes root');
  onTestFinished(() => void spawnSync('umount', [folder]));
  const path = join(folder, 'model.safetensors');
  for (const args of [
    ['train', 'ease', 'no-such-input.csv', '--out', path],
    ['recommend', 'no-such-model', '--out', join(folder, 'lists.ndjson')],
    ['compare', 'no-such-input.csv', '--save', join(folder, 'best')],
  ]) {
    const { status, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8' });
    expect({ status, stderr }).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`cannot write ${args.at(-1)}: `),
    });
  }
});

describe('a file that is not there, or not what it was', () => {
  test('it vanishes between the look at it and the reading', () => {
    const folder = temporaryFolder();
    const likes = writePlanted(folder);
    const args = ['--import', script('vanish'), CLI, 'train', 'ease', likes, '--out', join(folder, 'model')];
    const env = { ...process.env, VANISHES: likes };
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
    expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining(`cannot read ${likes}`) });
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a folder in its place', async () => {
    const folder = temporaryFolder();
    for (const name of ['a.csv', 'a.ndjson', 'model']) mkdirSync(join(folder, name));
    for (const name of ['a.csv', 'a.ndjson']) {
      // A folder stands for the files in it.
      const message = `${join(folder, name)}: there is no file in this folder`;
      expect(await failure('INVALID_DATA', () => Interactions.fromFile(join(folder, name)))).toBe(message);
    }
    expect(await failure('IO', () => load(join(folder, 'model')))).toContain(join(folder, 'model'));
    await (await split(planted())).write(join(folder, 'parts'));
    const train = join(folder, 'parts', 'train.csv');
    rmSync(train);
    expect(await failure('IO', () => Split.fromOfficial(join(folder, 'parts')))).toContain(train);
    mkdirSync(train);
    expect(await failure('IO', () => Split.fromOfficial(join(folder, 'parts')))).toContain(train);
  });
});

test('a process that is killed while it saves leaves the old file or the new one, whole', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'model.safetensors');
  let interrupted = 0;
  // Until one was killed in the middle of a save, which each of them is most likely to be.
  for (let round = 0; round < 12 || (interrupted === 0 && round < 100); round += 1) {
    const child = spawn(process.execPath, [script('save-forever'), path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => child.on('close', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await setTimeout(Math.random() * 100);
    child.kill('SIGKILL');
    await ended;
    const model = await load(path);
    expect(model.itemIds.length).toBe(1500);
    expect([1, 100]).toContain((model.options as { lambda: number }).lambda);
    // What cannot clean up leaves its unfinished file, under a name that nobody takes for a model.
    const left = readdirSync(folder).filter((name) => name !== 'model.safetensors');
    expect(left.filter((name) => !name.startsWith('.recvae-'))).toEqual([]);
    interrupted += left.length;
    for (const name of left) rmSync(join(folder, name));
  }
  expect(interrupted).toBeGreaterThan(0);
});

describe('ids out of range', () => {
  test('in an Arrow stream: an index beyond its dictionary', async () => {
    const data = Interactions.fromColumns({ users: ['u', 'v'], items: ['a', 'b'] });
    for (const index of [2, 99, 2 ** 31 - 1, -1]) {
      const bytes = Buffer.from(data.toArrow());
      // The end of the stream has 8 bytes, and before it lie the indices of the items of both rows.
      bytes.writeInt32LE(index, bytes.length - 12);
      const text = await failure('INVALID_DATA', () => Interactions.fromArrow(bytes));
      expect(text).toBe(`item in row 1 of the Arrow stream is number ${index} of a dictionary that has fewer entries`);
    }
  });

  test('in the official layout: an index beyond the lists of ids', async () => {
    const folder = join(temporaryFolder(), 'parts');
    await (await split(planted())).write(folder);
    const path = join(folder, 'train.csv');
    const whole = readFileSync(path, 'utf8');
    const line = whole.split('\n').length;
    for (const [row, text] of [
      ['0,999', /: sid is '999'; allowed: 0 to below 40/],
      ['999999,0', /: uid is '999999'; allowed: 0 to below/],
      ['0,4294967296', /: sid is '4294967296'; allowed/],
      ['0,-1', /: sid is '-1'; allowed/],
      ['18446744073709551616,0', /: uid is '18446744073709551616'; allowed/],
    ] as const) {
      writeFileSync(path, `${whole}${row}\n`);
      const message = await failure('INVALID_DATA', () => Split.fromOfficial(folder));
      expect(message).toMatch(text);
      expect(message).toContain(`${path}:${line}`);
    }
  });
});
