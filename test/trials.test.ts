/** Trials run in any number at once with the same results, and their journal survives what stops them. */
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { estimateMemory, fit, type Model, type Split, split } from '../dist/index.js';
import { Journal } from '../dist/search/journal.js';
import { keyOf, runTrials, shareOf, type Trial, type TrialProgress, type TrialResult } from '../dist/search/trials.js';
import { planted, temporaryFolder } from './planted.js';

const HEADER = { command: 'test', data: 'some' };
const SMALL = { hiddenDim: 8, latentDim: 4, epochs: 4, batchSize: 20 };
const TRIALS: Trial[] = [
  { model: 'ease', options: { lambda: 1 } },
  { model: 'recvae', options: { ...SMALL, gamma: 0.01 } },
  { model: 'ease', options: { lambda: 50 } },
  { model: 'mult-vae', options: SMALL },
  { model: 'popularity', options: {} },
];

async function data(): Promise<Split> {
  return split(planted(), { seed: 1 });
}

const withoutSeconds = (results: TrialResult[]) => results.map(({ seconds: _, ...rest }) => rest);

describe('the journal', () => {
  test('holds what was added, in memory and in a file', () => {
    const path = join(temporaryFolder(), 'job.journal');
    for (const at of [undefined, path]) {
      using journal = Journal.open(at, HEADER);
      expect(journal.done.size).toBe(0);
      journal.add('a', { number: 1 });
      journal.add('b', [2]);
      expect(journal.done.get('a')).toEqual({ number: 1 });
    }
    {
      using journal = Journal.open(path, HEADER);
      expect([...journal.done]).toEqual([
        ['a', { number: 1 }],
        ['b', [2]],
      ]);
      expect(existsSync(`${path}.lock`)).toBe(true);
    }
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  test('a last line that is cut off anywhere is dropped, and written again', () => {
    const path = join(temporaryFolder(), 'job.journal');
    {
      using journal = Journal.open(path, HEADER);
      journal.add('a', 'é');
      journal.add('b', 2);
    }
    const whole = readFileSync(path);
    const lines = (length: number) => whole.subarray(0, length).toString('latin1').split('\n').length - 1;
    for (let length = 0; length < whole.length; length += 3) {
      writeFileSync(path, whole.subarray(0, length));
      {
        using journal = Journal.open(path, HEADER);
        expect(journal.done.size).toBe(Math.max(lines(length) - 1, 0));
        for (const [key, value] of [
          ['a', 'é'],
          ['b', 2],
        ] as const)
          if (!journal.done.has(key)) journal.add(key, value);
      }
      expect(readFileSync(path)).toEqual(whole);
    }
  });

  test('another job, another file and another process are refused, and stay as they are', () => {
    const folder = temporaryFolder();
    const path = join(folder, 'job.journal');
    const journal = Journal.open(path, HEADER);
    expect(() => Journal.open(path, HEADER)).toThrow(`journal is '${path}', which process ${process.pid} uses`);
    journal[Symbol.dispose]();
    const before = readFileSync(path);
    expect(() => Journal.open(path, { ...HEADER, data: 'other', seed: 1 })).toThrow(
      `journal is '${path}', which is one of another job (data: "some" there, "other" now; seed: null there, 1 now); allowed: `,
    );
    expect(readFileSync(path)).toEqual(before);
    const likes = join(folder, 'likes.csv');
    for (const text of ['user,item\nu,i\n', 'user,item', '5\n', 'null\n', '{}\n']) {
      writeFileSync(likes, text);
      expect(() => Journal.open(likes, HEADER), text).toThrow(/likes\.csv, line 1: not a line of a journal; allowed/);
      expect(readFileSync(likes, 'utf8')).toBe(text);
    }
    appendFileSync(path, '{"key":5}\n');
    expect(() => Journal.open(path, HEADER)).toThrow(/line 2: not a line of a journal/);
    expect(() => Journal.open('', HEADER)).toThrow("journal is ''; allowed: a path");
    expect(() => Journal.open(join(folder, 'none', 'job'), HEADER)).toThrow(
      expect.objectContaining({ code: 'IO' }) as Error,
    );
    expect(readdirSync(folder).sort()).toEqual(['job.journal', 'likes.csv']);
  });

  test('the lock of a process that was killed counts for nothing', async () => {
    const path = join(temporaryFolder(), 'job.journal');
    const script = `import { Journal } from ${JSON.stringify(new URL('../dist/search/journal.js', import.meta.url).href)};
      Journal.open(${JSON.stringify(path)}, ${JSON.stringify(HEADER)}).add('a', 1);
      console.log('ready'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    expect(() => Journal.open(path, HEADER)).toThrow(`which process ${child.pid} uses`);
    const closed = new Promise((resolve) => child.on('close', resolve));
    child.kill('SIGKILL');
    await closed;
    using journal = Journal.open(path, HEADER);
    expect(journal.done.get('a')).toBe(1);
  });
});

describe('trials', () => {
  test('give the same whatever runs at once, in their order', async () => {
    const split = await data();
    const judge = async (model: Model) => model.recommend(['i1-0'], { k: 3 }).items.map(({ id }) => id);
    const first = await runTrials(TRIALS, { data: split, parallel: 1, threads: 1, judge });
    expect(first.map(({ model }) => model)).toEqual(TRIALS.map(({ model }) => model));
    const second = await runTrials(TRIALS, { data: split, parallel: 3, threads: 3, judge });
    expect(withoutSeconds(second)).toEqual(withoutSeconds(first));
    for (const [at, { model, options }] of TRIALS.entries()) {
      using straight = await fit(model, split, options as never);
      expect(first[at]).toMatchObject({ options: straight.options, epochs: straight.epochs.length });
      expect(first[at]!.judged).toEqual(await judge(straight));
      const curve = straight.epochs.map(({ validation }) => validation!);
      expect(first[at]!.curve).toEqual(curve);
      // Epochs are judged by the very numbers that the finished model has.
      if (curve.length > 0) expect(first[at]!.validation).toBe(Math.max(...curve));
    }
  });

  test('every epoch is told, and one that is hopeless is stopped', async () => {
    const epochs: number[] = [];
    const trial: Trial = { model: 'recvae', options: { ...SMALL, epochs: 1e6, patience: 1e6 } };
    const [stopped, whole] = await runTrials([trial, { model: 'recvae', options: SMALL }], {
      data: await data(),
      parallel: 2,
      hopeless: (at, curve) => at === 0 && curve.length >= 5,
      onProgress: ({ at, epoch }: TrialProgress) => at === 0 && epoch && epochs.push(epoch.epoch),
    });
    expect(stopped).toMatchObject({ stopped: 'hopeless', epochs: stopped!.curve.length });
    expect(stopped!.epochs).toBeGreaterThanOrEqual(5);
    expect(stopped!.epochs).toBeLessThan(1e6);
    expect(epochs).toEqual(epochs.map((_, at) => at + 1));
    expect(stopped!.validation).toBe(Math.max(...stopped!.curve));
    expect(whole).not.toHaveProperty('stopped');
  });

  test('go on from a journal without running what has ended', async () => {
    const split = await data();
    const path = join(temporaryFolder(), 'job.journal');
    const whole = await runTrials(TRIALS, { data: split });
    const abort = new AbortController();
    {
      using journal = Journal.open<TrialResult>(path, HEADER);
      const onProgress = ({ at, result }: TrialProgress) => at === 2 && result && abort.abort(new Error('enough'));
      const run = { data: split, journal, parallel: 1, signal: abort.signal, onProgress };
      await expect(runTrials(TRIALS, run)).rejects.toThrow('enough');
    }
    using journal = Journal.open<TrialResult>(path, HEADER);
    expect([...journal.done.keys()]).toEqual(TRIALS.slice(0, 3).map((trial) => keyOf(trial)));
    const trained: number[] = [];
    const found: number[] = [];
    const results = await runTrials(TRIALS, {
      data: split,
      journal,
      take: (model, at) => {
        trained.push(at);
        model.dispose();
      },
      onProgress: (progress) => progress.found && found.push(progress.at),
    });
    expect(trained.sort()).toEqual([3, 4]);
    expect(found).toEqual([0, 1, 2]);
    expect(withoutSeconds(results)).toEqual(withoutSeconds(whole));
  });

  test('arithmetic that fails is a result, another failure stops all', async () => {
    const split = await data();
    const bad: Trial = { model: 'recvae', options: { ...SMALL, learningRate: 1e30 } };
    const results = await runTrials([bad, TRIALS[0]!], { data: split });
    expect(results[0]).toMatchObject({ validation: null, failed: expect.stringMatching(/./) });
    expect(results[1]!.validation).toBeGreaterThan(0);
    const wrong: Trial = { model: 'ease', options: { lambda: -1 } };
    await expect(runTrials([TRIALS[0]!, wrong], { data: split })).rejects.toThrow(/lambda is -1; allowed/);
    const onProgress = () => {
      throw new Error('not mine');
    };
    await expect(runTrials(TRIALS, { data: split, onProgress })).rejects.toThrow('not mine');
  });

  test('as many run at once as the memory allows', async () => {
    const split = await data();
    const shape = { users: split.train.nUsers, items: split.train.nItems, interactions: split.train.nInteractions };
    const { fit } = estimateMemory('ease', { ...shape, threads: 1 });
    const trials = [1, 2, 3].map((lambda): Trial => ({ model: 'ease', options: { lambda } }));
    const share = (memoryLimit?: number, beside = 0) =>
      shareOf(trials, { data: split, threads: 3, memoryLimit, beside }).parallel;
    expect(share()).toBe(3);
    expect(share(3 * fit)).toBe(3);
    expect(share(3 * fit - 1)).toBe(2);
    expect(share(estimateMemory('ease', { ...shape, threads: 3 }).fit + 2 * fit, 2 * fit)).toBe(1);
    expect(() => share(fit - 1)).toThrow(expect.objectContaining({ code: 'MEMORY' }) as Error);
    expect(shareOf(trials, { data: split, parallel: 1, threads: 3 })).toMatchObject({ parallel: 1, threads: 3 });
    const results = await runTrials(trials, { data: split, threads: 3, memoryLimit: 2 * fit });
    expect(results.every(({ validation }) => validation !== null)).toBe(true);
  });
});
