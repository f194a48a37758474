/** Weights of other programs become models, and models become such weights and graphs. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { exportModel, fit, Interactions, importModel, load, type Model, type ModelOptions } from '../dist/index.js';
import { recvae } from './command.js';
import { plantedColumns, temporaryFolder, writePlanted } from './planted.js';

const FIXTURES = fileURLToPath(new URL('fixtures/exchange', import.meta.url));
const ids = Array.from({ length: 40 }, (_, item) => `film ${item}`);
const weights = (name: string) => join(FIXTURES, name);
/** All items with their scores. */
const ALL = { k: 1000, filterSeen: false, fallback: 'none' } as const;

type Shared = 'recvae' | 'mult-vae' | 'mult-dae';
const SMALL: { [K in Shared]: ModelOptions[K] } = {
  recvae: { hiddenDim: 6, latentDim: 3, epochs: 1 },
  'mult-vae': { hiddenDim: 6, latentDim: 3, epochs: 1 },
  'mult-dae': { latentDim: 3, epochs: 1 },
};
const KINDS = Object.keys(SMALL) as Shared[];

async function small(kind: Shared): Promise<Model<Shared>> {
  return fit(kind, Interactions.fromColumns(plantedColumns()), SMALL[kind]);
}

/** The scores of a history by the ids of items. */
function scores(model: Model, history: string[]): Map<string, number> {
  return new Map(model.recommend(history, ALL).items.map(({ id, score }) => [id, score]));
}

/**
 * Hundreds of megabytes: not among the packages that are set up.
 * `npm install --no-save --ignore-scripts onnxruntime-node` brings it, and `node benches/onnx.mjs` asks it, too.
 */
const RUNTIME = 'onnxruntime-node';
const runtime = await import(RUNTIME).catch(() => undefined);

describe('importModel', () => {
  test.each([
    ['recvae.safetensors', 'recvae', { hiddenDim: 16, latentDim: 8, encoder: 'dense' }],
    ['mult-vae.npz', 'mult-vae', { hiddenDim: 16, latentDim: 8 }],
    ['mult-vae-port.safetensors', 'mult-vae', { hiddenDim: 16, latentDim: 8 }],
    ['mult-dae.npz', 'mult-dae', { latentDim: 8 }],
    ['mult-dae-port.safetensors', 'mult-dae', { latentDim: 8 }],
  ])('of %s gives a %s that is saved and loaded as any other', async (name, kind, options) => {
    const model = await importModel(weights(name), { ids });
    expect(model.kind).toBe(kind);
    expect(model.options).toMatchObject(options);
    expect([model.itemIds, model.fallback, model.epochs]).toEqual([ids, 'none', []]);
    const path = join(temporaryFolder(), 'm.safetensors');
    await model.save(path);
    const loaded = await load(path);
    expect(scores(loaded, ['film 3', 'film 5'])).toEqual(scores(model, ['film 3', 'film 5']));
    expect(scores(model, ['film 3']).size).toBe(40);
  });

  test('takes the ids of a file, and what the training was told', async () => {
    const file = join(temporaryFolder(), 'unique_sid.txt');
    writeFileSync(file, ids.map((id) => `${id}\n`).join(''));
    const model = await importModel(weights('recvae.safetensors'), { ids: file, options: { gamma: 0.01 } });
    expect([model.itemIds, (model as Model<'recvae'>).options.gamma]).toEqual([ids, 0.01]);
  });

  test.each<[what: string, options: object, code: string, message: string | RegExp]>([
    ['too few ids', { ids: ids.slice(1) }, 'INVALID_DATA', /^39 ids of items; allowed: 40, as many as the weights in /],
    ['an id twice', { ids: [...ids.slice(1), 'film 1'] }, 'INVALID_DATA', "id 'film 1' occurs twice; allowed: once"],
    ['no ids', {}, 'INVALID_ARGUMENT', 'ids is undefined; allowed: a list of ids'],
    ['no file of ids', { ids: 'none.txt' }, 'IO', /^cannot read none\.txt: /],
    [
      'another size',
      { ids, options: { latentDim: 200 } },
      'INVALID_ARGUMENT',
      'latentDim is 200; allowed: 8, as the weights have',
    ],
    ['an unknown option', { ids, options: { lambda: 1 } }, 'INVALID_ARGUMENT', /lambda/],
    ['an unknown key', { ids, id: 1 }, 'INVALID_ARGUMENT', "a key of options is 'id'; allowed: ids, options"],
  ])('refuses %s', async (_, options, code, message) => {
    const wrong = importModel(weights('recvae.safetensors'), options as { ids: string[] });
    await expect(wrong).rejects.toMatchObject({
      code,
      message: typeof message === 'string' ? message : expect.stringMatching(message),
    });
  });
});

describe('exportModel', () => {
  test.each(KINDS)('writes a %s that comes back with the same scores', async (kind) => {
    const [folder, model] = [temporaryFolder(), await small(kind)];
    for (const format of ['safetensors', 'npz'] as const) {
      const [path, list] = [join(folder, 'weights'), join(folder, 'ids.txt')];
      await exportModel(model, path, { format, ids: list });
      const back = await importModel(path, { ids: list, options: SMALL[kind] });
      expect(back.options).toEqual(model.options);
      expect(scores(back, ['i0-0', 'i1-1'])).toEqual(scores(model, ['i0-0', 'i1-1']));
    }
  });

  test('writes all files or none', async () => {
    const [folder, model] = [temporaryFolder(), await small('mult-dae')];
    mkdirSync(join(folder, 'folder'));
    const at = (name: string) => join(folder, name);
    await expect(exportModel(model, at('m.onnx'), { ids: at('folder') })).rejects.toMatchObject({ code: 'IO' });
    await expect(exportModel(model, at('m.pt'))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(
        /m\.pt'; allowed: a name that ends in \.safetensors, \.npz, \.onnx, or the option/,
      ),
    });
    const ease = (await fit('ease', Interactions.fromColumns(plantedColumns()))) as unknown as Model<'recvae'>;
    await expect(exportModel(ease, at('m.npz'))).rejects.toThrow(
      "the model to export is 'ease'; allowed: recvae, mult-vae, mult-dae",
    );
    expect(readdirSync(folder)).toEqual(['folder']);
  });

  test.skipIf(runtime === undefined)('onnxruntime-node computes the scores of the model', async () => {
    for (const kind of KINDS) {
      const [path, model] = [join(temporaryFolder(), 'm.onnx'), await small(kind)];
      await exportModel(model, path);
      const session = await runtime.InferenceSession.create(path);
      const histories = [['i0-0', 'i0-2'], [], ['i1-1']];
      const dense = histories.flatMap((history) => model.itemIds.map((id) => Number(history.includes(id))));
      const shape = [histories.length, model.itemIds.length];
      const history = new runtime.Tensor('float32', Float32Array.from(dense), shape);
      const { logits } = await session.run({ history });
      expect(logits.dims).toEqual(shape);
      histories.forEach((history, row) => {
        const ours = scores(model, history);
        // Single precision, in another order of the sums.
        model.itemIds.forEach((id, column) => {
          expect(logits.data[row * model.itemIds.length + column]).toBeCloseTo(ours.get(id)!, 5);
        });
      });
    }
  });
});

describe('on the command line', () => {
  test('weights come in and go out again', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'unique_sid.txt'), ids.map((id) => `${id}\n`).join(''));
    const run = (line: string) => recvae(folder, line.split(' '));
    const set = '--set gamma=0.01';
    const imported = await run(`import ${weights('recvae.safetensors')} --ids unique_sid.txt --out m.st ${set}`);
    expect(imported).toEqual({
      code: 0,
      stdout: '',
      stderr: 'RecVAE by its authors (PyTorch): recvae of 40 items\nsaved: m.st\n',
    });
    const exported = await run('export m.st again --format safetensors --ids again.txt');
    expect(exported).toEqual({ code: 0, stdout: '', stderr: 'saved: again, again.txt\n' });
    expect(readFileSync(join(folder, 'again.txt'))).toEqual(readFileSync(join(folder, 'unique_sid.txt')));
    expect((await run(`import again --ids again.txt --out n.st ${set}`)).code).toBe(0);
    expect(readFileSync(join(folder, 'n.st'))).toEqual(readFileSync(join(folder, 'm.st')));
  });

  test('what is wrong is told before any work, and nothing is written', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    expect((await recvae(folder, ['train', 'ease', 'likes.csv', '--out', 'ease.st'])).code).toBe(0);
    writeFileSync(join(folder, 'ids.txt'), 'a\na\n');
    const before = readdirSync(folder);
    const file = weights('mult-vae.npz');
    for (const [line, code, message] of [
      [`import ${file} --out o`, 2, '--ids is missing; --help shows what is allowed'],
      [`import ${file} --ids ids.txt --out ids.txt`, 2, "--out is 'ids.txt', as is --ids; allowed: another file"],
      [`import ${file} --ids ids.txt --out o`, 1, "ids.txt:2: 'a' occurs twice; allowed: once"],
      ['import likes.csv --ids likes.csv --out o', 1, 'likes.csv: not safetensors (it claims a header of '],
      ['export ease.st m.pt', 2, "the file is 'm.pt'; allowed: a name that ends in .safetensors, .npz, .onnx, or "],
      ['export ease.st m --format pt', 2, "--format is \"pt\"; allowed: 'safetensors' or 'npz' or 'onnx'"],
      ['export ease.st ease.st --format npz', 2, "<out> is 'ease.st', as is <model-file>; allowed: another file"],
      ['export ease.st m.npz --ids m.npz', 2, "--ids is 'm.npz', as is <out>; allowed: another file"],
      ['export ease.st m.npz', 2, "the model to export is 'ease'; allowed: recvae, mult-vae, mult-dae"],
      ['export none.st m.npz', 1, 'cannot read none.st: '],
    ] as const) {
      const found = await recvae(folder, line.split(' '));
      expect([line, found.code, found.stdout]).toEqual([line, code, '']);
      expect(found.stderr).toContain(`recvae: ${message}`);
    }
    expect(readdirSync(folder)).toEqual(before);
    expect(existsSync(join(folder, 'o'))).toBe(false);
  });
});
