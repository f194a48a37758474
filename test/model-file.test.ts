/** Model files: read by hand after the text of the format, opened in every way, inspected, made smaller. */
import { readdirSync, readFileSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fit, inspect, load, type Model } from '../dist/index.js';
import { recvae as command, type Outcome } from './command.js';
import { ofNetwork, TRAINED } from './kinds.js';
import { NEWCOMER, planted, temporaryFolder, writePlanted } from './planted.js';
import { xxh3 } from './xxh3.js';

const SMALL = { hiddenDim: 16, latentDim: 8, epochs: 2, batchSize: 50 };

/** The command line in a folder. */
const recvae = (folder: string, ...args: string[]): Promise<Outcome> => command(folder, args);

interface Tensor {
  type: string;
  shape: number[];
  data: Buffer;
}

/** What a header says of a tensor. */
interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** Follows `crates/recvae-core/src/serve/model_file/format.md` and nothing else. */
function parse(file: Buffer): { metadata: Record<string, unknown>; tensors: Map<string, Tensor>; checksums: string[] } {
  const n = Number(file.readBigUInt64LE(0));
  expect(n % 8).toBe(0);
  const { __metadata__, ...entries } = JSON.parse(file.toString('utf8', 8, 8 + n));
  const tensors = new Map<string, Tensor>();
  const sizes: Record<string, number> = { U8: 1, F16: 2, F32: 4, U32: 4, F64: 8, I64: 8 };
  let end = 0;
  for (const [name, { dtype, shape, data_offsets }] of Object.entries<Entry>(entries)) {
    expect(data_offsets[0]).toBe(end);
    end = data_offsets[1];
    expect(end - data_offsets[0]).toBe(shape.reduce((product, size) => product * size, sizes[dtype]!));
    expect((8 + n + data_offsets[0]) % sizes[dtype]!).toBe(0);
    tensors.set(name, { type: dtype, shape, data: file.subarray(8 + n + data_offsets[0], 8 + n + end) });
  }
  expect(8 + n + end).toBe(file.length);

  const text: string = __metadata__.recvae;
  const all = `{${text.slice(47)}`;
  const head = `{${all.slice(51)}`;
  expect(text).toMatch(/^\{"checksum":"[0-9a-f]{32}","checksumHead":"[0-9a-f]{32}","format":1,/);
  const checksum = (start: string, has: (name: string) => boolean) => {
    const parts: Buffer[] = [Buffer.from(start)];
    for (const name of [...tensors.keys()].sort()) {
      const { type, shape, data } = tensors.get(name)!;
      parts.push(Buffer.from(`\n${name} ${type} [${shape.join(', ')}]\n`), has(name) ? data : Buffer.alloc(0));
    }
    return xxh3(Buffer.concat(parts));
  };
  const checksums = [checksum(all, () => true), checksum(head, (name) => !name.startsWith('model.'))];
  return { metadata: JSON.parse(text), tensors, checksums };
}

const numbers = (tensor: Tensor, size: number, read: (at: number) => number | bigint) =>
  Array.from({ length: tensor.data.length / size }, (_, at) => Number(read(at * size)));
const u64s = (tensor: Tensor) => numbers(tensor, 8, (at) => tensor.data.readBigUInt64LE(at));
const f32s = (tensor: Tensor) => numbers(tensor, 4, (at) => tensor.data.readFloatLE(at));

/** All scores of a history by the model, in order of its items. */
function scoresOf(model: Model, history: string[]): number[] {
  const { items } = model.recommend(history, { k: model.itemIds.length, filterSeen: false });
  const scores = new Map(items.map(({ id, score }) => [id, score]));
  return model.itemIds.map((id) => scores.get(id)!);
}

describe('the format', () => {
  test.each(TRAINED)('%s, by hand', async (kind) => {
    const path = join(temporaryFolder(), 'model');
    const options = ofNetwork(kind, SMALL);
    const model = await fit(kind, planted(), options, { info: { text: 'ä"\n', small: 1e-7 } });
    await model.save(path);
    const { metadata, tensors, checksums } = parse(readFileSync(path));
    expect([metadata.checksum, metadata.checksumHead]).toEqual(checksums);
    expect(metadata).toMatchObject({ format: 1, kind, options: model.options, info: { text: 'ä"\n', small: 1e-7 } });
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    expect(metadata.writer).toBe(`recvae ${version}`);
    const ends = u64s(tensors.get('items.ends')!);
    const bytes = tensors.get('items.bytes')!.data;
    expect(ends.map((end, at) => bytes.toString('utf8', ends[at - 1] ?? 0, end))).toEqual(model.itemIds);
    const n = model.itemIds.length;
    expect(metadata.training).toEqual({ whole: true });
    expect(tensors.get('training.users')).toMatchObject({ type: 'U8', shape: [planted().nUsers, 16] });
    const counts = tensors.get('items.users')!;
    expect([counts.type, counts.shape]).toEqual(['U32', [n]]);
    const popular = new Map(model.recommend([], { k: n }).items.map(({ id, score }) => [id, score]));
    expect(numbers(counts, 4, (at) => counts.data.readUInt32LE(at))).toEqual(
      model.itemIds.map((id) => popular.get(id)),
    );
    const shapes = Object.fromEntries([...tensors].map(([name, { shape }]) => [name, shape]));
    if (kind === 'popularity') {
      expect(f32s(tensors.get('model.scores')!)).toEqual(scoresOf(model, []));
    } else if (kind === 'ease' || kind === 'edlae' || kind === 'rdlae' || kind === 'deql') {
      expect(shapes['model.weights']).toEqual([n, n]);
      const b = f32s(tensors.get('model.weights')!);
      expect(b.slice(3 * n, 4 * n)).toEqual(scoresOf(model, [model.itemIds[3]!]));
    } else if (kind === 'hoease') {
      const pairs = tensors.get('model.pairs')!;
      const items = numbers(pairs, 4, (at) => pairs.data.readUInt32LE(at));
      const nPairs = items.length / 2;
      expect([pairs.type, pairs.shape, shapes['model.weights']]).toEqual(['U32', [nPairs, 2], [n + nPairs, n]]);
      const weights = f32s(tensors.get('model.weights')!);
      const row = (at: number) => weights.slice(at * n, (at + 1) * n);
      const [one, other] = items.slice(0, 2) as [number, number];
      const [a, b, both] = [row(one), row(other), row(n)];
      const sums = a.map((weight, at) => Math.fround(Math.fround(weight + b[at]!) + both[at]!));
      expect(sums).toEqual(scoresOf(model, [model.itemIds[one]!, model.itemIds[other]!]));
    } else if (kind === 'als') {
      expect(shapes).toMatchObject({ 'model.items': [n, 64], 'model.spectrum': [64] });
      expect(Object.keys(shapes)).toHaveLength(6);
      // The vectors lie in the axes of which the spectrum has the squared lengths.
      const [items, spectrum] = [f32s(tensors.get('model.items')!), f32s(tensors.get('model.spectrum')!)];
      const largest = Math.max(...spectrum);
      for (const [a, length] of spectrum.entries()) {
        const square = Array.from({ length: n }, (_, item) => items[64 * item + a]! ** 2).reduce((x, y) => x + y, 0);
        expect(Math.abs(square - length)).toBeLessThan(1e-5 * largest); // sums of n products of 24 bits
      }
    } else if (kind === 'hvamp') {
      expect(shapes).toMatchObject({
        'model.q2.items.value.weight': [n, 16],
        'model.q1.both.gate.weight': [16, 32],
        'model.p1.heads.log_variance.bias': [8],
        'model.p.output.weight': [n, 16],
        'model.pseudo_users': [10, n],
      });
      // 13 pairs of layers, the last layer, the pseudo-users; ids, their users and the record of training.
      expect(Object.keys(shapes)).toHaveLength(13 * 4 + 2 + 1 + 4);
    } else {
      expect(shapes['model.encoder.input.weight']).toEqual([n, kind === 'mult-dae' ? 8 : 16]);
      expect(shapes['model.decoder.output.weight']).toEqual([n, kind === 'mult-vae' ? 16 : 8]);
      expect(Object.keys(shapes)).toHaveLength(4 + { recvae: 26, 'mult-vae': 8, 'mult-dae': 4 }[kind]);
    }
  });

  test('the hash of the text is XXH3-128', () => {
    // From python-xxhash 3, bytes that count up to 250 again and again.
    const count = (n: number) => Buffer.from(Array.from({ length: n }, (_, at) => at % 251));
    expect(xxh3(count(1024))).toBe('d0ac1f7b93bf57b9e5d78bafa45b2aa5');
    expect(xxh3(count(3000))).toBe('d324b9e72fa9fb271b846747012c24aa');
  });
});

describe('opening', () => {
  test('mapped or read, verified or not, it is the same model', async () => {
    const path = join(temporaryFolder(), 'model');
    const model = await fit('ease', planted(), { lambda: 10 });
    await model.save(path);
    for (const mmap of [undefined, true, false]) {
      for (const verify of [undefined, true, false]) {
        expect((await load(path, { mmap, verify })).recommend(NEWCOMER)).toEqual(model.recommend(NEWCOMER));
      }
    }
    await expect(load(path, { map: true } as never)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: "load option is 'map'; allowed: mmap, verify, device",
    });
  });

  test('parameters are verified by default, and not where that is not wanted', async () => {
    const path = join(temporaryFolder(), 'model');
    await (await fit('ease', planted(), { lambda: 10 })).save(path);
    const file = readFileSync(path);
    file[file.length - 5000]! ^= 1; // the last tensors are ids, below 200 bytes, and 16 bytes for each of 200 users
    writeFileSync(path, file);
    await expect(load(path)).rejects.toMatchObject({ code: 'INVALID_MODEL_FILE' });
    await expect(load(path, { mmap: false })).rejects.toMatchObject({ code: 'INVALID_MODEL_FILE' });
    await load(path, { verify: false });
    file[file.length - 1]! ^= 1;
    writeFileSync(path, file);
    await expect(load(path, { verify: false })).rejects.toMatchObject({ code: 'INVALID_MODEL_FILE' });
  });

  test('a mapped model goes on when its file is replaced, one in memory when it is cut off', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'model');
    const [first, second] = await Promise.all([fit('ease', planted(), { lambda: 10 }), fit('popularity', planted())]);
    await first.save(path);
    const mapped = await load(path);
    const expected = first.recommend(NEWCOMER);
    await second.save(path);
    expect(mapped.recommend(NEWCOMER)).toEqual(expected);
    expect((await load(path)).kind).toBe('popularity');
    await first.save(join(folder, 'next'));
    renameSync(join(folder, 'next'), path);
    const read = await load(path, { mmap: false });
    truncateSync(path, 10);
    expect(read.recommend(NEWCOMER)).toEqual(expected);
    await expect(load(path)).rejects.toMatchObject({ code: 'INVALID_MODEL_FILE' });
  });

  test('what a header claims is compared with the file', async () => {
    const path = join(temporaryFolder(), 'model');
    for (const [header, length] of [
      ['{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,8]}}', undefined],
      ['{"a":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}', undefined],
      ['{}', 2n ** 64n - 1n],
      ['{}', 99_000_000n],
    ] as const) {
      const size = Buffer.alloc(8);
      size.writeBigUInt64LE(length ?? BigInt(header.length));
      writeFileSync(path, Buffer.concat([size, Buffer.from(header), Buffer.alloc(8)]));
      await expect(load(path)).rejects.toMatchObject({ code: 'INVALID_MODEL_FILE' });
      await expect(inspect(path)).rejects.toMatchObject({ code: 'INVALID_MODEL_FILE' });
    }
  });
});

describe('inspect', () => {
  test('says what a file holds', async () => {
    const path = join(temporaryFolder(), 'model');
    const model = await fit('ease', planted(), { lambda: 10 }, { info: { a: 1 } });
    await model.save(path, { info: { b: 2 }, topPerItem: 5 });
    const found = await inspect(path);
    expect(found).toMatchObject({
      bytes: statSync(path).size,
      format: 1,
      kind: 'ease',
      options: model.options,
      info: { b: 2 },
      nItems: model.itemIds.length,
      holds: true,
      problem: null,
    });
    expect(found.tensors.map(({ name }) => name)).toEqual([
      'items.ends',
      'model.weights.ends',
      'items.users',
      'model.weights.items',
      'model.weights.values',
      'items.bytes',
      'training.users',
    ]);
    expect(model.info).toEqual({ a: 1 });
    await expect(inspect(join(path, 'none'))).rejects.toMatchObject({ code: 'IO' });
  });

  test('on the command line: what was kept, and a failure for an altered file', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    await recvae(
      folder,
      'train',
      'recvae',
      'likes.csv',
      ...Object.entries(SMALL).flatMap(([k, v]) => ['--set', `${k}=${v}`]),
      '--out',
      'm.st',
    );
    const { code, stdout, stderr } = await recvae(folder, 'inspect', 'm.st');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /^model +recvae\noptions +\{.*"hiddenDim":16.*\}\nitems +40\nfile +\d+ bytes \(\d.* KiB\), format 1\n/,
    );
    expect(stdout).toMatch(/^checksum +[0-9a-f]{32}, holds$/m);
    expect(stdout).toMatch(/^data +\{"interactions":\d+,"items":40,"users":\d+\}$/m);
    expect(stdout).toMatch(/^metrics +\{"validation":\{"ndcg@100":0\.\d+\}\}$/m);
    expect(stdout).toMatch(/^model\.encoder\.input\.weight +F32 +40 x 16 +2560$/m);
    const json = await recvae(folder, 'inspect', 'm.st', '--json', '-');
    const { kind, nItems, ...rest } = await inspect(join(folder, 'm.st'));
    expect(JSON.parse(json.stdout)).toEqual({ version: 1, model: kind, items: nItems, ...rest, file: 'm.st' });

    await recvae(folder, 'compare', 'likes.csv', '--models', 'ease', '--save', 'best');
    const kept = (await inspect(join(folder, 'best', 'ease.safetensors'))).info as { metrics: { test: unknown } };
    const { models } = JSON.parse(readFileSync(join(folder, 'best', 'comparison.json'), 'utf8'));
    expect(kept.metrics.test).toEqual(models[1].metrics);
    expect(Object.keys(kept).sort()).toEqual(['data', 'input', 'metrics', 'trainingUsers']);

    const file = readFileSync(join(folder, 'm.st'));
    file[file.length - 300]! ^= 4;
    writeFileSync(join(folder, 'altered.st'), file);
    const altered = await recvae(folder, 'inspect', 'altered.st', '--json', 'out.json');
    expect(altered.code).toBe(1);
    expect(altered.stdout).toContain('does not hold: the file was altered');
    expect(altered.stderr).toMatch(/^recvae: altered\.st: it was altered: its checksum is /);
    expect(JSON.parse(readFileSync(join(folder, 'out.json'), 'utf8'))).toMatchObject({ model: 'recvae', holds: false });
    expect(await recvae(folder, 'inspect', 'likes.csv')).toMatchObject({ code: 1, stdout: '' });
    expect((await recvae(folder, 'inspect', 'none.st')).code).toBe(1);
  });
});

describe('smaller models', () => {
  test('pruned and in half precision, saved or made first', async () => {
    const folder = temporaryFolder();
    const data = planted();
    const model = await fit('ease', data, { lambda: 10 });
    const full = scoresOf(model, NEWCOMER);
    const path = (name: string) => join(folder, name);
    await model.save(path('full'));
    await model.save(path('half'), { precision: 'f16' });
    await model.save(path('top'), { topPerItem: 4 });
    await model.save(path('both'), { topPerItem: 4, precision: 'f16' });
    const half = await load(path('half'));
    expect(half.options).toEqual(model.options);
    for (const [at, score] of scoresOf(half, NEWCOMER).entries()) expect(score).toBeCloseTo(full[at]!, 3);
    const { tensors } = parse(readFileSync(path('both')));
    expect(tensors.get('model.weights.values')).toMatchObject({ type: 'F16', shape: [4 * 40] });
    const pruned = await load(path('top'));
    expect(
      pruned
        .recommend(NEWCOMER, { k: 5 })
        .items.map(({ id }) => id)
        .sort(),
    ).toEqual(
      model
        .recommend(NEWCOMER, { k: 5 })
        .items.map(({ id }) => id)
        .sort(),
    );
    await (await model.compact({ topPerItem: 4 })).save(path('again'));
    expect(readFileSync(path('again')).equals(readFileSync(path('top')))).toBe(true);
    const sizes = ['full', 'half', 'top', 'both'].map((name) => statSync(path(name)).size);
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    await expect((await fit('popularity', data)).save(path('none'), { topPerItem: 3 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: "the model to be made smaller is 'popularity'; allowed: ease, edlae, rdlae, deql",
    });
    await expect(model.save(path('none'), { topPerItem: 0 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(model.save(path('none'), { precision: 'f8' as never })).rejects.toMatchObject({
      message: "precision is \"f8\"; allowed: 'f16' or 'f32'",
    });
    expect(readdirSync(folder).sort()).toEqual(['again', 'both', 'full', 'half', 'top']);
  });

  test('on the command line, with what it costs', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    await recvae(folder, 'train', 'ease', 'likes.csv', '--set', 'lambda=10', '--test', '60', '--out', 'm.st');
    const flags = ['compact', 'm.st', 's.st', '--top-per-item', '3', '--precision', 'f16', '--held-out', 'likes.csv'];
    const { code, stdout, stderr } = await recvae(folder, ...flags, '--json', 'out.json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'saved: s.st\n' });
    expect(stdout).toMatch(
      /^before +\d.* KiB +0\.\d{4} ± 0\.\d{4}\nafter .*\ndifference +-\d+\.\d % +[-+]0\.\d{4} \(/m,
    );
    const result = JSON.parse(readFileSync(join(folder, 'out.json'), 'utf8'));
    expect(result.bytes).toEqual({
      before: statSync(join(folder, 'm.st')).size,
      after: statSync(join(folder, 's.st')).size,
    });
    for (const [file, mean] of [
      ['m.st', result.before.mean],
      ['s.st', result.after.mean],
    ]) {
      const evaluated = await recvae(folder, 'evaluate', file, 'likes.csv', '--json', '-');
      expect(JSON.parse(evaluated.stdout).metrics['ndcg@100'].mean).toBe(mean);
    }
    expect(result.difference).toBeCloseTo(result.after.mean - result.before.mean, 12);
    const { info } = await inspect(join(folder, 's.st'));
    expect(info).toMatchObject({
      compacted: { topPerItem: 3, precision: 'f16', metric: 'ndcg@100', after: result.after },
    });
    expect(await recvae(folder, 'compact', 'm.st', 'plain.st')).toMatchObject({ code: 0, stderr: 'saved: plain.st\n' });
    await recvae(folder, 'train', 'popularity', 'likes.csv', '--out', 'p.st');
    const refused = await recvae(folder, 'compact', 'p.st', 'q.st', '--top-per-item', '3');
    expect(refused).toMatchObject({
      code: 2,
      stderr: "recvae: the model to be made smaller is 'popularity'; allowed: ease, edlae, rdlae, deql\n",
    });
    expect((await recvae(folder, 'compact', 'm.st', 'q.st', '--precision', 'f8')).code).toBe(2);
    expect(readdirSync(folder)).not.toContain('q.st');
  });
});
