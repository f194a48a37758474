/**
 * Pages for people: `--report` of the commands that decide, and `recvae report`, which makes the same page of their
 * JSON later.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import type { RunFacts } from '../decide/run.js';
import { reportPage } from '../report/report.js';
import { guard, RecvaeError } from '../runtime/errors.js';
import { checkRegular, type Output, writeAll } from '../runtime/files.js';
import { refuseSame } from './distinct.js';
import { leavable } from './interrupt.js';
import { checkWritable, message, writing } from './output.js';

/** `--report result.html`. */
export function reportFlag(): Option {
  return new Option('--report <file>', 'write the result as a page for people: one HTML file that needs no network');
}

/** `--no-examples`. */
export function examplesFlag(): Option {
  return new Option(
    '--no-examples',
    'name no test users: without it, --json and --report tell of three what each model lists',
  );
}

/** A page to be; none without a path. */
export function pageOutput(path: string | undefined, report: unknown): Output[] {
  if (path === undefined) return [];
  return [{ path, write: async (to) => writeFileSync(to, await reportPage(report)) }];
}

/** A report with the command line that it came from. Reports are handed on: passwords in addresses stay out. */
export function withCommand<R extends { run: RunFacts }>(report: R): R {
  return { ...report, run: { ...report.run, command: ['recvae', ...process.argv.slice(2).map(withoutPassword)] } };
}

/** A word of a command line with stars for the password of an address, as in `redis://user:password@host`. */
export function withoutPassword(word: string): string {
  return word.replace(/([a-z][a-z\d+.-]*:\/\/[^:@/\s]*:)[^/\s]*@/i, '$1***@');
}

/** Writes a result's JSON, unless it goes to stdout, and its page: both or none. */
export async function writeReport(report: object, json: string | undefined, page: string | undefined): Promise<void> {
  const outputs = json === undefined || json === '-' ? [] : [{ path: json, write: writing(report) }];
  await writeAll([...outputs, ...pageOutput(page, report)]);
}

/** `recvae report`. */
export function addReport(program: Command): void {
  program
    .command('report')
    .description('make a page for people of what compare, tune, ablate or advise wrote with --json')
    .argument('<json-file>', 'what --json wrote, or comparison.json of compare --save')
    .requiredOption('--out <file>', 'where the page goes: one HTML file that needs no network')
    .action(async (path: string, { out }: { out: string }) => {
      refuseSame({ inputs: { '<json-file>': path }, outputs: { '--out': out } });
      checkWritable(out, '--out');
      checkRegular(path);
      const report = jsonIn(path);
      await leavable(() => writeAll(pageOutput(out, report)));
      message(`saved: ${out}`);
    });
}

function jsonIn(path: string): unknown {
  const text = guard(() => readFileSync(path, 'utf8'));
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new RecvaeError('INVALID_DATA', `cannot read ${path}: ${(thrown as Error).message}; allowed: JSON`, {
      cause: thrown,
    });
  }
}
