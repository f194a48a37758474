/** Numbers as people read them. A number that a report lacks is a dash. */
import { formatP, signed } from '../decide/wording.js';

export const NONE = '–';

/** A number from JSON, where what is not finite is `null`. */
export type Maybe = number | null | undefined;

/** Whether there is a number. */
export function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

/** Four digits after the point, as metrics have them. */
export function metricText(value: Maybe): string {
  return isNumber(value) ? value.toFixed(4) : NONE;
}

/** A mean with its standard error. */
export function meanText({ mean, standardError }: { mean: Maybe; standardError: Maybe }): string {
  return isNumber(standardError) ? `${metricText(mean)} ± ${metricText(standardError)}` : metricText(mean);
}

/** A p-value in words. */
export function pText(p: Maybe): string {
  return isNumber(p) ? formatP(p) : NONE;
}

/** A difference, with its sign. */
export function signedText(value: Maybe): string {
  return isNumber(value) ? signed(value) : NONE;
}

/** A whole number, in groups of three digits. */
export function countText(value: Maybe): string {
  return isNumber(value) ? value.toLocaleString('en-US', { maximumFractionDigits: 1 }) : NONE;
}

/** Three significant digits, without an exponent where that is short. */
export function shortNumber(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(size >= 1e6 ? 1 : 0).replace('e+', 'e');
  return String(Number(value.toPrecision(3)));
}

/** A share from 0 to 1 in percent. */
export function shareText(share: Maybe): string {
  return isNumber(share) ? `${shortNumber(share * 100)}\u00a0%` : NONE;
}

/** A duration, from microseconds to hours. */
export function secondsText(seconds: Maybe): string {
  if (!isNumber(seconds)) return NONE;
  if (seconds < 1e-3) return `${shortNumber(seconds * 1e6)}\u00a0µs`;
  if (seconds < 1) return `${shortNumber(seconds * 1e3)}\u00a0ms`;
  if (seconds < 100) return `${shortNumber(seconds)}\u00a0s`;
  return seconds < 6000 ? `${shortNumber(seconds / 60)}\u00a0min` : `${shortNumber(seconds / 3600)}\u00a0h`;
}

/** A number of bytes. */
export function bytesText(bytes: Maybe): string {
  if (!isNumber(bytes)) return NONE;
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${shortNumber(value)}\u00a0${units[unit]}`;
}

/** `several` words: with commas and an "and". */
export function listText(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** A value of an option. */
export function valueText(value: unknown): string {
  if (isNumber(value)) return shortNumber(value);
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? NONE);
}
