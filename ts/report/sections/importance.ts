/** Which of the searched options matters, by what was tried. */
import { isNumber, valueText } from '../format.js';

/** Trials from which on something is said. */
export const LEAST_TRIALS = 12;
/** Groups that the values of an option are divided into. */
const GROUPS = 3;

interface Tried {
  options: Record<string, unknown>;
  validation: number;
}

/**
 * Trials by the value of an option: numbers in three groups of about the same size, equal ones together; others by what
 * they are.
 */
function groupsOf(trials: Tried[], option: string): number[][] {
  const values = trials.map(({ options }) => options[option]);
  const isOrdered = values.every(isNumber);
  const sorted = isOrdered ? [...(values as number[])].sort((a, b) => a - b) : [];
  const keyOf = (value: unknown) =>
    isOrdered ? Math.floor((GROUPS * sorted.indexOf(value as number)) / sorted.length) : valueText(value);
  const groups = new Map<string | number, Tried[]>();
  for (const trial of trials) {
    const key = keyOf(trial.options[option]);
    groups.set(key, [...(groups.get(key) ?? []), trial]);
  }
  return [...groups.values()].map((group) => group.map(({ validation }) => validation));
}

const meanOf = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const squares = (values: number[], center: number) => values.reduce((sum, value) => sum + (value - center) ** 2, 0);

/**
 * Kelley's epsilon squared (PNAS 1935) of each option: the share of the variance of validation that lies between the
 * groups of its values, less what chance alone puts there, from 0 to 1. The most important one is first; empty with
 * fewer than {@link LEAST_TRIALS} trials or with one option.
 */
export function importances(trials: Tried[], options: string[]): { label: string; share: number }[] {
  if (trials.length < LEAST_TRIALS || options.length < 2) return [];
  const all = trials.map(({ validation }) => validation);
  const total = squares(all, meanOf(all));
  if (!(total > 0)) return [];
  const found = options.map((label) => {
    const groups = groupsOf(trials, label);
    const within = groups.reduce((sum, group) => sum + squares(group, meanOf(group)), 0);
    const free = all.length - groups.length;
    const share = free > 0 ? 1 - (within / total) * ((all.length - 1) / free) : 0;
    return { label, share: Math.max(share, 0) };
  });
  return found.sort((a, b) => b.share - a.share);
}
