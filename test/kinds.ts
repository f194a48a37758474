import type { ModelName } from '../dist/index.js';

/** The models that are trained on data: all but blends. */
export const TRAINED = [
  'popularity',
  'ease',
  'edlae',
  'rdlae',
  'deql',
  'hoease',
  'als',
  'mult-dae',
  'mult-vae',
  'recvae',
  'hvamp',
] as const;

/** Of a network those of the options that it has, and of all others none. */
export function ofNetwork<O extends { hiddenDim: number }>(kind: ModelName, options: O): object {
  const { hiddenDim: _, ...single } = options;
  if (kind === 'mult-dae') return single;
  if (kind === 'hvamp') return { ...options, pseudoUsers: 10 };
  return kind === 'mult-vae' || kind === 'recvae' ? options : {};
}
