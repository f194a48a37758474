import { createReadStream } from 'node:fs';
import type { Command } from 'commander';
import { RecvaeError } from '../errors.js';
import { load, type Model } from '../models.js';
import { description } from '../native.js';
import { parseNumber } from './input.js';
import { print } from './output.js';

interface Flags {
  history: string;
  k?: number;
  includeSeen?: boolean;
  threads?: number;
}

interface Row {
  user: string;
  items: string[];
}

/** Histories that are scored together. */
const BATCH = 1024;

/** `recvae recommend`: histories in, recommendations out, one JSON object per line. */
export function addRecommend(program: Command): void {
  const { default: k } = description.recommend.find(({ name }) => name === 'k')!;
  program
    .command('recommend')
    .description('recommend items for histories, one JSON object per line: {"user":"u1","items":["a","b"]}')
    .argument('<model-file>', 'what train or compare has saved')
    .option('--history <file>', 'histories; - is stdin', '-')
    .option('-k <count>', `items per user (default: ${k})`, parseNumber)
    .option('--include-seen', 'let items of the history come back')
    .option('--threads <count>', `threads (default: ${description.threads})`, parseNumber)
    .addHelpText(
      'after',
      `
Ids may be whole numbers too. Results are written while the input is read, line by line in its order: a line that
cannot be understood ends the command with exit code 1, after the results of the lines before it.`,
    )
    .action(async (file: string, flags: Flags) => {
      const model = await load(file);
      await answer(model, [], flags); // finds a bad option before it waits for input
      const name = flags.history === '-' ? 'stdin' : flags.history;
      const stream = flags.history === '-' ? process.stdin : createReadStream(flags.history);
      // What has arrived is answered before more is read, so that memory does not grow with the input.
      let number = 0;
      for await (const lines of linesOf(stream)) {
        let batch: Row[] = [];
        try {
          for (const line of lines) {
            number += 1;
            const row = parse(line, number, `${name}:${number}`);
            if (row) batch.push(row);
            if (batch.length < BATCH) continue;
            const full = batch;
            batch = [];
            await answer(model, full, flags);
          }
        } finally {
          // Also the lines before a bad one.
          if (batch.length > 0) await answer(model, batch, flags);
        }
      }
    });
}

async function answer(model: Model, batch: Row[], flags: Flags): Promise<void> {
  const results = await model.recommendBatch(
    batch.map(({ items }) => items),
    { k: flags.k, filterSeen: flags.includeSeen ? false : undefined },
    { threads: flags.threads },
  );
  const lines = results.map(({ items, unknown }, at) =>
    JSON.stringify({
      user: batch[at]!.user,
      items: items.map(({ id }) => id),
      scores: items.map(({ score }) => score),
      ...(unknown.length > 0 && { unknown }),
    }),
  );
  if (lines.length > 0) await print(`${lines.join('\n')}\n`);
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
