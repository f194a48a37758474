/** Checks of arguments, for callers without TypeScript. Values of options are the core's to check. */
import { isPromise } from 'node:util/types';
import { RecvaeError } from './errors.js';

function show(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return 'an array';
  if (isPromise(value)) return 'a promise, which nobody awaited';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** The error for an argument that is not allowed. */
export function invalid(what: string, value: unknown, allowed: string): RecvaeError {
  return new RecvaeError('INVALID_ARGUMENT', `${what} is ${show(value)}; allowed: ${allowed}`);
}

/** Fails unless `value` is an object. */
export function checkObject(value: unknown, what: string): asserts value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(what, value, 'an object');
}

/** Fails for a key that would be ignored; `undefined` has none. */
export function knownKeys(object: unknown, allowed: readonly string[], what: string): void {
  if (object === undefined) return;
  checkObject(object, what);
  for (const key of Object.keys(object)) {
    if (!allowed.includes(key)) throw invalid(`a key of ${what}`, key, allowed.join(', '));
  }
}

const CLONED = '; a copy that postMessage() or structuredClone() made is none: native memory belongs to one thread';

/** Whether that is what is left of one of our objects: its own fields, without its class and that of its handle. */
function isClone(value: unknown): boolean {
  const { native } = (value ?? {}) as { native?: unknown };
  if (typeof native !== 'object' || native === null || Object.keys(native).length > 0) return false;
  return native.constructor?.name === 'Object';
}

/** Fails unless `value` is an instance of one of the classes. */
export function checkInstance(value: unknown, what: string, ...classes: { name: string; prototype: object }[]): void {
  const isOne = classes.some(({ prototype }) => Object.prototype.isPrototypeOf.call(prototype, value as object));
  if (isOne) return;
  const error = invalid(what, value, `an instance of ${classes.map(({ name }) => name).join(' or ')}`);
  throw isClone(value) ? new RecvaeError(error.code, `${error.message}${CLONED}`) : error;
}

/**
 * Fails unless `value` can be listened to as an AbortSignal: every realm has a class of its own, so its members decide.
 */
export function checkSignal(value: unknown): asserts value is AbortSignal {
  const { aborted, addEventListener, removeEventListener } = (value ?? {}) as Partial<AbortSignal>;
  const isOne =
    typeof aborted === 'boolean' && typeof addEventListener === 'function' && typeof removeEventListener === 'function';
  if (!isOne) throw invalid('signal', value, 'an instance of AbortSignal');
}

/** Fails unless `value` is a string. */
export function checkString(value: unknown, what: string): asserts value is string {
  if (typeof value !== 'string') throw invalid(what, value, 'a string');
}

/** The largest seed: beyond it two whole numbers may be one. */
export const LARGEST_SEED = 2 ** 53;

/** Fails unless `value` is a seed. */
export function checkSeed(value: unknown, what: string): asserts value is number {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= LARGEST_SEED) return;
  throw invalid(what, value, 'a whole number from 0 to 2^53');
}

/** Fails unless `value` is an array of strings. */
export function checkStrings(value: unknown, what: string): asserts value is string[] {
  if (!Array.isArray(value)) throw invalid(what, value, 'an array of strings');
  const wrong = value.findIndex((element) => typeof element !== 'string');
  if (wrong >= 0) throw invalid(`${what}[${wrong}]`, value[wrong], 'a string');
}

/** Whether it can be iterated over, at once or as it comes. A string is not taken for a list of its letters. */
export function isIterable(value: unknown): boolean {
  const one = value as Partial<Iterable<unknown> & AsyncIterable<unknown>> | null | undefined;
  return typeof value !== 'string' && typeof (one?.[Symbol.asyncIterator] ?? one?.[Symbol.iterator]) === 'function';
}

/** What an iterable hands out. A string is not taken for a list of its letters. */
export function listOf<T>(value: Iterable<T>, what: string, allowed: string): T[] {
  const iterable = typeof value === 'object' && value !== null && typeof value[Symbol.iterator] === 'function';
  if (!iterable) throw invalid(what, value, allowed);
  return [...value];
}

/**
 * Fails for a key of `run` that is not allowed, and for `threads`, `memoryLimit`, `signal` and `onProgress` of another
 * type.
 */
export function checkRun(run: object | undefined, allowed: readonly string[], what = 'run'): void {
  knownKeys(run, allowed, what);
  const { threads, memoryLimit, signal, onProgress, onStep } = (run ?? {}) as Record<string, unknown>;
  for (const [name, value] of Object.entries({ threads, memoryLimit })) {
    if (value !== undefined && typeof value !== 'number') throw invalid(name, value, 'a number');
  }
  if (signal !== undefined) checkSignal(signal);
  for (const [name, value] of Object.entries({ onProgress, onStep })) {
    if (value !== undefined && typeof value !== 'function') throw invalid(name, value, 'a function');
  }
}

/** The signal of a call that takes nothing else. */
export function signalOf(run: { signal?: AbortSignal | undefined }): AbortSignal | undefined {
  checkRun(run, ['signal']);
  return run.signal;
}

/** `info` as JSON text. */
export function infoText(info: unknown): string {
  const allowed = 'anything that JSON can hold';
  const isLost = (value: unknown) =>
    typeof value === 'function' || typeof value === 'symbol' || (typeof value === 'number' && !Number.isFinite(value));
  try {
    return JSON.stringify(info ?? null, (key, value) => {
      // JSON.stringify would leave it out, or write null in its place.
      if (isLost(value)) throw invalid(key === '' ? 'info' : `'${key}' in info`, value, allowed);
      return value;
    });
  } catch (cause) {
    if (cause instanceof RecvaeError) throw cause;
    // It is circular, or has a bigint.
    throw new RecvaeError('INVALID_ARGUMENT', `info is not JSON; allowed: ${allowed}`, { cause });
  }
}
