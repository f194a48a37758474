import type { Command } from 'commander';
import { type BackendInfo, backendInfo } from '../runtime/backend.js';
import { jsonFlag } from './common-flags.js';
import { refuseSame } from './distinct.js';
import { checkWritable, print, writeJson } from './output.js';

/** `recvae info`: what computes here. */
export function addInfo(program: Command): void {
  program
    .command('info')
    .description('say which compiled core is loaded and what it computes with: processor, engines, GPUs')
    .addOption(jsonFlag())
    .action(async ({ json }: { json?: string }) => {
      refuseSame({ outputs: { '--json': json } });
      checkWritable(json, '--json');
      const info = backendInfo();
      // `version` is that of the JSON in everything that commands write.
      const { version: recvae, ...rest } = info;
      if (json !== undefined) await writeJson(json, { recvae, ...rest });
      if (json !== '-') await print(inWords(info));
    });
}

/** What `--precision` can be. */
function precisionOf({ instructions, auto }: BackendInfo['bf16']): string {
  if (instructions === null) return 'Networks are trained in f32: the processor has no instructions for bf16.';
  const how = `by ${instructions} instructions`;
  if (auto) return `Networks are trained in bf16 ${how} where --precision auto asks for it.`;
  return `Networks can be trained in bf16 ${how} with --precision bf16; auto takes f32, as bf16 is not known to be faster here.`;
}

/** The same for people. */
function inWords({ version, platform, addOn, threads, level, bf16, engines, devices, cuda }: BackendInfo): string {
  const driver = cuda.driver === null ? [] : [`The driver is for CUDA ${cuda.driver}.`];
  return [
    `recvae ${version} runs ${addOn}, built for ${platform}.`,
    `The processor computes with ${threads} ${threads === 1 ? 'thread' : 'threads'} and ${level} instructions.`,
    precisionOf(bf16),
    `Engines: ${engines.join(', ')}. Devices: ${devices.join(', ')}.`,
    `CUDA ${cuda.available ? 'is there' : 'is not used'}: ${cuda.reason}.`,
    ...driver,
    '',
  ].join('\n');
}
