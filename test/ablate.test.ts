import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { ablationVerdict, findings } from '../dist/decide/ablate/verdict.js';
import {
  type AblatedModel,
  type AblateOptions,
  type AblateProgress,
  ablate,
  type ChangeComparison,
  evaluate,
  fit,
  Interactions,
  type Split,
  split,
} from '../dist/index.js';
import { recvae } from './command.js';
import { planted, temporaryFolder, writePlanted } from './planted.js';

const PRIOR = 'composite prior';
const WEIGHT = 'KL weight per user';
const TRAINING = 'alternating training';
const ENCODER = 'dense encoder';
const CHANGES = [PRIOR, WEIGHT, TRAINING, ENCODER];

const WIDTHS = { hiddenDim: 8, latentDim: 3, batchSize: 40, learningRate: 0.01 };
const SMALL: AblateOptions = { seeds: [1, 2], epochs: 2, options: WIDTHS, reference: WIDTHS };

let data: Split;
beforeAll(async () => {
  data = await split(planted(), { seed: 1, test: 0.3 });
});

/** What does not depend on the clock. */
const untimed = <T>(report: T): T =>
  JSON.parse(JSON.stringify(report, (key, value) => (key === 'seconds' || key === 'run' ? undefined : value)));

const average = (lists: Float64Array[]) =>
  lists[0]!.map((_, user) => lists.reduce((sum, list) => sum + list[user]!, 0) / lists.length);
const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('the designs', () => {
  test('the reference, none, each alone, each left out, all; eight comparisons of models that were trained', async () => {
    const { report, perUser } = await ablate(data, { ...SMALL, seed: 5 });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(report.changes).toEqual(CHANGES);
    const parts = [data.train, data.validation, data.test];
    const sum = (of: 'nUsers' | 'nInteractions') => parts.reduce((total, part) => total + part[of], 0);
    const [users, items, interactions] = [sum('nUsers'), data.train.nItems, sum('nInteractions')];
    expect(report.dataset).toEqual({ users, items, interactions, density: interactions / (users * items) });
    expect(report).toMatchObject({ seed: 5, seeds: [1, 2], metric: 'ndcg@100', testUsers: data.test.nScored });
    const best = report.models.slice(1).reduce((best, row) => (row.mean > best.mean ? row : best));
    expect(report.floor).toMatchObject({ part: 'test', users: data.test.nScored });
    expect(report.floor!.mean + report.floor!.difference).toBeCloseTo(best.mean, 12);
    const [reference, ...designs] = report.models;
    expect(reference).toMatchObject({ model: 'mult-vae', changes: [], options: { ...WIDTHS, epochs: 2 } });
    expect(designs.map(({ changes }) => changes)).toEqual([
      [],
      ...CHANGES.map((change) => [change]),
      [PRIOR, WEIGHT, TRAINING],
      [PRIOR, WEIGHT, ENCODER],
      [PRIOR, TRAINING, ENCODER],
      [WEIGHT, TRAINING, ENCODER],
      CHANGES,
    ]);
    for (const { model, changes, options, seeds } of designs) {
      expect(model).toBe('recvae');
      expect(options).toMatchObject({
        ...WIDTHS,
        epochs: 2,
        prior: changes.includes(PRIOR) ? 'composite' : 'standard',
        klWeight: changes.includes(WEIGHT) ? 'user' : 'constant',
        training: changes.includes(TRAINING) ? 'alternating' : 'joint',
        encoder: changes.includes(ENCODER) ? 'dense' : 'shallow',
      });
      expect(options).not.toHaveProperty('seed');
      expect(seeds).toMatchObject([
        { seed: 1, epochs: 2, atLimit: true },
        { seed: 2, epochs: 2, atLimit: true },
      ]);
    }
    expect(new Set(report.models.map(({ mean }) => mean)).size).toBe(11);

    // The same models by hand: values per user are means over seeds, differences are paired, alone and in the whole.
    const trained = async (at: number, seed: number) => {
      const { model, options } = report.models[at]!;
      const fitted = await fit(model, data, { ...options, seed } as never);
      return (await evaluate(fitted, data.test, { metrics: ['ndcg@100'] })).metrics['ndcg@100']!.perUser;
    };
    const [base, prior, whole, without] = await Promise.all(
      [1, 2, 11 - 1, 11 - 2].map(async (at) => {
        const lists = await Promise.all([1, 2].map((seed) => trained(at, seed)));
        expect(perUser[at]).toEqual(average(lists));
        expect(report.models[at]!.seeds.map(({ mean }) => mean)).toEqual(
          lists.map((list) => expect.closeTo(mean(list), 12)),
        );
        return lists;
      }),
    );
    const expected: [string, string, Float64Array[], Float64Array[]][] = [
      [PRIOR, 'alone', prior!, base!],
      [PRIOR, 'last', whole!, without!],
    ];
    for (const [change, kind, having, lacking] of expected) {
      const found = report.comparisons.find((row) => row.change === change && row.kind === kind)!;
      expect(found.difference).toBeCloseTo(mean(average(having)) - mean(average(lacking)), 12);
      for (const [at, ofSeed] of found.seeds.entries()) {
        expect(ofSeed).toBeCloseTo(mean(having[at]!) - mean(lacking[at]!), 12);
      }
      expect(found.interval[0]).toBeLessThanOrEqual(found.difference);
      expect(found.interval[1]).toBeGreaterThanOrEqual(found.difference);
    }

    expect(report.comparisons.map(({ change, kind }) => [change, kind])).toEqual([
      ...CHANGES.map((change) => [change, 'alone']),
      ...CHANGES.map((change) => [change, 'last']),
    ]);
    // Holm over all eight: the smallest p-value counts eight times.
    const smallest = Math.min(...report.comparisons.map(({ pValueUncorrected }) => pValueUncorrected));
    const corrected = Math.min(...report.comparisons.map(({ pValue }) => pValue));
    expect(corrected).toBeCloseTo(Math.min(8 * smallest, 1), 12);
  });

  test('all sixteen, with main effects over the eight pairs of each change', async () => {
    const { report, perUser } = await ablate(data, { ...SMALL, all: true, seeds: [3] });
    const designs = report.models.slice(1);
    expect(new Set(designs.map(({ changes }) => changes.join())).size).toBe(16);
    expect(report.comparisons).toHaveLength(12);
    for (const change of CHANGES) {
      const pairs = designs.flatMap((having, at) => {
        if (!having.changes.includes(change)) return [];
        const rest = having.changes.filter((other) => other !== change);
        const lacking = designs.findIndex(({ changes }) => changes.join() === rest.join());
        return [perUser[at + 1]!.map((value, user) => value - perUser[lacking + 1]![user]!)];
      });
      expect(pairs).toHaveLength(8);
      const main = report.comparisons.find((row) => row.change === change && row.kind === 'main')!;
      expect(main.difference).toBeCloseTo(mean(average(pairs)), 12);
      expect(main.seeds).toEqual([expect.closeTo(main.difference, 12)]);
    }
  });
});

describe('the words', () => {
  const row = (change: string, kind: ChangeComparison['kind'], difference: number, pValue: number, agree = true) => ({
    change,
    kind,
    difference,
    interval: [difference - 0.001, difference + 0.001] as [number, number],
    pValue,
    pValueUncorrected: pValue,
    detectable: 0.003,
    seeds: [difference, agree ? difference : -difference],
    established: pValue < 0.05 && agree,
  });
  const comparisons = [
    row(PRIOR, 'alone', 0.01, 0.0001),
    row(WEIGHT, 'alone', -0.01, 0.0001),
    row(TRAINING, 'alone', 0.01, 0.0001),
    row(ENCODER, 'alone', 0.01, 0.0001, false),
    row(PRIOR, 'last', 0.0002, 0.6),
    row(WEIGHT, 'last', -0.02, 0.0001),
    row(TRAINING, 'last', -0.01, 0.0001),
    row(ENCODER, 'last', 0.0004, 0.3),
  ];
  const seeds = (atLimit: boolean) => [
    { seed: 1, mean: 0, validation: 0, epochs: 9, atLimit, seconds: 1, curve: [], bestEpoch: null },
  ];
  const model = (name: AblatedModel['model'], atLimit: boolean): AblatedModel => ({
    model: name,
    changes: [],
    options: {},
    mean: 0,
    standardError: 0,
    seeds: seeds(atLimit),
  });

  test('a change pays, costs, depends on the others, or cannot be told', () => {
    expect(findings(comparisons).map(({ finding }) => finding)).toEqual(['pays', 'costs', 'depends', 'open']);
    expect(ablationVerdict(comparisons, [model('mult-vae', true), model('recvae', false)]).split('\n')).toEqual([
      'Pays here: composite prior (alone +0.0100, p < .001; in the whole between -0.0008 and +0.0012, not established, where ' +
        '0.0030 would mostly be seen).',
      'Does not pay, makes it worse: KL weight per user (alone -0.0100, p < .001; in the whole -0.0200, p < .001).',
      'Depends on the other changes: alternating training (alone +0.0100, p < .001; in the whole -0.0100, p < .001).',
      'Cannot be told: dense encoder (alone +0.0100, p < .001, but with both signs over the seeds; ' +
        'in the whole between -0.0006 and +0.0014, not established, where 0.0030 would mostly be seen).',
      'Intervals and p-values hold the chance of who the test users are, not that of training: over 2 seeds a difference ' +
        'varies by up to 0.0200.',
    ]);
  });

  test('trainings that the number of epochs stopped are told of, and what one seed says', () => {
    const once = comparisons.map((comparison) => ({ ...comparison, seeds: [comparison.difference] }));
    const verdict = ablationVerdict(once, [model('mult-vae', true), model('recvae', true), model('recvae', false)]);
    expect(verdict).toContain('not that of training, of which one seed says nothing.');
    expect(verdict).toContain('1 of 2 trainings were stopped by the number of epochs and not by patience');
  });
});

describe('the journal', () => {
  test('a job that was stopped goes on to the same report, whatever runs at the same time', async () => {
    const journal = join(temporaryFolder(), 'ablate.journal');
    const straight = await ablate(data, { ...SMALL, parallel: 1, threads: 1 });
    const reason = new Error('enough');
    const controller = new AbortController();
    const onProgress = ({ done }: AblateProgress) => {
      if (done === 9) controller.abort(reason);
    };
    const run = { ...SMALL, journal, parallel: 2, threads: 2 };
    await expect(ablate(data, { ...run, signal: controller.signal, onProgress })).rejects.toBe(reason);
    const kept = readFileSync(journal, 'utf8').trim().split('\n').length - 1;
    expect(kept).toBeGreaterThanOrEqual(9);
    expect(kept).toBeLessThan(22);

    const seen: AblateProgress[] = [];
    const resumed = await ablate(data, { ...run, onProgress: (progress) => seen.push(progress) });
    expect(untimed(resumed.report)).toEqual(untimed(straight.report));
    expect(resumed.perUser).toEqual(straight.perUser);
    const ended = seen.filter(({ ended }) => ended);
    expect(ended.map(({ done }) => done)).toEqual(Array.from({ length: 22 }, (_, at) => at + 1));
    expect(ended.filter(({ ended }) => ended!.found)).toHaveLength(kept);
    expect(seen.filter(({ epoch }) => epoch).length).toBe(2 * (22 - kept));
    expect(seen[0]).toMatchObject({ model: 'mult-vae', changes: [], seed: 1, trainings: 22 });

    // A seed more trains that seed alone; other data are refused.
    let trained = 0;
    await ablate(data, {
      ...run,
      seeds: [1, 2, 3],
      onProgress: ({ ended }) => {
        if (ended && !ended.found) trained += 1;
      },
    });
    expect(trained).toBe(11);
    const error = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('one of another job (data: ') };
    await expect(ablate(planted(), { ...run, seed: 2 })).rejects.toMatchObject(error);
  });

  test('a callback that throws stops the work with what it threw', async () => {
    const thrown = new Error('mine');
    const onProgress = () => {
      throw thrown;
    };
    await expect(ablate(data, { ...SMALL, onProgress })).rejects.toBe(thrown);
  });
});

test('arithmetic that fails is told with the model and the seed, once the others have ended', async () => {
  let ended = 0;
  const run = {
    ...SMALL,
    seeds: [7],
    options: { ...WIDTHS, learningRate: 1e30 },
    onProgress: (progress: AblateProgress) => {
      if (progress.ended) ended += 1;
    },
  };
  const error = { code: 'NUMERICAL', message: expect.stringMatching(/^recvae with .*, seed 7: /) };
  await expect(ablate(data, run)).rejects.toMatchObject(error);
  expect(ended).toBe(11);
});

describe('wrong use is found before any work', () => {
  const cases: [string, object, RegExp][] = [
    [
      'an option of a change',
      { options: { prior: 'standard' } },
      /^a key of options is 'prior'; allowed: others \(an ab/,
    ],
    ['a seed in options', { options: { seed: 3 } }, /^a key of options is 'seed'; allowed: others \(seeds has them\)/],
    ['a seed of the reference', { reference: { seed: 3 } }, /^a key of reference is 'seed'/],
    ['an option out of range', { options: { gamma: -1 } }, /^gamma is -1; allowed/],
    ['an unknown option', { options: { gama: 1 } }, /'gama'/],
    ['an option that the reference lacks', { reference: { gamma: 1 } }, /'gamma'/],
    ['options that are none', { options: 5 }, /^options is 5; allowed: an object/],
    ['epochs', { epochs: 0 }, /^epochs is 0/],
    ['no seed', { seeds: [] }, /^seeds is an array; allowed: a list of at least one seed/],
    ['a seed twice', { seeds: [1, 2, 1] }, /^seeds\[2\] is 1; allowed: seeds that differ/],
    ['a fractional seed', { seeds: [1, 1.5] }, /^seeds\[1\] is 1\.5; allowed: a whole number from 0/],
    ['a negative seed', { seed: -1 }, /^seed is -1/],
    ['parallel', { parallel: 0 }, /^parallel is 0; allowed: a whole number, 1 or more/],
    ['threads', { threads: 0 }, /^threads is 0/],
    ['all that is no answer', { all: 'yes' }, /^all is 'yes'; allowed: true or false/],
    ['a journal that is no path', { journal: 5 }, /^journal is 5; allowed: a string/],
    ['an unknown key', { seedz: [1] }, /'seedz'; allowed: all, seeds/],
  ];
  test.each(cases)('%s', async (_, options, message) => {
    // The data cannot be split, which would be found next.
    const nothing = Interactions.fromColumns({ users: ['u', 'u'], items: ['a', 'b'] });
    const error = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) };
    await expect(ablate(nothing, options as AblateOptions)).rejects.toMatchObject(error);
  });

  test('memory', async () => {
    await expect(ablate(data, { ...SMALL, memoryLimit: 1000 })).rejects.toMatchObject({ code: 'MEMORY' });
  });
});

describe('the command', () => {
  const sets = Object.entries(WIDTHS).flatMap(([key, value]) => [
    ...['--set', `${key}=${value}`],
    ...['--set', `mult-vae.${key}=${value}`],
  ]);

  test('table, JSON and journal', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const args = ['ablate', 'likes.csv', '--seeds', '1,2', '--epochs', '2', '--seed', '4', ...sets];
    const kept = ['--journal', 'a.journal'];
    const first = await recvae(folder, [...args, ...kept, '--json', 'a.json']);
    expect(first.code).toBe(0);
    expect(first.stderr).toMatch(/^\[22\/22\] .*, seed \d: 2 epochs, validation 0\.\d{4}, \d+\.\d s$/m);
    const [, results] = first.stdout.split('\n\n');
    const lines = results!.split('\n');
    expect(lines[0]).toMatch(
      /^model +composite prior +KL weight per user +alternating training +dense encoder +ndcg@100 +over seeds +epochs$/,
    );
    expect(lines[1]).toMatch(/^mult-vae +0\.\d{4} ± 0\.\d{4} +0\.\d{4}( to 0\.\d{4})? +2$/);
    expect(lines[11]).toMatch(/^recvae +✓ +✓ +✓ +✓ +0\.\d{4} ± /);
    expect(first.stdout).toMatch(
      /^dense encoder +in the whole +[-+]0\.\d{4} +[-+]0\.\d{4} +[-+]0\.\d{4} +p [<=] \.?\d/m,
    );
    expect(first.stdout).toMatch(/20 of 20 trainings were stopped by the number of epochs/);

    const report = JSON.parse(readFileSync(join(folder, 'a.json'), 'utf8'));
    const again = await recvae(folder, [...args, ...kept, '--json', '-']);
    expect({ ...JSON.parse(again.stdout), run: report.run }).toEqual(report);
    expect(again.stderr.match(/from the journal$/gm)).toHaveLength(22);
    const { report: ours } = await ablate(await Interactions.fromFile(join(folder, 'likes.csv')), {
      ...SMALL,
      seed: 4,
    });
    expect(untimed(report)).toEqual(untimed({ version: 1, ...ours }));
  });

  test('wrong use', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const cases: [string[], RegExp][] = [
      [['--set', 'encoder=dense'], /a key of options is 'encoder'/],
      [['--set', 'mult-vae.gamma=1'], /'gamma'/],
      [['--seeds', '1,x'], /--seeds is '1,x'; allowed: a number/],
      [['--parallel', '0'], /parallel is 0/],
      [['--journal', ''], /journal is ''; allowed: a path/],
      [['--json', ''], /--json is ''/],
    ];
    for (const [flags, message] of cases) {
      const { code, stdout, stderr } = await recvae(folder, ['ablate', 'likes.csv', ...flags]);
      expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringMatching(message) });
    }
    writeFileSync(join(folder, 'other.txt'), 'not a journal\n');
    const failed = await recvae(folder, ['ablate', 'likes.csv', '--journal', 'other.txt', '--json', 'a.json']);
    expect(failed).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('other.txt, line 1: not a line of a journal'),
    });
    expect(existsSync(join(folder, 'a.json'))).toBe(false);
  });
});
