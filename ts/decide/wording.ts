/** Numbers in words. */
import { description } from '../runtime/native.js';

/** Share of a figure from which on a difference that just can be seen is a large one: then the users are too few. */
const COARSE = 0.1;

/** A p-value in words; the bootstrap cannot tell how far below one in 10,000 it is. */
export function formatP(p: number): string {
  return p < 0.001 ? 'p < .001' : `p = ${p.toFixed(3).replace(/^0/, '')}`;
}

/** A number that always has its sign. */
export function signed(number: number): string {
  return `${number < 0 ? '-' : '+'}${Math.abs(number).toFixed(4)}`;
}

/** A number with two significant digits. */
export function rough(number: number): number {
  return Number(number.toPrecision(2));
}

/** A share with three significant digits, in percent. */
export function percent(share: number): string {
  return `${(share * 100).toPrecision(3)} %`;
}

/** Users whom models were judged by. */
export interface Judges {
  /** How many of them count. */
  count: number;
  /** Which part of the data they are. */
  part: 'test' | 'validation';
}

/**
 * A sentence about the smallest difference that so many users show; empty for 0.
 *
 * @param detectable - That of a {@link PairedDifference}.
 * @param mean - What it is a difference of.
 */
export function detectableWords(detectable: number | null, mean: number, { count, part }: Judges): string {
  if (detectable === 0) return '';
  if (detectable === null) {
    return ` The ${count} ${part} users, or those of them on whom the two differ, are too few to establish any difference, however large.`;
  }
  const share = mean > 0 ? ` (${rough((100 * detectable) / mean)} % of the figure)` : '';
  const power = `with a chance of ${Math.round(description.power * 100)} %`;
  return detectable > COARSE * mean
    ? ` The ${count} ${part} users are too few to tell: they show a true difference ${power} only from ${detectable.toFixed(4)}${share} on.`
    : ` The ${count} ${part} users show a true difference ${power} from ${detectable.toFixed(4)}${share} on, so it is smaller or was missed by chance.`;
}
