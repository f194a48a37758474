/** What computes here, as the library says it. */
import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { backendInfo } from '../dist/index.js';
import { recvae } from './command.js';
import { temporaryFolder } from './planted.js';

test('backendInfo says what recvae info does', async () => {
  const info = backendInfo();
  expect(info).toMatchObject({ threads: availableParallelism(), engines: ['fused', 'candle'] });
  expect(['avx512', 'avx2', 'baseline']).toContain(info.level);
  // AVX-512 is there with both of them, and what is not there is not taken.
  const { instructions, auto } = info.bf16;
  expect([null, 'amx', 'avx512-bf16']).toContain(instructions);
  if (instructions !== null) expect(info.level).toBe('avx512');
  else expect(auto).toBe(false);
  expect(info.devices[0]).toBe('cpu');
  expect(info.devices.slice(1)).toEqual(info.cuda.devices.map(({ device }) => device));
  expect(info.cuda.available).toBe(info.cuda.devices.length > 0);
  expect(info.cuda.reason).not.toBe('');
  const { stdout } = await recvae(temporaryFolder(), ['info', '--json', '-']);
  const { version, ...rest } = info;
  // Free memory changes; there is none where no GPU is.
  const told = JSON.parse(stdout);
  expect({ ...told, cuda: info.cuda }).toEqual({ version: 1, recvae: version, ...rest });
});
