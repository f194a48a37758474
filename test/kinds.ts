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
