/** Models that go on from what was learnt before: EASE^R by its counts, RecVAE and Mult-VAE by a warm start. */
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EaseCounts, estimateMemory, fit, Interactions, load, type Model, split } from '../dist/index.js';
import { recvae as command, type Outcome } from './command.js';
import { NEWCOMER, planted, plantedColumns, temporaryFolder } from './planted.js';

/** The command line in a folder. */
const recvae = (folder: string, ...args: string[]): Promise<Outcome> => command(folder, args);

/** Rows of the planted users from number `first` to below `end`. */
function rows(first: number, end: number): { users: string[]; items: string[] } {
  const { users, items } = plantedColumns();
  const kept = users.map((user, row) => [user, items[row]!] as const);
  const some = kept.filter(([user]) => Number(user.slice(1)) >= first && Number(user.slice(1)) < end);
  return { users: some.map(([user]) => user), items: some.map(([, item]) => item) };
}

const users = (first: number, end: number) => Interactions.fromColumns(rows(first, end));

function csv(folder: string, name: string, columns: { users: string[]; items: string[] }): void {
  const lines = columns.users.map((user, row) => `${user},${columns.items[row]}\n`);
  writeFileSync(join(folder, name), `user,item\n${lines.join('')}`);
}

async function bytesOf(model: Model): Promise<Buffer> {
  const path = join(temporaryFolder(), 'model');
  await model.save(path);
  return readFileSync(path);
}

describe('counts of EASE^R', () => {
  test.each(['f32', 'f64'] as const)(
    'old counts and new users are a fit on all users, bit by bit (%s)',
    async (precision) => {
      const path = join(temporaryFolder(), 'old.counts');
      // Two users have too few items to show all of them, so the new users bring items.
      await (await EaseCounts.count(users(0, 2))).save(path);
      const old = await EaseCounts.load(path);
      const counts = await (await old.update({ add: users(2, 120) }, { threads: 2 })).update({ add: users(120, 200) });
      expect(old.nUsers).toBe(2);
      expect(counts.nUsers).toBe(200);
      expect(counts.itemIds.length).toBeGreaterThan(old.itemIds.length);
      expect(counts.itemIds).toEqual(planted().itemIds());
      const model = await counts.fit({ lambda: 10, precision }, { info: { night: 3 }, threads: 1 });
      expect(model).toMatchObject({ kind: 'ease', options: { lambda: 10, precision }, info: { night: 3 }, epochs: [] });
      const whole = await fit('ease', planted(), { lambda: 10, precision }, { info: { night: 3 } });
      expect((await bytesOf(model)).equals(await bytesOf(whole))).toBe(true);
    },
  );

  test('users leave, and come back with more', async () => {
    const all = await EaseCounts.count(planted());
    const fewer = await all.update({ remove: users(150, 200) });
    expect((await bytesOf(await fewer.fit())).equals(await bytesOf(await fit('ease', users(0, 150))))).toBe(true);
    const history = ['i0-0', 'i0-1', 'brand new'];
    const [before, after] = [history.slice(0, 2), history].map((items) =>
      Interactions.fromColumns({ users: items.map(() => 'back'), items }),
    );
    const once = await all.update({ add: before! });
    const back = await once.update({ remove: before!, add: after! });
    expect(back.nUsers).toBe(201);
    const { users: names, items } = plantedColumns();
    const whole = Interactions.fromColumns({
      users: [...names, 'back', 'back', 'back'],
      items: [...items, ...history],
    });
    expect((await bytesOf(await back.fit())).equals(await bytesOf(await fit('ease', whole)))).toBe(true);
  });

  test('of a split, the training users are counted, as they are fitted', async () => {
    const data = await split(planted());
    const counts = await EaseCounts.count(data);
    expect(counts.nUsers).toBe(data.train.nUsers);
    expect((await bytesOf(await counts.fit())).equals(await bytesOf(await fit('ease', data)))).toBe(true);
  });

  test('an altered, cut or foreign file is refused, and one that cannot be written leaves nothing', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'all.counts');
    const counts = await EaseCounts.count(planted());
    await counts.save(path);
    const bytes = readFileSync(path);
    const bad = async (content: Uint8Array, message: RegExp) => {
      writeFileSync(path, content);
      await expect(EaseCounts.load(path)).rejects.toMatchObject({
        code: 'INVALID_MODEL_FILE',
        message: expect.stringMatching(message),
      });
    };
    const altered = Buffer.from(bytes);
    altered[altered.length - 5]! ^= 1;
    await bad(altered, /it was altered: its checksum is/);
    await bad(bytes.subarray(0, -1), /not counts of EASE\^R, or truncated/);
    await bad(await bytesOf(await counts.fit()), /it holds "ease", not counts of EASE\^R, which are 'ease-counts'/);
    writeFileSync(path, bytes);
    await expect(load(path)).rejects.toMatchObject({ code: 'INVALID_MODEL_FILE' });
    await expect(EaseCounts.load(join(folder, 'none'))).rejects.toMatchObject({ code: 'IO' });
    await expect(counts.save(join(folder, 'none', 'counts'))).rejects.toMatchObject({ code: 'IO' });
    expect(readdirSync(folder)).toEqual(['all.counts']);
  });

  test('what would take more than memoryLimit is refused with the figures', async () => {
    const counts = await EaseCounts.count(users(0, 50), { memoryLimit: 1e9 });
    const { fit: limit } = estimateMemory('ease', {
      users: counts.nUsers,
      items: counts.itemIds.length,
      interactions: users(0, 50).nInteractions,
      validation: false,
    });
    const counting =
      /^counting the pairs of 40 items needs 4\.\d MiB of memory, .*; 1000 bytes is allowed by memoryLimit; /;
    const fitting =
      /^ease on 50 users x 40 items, \d+ interactions, needs 4\.\d MiB of memory, .* allowed by memoryLimit; /;
    for (const [call, message] of [
      [() => EaseCounts.count(users(0, 50), { memoryLimit: 1000 }), counting],
      [() => counts.update({ add: users(50, 60) }, { memoryLimit: 1000 }), counting],
      [() => counts.fit({}, { memoryLimit: 4 * 2 ** 20 }), fitting],
    ] as const) {
      await expect(call()).rejects.toMatchObject({ code: 'MEMORY', message: expect.stringMatching(message) });
    }
    await counts.fit({}, { memoryLimit: limit });
    const error = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(/^memoryLimit is .*; allowed: /) };
    for (const memoryLimit of [-1, 1.5, '8GB' as unknown as number]) {
      await expect(EaseCounts.count(users(0, 50), { memoryLimit })).rejects.toMatchObject(error);
      await expect(counts.update({ add: users(50, 60) }, { memoryLimit })).rejects.toMatchObject(error);
      await expect(counts.fit({}, { memoryLimit })).rejects.toMatchObject(error);
    }
  });

  test('bad arguments and users who were never counted are named', async () => {
    const counts = await EaseCounts.count(users(0, 50));
    const foreign = Interactions.fromColumns({ users: ['a', 'b'], items: ['x', 'x'] });
    for (const [call, code, message] of [
      [
        () => counts.update({ remove: foreign }),
        'INVALID_DATA',
        "remove has item 'x'; allowed: the 40 items of the counts",
      ],
      [
        () => counts.update({ remove: planted() }),
        'INVALID_DATA',
        'remove has 200 users; allowed: at most the 50 counted',
      ],
      [() => counts.update({}), 'INVALID_ARGUMENT', 'change is an object; allowed: add, remove or both'],
      [
        () => counts.update({ ad: foreign } as never),
        'INVALID_ARGUMENT',
        "a key of change is 'ad'; allowed: add, remove",
      ],
      [
        () => counts.update({ add: 'x' as never }),
        'INVALID_ARGUMENT',
        "add is 'x'; allowed: an instance of Split or Interactions",
      ],
      [() => counts.fit({ lambda: 0 }), 'INVALID_ARGUMENT', 'lambda is 0; allowed: a finite number above 0'],
      [
        () => counts.fit({}, { epochs: 1 } as never),
        'INVALID_ARGUMENT',
        "a key of run is 'epochs'; allowed: threads, memoryLimit, signal, info, onProgress",
      ],
      [
        () => EaseCounts.count([] as never),
        'INVALID_ARGUMENT',
        'data is an array; allowed: an instance of Split or Interactions',
      ],
      [() => EaseCounts.load(1 as never), 'INVALID_ARGUMENT', 'path is 1; allowed: a string'],
    ] as const) {
      await expect(call(), message).rejects.toMatchObject({ name: 'RecvaeError', code, message });
    }
  });
});

describe('warm start', () => {
  const small = { hiddenDim: 24, latentDim: 8, batchSize: 20, learningRate: 0.01, epochs: 25 };
  const { hiddenDim: _, ...single } = small;
  const options = {
    recvae: small,
    'mult-vae': { ...small, annealing: 0 },
    'mult-dae': single,
    hvamp: { ...small, pseudoUsers: 10, warmUp: 0 },
  };

  test.each(['recvae', 'mult-vae', 'mult-dae', 'hvamp'] as const)(
    '%s goes on from a saved model, and learns new users and items',
    async (kind) => {
      const data = await split(users(0, 150), { validation: 40, seed: 3 });
      const path = join(temporaryFolder(), 'old.safetensors');
      const trained = await fit(kind, data, options[kind]);
      await trained.save(path);
      const from = await load(path);
      const best = Math.max(...trained.epochs.map(({ validation }) => validation!));
      const one = { ...options[kind], epochs: 1, learningRate: 1e-4 };
      const [warm, cold] = [await fit(kind, data, one, { from }), await fit(kind, data, one)];
      expect(Math.abs(warm.epochs[0]!.validation! - best)).toBeLessThan(0.05);
      expect(warm.epochs[0]!.validation!).toBeGreaterThan(cold.epochs[0]!.validation! + 0.05);

      // Members of group 2 get an item that nobody had, and the rows come in another order.
      const more = plantedColumns();
      const members = new Set(more.users.filter((user) => Number(user.slice(1)) % 4 === 2));
      const columns = {
        users: [...more.users, ...members].reverse(),
        items: [...more.items, ...[...members].map(() => 'new')].reverse(),
      };
      const grown = await fit(kind, Interactions.fromColumns(columns), { ...options[kind], epochs: 10 }, { from });
      expect(from.itemIds).not.toContain('new');
      expect(grown.itemIds[0]).toBe('new');
      expect(grown.recommend(NEWCOMER, { k: 6 }).items.map(({ id }) => id)).toContain('new');
      expect(grown.recommend(['i1-0', 'i1-1', 'i1-2'], { k: 7 }).items.map(({ id }) => id)).not.toContain('new');
    },
  );

  test('what does not fit is refused by name', async () => {
    const from = await fit('recvae', planted(), { ...small, epochs: 1 });
    const there = 'as in the model that training begins with (from)';
    const foreign = Interactions.fromColumns({ users: ['a', 'a', 'b'], items: ['x', 'y', 'y'] });
    for (const [call, message] of [
      [
        () => fit('recvae', planted(), { ...small, hiddenDim: 600 }, { from }),
        `hiddenDim is 600; allowed: 24, ${there}`,
      ],
      [() => fit('recvae', planted(), {}, { from }), `hiddenDim is 600; allowed: 24, ${there}`],
      [
        () => fit('recvae', planted(), { ...small, encoder: 'shallow' }, { from }),
        `encoder is "shallow"; allowed: "dense", ${there}`,
      ],
      [
        () => fit('mult-vae', planted(), small, { from }),
        "from is a model of kind 'recvae'; allowed: a model of kind 'mult-vae'",
      ],
      [
        () => fit('ease', planted(), {}, { from }),
        "from is a model of kind 'recvae'; allowed: nothing for 'ease', which takes all users at once; it takes new users through its counts (EaseCounts)",
      ],
      [
        () => fit('recvae', foreign, small, { from }),
        'from is a model of 40 items, none of which is among the 2 of the data; allowed: a model that shares items with the data',
      ],
      [() => fit('recvae', planted(), small, { from: 'old' as never }), "from is 'old'; allowed: an instance of Model"],
    ] as const) {
      await expect(call(), message).rejects.toMatchObject({ name: 'RecvaeError', code: 'INVALID_ARGUMENT', message });
    }
  });
});

describe('on the command line', () => {
  const all = ['--validation', '0', '--test', '0', '--set', 'lambda=10'];

  test('train ease takes counts and gives them', async () => {
    const folder = temporaryFolder();
    csv(folder, 'old.csv', rows(0, 120));
    csv(folder, 'new.csv', rows(120, 200));
    const first = await recvae(folder, 'train', 'ease', 'old.csv', ...all, '--save-counts', 'c', '--out', 'old.st');
    expect(first).toMatchObject({ code: 0, stderr: expect.stringContaining('0 users counted before, 120 now') });
    copyFileSync(join(folder, 'c'), join(folder, 'kept'));
    const inspected = await recvae(folder, 'inspect', 'c');
    expect(inspected).toMatchObject({ code: 0, stderr: '' });
    expect(inspected.stdout).toMatch(/^holds +counts of EASE\^R\nitems +\d+\nfile +\d+ bytes /);
    expect(inspected.stdout).toMatch(/^checksum +[0-9a-f]{32}, holds\nusers +120$/m);
    const counts = ['--counts', 'c', '--save-counts', 'c'];
    const second = await recvae(folder, 'train', 'ease', 'new.csv', ...all, ...counts, '--out', 'new.st');
    expect(second).toMatchObject({ code: 0, stderr: expect.stringContaining('120 users counted before, 200 now') });
    const whole = await fit('ease', planted(), { lambda: 10 });
    const saved = await EaseCounts.load(join(folder, 'c'));
    expect((await bytesOf(await saved.fit({ lambda: 10 }))).equals(await bytesOf(whole))).toBe(true);
    const updated = await load(join(folder, 'new.st'));
    expect(updated.recommend(NEWCOMER)).toEqual(whole.recommend(NEWCOMER));
    expect(updated.info).toMatchObject({ data: { users: 200, items: whole.itemIds.length } });
    // Without --save-counts the old counts stay as they are.
    await recvae(folder, 'train', 'ease', 'new.csv', ...all, '--counts', 'kept', '--out', 'again.st');
    expect(readFileSync(join(folder, 'again.st')).equals(readFileSync(join(folder, 'new.st')))).toBe(true);
    expect((await EaseCounts.load(join(folder, 'kept'))).nUsers).toBe(120);
  });

  test('train recvae --from begins with a saved model', async () => {
    const folder = temporaryFolder();
    csv(folder, 'likes.csv', plantedColumns());
    const set = ['hiddenDim=24', 'latentDim=8', 'batchSize=20', 'learningRate=0.01'].flatMap((option) => [
      '--set',
      option,
    ]);
    const train = (out: string, epochs: number, ...more: string[]) =>
      recvae(folder, 'train', 'recvae', 'likes.csv', ...set, '--set', `epochs=${epochs}`, '--out', out, ...more);
    const validation = async (file: string) => {
      const { metrics } = (await load(join(folder, file))).info as { metrics: { validation: { 'ndcg@100': number } } };
      return metrics.validation['ndcg@100'];
    };
    const runs = [await train('old.st', 20), await train('cold.st', 1), await train('warm.st', 1, '--from', 'old.st')];
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(await validation('warm.st')).toBeGreaterThan((await validation('cold.st')) + 0.05);
  });

  test('what has no meaning or does not fit is refused before the input is read', async () => {
    const folder = temporaryFolder();
    await (await fit('ease', planted())).save(join(folder, 'ease.st'));
    const cases = [
      [['recvae', 'none.csv', '--counts', 'c'], 2, '--counts has no meaning for recvae, only for ease'],
      [
        ['popularity', 'none.csv', '--save-counts', 'c'],
        2,
        '--save-counts has no meaning for popularity, only for ease',
      ],
      [
        ['recvae', 'none.csv', '--from', 'ease.st'],
        2,
        "from is a model of kind 'ease'; allowed: a model of kind 'recvae'",
      ],
      [['ease', 'none.csv', '--from', 'ease.st'], 2, 'it takes new users through its counts (EaseCounts)'],
      [['ease', 'none.csv', '--counts', 'ease.st'], 1, 'it holds "ease", not counts of EASE^R'],
      [['ease', 'none.csv', '--save-counts', 'none/c'], 1, 'cannot write none/c'],
    ] as const;
    const outcomes = await Promise.all(cases.map(([args]) => recvae(folder, 'train', ...args, '--out', 'out.st')));
    for (const [at, [, code, message]] of cases.entries()) {
      expect(outcomes[at]).toMatchObject({ code, stderr: expect.stringContaining(message) });
    }
    expect(existsSync(join(folder, 'out.st'))).toBe(false);
  });
});
