/** Trained models together. */
import { Split } from '../data/split.js';
import { checkInstance, checkObject, checkRun, infoText, invalid, listOf } from '../runtime/check.js';
import { guard, toJson } from '../runtime/errors.js';
import type { JsonLike } from '../runtime/json.js';
import { native } from '../runtime/native.js';
import type { BlendOptions } from '../runtime/options.generated.js';
import { type RunOptions, running } from '../runtime/running.js';
import { Model } from './model.js';
import type { Progress } from './progress.js';

/** What {@link fit} makes a blend of, and how. */
export interface BlendParts extends BlendOptions {
  /**
   * Two to eight trained models of the same items in the same order, such as those of one split. A blend among them
   * counts as the models of which it is made. Their parameters are shared, not copied; they may be disposed of.
   */
  parts: Iterable<Model>;
}

/** How a blend is made: {@link FitRun} without what has no meaning for it. */
export interface BlendRun extends RunOptions {
  /** Called with how far it is, as that of {@link FitRun}. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Kept with the model and in its file; anything that JSON can hold. */
  info?: JsonLike | undefined;
  /** Bytes that it may take beyond the data and the parts, 0 or more. By default what is free. */
  memoryLimit?: number | undefined;
}

const RUN = Object.keys({
  threads: true,
  signal: true,
  onProgress: true,
  info: true,
  memoryLimit: true,
} satisfies Record<keyof BlendRun, true>);

/** Makes a blend; see {@link fit}. */
export async function fitBlend(data: unknown, options: BlendParts | undefined, run: BlendRun): Promise<Model<'blend'>> {
  checkInstance(data, 'data', Split);
  checkRun(run, RUN);
  if (options === undefined) throw invalid('options', options, 'an object with parts, two trained models or more');
  checkObject(options, 'options');
  const { parts, ...settings } = options as BlendParts;
  const models = listOf(parts, 'parts', 'trained models');
  for (const [at, part] of models.entries()) checkInstance(part, `parts[${at}]`, Model);
  if (models.length === 0) throw invalid('parts', 'an empty list', '2 models or more');
  const { threads, memoryLimit, signal, onProgress } = run;
  const info = infoText(run.info);
  const own = guard(() => {
    const own = new native.NativeParts();
    for (const part of models) own.add(part.native);
    return own;
  });
  const made = await running({ signal, onProgress }, (run) =>
    native.blend(own, (data as Split).native, toJson(settings), info, threads, memoryLimit, run),
  );
  return Model.wrap<'blend'>(made);
}
