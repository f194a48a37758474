/** Arrow IPC as bytes, in and out; the core reads and writes it. */
import { setImmediate } from 'node:timers/promises';
import { isAnyArrayBuffer, isUint8Array } from 'node:util/types';
import { untilAborted } from '../runtime/abort.js';
import { invalid, isIterable } from '../runtime/check.js';
import { guard, guardAsync, toJson } from '../runtime/errors.js';
import { native } from '../runtime/native.js';
import type { ReadOptions, Thresholds } from '../runtime/options.generated.js';

/** Which columns hold what, and what stays: what {@link Interactions.fromArrow} takes beside the bytes. */
export interface ColumnNames
  extends Pick<
      ReadOptions,
      'user' | 'item' | 'value' | 'minValue' | 'weighted' | 'time' | 'timeUnit' | 'since' | 'until' | 'part'
    >,
    Thresholds {}

/** Bytes in one piece or in many, such as a Node `Readable` or the body of a response. */
export type Bytes = Uint8Array | ArrayBuffer | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Bytes that are read before the event loop gets its turn. */
const PIECE = 1 << 20;

/** What is in one piece in several; a stream as it is, so that it can be closed. */
function piecesOf(bytes: Bytes): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  const whole = isAnyArrayBuffer(bytes) ? new Uint8Array(bytes) : bytes;
  return isUint8Array(whole) ? cut(whole) : whole;
}

async function* cut(whole: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < whole.length; start += PIECE) {
    yield whole.subarray(start, start + PIECE);
    await setImmediate();
  }
}

/** Takes a stream or a file one piece at a time. */
export async function readArrow(
  bytes: Bytes,
  options: ColumnNames | undefined,
  signal: AbortSignal,
): Promise<native.NativeInteractions> {
  if (!isAnyArrayBuffer(bytes) && !isIterable(bytes)) {
    throw invalid('bytes', bytes, 'a Uint8Array, an ArrayBuffer or an iterable of Uint8Arrays');
  }
  const reader = guard(() => new native.NativeArrowReader(toJson(options)));
  for await (const piece of untilAborted(signal, piecesOf(bytes))) {
    if (!isUint8Array(piece)) throw invalid('a piece of bytes', piece, 'a Uint8Array');
    guard(() => reader.push(piece));
  }
  return guardAsync(() => reader.finish());
}

/** The histories in a stream of `user`, `items` and, if they are there, `allow` and `deny`, as they come. */
export async function* arrowHistories(
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<native.NativeRequest> {
  const reader = guard(() => new native.NativeArrowHistories());
  for await (const piece of untilAborted(signal, bytes)) yield* guard(() => reader.push(piece));
  guard(() => reader.finish());
}

/** The parts of a stream, made as they are asked for. */
export function* arrowParts(interactions: native.NativeInteractions): Generator<Uint8Array> {
  for (let number = 0; ; number += 1) {
    const part = guard(() => native.arrowPart(interactions, number));
    if (part === null) return;
    yield part;
  }
}
