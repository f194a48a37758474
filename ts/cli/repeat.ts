/** What `recvae compare --repeat` found, for people. */
import type { RepeatReport, VarianceApart } from '../decide/compare/report.js';
import { table } from './output.js';

const digits = (number: number | null) => number?.toFixed(4) ?? '';

/** The tables of a repeated comparison. */
export function repeatLines(report: RepeatReport): string[] {
  const { metric, runs, splits, seeds, models, winner, differences } = report;
  const head = ['mean', 'users', 'seed', 'split', 'between splits'];
  const cells = ({ mean, users, seed, split, between }: VarianceApart) =>
    [mean, users, seed, split, between].map(digits);
  const rows = models.map(({ model, wins, metrics }) => [
    model,
    ...cells(metrics[metric]!),
    `${wins} of ${runs.length}`,
  ]);
  const others = differences.map(({ model, ahead, metrics }) => [
    model,
    ...cells(metrics[metric]!),
    `${ahead} of ${runs.length}`,
  ]);
  return [
    `${metric} on ${splits} splits, and with ${seeds} training seeds on the first one: standard deviations by their source`,
    '',
    table(['model', ...head, 'won'], rows),
    `Difference to ${winner}, the winner of the first comparison, likewise`,
    '',
    table(['model', ...head, 'ahead'], others),
  ];
}
