/** Inputs and outputs: none replaces another one, an output appears whole by one rule, and nothing is left behind. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { fileIn, filesBehind, refuseSame } from '../dist/cli/distinct.js';
import {
  EaseCounts,
  fit,
  Interactions,
  inspect,
  load,
  type Model,
  readHistories,
  Split,
  split,
  writeRecommendations,
  writeSynth,
} from '../dist/index.js';
import { withPeakMemory } from '../dist/runtime/peak-memory.js';
import { Journal } from '../dist/search/journal.js';
import { CLI, type Outcome, recvae } from './command.js';
import { planted, temporaryFolder, writePlanted } from './planted.js';

const DIST = new URL('../dist/', import.meta.url).href;
const UNIX = process.platform !== 'win32';

let model: Model;
let counts: EaseCounts;
beforeAll(async () => {
  model = await fit('ease', planted(), { lambda: 10 });
  counts = await EaseCounts.count(planted());
});

/** A folder with an input of every kind. */
async function inputs(): Promise<string> {
  const folder = temporaryFolder();
  writePlanted(folder);
  await model.save(join(folder, 'm.st'));
  await counts.save(join(folder, 'c'));
  await (await split(planted(), { seed: 1 })).write(join(folder, 'parts'));
  writeFileSync(join(folder, 'h.ndjson'), '{"user":"u","items":["i2-0"]}\n');
  writeFileSync(join(folder, 'ids'), 'i2-1\ni2-2\n');
  return folder;
}

/** All files below a folder with what they hold. */
function contents(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory());
  const paths = names.map((entry) => join(entry.parentPath, entry.name));
  return new Map(paths.map((path) => [path, readFileSync(path, 'latin1')]));
}

const hidden = (folder: string) => readdirSync(folder).filter((name) => name.startsWith('.'));

describe('an output that is an input or another output', () => {
  const refusals: [command: string, text: string][] = [
    ['train ease likes.csv --out ./likes.csv', "--out is './likes.csv', as is <input>"],
    ...['train ease', 'evaluate m.st', 'split', 'compare', 'tune ease', 'ablate', 'advise'].flatMap((command) =>
      ['--test-file', '--validation-file'].map((flag): [string, string] => [
        `${command} parts ${flag} h.ndjson --json h.ndjson${/train|split/.test(command) ? ' --out new' : ''}`,
        `--json is 'h.ndjson', as is ${flag}`,
      ]),
    ),
    ['train ease likes.csv --out soft.csv', "--out is 'soft.csv', the same file as <input>, 'likes.csv'"],
    ['train ease likes.csv --out hard.csv', "--out is 'hard.csv', the same file as <input>, 'likes.csv'"],
    ['train ease likes.csv --out new --json likes.csv', "--json is 'likes.csv', as is <input>"],
    ['train ease likes.csv --out new --save-counts ./new', "--save-counts is './new', as is --out"],
    ['train ease likes.csv --out new --counts c --json c', "--json is 'c', as is --counts"],
    ['train recvae likes.csv --out new --checkpoint likes.csv', "--checkpoint is 'likes.csv', as is <input>"],
    ['train recvae likes.csv --out new --from m.st --json m.st', "--json is 'm.st', as is --from"],
    ['train ease parts --out parts/train.csv', "--out is 'parts/train.csv', as is <input>"],
    ['evaluate m.st likes.csv --json m.st', "--json is 'm.st', as is <model-file>"],
    ['evaluate m.st likes.csv --json likes.csv', "--json is 'likes.csv', as is <input>"],
    ['recommend m.st --history h.ndjson --out h.ndjson', "--out is 'h.ndjson', as is --history"],
    ['recommend m.st --out m.st', "--out is 'm.st', as is <model-file>"],
    ['recommend m.st --history h.ndjson --deny @ids --out ids', "--out is 'ids', as is --deny"],
    ['similar m.st i2-0 --json m.st', "--json is 'm.st', as is <model-file>"],
    ['explain m.st --history @ids --item i2-0 --json ids', "--json is 'ids', as is --history"],
    ['inspect m.st --json m.st', "--json is 'm.st', as is <model-file>"],
    ['compact m.st m.st', "<out> is 'm.st', as is <model-file>"],
    ['compact m.st new --held-out likes.csv --json likes.csv', "--json is 'likes.csv', as is --held-out"],
    ['split parts --out parts', "--out is 'parts', as is <input>"],
    ['split likes.csv --out new --json new', "--json is 'new', as is --out"],
    ['synth --out new.csv --json new.csv', "--json is 'new.csv', as is --out"],
    ['compare likes.csv --json likes.csv', "--json is 'likes.csv', as is <input>"],
    [
      'compare likes.csv --save new --json new/comparison.json',
      "--json is 'new/comparison.json', as is a file of --save",
    ],
    ['split likes.csv --out new --json new/train.csv', "--json is 'new/train.csv', as is a file of --out"],
    ['tune ease likes.csv --out likes.csv', "--out is 'likes.csv', as is <input>"],
    ['tune ease likes.csv --journal j --json j.lock', "the lock of --journal is 'j.lock', as is --json"],
    ['ablate likes.csv --journal likes.csv', "--journal is 'likes.csv', as is <input>"],
    ['advise likes.csv --json likes.csv', "--json is 'likes.csv', as is <input>"],
  ];

  test('is refused by every command before any work', async () => {
    const folder = await inputs();
    symlinkSync('likes.csv', join(folder, 'soft.csv'));
    linkSync(join(folder, 'likes.csv'), join(folder, 'hard.csv'));
    const before = contents(folder);
    for (let at = 0; at < refusals.length; at += 4) {
      const some = refusals.slice(at, at + 4).map(async ([command, text]) => {
        const { code, stdout, stderr } = await recvae(folder, command.split(' '));
        const expected = { command, code: 2, stdout: '', stderr: `recvae: ${text}; allowed: another file\n` };
        expect({ command, code, stdout, stderr }).toEqual(expected);
      });
      await Promise.all(some);
    }
    expect(contents(folder)).toEqual(before);
  });

  test.skipIf(!UNIX)('is found where stdin and stdout are files', async () => {
    const folder = await inputs();
    const run = (command: string) =>
      spawnSync('sh', ['-c', command], {
        cwd: folder,
        encoding: 'utf8',
        env: { ...process.env, NODE: process.execPath, CLI },
      });
    const recommend = '"$NODE" "$CLI" recommend m.st';
    const endless = run(`${recommend} --history h.ndjson >> h.ndjson`); // reads what it writes
    expect(endless).toMatchObject({
      status: 2,
      stderr: "recvae: --history is 'h.ndjson', as is stdout; allowed: another file\n",
    });
    const over = run(`${recommend} --out h.ndjson < h.ndjson`);
    expect(over).toMatchObject({
      status: 2,
      stderr: "recvae: --out is 'h.ndjson', as is --history; allowed: another file\n",
    });
    expect(readFileSync(join(folder, 'h.ndjson'), 'utf8')).toBe('{"user":"u","items":["i2-0"]}\n');
    expect(run(`${recommend} < h.ndjson > r.ndjson`)).toMatchObject({ status: 0, stderr: '' });
  });

  test('is told from another file', () => {
    const folder = temporaryFolder();
    const at = (name: string) => join(folder, name);
    mkdirSync(at('a/b'), { recursive: true });
    for (const name of ['a/1.parquet', 'a/2.parquet', 'a/b/3.parquet', 'a/x[1].csv']) writeFileSync(at(name), name);
    symlinkSync('a', at('link'));
    symlinkSync('a/not-there', at('dangling'));
    const refused = (input: string, output: string, more = {}) => {
      try {
        refuseSame({ inputs: { '<input>': filesBehind(input) }, outputs: { '--out': output, ...more } });
        return false;
      } catch (error) {
        expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
        return true;
      }
    };
    const cases: [input: string, output: string, same: boolean][] = [
      ['a/1.parquet', 'link/1.parquet', true],
      ['a/1.parquet', 'link/../a/b/../1.parquet', true],
      ['a/1.parquet', 'a/2.parquet', false],
      // What is not there yet is where it would be.
      ['a/none', 'link/none', true],
      ['a/none/x', 'link/none/x', true],
      ['a/not-there', 'dangling', true],
      ['a/none', 'a/b/none', false],
      // Patterns and folders stand for their files.
      ['a/*.parquet', 'a/2.parquet', true],
      ['link/?.parquet', 'a/2.parquet', true],
      ['a/[!1].parquet', 'a/2.parquet', true],
      ['a/[!1].parquet', 'a/1.parquet', false],
      ['a/*.parquet', 'a/b/3.parquet', false],
      ['a/**/*.parquet', 'a/b/3.parquet', true],
      ['**/*.parquet', 'a/b/3.parquet', true],
      ['a/x[1].csv', 'a/x[1].csv', true],
      ['a', 'a/1.parquet', true],
      // A folder that is no split is one of files of rows.
      ['a', 'a/x[1].csv', true],
      ['a', 'a/m.safetensors', false],
      ['a', 'a/train.csv', true],
      ['debian', 'debian', false],
    ];
    const cwd = process.cwd();
    process.chdir(folder);
    try {
      for (const [input, output, same] of cases)
        expect([input, output, refused(input, output)]).toEqual([input, output, same]);
    } finally {
      process.chdir(cwd);
    }
    expect(refused(at('a/1.parquet'), at('one'), { '--json': at('two') })).toBe(false);
    expect(refused(at('a/1.parquet'), at('one'), { '--json': at('./one') })).toBe(true);
    expect(refused(at('a/1.parquet'), at('link/one'), { '--json': at('a/one') })).toBe(true);
    expect([fileIn('@x'), fileIn('x'), fileIn(undefined)]).toEqual(['x', undefined, undefined]);
    // An update in place names one file twice on purpose.
    const files = { inputs: { '--from': at('m') }, outputs: { '--out': at('m') } };
    expect(() => refuseSame(files)).toThrow('as is --from');
    expect(() => refuseSame({ ...files, updates: [['--from', '--out']] })).not.toThrow();
  });
});

describe('--json is looked at before the work', () => {
  test('by every command', async () => {
    const folder = temporaryFolder();
    const commands = [
      'train ease no.csv --out o',
      'evaluate no.st no.csv',
      'similar no.st i',
      'explain no.st --history a --item b',
      'inspect no.st',
      'compact no.st o',
      'split no.csv --out o',
      'synth --out o.csv --scale 1',
      'compare no.csv',
      'tune ease no.csv',
      'ablate no.csv',
      'advise no.csv',
      'models',
      'info',
    ];
    for (let at = 0; at < commands.length; at += 4) {
      const some = commands.slice(at, at + 4).map(async (command) => {
        const { code, stdout, stderr } = await recvae(folder, [...command.split(' '), '--json', 'none/o']);
        const reason = 'cannot write none/o: No such file or directory (os error 2)';
        expect({ command, code, stdout, stderr }).toEqual({
          command,
          code: 1,
          stdout: '',
          stderr: `recvae: ${reason}\n`,
        });
      });
      await Promise.all(some);
    }
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe.skipIf(!UNIX)('a pipe', () => {
  const pipe = (folder: string, name: string): string => {
    const path = join(folder, name);
    execFileSync('mkfifo', [path]);
    return path;
  };

  test('is refused at once where a file is needed', async () => {
    const folder = temporaryFolder();
    const path = pipe(folder, 'pipe');
    const small = { hiddenDim: 4, latentDim: 2, epochs: 1 };
    const parts = join(folder, 'parts');
    await (await split(planted(), { seed: 1 })).write(parts);
    execFileSync('rm', [join(parts, 'train.csv')]);
    pipe(parts, 'train.csv');
    const calls: [name: string, call: () => unknown, path?: string][] = [
      ['load', () => load(path)],
      ['load without a map', () => load(path, { mmap: false })],
      ['inspect', () => inspect(path)],
      ['EaseCounts.load', () => EaseCounts.load(path)],
      ['a checkpoint', () => fit('recvae', planted(), small, { checkpoint: { path, resume: true } })],
      ['a journal', () => Journal.open(path, {})],
      ['a file of a split', () => Split.fromOfficial(parts), join(parts, 'train.csv')],
      ['a model that is saved', () => model.save(path)],
      [
        'recommendations',
        () => writeRecommendations(pipe(folder, 'p.ndjson'), (async function* () {})()),
        join(folder, 'p.ndjson'),
      ],
    ];
    for (const [name, call, where = path] of calls) {
      const error = await (async () => call())().then(
        () => undefined,
        (thrown) => thrown,
      );
      expect([name, error?.code]).toEqual([name, 'IO']);
      expect(error.message).toMatch(/^cannot (read|write) \S+: it is (there and is )?not a regular file$/);
      expect(error.message).toContain(where);
    }
    for (const args of [
      ['inspect', 'pipe'],
      ['recommend', 'pipe'],
      ['train', 'recvae', 'likes.csv', '--out', 'o', '--from', 'pipe'],
    ]) {
      const { code, stderr } = await recvae(folder, args);
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringContaining('cannot read pipe: it is not a regular file'),
      });
    }
  });

  test('that nobody writes into does not keep a command that was stopped', async () => {
    const folder = await inputs();
    expect((await recvae(folder, ['train', 'ease', 'likes.csv', '--out', 'model.st'])).code).toBe(0);
    pipe(folder, 'histories');
    // How long it takes until it waits for the pipe is the machine's business: while it starts, the signal just ends
    // it.
    for (let milliseconds = 1500; ; milliseconds *= 2) {
      const child = spawn(process.execPath, [CLI, 'recommend', 'model.st', '--history', 'histories'], { cwd: folder });
      const closed = once(child, 'close');
      await setTimeout(milliseconds);
      child.kill('SIGINT');
      const [code, signal] = await closed;
      if (signal === 'SIGINT' && milliseconds < 60_000) continue;
      expect([code, signal]).toEqual([130, null]);
      break;
    }
  });

  test('is read where rows come in one after the other', async () => {
    const folder = await inputs();
    const train = ['train', 'ease', 'likes.csv', '--set', 'lambda=10', '--out', 'whole.st'];
    expect((await recvae(folder, train)).code).toBe(0);
    const same = (name: string) =>
      expect(readFileSync(join(folder, name)).subarray(-1000)).toEqual(
        readFileSync(join(folder, 'whole.st')).subarray(-1000),
      );
    const env = { ...process.env, NODE: process.execPath, CLI };
    const shell = (program: string, command: string) =>
      spawnSync(program, ['-c', command], { cwd: folder, encoding: 'utf8', env });
    const stdin = '"$NODE" "$CLI" train ease /dev/stdin --format csv --set lambda=10 --out stdin.st';
    for (const command of [`cat likes.csv | ${stdin}`, `${stdin} < likes.csv`]) {
      const { status, stderr } = shell('sh', command);
      expect(status, stderr).toBe(0);
      same('stdin.st');
    }
    pipe(folder, 'pipe.csv');
    const running = recvae(folder, ['train', 'ease', 'pipe.csv', '--set', 'lambda=10', '--out', 'pipe.st']);
    const written = once(spawn('sh', ['-c', 'cat likes.csv > pipe.csv'], { cwd: folder }), 'close');
    expect((await running).code).toBe(0);
    await written;
    same('pipe.st');
    const bash = (command: string) => shell('bash', command);
    if (bash('true').status === 0) {
      const substituted = bash('"$NODE" "$CLI" train ease <(cat likes.csv) --format csv --set lambda=10 --out bash.st');
      expect(substituted.status, substituted.stderr).toBe(0);
      same('bash.st');
      const lists = bash('"$NODE" "$CLI" recommend m.st --allow @<(cat ids) --history <(cat h.ndjson)');
      expect(JSON.parse(lists.stdout).items.sort()).toEqual(['i2-1', 'i2-2']);
    }
  });
});

describe.skipIf(!existsSync('/dev/full'))('a full disk behind stdout', () => {
  test('is told by every command', async () => {
    const folder = await inputs();
    const commands = [
      'inspect m.st',
      'inspect m.st --json -',
      'models',
      'info',
      'similar m.st i2-0',
      'explain m.st --history i2-0 --item i2-1',
      'evaluate m.st likes.csv',
      'recommend m.st --history h.ndjson',
      'compact m.st small.st',
      'train ease likes.csv --out new.st --json -',
      'split likes.csv --out new --json -',
      'compare likes.csv --models ease --validation 0',
      '--version',
      '--help',
      'train --help',
    ];
    const run = (command: string) =>
      new Promise<Pick<Outcome, 'code' | 'stderr'>>((resolve) => {
        const child = spawn('sh', ['-c', `exec "$0" "$@" > /dev/full`, process.execPath, CLI, ...command.split(' ')], {
          cwd: folder,
        });
        let stderr = '';
        child.stderr.on('data', (chunk) => {
          stderr += chunk;
        });
        child.on('close', (code) => resolve({ code, stderr }));
      });
    for (let at = 0; at < commands.length; at += 4) {
      const some = commands.slice(at, at + 4).map(async (command) => {
        const { code, stderr } = await run(command);
        expect([command, code]).toEqual([command, 1]);
        expect(stderr.split('\n').filter((line) => line.startsWith('recvae: '))).toEqual([
          'recvae: cannot write to stdout: ENOSPC: no space left on device, write',
        ]);
        expect(stderr).not.toContain('    at ');
      });
      await Promise.all(some);
    }
  });

  test('that has room for a part is full all the same', ({ skip }) => {
    const folder = temporaryFolder();
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', folder]).status !== 0)
      skip('mounting takes root');
    onTestFinished(() => void spawnSync('umount', [folder]));
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', `exec "$0" "$1" models --json - > ${folder}/models.json`, process.execPath, CLI],
      { encoding: 'utf8' },
    );
    expect(statSync(join(folder, 'models.json')).size).toBeGreaterThan(0);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringMatching(/^recvae: cannot write to stdout: ENOSPC/),
    });
  });
});

describe('the end of a process that saves', () => {
  /** Waits until a file of a name is being written, or is there. */
  async function written(folder: string, name: string): Promise<void> {
    const isLarge = (file: string) => (statSync(join(folder, file), { throwIfNoEntry: false })?.size ?? 0) > 1 << 16;
    const is = (file: string) => file === name || (file.startsWith(`.recvae-${name}`) && isLarge(file));
    while (!readdirSync(folder).some(is)) await setTimeout(1);
  }

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s leaves nothing', async (signal) => {
    const folder = temporaryFolder();
    await writeSynth(join(folder, 'likes.csv'), { scale: 0.01 });
    const flags = ['hiddenDim=600', 'latentDim=2', 'epochs=1', 'batchSize=1500'].flatMap((set) => ['--set', set]);
    const args = ['train', 'mult-vae', 'likes.csv', '--validation', '0', '--test', '0', ...flags, '--out', 'm.st'];
    for (let attempt = 1; ; attempt += 1) {
      const child = spawn(process.execPath, [CLI, ...args], { cwd: folder });
      let stderr = '';
      child.stderr.on('data', (chunk) => {
        stderr += chunk;
      });
      const closed = once(child, 'close');
      await written(folder, 'm.st');
      child.kill(signal);
      const [code] = await closed;
      // The model may be there before the signal is.
      if (existsSync(join(folder, 'm.st')) && attempt < 20) {
        rmSync(join(folder, 'm.st'));
        continue;
      }
      expect(code).toBe({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }[signal]);
      expect(stderr).toMatch(new RegExp(`^recvae: stopped by ${signal}$`, 'm'));
      expect(readdirSync(folder)).toEqual(['likes.csv']);
      break;
    }
  });

  test('process.exit and an error that nobody catches leave nothing', async () => {
    for (const end of ['process.exit(7)', 'throw new Error("nobody catches it")']) {
      const folder = temporaryFolder();
      const script = `
        import { readdirSync } from 'node:fs';
        import { fit, Interactions } from '${DIST}index.js';
        const users = Array.from({ length: 30_000 }, (_, row) => 'u' + row % 200);
        const items = users.map((_, row) => 'i' + (row * 7919) % 1500);
        const model = await fit('ease', Interactions.fromColumns({ users, items }), { lambda: 1 });
        // A save may be over before anybody looks.
        let isSaving = false;
        while (!readdirSync('.').some((name) => name.startsWith('.recvae-'))) {
          if (!isSaving) model.save('model').then(() => { isSaving = false; });
          isSaving = true;
          await new Promise(setImmediate);
        }
        console.log('saving');
        ${end};`;
      const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
        cwd: folder,
        encoding: 'utf8',
        timeout: 300_000,
      });
      expect(child.stdout).toBe('saving\n');
      expect(child.status).not.toBe(0);
      expect(hidden(folder)).toEqual([]);
    }
  });
});

describe.skipIf(!UNIX)('a link at the place of an output', () => {
  test('is followed and stays, and the file keeps its permissions', async () => {
    const folder = await inputs();
    const at = (name: string) => join(folder, name);
    mkdirSync(at('elsewhere'));
    mkdirSync(at('saved'));
    mkdirSync(at('elsewhere/folder'));
    symlinkSync('elsewhere/folder', at('folder'));
    const link = (name: string) => {
      const target = at(`elsewhere/${name.replace('/', '-')}`);
      writeFileSync(target, 'old');
      chmodSync(target, 0o640);
      symlinkSync(target, at(name));
    };
    const jobs: [command: string, ...links: string[]][] = [
      ['train ease likes.csv --out t.st --json t.json --save-counts t.c', 't.st', 't.json', 't.c'],
      ['tune ease likes.csv --over lambda=1,10 --out u.st --json u.json', 'u.st', 'u.json'],
      [
        'compare likes.csv --models ease --save saved --json v.json',
        'v.json',
        'saved/comparison.json',
        'saved/ease.safetensors',
      ],
      ['recommend m.st --history h.ndjson --out r.ndjson', 'r.ndjson'],
      ['recommend m.st --history h.ndjson --out r.parquet', 'r.parquet'],
      ['compact m.st small.st --json w.json', 'small.st', 'w.json'],
      ['synth --scale 0.01 --out s.csv --json x.json', 's.csv', 'x.json'],
      ['similar m.st i2-0 --json y.json', 'y.json'],
    ];
    for (const [command, ...links] of jobs) {
      links.forEach(link);
      const { code, stderr } = await recvae(folder, command.split(' '));
      expect({ command, code }, stderr).toEqual({ command, code: 0 });
      for (const name of links) {
        expect([name, lstatSync(at(name)).isSymbolicLink()]).toEqual([name, true]);
        expect(readFileSync(at(name), 'utf8')).not.toBe('old');
        expect([name, statSync(at(name)).mode & 0o777]).toEqual([name, 0o640]);
      }
    }
    expect((await recvae(folder, ['split', 'likes.csv', '--out', 'folder'])).code).toBe(0);
    expect(lstatSync(at('folder')).isSymbolicLink()).toBe(true);
    expect(readdirSync(at('elsewhere/folder'))).toContain('train.csv');
    expect([folder, at('saved'), at('elsewhere')].flatMap(hidden)).toEqual([]);
    // One that leads nowhere is not replaced, nor taken for a name.
    symlinkSync('none/file', at('lost'));
    const { code, stderr } = await recvae(folder, ['models', '--json', 'lost']);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'recvae: cannot write lost: it is a link to what is not there\n',
    });
  });
});

describe('messages', () => {
  test('name the output and no temporary file', async () => {
    const folder = temporaryFolder();
    const users = Array.from({ length: 60 }, (_, n) => `u${n % 10}`);
    const lines = Interactions.fromColumns({ users, items: users.map((_, n) => `i\n${Math.floor(n / 10)}`) });
    const parts = await split(lines, { validation: 1, test: 1 });
    await expect(parts.write(join(folder, 'parts'))).rejects.toThrow(
      /^id "i\\n\d" does not fit into a line of unique_sid\.txt; allowed: ids without line breaks, and none/,
    );
    expect(readdirSync(folder)).toEqual([]);
    for (const call of [
      () => model.save(join(folder, 'no/m')),
      () => writeRecommendations('/proc/none.parquet', (async function* () {})()),
    ]) {
      await expect((async () => call())()).rejects.toThrow(/^cannot write (\S*\/no\/m|\/proc\/none\.parquet): [^:]*$/);
    }
  });
});

test.skipIf(!UNIX)('DuckDB names the folder that it cannot spill to, and not what it would make there', () => {
  const folder = temporaryFolder();
  const script = `
    import { Interactions } from '${DIST}index.js';
    const sql = 'SELECT range AS user, range % 100 AS item FROM range(3000000) ORDER BY hash(range)';
    await Interactions.fromDuckDB({ sql, settings: { memory_limit: '30MB', threads: '2' } }).catch(({ code, message }) => console.log(code, message));`;
  const env = { ...process.env, TMPDIR: join(folder, 'none') };
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', env });
  expect(stdout).toMatch(/^IO DuckDB: /);
  expect(stdout).toContain(`"${folder}/none"`);
  expect(stdout).not.toContain('recvae-duckdb-');
});

describe('the lock of a journal', () => {
  test('excludes another worker of the same process, and ends with the worker', async () => {
    const path = join(temporaryFolder(), 'job.journal');
    const script = `
      const { parentPort } = require('node:worker_threads');
      import('${DIST}search/journal.js').then(({ Journal }) => {
        try {
          const journal = Journal.open(${JSON.stringify(path)}, { command: 'test' });
          parentPort.postMessage('open');
          parentPort.once('message', () => { journal.add('a', 1); process.exit(); });
        } catch (error) {
          parentPort.postMessage(error.message);
        }
      });`;
    const start = async () => {
      const worker = new Worker(script, { eval: true });
      const [told] = await once(worker, 'message');
      return { worker, told };
    };
    const both = await Promise.all([start(), start()]);
    const refused = `journal is '${path}', which process ${process.pid} uses (${path}.lock); allowed: one that nobody else uses`;
    expect(both.map(({ told }) => told).sort()).toEqual([refused, 'open']);
    expect(() => Journal.open(path, { command: 'test' })).toThrow(refused);
    const { worker } = both.find(({ told }) => told === 'open')!;
    const ended = once(worker, 'exit');
    worker.postMessage('end'); // it ends without closing its journal
    await ended;
    using journal = Journal.open(path, { command: 'test' });
    expect(journal.done.get('a')).toBe(1);
  });

  test('counts by the file, not by its name or by what its lock says', () => {
    const folder = temporaryFolder();
    const path = join(folder, 'job.journal');
    symlinkSync('job.journal', join(folder, 'link'));
    writeFileSync(`${path}.lock`, ''); // of a process that was killed before it wrote
    {
      using _ = Journal.open(join(folder, 'link'), { command: 'test' });
      writeFileSync(`${path}.lock`, ''); // nor is a lock free that is not written yet
      expect(() => Journal.open(path, { command: 'test' })).toThrow('which another process uses');
    }
    writeFileSync(`${path}.lock`, '1\n'); // a process that lives and never had it
    using _ = Journal.open(path, { command: 'test' });
    expect(readFileSync(`${path}.lock`, 'utf8')).toBe(`${process.pid}\n`);
  });
});

describe.skipIf(process.platform !== 'linux')('the peak of memory', () => {
  const peakOf = (body: string) => {
    const script = `import { withPeakMemory } from '${DIST}runtime/peak-memory.js';
      const MIB = 2 ** 20;
      const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      // Beyond what malloc keeps: given back when it is freed.
      const fill = (mib) => { new Uint8Array(mib * MIB).fill(1); };
      const given = async (bytes) => { while (process.memoryUsage.rss() > bytes) { gc(); await sleep(5); } };
      ${body}`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    return JSON.parse(stdout);
  };

  test('of two measurements at once is that of each', () => {
    const [before, first, second] = peakOf(`
      const before = process.memoryUsage.rss();
      let second;
      const first = await withPeakMemory(async () => {
        fill(300);
        await given(before + 100 * MIB);
        second = await withPeakMemory(() => sleep(10)); // it must not set back what the first one has seen
      });
      console.log(JSON.stringify([before, first.peakMemory, second.peakMemory].map((bytes) => bytes / MIB)));`);
    expect(first).toBeGreaterThan(before + 200);
    expect(second).toBeLessThan(before + 150);
  });

  test('is not set back for others', () => {
    const marks = peakOf(`
      import { readFileSync } from 'node:fs';
      const mark = () => Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
      const small = process.memoryUsage.rss();
      fill(200);
      const before = mark();
      await given(small + 100 * MIB);
      await withPeakMemory(() => sleep(10));
      console.log(JSON.stringify([before, mark()]));`);
    // In kB. The kernel's counts are no exact ones, by some MB on a machine of many cores; set back, 100 MB would be
    // gone.
    expect(marks[1]).toBeGreaterThan(marks[0] - 50_000);
  });

  test('is never less than what is there', async () => {
    const { peakMemory } = await withPeakMemory(async () => {});
    expect(peakMemory).toBeGreaterThan(2 ** 20);
  });
});

test.skipIf(!UNIX)('DuckDB is given no pipe', async () => {
  const folder = temporaryFolder();
  for (const name of ['h.parquet', 'h.csv', 'h.ndjson']) {
    const source = join(folder, name);
    execFileSync('mkfifo', [source]);
    const refused = `cannot read ${source}: it is not a regular file`;
    await expect(readHistories({ source }).next()).rejects.toThrow(refused);
    await expect(Interactions.fromDuckDB({ source })).rejects.toThrow(refused);
  }
  const database = join(folder, 'h.duckdb');
  execFileSync('mkfifo', [database]);
  await expect(Interactions.fromDuckDB({ database, sql: 'SELECT 1' })).rejects.toThrow(
    `cannot read ${database}: it is not a regular file`,
  );
});
