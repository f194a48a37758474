/** Ids on their way into the core: one rule for every way in. */
import { types } from 'node:util';
import { invalid, listOf } from '../runtime/check.js';
import { RecvaeError } from '../runtime/errors.js';
import type { native } from '../runtime/native.js';

/**
 * An id: text, or a whole number, which stands for its decimal digits (5 and 5n for `'5'`, -0 for `'0'`). A `number`
 * must be a safe integer: from 2^53 on, neighbours are one. Larger ones are written as text or as a bigint.
 */
export type Id = string | number | bigint;

/** Typed arrays of whole numbers; those of floats must hold whole numbers that they keep apart, below 2^53 or 2^24. */
export type IntegerArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** A column of ids: strings, or whole numbers, which stand for their decimal digits. */
export type IdColumn = readonly Id[] | IntegerArray;

const ALLOWED = 'a string or a whole number';

/** The text of an id; undefined if it is none. */
export function textOf(id: unknown): string | undefined {
  if (typeof id === 'string') return id.isWellFormed() ? id : undefined;
  return typeof id === 'bigint' || Number.isSafeInteger(id) ? String(id) : undefined;
}

/** Why something is no id. */
function refusal(id: unknown, what: string): RecvaeError {
  if (typeof id === 'string') {
    // Rust's strings have no such halves: all of them would become one character.
    const start = JSON.stringify(id.length > 80 ? `${id.slice(0, 80)}…` : id);
    const message = `${what} is ${start}, with half of a character (a lone surrogate, as slice() leaves them)`;
    return new RecvaeError('INVALID_DATA', `${message}; allowed: well-formed text`);
  }
  if (!Number.isInteger(id)) return invalid(what, id, ALLOWED);
  return invalid(what, id, `${ALLOWED} below 2^53, where numbers are exact (larger ones as text or as a bigint)`);
}

/** The text of an id. */
export function idOf(id: Id, what: string): string {
  const text = textOf(id);
  if (text === undefined) throw refusal(id, what);
  return text;
}

/** The texts of ids; messages call them `name[row]` with `of` behind it. */
export function idsOf(ids: Iterable<Id>, name: string, of = ''): string[] {
  const list = listOf(ids, `${name}${of}`, 'a list of ids');
  checkExact(ids, name, of);
  return list.map((id, row) => textOf(id) ?? idOf(id, `${name}[${row}]${of}`));
}

/** A column for the core. */
export function idColumn(column: IdColumn, name: string, of = ''): native.NativeIds {
  if (types.isBigInt64Array(column)) return { signed: column };
  if (types.isBigUint64Array(column)) return { unsigned: column };
  if (types.isFloat64Array(column)) return { doubles: column };
  if (!isColumn(column)) throw invalid(`${name}${of}`, column, 'an array of ids or a typed array');
  if (Array.isArray(column)) return { text: idsOf(column, name, of) };
  checkExact(column, name, of);
  return { doubles: Float64Array.from(column as Int32Array) };
}

/** Arrays and typed arrays, but no views of bytes without a type. */
export function isColumn(column: unknown): column is unknown[] | IntegerArray {
  return Array.isArray(column) || types.isTypedArray(column);
}

/** Bits of the whole numbers that short floats keep apart. Node 20 has no Float16Array yet. */
const EXACT_BITS = new Map([
  ['Float32Array', 24],
  ['Float16Array', 11],
]);

/** Fails for a number in an array of short floats that may have been another one before it was written there. */
function checkExact(ids: unknown, name: string, of: string): void {
  const kind = Object.prototype.toString.call(ids).slice('[object '.length, -1);
  const bits = EXACT_BITS.get(kind);
  if (bits === undefined) return;
  const row = (ids as Float32Array).findIndex((id) => Math.abs(id) >= 2 ** bits);
  if (row < 0) return;
  const allowed = `a whole number below 2^${bits} in a ${kind} (larger ones as text, or in another array)`;
  const what = `${name}[${row}]${of} is ${(ids as Float32Array)[row]}; allowed: ${allowed}`;
  throw new RecvaeError('INVALID_DATA', what);
}
