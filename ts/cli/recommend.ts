import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
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
    .action(async (file: string, flags: Flags) => {
      const model = await load(file);
      const name = flags.history === '-' ? 'stdin' : flags.history;
      const stream = flags.history === '-' ? process.stdin : createReadStream(flags.history);
      // Batch by batch, so that memory does not grow with the input.
      let batch: Row[] = [];
      for await (const row of rows(stream, name)) {
        batch.push(row);
        if (batch.length === BATCH) {
          await answer(model, batch, flags);
          batch = [];
        }
      }
      await answer(model, batch, flags);
    });
}

async function answer(model: Model, batch: Row[], flags: Flags): Promise<void> {
  // Also for an empty input, so that a bad option never passes unnoticed.
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

async function* rows(stream: NodeJS.ReadableStream, name: string): AsyncGenerator<Row> {
  let number = 0;
  // readline swallows errors of its input.
  const failed = new Promise<never>((_, reject) => stream.once('error', reject));
  failed.catch(() => {});
  const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]();
  for (;;) {
    const { done, value: line } = await Promise.race([lines.next(), failed]);
    if (done) return;
    number += 1;
    if (line.trim() !== '') yield parse(line, `${name}:${number}`);
  }
}

function parse(line: string, place: string): Row {
  const bad = (what: string) =>
    new RecvaeError('INVALID_DATA', `${place}: ${what}; allowed: {"user":"u1","items":["a","b"]}`);
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch (error) {
    throw bad(`not JSON (${(error as Error).message})`);
  }
  if (typeof row !== 'object' || row === null) throw bad('not an object');
  const { user, items } = row as Record<string, unknown>;
  if (typeof user !== 'string') throw bad('"user" is not a string');
  if (!Array.isArray(items) || !items.every((item) => typeof item === 'string')) {
    throw bad('"items" is not a list of strings');
  }
  return { user, items };
}
