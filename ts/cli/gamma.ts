/**
 * RecVAE's gamma is not optional: whoever trains without it is told what is taken, what it means and how to find a
 * better one.
 */
import { description, searchText } from '../runtime/native.js';
import { message } from './output.js';

/** Says so on stderr if `model` has a gamma that counts and `options` has none. */
export function tellGamma(model: string, input: string, options: Record<string, unknown>): void {
  const gamma = description.models.find(({ name }) => name === model)?.options.find(({ name }) => name === 'gamma');
  if (!gamma || options.gamma !== undefined || options.klWeight === 'constant') return;
  message(
    `gamma of ${model} is not given; ${JSON.stringify(gamma.default)}, its default, is taken. It is: ${gamma.doc}\n` +
      `  recvae tune ${model} ${input} --over gamma=${searchText(gamma)} finds a better one; --set gamma=... takes it`,
  );
}
