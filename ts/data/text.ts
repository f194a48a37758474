/**
 * Text of interactions on its way into the core, which reads files and standard input itself and is handed streams in
 * pieces.
 */
import { fileURLToPath } from 'node:url';
import { untilAborted } from '../runtime/abort.js';
import { invalid, isIterable } from '../runtime/check.js';
import { toJson } from '../runtime/errors.js';
import { native } from '../runtime/native.js';
import type { ReadOptions, Thresholds } from '../runtime/options.generated.js';
import { running } from '../runtime/running.js';
import { rowFiles } from './row-files.js';

/** A `URL`, of any realm; its own type is not there without the types of Node or of a browser. */
export interface UrlLike {
  readonly href: string;
  readonly protocol: string;
}

/** Where text comes from. */
export type TextSource =
  | string
  | readonly string[]
  | UrlLike
  | Iterable<Uint8Array | string>
  | AsyncIterable<Uint8Array | string>;

/** Bytes that the core is handed at once. */
const PIECE = 1 << 20;

/** Reads interactions. An array of strings is one of paths; text in pieces comes from any other iterable. */
export async function readText(
  source: TextSource,
  options: (ReadOptions & Thresholds) | undefined,
  signal: AbortSignal | undefined,
): Promise<native.NativeInteractions> {
  if (typeof source === 'string') return readPaths(source, options, signal);
  if (isListOfPaths(source)) return readPaths(source, options, signal);
  if (isUrl(source)) {
    if (source.protocol !== 'file:') {
      throw invalid('source', source.href, 'a file: URL; of others the body of a response, as a stream');
    }
    return readPaths(fileURLToPath(source.href), options, signal);
  }
  if (typeof source !== 'object' || !isIterable(source) || ArrayBuffer.isView(source)) {
    throw invalid('source', source, "a path, a list of paths, a file: URL, '-' or an iterable of bytes or text");
  }
  return readStream(source as AsyncIterable<Uint8Array | string>, toJson(options), signal);
}

/** Reads files, folders and patterns of them; `-` is standard input. */
function readPaths(
  path: string | readonly string[],
  options: (ReadOptions & Thresholds) | undefined,
  signal: AbortSignal | undefined,
): Promise<native.NativeInteractions> {
  const { paths, format } = rowFiles(path, options);
  const how = toJson(format === undefined ? options : { ...options, format });
  return running({ signal }, (run) => native.readInteractions(paths, how, run));
}

function isListOfPaths(source: TextSource): source is readonly string[] {
  return Array.isArray(source) && source.every((path) => typeof path === 'string');
}

/** Also a URL of another realm. */
function isUrl(source: unknown): source is UrlLike {
  return Object.prototype.toString.call(source) === '[object URL]';
}

/** Hands a stream over while the core reads; whichever of the two fails ends the other. */
function readStream(
  source: Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>,
  options: string,
  signal: AbortSignal | undefined,
): Promise<native.NativeInteractions> {
  return running({ signal }, async (run) => {
    const pipe = new native.NativePipe();
    const reading = pipe.read('stream', options, run);
    reading.catch(() => {}); // it is looked at below
    const stopped = new AbortController();
    reading.catch((error) => stopped.abort(error));
    try {
      for await (const piece of pieces(source, stopped.signal)) if (!(await pipe.push(piece))) break;
    } catch (thrown) {
      // What the reader refused comes from the reader; what the source threw, the caller gets as it is.
      if (!stopped.signal.aborted) {
        run.cancel();
        await reading.catch(() => {});
        throw new Thrown(thrown);
      }
    }
    pipe.end();
    return await reading;
  }).catch((error) => {
    const cause = (error as { cause?: unknown } | undefined)?.cause;
    if (cause instanceof Thrown) throw cause.thrown;
    throw error;
  });
}

/** What a source threw, on its way through what makes errors the package's own. */
class Thrown extends Error {
  readonly thrown: unknown;

  constructor(thrown: unknown) {
    super('the source failed');
    this.thrown = thrown;
  }
}

/** The bytes in pieces that are worth handing over. */
async function* pieces(
  source: Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let size = 0;
  for await (const piece of untilAborted(signal, source)) {
    if (typeof piece !== 'string' && !ArrayBuffer.isView(piece)) {
      throw invalid('a piece of the stream', piece, 'a Uint8Array or text');
    }
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
    held.push(bytes);
    size += bytes.byteLength;
    if (size < PIECE) continue;
    yield Buffer.concat(held);
    [held, size] = [[], 0];
  }
  if (size > 0) yield Buffer.concat(held);
}
