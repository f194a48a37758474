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

function holds(name: string, value: unknown, what = ''): void {
  const validate = validator(name);
  const isValid = validate(value);
  expect.soft(isValid, `${name} ${what}: ${JSON.stringify(validate.errors)}`).toBe(true);
}

/** JSON Schema as far as docs/schemas uses it. */
interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
}

function schemaOf(name: string): Schema {
  return JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8'));
}

/** All schemas within a schema, each with its place; a reference is not followed. */
function* within(schema: Schema, place: string): Generator<[Schema, string]> {
  yield [schema, place];
  const { $defs, properties, additionalProperties, items, anyOf = [], oneOf = [] } = schema;
  for (const [name, one] of Object.entries($defs ?? {})) yield* within(one, `${place.split('#')[0]}#${name}`);
  for (const [name, one] of Object.entries(properties ?? {})) yield* within(one, `${place}.${name}`);
  if (typeof additionalProperties === 'object') yield* within(additionalProperties, `${place}.*`);
  if (items) yield* within(items, `${place}[]`);
  for (const one of [...anyOf, ...oneOf]) yield* within(one, place);
}

/** The places of the properties that a value has, each once. */
function note(root: Schema, schema: Schema, value: unknown, place: string, seen: Set<string>): void {
  const { $ref, properties = {}, additionalProperties, items, anyOf = [], oneOf = [] } = schema;
  if ($ref !== undefined) {
    const name = $ref.replace('#/$defs/', '');
    note(root, root.$defs![name]!, value, `${place.split('#')[0]!.split('.')[0]!.split('[')[0]}#${name}`, seen);
    return;
  }
  for (const one of [...anyOf, ...oneOf]) note(root, one, value, place, seen);
  if (Array.isArray(value)) {
    if (items) for (const element of value) note(root, items, element, `${place}[]`, seen);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [name, its] of Object.entries(value)) {
    if (properties[name]) {
      seen.add(`${place}.${name}`);
      note(root, properties[name], its, `${place}.${name}`, seen);
    } else if (typeof additionalProperties === 'object') note(root, additionalProperties, its, `${place}.*`, seen);
  }
}

/**
 * Objects that have the keys of somebody else: options are those of a model, and `info` is whatever was kept with it.
 */
const OPEN = /\.(?:options|info)$|^options$/;

/** Properties that it takes luck or a large machine to see: what fails, what does not fit, what is too slow. */
const RARE = [
  /^datasets\.(?:name|files)/, // of get, see datasets.test.ts
  /^info\.cuda\.devices\[/, // of a GPU
  /#(?:OptionChange|Skipped|Plateaus)\./,
  /^advise\.(?:refused|smaller)\[/,
  /#SearchedTrial\.(?:epochs|items)$/,
  /#TunedTrial\.(?:failed|items|stopped)$/,
  /#FoundBlend\.gate\./,
  /#CostlierModel\.wins\[/,
];

/** The commands that write JSON, in an order in which each finds what it needs; several ways where the JSON differs. */
const SMALL = ['--set', 'hiddenDim=8', '--set', 'latentDim=4'];
const REFERENCE = ['--set', 'mult-vae.hiddenDim=8', '--set', 'mult-vae.latentDim=4'];
const RATED = ['rated.csv', '--value', 'rating'];
const RUNS: [name: string, args: string[]][] = [
  ['train', ['ease', 'likes.csv', '--set', 'lambda=20', '--out', 'm.st']],
  ['train', ['recvae', ...RATED, '--epochs', '1', ...SMALL, '--out', 'n.st']],
  ['train', ['als', 'likes.csv', '--epochs', '1', '--set', 'factors=2', '--min-user', '6', '--out', 'a.st']],
  ['evaluate', ['m.st', ...RATED]],
  ['evaluate', ['n.st', 'rated.csv', '--on', 'validation', '--metrics', 'ndcg@5', '--seed', '9']],
  ['evaluate', ['m.st', 'likes.csv', '--groups', '--metrics', 'auc,novelty@5,gini@5']],
  ['similar', ['m.st', 'i0-0']],
  ['explain', ['m.st', '--history', 'i0-0,x', '--item', 'i0-1']],
  ['compact', ['m.st', 's.st', '--top-per-item', '3', '--precision', 'f16', '--held-out', ...RATED]],
  ['compact', ['m.st', 't.st', '--precision', 'f16']],
  ['inspect', ['s.st']],
  ['split', [...RATED, '--out', 'split', '--min-user', '6']],
  ['synth', ['--scale', '0.01', '--out', 'made-up.csv']],
  ['models', []],
  ['models', ['recvae']],
  ['info', []],
  ['datasets', []],
  ['tune', ['ease', 'likes.csv', '--over', 'lambda=1,10']],
  [
    'tune',
    [
      'mult-dae',
      ...RATED,
      '--search',
      'halving',
      '--trials',
      '4',
      '--set',
      'epochs=9',
      '--set',
      'latentDim=4',
      '--test',
      '0',
    ],
  ],
  ['ablate', [...RATED, '--epochs', '1', '--seeds', '1', ...SMALL, ...REFERENCE]],
  ['compare', ['likes.csv', '--models', 'ease,edlae,als,blend', '--epochs', '4', '--seed', '3']],
  [
    'compare',
    [
      ...RATED,
      '--models',
      'ease,mult-dae',
      '--epochs',
      '1',
      '--no-search',
      '--split',
      'folds',
      '--folds',
      '3',
      '--repeat',
      '2',
      '--metrics',
      'auc,tail@5',
    ],
  ],
  ['advise', [...RATED, '--models', 'ease,mult-dae', '--users', '50']],
];

describe('docs/schemas', () => {
  test('are schemas, and there is one for each command that writes JSON', async () => {
    const names = schemas.map((file) => file.replace(/\.json$/, ''));
    for (const name of names) expect(validator(name)).toBeTypeOf('function');
    expect(names).toEqual([...new Set(RUNS.map(([name]) => name)), 'recommend', 'log'].sort());
    const { stdout } = await recvae(temporaryFolder(), ['--help']);
    const commands = [...stdout.split('Commands:')[1]!.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name!);
    const helps = await Promise.all(commands.map((name) => recvae(temporaryFolder(), [name, '--help'])));
    const writing = commands.filter((_, at) => /^ +--json <file>/m.test(helps[at]!.stdout));
    expect(writing.sort()).toEqual([...new Set(RUNS.map(([name]) => name))].sort());
  });

  test('allow no key that they do not name', () => {
    for (const file of schemas) {
      const name = file.replace(/\.json$/, '');
      for (const [schema, place] of within(schemaOf(name), name)) {
        const { type, properties, additionalProperties, items } = schema;
        if ([type].flat().includes('array')) expect(items, `${place} has items`).toBeDefined();
        if (!properties && ![type].flat().includes('object')) continue;
        if (OPEN.test(place)) expect(properties, place).toBeUndefined();
        else if (additionalProperties !== false)
          expect.soft(additionalProperties, `${place} is closed`).toBeTypeOf('object');
      }
    }
  });

  test('hold of what the commands write, in the file and on stdout, which has all that they name', async () => {
    const folder = temporaryFolder();
    const likes = readFileSync(writePlanted(folder), 'utf8').trim().split('\n');
    writeFileSync(
      join(folder, 'rated.csv'),
      [...likes, likes[1]!].map((line, at) => `${line},${at === 0 ? 'rating' : (at % 5) + 1}\n`).join(''),
    );
    const seen = new Map<string, Set<string>>();
    for (const [name, args] of RUNS) {
      const { code, stderr } = await recvae(folder, [name, ...args, '--json', 'result.json', '--quiet']);
      expect(code, `${name}: ${stderr}`).toBe(0);
      const result = JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'));
      expect(Object.keys(result)[0]).toBe('version');
      holds(name, result, args.join(' '));
      const root = schemaOf(name);
      note(root, root, result, name, seen.get(name) ?? seen.set(name, new Set()).get(name)!);
      // A schema that anything holds of proves nothing.
      expect(validator(name)({ ...result, version: 2 })).toBe(false);
      expect(validator(name)({ ...result, another: 1 })).toBe(false);
      const { version: _, ...rest } = result;
      expect(validator(name)(rest)).toBe(false);
    }
    const { stdout } = await recvae(folder, ['similar', 'm.st', 'i0-0', '--json', '-']);
    holds('similar', JSON.parse(stdout));
    // A key that no command writes any more is not in a schema either.
    for (const [name, places] of seen) {
      const named = [...within(schemaOf(name), name)].flatMap(([{ properties = {} }, place]) =>
        Object.keys(properties).map((key) => `${place}.${key}`),
      );
      const missing = named.filter((place) => !places.has(place) && !RARE.some((pattern) => pattern.test(place)));
      expect(missing, `${name}: what no run has`).toEqual([]);
    }
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
