/** What check:gpu says of its numbers, and where there is no GPU. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { lines, TARGETS, verdict } from '../.ci/cuda/gpu.mjs';

const SCRIPT = fileURLToPath(new URL('../.ci/cuda/gpu.mjs', import.meta.url));

test('numbers are held against what must be and what is aimed at', () => {
  const [faster, whole, memory, ...closed] = Object.keys(TARGETS) as [string, string, string, ...string[]];
  expect([9.9, 10, 29, 30].map((times) => verdict(faster, times))).toEqual([
    'missed',
    'must reached',
    'must reached',
    'aim reached',
  ]);
  expect([61, 60, 25].map((seconds) => verdict(whole, seconds))).toEqual(['missed', 'must reached', 'aim reached']);
  expect(lines({ [faster]: { value: 12.345 }, [memory]: { reason: 'PyTorch did not run: none' } })).toEqual([
    `| ${faster} | 10 | 30 | 12.3: must reached |`,
    `| ${whole} | 60 | 25 | not run |`,
    `| ${memory} | 0.5 | 0.25 | PyTorch did not run: none |`,
    ...closed.map((name) => {
      const { must, aim } = TARGETS[name as keyof typeof TARGETS];
      return `| ${name} | ${must} | ${aim} | not run |`;
    }),
  ]);
});

test.skipIf(existsSync('/dev/nvidiactl'))('a machine without a GPU is told so, and nothing is run', () => {
  const { status, stdout } = spawnSync(process.execPath, [SCRIPT], { encoding: 'utf8', cwd: join(SCRIPT, '..') });
  expect(status).toBe(1);
  expect(stdout).toMatch(/^check:gpu: there is no GPU[^\n]*: [^\n]+\. Nothing was run\.\n$/);
});

test('the whole of it runs by the processor, at a small size', () => {
  const args = ['--device', 'cpu', '--scale', '0.01', '--epochs', '2', '--python', 'no-such-python'];
  const { stdout } = spawnSync(process.execPath, [SCRIPT, ...args], { encoding: 'utf8' });
  expect(stdout).toMatch(/\d+ users x \d+ items, \d+ interactions/);
  expect(stdout).toMatch(
    /\| RecVAE, all epochs with validation, s \| 60 \| 25 \| 2 epochs in [\d.]+ s at this scale \|/,
  );
  expect(stdout).toMatch(/lists of 100 for [1-9]\d+ users: [\d.]+ s there, [\d.]+ s by the processor/);
  expect(stdout).toMatch(
    /MovieLens-1M, RecVAE, seed 1: NDCG@100 0\.\d+; 0\.4199 by|skipped: MovieLens-1M is not in shared/,
  );
  expect(stdout).toContain('PyTorch did not run: spawnSync no-such-python ENOENT');
  expect(stdout).toMatch(/\| EASE\^R, a fit on 41,140 items, s \| 10 \| 5 \| [\d.]+ s on 150 items \|/);
});
