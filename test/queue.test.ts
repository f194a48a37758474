/** Trials by several processes, by BullMQ and a Redis of the test's own. Skipped where there is none. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CLI, recvae } from './command.js';
import { writePlanted } from './planted.js';
import { folderOf, freePort } from './postgres.js';

const bin = folderOf('redis-server');

/** A process, what it has said on stderr, and its end. */
interface Started {
  process: ChildProcess;
  said: () => string;
  ended: Promise<unknown>;
}

const JOB = ['tune', 'recvae', 'likes.csv', '--seed', '1', '--validation', '40', '--test', '40', '--no-examples'];
const SMALL = ['hiddenDim=48', 'latentDim=16', 'batchSize=20', 'epochs=40'].flatMap((option) => ['--set', option]);

describe.skipIf(bin === undefined)('tune --queue', () => {
  let [folder, url] = ['', ''];
  let redis: ChildProcess;
  const started: Started[] = [];

  function start(...args: string[]): Started {
    const child = spawn(process.execPath, [CLI, ...args], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    const one = { process: child, said: () => said, ended: new Promise((resolve) => child.once('close', resolve)) };
    started.push(one);
    return one;
  }

  /** A process that serves, once it has read the data. */
  async function worker(...args: string[]): Promise<Started> {
    const one = start(...JOB, ...SMALL, ...args, '--queue', url, '--serve');
    while (!one.said().includes('serving trials')) {
      if (one.process.exitCode !== null) throw new Error(one.said());
      await setTimeout(20);
    }
    return one;
  }

  /** What a search found, without times. */
  const found = (file: string) => {
    const {
      seconds: _,
      requestSeconds: __,
      run: ___,
      trials,
      ...report
    } = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    return { ...report, trials: trials.map(({ seconds: _, ...trial }: { seconds: number }) => trial) };
  };

  /** What a journal has, without times and in the order of its keys. */
  const journal = (file: string) => {
    const [header, ...lines] = readFileSync(join(folder, file), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const records = lines.map(({ key, record: { seconds: _, ...record } }) => ({ key, record }));
    return { header, records: records.sort((a, b) => (a.key < b.key ? -1 : 1)) };
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'recvae-'));
    writePlanted(folder);
    const port = await freePort();
    url = `redis://127.0.0.1:${port}`;
    const settings = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
    redis = spawn(join(bin!, 'redis-server'), settings, { stdio: 'ignore' });
  });

  afterEach(async () => {
    for (const { process, ended } of started.splice(0)) {
      process.kill('SIGKILL');
      await ended;
    }
  });

  afterAll(async () => {
    redis?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  test('by two workers finds what one process finds, and journals the same', async () => {
    for (const [name, search] of [
      ['grid', ['--over', 'gamma=0.001,0.005,0.02']],
      ['halving', ['--over', 'gamma=0.001..0.02', '--search', 'halving', '--trials', '4']],
    ] as const) {
      const job = [...JOB, ...SMALL, ...search];
      const one = await recvae(folder, [
        ...job,
        '--journal',
        `${name}1.journal`,
        '--json',
        `${name}1.json`,
        '--out',
        'one',
      ]);
      expect(one.code, one.stderr).toBe(0);
      const workers = await Promise.all([worker(), worker()]);
      const flags = ['--journal', `${name}2.journal`, '--json', `${name}2.json`, '--out', 'two', '--queue', url];
      const two = await recvae(folder, [...job, ...flags]);
      expect(two.code, two.stderr).toBe(0);
      expect(two.stderr).toContain(`trials go to ${url}, which 2 processes serve\n`);
      expect(found(`${name}2.json`)).toEqual(found(`${name}1.json`));
      expect(journal(`${name}2.journal`)).toEqual(journal(`${name}1.journal`));
      const served = workers.map(
        ({ said }) =>
          said()
            .split('\n')
            .filter((line) => line.startsWith('recvae {')).length,
      );
      expect(served[0]! + served[1]!).toBe(journal(`${name}2.journal`).records.length);
      for (const { process, ended } of workers) {
        process.kill('SIGTERM');
        await ended;
        expect(process.exitCode).toBe(143);
      }
    }
  });

  test("a killed worker's trial runs again and counts once; a killed search goes on from its journal", async () => {
    const job = [...JOB, ...SMALL, '--set', 'epochs=1000', '--over', 'gamma=0.003,0.006', '--no-early-stop'];
    const one = await recvae(folder, [...job, '--json', 'one.json']);
    expect(one.code, one.stderr).toBe(0);
    const flags = ['--journal', 'killed.journal', '--json', 'killed.json', '--queue', url];
    const [first, search] = [await worker(), start(...job, ...flags)];
    const connection = new Redis(url);
    const [key] = await untilSome(() => connection.keys('bull:*:active'));
    const queue = new Queue(key!.split(':')[1]!, { connection });
    await untilSome(() => queue.getActive());
    first.process.kill('SIGKILL');
    await first.ended;
    expect(await queue.getActiveCount()).toBe(1); // nobody knows yet
    expect(search.said()).not.toContain('[1/2]');
    search.process.kill('SIGKILL');
    await search.ended;
    const again = start(...job, ...flags);
    const second = await worker();
    await again.ended;
    expect(again.process.exitCode, again.said()).toBe(0);
    expect(found('killed.json')).toEqual(found('one.json'));
    expect(journal('killed.journal').records.length).toBe(2);
    expect(second.said().match(/^recvae \{/gm)).toHaveLength(2);
    await queue.close();
    connection.disconnect();
  });

  test('two searches of the same trials: what one takes back at its end, the other offers again', async () => {
    const gammas = Array.from({ length: 12 }, (_, at) => (0.001 * (at + 1)).toFixed(3));
    const job = [...JOB, ...SMALL, '--set', 'epochs=2', '--over', `gamma=${gammas.join()}`, '--queue', url];
    const searches = [start(...job, '--json', 'first.json'), start(...job, '--json', 'second.json')];
    const connection = new Redis(url);
    const keys = await untilSome(() => connection.keys('bull:*:wait'));
    const queue = new Queue(keys[0]!.split(':')[1]!, { connection });
    const [first, second] = searches as [Started, Started];
    while (!searches.every(({ said }) => said().includes('trials go to'))) await setTimeout(20);
    await untilSome(async () => ((await queue.getWaitingCount()) === gammas.length ? [true] : []));
    await setTimeout(500); // until the second one waits, too
    first.process.kill('SIGINT');
    await first.ended;
    expect(first.process.exitCode, first.said()).toBe(130);
    const serving = await worker('--set', 'epochs=2');
    await second.ended;
    expect(second.process.exitCode, second.said()).toBe(0);
    expect(found('second.json').trials).toHaveLength(gammas.length);
    expect(serving.said().match(/^recvae \{/gm)).toHaveLength(gammas.length);
    expect(searches.map(({ said }) => said()).join('')).not.toContain('Warning');
    await queue.close();
    connection.disconnect();
  });

  test('what cannot be is named', async () => {
    const cases = [
      [['--serve'], 2, '--serve has no meaning without --queue'],
      [
        ['--queue', 'http://127.0.0.1'],
        2,
        "queue is 'http://127.0.0.1'; allowed: the address of a Redis: redis://host:port",
      ],
      [['--queue', 'redis://:secret@127.0.0.1:1'], 1, 'cannot use redis://127.0.0.1:1: '],
    ] as const;
    const over = ['--over', 'gamma=0.001,0.005'];
    for (const [flags, code, message] of cases) {
      const outcome = await recvae(folder, [...JOB, ...SMALL, ...over, ...flags]);
      expect(outcome, message).toMatchObject({ code, stderr: expect.stringContaining(message) });
      expect(outcome.stderr).not.toContain('secret');
    }
    // An error of a trial is that of the search.
    await worker('--memory-limit', '1000');
    const refused = await recvae(folder, [...JOB, ...SMALL, ...over, '--queue', url]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('is allowed by --memory-limit') });
  });
});

/** Asks until there is something. */
async function untilSome<T>(ask: () => Promise<T[]>): Promise<T[]> {
  for (;;) {
    const found = await ask();
    if (found.length > 0) return found;
    await setTimeout(5);
  }
}
