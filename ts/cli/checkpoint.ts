/** `--checkpoint`, `--every` and `--resume`: training that goes on after Ctrl-C, a crash or a kill. */
import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Command } from 'commander';
import type { Checkpoint } from '../models/checkpoint.js';
import { RecvaeError, toRecvaeError } from '../runtime/errors.js';
import { description } from '../runtime/native.js';
import { parseNumber } from './flags.js';
import { Interrupted } from './interrupt.js';
import { message, shellWord } from './output.js';

/** What the flags of {@link addCheckpointFlags} are parsed into. */
export interface CheckpointFlags {
  checkpoint?: string;
  every?: number;
  resume?: boolean;
}

/** The flags of a command that trains one model. */
export function addCheckpointFlags(command: Command): Command {
  const row = (name: string) => description.checkpoint.find((option) => option.name === name)!;
  const { doc, default: value } = row('everyEpochs');
  return command
    .option('--checkpoint <file>', 'keep the training in a file on its way; it is removed when the model is saved')
    .option('--every <epochs>', `${doc} (default: ${JSON.stringify(value)})`, parseNumber)
    .option('--resume', row('resume').doc);
}

/** The checkpoint that the flags ask for, if any. */
export function checkpointOf({ checkpoint, every, resume }: CheckpointFlags): Checkpoint | undefined {
  if (checkpoint === undefined) {
    const alone = resume ? '--resume' : every !== undefined ? '--every' : undefined;
    if (alone !== undefined) throw new RecvaeError('INVALID_ARGUMENT', `${alone} has no meaning without --checkpoint`);
    return undefined;
  }
  return {
    path: checkpoint,
    ...(every === undefined ? {} : { everyEpochs: every }),
    ...(resume === undefined ? {} : { resume }),
  };
}

/** After training was stopped, or its model could not be written: the command that goes on. */
export function tellHowToGoOn(thrown: unknown, { path, resume }: Checkpoint): void {
  const interrupted = thrown instanceof Interrupted;
  if (!interrupted && toRecvaeError(thrown).code !== 'IO') return;
  if (!existsSync(path)) {
    if (interrupted) message('no step was trained yet, so there is no checkpoint');
    return;
  }
  const [script, ...given] = process.argv.slice(1) as [string, ...string[]];
  // Flags of all commands may stand before the command.
  const command = given.indexOf('train') + 1;
  const words = [...programOf(script), ...given.toSpliced(command, 0, ...(resume ? [] : ['--resume']))];
  message(`the training is kept in ${path}; this goes on with it:\n  ${words.map(shellWord).join(' ')}`);
}

/** How this script is called. */
function programOf(script: string): string[] {
  if (basename(script) !== 'recvae') return ['node', script];
  return basename(dirname(script)) === '.bin' ? ['npx', 'recvae'] : ['recvae'];
}
