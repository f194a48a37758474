/** What commands write as JSON, against the schemas in docs/schemas. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { recvae } from './command.js';
import { temporaryFolder, writePlanted } from './planted.js';

const FOLDER = fileURLToPath(new URL('../docs/schemas', import.meta.url));
const schemas = readdirSync(FOLDER).sort();

function validator(name: string) {
  const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true });
  return ajv.compile(JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8')));
}

function holds(name: string, value: unknown): void {
  const validate = validator(name);
  const isValid = validate(value);
  expect(isValid, `${name}: ${JSON.stringify(validate.errors)}`).toBe(true);
}

/** The commands that write JSON, in an order in which each finds what it needs; several ways where the JSON differs. */
const SMALL = ['--set', 'hiddenDim=8', '--set', 'latentDim=4'];
const RUNS: [name: string, args: string[]][] = [
  ['train', ['ease', 'likes.csv', '--set', 'lambda=20', '--out', 'm.st']],
  ['train', ['recvae', 'likes.csv', '--epochs', '1', ...SMALL, '--out', 'n.st']],
  ['train', ['als', 'likes.csv', '--epochs', '1', '--set', 'factors=2', '--min-user', '6', '--out', 'a.st']],
  ['evaluate', ['m.st', 'likes.csv']],
  ['evaluate', ['n.st', 'likes.csv', '--on', 'validation', '--metrics', 'ndcg@5', '--seed', '9']],
  ['evaluate', ['m.st', 'likes.csv', '--groups', '--metrics', 'auc,novelty@5,gini@5']],
  ['similar', ['m.st', 'i0-0']],
  ['explain', ['m.st', '--history', 'i0-0,x', '--item', 'i0-1']],
  ['compact', ['m.st', 's.st', '--top-per-item', '3', '--precision', 'f16', '--held-out', 'likes.csv']],
  ['compact', ['m.st', 't.st', '--precision', 'f16']],
  ['inspect', ['s.st']],
  ['split', ['likes.csv', '--out', 'split', '--min-user', '6']],
  ['synth', ['--scale', '0.01', '--out', 'made-up.csv']],
  ['models', []],
  ['models', ['recvae']],
  ['datasets', []],
  ['tune', ['ease', 'likes.csv', '--over', 'lambda=1,10']],
  [
    'tune',
    [
      'als',
      'likes.csv',
      '--search',
      'random',
      '--trials',
      '2',
      '--set',
      'epochs=2',
      '--set',
      'factors=4',
      '--test',
      '0',
    ],
  ],
  [
    'ablate',
    [
      'likes.csv',
      '--epochs',
      '1',
      '--seeds',
      '1',
      ...SMALL,
      '--set',
      'mult-vae.hiddenDim=8',
      '--set',
      'mult-vae.latentDim=4',
    ],
  ],
  ['compare', ['likes.csv', '--models', 'popularity,ease,als', '--no-search', '--epochs', '2']],
  [
    'compare',
    ['likes.csv', '--models', 'ease', '--no-search', '--epochs', '2', '--repeat', '2', '--metrics', 'auc,tail@5'],
  ],
  ['advise', ['likes.csv', '--models', 'ease', '--users', '50']],
];

describe('docs/schemas', () => {
  test('are schemas, and there is one for each command that writes JSON', async () => {
    const names = schemas.map((file) => file.replace(/\.json$/, ''));
    for (const name of names) expect(validator(name)).toBeTypeOf('function');
    expect(names).toEqual([...new Set(RUNS.map(([name]) => name)), 'recommend', 'log'].sort());
    const { stdout } = await recvae(temporaryFolder(), ['--help']);
    const commands = [...stdout.split('Commands:')[1]!.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name!);
    const without = ['recommend', 'serve', 'report', 'completion', 'help'];
    expect(commands.filter((name) => !without.includes(name)).sort()).toEqual(
      [...new Set(RUNS.map(([name]) => name))].sort(),
    );
  });

  test('hold of what the commands write, in the file and on stdout', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    for (const [name, args] of RUNS) {
      const { code, stderr } = await recvae(folder, [name, ...args, '--json', 'result.json', '--quiet']);
      expect(code, `${name}: ${stderr}`).toBe(0);
      const result = JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'));
      expect(Object.keys(result)[0]).toBe('version');
      holds(name, result);
      // A schema that anything holds of proves nothing.
      expect(validator(name)({ ...result, version: 2 })).toBe(false);
      const { version: _, ...rest } = result;
      expect(validator(name)(rest)).toBe(false);
    }
    const { stdout } = await recvae(folder, ['similar', 'm.st', 'i0-0', '--json', '-']);
    holds('similar', JSON.parse(stdout));
  });

  test('hold of lines of recommendations and of messages', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const train = [
      'train',
      'als',
      'likes.csv',
      '--epochs',
      '2',
      '--set',
      'factors=2',
      '--out',
      'm.st',
      '--log',
      'json',
    ];
    const { stderr } = await recvae(folder, train);
    const messages = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const message of messages) holds('log', message);
    const epochs = messages.filter(({ event }) => event === 'epoch');
    expect(epochs.at(-1)).toMatchObject({ level: 'info', model: 'als', epoch: 2, epochs: 2 });
    const failed = await recvae(folder, ['train', 'ease', 'none.csv', '--out', 'm.st', '--log=json', '--quiet']);
    const error = JSON.parse(failed.stderr);
    holds('log', error);
    expect(error).toMatchObject({ level: 'error', code: 'IO', message: expect.stringContaining('none.csv') });
    writeFileSync(join(folder, 'h.ndjson'), '{"user":"u","items":["i0-0","x"]}\n{"user":"v","items":[]}\n');
    const { stdout } = await recvae(folder, ['recommend', 'm.st', '--history', 'h.ndjson', '-k', '2']);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const line of lines) holds('recommend', line);
    expect(lines.map(({ fallbackUsed }) => fallbackUsed)).toEqual([undefined, true]);
  });
});
