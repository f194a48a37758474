// The arithmetic of the reports.

/** Middle of a list of numbers, the mean of two where it has no middle. */
export function median(numbers) {
  if (numbers.length === 0) throw new Error('no numbers, no median');
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Smallest and largest. */
export const spread = (numbers) => [Math.min(...numbers), Math.max(...numbers)];

/** Slope of the straight line through log size and log time, by least squares: 2 where time grows with the square. */
export function growthExponent(points) {
  if (points.length < 2) return undefined;
  const logs = points.map(({ size, seconds }) => [Math.log(size), Math.log(seconds)]);
  const mean = (at) => logs.reduce((sum, log) => sum + log[at], 0) / logs.length;
  const [x, y] = [mean(0), mean(1)];
  const sum = (term) => logs.reduce((total, log) => total + term(log), 0);
  return sum((log) => (log[0] - x) * (log[1] - y)) / sum((log) => (log[0] - x) ** 2);
}

/**
 * Share of the time on one thread that a second thread does not halve, after Amdahl: t2 / t1 = s + (1 - s) / 2. Noise
 * can push it out of 0 to 1, where it has no meaning.
 */
export function serialShare(one, two) {
  return Math.min(1, Math.max(0, (2 * two) / one - 1));
}

/** Seconds on many threads by the same law. */
export function onThreads(one, share, threads) {
  return one * (share + (1 - share) / threads);
}

/** A number with three digits that count. */
export function figure(number) {
  if (number === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(number))));
  return number.toFixed(Math.min(digits, 6));
}

/** 95 % interval of a share of `count` cases, by Wilson (1927). */
export function wilson(hits, count) {
  const z = 1.959964;
  const [share, square] = [hits / count, z ** 2 / count];
  const middle = (share + square / 2) / (1 + square);
  const half = (z / (1 + square)) * Math.sqrt((share * (1 - share)) / count + square / (4 * count));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}
