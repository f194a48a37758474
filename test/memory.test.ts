/** Memory is estimated before it is taken, and what cannot fit is refused at once. */
import { spawn } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseBytes } from '../dist/cli/common-flags.js';
import { compare, estimateMemory, fit, Interactions, type ModelName, RecvaeError, split } from '../dist/index.js';
import { CLI } from './command.js';
import { ofNetwork, TRAINED } from './kinds.js';
import { planted, temporaryFolder, writePlanted } from './planted.js';

const MIB = 2 ** 20;
/** What a fit takes grows with its threads, which are as many as the machine has cores by default. */
const threads = 2;

/** The error of a call that needs too much memory. */
async function refusal(call: () => Promise<unknown>): Promise<{ message: string }> {
  const error = await call().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(RecvaeError);
  expect((error as RecvaeError).code).toBe('MEMORY');
  return { message: (error as RecvaeError).message };
}

/** 1,000 users each of whom has 1,000 of 1,000,000 items, or of fewer, so that 200,000 items have 5 users each. */
function* manyItems(count = 1_000_000): Generator<{ user: string; items: string[] }> {
  for (let user = 0; user < 1000; user += 1) {
    yield {
      user: `u${user}`,
      items: Array.from({ length: 1000 }, (_, at) => `i${(user * 1000 + at) % count}`),
    };
  }
}

/** 100 users each of whom has 60 of some 3,000 items. */
function sparse(): Interactions {
  const [users, items]: [string[], string[]] = [[], []];
  for (let user = 0; user < 100; user += 1) {
    for (let at = 0; at < 60; at += 1) {
      users.push(`u${user}`);
      items.push(`i${(user * 37 + at * (1 + (user % 3)) * 11) % 3000}`);
    }
  }
  return Interactions.fromColumns({ users, items });
}

function run(args: string[], cwd: string): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [CLI, ...args], { cwd });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stderr })));
}

describe('estimateMemory', () => {
  const shape = { users: 10_000, items: 2000, interactions: 300_000, threads };

  test('EASE^R is its matrix', () => {
    const { fit, model } = estimateMemory('ease', shape);
    expect(model).toBe(4 * 2000 ** 2);
    expect(fit).toBeGreaterThan(model);
    const double = estimateMemory('ease', { ...shape, options: { precision: 'f64' } });
    expect(double.model).toBe(2 * model);
    const sparse = estimateMemory('ease', { ...shape, options: { density: 0.01 } });
    expect(sparse.model).toBe(8 * 0.01 * 2000 ** 2 + 8 * 2000);
    expect(sparse.fit).toBeLessThan(fit);
  });

  test('options, validation users and the size of the data count', () => {
    for (const model of ['recvae', 'mult-vae', 'hvamp'] as const) {
      const { fit } = estimateMemory(model, shape);
      expect(estimateMemory(model, { ...shape, items: 4000 }).fit).toBeGreaterThan(fit);
      expect(estimateMemory(model, { ...shape, options: { hiddenDim: 300 } }).fit).toBeLessThan(fit);
      expect(estimateMemory(model, { ...shape, validation: false }).fit).toBeLessThan(fit);
    }
    expect(estimateMemory('popularity', shape).model).toBe(4 * 2000);
  });

  test('what no machine has is a number too', () => {
    const vast = { users: 2 ** 53, items: 2 ** 53, interactions: 2 ** 53 };
    for (const model of TRAINED) {
      expect(estimateMemory(model, vast).fit).toBeGreaterThan(1e15);
    }
  });

  test('arguments', () => {
    for (const [bad, text] of [
      [{ ...shape, users: -1 }, /^users is -1; allowed/],
      [{ ...shape, items: 1.5 }, /^items is 1.5; allowed/],
      [{ ...shape, interactions: '5' }, /^interactions is '5'; allowed/],
      [{ ...shape, options: { lamda: 1 } }, /'lamda'; allowed/],
      [{ ...shape, validation: 1 }, /^validation is 1; allowed/],
      [{ ...shape, user: 1 }, /a key of shape is 'user'/],
      [null, /^shape is null/],
    ] as const) {
      expect(() => estimateMemory('ease', bad as never)).toThrow(text);
    }
    expect(() => estimateMemory('eese' as 'ease', shape)).toThrow(/'eese'/);
  });
});

describe('a fit that would take more than memoryLimit', () => {
  test.each(TRAINED)('%s', async (model) => {
    const data = planted();
    const limit = estimateMemory(model, {
      users: data.nUsers,
      items: data.nItems,
      interactions: data.nInteractions,
      validation: false,
    }).fit;
    const { message } = await refusal(() => fit(model, data, {}, { memoryLimit: limit - 1 }));
    expect(message).toMatch(
      new RegExp(
        `^${model} on 200 users x 40 items, \\d+ interactions, needs .* [KM]iB is allowed by memoryLimit; the way out`,
      ),
    );
    await fit(model, data, ofNetwork(model, { hiddenDim: 8, latentDim: 4, epochs: 1 }), { memoryLimit: limit });
  });

  test('limits that are none', async () => {
    const data = await split(planted());
    for (const memoryLimit of [-1, 1.5, Number.NaN, '8GB' as unknown as number]) {
      const error = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(/^memoryLimit is .*; allowed: /) };
      await expect(fit('ease', data, {}, { memoryLimit })).rejects.toMatchObject(error);
      await expect(compare(data, { memoryLimit })).rejects.toMatchObject(error);
    }
    await refusal(() => fit('popularity', data, {}, { memoryLimit: 0 }));
  });

  test('the way out that is named is one', async () => {
    // Item i has 3 to 300 users.
    const users: string[] = [];
    const items: string[] = [];
    for (let item = 0; item < 900; item += 1) {
      for (let user = 0; user < 3 + item / 3; user += 1) {
        users.push(`u${user}`);
        items.push(`i${item}`);
      }
    }
    const memoryLimit = 6 * MIB;
    const { message } = await refusal(() =>
      fit('ease', Interactions.fromColumns({ users, items }), {}, { memoryLimit }),
    );
    const [, fitting, minItem, left] = /at most (\d+) items \(minItem (\d+): (\d+) items/.exec(message)!;
    const fewer = Interactions.fromColumns({ users, items }, { minItem: Number(minItem) });
    expect(fewer.nItems).toBe(Number(left));
    expect(fewer.nItems).toBeLessThanOrEqual(Number(fitting));
    await fit('ease', fewer, {}, { memoryLimit });
  });

  test('by many items is refused before any work, by default by what is free', async () => {
    const told: unknown[] = [];
    const onProgress = (progress: unknown) => told.push(progress);
    // The matrix of a million items has 3.6 TiB, which no machine has free.
    const most = await Interactions.fromHistories(manyItems());
    const free = await refusal(() => fit('ease', most, {}, { onProgress }));
    most.dispose();
    expect(free.message).toMatch(
      /needs 39\d\d\.\d GiB of memory, most of it \(3725\.3 GiB\) for its matrix of items x items/,
    );
    expect(free.message).toMatch(/; .* is free \(.*\); the way out: at most \d+ items/);

    const data = await Interactions.fromHistories(manyItems(200_000));
    expect(data.nItems).toBe(200_000);
    const allowed = await refusal(() => fit('ease', data, {}, { memoryLimit: 8e9, onProgress }));
    expect(allowed.message).toMatch(
      /needs 158\.\d GiB of memory, most of it \(149\.0 GiB\) for its matrix of items x items/,
    );
    expect(allowed.message).toMatch(/; .* is allowed by memoryLimit; the way out: at most \d+ items/);
    expect(told).toEqual([]);
  });

  test('runs with the density that is named', async () => {
    const data = sparse();
    const run = { memoryLimit: 20 * MIB, threads };
    const { message } = await refusal(() => fit('ease', data, {}, run));
    const density = Number(/or density (\S+) \(--set density=\1: weights for that share of/.exec(message)?.[1]);
    expect(density).toBeGreaterThan(0);
    const model = await fit('ease', data, { density }, run);
    expect(model.recommend(data.history('u0')!, { k: 3 }).items).toHaveLength(3);
  });
});

test('a comparison counts the models that it keeps', async () => {
  const data = await split(planted(), { seed: 1 });
  const { nUsers: users, nItems: items, nInteractions: interactions } = data.train;
  const shape = { users, items, interactions, threads };
  const options = {
    recvae: { hiddenDim: 64, latentDim: 32, epochs: 1 },
    ease: { lambda: 10 },
    als: { lambda: 0.01, alpha0: 0.1, factors: 64 },
  };
  const kept =
    estimateMemory('popularity', shape).model +
    estimateMemory('ease', shape).model +
    estimateMemory('als', shape).model;
  const memoryLimit = estimateMemory('recvae', { ...shape, options: options.recvae }).fit + kept;
  const run = { models: ['recvae'] as ModelName[], options, seed: 1, threads };
  const changes = async (memoryLimit: number) => {
    const { report } = await compare(data, { ...run, search: false, memoryLimit });
    expect(report.skipped).toEqual([]);
    return report.models.map(({ changed }) => changed.map(({ name }) => name));
  };
  expect(await changes(memoryLimit)).toEqual([[], [], [], []]);
  // One byte less, and the network is made smaller.
  expect(await changes(memoryLimit - 1)).toEqual([[], [], [], ['hiddenDim', 'latentDim']]);
  // What fits at no size is left out, and if that is everything, it is an error.
  const { report } = await compare(data, {
    ...run,
    search: false,
    memoryLimit: kept + estimateMemory('ease', shape).fit,
  });
  expect(report.models.map(({ model }) => model)).toContain('ease');
  const { message } = await refusal(() => compare(data, { ...run, memoryLimit: 1 }));
  expect(message).toMatch(/is allowed by memoryLimit/);
});

test('a comparison takes the largest density of EASE^R that fits, and says so', async () => {
  const data = await split(sparse(), { seed: 1 });
  const memoryLimit = 20 * MIB;
  await refusal(() => fit('ease', data, {}, { memoryLimit, threads }));
  const { report } = await compare(data, { models: [], search: false, seed: 1, memoryLimit, threads });
  const ease = report.models.find(({ model }) => model === 'ease')!;
  const { density } = ease.options as { density: number };
  expect(ease.changed).toEqual([{ name: 'density', from: 1, to: density }]);
  expect(density).toBeGreaterThan(0);
  expect(density).toBeLessThan(1);
});

test('a search leaves out what does not fit', async () => {
  const data = await split(planted(), { seed: 1 });
  const { nUsers: users, nItems: items, nInteractions: interactions } = data.train;
  const shape = { users, items, interactions, threads };
  const fit = (factors: number) => estimateMemory('als', { ...shape, options: { factors } }).fit;
  const tried = async (memoryLimit?: number) => {
    const { report } = await compare(data, { models: [], seed: 1, threads, ...(memoryLimit && { memoryLimit }) });
    return report.models[2]!.search.map(({ options }) => (options as { factors?: number }).factors);
  };
  expect(await tried()).toContain(128);
  expect(await tried((fit(64) + fit(128)) / 2)).not.toContain(128);
});

describe('the command line', () => {
  test('EASE^R on a file of a million items', async () => {
    const folder = temporaryFolder();
    const rows = [...manyItems()].flatMap(({ user, items }) => items.map((item) => `${user},${item}\n`));
    writeFileSync(join(folder, 'many.csv'), `user,item\n${rows.join('')}`);
    const { code, stderr } = await run(['train', 'ease', 'many.csv', '--out', 'ease.safetensors'], folder);
    expect(stderr).toMatch(
      /^recvae: ease on .* the way out: at most \d+ items .*--min-item \d+|^recvae: ease on .* GiB/m,
    );
    expect(code).toBe(1);
    expect(readdirSync(folder)).toEqual(['many.csv']);
  });

  test('--memory-limit', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const train = ['train', 'ease', 'likes.csv', '--out', 'ease.safetensors', '--memory-limit'];
    const refused = await run([...train, '100kB'], folder);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/97\.7 KiB is allowed by --memory-limit/) });
    expect((await run([...train, '100 bytes'], folder)).code).toBe(2);
    expect((await run([...train, '1GB'], folder)).code).toBe(0);
  });

  test('numbers of bytes', () => {
    const known = {
      '8GB': 8e9,
      '8GiB': 8 * 2 ** 30,
      '1.5 MB': 1.5e6,
      '512k': 512e3,
      '2TiB': 2 ** 41,
      '100': 100,
      '7B': 7,
    };
    for (const [text, bytes] of Object.entries(known)) expect(parseBytes(text)).toBe(bytes);
    for (const text of ['', 'GB', '-1GB', '1iB', '8XB', '1e9', '0x10', '1GB2']) {
      expect(() => parseBytes(text), text).toThrow('It must be a number of bytes');
    }
  });
});
