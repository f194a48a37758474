/**
 * A model of what a search has measured: Gaussian process regression, which says for any point what is to be expected
 * there and how uncertain that is.
 *
 * Points are rows of numbers whose differences count alike in all directions; the kernel is Matérn's with exponent 5/2
 * and a length scale for each direction, and for the sum and the difference of two that may act together, as the weight
 * of the unknown pairs of iALS and that of its norms, of whose product the best value is about the same everywhere.
 * Scales and the share of noise are those of the largest marginal likelihood on a grid, with a weak prior against the
 * ends of it: a handful of points says little. Everything is deterministic.
 *
 * Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), algorithm 2.1 and section 5.4;
 * expected improvement: Jones, Schonlau and Welch, Efficient Global Optimization of Expensive Black-Box Functions, J.
 * Global Optimization 13 (1998).
 */

/** What is expected at a point. */
interface Prediction {
  mean: number;
  /** Standard deviation of what is not known, noise left out. */
  deviation: number;
}

/** Length scales that are tried, in units of a range. */
const LENGTHS = [0.08, 0.15, 0.3, 0.6, 1.2, 2.4];
/** The usual one, and the deviation of its logarithm in the prior. */
const USUAL_LENGTH = 0.4;
const LENGTH_DEVIATION = 1;
/** That of a sum or a difference that does not count, which it usually does not. */
const NO_LENGTH = Infinity;
/** Variances of noise that are tried, in units of the process's. */
const NUGGETS = [1e-5, 1e-3, 3e-2];
/** Passes over all scales and the noise. */
const SWEEPS = 3;

interface Fitted {
  likelihood: number;
  /** Lower triangle of the factor of the correlations. */
  factor: number[][];
  /** The correlations' inverse times the residuals. */
  weights: number[];
  offset: number;
  variance: number;
}

/** A fitted process. */
export class Surrogate {
  readonly #points: readonly number[][];
  readonly #together: readonly (readonly [number, number])[];
  readonly #prior: (point: readonly number[]) => number;
  readonly #lengths: readonly number[];
  readonly #fitted: Fitted;

  /**
   * @param points - n points.
   * @param values - Their n values; equal ones are allowed.
   * @param floor - Least deviation of the process, above 0: what is smaller is chance.
   * @param prior - What was expected before; by default one constant, which is estimated.
   * @param together - Directions that may act together.
   */
  constructor(
    points: readonly number[][],
    values: readonly number[],
    floor: number,
    prior: (point: readonly number[]) => number = () => 0,
    together: readonly (readonly [number, number])[] = [],
  ) {
    this.#together = together;
    this.#points = points.map((point) => this.#widen(point));
    this.#prior = prior;
    const residuals = values.map((value, at) => value - prior(points[at]!));
    const own = points[0]!.length;
    const dimensions = this.#points[0]!.length;
    let lengths = Array.from({ length: dimensions }, (_, at) => (at < own ? USUAL_LENGTH : NO_LENGTH));
    let nugget = NUGGETS[1]!;
    let best = fitted(this.#points, residuals, lengths, nugget, floor);
    const take = (candidate: number[], noise: number) => {
      const found = fitted(this.#points, residuals, candidate, noise, floor);
      if (found.likelihood <= best.likelihood) return;
      [best, lengths, nugget] = [found, candidate, noise];
    };
    for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
      for (let at = 0; at < dimensions; at += 1) {
        const tried = at < own ? LENGTHS : [NO_LENGTH, ...LENGTHS];
        for (const length of tried) take(lengths.with(at, length), nugget);
      }
      for (const noise of NUGGETS) take(lengths, noise);
    }
    this.#lengths = lengths;
    this.#fitted = best;
  }

  predict(point: readonly number[]): Prediction {
    const { factor, weights, offset, variance } = this.#fitted;
    const wide = this.#widen(point);
    const near = this.#points.map((other) => correlation(wide, other, this.#lengths));
    const mean = this.#prior(point) + offset + near.reduce((sum, value, at) => sum + value * weights[at]!, 0);
    const explained = forward(factor, near).reduce((sum, value) => sum + value * value, 0);
    return { mean, deviation: Math.sqrt(variance * Math.max(1 - explained, 0)) };
  }

  /** A point with the sums and the differences of what may act together. */
  #widen(point: readonly number[]): number[] {
    return [...point, ...this.#together.flatMap(([a, b]) => [point[a]! + point[b]!, point[a]! - point[b]!])];
  }
}

/** The improvement over `best` that is to be expected at a point. */
export function expectedImprovement({ mean, deviation }: Prediction, best: number): number {
  if (deviation === 0) return Math.max(mean - best, 0);
  const z = (mean - best) / deviation;
  const density = Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);
  return deviation * (z * normalDistribution(z) + density);
}

/** Abramowitz and Stegun, 26.2.17: wrong by at most 7.5e-8. */
function normalDistribution(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const polynomial = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const upper = (polynomial * Math.exp(-0.5 * z * z)) / Math.sqrt(2 * Math.PI);
  return z >= 0 ? 1 - upper : upper;
}

/** Matérn's kernel, exponent 5/2. */
function correlation(a: readonly number[], b: readonly number[], lengths: readonly number[]): number {
  const square = lengths.reduce((sum, length, at) => sum + ((a[at]! - b[at]!) / length) ** 2, 0);
  const distance = Math.sqrt(5 * square);
  return (1 + distance + (5 / 3) * square) * Math.exp(-distance);
}

/** The process with these scales, and its likelihood, the process's variance and offset being the most likely ones. */
function fitted(
  points: readonly number[][],
  residuals: readonly number[],
  lengths: readonly number[],
  nugget: number,
  floor: number,
): Fitted {
  const n = points.length;
  const factor = cholesky(
    points.map((a, row) =>
      points.slice(0, row + 1).map((b, column) => correlation(a, b, lengths) + (row === column ? nugget : 0)),
    ),
  );
  const solve = (values: readonly number[]) => backward(factor, forward(factor, values));
  const ones = solve(residuals.map(() => 1));
  const offset = dot(ones, residuals) / ones.reduce((sum, value) => sum + value, 0);
  const centred = residuals.map((value) => value - offset);
  const weights = solve(centred);
  const variance = Math.max(dot(centred, weights) / n, floor * floor);
  const determinant = factor.reduce((sum, row, at) => sum + Math.log(row[at]!), 0);
  // Of what does not count, as much as of a length that is a deviation away.
  const unlikely = (length: number) =>
    length === NO_LENGTH ? 1 : (Math.log(length / USUAL_LENGTH) / LENGTH_DEVIATION) ** 2;
  const unusual = lengths.reduce((sum, length) => sum + unlikely(length), 0);
  const misfit = dot(centred, weights) / variance;
  const likelihood = -0.5 * (n * Math.log(variance) + misfit) - determinant - 0.5 * unusual;
  return { likelihood, factor, weights, offset, variance };
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, at) => sum + value * b[at]!, 0);
}

/** Cholesky's factor of a positive definite matrix that is given by its lower triangle. */
function cholesky(matrix: number[][]): number[][] {
  for (const [row, values] of matrix.entries()) {
    for (let column = 0; column <= row; column += 1) {
      let sum = values[column]!;
      for (let k = 0; k < column; k += 1) sum -= values[k]! * matrix[column]![k]!;
      values[column] = row === column ? Math.sqrt(Math.max(sum, 1e-12)) : sum / matrix[column]![column]!;
    }
  }
  return matrix;
}

/** Solves L x = values. */
function forward(factor: number[][], values: readonly number[]): number[] {
  const x: number[] = [];
  for (const [row, coefficients] of factor.entries()) {
    let sum = values[row]!;
    for (let k = 0; k < row; k += 1) sum -= coefficients[k]! * x[k]!;
    x.push(sum / coefficients[row]!);
  }
  return x;
}

/** Solves L' x = values. */
function backward(factor: number[][], values: readonly number[]): number[] {
  const x = [...values];
  for (let row = factor.length - 1; row >= 0; row -= 1) {
    for (let k = row + 1; k < factor.length; k += 1) x[row]! -= factor[k]![row]! * x[k]!;
    x[row]! /= factor[row]![row]!;
  }
  return x;
}
