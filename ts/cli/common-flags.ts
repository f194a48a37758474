/** Flags that mean the same in many commands. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { checkPerUser } from '../models/per-user.js';
import { description } from '../runtime/native.js';
import { parseNumber } from './flags.js';
import { checkWritable } from './output.js';
import type { InputFlags } from './recipe.js';

/** What the flags of a job on an input are parsed into. */
export interface JobFlags extends InputFlags {
  set?: Record<string, unknown>;
  threads?: number;
  memoryLimit?: number;
  json?: string;
  report?: string;
}

/** `--threads 4`. */
export function threadsFlag(of = ''): Option {
  return new Option('--threads <count>', `threads${of} (default: ${description.threads})`).argParser(parseNumber);
}

/** `--seed 1`. `otherwise`: what holds without it, where that is not the default of the split, which is that of all. */
export function seedFlag(text: string, otherwise = `${SEED}`): Option {
  return new Option('--seed <number>', `${text} (default: ${otherwise})`).argParser(parseNumber);
}

const SEED = description.split.find(({ name }) => name === 'seed')!.default;

/** `--json result.json`. */
export function jsonFlag(): Option {
  return new Option('--json <file>', 'write the result as JSON, to stdout for -');
}

/** `--metrics ndcg@10,auc`. */
export function metricsFlag(otherwise: readonly string[], text = 'comma-separated'): Option {
  const { metricNames, rankingMetricNames } = description;
  const names = `of ${metricNames.join(', ')}, each with @ and a length, and ${rankingMetricNames.join(', ')}`;
  return new Option('--metrics <names>', `${text}, ${names} (default: ${otherwise.join(',')})`).argParser((text) =>
    text.split(','),
  );
}

/** `--per-user values.parquet`. */
export function perUserFlag(): Option {
  return new Option(
    '--per-user <file>',
    'write a row for each held-out user, and model, with the value of each metric: .csv, .csv.gz or .parquet',
  );
}

/** Fails before any work if the table could not be written. */
export async function checkPerUserFile(path: string | undefined): Promise<void> {
  if (path === undefined) return;
  checkWritable(path, '--per-user');
  await checkPerUser(path, '--per-user');
}

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

/** Adds `--memory-limit 8GB`. */
export function addMemoryFlag(command: Command): Command {
  return command.option(
    '--memory-limit <bytes>',
    'refuse at once what would take more memory beyond the data, such as 8GB or 8GiB (default: what is free)',
    parseBytes,
  );
}
