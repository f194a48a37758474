/** Batches of columns on their way into the core. */
import { types } from 'node:util';
import { untilAborted } from '../runtime/abort.js';
import { checkObject, invalid, isIterable, knownKeys } from '../runtime/check.js';
import { guard, guardAsync, toJson } from '../runtime/errors.js';
import { native } from '../runtime/native.js';
import type { Thresholds } from '../runtime/options.generated.js';
import { type IdColumn, idColumn, isColumn } from './ids.js';

/** A column of numbers. 64-bit integers become doubles. */
export type NumberColumn = ArrayLike<number> | BigInt64Array | BigUint64Array;

/** Rows as columns of one length. */
export interface Batch {
  /** User ids. */
  users: IdColumn;
  /** Item ids, as many. */
  items: IdColumn;
  /** Numbers such as ratings, as many. They change nothing without `minValue` or `weighted`: every row counts alike. */
  values?: NumberColumn;
  /** Times in any unit that all batches share, as many. All batches that have rows have them, or none does. */
  timestamps?: NumberColumn;
}

const KEYS = Object.keys({ users: true, items: true, values: true, timestamps: true } satisfies Record<
  keyof Batch,
  true
>);

/**
 * What {@link Interactions.fromBatches} takes beside the batches. Rows that are left out leave no trace of their ids.
 */
export interface BatchOptions extends Thresholds {
  /** Rows with a lower value are left out. Every batch must have `values` then. */
  minValue?: number | undefined;
  /**
   * Whether the value of a row, above 0, says how much it counts, as a number of plays does: iALS takes it for a
   * confidence, and other models count every row alike. The values of a pair of user and item are added up. Every batch
   * must have `values` then.
   */
  weighted?: boolean | undefined;
  /** Rows with an earlier timestamp are left out. Every batch must have `timestamps` then. */
  since?: number | undefined;
  /** Rows with this timestamp or a later one are left out. Every batch must have `timestamps` then. */
  until?: number | undefined;
}

/** Takes batches one at a time, and asks for the next one when the last one is taken. Tells when one has values. */
export async function collect(
  batches: Iterable<Batch> | AsyncIterable<Batch>,
  options: BatchOptions | undefined,
  signal?: AbortSignal,
  onValues?: () => void,
): Promise<native.NativeInteractions> {
  if (!isIterable(batches)) throw invalid('batches', batches, 'an iterable of {users, items}');
  const collected = guard(() => new native.NativeBatches(toJson(options)));
  let number = 0;
  for await (const batch of untilAborted(signal, batches)) {
    const what = `batch ${number}`;
    checkObject(batch, what);
    knownKeys(batch, KEYS, what);
    const { users, items, values, timestamps } = batch;
    const of = ` of ${what}`;
    const columns = [
      idColumn(users, 'users', of),
      idColumn(items, 'items', of),
      numberColumn(values, 'values', of),
      numberColumn(timestamps, 'timestamps', of),
    ] as const;
    if (values !== undefined) onValues?.();
    guard(() => collected.push(...columns));
    number += 1;
  }
  return guardAsync(() => collected.finish());
}

/** A column of numbers for the core. What is no number is an error, never 0; that NaN is none, the core says. */
export function numberColumn(column: NumberColumn | undefined, name: string, of = ''): Float64Array | undefined {
  if (column === undefined || types.isFloat64Array(column)) return column;
  const isList = typeof column === 'object' && column !== null && typeof column.length === 'number';
  if (!isList) throw invalid(`${name}${of}`, column, 'an array of numbers');
  if (isColumn(column) && !Array.isArray(column)) return Float64Array.from(column as ArrayLike<number>, Number);
  const list: unknown[] = Array.from(column as ArrayLike<number>);
  const wrong = list.findIndex((number) => typeof number !== 'number' && typeof number !== 'bigint');
  if (wrong >= 0) throw invalid(`${name}[${wrong}]${of}`, list[wrong], 'a number');
  return Float64Array.from(list, Number);
}
