import type { Command } from 'commander';
import { description } from '../runtime/native.js';
import { jsonFlag } from './common-flags.js';
import { refuseSame } from './distinct.js';
import { checkWritable, print, table, writeJson } from './output.js';

/** `recvae datasets`: the data that come with the package, and the formats in which others are published. */
export function addDatasets(program: Command): void {
  program
    .command('datasets')
    .description('list the built-in data sets and the formats of published ones, for <input> and --format')
    .addOption(jsonFlag())
    .action(async ({ json }: { json?: string }) => {
      refuseSame({ outputs: { '--json': json } });
      checkWritable(json, '--json');
      const { datasets: builtIn, formats } = description;
      if (json !== undefined) await writeJson(json, { builtIn, formats });
      if (json === '-') return;
      const rows = formats.map(({ name, title, files, value, minValue }) => [
        name,
        title,
        files.join(', '),
        minValue === null ? 'every row' : `${/^\d/.test(value) ? 'value' : value} >= ${minValue}`,
      ]);
      await print(`Built in, by its name as <input>: ${builtIn.join(', ')}\n\n`);
      await print(table(['--format', 'data', 'published as', 'likes'], rows));
    });
}
