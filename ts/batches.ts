/** Batches of columns on their way into the core. */
import { untilAborted } from './abort.js';
import { checkObject, invalid, knownKeys } from './check.js';
import { guard, guardAsync, toJson } from './errors.js';
import { native } from './native.js';
import type { Thresholds } from './options.generated.js';

/** Typed arrays of whole numbers; those of doubles must hold whole numbers below 2^53. */
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
export type IdColumn = readonly (string | number | bigint)[] | IntegerArray;

/** A column of numbers. 64-bit integers become doubles. */
export type NumberColumn = ArrayLike<number> | BigInt64Array | BigUint64Array;

/** Rows as columns of one length. */
export interface Batch {
  /** User ids. */
  users: IdColumn;
  /** Item ids, as many. */
  items: IdColumn;
  /** Numbers such as ratings, as many. */
  values?: NumberColumn;
  /** Times in any unit that all batches share, as many. */
  timestamps?: NumberColumn;
}

/** What {@link Interactions.fromBatches} takes beside the batches. Rows that are left out leave no trace of their ids. */
export interface BatchOptions extends Thresholds {
  /** Rows with a lower value are left out. Every batch must have `values` then. */
  minValue?: number;
  /** Rows with an earlier timestamp are left out. Every batch must have `timestamps` then. */
  since?: number;
  /** Rows with this timestamp or a later one are left out. Every batch must have `timestamps` then. */
  until?: number;
}

/** Takes batches one at a time, and asks for the next one when the last one is taken. */
export async function collect(
  batches: Iterable<Batch> | AsyncIterable<Batch>,
  options: BatchOptions | undefined,
  signal?: AbortSignal,
): Promise<native.NativeInteractions> {
  const iterable = batches as Partial<Iterable<Batch> & AsyncIterable<Batch>> | null | undefined;
  if (typeof batches === 'string' || !(iterable?.[Symbol.asyncIterator] ?? iterable?.[Symbol.iterator])) {
    throw invalid('batches', batches, 'an iterable of {users, items}');
  }
  const collected = guard(() => new native.NativeBatches(toJson(options)));
  let number = 0;
  for await (const batch of untilAborted(signal, batches)) {
    const what = `batch ${number}`;
    checkObject(batch, what);
    knownKeys(batch, ['users', 'items', 'values', 'timestamps'], what);
    const { users, items, values, timestamps } = batch;
    const columns = [
      idColumn(users, 'users', what),
      idColumn(items, 'items', what),
      numberColumn(values, 'values', what),
      numberColumn(timestamps, 'timestamps', what),
    ] as const;
    guard(() => collected.push(...columns));
    number += 1;
  }
  return guardAsync(() => collected.finish());
}

/** Arrays and typed arrays, but no views of bytes without a type. */
function isColumn(column: unknown): column is unknown[] | IntegerArray {
  return Array.isArray(column) || (ArrayBuffer.isView(column) && !(column instanceof DataView));
}

function idColumn(column: IdColumn, name: string, batch: string): native.NativeIds {
  if (column instanceof BigInt64Array) return { signed: column };
  if (column instanceof BigUint64Array) return { unsigned: column };
  if (column instanceof Float64Array) return { doubles: column };
  if (!isColumn(column)) throw invalid(`${name} of ${batch}`, column, 'an array of ids or a typed array');
  if (!Array.isArray(column)) return { doubles: Float64Array.from(column as Int32Array) };
  return { text: column.map((id, row) => idText(id, `${name}[${row}] of ${batch}`)) };
}

function idText(id: unknown, what: string): string {
  if (typeof id === 'string') return id;
  if (typeof id === 'bigint' || Number.isSafeInteger(id)) return String(id);
  throw invalid(what, id, 'a string or a whole number');
}

function numberColumn(column: NumberColumn | undefined, name: string, batch: string): Float64Array | undefined {
  if (column === undefined || column instanceof Float64Array) return column;
  if (!isColumn(column)) throw invalid(`${name} of ${batch}`, column, 'an array of numbers');
  if (!Array.isArray(column)) return Float64Array.from(column as ArrayLike<number>, Number);
  const wrong = column.findIndex((number) => typeof number !== 'number' && typeof number !== 'bigint');
  if (wrong >= 0) throw invalid(`${name}[${wrong}] of ${batch}`, column[wrong], 'a number');
  return Float64Array.from(column, Number);
}
