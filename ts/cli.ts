#!/usr/bin/env node
/** The command line, which can say what it is also where there is no compiled binding for the platform. */
import { readFileSync } from 'node:fs';

/** The commands, for a help that cannot ask them. */
const COMMANDS = [
  ...['advise', 'compare', 'tune', 'ablate', 'report', 'train', 'evaluate', 'recommend', 'similar', 'explain'],
  ...['compact', 'inspect', 'split', 'synth', 'models'],
];

/** What is left without a binding: the version, the names of the commands, and why there is no more. Gives the exit code. */
function withoutBinary(reason: string): number {
  const { version, description } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const [word] = process.argv.slice(2);
  process.stderr.write(`recvae: ${reason}\n`);
  if (word === '-V' || word === '--version') process.stdout.write(`${version}\n`);
  else if (word === '-h' || word === '--help' || word === 'help') {
    process.stdout.write(
      `Usage: recvae [options] [command]\n\n${description}\n\nCommands: ${COMMANDS.join(', ')}.\n` +
        'They, and recvae <command> --help, need a binary for this platform.\n',
    );
  } else return 1;
  return 0;
}

/** Runs the command. */
async function main(): Promise<number> {
  try {
    const { run } = await import('./cli/program.js');
    return await run();
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    if (code === 'ERR_RECVAE_NO_BINARY') return withoutBinary(message);
    throw thrown;
  }
}

process.exitCode = await main();
