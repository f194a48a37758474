/** Where training is kept on its way, so that it can go on after the process has ended. */
import { checkObject, checkString } from '../runtime/check.js';
import { toJson } from '../runtime/errors.js';
import type { native } from '../runtime/native.js';
import type { CheckpointOptions } from '../runtime/options.generated.js';

/** Where and how {@link fit} keeps the training of a model that is trained in epochs. */
export interface Checkpoint extends CheckpointOptions {
  /**
   * The file: one training at a time may use it. It appears whole or not at all, and holds the parameters with Adam's
   * moments, the best parameters so far and, for RecVAE, the old posteriors.
   */
  path: string;
}

/** What the binding takes. The values of the options are the core's to check. */
export function toNative(checkpoint: Checkpoint | undefined): native.NativeCheckpoint | undefined {
  if (checkpoint === undefined) return undefined;
  checkObject(checkpoint, 'checkpoint');
  const { path, ...options } = checkpoint;
  checkString(path, 'checkpoint.path');
  return { path, options: toJson(options) };
}
