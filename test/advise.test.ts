import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inputWords } from '../dist/cli/advise.js';
import { planFor } from '../dist/decide/advise/plan.js';
import {
  type AdviceReport,
  type AdviseProgress,
  advise,
  estimateSeconds,
  Interactions,
  profile,
  split,
} from '../dist/index.js';
import { CLI } from './command.js';
import { planted, temporaryFolder, writePlanted } from './planted.js';

/** Small and quick. */
const QUICK = { seed: 1, users: 200, epochs: 2, options: { recvae: { hiddenDim: 16, latentDim: 4 } } };

/** A seeded generator of whole numbers below n. */
function generator(): (n: number) => number {
  let state = 99;
  return (n) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * n);
  };
}

/** Sparse: pairs of items that go together. Each user has four pairs of 60, so there is no taste but the pairs. */
function pairs(nUsers = 400): Interactions {
  const random = generator();
  const [users, items]: [string[], string[]] = [[], []];
  for (let user = 0; user < nUsers; user += 1) {
    const chosen = new Set(Array.from({ length: 4 }, () => random(60)));
    for (const pair of chosen) {
      users.push(`u${user}`, `u${user}`);
      items.push(`i${pair}-a`, `i${pair}-b`);
    }
  }
  return Interactions.fromColumns({ users, items });
}

/** Dense and of low rank: items on a ring, of which users like many near a point of it, and a few others. */
function ring(nUsers = 700, nItems = 300): Interactions {
  const random = generator();
  const [users, items]: [string[], string[]] = [[], []];
  for (let user = 0; user < nUsers; user += 1) {
    const at = random(nItems);
    for (let item = 0; item < nItems; item += 1) {
      const distance = Math.min((item - at + nItems) % nItems, (at - item + nItems) % nItems);
      if (random(1000) < 400 * Math.exp(-((distance / (nItems / 10)) ** 2)) + 5) {
        users.push(`u${user}`);
        items.push(`i${item}`);
      }
    }
  }
  return Interactions.fromColumns({ users, items });
}

describe('profile', () => {
  test('counts what there is, of a split its training users', async () => {
    const data = Interactions.fromColumns({
      users: ['a', 'a', 'a', 'b', 'b', 'b', 'c'],
      items: ['x', 'y', 'z', 'x', 'y', 'z', 'x'],
    });
    const found = await profile(data);
    expect(found).toMatchObject({ users: 3, items: 3, interactions: 7, shortUsers: 1, rareItems: 1, fullestUser: 1 });
    expect(found.density).toBeCloseTo(7 / 9, 14);
    expect(found.repeatedUsers).toBeCloseTo(1 / 3, 14);
    expect(found.perItem).toMatchObject({ min: 2, median: 2, max: 3 });
    expect(found.perUser.mean).toBeCloseTo(7 / 3, 14);
    expect(found.gini).toBeCloseTo(2 / 21, 14); // counts 2, 2, 3: (-2 * 2 + 0 * 2 + 2 * 3) / (3 * 7)
    expect(found.top20Percent + found.tail).toBeCloseTo(1, 14);
    const parts = await split(planted());
    expect((await profile(parts)).users).toBe(parts.train.nUsers);
    await expect(profile('debian' as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(profile(data, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
  });
});

describe('sample', () => {
  test('has the same validation users, the most popular items and no test users', async () => {
    const data = await split(planted());
    const [small, large] = [await data.sample({ users: 20, items: 30 }), await data.sample({ users: 60, items: 30 })];
    const all = await data.sample({ users: 60 });
    expect(all.train.itemIds()).toEqual(data.train.itemIds());
    expect([small.train.nUsers, small.train.nItems, small.test.nUsers]).toEqual([20, 30, 0]);
    expect(small.validation.userIds()).toEqual(data.validation.userIds());
    expect(large.train.userIds()).toEqual(expect.arrayContaining(small.train.userIds()));
    await expect(data.sample({ users: 1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('advise', () => {
  test('reports trial runs on growing samples, by groups, on validation users', async () => {
    const seen: AdviseProgress[] = [];
    const data = await split(planted(500), { seed: 1, validation: 0.3 });
    const report = await advise(data, { ...QUICK, onProgress: (progress) => seen.push(progress) });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(report.split).toEqual({
      trainingUsers: data.train.nUsers,
      items: data.train.nItems,
      validationUsers: data.validation.nScored,
      knownUsers: false,
    });
    // Networks on `users` and half of them, linear models on all training users besides.
    const all = data.train.nUsers;
    expect(report.samples.map(({ users }) => users)).toEqual([100, 200, all]);
    expect(report.sharedUsers).toBe(200);
    const tried = ['popularity', 'ease', 'edlae', 'als', 'recvae'];
    for (const { users, models, paired, activity, profile } of report.samples) {
      expect(models.map(({ model }) => model)).toEqual(users === all ? tried.slice(0, 4) : tried);
      expect(paired).toHaveLength(users === all ? 6 : 10);
      expect([profile.users, profile.items]).toEqual([users, data.train.nItems]);
      // The groups make up all validation users, and their means the mean.
      expect(activity.reduce((sum, { users }) => sum + users, 0)).toBe(data.validation.nScored);
      for (const { model, metrics } of models) {
        const sum = activity.reduce((sum, { users, means }) => sum + users * means[model]!.mean, 0);
        expect(sum / data.validation.nScored).toBeCloseTo(metrics['ndcg@100']!.mean, 12);
      }
      for (const { paired } of activity) expect(paired.map(({ b }) => b)).not.toContain('popularity');
    }
    const items = report.popularity.reduce((sum, { items }) => sum + items!, 0);
    expect(items).toBe(data.train.nItems);
    const recvae = report.samples[1]!.models[4]!;
    expect(recvae).toMatchObject({
      epochs: 2,
      unfinished: true,
      bestEpoch: 2,
      untuned: expect.arrayContaining(['gamma']),
      options: { hiddenDim: 16, batchSize: Math.round((500 * 200) / all) },
    });
    expect(report.samples[2]!.models[1]).toMatchObject({ model: 'ease', untuned: [] });
    expect(report.samples[2]!.models[1]!.search.length).toBeGreaterThan(0);
    expect(recvae.curve).toHaveLength(2);
    // Every model has a cost, also the one that was not tried.
    expect(report.cost.map(({ model }) => model)).toEqual(expect.arrayContaining([...tried, 'mult-vae']));
    for (const { seconds, fitMemory, refusal, law } of report.cost) {
      expect(seconds).toBeGreaterThan(0);
      expect(fitMemory).toBeGreaterThan(0);
      expect([refusal, law.length > 0]).toEqual([null, true]);
    }
    expect(report.costlier.map(({ model }) => model)).toEqual(['edlae', 'recvae']);
    expect(report.costlier[1]!.unfinished).toBe(true);
    // What was measured on all training users stands as it is, and what was not is carried on to them, with an
    // interval.
    const trends = new Map(report.trends.map((trend) => [trend.model, trend]));
    expect([...trends.keys(), report.leader].sort()).toEqual(['als', 'ease', 'edlae', 'recvae']);
    for (const { model, against, gaps, measured, expected, interval } of report.trends) {
      expect([against, measured]).toEqual([report.leader, model !== 'recvae']);
      expect(gaps.map(({ users }) => users)).toEqual(measured ? [100, 200, all] : [100, 200]);
      const [before, last] = gaps.slice(-2).map(({ gap }) => gap) as [number, number];
      const line = measured ? last : last + (last - before) * Math.log2(all / 200);
      expect(expected).toBeCloseTo(line, 10);
      expect(interval![0]).toBeLessThanOrEqual(expected!);
      expect(interval![1]).toBeGreaterThanOrEqual(expected!);
    }
    expect(report.reasons.join(' ')).toContain('It was not tuned (');
    expect(report.reasons.join(' ')).toContain("recvae's validation was best after 2 of its 2 epochs");
    expect(report.distrust.join(' ')).toContain('Order in time is ignored');
    expect(report.next[0]).toMatch(/^recvae compare <input> --seed 1 --models ease,als,.*recvae/);
    expect(new Set(seen.map(({ stage }) => stage))).toEqual(new Set(['search', 'fit']));
    expect(seen.at(-1)).toMatchObject({ step: 14, steps: 14, users: all });
  });

  test('searches anew where a sample has many times the users of the one before', async () => {
    const data = await split(planted(600), { seed: 1, validation: 0.3 });
    const { samples } = await advise(data, { ...QUICK, users: 40, models: ['als', 'recvae'] });
    expect(samples.map(({ users }) => users)).toEqual([20, 40, data.train.nUsers]);
    const searches = samples.map(({ models }) => models.find(({ model }) => model === 'als')!.search);
    const best = (search: (typeof searches)[number]) => search.reduce((a, b) => (b.validation > a.validation ? b : a));
    // One that goes on begins with the best options so far, one that begins anew with the default ones, as the first
    // does.
    expect(searches[1]![0]!.options).toEqual(best(searches[0]!).options);
    expect(searches[2]![0]!.options).toEqual(searches[0]![0]!.options);
    expect(searches[2]![0]!.options).not.toEqual(best(searches[1]!).options);
    expect(searches[2]!.length).toBeGreaterThan(searches[1]!.length);
  });

  test('the same seed gives the same numbers', async () => {
    const data = planted();
    const untimed = ({ samples, popularity }: AdviceReport) => ({
      popularity,
      samples: samples.map(({ models, ...rest }) => ({
        ...rest,
        models: models.map(({ seconds: _, peakMemory: __, searchSeconds: ___, ...model }) => model),
      })),
    });
    const [one, two] = [await advise(data, QUICK), await advise(data, { ...QUICK, threads: 1 })];
    expect(untimed(one)).toEqual(untimed(two));
  });

  test('all models on all training users: what leads is advised, and no trend is needed', async () => {
    const run = { ...QUICK, users: 1000, models: [], split: { validation: 0.5 } };
    const [dense, sparse] = [await advise(ring(), run), await advise(pairs(), run)];
    for (const { samples, split, trends, open } of [dense, sparse]) {
      expect(samples.map(({ users }) => users)).toEqual([split.trainingUsers]);
      expect([trends.every(({ measured }) => measured), open]).toEqual([true, []]);
    }
    // Few users and many items: a factorisation needs less to learn the ring than EASE^R's matrix does.
    expect([dense.model, Object.keys(dense.options).sort()]).toEqual(['als', ['alpha0', 'factors', 'lambda']]);
    expect(dense.verdict).toMatch(
      /^Use als: it leads on all \d+ training users \(ndcg@100 .* to ease, the next one; 95 % interval /,
    );
    // Both find all pairs.
    expect(sparse.model).toBe(sparse.leader);
    expect(dense.profile.density).toBeGreaterThan(0.05);
    expect(sparse.profile.perUser.max).toBe(8);
    expect(dense.next.at(-1)).toMatch(/^recvae train als <input> --seed 1 --set .*--out als.safetensors$/);
  });

  test('data without taste: nothing beats popularity, and that is the advice', async () => {
    const random = generator();
    const [users, items]: [string[], string[]] = [[], []];
    for (let user = 0; user < 300; user += 1) {
      const chosen = new Set(Array.from({ length: 10 }, () => Math.floor((random(1000) * random(1000)) / 16_000)));
      for (const item of chosen) users.push(`u${user}`) && items.push(`i${item}`);
    }
    const report = await advise(Interactions.fromColumns({ users, items }), { ...QUICK, models: [] });
    expect([report.model, report.open, report.options]).toEqual(['popularity', [], {}]);
    expect(report.verdict).toContain(
      'Use popularity: nothing was found in these data, as no model beats popularity, the floor,',
    );
    expect(report.verdict).not.toMatch(/cheaper|stays/);
  });

  test('a model without the memory is refused with words, and not advised', async () => {
    const data = await split(planted(), { seed: 1 });
    // RecVAE with its usual widths has millions of parameters.
    const report = await advise(data, { ...QUICK, options: {}, memoryLimit: 4.9e6, threads: 2 });
    expect(report.refused.map(({ model }) => model)).toContain('recvae');
    expect(report.reasons.join(' ')).toContain('recvae was not tried: recvae on');
    expect(report.samples[0]!.models.map(({ model }) => model)).not.toContain('recvae');
    await expect(advise(data, { ...QUICK, memoryLimit: 1e6 })).rejects.toMatchObject({ code: 'MEMORY' });
  });

  test('refuses what is not allowed, before any work', async () => {
    const data = planted();
    for (const [options, text] of [
      [{ users: 1 }, 'users'],
      [{ items: 0 }, 'items'],
      [{ epochs: 0 }, 'epochs'],
      [{ seed: -1 }, 'seed'],
      [{ models: ['svd'] }, 'svd'],
      [{ info: 1 }, 'info'],
    ] as const) {
      await expect(advise(data, options as never), text).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(text),
      });
    }
    await expect(advise(data, { split: { validation: 0 } })).rejects.toMatchObject({
      code: 'INVALID_DATA',
      message: '0 of 0 validation users have anything to find; allowed: 2 or more, of whom models are judged by',
    });
  });

  test('stops by its signal and by a callback that throws', async () => {
    const data = planted();
    const controller = new AbortController();
    const onProgress = ({ model }: AdviseProgress) => model === 'als' && controller.abort(new Error('enough'));
    await expect(advise(data, { ...QUICK, signal: controller.signal, onProgress })).rejects.toThrow('enough');
    const failing = () => {
      throw new Error('no more');
    };
    await expect(advise(data, { ...QUICK, onProgress: failing })).rejects.toThrow('no more');
  });
});

describe('recvae advise', () => {
  const run = (folder: string, ...flags: string[]) =>
    spawnSync(process.execPath, [CLI, 'advise', ...flags], { cwd: folder, encoding: 'utf8' });

  test('prints its sections, and all numbers as JSON', () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const small = ['--users', '60', '--epochs', '2', '--set', 'recvae.hiddenDim=16', '--set', 'recvae.latentDim=4'];
    const flags = ['likes.csv', '--seed', '1', '--min-user', '6', ...small, '--json', 'advice.json'];
    const { status, stdout, stderr } = run(folder, ...flags);
    expect(stderr).toMatch(/\[1\/14\] popularity on 30 users trains\n[\s\S]*recvae on 60 users epoch 2\/2/);
    expect(status).toBe(0);
    const titles = ['Data', 'Cost on all training users', 'Trial runs', 'Who is served how well', 'Advice'];
    for (const title of titles) expect(stdout).toContain(`${title}\n${'-'.repeat(title.length)}\n`);
    const report = JSON.parse(readFileSync(join(folder, 'advice.json'), 'utf8')) as AdviceReport;
    expect(report.next[0]).toMatch(/^recvae compare likes.csv --min-user 6 --seed 1 --models ease,als,.*recvae/);
    expect(stdout).toContain(`  npx ${report.next[0]}`);
    for (const line of [...report.reasons, ...report.distrust]) expect(stdout).toContain(`- ${line}`);
    expect(report.samples.map(({ users }) => users)).toEqual([30, 60, report.split.trainingUsers]);
    expect(stdout).toContain('What the samples look like beside the data');
  });

  test('plans samples by the options that are given, and a network on none without linear models', async () => {
    const data = await split(await Interactions.synth({ like: 'ml-20m', scale: 0.02, seed: 1 }), { seed: 1 });
    const plan = (als: Record<string, unknown>) => {
      const settings = new Map(Object.entries({ popularity: {}, als, recvae: { epochs: 1 } }));
      return planFor(data, { settings: settings as never, users: 2000 }).samples;
    };
    const [usual, costly] = [plan({}), plan({ factors: 1024, epochs: 1000 })];
    expect(usual.map(({ users }) => users)).toEqual([1000, 2000, data.train.nUsers]);
    expect(costly.map(({ users }) => users)).toEqual([125, 250]);
    for (const { models } of [...usual, ...costly]) expect(models).toContain('als');
  });

  test('tries a network on the samples of those that take more time, beside which it is judged', async () => {
    const data = await split(await Interactions.synth({ like: 'ml-20m', scale: 0.02, seed: 1 }), { seed: 1 });
    const small = { hiddenDim: 16, latentDim: 8 };
    const seconds = (epochs: number) =>
      estimateSeconds('recvae', {
        users: 1000,
        items: data.train.nItems,
        interactions: 100_000,
        threads: 2,
        options: { ...small, epochs },
      });
    const epochs = Math.ceil((1000 * 60) / seconds(1000)); // so many that 1,000 users take longer than a minute
    const settings = Object.entries({
      popularity: {},
      ease: {},
      'mult-vae': { ...small, epochs: 1 },
      recvae: { ...small, epochs },
    });
    const { samples } = planFor(data, { settings: new Map(settings) as never, users: 2000 });
    const on = (model: string) =>
      samples.flatMap(({ users, models }) => (models.includes(model as never) ? [users] : []));
    expect(on('recvae')).toHaveLength(2);
    expect(on('recvae').at(-1)!).toBeLessThan(2000);
    expect(on('mult-vae')).toEqual([...new Set([...on('recvae'), 1000, 2000])].sort((a, b) => a - b));
    expect(on('ease')).toEqual(expect.arrayContaining(on('mult-vae')));
  });

  test('repeats the input in commands that a shell takes', () => {
    expect(inputWords('likes.csv', { header: false, minUser: 6, split: 'time' } as never)).toBe(
      'likes.csv --no-header --min-user 6 --split time',
    );
    const weighted = { value: 'plays', minValue: 1, weighted: true };
    expect(inputWords('plays.csv', weighted as never)).toBe('plays.csv --value plays --min-value 1 --weighted');
    expect(inputWords("it's\n.csv", {} as never)).toBe("$'it\\'s\\n.csv'");
  });

  test('refuses bad flags before it reads', () => {
    const folder = temporaryFolder();
    for (const [flags, text] of [
      [['--users', '1'], 'users is 1; allowed'],
      [['--items', '1.5'], 'items is 1.5; allowed'],
      [['--models', 'svd'], "model is 'svd'; allowed"],
      [['--set', 'lambda=1'], "--set is 'lambda'; allowed"],
      [['--users', 'many'], "--users is 'many'; allowed: a number"],
      [['--json', ''], "--json is ''; allowed: a path"],
    ] as const) {
      const { status, stderr } = run(folder, 'nothing.csv', ...flags);
      expect([status, stderr]).toEqual([2, expect.stringContaining(text)]);
    }
    expect(run(folder, 'nothing.csv', '--json', 'advice.json').status).toBe(1);
    expect(existsSync(join(folder, 'advice.json'))).toBe(false);
  });
});
