/** Differences with their intervals, as a forest plot and as a table. */
import { formatP, signed } from '../../decide/wording.js';
import { type ForestRow, forest } from '../charts/forest.js';
import { figureOf, type Panel } from '../figure.js';
import { isNumber, metricText, NONE } from '../format.js';
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
  detectable?: number | null | undefined;
}

/** Differences in one metric. */
interface ShownDifferences {
  metric: string;
  rows: readonly ShownDifference[];
}

/** The figure, a chart for each metric; nothing without differences. */
export function differencesFigure(title: string, caption: Part, all: readonly ShownDifferences[]): Markup {
  const known = all
    .map(({ metric, rows }) => ({ metric, rows: rows.filter(isKnown) }))
    .filter(({ rows }) => rows.length > 0);
  if (known.length === 0) return html``;
  const isAlone = known.length === 1;
  const panels: Panel[] = known.map(({ metric, rows }) => {
    const words = rows.map(
      ({ label, difference, interval: [low, high] }) =>
        `${label}: ${signed(difference)} (${signed(low)} to ${signed(high)})`,
    );
    const drawn: ForestRow[] = rows.map(({ label, difference, interval, pValue, clear }) => {
      return { label, difference, interval, clear, note: isNumber(pValue) ? formatP(pValue) : '' };
    });
    return {
      ...(!isAlone && { title: metric }),
      words: `Differences in ${metric}. ${words.join('; ')}`,
      chart: forest(drawn, `difference in ${metric}`),
    };
  });
  return figureOf({
    title,
    caption,
    panels,
    table: {
      caption: title,
      columns: [
        { name: '' },
        { name: 'metric' },
        ...['difference', 'from', 'to', 'p', 'detectable'].map((name) => ({ name, numeric: true })),
      ],
      rows: known.flatMap(({ metric, rows }) =>
        rows.map(({ label, difference, interval: [low, high], pValue, detectable }) => [
          { show: label },
          { show: metric },
          numberCell(signed(difference), difference),
          numberCell(signed(low), low),
          numberCell(signed(high), high),
          numberCell(isNumber(pValue) ? formatP(pValue) : NONE, pValue),
          numberCell(metricText(detectable), detectable),
        ]),
      ),
    },
  });
}

function isKnown({ difference, interval }: ShownDifference): boolean {
  return isNumber(difference) && isNumber(interval[0]) && isNumber(interval[1]);
}
