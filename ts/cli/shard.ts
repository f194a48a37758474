/** `--shard 2/4`, `--shard auto/4`: which part of the work this machine does. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Shard } from '../data/shard.js';
import { invalid } from '../runtime/check.js';

/**
 * Variables in which schedulers say which of several jobs this one is: Kubernetes (Indexed Jobs) and Slurm (arrays),
 * from 0.
 */
const INDICES = ['JOB_COMPLETION_INDEX', 'SLURM_ARRAY_TASK_ID'] as const;

/** Adds the flag, with what it divides. */
export function addShardFlag(command: Command, what: string): Command {
  return command.option(
    '--shard <k/n>',
    `${what}: part k of n, from 0; auto/n takes k from ${INDICES.join(' or ')}`,
    parseShard,
  );
}

function parseShard(text: string): Shard {
  const [, index, of] = /^(\d+|auto)\/(\d+)$/.exec(text) ?? [];
  if (index === undefined || of === undefined) {
    throw new InvalidArgumentError('It must be k/n such as 0/4, or auto/n.');
  }
  const shard = { index: index === 'auto' ? ownIndex() : Number(index), of: Number(of) };
  if (shard.of < 1 || shard.index >= shard.of) {
    throw new InvalidArgumentError(
      `It must be k/n with k from 0 to n - 1${index === 'auto' ? `; k is ${shard.index}` : ''}.`,
    );
  }
  return shard;
}

/** What the scheduler says. */
function ownIndex(): number {
  const name = INDICES.find((name) => process.env[name] !== undefined);
  if (name === undefined) {
    throw new InvalidArgumentError(`It must be k/n where neither ${INDICES.join(' nor ')} is set.`);
  }
  const value = process.env[name]!;
  if (!/^\d+$/.test(value)) throw invalid(name, value, 'a whole number from 0 on');
  return Number(value);
}
