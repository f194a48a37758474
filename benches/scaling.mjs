// How time grows: EASE^R and RecVAE by items, RecVAE by users, all on one thread and on two; and what that lets expect
// of whole sets on 16 cores.
import { measureOurs, say } from './programs.mjs';
import { describe, markdown } from './report.mjs';
import { epochSeconds } from './rows.mjs';
import { figure, growthExponent, median, onThreads, serialShare } from './statistics.mjs';

const THREADS = [1, 2];
const CORES = 16;

/** Sizes and data; `cut` sets have the first columns or rows only. */
const FULL = {
  ease: { data: { like: 'msd', scale: 0.1 }, items: [5_000, 10_000, 20_720, 41_140] },
  steps: { data: { like: 'msd', scale: 0.02 }, items: [5_000, 20_720, 41_140], steps: 10 },
  epochs: { data: { like: 'ml-20m', scale: 0.75 }, users: [10_000, 100_000] },
  sets: { scale: 0.02, largerScale: 0.1, steps: 10, items: { 'ml-20m': 20_720, netflix: 17_769, msd: 41_140 } },
};
const QUICK = {
  ease: { data: { like: 'msd', scale: 0.01 }, items: [500, 1_000] },
  steps: { data: { like: 'msd', scale: 0.01 }, items: [500, 1_000], steps: 2 },
  epochs: { data: { like: 'ml-20m', scale: 0.01 }, users: [500, 1_000] },
  sets: { scale: 0.01, largerScale: 0.02, steps: 2, items: { 'ml-20m': 20_720 } },
};

/** Measures all of it; nothing with more than `maxItems` items. */
export function scaling(program, { maxItems, quick }) {
  const { ease, steps, epochs, sets } = quick ? QUICK : FULL;
  const series = (command, options, data, size, sizes, secondsOf) =>
    sizes.flatMap((n) =>
      THREADS.map((threads) => {
        const measured = measureOurs(program, [command, options], { ...data, [size]: n }, threads);
        const point = { size: measured.data[size], threads, seconds: secondsOf(measured) };
        say(`${command}, ${n} ${size}, threads ${threads}: ${figure(point.seconds)} s`);
        return point;
      }),
    );
  const few = (items) => items.filter((n) => n <= maxItems);
  const single = ({ seconds }) => median(seconds);
  const stepsOf = (n) => ({ model: 'recvae', steps: n, repeats: 1 });
  const results = {
    ease: series('ease', { repeats: 1 }, ease.data, 'items', few(ease.items), single),
    steps: series('steps', stepsOf(steps.steps), steps.data, 'items', few(steps.items), (measured) =>
      epochSeconds('recvae', measured, 1),
    ),
    epochs:
      maxItems < 20_720
        ? []
        : series('epochs', { model: 'recvae', epochs: 1, 'warm-up': 0 }, epochs.data, 'users', epochs.users, single),
  };
  const wholeSets = Object.keys(sets.items).filter((like) => sets.items[like] <= maxItems);
  return { scaling: { ...results, sets: wholeSets.map((like) => wholeSet(program, like, sets, results.ease)) } };
}

/** Times of a whole set on one thread and on two, from shares of it. */
function wholeSet(program, like, { scale, largerScale, steps }, ease) {
  const times = THREADS.map((threads) => {
    const on = (command, options, scale) => measureOurs(program, [command, options], { like, scale }, threads);
    const step = on('steps', { model: 'recvae', steps, repeats: 1 }, scale);
    // Two shares of the users: what the Gram matrix costs whatever their number cancels out.
    const [less, more] = [scale, largerScale].map((scale) => median(on('gram', {}, scale).seconds));
    const gram = Math.max(0, more - less) / (largerScale - scale);
    const time = {
      threads,
      epoch: epochSeconds('recvae', step, scale),
      ease:
        fitOf(
          step.data.items,
          ease.filter((point) => point.threads === threads),
        ) + gram,
    };
    say(`${like}, threads ${threads}: RecVAE epoch ${figure(time.epoch)} s, EASE^R ${figure(time.ease)} s`);
    return time;
  });
  return { like, times };
}

/** Seconds of a fit of other size: from the nearest one measured, by the exponent of all. */
export function fitOf(items, points) {
  const distance = ({ size }) => Math.abs(Math.log(size / items));
  const nearest = points.reduce((best, point) => (distance(point) < distance(best) ? point : best));
  return nearest.seconds * (items / nearest.size) ** (growthExponent(points) ?? 3);
}

const WHAT = {
  ease: ['EASE^R fit (a tenth of MSD shape, first items)', 'items'],
  steps: ['RecVAE epoch (a fiftieth of MSD shape, first items)', 'items'],
  epochs: ['RecVAE epoch (ML-20M shape, first users)', 'users'],
};

/** All of it as Markdown. */
export function scalingTables({ machine, scaling }) {
  const growth = Object.entries(WHAT).flatMap(([name, [title, size]]) =>
    THREADS.flatMap((threads) => {
      const points = scaling[name].filter((point) => point.threads === threads);
      if (points.length === 0) return [];
      const times = points.map((point) => `${point.size.toLocaleString('en')}: ${figure(point.seconds)} s`);
      const exponent = growthExponent(points);
      return [[title, `${threads}`, `${size} ${times.join(', ')}`, exponent === undefined ? '' : figure(exponent)]];
    }),
  );
  const predicted = scaling.sets.map(({ like, times: [one, two] }) => {
    const cells = ['ease', 'epoch'].flatMap((what) => {
      const share = serialShare(one[what], two[what]);
      const many = onThreads(one[what], share, CORES);
      return [one[what], two[what], many].map((seconds) => `${figure(seconds)} s`).concat(`${figure(100 * share)} %`);
    });
    return [like, ...cells];
  });
  const columns = ['EASE^R fit', 'RecVAE epoch'].flatMap((what) => [
    `${what}, 1 thread`,
    '2 threads',
    `${CORES} cores, predicted`,
    'serial share',
  ]);
  const sections = [describe(machine), markdown(['what', 'threads', 'seconds by size', 'growth exponent'], growth)];
  if (predicted.length > 0) {
    sections.push(
      `Predicted by Amdahl's law: with s = 2 t2 / t1 - 1 the share of the time on one thread that a second one does not halve, ` +
        `${CORES} cores take t1 (s + (1 - s) / ${CORES}). That assumes ${CORES} whole cores like these, each with the memory ` +
        'bandwidth that one of the two had; EASE^R at sizes that were not measured follows the growth exponent, and its Gram ' +
        'matrix the number of users.',
      markdown(['set', ...columns], predicted),
    );
  }
  return sections.join('\n\n');
}
