import { checkString } from '../runtime/check.js';
import { guardAsync } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import { native } from '../runtime/native.js';

/** What a model file holds, or one of counts of EASE^R. */
export interface Inspection {
  /** Size of the file. */
  bytes: number;
  /** Version of the format. */
  format: Json;
  /** Program and version that wrote the file; `null` for the first ones, which did not say. */
  writer: string | null;
  /**
   * Name of the model, also of one that this version does not know; of counts `ease-counts`, or `ease-counts-shard`.
   */
  kind: string | null;
  /** Options of the model with their values. */
  options: Json;
  /** What was kept with the model; of counts how many `users` they have, and of which `shard` they are. */
  info: Json;
  /** Number of items. */
  nItems: number | null;
  /** All tensors in the order of the file: type of the numbers (such as `F32`), shape, size. */
  tensors: { name: string; type: string; shape: number[]; bytes: number }[];
  /** The checksum that stands in the file. */
  checksum: string | null;
  /** Whether the content has that checksum; `null` for a format of a later version, which may define it otherwise. */
  holds: boolean | null;
  /**
   * Why {@link load} with `verify: true`, or {@link EaseCounts.load}, would refuse the file; `null` if it would not.
   */
  problem: string | null;
}

/**
 * Reads a whole model file, or one of counts, off the event loop, and says what it holds, whether it is unaltered and
 * whether it can be loaded. Also of models and formats of later versions, as far as that goes.
 *
 * @throws {@link RecvaeError} `IO`; `INVALID_MODEL_FILE` if it is no model file at all, or so damaged that nothing can
 * be said.
 */
export async function inspect(path: string): Promise<Inspection> {
  checkString(path, 'path');
  return JSON.parse(await guardAsync(() => native.inspect(path)));
}
