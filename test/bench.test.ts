/**
 * The parts of `npm run bench` that compute nothing heavy: flags, arithmetic, table and picture. No time is asserted.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, UsageError } from '../benches/arguments.mjs';
import { chart } from '../benches/chart.mjs';
import { GROUPS } from '../benches/groups.mjs';
import { makeRow, sides, table, verdict } from '../benches/report.mjs';
import { HAS_AMX, IDS, neededMultiplyAdds, ROWS } from '../benches/rows.mjs';
import { fitOf, scalingTables } from '../benches/scaling.mjs';
import { growthExponent, median, onThreads, serialShare, wilson } from '../benches/statistics.mjs';
import { temporaryFolder } from './planted.js';

const machine = {
  cpu: 'Some <CPU> & more',
  cores: 2,
  memory: 24,
  node: '20.19.0',
  rustc: '1.88.0',
  torch: '2.15.0',
  numpy: '2.4.6',
  sgemm: 190,
  threads: 2,
  date: '2026-01-01',
};

const find = (id: string) => ROWS.find((row) => row.id === id)!;

/** Two rounds of a group as the programs print them. */
const steps = [0.2, 0.3].map((seconds) => ({
  ours: {
    seconds: { encoder: [seconds], decoder: [2 * seconds, 2 * seconds, 9] },
    data: { users: 1_000, items: 20_720, interactions: 73_000 },
    options: { batchSize: 500, hiddenDim: 600, latentDim: 200, dropoutRate: 0.5 },
    sgemm: { ours: [0.7, 0.6, 0.8], faer: [0.9, 0.9, 0.1] },
  },
  peer: { encoder_step_seconds: 0.8, decoder_step_seconds: 0.6 },
}));

/** A result with some rows measured and the others not. */
const result = {
  machine,
  rows: ROWS.map((row) =>
    makeRow(row, row.group === 'recvae-ml20m' ? steps : row.id === 'read-csv' ? [csv(3e6)] : [], 0.1),
  ),
};

function csv(rows: number) {
  return { ours: { rows, seconds: [1] } };
}

describe('flags', () => {
  test('without any, all rows', () => {
    expect(parse([], IDS)).toMatchObject({ only: IDS, threads: 2, scaling: false, maxItems: Number.POSITIVE_INFINITY });
  });

  test('say what is wanted', () => {
    const argv = ['--only', 'ease-numpy, read-csv', '--rounds', '2', '--json', 'a.json', '--svg=a.svg'];
    expect(parse(argv, IDS)).toMatchObject({
      only: ['ease-numpy', 'read-csv'],
      rounds: 2,
      json: 'a.json',
      svg: 'a.svg',
    });
    expect(parse(['--scaling', '--max-items', '10000'], IDS)).toMatchObject({ scaling: true, maxItems: 10_000 });
  });

  test.each([
    [['--round', '2'], /Unknown option '--round'; allowed: --only, --rounds, .*--svg/],
    [['ease'], /allowed: --only/],
    [['--only', 'ease-numpy,easy'], /there is no row 'easy'; allowed: sgemm, recvae-epoch-ml20m, .*read-csv/],
    [['--rounds', '0'], /--rounds is '0'; allowed: a whole number, 1 or more/],
    [['--threads', '1.5'], /--threads is '1.5'/],
    [['--from', 'a.json', '--rounds', '2'], /--rounds goes without --from/],
    [['--scaling', '--svg', 'a.svg'], /--svg goes without --scaling/],
    [['--max-items', '9'], /--max-items goes with --scaling only/],
    [['--scaling', '--max-items', '9'], /--max-items is '9'; allowed: a whole number, 5000 or more/],
  ])('%j is wrong use', (argv, message) => {
    expect(() => parse(argv, IDS)).toThrow(UsageError);
    expect(() => parse(argv, IDS)).toThrow(message);
  });
});

describe('arithmetic', () => {
  test('median', () => {
    expect([median([3, 1, 2]), median([4, 1, 3, 2])]).toEqual([2, 2.5]);
    expect(() => median([])).toThrow();
  });

  test('the growth exponent of a power is its exponent', () => {
    const points = [5, 10, 40].map((size) => ({ size, seconds: 0.3 * size ** 2.9 }));
    expect(growthExponent(points)).toBeCloseTo(2.9, 10);
    expect(growthExponent(points.slice(0, 1))).toBeUndefined();
    // scipy.stats.binomtest(7, 200).proportion_ci(method='wilson')
    for (const [at, end] of [0.0170555420085672, 0.07047061152229074].entries())
      expect(wilson(7, 200)[at]).toBeCloseTo(end, 7);
    expect(wilson(0, 200)).toEqual([0, expect.closeTo(0.018845326377266575, 7)]);
    expect(fitOf(20, points)).toBeCloseTo(0.3 * 20 ** 2.9, 6);
  });

  test("Amdahl's law forth and back", () => {
    const two = onThreads(10, 0.1, 2);
    expect(two).toBeCloseTo(5.5, 10);
    expect(serialShare(10, two)).toBeCloseTo(0.1, 10);
    expect([serialShare(10, 4), serialShare(10, 12)]).toEqual([0, 1]);
  });

  test('an encoder step needs what can be counted by hand', () => {
    const options = { batchSize: 2, hiddenDim: 3, latentDim: 5, dropoutRate: 0.5 };
    const data = { users: 4, items: 7, interactions: 24 };
    // 6 interactions a user, so 6 of a batch are kept; 3 products of 4 * 9 + 30 and two of 35 for either user.
    expect(neededMultiplyAdds({ data, options })).toBe(2 * (3 * 66 + 2 * 35) + 2 * 6 * 3);
  });
});

describe('rows', () => {
  test('are those of the issue, each with a group, and every group is used', () => {
    expect(IDS).toHaveLength(23);
    expect(new Set(IDS).size).toBe(23);
    expect(Object.keys(GROUPS).sort()).toEqual([...new Set(ROWS.map(({ group }) => group))].sort());
  });

  test('an epoch is three encoder steps and a decoder step a batch, on both sides', () => {
    const row = makeRow(find('recvae-epoch-ml20m'), steps, 0.1);
    // 1,000 users are a tenth: 20 batches of 500. Ours 3 * .2 + .4 and 3 * .3 + .6, theirs 3 * .8 + .6.
    expect(row).toMatchObject({ id: 'recvae-epoch-ml20m', unit: 'times faster', must: 4, aim: 7 });
    expect(row.spread![0]).toBeCloseTo(2, 10);
    expect(row.spread![1]).toBeCloseTo(3, 10);
    expect(row.value).toBeCloseTo(2.5, 10);
    expect(row.median).toBeCloseTo(25, 10);
    expect(row.peer!.median).toBeCloseTo(60, 10);
  });

  test('a limit needs the products of the peers alone, and is made of the fastest', () => {
    expect(sides('recvae-ml20m', ['recvae-step-limit'])).toEqual({ ours: true, peer: false, products: true });
    expect(sides('recvae-ml20m', ['recvae-epoch-ml20m'])).toEqual({ ours: true, peer: true, products: false });
    const value = (products?: object) => {
      const rounds = steps.map(({ ours }) => ({ ours, products }));
      return makeRow(find('recvae-step-limit'), rounds, 0.1).value;
    };
    const limit = (seconds: number) => (2 * neededMultiplyAdds(steps[0]!.ours)) / ((2 * 4096 ** 3) / seconds);
    expect(value()).toBeCloseTo(0.25 / limit(0.7), 10);
    expect(value({ numpy: [0.75], torch: [2] })).toBeCloseTo(0.25 / limit(0.7), 10);
    expect(value({ numpy: [0.75], torch: [0.5, 0.3, 0.6] })).toBeCloseTo(0.25 / limit(0.5), 10);
  });

  test('a product is compared with the best peer', () => {
    const rounds = [{ ours: { sgemm: { ours: [0.5], faer: [0.1] } }, peer: { numpy: [0.6], torch: [0.4] } }];
    const row = makeRow(find('sgemm'), rounds, undefined);
    expect(row.value).toBeCloseTo(0.8, 10);
    expect(row.median).toBeCloseTo((2 * 4096 ** 3) / 0.5 / 1e9, 6);
  });

  test('bf16 is compared with f32 of our own, and needs no peer', () => {
    expect(sides('recvae-bf16-ml20m', ['recvae-bf16-ml20m'])).toEqual({ ours: true, peer: false, products: false });
    const f32 = { seconds: { encoder: [0.4, 0.3], decoder: [0.8] } };
    // 3 * .2 + .4 and, in f32, 3 * .35 + .8; 20 batches.
    const row = makeRow(find('recvae-bf16-ml20m'), [{ ours: steps[0]!.ours, f32 }], 0.1);
    const [must, aim] = HAS_AMX ? [2.5, 4] : [1.3, 1.7];
    expect(row).toMatchObject({ unit: 'times faster', must, aim, peer: { name: 'ours in f32' } });
    expect(row.value).toBeCloseTo(1.85, 10);
    expect(row.peer!.median).toBeCloseTo(37, 10);
  });

  test("the Gram matrix of EASE^R counts on our side only, and the peer's is shown", () => {
    const peer = { gram_seconds: 7, inverse_seconds: 6, fit_seconds: 13 };
    const row = makeRow(find('ease-numpy'), [{ ours: { seconds: [2] }, peer }], 1);
    expect(row).toMatchObject({
      value: 3,
      median: 2,
      peer: { median: 6, besides: { "SciPy's Gram matrix of a tenth of the users": 7 } },
    });
    expect(table({ machine, rows: [row] })).toContain(
      "6.00 (NumPy's inverse, f32; besides SciPy's Gram matrix of a tenth of the users 7.00)",
    );
  });

  test.each([
    ['ease-numpy', 3, 'aim'],
    ['ease-numpy', 2, 'must'],
    ['ease-numpy', 1.9, 'missed'],
    ['latency-p99', 1.2, 'aim'],
    ['latency-p99', 2.2, 'must'],
    ['latency-p99', 2.3, 'missed'],
    ['serve-scaling', 1.9, 'aim'],
    ['serve-scaling', 1.8, 'must'],
    ['serve-scaling', 1.6, 'missed'],
    ['threads-100', 4, 'aim'],
    ['threads-100', 5, 'missed'],
    ['latency-p99', null, null],
  ])('%s of %d: %s', (id, value, expected) => {
    const { must, aim } = find(id);
    expect(verdict({ id, value, must, aim })).toBe(expected);
  });

  test('as a table, with what was not measured', () => {
    const text = table(result);
    expect(text).toContain('Some <CPU> & more, 2 cores, 24 GiB');
    expect(text).toContain(
      '| RecVAE epoch, ML-20M shape (recvae-epoch-ml20m) | 2.50 times faster | 4 | 7 | **missed** |',
    );
    expect(text).toContain('| CSV of 10 M rows to CSR (read-csv) | 3.00 M rows/s | 2 | 8 | must met |');
    expect(text.match(/not measured/g)).toHaveLength(20);
  });
});

test('growth as a table, with the prediction', () => {
  const on = (threads: number, seconds: (size: number) => number) =>
    [10, 100].map((size) => ({ size, threads, seconds: seconds(size) }));
  const ease = [...on(1, (n) => n ** 3 / 1e4), ...on(2, (n) => n ** 3 / 2e4)];
  const sets = [
    {
      like: 'ml-20m',
      times: [
        { threads: 1, ease: 160, epoch: 100 },
        { threads: 2, ease: 80, epoch: 60 },
      ],
    },
  ];
  const text = scalingTables({ machine, scaling: { ease, steps: [], epochs: [], sets } });
  expect(text).toContain('| 1 | items 10: 0.100 s, 100: 100 s | 3.00 |');
  expect(text).toContain('| 2 | items 10: 0.0500 s, 100: 50.0 s | 3.00 |');
  // All of EASE^R runs in parallel; a fifth of RecVAE does not: 100 (.2 + .8 / 16) = 25.
  expect(text).toContain('| ml-20m | 160 s | 80.0 s | 10.0 s | 0 % | 100 s | 60.0 s | 25.0 s | 20.0 % |');
  expect(scalingTables({ machine, scaling: { ease, steps: [], epochs: [], sets: [] } })).not.toContain('Predicted');
});

describe('the picture', () => {
  test('holds every measured row, and is well-formed', () => {
    const svg = chart(result);
    expect(svg).toContain('2.50 × (PyTorch, dense)');
    expect(svg).toContain('Some &lt;CPU&gt; &amp; more');
    expect(svg).not.toMatch(/NaN|undefined|null|Infinity/);
    // Nothing from elsewhere: the only address is the name of the format.
    expect(svg.match(/https?:[^"]*/g)).toEqual(['http://www.w3.org/2000/svg']);
    expect(svg.match(/<rect class="(aim|must|missed)" x="330"/g)).toHaveLength(3);
    const open: string[] = [];
    for (const [, close, name, end] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
      if (close) expect(open.pop()).toBe(name);
      else if (!end) open.push(name!);
    }
    expect(open).toEqual([]);
  });

  test('is drawn from an earlier result, without measuring', () => {
    const folder = temporaryFolder();
    const [json, svg] = [join(folder, 'a.json'), join(folder, 'a.svg')];
    writeFileSync(json, JSON.stringify(result));
    const args = ['benches/run.mjs', '--from', json, '--svg', svg];
    const stdout = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    expect(stdout.trimEnd()).toBe(table(result));
    expect(readFileSync(svg, 'utf8')).toBe(chart(result));
  });

  test('needs something to draw', () => {
    expect(() => chart({ machine, rows: [] })).toThrow('nothing was measured');
  });
});
