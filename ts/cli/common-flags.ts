/** `--memory-limit 8GB`. */
import { type Command, InvalidArgumentError } from 'commander';

const UNITS: Record<string, number> = { '': 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 };
const BINARY: Record<string, number> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** A number of bytes on the command line: `8GB` (10^9 each), `8GiB` (2^30 each), `8000000000`. */
export function parseBytes(text: string): number {
  const [, number, unit, binary] = /^(\d+(?:\.\d+)?) ?([KMGT]?)(i?)B?$/i.exec(text.trim()) ?? [];
  const factor = (binary ? BINARY : UNITS)[unit?.toUpperCase() ?? 'none'];
  if (number === undefined || factor === undefined) {
    throw new InvalidArgumentError('It must be a number of bytes, such as 8GB, 500MiB or 8000000000.');
  }
  return Math.floor(Number(number) * factor);
}

/** Adds the flag. */
export function addMemoryFlag(command: Command): Command {
  return command.option(
    '--memory-limit <bytes>',
    'refuse at once what would take more memory beyond the data, such as 8GB or 8GiB (default: what is free)',
    parseBytes,
  );
}
