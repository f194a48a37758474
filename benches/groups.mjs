// What runs: pairs of commands, ours and the peer's, on the same data.

/** A split of MovieLens-1M, which may be used here but not shipped. */
export const ML_1M = '../shared/data/ml-1m-split';

const made = (like, scale, more) => ({ like, scale, ...more });

/** The same training in bf16 and in f32, by the seconds that processors worked. */
const precisions = (command, options) => {
  const by = (precision) => [command, { ...options, precision, clock: 'processor' }];
  return { ours: by('bf16'), f32: by('f32'), rounds: 3 };
};

/** The peers' products of 4,096 rows. */
export const PRODUCTS = ['sgemm.py', { repeats: 7 }];

/**
 * By name: `ours` is a command of `ours/main.rs` (or the name of a program beside this one) with its options, `peer` a
 * program of `peers/`; `data` goes to both, unless the peer has `peerData`. `f32` is a command of ours that is compared
 * with `ours` as a peer is.
 */
export const GROUPS = {
  'recvae-ml20m': {
    data: made('ml-20m', 0.1),
    ours: ['steps', { model: 'recvae', steps: 15 }],
    peer: ['recvae.py', { steps: 6 }],
    rounds: 3,
    quick: { scale: 0.02 },
  },
  'recvae-msd': {
    data: made('msd', 0.02),
    ours: ['steps', { model: 'recvae', steps: 12 }],
    peer: ['recvae.py', { steps: 5 }],
    rounds: 3,
  },
  'recvae-ml1m': {
    data: { folder: ML_1M },
    ours: ['epochs', { model: 'recvae', epochs: 5 }],
    peer: ['recvae.py', { epochs: 3 }],
    rounds: 3,
  },
  'recvae-full': {
    data: made('ml-20m', 1),
    ours: ['steps', { model: 'recvae', steps: 3, repeats: 1 }],
    peer: ['recvae.py', { steps: 2 }],
    rounds: 3,
    quick: { scale: 0.02 },
  },
  'multvae-ml20m': {
    data: made('ml-20m', 0.1),
    ours: ['steps', { model: 'mult-vae', steps: 15 }],
    peer: ['mult_vae.py', { steps: 6 }],
    rounds: 3,
    quick: { scale: 0.02 },
  },
  'recvae-bf16-ml20m': {
    ...precisions('steps', { model: 'recvae', steps: 15, repeats: 0 }),
    data: made('ml-20m', 0.1),
    quick: { scale: 0.02 },
  },
  'recvae-bf16-msd': {
    ...precisions('steps', { model: 'recvae', steps: 12, repeats: 0 }),
    data: made('msd', 0.02),
  },
  'recvae-bf16-ml1m': { ...precisions('epochs', { model: 'recvae', epochs: 5 }), data: { folder: ML_1M } },
  'multvae-bf16-ml20m': {
    ...precisions('steps', { model: 'mult-vae', steps: 15, repeats: 0 }),
    data: made('ml-20m', 0.1),
    quick: { scale: 0.02 },
  },
  ease: {
    data: made('ml-20m', 1),
    // An inverse takes as long whatever the users; SciPy's Gram matrix of all of them takes minutes and 12 GB.
    peerData: made('ml-20m', 0.1),
    ours: ['ease', { repeats: 3 }],
    peer: ['ease.py', {}],
    rounds: 2,
    quick: { scale: 0.02, items: 3000 },
  },
  // As for NumPy: the peer's Gram matrix does not count.
  'ease-torch': {
    data: made('ml-20m', 0.1, { items: 10_000 }),
    ours: ['ease', { repeats: 0 }],
    peer: ['ease.py', { inverse: 'torch' }],
    rounds: 5,
    quick: { scale: 0.02, items: 3000 },
  },
  'ease-torch-ml20m': {
    data: made('ml-20m', 1),
    peerData: made('ml-20m', 0.1),
    ours: ['ease', { repeats: 0 }],
    peer: ['ease.py', { inverse: 'torch' }],
    rounds: 2,
    quick: { scale: 0.02, items: 3000 },
  },
  sgemm: { data: {}, ours: ['sgemm', { repeats: 7 }], peer: PRODUCTS, rounds: 5 },
  'topk-recvae': {
    data: made('ml-20m', 0.1, { users: 10_000 }),
    ours: ['top-k', { model: 'recvae' }],
    peer: ['top_k.py', { model: 'recvae', seconds: 10 }],
    rounds: 3,
    quick: { scale: 0.02, users: 1000 },
  },
  'topk-ease': {
    data: made('ml-20m', 0.1, { users: 10_000 }),
    ours: ['top-k', { model: 'ease' }],
    peer: ['top_k.py', { model: 'ease', seconds: 20 }],
    rounds: 3,
    quick: { scale: 0.02, users: 1000, items: 3000 },
  },
  latency: { data: made('ml-20m', 0.03), ours: ['latency', { calls: 4000 }], rounds: 3, quick: { scale: 0.01 } },
  'serve-scaling': {
    data: made('ml-20m', 0.03),
    ours: ['serve-scaling', { seconds: 2, turns: 5 }],
    rounds: 3,
    quick: { scale: 0.01 },
  },
  threads: { data: {}, ours: ['threads', { calls: 100 }], rounds: 3 },
  'read-csv': {
    data: { csv: made('ml-20m', 1) },
    ours: ['read-csv', { repeats: 1 }],
    rounds: 3,
    quick: { csv: made('ml-20m', 0.02) },
  },
};
