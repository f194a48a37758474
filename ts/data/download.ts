/**
 * Files from other machines: with their progress, from where a transfer broke off, and nothing without its checksum.
 */
import { createHash } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { finished } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { onAbort } from '../runtime/abort.js';
import { RecvaeError } from '../runtime/errors.js';

/** What is downloaded. */
interface Download {
  /** `https:` or `http:`. */
  url: string;
  /** Where the file goes. Until it is whole, it is called so with `.part` behind it. */
  path: string;
  /** The algorithm and the digits, such as `md5:0e33…`; empty if none is known. */
  checksum: string;
  signal?: AbortSignal | undefined;
  /** Called with the bytes that are there, and of how many if the server says so. */
  onProgress?: ((bytes: number, total: number | undefined) => void) | undefined;
  /** Called when a transfer broke off and is taken up again. */
  onRetry?: ((why: string) => void) | undefined;
  /** Milliseconds before that. By default 1,000. */
  patience?: number;
}

/** How often a transfer is taken up again before that is left to the next call. */
const RETRIES = 3;
/** How many redirections are followed. */
const REDIRECTIONS = 10;
/** Milliseconds without a byte after which a transfer counts as broken. */
const SILENCE = 60_000;

/** What is remembered of a part: of which version of the file it is. */
interface Part {
  url: string;
  /** An ETag, or the date of the last change. */
  version: string;
}

/** A transfer that may be taken up again. */
class Broken extends Error {}

/**
 * Downloads a file. A part of it that an earlier call left is gone on with, if the server says that the file is the
 * same. Only a file with the right checksum gets its name.
 *
 * @returns The file's SHA-256.
 * @throws {@link RecvaeError} `IO` if the server refuses or breaks off for good, `INVALID_DATA` for another checksum.
 */
export async function download(what: Download): Promise<string> {
  const { url, path, patience = 1000 } = what;
  mkdirSync(dirname(path), { recursive: true });
  for (let attempt = 0; ; attempt += 1) {
    try {
      await transfer(what);
      break;
    } catch (thrown) {
      what.signal?.throwIfAborted();
      if (!(thrown instanceof Broken)) throw thrown;
      if (attempt === RETRIES) {
        const bytes = bytesOf(`${path}.part`);
        const kept = bytes > 0 ? `; ${bytes} bytes are kept, and the same command goes on from there` : '';
        throw new RecvaeError('IO', `cannot download ${url}: ${thrown.message}${kept}`, { cause: thrown });
      }
      what.onRetry?.(thrown.message);
      await pause(patience * 2 ** attempt, undefined, { signal: what.signal });
    }
  }
  const sha256 = await check(what);
  forget(path);
  renameSync(`${path}.part`, path);
  return sha256;
}

/** One answer of the server, to its end. */
async function transfer(what: Download): Promise<void> {
  const { url, path, onProgress } = what;
  const part = `${path}.part`;
  const known = versionOf(path, url);
  const have = known === undefined ? 0 : bytesOf(part);
  const stalled = new AbortController();
  const release = what.signal ? onAbort(what.signal, () => stalled.abort(what.signal!.reason)) : () => {};
  let timer: NodeJS.Timeout | undefined;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stalled.abort(new Broken(`nothing came for ${SILENCE / 1000} seconds`)), SILENCE);
  };
  try {
    what.signal?.throwIfAborted();
    wait();
    const range: Record<string, string> = have > 0 ? { range: `bytes=${have}-`, 'if-range': known! } : {};
    const answer = await ask(url, { 'accept-encoding': 'identity', ...range }, stalled.signal);
    // What is there is all of it already, or of another length.
    if (answer.status === 416) {
      discard(path);
      throw new Broken('the part that was kept does not fit the file');
    }
    const goesOn = answer.status === 206 && startOf(answer) === have;
    if (answer.status === 206 && !goesOn) {
      discard(path);
      throw new Broken('the server sends another part than asked for');
    }
    if (!goesOn) remember(path, url, answer);
    const start = goesOn ? have : 0;
    const length = answer.headers.get('content-length');
    const total = length === null ? undefined : start + Number(length);
    let bytes = start;
    const file = createWriteStream(part, { flags: goesOn ? 'a' : 'w' });
    const failed = new Promise<never>((_, reject) => file.once('error', reject));
    failed.catch(() => {});
    try {
      for await (const piece of answer.body ?? []) {
        wait();
        if (!file.write(piece))
          await Promise.race([new Promise<void>((resolve) => file.once('drain', () => resolve())), failed]);
        bytes += piece.length;
        onProgress?.(bytes, total);
      }
    } finally {
      file.end();
      await finished(file);
    }
    if (total !== undefined && bytes !== total) throw new Broken(`the transfer ended after ${bytes} of ${total} bytes`);
  } catch (thrown) {
    what.signal?.throwIfAborted();
    if (stalled.signal.aborted) throw stalled.signal.reason;
    if (thrown instanceof Broken || thrown instanceof RecvaeError) throw thrown;
    const { code, message, cause } = thrown as NodeJS.ErrnoException & { cause?: Error };
    // The disk is full, or the like: to repeat that helps nobody.
    if (code?.startsWith('E') && !cause)
      throw new RecvaeError('IO', `cannot write ${part}: ${message}`, { cause: thrown });
    throw new Broken(`the transfer broke off (${cause?.message ?? message})`);
  } finally {
    clearTimeout(timer);
    release();
  }
}

/** Asks a server, and those that it names instead. */
async function ask(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
  let at = url;
  for (let count = 0; count <= REDIRECTIONS; count += 1) {
    const answer = await fetch(at, { headers, signal, redirect: 'manual' });
    const location = answer.headers.get('location');
    if (answer.status >= 300 && answer.status < 400 && location !== null) {
      await answer.body?.cancel();
      const next = new URL(location, at);
      const isSafe = next.protocol === 'https:' || (next.protocol === 'http:' && at.startsWith('http:'));
      if (!isSafe) {
        const text = `cannot download ${url}: it leads to ${next.href}; allowed: https, and http from http`;
        throw new RecvaeError('IO', text);
      }
      at = next.href;
      continue;
    }
    if (answer.ok || answer.status === 416) return answer;
    await answer.body?.cancel();
    const said = `the server says ${answer.status} ${answer.statusText}`.trim();
    if (answer.status >= 500 || answer.status === 429 || answer.status === 408) throw new Broken(said);
    throw new RecvaeError('IO', `cannot download ${at}: ${said}`);
  }
  throw new RecvaeError(
    'IO',
    `cannot download ${url}: it leads from one place to another more than ${REDIRECTIONS} times`,
  );
}

/** Where the bytes of a partial answer begin. */
function startOf(answer: Response): number {
  return Number(/^bytes (\d+)-/.exec(answer.headers.get('content-range') ?? '')?.[1] ?? -1);
}

/** Compares the checksum, and gives the SHA-256. A file with another checksum is removed. */
async function check({ url, path, checksum, signal }: Download): Promise<string> {
  const [algorithm, wanted] = checksum === '' ? [SHA256] : (checksum.split(':') as [string, string]);
  const digests = await digestsOf(`${path}.part`, [algorithm, SHA256], signal);
  const found = digests[algorithm]!;
  if (wanted === undefined || found === wanted) return digests[SHA256]!;
  discard(path);
  const text = `${url} has the ${algorithm} ${found}; allowed: ${wanted}, that of the data set. What came is removed`;
  throw new RecvaeError('INVALID_DATA', text);
}

/** What {@link download} tells of a file. */
export const SHA256 = 'sha256';

/** The digests of a file by algorithm, by reading it once. */
export async function digestsOf(
  path: string,
  algorithms: string[],
  signal?: AbortSignal,
): Promise<Record<string, string>> {
  const hashes = new Map(algorithms.map((algorithm) => [algorithm, createHash(algorithm)]));
  for await (const piece of createReadStream(path)) {
    signal?.throwIfAborted();
    for (const hash of hashes.values()) hash.update(piece);
  }
  return Object.fromEntries([...hashes].map(([algorithm, hash]) => [algorithm, hash.digest('hex')]));
}

function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The version of which there is a part; none if that is not known, or of another address. */
function versionOf(path: string, url: string): string | undefined {
  if (!existsSync(`${path}.part`) || !existsSync(`${path}.part.json`)) return undefined;
  try {
    const part = JSON.parse(readFileSync(`${path}.part.json`, 'utf8')) as Part;
    return part.url === url && typeof part.version === 'string' ? part.version : undefined;
  } catch {
    return undefined;
  }
}

/** Notes the version of an answer; a weak ETag does not say that bytes are the same. */
function remember(path: string, url: string, answer: Response): void {
  const etag = answer.headers.get('etag');
  const version = etag !== null && !etag.startsWith('W/') ? etag : answer.headers.get('last-modified');
  if (version === null) forget(path);
  else writeFileSync(`${path}.part.json`, JSON.stringify({ url, version } satisfies Part));
}

function forget(path: string): void {
  rmSync(`${path}.part.json`, { force: true });
}

/** Removes a part. */
function discard(path: string): void {
  forget(path);
  rmSync(`${path}.part`, { force: true });
}
