import type { Command } from 'commander';
import { load } from '../models/model.js';
import { description } from '../runtime/native.js';
import { jsonFlag, threadsFlag } from './common-flags.js';
import { fileIn, refuseSame } from './distinct.js';
import { MODEL_FILE, parseNumber } from './flags.js';
import { IDS, IDS_HELP, readIds } from './ids.js';
import { interruptible } from './interrupt.js';
import { checkWritable, fiveDigits, message, print, table, writeJson } from './output.js';

interface Flags {
  history: string;
  item: string;
  k?: number;
  threads?: number;
  json?: string;
}

/** `recvae explain`: which items of a history speak for an item. */
export function addExplain(program: Command): void {
  const { doc, default: k } = description.explain.find(({ name }) => name === 'k')!;
  program
    .command('explain')
    .description('say which items of a history speak for an item, and how much')
    .argument(...MODEL_FILE)
    .requiredOption(`--history ${IDS}`, `items of the user: ${IDS_HELP}`)
    .requiredOption('--item <id>', 'the item that is explained')
    .option('-k <count>', `${doc} (default: ${k})`, parseNumber)
    .addOption(threadsFlag())
    .addOption(jsonFlag())
    .action(async (file: string, { history, item, k, threads, json }: Flags) => {
      refuseSame({ inputs: { '<model-file>': file, '--history': fileIn(history) }, outputs: { '--json': json } });
      checkWritable(json, '--json');
      const ids = await interruptible((signal) => readIds(history, '--history', signal));
      const model = await load(file);
      const explanation = await interruptible((signal) => model.explain(ids, item, { k }, { threads, signal }));
      const { score, reasons, unknown } = explanation;
      if (unknown.length > 0) message(`${unknown.length} items of the history are not known to the model`);
      if (json !== undefined) await writeJson(json, { model: model.kind, ...explanation });
      if (json === '-') return;
      const rows = reasons.map(({ id, contribution }) => [id, fiveDigits(contribution)]);
      await print(table(['item', 'contribution'], rows));
      message(`${item} has the score ${fiveDigits(score)}`);
    });
}
