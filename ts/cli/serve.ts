import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { invalid } from '../runtime/check.js';
import { guard, RecvaeError, toRecvaeError } from '../runtime/errors.js';
import { LONGEST, ModelHolder } from '../serve/holder.js';
import { checkServer, createServer, SERVER_LIMITS } from '../serve/server.js';
import { parseBytes } from './common-flags.js';
import { warnOfFallback } from './fallback.js';
import { MODEL_FILE, parseNumber } from './flags.js';
import { untilStopped } from './interrupt.js';
import { message, print } from './output.js';

interface Flags {
  host: string;
  port: number;
  apiKeyFile?: string;
  bodyLimit?: number;
  maxConcurrent?: number;
  maxK?: number;
  watch: number | false;
  mmap?: boolean;
}

/** Where a key is looked for that no flag names: whoever lists processes sees flags. */
const KEY = 'RECVAE_API_KEY';
const WATCH = 1;

/** `recvae serve`: recommendations over HTTP. */
export function addServe(program: Command): void {
  const { bodyLimit, maxConcurrent, maxK } = SERVER_LIMITS;
  program
    .command('serve')
    .description('serve a model over HTTP: recommend, similar, explain, health, metrics, OpenAPI')
    .argument(...MODEL_FILE)
    .option('--port <number>', 'port to listen on; 0 takes a free one', parseNumber, 8080)
    .option('--host <address>', 'address to listen on; 0.0.0.0 or :: for all', '127.0.0.1')
    .option(
      '--api-key-file <file>',
      `file with the key that requests must have (default: the variable ${KEY}, else none)`,
    )
    .option('--body-limit <bytes>', `bytes that a request may have, such as 1MiB (default: ${bodyLimit})`, parseBytes)
    .option('--max-concurrent <count>', `requests at work at once (default: ${maxConcurrent})`, parseNumber)
    .option('--max-k <count>', `items that a request may ask for (default: ${maxK})`, parseNumber)
    .option('--watch <seconds>', 'look so often whether another model is in the file, and load it', parseNumber, WATCH)
    .option('--no-watch', 'load another model only on SIGHUP')
    .option('--mmap', 'map the file: only where it is replaced by renaming and never written into')
    .addHelpText(
      'after',
      `
The URL is printed on stdout when it answers. POST /recommend {"items":["a"],"k":5}, /recommend/batch, /similar and /explain,
GET /health/live, /health/ready, /metrics and /openapi.json, which describes them all.

SIGHUP, or another file in its place, loads the model anew; the old one serves until the new one is there and verified, and goes
on if that fails. Ctrl-C and SIGTERM end the requests at work, and then the server: exit code 0.
It needs the package fastify: npm install fastify`,
    )
    .action(run);
}

async function run(file: string, flags: Flags): Promise<void> {
  const { host, port, watch } = flags;
  const { bodyLimit, maxConcurrent, maxK } = flags;
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new RecvaeError('INVALID_ARGUMENT', `--port is ${port}; allowed: a whole number from 0 to 65535`);
  }
  if (watch !== false && !(watch >= 0.01 && watch <= LONGEST / 1000)) {
    throw invalid('--watch', watch, `a number of seconds from 0.01 to ${LONGEST / 1000}`);
  }
  const apiKey = keyIn(flags);
  const options = {
    ...(apiKey !== undefined && { apiKey }),
    ...(bodyLimit !== undefined && { bodyLimit }),
    ...(maxConcurrent !== undefined && { maxConcurrent }),
    ...(maxK !== undefined && { maxK }),
  };
  checkServer(options);
  const holder = await ModelHolder.open(file, {
    load: { mmap: flags.mmap ?? false },
    onSwap: ({ model, generation }) => {
      // The first one waits for the address.
      const state = generation === 1 ? 'is loaded' : 'serves';
      message(`${model.kind} with ${model.itemIds.length} items ${state}: ${file}`, { event: 'loaded', generation });
    },
    onError: (error) => failed(error),
  });
  warnOfFallback(file, holder.current.model, 'training anew changes it');
  const server = await createServer(holder, options);
  function failed(thrown: unknown): void {
    server.reloadFailed();
    message(`warning: the model was not loaded anew, and the old one serves on: ${toRecvaeError(thrown).message}`, {
      event: 'reload failed',
    });
  }
  const stopped = untilStopped(() => {
    holder.reload().catch(failed);
  });
  if (watch !== false) holder.watch(1000 * watch);
  await print(`${await server.listen({ host, port })}\n`);
  if (apiKey === undefined && !['127.0.0.1', '::1', 'localhost'].includes(host)) {
    message(`warning: everybody who reaches ${host} may ask: there is no API key (--api-key-file, or ${KEY})`);
  }
  const signal = await stopped;
  message(`${signal}: requests at work are ended`, { event: 'closing' });
  await server.close();
  holder.dispose();
}

/** The key in the file, or in the environment. */
function keyIn({ apiKeyFile }: Flags): string | undefined {
  if (apiKeyFile === undefined) return process.env[KEY] || undefined;
  const key = guard(() => readFileSync(apiKeyFile, 'utf8')).trim();
  if (key !== '') return key;
  throw new RecvaeError(
    'INVALID_ARGUMENT',
    `--api-key-file is '${apiKeyFile}', which is empty; allowed: a file with a key`,
  );
}
