/** Weights of other programs as models, and models as such weights and as graphs. */
import { type Id, idsOf } from '../data/ids.js';
import { checkInstance, checkString, knownKeys } from '../runtime/check.js';
import { guard, guardAsync, toJson } from '../runtime/errors.js';
import { type Output, writeAll } from '../runtime/files.js';
import { native } from '../runtime/native.js';
import type { ExportOptions, ModelOptions } from '../runtime/options.generated.js';
import { Model } from './model.js';

/** The models that other programs have, too. */
export type SharedModelName = 'recvae' | 'mult-vae' | 'mult-dae';

/** What {@link importModel} has to know beside the weights. */
export interface ImportOptions {
  /**
   * The ids of the items in the order of the weights' rows: the path of a file with one id a line, such as the authors'
   * `unique_sid.txt`, or a list.
   */
  ids: string | Iterable<Id>;
  /**
   * What the training was told, as far as it is known: it is not among the weights, and only {@link fit} with `from`
   * goes by it. Sizes come from the weights. By default that of the model.
   */
  options?: ModelOptions[SharedModelName] | undefined;
}

/** How {@link exportModel} writes. */
export interface ModelExportOptions extends ExportOptions {
  /** A file that gets the ids of the items, one a line in the order of the weights' rows. By default none. */
  ids?: string | undefined;
}

/**
 * Makes a model of the weights of another program, off the event loop. They lie in a safetensors file, as `save_file`
 * of safetensors.torch writes a state dict, or in an npz file, as `savez` of NumPy writes arrays. Which program it is,
 * is told by their names: that of RecVAE's authors, that of Mult-VAE's authors (Mult-DAE is theirs, too) or its port to
 * PyTorch. Scores are those of the program to single precision.
 *
 * Nothing is known of the training: {@link evaluate} cannot tell who was trained on, and {@link Model.fallback} is
 * `'none'`.
 *
 * @throws {@link RecvaeError} `IO`; `INVALID_DATA` for a file that is neither, for tensors that are missing, unknown,
 * of another shape or type or not finite, and for ids that are not as many as the items or occur twice;
 * `INVALID_ARGUMENT` for an option, also if the weights have another size.
 * @example
 * ```ts
 * const model = await importModel('weights.safetensors', { ids: 'pro_sg/unique_sid.txt' });
 * await model.save('recvae.safetensors'); // from here on it is a model as any other
 * ```
 */
export async function importModel(path: string, options: ImportOptions): Promise<Model<SharedModelName>> {
  checkString(path, 'path');
  knownKeys(options, ['ids', 'options'], 'options');
  const { ids, options: told } = options ?? {};
  const [file, list] = typeof ids === 'string' ? [ids, undefined] : [undefined, idsOf(ids, 'ids')];
  return Model.wrap(await guardAsync(() => native.importModel(path, file, list, toJson(told))));
}

/**
 * Writes a model for other programs, whole or not at all, off the event loop:
 *
 * - `safetensors`: the state dict of the RecVAE authors' program, which loads it with `strict=True`; of Mult-VAE and
 *   Mult-DAE that of their port to PyTorch;
 * - `npz`: the variables of the Mult-VAE authors' program in TensorFlow, by their names; of RecVAE the same names as
 *   above;
 * - `onnx`: a graph for ONNX runtimes, from `history`, a matrix of users x items with a 1 for each item that a user
 *   has, to `logits`, the scores, with a batch of any size. The history is normalised in the graph. The ids of the
 *   items stand in the metadata, `recvae.items`, as a list of JSON.
 *
 * @throws {@link RecvaeError} `INVALID_ARGUMENT` for a model that other programs do not have, or a file whose name does
 * not end in a format; `INVALID_DATA` for a model of 2 GiB or more as `onnx`, and for ids that do not fit into lines;
 * `IO`.
 */
export async function exportModel(
  model: Model<SharedModelName>,
  path: string,
  options: ModelExportOptions = {},
): Promise<void> {
  checkInstance(model, 'model', Model);
  checkString(path, 'path');
  knownKeys(options, ['format', 'ids'], 'options');
  const { ids, ...how } = options;
  const format = exportFormat(path, how);
  const outputs: Output[] = [{ path, write: (to) => model.native.export(to, toJson({ format })) }];
  if (ids !== undefined) {
    checkString(ids, 'ids');
    outputs.push({ path: ids, write: (to) => model.native.writeItemIds(to) });
  }
  await guardAsync(() => writeAll(outputs));
}

/** The format of a file that is to be, as the options or the end of its name say. */
export function exportFormat(path: string, options: ExportOptions): string {
  return guard(() => native.exportFormat(path, toJson(options)));
}
