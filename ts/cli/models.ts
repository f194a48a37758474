import type { Command } from 'commander';
import { invalid } from '../runtime/check.js';
import { allModels } from '../runtime/native.js';
import { jsonFlag } from './common-flags.js';
import { refuseSame } from './distinct.js';
import { checkWritable, print, table, writeJson } from './output.js';

/** `recvae models`: what there is and what can be set. */
export function addModels(program: Command): void {
  program
    .command('models')
    .description('list the models with their options, or one of them')
    .argument('[model]', allModels.map(({ name }) => name).join(', '))
    .addOption(jsonFlag())
    .action(async (name: string | undefined, { json }: { json?: string }) => {
      const names = allModels.map(({ name }) => name);
      if (name !== undefined && !names.includes(name)) throw invalid('<model>', name, names.join(', '));
      const models = allModels.filter((model) => name === undefined || model.name === name);
      refuseSame({ outputs: { '--json': json } });
      checkWritable(json, '--json');
      if (json !== undefined) await writeJson(json, { models });
      if (json === '-') return;
      const blocks = models.map(({ name, doc, options }) => {
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
