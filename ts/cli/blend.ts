/** A blend in words. */
import type { BlendReport } from '../decide/compare/report.js';
import { formatP } from '../decide/wording.js';
import type { BlendRecord } from '../models/blend-record.js';
import { size } from './inspect.js';
import { table } from './output.js';

const errors = (value: number, standardError: number) =>
  `${value.toFixed(4)} (standard error ${standardError.toFixed(4)})`;

/** What it is made of, what it is not made of, and why. */
export function blendWords({ scale, parts, gate, dropped, tried }: Omit<BlendRecord, 'warnings'>): string[] {
  const weights = parts.map(({ model, weight }) => `${weight} ${model}`).join(' + ');
  const how = parts.length === 1 ? '' : `, of ${scale === 'rank' ? 'ranks' : 'z-scores'}${gate ? ', with a gate' : ''}`;
  return [
    `blend: ${weights}${how}`,
    ...dropped.map(
      ({ model, cost, standardError }) =>
        `dropped: ${model}, which costs ${errors(cost, standardError)} of the validation metric`,
    ),
    ...tried
      .filter(({ kept }) => !kept)
      .map(({ what, gain, standardError }) => `not worth it: ${what}, which gains ${errors(gain, standardError)}`),
  ];
}

/** The part of a comparison that is about the blend. */
export function blendLines({ found, warnings, differences, groups, cost }: BlendReport, metric: string): string[] {
  const row = (
    where: string,
    { part, kept, users, difference, interval, pValue }: BlendReport['differences'][number],
  ) => [
    where,
    kept ? part : `${part} (dropped)`,
    String(users),
    ...[difference, ...interval].map((number) => number.toFixed(4)),
    formatP(pValue),
  ];
  const rows = [
    ...differences.map((difference) => row('all', difference)),
    ...groups.flatMap(({ by, name, from, to, differences }) => {
      const what = by === 'activity' ? `users with ${from} to ${to} items` : `${name} items, ${from} to ${to} users`;
      return differences.map((difference) => row(what, difference));
    }),
  ];
  const costs = cost.map(({ model, seconds, bytes, microseconds }) => [
    model,
    seconds.toFixed(1),
    size(bytes),
    microseconds.toFixed(0),
  ]);
  return [
    ...warnings,
    ...blendWords(found),
    '',
    `Blend minus each model in ${metric}, with 95 % interval and p-value after Holm's correction, over all users and over groups`,
    '',
    table(['where', 'model', 'users', 'difference', 'from', 'to', 'p'], rows),
    table(['model', 'seconds', 'memory', 'microseconds a request'], costs),
  ];
}
