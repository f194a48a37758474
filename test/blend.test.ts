import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { byCost } from '../dist/decide/compare/blend.js';
import { decide } from '../dist/decide/compare/verdict.js';
import {
  advise,
  type ComparedModel,
  type CompareProgress,
  compare,
  evaluate,
  fit,
  Interactions,
  inspect,
  load,
  type Model,
  type Progress,
  type Split,
  split,
  tune,
} from '../dist/index.js';
import { recvae } from './command.js';
import { NEWCOMER, planted, temporaryFolder, writePlanted } from './planted.js';

let data: Split;
let ease: Model<'ease'>;
let als: Model<'als'>;
beforeAll(async () => {
  data = await split(planted(400), { seed: 1, validation: 0.2 });
  ease = await fit('ease', data, { lambda: 20 });
  als = await fit('als', data, { factors: 8, epochs: 4, lambda: 0.02 });
});

const half = (scale: 'z-score' | 'rank' = 'z-score') =>
  fit('blend', data, { parts: [ease, als], weights: [0.5, 0.5], scale });

describe('a blend of two models', () => {
  test('is learnt, tells how, and is shared with nobody', async () => {
    const seen: Progress[] = [];
    const blend = await fit(
      'blend',
      data,
      { parts: [als, ease] },
      { info: { mine: 1 }, onProgress: (p) => seen.push(p) },
    );
    const { parts, dropped, tried, scale, validation, warnings } = blend.options;
    expect([...parts, ...dropped].map(({ model }) => model).sort()).toEqual(['als', 'ease']);
    expect(parts.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1, 9);
    expect(tried[0]).toMatchObject({ what: 'rank' });
    expect(['z-score', 'rank']).toContain(scale);
    expect(warnings).toEqual([]);
    expect([blend.kind, blend.info, blend.epochs]).toEqual(['blend', { mine: 1 }, []]);
    const { metrics, trainedUsers } = await evaluate(blend, data.validation, { metrics: ['ndcg@100'] });
    expect(validation).toBeCloseTo(metrics['ndcg@100']!.mean, 5);
    expect(trainedUsers).toBe(0);
    expect(seen.at(-1)).toMatchObject({ fraction: 1, epochs: 0 });
  });

  test('recommends in every form, and outlives its parts', async () => {
    const own = await fit('ease', data, { lambda: 20 });
    const blend = await fit('blend', data, { parts: [own, als], weights: [0.7, 0.3] });
    own.dispose();
    const one = blend.recommend(NEWCOMER, { k: 5 });
    expect(one.items.every(({ id }) => id.startsWith('i2-'))).toBe(true);
    expect(await blend.recommendBatch([NEWCOMER, []], { k: 5 })).toMatchObject([one, { items: { length: 5 } }]);
    const { items } = await blend.recommendColumns([NEWCOMER], { k: 5 });
    expect([...items].map((item) => blend.itemIds[item])).toEqual(one.items.map(({ id }) => id));
    for await (const { user, items } of blend.recommendStream([{ user: 'u', items: NEWCOMER }], { k: 5 })) {
      expect([user, items]).toEqual(['u', one.items]);
    }
    const filter = blend.filter({ deny: [one.items[0]!.id] });
    expect(blend.recommend(NEWCOMER, { k: 4, filter }).items).toEqual(one.items.slice(1));
    expect(blend.recommend(NEWCOMER, { k: 99, allow: ['i0-1', 'i2-9'] }).items).toHaveLength(2);
    expect(blend.similarItems('i2-0', 5).every(({ id }) => id.startsWith('i2-'))).toBe(true);
    const { reasons } = await blend.explain(NEWCOMER, one.items[0]!.id);
    expect(reasons).toHaveLength(5);
    await expect(blend.embed([NEWCOMER])).rejects.toThrow(/'blend'; allowed: als/);
    await expect(blend.compact({ precision: 'f16' })).rejects.toThrow(/'blend'; allowed: ease, edlae, rdlae, deql/);
  });

  test('is one file that holds its parts', async () => {
    const folder = temporaryFolder();
    const [path, ...parts] = ['blend', 'ease', 'als'].map((name) => join(folder, `${name}.safetensors`)) as [
      string,
      string,
      string,
    ];
    const blend = await half('rank');
    await blend.save(path);
    await ease.save(parts[0]!);
    await als.save(parts[1]!);
    const sizes = parts.map((part) => statSync(part).size);
    expect(statSync(path).size).toBeLessThanOrEqual(1.01 * sizes.reduce((sum, size) => sum + size));
    const found = await inspect(path);
    expect(found).toMatchObject({
      kind: 'blend',
      problem: null,
      options: { scale: 'rank', parts: [{ weight: 0.5 }, {}] },
    });
    const loaded = (await load(path)) as Model<'blend'>;
    expect(loaded.options).toEqual(blend.options);
    expect(loaded.recommend(NEWCOMER)).toEqual(blend.recommend(NEWCOMER));
    // A blend counts as its parts.
    const again = await fit('blend', data, { parts: [loaded, ease], scale: 'z-score', gate: false });
    expect([...again.options.parts, ...again.options.dropped]).toHaveLength(3);
  });

  const wrong: [string, () => Promise<unknown>, RegExp][] = [
    ['no parts', () => fit('blend', data, {} as never), /parts is undefined; allowed: trained models/],
    ['one part', () => fit('blend', data, { parts: [ease] }), /parts is 1 different models; allowed: 2 to 8/],
    ['an empty list', () => fit('blend', data, { parts: [] }), /parts is 'an empty list'/],
    [
      'what is no model',
      () => fit('blend', data, { parts: [ease, {} as Model] }),
      /parts\[1\] is an object; allowed: an instance of Model/,
    ],
    [
      'no split',
      () => fit('blend', planted() as never, { parts: [ease, als] }),
      /data is an object; allowed: an instance of Split/,
    ],
    [
      'an unknown option',
      () => fit('blend', data, { parts: [ease, als], lambda: 1 } as never),
      /blend option is 'lambda'; allowed: weights, scale, gate, seed/,
    ],
    [
      'weights of another sum',
      () => fit('blend', data, { parts: [ease, als], weights: [0.5, 0.6] }),
      /weights is \[0.5, 0.6\]; allowed: numbers with a sum of 1/,
    ],
    [
      'a checkpoint',
      () => fit('blend', data, { parts: [ease, als] }, { checkpoint: { path: 'x' } } as never),
      /'checkpoint'; allowed: threads/,
    ],
    ['options that are none', () => fit('blend', data, undefined as never), /options is undefined; allowed: an object/],
  ];
  test.each(wrong)('%s is refused', async (_, work, message) => {
    await expect(work()).rejects.toThrow(message);
  });

  test('needs the same items and validation users', async () => {
    const other = await split(planted(300), { seed: 2 });
    const few = Interactions.fromColumns({ users: ['a', 'a', 'b', 'b'], items: ['x', 'y', 'x', 'z'] });
    const foreign = await fit('ease', few, { lambda: 1 });
    await expect(fit('blend', data, { parts: [ease, foreign] })).rejects.toThrow(
      /item 0 is '.*' in the first and 'x' in part 2/,
    );
    const nobody = await split(planted(400), { seed: 1, validation: 0 });
    const own = [await fit('ease', nobody), await fit('edlae', nobody)];
    await expect(fit('blend', nobody, { parts: own })).rejects.toMatchObject({ code: 'INVALID_DATA' });
    other.dispose();
  });

  test('other commands refuse it with the reason', async () => {
    await expect(tune('blend', data)).rejects.toThrow(/a blend finds its weights when it is made/);
    await expect(advise(data, { models: ['blend'] })).rejects.toThrow(
      /model is 'blend'; allowed: models that are trained/,
    );
    await expect(fit('blend' as 'ease', data, { lambda: 3 })).rejects.toThrow(/parts is undefined/);
  });
});

describe('compare', () => {
  test('ends with the blend of what it has trained', async () => {
    const run = {
      models: ['blend' as const],
      seed: 2,
      search: false,
      options: { ease: { lambda: 2000 }, blend: { gate: false } },
    };
    const { report, models } = await compare(planted(400), run);
    const names = report.models.map(({ model }) => model);
    expect(names).toEqual(['popularity', 'ease', 'als', 'blend']);
    const row = report.models.at(-1)!;
    const { parts, dropped, tried } = models.get('blend')!.options as Model<'blend'>['options'];
    expect(row.options).toEqual(models.get('blend')!.options);
    expect([...parts, ...dropped].map(({ model }) => model).sort()).toEqual(['als', 'ease']);
    expect(tried.map(({ what }) => what)).toEqual(['rank']);
    const kept = report.models.filter(({ model }) => parts.some((part) => part.model === model));
    expect(row.seconds).toBeGreaterThan(kept.reduce((sum, { seconds }) => sum + seconds, 0));
    const { blend } = report;
    expect(blend!.differences.map(({ part }) => part)).toEqual(['ease', 'als']);
    const pair = report.paired.find(({ a, b, metric }) => a === 'blend' && b === 'als' && metric === 'ndcg@100')!;
    expect(blend!.differences[1]).toMatchObject({ difference: pair.difference, interval: pair.interval });
    expect(blend!.groups.map(({ by, name }) => `${by} ${name}`)).toContain('popularity head');
    for (const { differences } of blend!.groups) expect(differences).toHaveLength(2);
    expect(blend!.cost.map(({ model }) => model)).toEqual(['ease', 'als', 'blend']);
    for (const { bytes, microseconds } of blend!.cost) expect([bytes > 0, microseconds > 0]).toEqual([true, true]);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    const again = await compare(planted(400), run);
    expect(again.report.models.at(-1)!.metrics).toEqual(row.metrics);
    expect(again.report.models.at(-1)!.options).toEqual(row.options);
  });

  test('leaves out a blend of one model, which has its own row', async () => {
    const { report, models } = await compare(planted(400), {
      models: ['blend'],
      seed: 1,
      search: false,
      options: { ease: { lambda: 20 }, blend: { gate: false } },
    });
    expect(report.models.map(({ model }) => model)).toEqual(['popularity', 'ease', 'als']);
    const why = 'the best weights keep als alone, so it would be that model again';
    expect(report.skipped).toEqual([{ model: 'blend', what: 'model', why }]);
    expect(report.blend).toBeUndefined();
    // Its parts are not lost with it.
    expect(models.get('als')!.recommend(['i0-1'], { k: 1 }).items).toHaveLength(1);
  });

  test('goes on without one where there is nobody to find weights by', async () => {
    const { report } = await compare(planted(), {
      models: ['blend'],
      seed: 1,
      search: false,
      split: { validation: 0 },
    });
    expect(report.models.map(({ model }) => model)).toEqual(['popularity', 'ease', 'als']);
    expect(report.skipped).toEqual([{ model: 'blend', what: 'model', why: expect.stringMatching(/validation users/) }]);
    expect(report.blend).toBeUndefined();
  });

  test('goes on from a journal, after an abort in the blend, to the same blend', async () => {
    const journal = join(temporaryFolder(), 'trials.jsonl');
    const options = { als: { factors: 8, epochs: 4 }, blend: { gate: false } };
    const run = { models: ['blend' as const], seed: 1, tune: true, budget: 2, options };
    const whole = await compare(planted(400), run);
    const controller = new AbortController();
    const onProgress = ({ model, stage }: CompareProgress) => {
      if (model === 'blend' && stage === 'fit') controller.abort(new Error('enough'));
    };
    const stopped = compare(planted(400), { ...run, journal, signal: controller.signal, onProgress });
    await expect(stopped).rejects.toThrow('enough');
    const before = readFileSync(journal, 'utf8');
    expect(before.split('\n').length).toBeGreaterThan(4);
    const resumed = await compare(planted(400), { ...run, journal });
    // Every trial was there.
    expect(readFileSync(journal, 'utf8')).toBe(before);
    const row = ({ report }: typeof whole) =>
      report.models.map(({ model, options, metrics }) => [model, options, metrics]);
    expect(row(resumed)).toEqual(row(whole));
  });

  test('wrong options of a blend are found before any work', async () => {
    const options = { blend: { scale: 'log' as never } };
    await expect(compare(planted(), { models: [], options })).rejects.toThrow(
      /scale is "log"; allowed: 'z-score' or 'rank'/,
    );
  });

  test('a blend stands behind its costliest part, and is beaten by none that costs more', () => {
    const row = (model: string, mean: number, options: object = {}) =>
      ({
        model,
        options,
        metrics: { 'ndcg@100': { mean, standardError: 0.01 } },
        seconds: 1,
        untuned: [],
      }) as unknown as ComparedModel;
    const models = [
      row('popularity', 0.1),
      row('ease', 0.3),
      row('als', 0.31),
      row('recvae', 0.34),
      row('blend', 0.35, { parts: [{ model: 'ease' }, { model: 'als' }] }),
    ];
    const sorted = byCost(models);
    expect(sorted.map(({ model }) => model)).toEqual(['popularity', 'ease', 'als', 'blend', 'recvae']);
    expect(byCost(models.slice(0, 4))).toEqual(models.slice(0, 4));
    const paired = models.flatMap((b, at) =>
      models.slice(at + 1).map((a) => {
        const difference = a.metrics['ndcg@100']!.mean - b.metrics['ndcg@100']!.mean;
        const pValue = Math.abs(difference) > 0.02 ? 0.001 : 0.5;
        return {
          a: a.model,
          b: b.model,
          metric: 'ndcg@100',
          difference,
          interval: [0, 0] as [number, number],
          pValue,
          pValueUncorrected: pValue,
          detectable: 0.01,
        };
      }),
    );
    // RecVAE is not established to be worse, and costs more.
    expect(decide(sorted, paired, 'ndcg@100', { count: 100, part: 'test' }).winner).toBe('blend');
  });
});

test('on the command line', async () => {
  const folder = temporaryFolder();
  const input = writePlanted(folder);
  const run = (...args: string[]) => recvae(folder, args);
  await run('train', 'ease', input, '--seed', '1', '--set', 'lambda=20', '--out', 'a.st');
  await run('train', 'als', input, '--seed', '1', '--set', 'factors=8', '--out', 'b.st');
  const parts = ['--parts', 'a.st,b.st'];
  const made = await run('train', 'blend', input, '--seed', '1', ...parts, '--out', 'c.st', '--json', 'c.json');
  expect(made.stderr).toMatch(/blend made in .* s/);
  expect(made.stderr).toMatch(/blend: [\d.]+ (ease|als)/);
  expect(JSON.parse(readFileSync(join(folder, 'c.json'), 'utf8'))).toMatchObject({ model: 'blend', metrics: {} });
  expect((await run('inspect', 'c.st')).stdout).toMatch(/model +blend/);
  const asked = await recvae(folder, ['recommend', 'c.st', '-k', '2'], {
    input: `{"user":"u","items":${JSON.stringify(NEWCOMER)}}\n`,
  });
  expect(asked.code).toBe(0);
  expect(asked.stdout).toMatch(/i2-/);
  const seen = await run('train', 'blend', input, '--seed', '2', ...parts, '--out', 'd.st');
  expect(seen.stderr).toMatch(/^warning: part 1 \(ease\) was trained on \d+ of the \d+ validation users/m);
  const none = await run('train', 'blend', input, '--out', 'e.st');
  expect(none.stderr).toMatch(/blend is given no --parts/);
  const other = await run('train', 'ease', input, ...parts, '--out', 'e.st');
  expect(other.stderr).toMatch(/--parts has no meaning for ease/);
  const same = await run('train', 'blend', input, ...parts, '--out', 'a.st');
  expect(same.stderr).toMatch(/--out is 'a.st', as is --parts/);
  for (const { code } of [none, other, same]) expect(code).not.toBe(0);
});
