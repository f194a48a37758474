/** Bad input: the text names what was wrong and what is allowed, the code says whose fault it is. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { compare, evaluate, fit, Interactions, load, RecvaeError, type RecvaeErrorCode, split } from '../dist/index.js';
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
      /'users'; allowed: format, user, item/,
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
    [{ lamda: 5 }, /'lamda'; allowed: lambda, precision/],
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
    expect(await failure('INVALID_ARGUMENT', () => compare(data, { models: ['als' as 'ease'] }))).toMatch(/'als'/);
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
    await failure('INVALID_ARGUMENT', () => model.recommend([3 as unknown as string]));
    await failure('INVALID_ARGUMENT', () => Interactions.fromHistories([{ user: 'u', items: 'abc' }]));
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
