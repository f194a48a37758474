// What is measured: each row is a number made of what the commands of its group print, see `groups.mjs`.
import { existsSync, readFileSync } from 'node:fs';
import { median } from './statistics.mjs';

const PASSES = { recvae: { encoder: 3, decoder: 1 }, 'mult-vae': { both: 1 } };

/** Batches of all users of the set that the data are a share of. */
const batches = ({ data: { users }, options: { batchSize } }, scale) => Math.ceil(users / scale / batchSize);

function sumOfPasses(model, ours, scale, step) {
  const one = Object.entries(PASSES[model]).reduce((sum, [pass, passes]) => sum + passes * step(pass), 0);
  return one * batches(ours, scale);
}

/** Seconds of an epoch over the whole set, out of the median step of each pass. */
export const epochSeconds = (model, ours, scale) =>
  sumOfPasses(model, ours, scale, (pass) => median(ours.seconds[pass]));

/** The same for both sides. */
const epoch = (model) => ({
  unit: 's an epoch',
  ours: (ours, scale) => epochSeconds(model, ours, scale),
  // Mult-VAE's peer calls its only pass `training`.
  theirs: (peer, ours, scale) =>
    sumOfPasses(model, ours, scale, (pass) => peer[`${pass === 'both' ? 'training' : pass}_step_seconds`]),
});

/** The same for ours in bf16 and in f32. */
const epochByPrecision = (model) => ({
  unit: 's of a processor an epoch',
  ours: (bf16, scale) => epochSeconds(model, bf16, scale),
  theirs: (f32, bf16, scale) => epochSeconds(model, { ...bf16, seconds: f32.seconds }, scale),
});

/** Multiply-adds that an encoder step of RecVAE cannot do without. */
export function neededMultiplyAdds({ data, options }) {
  const { batchSize: batch, hiddenDim: hidden, latentDim: latent, dropoutRate } = options;
  const kept = ((1 - dropoutRate) * batch * data.interactions) / data.users;
  const logits = 2 * latent * data.items; // to the logits and back to z
  const dense = 3 * (4 * hidden ** 2 + hidden * 2 * latent); // forward, and the gradients of data and of weights
  return batch * (logits + dense) + 2 * kept * hidden; // the sparse layer forward and back
}

/** Seconds of the fastest of some products: of each the median counts. */
export const fastest = (products) => Math.min(...Object.values(products).map(median));

/** Floating point operations a second of the square product of 4,096 rows by whoever is the fastest. */
export const rate = (...sides) => (2 * 4096 ** 3) / Math.min(...sides.filter(Boolean).map(fastest));

const peak = { unit: 'MiB at most', ours: ({ memory }) => memory.peak / 2 ** 20, theirs: (peer) => peer.peak_mib };
const perSecond = {
  unit: 'users/s',
  ours: ({ users, seconds }) => users / median(seconds),
  theirs: (peer) => peer.users_per_second,
};
const slower = (name) => ({ unit: 'ms', ours: ({ models }) => Math.max(...Object.values(models).map((m) => m[name])) });

const FASTER = { unit: 'times faster', better: 'more', value: (ours, theirs) => theirs / ours };
const HALVED = { ...FASTER, f32: true };
const MORE = { unit: 'times as many', better: 'more', value: (ours, theirs) => ours / theirs };
const RATE = { ...MORE, unit: "times the best peer's" };
const LIMIT = { unit: 'times the limit', better: 'less', value: (ours, limit) => ours / limit, limit: true };
const SHARE = { unit: "of the peer's", better: 'less', value: (ours, theirs) => ours / theirs };
const alone = (unit, better) => ({ unit, better, value: (ours) => ours });

const row = (id, title, group, kind, measure, must, aim, peer) => ({
  id,
  title,
  group,
  ...kind,
  measure,
  must,
  aim,
  peer,
});

/** Whether the processor has AMX, whose targets are higher. */
export const HAS_AMX = existsSync('/proc/cpuinfo') && /\bamx_bf16\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));

/**
 * One of the rows about bf16, with the targets of a processor with AMX; with AVX512-BF16 alone they are the same for
 * all.
 */
const bf16 = (id, title, measure, withAmx) =>
  row(id, `${title}, bf16 for f32`, id, HALVED, measure, ...(HAS_AMX ? withAmx : [1.3, 1.7]), 'ours in f32');

/** One of the rows about PyTorch's inverse. */
const easeTorch = (id, title) =>
  row(
    id,
    title,
    id,
    FASTER,
    { unit: 's a fit', ours: ({ seconds }) => median(seconds), theirs: (peer) => peer.inverse_seconds },
    1.15,
    1.4,
    "PyTorch's cholesky_inverse, f32",
  );

/**
 * In the order of the table. `theirs` of a limit is made of what our side prints and of the peers' products, if there
 * are any.
 */
export const ROWS = [
  row(
    'sgemm',
    'f32 product of 4,096 rows',
    'sgemm',
    RATE,
    {
      unit: 'GFLOP/s',
      ours: ({ sgemm: { ours } }) => rate({ ours }) / 1e9,
      theirs: (peer) => rate(peer) / 1e9,
    },
    0.95,
    1.05,
    'the faster of NumPy and PyTorch',
  ),
  row(
    'recvae-epoch-ml20m',
    'RecVAE epoch, ML-20M shape',
    'recvae-ml20m',
    FASTER,
    epoch('recvae'),
    4,
    7,
    'PyTorch, dense',
  ),
  row('recvae-epoch-msd', 'RecVAE epoch, MSD shape', 'recvae-msd', FASTER, epoch('recvae'), 5, 10, 'PyTorch, dense'),
  row(
    'recvae-epoch-ml1m',
    'RecVAE epoch, MovieLens-1M',
    'recvae-ml1m',
    FASTER,
    {
      unit: 's an epoch',
      ours: ({ seconds }) => median(seconds),
      // The first epoch does not count on our side either.
      theirs: ({ epochs }) => median(epochs.slice(1).map(({ seconds }) => seconds)),
    },
    2.5,
    4,
    'PyTorch, dense',
  ),
  row(
    'recvae-step-limit',
    'RecVAE encoder step, ML-20M shape',
    'recvae-ml20m',
    LIMIT,
    {
      unit: 's a step',
      ours: ({ seconds }) => median(seconds.encoder),
      theirs: (ours, products) => (2 * neededMultiplyAdds(ours)) / rate(ours.sgemm, products),
    },
    2.5,
    1.4,
    'needed operations at sgemm rate',
  ),
  row(
    'recvae-memory',
    'RecVAE training memory, all of ML-20M shape',
    'recvae-full',
    SHARE,
    peak,
    0.5,
    0.333,
    'PyTorch, dense',
  ),
  row(
    'multvae-epoch-ml20m',
    'Mult-VAE epoch, ML-20M shape',
    'multvae-ml20m',
    FASTER,
    epoch('mult-vae'),
    2.5,
    5,
    'PyTorch, dense',
  ),
  bf16('recvae-bf16-ml20m', 'RecVAE epoch, ML-20M shape', epochByPrecision('recvae'), [2.5, 4]),
  bf16('recvae-bf16-msd', 'RecVAE epoch, MSD shape', epochByPrecision('recvae'), [2.5, 5]),
  bf16(
    'recvae-bf16-ml1m',
    'RecVAE epoch, MovieLens-1M',
    {
      unit: 's of a processor an epoch',
      ours: ({ seconds }) => median(seconds),
      theirs: ({ seconds }) => median(seconds),
    },
    [2, 3.5],
  ),
  bf16('multvae-bf16-ml20m', 'Mult-VAE epoch, ML-20M shape', epochByPrecision('mult-vae'), [2.5, 5]),
  row(
    'ease-limit',
    'EASE^R fit, 20,720 items',
    'ease',
    LIMIT,
    {
      unit: 's a fit',
      ours: ({ seconds }) => median(seconds),
      theirs: ({ data, sgemm }, products) => data.items ** 3 / rate(sgemm, products),
    },
    1.5,
    1.15,
    'n^3 operations at sgemm rate',
  ),
  row(
    'ease-numpy',
    'EASE^R fit, 20,720 items',
    'ease',
    FASTER,
    {
      unit: 's a fit',
      ours: ({ seconds }) => median(seconds),
      // Not with its Gram matrix: SciPy's sparse product is slow, and being faster than that shows little.
      theirs: (peer) => peer.inverse_seconds,
      besides: { "SciPy's Gram matrix of a tenth of the users": (peer) => peer.gram_seconds },
    },
    2,
    3,
    "NumPy's inverse, f32",
  ),
  easeTorch('ease-torch', 'EASE^R fit, 10,000 items'),
  easeTorch('ease-torch-ml20m', 'EASE^R fit, 20,720 items'),
  row(
    'ease-memory',
    'EASE^R memory beyond the input',
    'ease',
    alone('n^2 floats', 'less'),
    {
      unit: 'n^2 floats',
      ours: ({ memory, data }) => memory.beyond / 4 / data.items ** 2,
    },
    2.2,
    1.1,
  ),
  row(
    'topk-recvae',
    'RecVAE top-100, 10,000 users',
    'topk-recvae',
    MORE,
    perSecond,
    ...(HAS_AMX ? [12, 25] : [5, 10]),
    'PyTorch and NumPy',
  ),
  row('topk-ease', 'EASE^R top-100, 10,000 users', 'topk-ease', MORE, perSecond, 22, 30, 'NumPy'),
  row(
    'latency-median',
    'One user, top-100, TypeScript, median',
    'latency',
    alone('ms', 'less'),
    slower('median'),
    3,
    1,
  ),
  row(
    'latency-p99',
    'One user, top-100, TypeScript, 99th percentile',
    'latency',
    alone('ms', 'less'),
    slower('p99'),
    2.2,
    1.2,
  ),
  row(
    'serve-scaling',
    'One-user requests, 2 worker threads / 1',
    'serve-scaling',
    alone('times as many', 'more'),
    {
      unit: 'times as many',
      ours: ({ models }) => Math.min(...Object.values(models).map(({ one, two }) => median(two) / median(one))),
    },
    1.7,
    1.9,
  ),
  row(
    'threads-100',
    'Threads under 100 calls at once',
    'threads',
    alone('beyond the cores', 'less'),
    { unit: 'beyond the cores', ours: ({ most, cores }) => most - cores },
    4,
    4,
  ),
  row(
    'read-csv',
    'CSV of 10 M rows to CSR',
    'read-csv',
    alone('M rows/s', 'more'),
    {
      unit: 'M rows/s',
      ours: ({ rows, seconds }) => rows / median(seconds) / 1e6,
    },
    2,
    8,
  ),
];

export const IDS = ROWS.map(({ id }) => id);

/** Whether a row needs the peer to run. */
export const needsPeer = ({ peer, limit, f32 }) => peer !== undefined && !limit && !f32;
