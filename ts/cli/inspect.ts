import type { Command } from 'commander';
import { type Inspection, inspect } from '../models/inspect.js';
import { RecvaeError } from '../runtime/errors.js';
import { jsonFlag } from './common-flags.js';
import { refuseSame } from './distinct.js';
import { checkWritable, print, table, writeJson } from './output.js';

/** `recvae inspect`: what a file of a model or of counts holds, and whether it is sound. */
export function addInspect(program: Command): void {
  program
    .command('inspect')
    .description('say what a model file holds, and verify all of it: exit code 1 if it cannot be loaded')
    .argument('<model-file>', 'what train, compare, compact or counts has saved')
    .addOption(jsonFlag())
    .action(async (file: string, { json }: { json?: string }) => {
      refuseSame({ inputs: { '<model-file>': file }, outputs: { '--json': json } });
      checkWritable(json, '--json');
      const found = await inspect(file);
      if (json !== undefined) {
        const { kind, nItems, ...rest } = found;
        await writeJson(json, { model: kind, items: nItems, ...rest, file });
      }
      if (json !== '-') await print(render(found));
      if (found.problem !== null) throw new RecvaeError('INVALID_MODEL_FILE', `${file}: ${found.problem}`);
    });
}

/** Bytes for people. */
export function size(bytes: number): string {
  const at = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), 3);
  return at === 0 ? `${bytes} B` : `${(bytes / 2 ** (10 * at)).toPrecision(3)} ${['KiB', 'MiB', 'GiB'][at - 1]}`;
}

/** What files hold that are no models, by their kind; how many users were counted stands in their `info`. */
const COUNTS = new Map([
  ['ease-counts', 'counts of EASE^R'],
  ['ease-counts-shard', 'counts of EASE^R, of a shard of the users'],
]);

function render({ info, ...found }: Inspection): string {
  const holds = { true: 'holds', false: 'does not hold: the file was altered', null: 'not checked' }[`${found.holds}`];
  const counts = COUNTS.get(found.kind ?? '');
  const facts = [
    ...(counts === undefined
      ? [
          ['model', found.kind ?? 'none'],
          ['options', JSON.stringify(found.options)],
        ]
      : [['holds', counts]]),
    ['items', String(found.nItems ?? 'none')],
    ['file', `${found.bytes} bytes (${size(found.bytes)}), format ${JSON.stringify(found.format)}`],
    ['written by', found.writer ?? 'the first version'],
    ['checksum', `${found.checksum ?? 'none'}, ${holds}`],
  ];
  // Whatever was kept, one line for each of its keys.
  const kept =
    typeof info === 'object' && info !== null && !Array.isArray(info) ? Object.entries(info) : [['info', info]];
  for (const [key, value] of kept) facts.push([String(key), JSON.stringify(value)]);
  const width = Math.max(...facts.map(([name]) => name!.length));
  const lines = facts.map(([name, value]) => `${name!.padEnd(width)}  ${value}`);
  const rows = found.tensors.map(({ name, type, shape, bytes }) => [name, type, shape.join(' x '), String(bytes)]);
  return `${lines.join('\n')}\n\n${table(['tensor', 'type', 'shape', 'bytes'], rows)}`;
}
