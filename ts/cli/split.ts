import type { Command } from 'commander';
import { RecvaeError } from '../errors.js';
import { description } from '../native.js';
import { addInputFlags, type InputFlags, ignoredValues, parseNumber, readSplit, recipeOf } from './input.js';
import { interruptible } from './interrupt.js';
import { checkWritable, message, writeJson } from './output.js';

/** `recvae split`: an input in the layout of the official scripts. */
export function addSplit(program: Command): void {
  const { doc, default: seed } = description.split.find(({ name }) => name === 'seed')!;
  const command = program
    .command('split')
    .description('split an input by users and write it in the layout of the official Mult-VAE and RecVAE scripts')
    .argument('<input>', 'file, folder or data set')
    .requiredOption('--out <folder>', 'where the files go: a new or empty folder')
    .option('--seed <number>', `${doc} (default: ${seed})`, parseNumber)
    .option('--json <file>', 'write the result as JSON, to stdout for -');
  addInputFlags(command).action(async (input: string, flags: InputFlags & { out: string; json?: string }) => {
    const { json } = flags;
    if (json !== undefined) checkWritable(json, '--json');
    if (flags.out === '') throw new RecvaeError('INVALID_ARGUMENT', "--out is ''; allowed: a path");
    const data = await interruptible((signal) => readSplit(input, flags, recipeOf(flags), { signal }));
    await data.write(flags.out);
    const { train, validation, test } = data;
    if (json !== undefined) {
      const users = { train: train.nUsers, validation: validation.nUsers, test: test.nUsers };
      const [items, interactions] = [train.nItems, train.nInteractions];
      await writeJson(json, { users, items, interactions, folder: flags.out, ...ignoredValues(recipeOf(flags)) });
    }
    message(
      `${train.nUsers} training, ${validation.nUsers} validation and ${test.nUsers} test users, ${train.nItems} items: ${flags.out}`,
    );
  });
}
