/** Comparisons again and again: what is drawn anew, and where the variance comes from. */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type ComparisonReport, compareRepeatedly, type RepeatRun, split } from '../dist/index.js';
import { recvae } from './command.js';
import { planted, temporaryFolder, writePlanted } from './planted.js';

const OPTIONS = {
  models: ['popularity', 'ease', 'als'],
  search: false,
  epochs: 2,
  options: { als: { factors: 4 } },
} as const;
const drawn = (runs: RepeatRun[]) => runs.map(({ seed, splitSeed, fold }) => [seed, splitSeed, fold]);

describe('compareRepeatedly', () => {
  test('draws splits and seeds, and takes the variance apart', async () => {
    const told: (number | undefined)[] = [];
    const { report, models } = await compareRepeatedly(planted(), {
      ...OPTIONS,
      repeat: 3,
      seed: 7,
      onProgress: ({ run, runs, plan }) => plan && told.push(run, runs),
    });
    const { repeat } = report;
    expect(told).toEqual([1, 5, 2, 5, 3, 5, 4, 5, 5, 5]);
    expect(drawn(repeat.runs)).toEqual([
      [7, 7, undefined],
      [8, 8, undefined],
      [9, 9, undefined],
      [8, 7, undefined],
      [9, 7, undefined],
    ]);
    expect([repeat.splits, repeat.seeds, repeat.metric]).toEqual([3, 3, 'ndcg@100']);
    // The report is that of the first one, whose models are there.
    expect(report.models.find(({ model }) => model === 'ease')!.metrics['ndcg@100']!.mean).toBe(
      repeat.runs[0]!.means.ease,
    );
    expect(models.get('ease')!.recommend(['i0-1'], { k: 1 }).items).toHaveLength(1);
    const of = (name: string) => repeat.models.find(({ model }) => model === name)!.metrics['ndcg@100']!;
    // Closed forms draw nothing; the first factors of iALS are drawn.
    expect([of('ease').seed, of('popularity').seed]).toEqual([0, 0]);
    expect(of('als').seed).toBeGreaterThan(0);
    for (const { metrics } of repeat.models) {
      expect(metrics['coverage@100']).toBeUndefined();
      const { users, split, between } = metrics['ndcg@100']!;
      for (const part of [users, between!]) expect(part).toBeGreaterThan(0);
      expect(split).toBeLessThanOrEqual(between!);
    }
    const mean = repeat.runs.slice(0, 3).reduce((sum, { means }) => sum + means.ease! / 3, 0);
    expect(of('ease').mean).toBeCloseTo(mean, 12);
    expect(repeat.models.reduce((sum, { wins }) => sum + wins, 0)).toBe(5);
    const [difference] = repeat.differences.filter(({ model }) => model === 'popularity');
    expect(difference!.metrics['ndcg@100']!.mean).toBeCloseTo(of('popularity').mean - of(repeat.winner).mean, 12);
    expect(difference!.ahead).toBe(0);
  });

  test('takes one fold after the other, and seeds alone where the split stays', async () => {
    const folds = await compareRepeatedly(planted(), {
      ...OPTIONS,
      repeat: 2,
      split: { kind: 'folds', folds: 3, fold: 3 },
    });
    expect(drawn(folds.report.repeat.runs)).toEqual([
      [0, 0, 3],
      [1, 0, 1],
      [1, 0, 3],
    ]);
    const same = await compareRepeatedly(await split(planted()), { ...OPTIONS, repeat: 2 });
    const { repeat } = same.report;
    expect([repeat.runs.length, repeat.splits, repeat.seeds]).toEqual([2, 1, 2]);
    expect(repeat.models[0]!.metrics['ndcg@100']).toMatchObject({ split: null, between: null });
  });

  test('refuses what makes no sense', async () => {
    const data = planted();
    for (const repeat of [1, 2.5, 101, '3', undefined]) {
      await expect(compareRepeatedly(data, { ...OPTIONS, repeat: repeat as number })).rejects.toThrow(
        /^repeat is .*; allowed: a whole number from 2 to 100$/,
      );
    }
    await expect(compareRepeatedly(data, { ...OPTIONS, repeat: 6, split: { kind: 'folds' } })).rejects.toThrow(
      'repeat is 6; allowed: at most 5, as there are so many folds (folds)',
    );
    // Seeds that come after the given ones are looked at before any work, too.
    const [seed, most] = [2 ** 53, 2 ** 32 - 1];
    for (const [wrong, text] of [
      [{ seed }, 'seed is 9007199254740992; allowed: at most 2^53 - 2, as repeat takes the 2 after it, too'],
      [{ seed: 1, split: { seed } }, 'split.seed is 9007199254740992; allowed: at most 2^53 - 2'],
      [{ split: { generator: 'numpy', seed: most } }, 'seed is 4294967297; allowed: at most 4294967295'],
    ] as const) {
      let begun = false;
      const onProgress = () => {
        begun = true;
      };
      await expect(compareRepeatedly(data, { ...OPTIONS, ...wrong, repeat: 3, onProgress })).rejects.toThrow(text);
      expect(begun).toBe(false);
    }
  });

  test('is compare --repeat', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const args = ['compare', 'likes.csv', '--models', 'ease', '--no-search', '--epochs', '2', '--set', 'als.factors=4'];
    const { code, stdout, stderr } = await recvae(folder, [...args, '--repeat', '2', '--json', 'r.json']);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toContain('comparison 3 of 3');
    expect(stdout).toContain('ndcg@100 on 2 splits, and with 2 training seeds on the first one');
    expect(JSON.parse(readFileSync(join(folder, 'r.json'), 'utf8')).repeat.runs).toHaveLength(3);
    for (const [more, text] of [
      [['--repeat', '1'], '--repeat is 1; allowed: a whole number from 2 to 100'],
      [['--repeat', '2', '--journal', 'j', '--json', 'j.3'], "--journal is 'j.3', as is --json; allowed: another file"],
    ] as const) {
      const wrong = await recvae(folder, [...args, ...more]);
      expect([wrong.code, wrong.stderr]).toEqual([2, `recvae: ${text}\n`]);
    }
  });

  test('goes on from the journals of its comparisons', async () => {
    const journal = join(temporaryFolder(), 'j');
    const options = { models: ['ease'], options: { als: { factors: 8 } }, repeat: 2, journal } as const;
    const searched = (report: ComparisonReport) => report.models.map(({ search }) => search);
    const { report: first } = await compareRepeatedly(planted(), options);
    const names = ['j', 'j.2', 'j.3'];
    const kept = () => names.map((name) => readFileSync(join(dirname(journal), name), 'utf8'));
    const lines = kept();
    // A header, and each trial.
    for (const text of lines) expect(text.split('\n').length).toBeGreaterThan(5);
    expect(new Set(lines).size).toBe(3);
    // Whoever has half of it goes on, to the same trials, and adds none that were there.
    const cut = lines[1]!.split('\n').slice(0, 4).join('\n');
    writeFileSync(join(dirname(journal), 'j.2'), `${cut}\n`);
    const { report: again } = await compareRepeatedly(planted(), options);
    expect(again.repeat.runs).toEqual(first.repeat.runs);
    expect(searched(again).map((trials) => trials.length)).toEqual(searched(first).map((trials) => trials.length));
    const after = kept();
    expect([after[0], after[2]]).toEqual([lines[0], lines[2]]);
    expect(after[1]!.split('\n').length).toBe(lines[1]!.split('\n').length);
    // The journal of another comparison is refused.
    writeFileSync(join(dirname(journal), 'j.2'), lines[2]!);
    await expect(compareRepeatedly(planted(), options)).rejects.toThrow(/j\.2', which is one of another job/);
  });
});
