/** Differences with their intervals, as a forest plot and as a table. */
import { formatP, signed } from '../../decide/wording.js';
import { type ForestRow, forest } from '../charts/forest.js';
import { figureOf } from '../figure.js';
import { isNumber, metricText } from '../format.js';
import { html, type Markup, type Part } from '../html.js';
import { numberCell } from '../table.js';

/** A difference as reports have it. */
export interface ShownDifference {
  label: string;
  difference: number;
  interval: [number, number];
  pValue: number | null;
  /** Whether it counts as established. */
  clear: boolean;
  detectable?: number | undefined;
}

/** The figure; nothing without differences. */
export function differencesFigure(
  title: string,
  caption: Part,
  metric: string,
  differences: readonly ShownDifference[],
): Markup {
  const known = differences.filter(
    ({ difference, interval }) => isNumber(difference) && isNumber(interval[0]) && isNumber(interval[1]),
  );
  if (known.length === 0) return html``;
  const rows: ForestRow[] = known.map(({ label, difference, interval, pValue, clear }) => {
    return { label, difference, interval, clear, note: isNumber(pValue) ? formatP(pValue) : '' };
  });
  const words = known.map(
    ({ label, difference, interval: [low, high] }) =>
      `${label}: ${signed(difference)} (${signed(low)} to ${signed(high)})`,
  );
  return figureOf({
    title,
    caption,
    panels: [
      { words: `Differences in ${metric}. ${words.join('; ')}`, chart: forest(rows, `difference in ${metric}`) },
    ],
    table: {
      caption: title,
      columns: [
        { name: '' },
        ...['difference', 'from', 'to', 'p', 'detectable'].map((name) => ({ name, numeric: true })),
      ],
      rows: known.map(({ label, difference, interval: [low, high], pValue, detectable }) => [
        { show: label },
        numberCell(signed(difference), difference),
        numberCell(signed(low), low),
        numberCell(signed(high), high),
        numberCell(isNumber(pValue) ? formatP(pValue) : '–', pValue),
        numberCell(metricText(detectable), detectable),
      ]),
    },
  });
}
