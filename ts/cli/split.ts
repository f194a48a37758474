import { join } from 'node:path';
import type { Command } from 'commander';
import { guard, RecvaeError } from '../runtime/errors.js';
import { description, native } from '../runtime/native.js';
import { jsonFlag, seedFlag } from './common-flags.js';
import { inputFiles, refuseSame } from './distinct.js';
import { INPUT } from './flags.js';
import { readSplit } from './input.js';
import { addInputFlags } from './input-flags.js';
import { interruptible, leavable } from './interrupt.js';
import { checkWritable, checkWritableFolder, message, writeJson } from './output.js';
import { type InputFlags, ignoredValues, recipeFor } from './recipe.js';

/** `recvae split`: an input in the layout of the official scripts. */
export function addSplit(program: Command): void {
  const { doc } = description.split.find(({ name }) => name === 'seed')!;
  const command = program
    .command('split')
    .description('split an input by users and write it in the layout of the official Mult-VAE and RecVAE scripts')
    .argument(...INPUT)
    .requiredOption('--out <folder>', 'where the files go: a new or empty folder')
    .addOption(seedFlag(doc))
    .addOption(jsonFlag());
  addInputFlags(command).action(async (input: string, flags: InputFlags & { out: string; json?: string }) => {
    const { json, out } = flags;
    const files = description.officialFiles.map((name) => join(out, name));
    refuseSame({
      inputs: inputFiles(input, flags),
      outputs: { '--out': out, 'a file of --out': out === '' ? undefined : files, '--json': json },
    });
    checkWritable(json, '--json');
    if (out === '') throw new RecvaeError('INVALID_ARGUMENT', "--out is ''; allowed: a path");
    guard(() => native.checkNewFolder(out));
    checkWritableFolder(out, '--out');
    const { data, leftOut } = await interruptible((signal) =>
      readSplit(input, flags, recipeFor(input, flags), { signal }),
    );
    await leavable(() => data.write(out));
    const { train, validation, test } = data;
    if (json !== undefined) {
      const users = { train: train.nUsers, validation: validation.nUsers, test: test.nUsers };
      const [items, interactions] = [train.nItems, train.nInteractions];
      const result = { users, items, interactions, leftOut, file: flags.out };
      await writeJson(json, { ...result, ...ignoredValues(recipeFor(input, flags)) });
    }
    message(
      `${train.nUsers} training, ${validation.nUsers} validation and ${test.nUsers} test users, ${train.nItems} items: ${flags.out}`,
    );
  });
}
