import type { Command } from 'commander';
import { load } from '../models/model.js';
import { description } from '../runtime/native.js';
import { jsonFlag } from './common-flags.js';
import { fileIn, refuseSame } from './distinct.js';
import { MODEL_FILE, parseNumber } from './flags.js';
import { addFilterFlags, type FilterFlags, filterIn } from './ids.js';
import { interruptible } from './interrupt.js';
import { checkWritable, fiveDigits, print, table, writeJson } from './output.js';

interface Flags extends FilterFlags {
  k?: number;
  json?: string;
}

/** `recvae similar`: the items most like one. */
export function addSimilar(program: Command): void {
  const { doc, default: k } = description.similar.find(({ name }) => name === 'k')!;
  const command = program
    .command('similar')
    .description('name the items most similar to one: by the weights of EASE^R, by the decoder of an autoencoder')
    .argument(...MODEL_FILE)
    .argument('<item>', 'id of the item')
    .option('-k <count>', `${doc} (default: ${k})`, parseNumber)
    .addOption(jsonFlag());
  addFilterFlags(command).action(async (file: string, item: string, flags: Flags) => {
    const { allow, deny, json } = flags;
    const inputs = { '<model-file>': file, '--allow': fileIn(allow), '--deny': fileIn(deny) };
    refuseSame({ inputs, outputs: { '--json': json } });
    checkWritable(json, '--json');
    const filter = await interruptible((signal) => filterIn(flags, signal));
    const model = await load(file);
    const items = model.similarItems(item, flags.k, filter);
    if (json !== undefined) await writeJson(json, { model: model.kind, item, items });
    if (json === '-') return;
    await print(
      table(
        ['item', 'score'],
        items.map(({ id, score }) => [id, fiveDigits(score)]),
      ),
    );
  });
}
