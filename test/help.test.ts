/** Help, completion, messages and their styles: what the command line says of itself is true. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EXAMPLES } from '../dist/cli/examples.js';
import { ofCommander } from '../dist/cli/flags.js';
import { TimeLeft } from '../dist/cli/progress.js';
import { CLI, recvae } from './command.js';
import { temporaryFolder, writePlanted } from './planted.js';

/** The commands that the help names. */
async function commands(): Promise<string[]> {
  const { stdout } = await recvae(temporaryFolder(), ['--help']);
  return [...stdout.split('Commands:')[1]!.matchAll(/^ {2}([a-z]+) /gm)]
    .map(([, name]) => name!)
    .filter((name) => name !== 'help');
}

/** The help of a command in one line. */
async function helpOf(command: string): Promise<string> {
  const { code, stdout } = await recvae(temporaryFolder(), [command, '--help']);
  expect(code).toBe(0);
  return stdout.replace(/\s+/g, ' ');
}

describe('help', () => {
  test('of every command has examples, names flags and no options, and has the common flags', async () => {
    const names = await commands();
    expect(names.sort()).toEqual(Object.keys(EXAMPLES).sort());
    for (const name of names) {
      const text = await helpOf(name);
      const examples = EXAMPLES[name]!;
      expect(examples.length).toBeGreaterThan(0);
      for (const [line] of examples) expect(text).toContain(line.replace(/\s+/g, ' '));
      expect(text).toContain('--quiet');
      expect(text).toContain('--log <format>');
      expect(text, name).not.toMatch(/\b(?:minValue|minUser|minItem|minUserItems|shortUsers|heldOut)\b/);
      if (text.includes('--seed <'))
        expect(text).toMatch(/--seed <number> [^(]*\(default: (?:0|the training's, else 0)\)/);
    }
  });

  test('says the defaults that hold where a model has a recipe of its own', async () => {
    for (const name of ['evaluate', 'compact']) {
      const text = await helpOf(name);
      expect(text).toContain(`(default: the training's, else "user")`);
      expect(text).toContain("(default: the training's, else 0.2)");
    }
    expect(await helpOf('train')).toContain('(default: "user")');
  });

  test('has examples that run', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    writeFileSync(join(folder, 'histories.ndjson'), '{"user":"u","items":["i0-0"]}\n');
    // The examples with the ids of this model, on less, for as long as a test may take.
    const less: Record<string, string> = {
      'likes.csv --set lambda=200': 'likes.csv --set lambda=20',
      '--epochs 20 --out': '--epochs 1 --set hiddenDim=8 --set latentDim=4 --out',
      'ease.safetensors a -k': 'ease.safetensors i0-0 -k',
      '--history a,b --item c': '--history i0-0,i0-1 --item i0-2',
      'counts shard likes.csv --shard 0/4': 'counts shard likes.csv --shard 0/1',
      ' part-1 part-2 part-3': '',
    };
    const order = [
      'train',
      'counts',
      'spark',
      'evaluate',
      'recommend',
      'similar',
      'explain',
      'compact',
      'inspect',
      'export',
      'import',
      'split',
      'synth',
      'models',
      'info',
    ];
    for (const name of order) {
      for (const [line] of EXAMPLES[name]!) {
        let text = line;
        for (const [from, to] of Object.entries(less)) text = text.replace(from, to);
        const [program, ...args] = text.split(' ');
        expect(program).toBe('recvae');
        const { code, stderr } = await recvae(folder, args);
        expect(code, `${text}: ${stderr}`).toBe(0);
      }
    }
    expect(existsSync(join(folder, 'lists.csv.gz'))).toBe(true);
    // Of the others the words are right: they fail for the input alone.
    for (const name of ['advise', 'compare', 'tune', 'ablate', 'report']) {
      for (const [line] of EXAMPLES[name]!) {
        const args = line
          .split(' ')
          .slice(1)
          .map((word) => (['likes.csv', 'debian', 'best/comparison.json'].includes(word) ? 'none.csv' : word));
        const { code, stderr } = await recvae(temporaryFolder(), args);
        expect([code, stderr], line).toEqual([1, expect.stringContaining('none.csv')]);
      }
    }
  });
});

describe('messages', () => {
  test('have one style, whoever finds what is wrong', async () => {
    const folder = temporaryFolder();
    const cases: [string[], RegExp][] = [
      [['nope'], /^recvae: unknown command 'nope'; --help shows what is allowed\n$/],
      [['train', 'ease', '--out', 'o'], /^recvae: <input> is missing; --help/],
      [['train', 'ease', 'likes.csv'], /^recvae: --out is missing; --help/],
      [['models', '--jsn'], /^recvae: unknown option '--jsn'.*; --help/],
      [['models', 'nope'], /^recvae: <model> is 'nope'; allowed: popularity, ease/],
      [['models', '--json'], /^recvae: --json has no value; --help/],
      [
        ['train', 'ease', 'likes.csv', '--out', 'o', '--threads', 'x'],
        /^recvae: --threads is 'x'; allowed: a number; --help/,
      ],
      [['train', 'ease', 'likes.csv', '--out', 'o', '--threads', '0'], /^recvae: --threads is 0; allowed: /],
      [['completion', 'tcsh'], /^recvae: <shell> is 'tcsh'; allowed: bash, zsh, fish; --help/],
      [['models', '--log', 'xml'], /^recvae: --log is 'xml'; allowed: text, json; --help/],
      [
        ['train', 'ease', 'likes.csv', '--out', 'o', '--epochs', '3'],
        /^recvae: --epochs has no meaning for ease, which has no epochs\n$/,
      ],
      [
        ['train', 'als', 'likes.csv', '--out', 'o', '--epochs', '3', '--set', 'epochs=4'],
        /^recvae: --epochs is 3 and --set epochs is 4; allowed: one of them\n$/,
      ],
      [['train', 'als', 'likes.csv', '--out', 'o', '--epochs', '0'], /^recvae: --epochs is 0; allowed: /],
      [['train', 'ease', '-', '--out', 'o'], /^recvae: <input> is '-'; allowed: standard input only with --format/],
    ];
    for (const [args, text] of cases) {
      const { code, stdout, stderr } = await recvae(folder, args);
      expect([args, code, stdout]).toEqual([args, 2, '']);
      expect(stderr).toMatch(text);
      const logged = await recvae(folder, [
        ...args.filter((word) => word !== 'xml' && word !== '--log'),
        '--log',
        'json',
      ]);
      for (const line of logged.stderr.trim().split('\n').filter(Boolean)) expect(() => JSON.parse(line)).not.toThrow();
    }
    expect(ofCommander("error: option '-k <count>' argument 'two\nlines' is invalid. It must be a number.\n")).toBe(
      "-k is 'two\nlines'; allowed: a number",
    );
  });

  test('--epochs is --set epochs, and --quiet leaves results and warnings', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const train = (...more: string[]) =>
      recvae(folder, ['train', 'als', 'likes.csv', '--set', 'factors=2', ...more, '--out', 'm.st']);
    const loud = await train('--epochs', '2', '--json', '-');
    const { options, epochs } = JSON.parse(loud.stdout);
    expect([options.epochs, epochs.length]).toEqual([2, 2]);
    expect(loud.stderr).toContain('als trained in');
    expect((await train('--epochs', '1', '--quiet')).stderr).toBe('');
    const warned = await recvae(folder, ['train', 'ease', 'likes.csv', '--value', 'item', '--out', 'm.st', '--quiet']);
    expect(warned.stderr).toMatch(
      /^warning: --value item changes nothing [^\n]*\nrecvae: --value is 'item'; allowed: /,
    );
  });

  test('--json is tried before any work, by every command that has it', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    mkdirSync(join(folder, 'folder'));
    expect((await recvae(folder, ['train', 'ease', 'likes.csv', '--out', 'm.st'])).code).toBe(0);
    // Inputs that are not there would be found by the work.
    const runs: [string, string[]][] = [
      ['advise', ['none.csv']],
      ['compare', ['none.csv']],
      ['tune', ['ease', 'none.csv']],
      ['ablate', ['none.csv', '--set', 'gamma=0.1']],
      ['train', ['ease', 'none.csv', '--out', 'n.st']],
      ['evaluate', ['none.st', 'none.csv']],
      ['similar', ['none.st', 'a']],
      ['explain', ['none.st', '--history', 'a', '--item', 'b']],
      ['compact', ['none.st', 's.st', '--top-per-item', '1']],
      ['inspect', ['none.st']],
      ['split', ['none.csv', '--out', 'split']],
      ['synth', ['--scale', '0.01', '--out', 's.csv']],
      ['models', []],
      ['info', []],
      ['datasets', []],
    ];
    const withJson: string[] = [];
    for (const name of await commands()) if ((await helpOf(name)).includes('--json <file>')) withJson.push(name);
    expect(withJson.sort()).toEqual(runs.map(([name]) => name).sort());
    for (const [name, args] of runs) {
      const { code, stdout, stderr } = await recvae(folder, [name, ...args, '--json', 'folder']);
      expect([name, code, stdout, stderr]).toEqual([
        name,
        1,
        '',
        expect.stringMatching(/^recvae: cannot write folder: /),
      ]);
    }
    expect(existsSync(join(folder, 's.csv'))).toBe(false);
  });
});

describe('completion', () => {
  test('of bash completes commands, flags, models and words', async () => {
    const folder = temporaryFolder();
    const { code, stdout: script } = await recvae(folder, ['completion', 'bash']);
    expect(code).toBe(0);
    writeFileSync(join(folder, 'script'), script);
    // Names of files complete, too: here are none.
    mkdirSync(join(folder, 'empty'));
    const complete = (...words: string[]) => {
      const line = `source ../script; COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _recvae; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { status, stdout, stderr } = spawnSync('bash', ['-c', line], {
        cwd: join(folder, 'empty'),
        encoding: 'utf8',
      });
      expect([status, stderr]).toEqual([0, '']);
      return stdout.split('\n').filter(Boolean).sort();
    };
    expect(complete('recvae', 'com')).toEqual(['compact', 'compare', 'completion']);
    expect(complete('recvae', 'train', 'mult')).toEqual(['mult-dae', 'mult-vae']);
    expect(complete('recvae', 'models', 're')).toEqual(['recvae']);
    expect(complete('recvae', 'advise', 'deb')).toEqual(['debian']);
    expect(complete('recvae', 'train', 'ease', '--min-u')).toEqual(['--min-user', '--min-user-items']);
    expect(complete('recvae', 'train', 'ease', 'x.csv', '--format', 'mov')).toEqual([
      'movielens-100k',
      'movielens-1m',
      'movielens-20m',
    ]);
    expect(complete('recvae', 'serve', '--log', 'j')).toEqual(['json']);
    expect(complete('recvae', 'completion', '')).toEqual(['bash', 'fish', 'zsh']);
    // A flag completes only where its command has it.
    expect(complete('recvae', 'similar', '--api')).toEqual([]);
    for (const name of await commands()) expect(complete('recvae', name)).toContain(name);
  });

  test.each(['zsh', 'fish'])(
    'of %s names every command and every flag, and is understood where there is one',
    async (shell) => {
      const { code, stdout } = await recvae(temporaryFolder(), ['completion', shell]);
      expect(code).toBe(0);
      for (const name of await commands()) expect(stdout).toContain(name);
      for (const flag of ['min-user-items', 'api-key-file', 'quiet', 'log']) expect(stdout).toContain(flag);
      const { error, status, stderr } = spawnSync(shell, ['-n'], { input: stdout, encoding: 'utf8' });
      if (error === undefined) expect([status, stderr]).toEqual([0, '']);
    },
  );
});

describe('the time left', () => {
  test('is that of what was measured, and unknown before', () => {
    const left = new TimeLeft();
    expect(left.tell(0, 1000)).toBe('–');
    expect(left.tell(0, 5000)).toBe('–');
    // A hundredth in 10 s: 990 s for the rest.
    expect(left.tell(0.01, 11_000)).toBe('17 min');
    expect(left.tell(0.5, 11_000)).toBe('10 s');
    expect(left.tell(1, 12_000)).toBe('0 s');
    // After a resumption at half, the first half took no time here.
    const resumed = new TimeLeft();
    expect(resumed.tell(0.5, 0)).toBe('–');
    expect(resumed.tell(0.75, 30_000)).toBe('30 s');
  });

  const script = spawnSync('script', ['--version']).error === undefined;
  test.skipIf(!script || process.platform !== 'linux')(
    'a bar is there from the first step of the first epoch on',
    () => {
      const folder = temporaryFolder();
      writePlanted(folder);
      // One epoch of many small steps: without the steps nothing would be known before its end.
      const command = `'${process.execPath}' '${CLI}' train recvae likes.csv --epochs 1 --set batchSize=1 --set gamma=0.01 --out m.st`;
      const { status, stdout } = spawnSync('script', ['-qec', command, '/dev/null'], { cwd: folder, encoding: 'utf8' });
      expect(status, stdout).toBe(0);
      expect(stdout).toMatch(/recvae \[-+\] 0 % \| – left/);
      expect(stdout).toMatch(/recvae \[=+-*\] epoch 1\/1 \| \d+ (?:s|min) left/);
      const quiet = spawnSync('script', ['-qec', `${command} --quiet`, '/dev/null'], { cwd: folder, encoding: 'utf8' });
      expect([quiet.status, quiet.stdout]).toEqual([0, '']);
    },
  );
});
