import type { Command } from 'commander';
import { allModels } from '../runtime/native.js';
import { jsonFlag } from './common-flags.js';
import { refuseSame } from './distinct.js';
import { checkWritable, print, table, writeJson } from './output.js';

/** `recvae models`: what there is and what can be set. */
export function addModels(program: Command): void {
  program
    .command('models')
    .description('list the models with their options')
    .addOption(jsonFlag())
    .action(async ({ json }: { json?: string }) => {
      refuseSame({ outputs: { '--json': json } });
      checkWritable(json, '--json');
      if (json !== undefined) await writeJson(json, allModels);
      if (json === '-') return;
      const blocks = allModels.map(({ name, doc, options }) => {
        const rows = options.map((option) => [
          `  ${option.name}`,
          JSON.stringify(option.default),
          `${option.allowed}. ${option.doc}`,
        ]);
        return `${name}: ${doc}\n${rows.length === 0 ? '  no options\n' : table(['  option', 'default', 'allowed and meaning'], rows)}`;
      });
      await print(blocks.join('\n'));
    });
}
