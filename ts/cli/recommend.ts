import { createReadStream } from 'node:fs';
import type { Command } from 'commander';
import { unlessAborted } from '../abort.js';
import { RecvaeError } from '../errors.js';
import type { ServeOptions } from '../filter.js';
import { lineOf, readHistories, writeRecommendations, writerFor } from '../histories.js';
import type { History } from '../interactions.js';
import { load, type UserRecommendation } from '../models.js';
import { description } from '../native.js';
import { openHistories, type Row, recommendGroups } from '../stream.js';
import { fileIn, filesBehind, refuseSame } from './distinct.js';
import { addFilterFlags, type FilterFlags, filterIn } from './ids.js';
import { parseNumber } from './input.js';
import { interruptible } from './interrupt.js';
import { checkWritable, message, print } from './output.js';

interface Flags extends FilterFlags {
  history: string;
  user?: string;
  item?: string;
  k?: number;
  includeSeen?: boolean;
  threads?: number;
  out?: string;
}

/** Milliseconds between messages about the progress. */
const SILENCE = 5000;

/** `recvae recommend`: histories in, recommendations out, one JSON object per line or in Parquet. */
export function addRecommend(program: Command): void {
  const { default: k } = description.recommend.find(({ name }) => name === 'k')!;
  const command = program
    .command('recommend')
    .description('recommend items for histories, one JSON object per line: {"user":"u1","items":["a","b"]}')
    .argument('<model-file>', 'what train or compare has saved')
    .option('--history <file>', 'histories; - is stdin; a Parquet file or a quoted glob of them', '-');
  for (const name of ['user', 'item']) {
    const { doc, default: column } = description.read.find((option) => option.name === name)!;
    command.option(`--${name} <column>`, `of Parquet: ${doc} (default: ${JSON.stringify(column)})`);
  }
  addFilterFlags(command)
    .option('-k <count>', `items per user (default: ${k})`, parseNumber)
    .option('--include-seen', 'let items of the history come back')
    .option('--threads <count>', `threads (default: ${description.threads})`, parseNumber)
    .option('--out <file>', 'write to a file in .ndjson, .jsonl or .parquet, which appears when it is whole')
    .addHelpText(
      'after',
      `
Ids may be whole numbers too. Results are written while the input is read, line by line in its order: a line that
cannot be understood ends the command with exit code 1, after the results of the lines before it.

A Parquet history has one row per interaction, or per user with a list of items in the column --item. Parquet results
have one row per item: user, rank, item, score. Parquet needs the package @duckdb/node-api.`,
    )
    .action((file: string, flags: Flags) => interruptible((signal) => run(file, flags, signal)));
}

async function run(file: string, flags: Flags, signal: AbortSignal): Promise<void> {
  const { history, allow, deny, out } = flags;
  refuseSame({
    inputs: {
      '<model-file>': file,
      '--history': filesBehind(history),
      '--allow': fileIn(allow),
      '--deny': fileIn(deny),
    },
    outputs: { '--out': out },
  });
  if (flags.out !== undefined) {
    checkWritable(flags.out, '--out');
    writerFor(flags.out);
  }
  const lists = filterIn(flags);
  const histories = open(flags);
  const model = await load(file);
  const filter = model.filter(lists);
  if (filter.unknown.length > 0) message(`${filter.unknown.length} ids of the lists are not known to the model`);
  const options: ServeOptions = { k: flags.k, filterSeen: flags.includeSeen ? false : undefined, filter };
  const run = { threads: flags.threads, signal };
  await model.recommendBatch([], options, run); // finds a bad option before it waits for input
  const groups = recommendGroups(model, openHistories(histories), options, run);
  if (flags.out !== undefined) return intoFile(flags.out, groups);
  for await (const group of groups) await unlessAborted(signal, print(group.map(lineOf).join('')));
}

/** The histories that the flags name. */
function open({ history, user, item }: Flags): AsyncIterable<History> {
  if (/\.parquet$/i.test(history)) return readHistories({ source: history, user, item });
  for (const [flag, value] of Object.entries({ user, item })) {
    if (value !== undefined) throw new RecvaeError('INVALID_ARGUMENT', `--${flag} has no meaning for NDJSON`);
  }
  return history === '-' ? rowsOf(process.stdin, 'stdin') : rowsOf(createReadStream(history), history);
}

/** Writes the file, and tells of the progress. */
async function intoFile(out: string, groups: AsyncIterable<UserRecommendation[]>): Promise<void> {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  async function* told() {
    let [users, last] = [0, started];
    for await (const group of groups) {
      yield* group;
      users += group.length;
      if (performance.now() - last < SILENCE) continue;
      last = performance.now();
      message(`${users} users, ${Math.round(users / seconds())} per second`);
    }
  }
  const users = await writeRecommendations(out, told());
  message(`${users} users in ${seconds().toFixed(1)} s: ${out}`);
}

/** The rows in lines of JSON. */
async function* rowsOf(stream: AsyncIterable<Buffer | string>, name: string): AsyncGenerator<Row> {
  let number = 0;
  for await (const lines of linesOf(stream)) {
    for (const line of lines) {
      number += 1;
      const row = parse(line, number, `${name}:${number}`);
      if (row) yield row;
    }
  }
}

/** The lines that end in a piece of the stream, piece by piece, as bytes. */
async function* linesOf(stream: AsyncIterable<Buffer | string>): AsyncGenerator<Buffer[]> {
  const open: Buffer[] = [];
  for await (const piece of stream) {
    const bytes = Buffer.from(piece as Buffer);
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      lines.push(Buffer.concat([...open.splice(0), bytes.subarray(start, end)]));
      start = end + 1;
    }
    if (start < bytes.length) open.push(bytes.subarray(start));
    yield lines;
  }
  if (open.length > 0) yield [Buffer.concat(open)];
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The row of a line; undefined for an empty one. */
function parse(bytes: Buffer, number: number, place: string): Row | undefined {
  const bad = (what: string) =>
    new RecvaeError('INVALID_DATA', `${place}: ${what}; allowed: {"user":"u1","items":["a","b"]}`);
  let line: string;
  try {
    line = UTF8.decode(bytes);
  } catch {
    throw bad('not UTF-8');
  }
  if (number === 1 && line.startsWith('\uFEFF')) line = line.slice(1);
  if (line.trim() === '') return undefined;
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch (error) {
    throw bad(`not JSON (${(error as Error).message})`);
  }
  if (typeof row !== 'object' || row === null) throw bad('not an object');
  const { user, items } = row as Record<string, unknown>;
  const name = toId(user);
  if (name === undefined) throw bad('"user" is not a string');
  const ids = Array.isArray(items) ? items.map(toId) : [undefined];
  if (!ids.every((id) => id !== undefined)) throw bad('"items" is not a list of strings');
  return { user: name, items: ids };
}

/** An id as in NDJSON files: whole numbers stand for their digits. Above 2^53, JSON.parse has lost some. */
function toId(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return Number.isSafeInteger(value) ? String(value) : undefined;
}
