/** Bad input: the text names what was wrong and what is allowed, the code says whose fault it is. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  compare,
  compareRepeatedly,
  evaluate,
  fit,
  Interactions,
  load,
  RecvaeError,
  type RecvaeErrorCode,
  recommend,
  split,
  writeSynth,
} from '../dist/index.js';
import { planted, temporaryFolder } from './planted.js';

/** The error of a call, which must be a {@link RecvaeError} of that code. */
async function failure(code: RecvaeErrorCode, call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    expect(error).toBeInstanceOf(RecvaeError);
    expect((error as RecvaeError).code).toBe(code);
    return (error as RecvaeError).message;
  }
  throw new Error('no error');
}

describe('files', () => {
  const cases: [string, string | Buffer, RecvaeErrorCode, RegExp, object?][] = [
    ['a missing column', 'user,thing\nu,a\n', 'INVALID_DATA', /data\.csv:1: .*no column 'item'.*'user', 'thing'/],
    ['an empty file', '', 'INVALID_DATA', /data\.csv/],
    ['only a header', 'user,item\n', 'INVALID_DATA', /no rows/],
    ['a bad number', 'user,item,rating\nu,a,5\nv,b,five\n', 'INVALID_DATA', /data\.csv:3:3.*five/, { value: 'rating' }],
    ['a missing field', 'user,item\nu,a\nv\n', 'INVALID_DATA', /data\.csv:3/],
    [
      'invalid UTF-8',
      Buffer.from([...Buffer.from('user,item\nu,a\nu,'), 0xff, 10]),
      'INVALID_DATA',
      /data\.csv:3:2.*UTF-8/,
    ],
    ['a broken gzip', gzipSync('user,item\nu,a\n'.repeat(999)).subarray(0, 40), 'INVALID_DATA', /gzip.*broken/],
    [
      'an unknown option',
      'user,item\nu,a\n',
      'INVALID_ARGUMENT',
      /'users'; allowed: format, separator, header, encoding, quote, escape, user, item/,
      { users: 'user' },
    ],
    ['a threshold that removes all', 'user,item\nu,a\n', 'INVALID_DATA', /minUser 9/, { minUser: 9 }],
    ['a negative threshold', 'user,item\nu,a\n', 'INVALID_ARGUMENT', /minUser is -1/, { minUser: -1 }],
  ];
  test.each(cases)('%s', async (_, content, code, text, options) => {
    const path = join(temporaryFolder(), 'data.csv');
    writeFileSync(path, content);
    expect(await failure(code, () => Interactions.fromFile(path, options))).toMatch(text);
  });

  test('no such file', async () => {
    expect(await failure('IO', () => Interactions.fromFile('/no/such.csv'))).toMatch(/cannot read .*such\.csv/);
    expect(await failure('IO', () => load('/no/such.safetensors'))).toMatch(/cannot read/);
  });

  test('model files that are truncated, altered or foreign', async () => {
    const path = join(temporaryFolder(), 'model.safetensors');
    await (await fit('ease', planted())).save(path);
    const whole = readFileSync(path);
    const altered = Buffer.from(whole);
    altered[altered.length - 1]! ^= 1;
    for (const bytes of [
      whole.subarray(0, 100),
      whole.subarray(0, -1),
      altered,
      Buffer.from('PK\x03\x04'),
      Buffer.alloc(0),
    ]) {
      writeFileSync(path, bytes);
      await failure('INVALID_MODEL_FILE', () => load(path));
    }
  });

  test('an output path that cannot be written', async () => {
    const folder = temporaryFolder();
    const model = await fit('popularity', planted());
    await failure('IO', () => model.save(join(folder, 'none', 'model')));
    await failure('IO', () => model.save(folder));
    writeFileSync(join(folder, 'file'), '');
    mkdirSync(join(folder, 'full'));
    writeFileSync(join(folder, 'full', 'file'), '');
    const data = await split(planted());
    await failure('INVALID_ARGUMENT', () => data.write(join(folder, 'full')));
  });
});

describe('options', () => {
  const fits: [object, RegExp][] = [
    [{ lambda: Number.NaN }, /lambda is "NaN"; allowed: a finite number above 0/],
    [{ lambda: -1 }, /lambda is -1; allowed/],
    [{ lambda: 0 }, /lambda is 0; allowed/],
    [{ lambda: '5' }, /lambda is "5"; allowed/],
    [{ lamda: 5 }, /'lamda'; allowed: lambda, precision, density/],
    [{ density: 0 }, /density is 0; allowed: a finite number above 0 and up to 1/],
    [{ precision: 'f16' }, /precision is "f16"; allowed: 'f32' or 'f64'/],
  ];
  test.each(fits)('ease with %j', async (options, text) => {
    expect(await failure('INVALID_ARGUMENT', () => fit('ease', planted(), options))).toMatch(text);
  });

  test('unknown names', async () => {
    const data = await split(planted());
    const model = await fit('popularity', data);
    expect(await failure('INVALID_ARGUMENT', () => fit('eese' as 'ease', planted()))).toMatch(/'eese'; allowed: popu/);
    expect(await failure('INVALID_ARGUMENT', () => Interactions.dataset('debain' as 'debian'))).toMatch(/debian/);
    const metrics = ['ndgc@10' as 'ndcg@10'];
    expect(await failure('INVALID_ARGUMENT', () => evaluate(model, data.test, { metrics }))).toMatch(/ndgc@10/);
    expect(await failure('INVALID_ARGUMENT', () => split(planted(), { sead: 1 } as object))).toMatch(/'sead'/);
    expect(await failure('INVALID_ARGUMENT', () => compare(data, { models: ['svd' as 'ease'] }))).toMatch(/'svd'/);
  });

  test('k, threads and wrong types', async () => {
    const model = await fit('popularity', planted());
    for (const k of [0, -1, 1.5, Number.NaN]) {
      expect(await failure('INVALID_ARGUMENT', () => model.recommend([], { k }))).toMatch(/^k is /);
      expect(await failure('INVALID_ARGUMENT', () => model.recommendBatch([[]], { k }))).toMatch(/^k is /);
    }
    for (const threads of [0, -1, 1.5, 5000]) {
      expect(await failure('INVALID_ARGUMENT', () => fit('ease', planted(), {}, { threads }))).toMatch(/^threads is /);
    }
    await failure('INVALID_ARGUMENT', () => load(3 as unknown as string));
    await failure('INVALID_ARGUMENT', () => model.recommend([3.5]));
    await failure('INVALID_ARGUMENT', () => Interactions.fromHistories([{ user: 'u', items: 'abc' }]));
  });
});

describe('arguments that TypeScript would have refused are named', () => {
  /** Without its types. */
  // biome-ignore lint/suspicious/noExplicitAny: the point of these tests
  const untyped = (value: unknown) => value as any;
  const circular: Record<string, unknown> = {};
  circular.self = circular;

  test('keys that would be ignored', async () => {
    const data = await split(planted());
    const model = await fit('popularity', data);
    for (const [key, call] of [
      ['thread', () => fit('popularity', data, {}, untyped({ thread: 1 }))],
      ['metric', () => evaluate(model, data.test, untyped({ metric: [] }))],
      ['value', () => Interactions.fromColumns(untyped({ users: ['a'], items: ['b'], value: [1] }))],
      ['thread', () => model.recommendBatch([[]], {}, untyped({ thread: 1 }))],
      ['thread', () => Interactions.synth({}, untyped({ thread: 1 }))],
      ['thread', () => writeSynth('made-up.csv', {}, untyped({ thread: 1 }))],
    ] as const) {
      expect(await failure('INVALID_ARGUMENT', call)).toMatch(new RegExp(`'${key}'; allowed: `));
    }
  });

  test('a string is not a list of its letters', async () => {
    const model = await fit('popularity', planted());
    for (const call of [
      () => model.recommend('i1'),
      () => recommend(model, 'i1'),
      () => model.recommendBatch(['i1']),
      () => model.recommendBatch(untyped('i1')),
    ]) {
      expect(await failure('INVALID_ARGUMENT', call)).toMatch(/^histor(y|ies)\S* is 'i1'; allowed: a list of/);
    }
  });

  test('types', async () => {
    const data = await split(planted());
    const model = await fit('popularity', data);
    for (const [text, call] of [
      ['data is undefined', () => fit('ease', untyped(undefined))],
      ['data is an array', () => fit('ease', untyped([]))],
      ['model is 3', () => fit(untyped(3), data)],
      ['interactions is undefined', () => split(untyped(undefined))],
      ['interactions is an object', () => split(untyped(data))],
      ['history is null', () => model.recommend(untyped(null))],
      ['history\\[0\\] is 3\\.5', () => model.recommend([3.5])],
      ['histories\\[1\\]\\[0\\] is null', () => model.recommendBatch(untyped([[], [null]]))],
      ['model is null', () => recommend(untyped(null), [])],
      ['model is an object', () => evaluate(untyped({}), data.test)],
      ['heldOut is an object', () => evaluate(model, untyped(data))],
      ['metrics is .ndcg@10.', () => evaluate(model, data.test, untyped({ metrics: 'ndcg@10' }))],
      ['options is null', () => evaluate(model, data.test, untyped(null))],
      ['onProgress is 3', () => fit('ease', data, {}, untyped({ onProgress: 3 }))],
      ['threads is .2.', () => fit('ease', data, {}, untyped({ threads: '2' }))],
      ['run is null', () => fit('ease', data, {}, untyped(null))],
      ['info is not JSON', () => fit('ease', data, {}, untyped({ info: circular }))],
      ['info is a function', () => fit('ease', data, {}, untyped({ info: () => {} }))],
      ["'loss' in info is NaN", () => fit('ease', data, {}, { info: { losses: [{ loss: Number.NaN }] } })],
      ["'made' in info is a function", () => fit('ease', data, {}, untyped({ info: { made: () => {} } }))],
      ['options is not JSON', () => fit('ease', data, untyped({ lambda: circular }))],
      ['input is undefined', () => compare(untyped(undefined))],
      ['histories is null', () => Interactions.fromHistories(untyped(null))],
      ['history 0 is null', () => Interactions.fromHistories(untyped([null]))],
      ['user of history 0 is 3\\.5', () => Interactions.fromHistories([{ user: 3.5, items: [] }])],
      ['items of history 0 is undefined', () => Interactions.fromHistories(untyped([{ user: 'u' }]))],
      ['columns is undefined', () => Interactions.fromColumns(untyped(undefined))],
      ['users is undefined', () => Interactions.fromColumns(untyped({ items: [] }))],
      ['items\\[0\\] is 3\\.5', () => Interactions.fromColumns({ users: ['u'], items: [3.5] })],
      ['values is null', () => Interactions.fromColumns(untyped({ users: [], items: [], values: null }))],
      ['source is undefined', () => Interactions.fromFile(untyped(undefined))],
      ['path is 3', () => load(untyped(3))],
      ['path is undefined', () => model.save(untyped(undefined))],
      ['folder is undefined', () => data.write(untyped(undefined))],
      ['run is null', () => split(planted(), {}, untyped(null))],
      ['run is null', () => data.sample({}, untyped(null))],
      ['run is null', () => Interactions.fromFile('none.csv', {}, untyped(null))],
      ['run is null', () => Interactions.fromHistories([], {}, untyped(null))],
      ['run is null', () => Interactions.fromRows([], {}, untyped(null))],
      ['a key of run is .threads.', () => split(planted(), {}, untyped({ threads: 1 }))],
      ['options is null', () => compareRepeatedly(data, untyped(null))],
      ['user is 3\\.5', () => data.test.input(3.5)],
    ] as const) {
      expect(await failure('INVALID_ARGUMENT', call), text).toMatch(new RegExp(`^${text}; allowed: `));
    }
  });
});

describe('data', () => {
  test('columns', async () => {
    const { fromColumns } = Interactions;
    expect(await failure('INVALID_ARGUMENT', () => fromColumns({ users: ['a'], items: [] }))).toMatch(/items is 0/);
    const values = [Number.NaN];
    expect(await failure('INVALID_DATA', () => fromColumns({ users: ['a'], items: ['b'], values }))).toMatch(/NaN/);
    expect(await failure('INVALID_DATA', () => fromColumns({ users: [''], items: ['b'] }))).toMatch(
      /users\[0\] is empty/,
    );
    expect(await failure('INVALID_DATA', () => fromColumns({ users: [], items: [] }))).toMatch(/empty/);
    expect(await failure('INVALID_DATA', () => Interactions.fromHistories([{ user: 'a', items: [''] }]))).toMatch(
      /empty/,
    );
  });

  test('one user, one item', async () => {
    const oneUser = Interactions.fromColumns({ users: ['u', 'u'], items: ['a', 'b'] });
    const oneItem = Interactions.fromColumns({ users: ['u', 'v'], items: ['a', 'a'] });
    expect(await failure('INVALID_DATA', () => fit('ease', oneUser))).toMatch(/1 users/);
    expect(await failure('INVALID_DATA', () => fit('ease', oneItem))).toMatch(/1 items/);
    await failure('INVALID_DATA', () => split(oneUser));
    await failure('INVALID_DATA', () => compare(oneItem));
  });

  test('a factorisation that fails names the way out', async () => {
    // Two items that the same 2,500 users have: the Gram matrix is singular, and lambda vanishes beside it in f32.
    const users = Array.from({ length: 2500 }, (_, user) => [`u${user}`, `u${user}`]).flat();
    const data = Interactions.fromColumns({ users, items: users.map((_, row) => (row % 2 ? 'a' : 'b')) });
    expect(await failure('NUMERICAL', () => fit('ease', data, { lambda: 1e-9 }))).toMatch(/pivot.*lambda.*f64/s);
  });
});
