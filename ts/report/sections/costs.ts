/** What models reach against what they cost. */

import type { Unit } from '../charts/canvas.js';
import { type ScatterPoint, scatter } from '../charts/scatter.js';
import { figureOf, type Panel } from '../figure.js';
import { bytesText, isNumber, metricText, secondsText } from '../format.js';
import { html, type Markup } from '../html.js';
import { numberCell } from '../table.js';

/** A model with its costs; what is not known is left out. */
interface Costs {
  model: string;
  colour: number;
  chosen: boolean;
  mean: number | null | undefined;
  standardError: number | null | undefined;
  seconds?: number | undefined;
  memory?: number | undefined;
  request?: number | undefined;
}

/** A cost. */
interface Cost {
  key: 'seconds' | 'memory' | 'request';
  title: string;
  axis: string;
  show: (value: number) => string;
  unit: Unit;
}

/** The figure, with a chart for each cost that is known of two models. */
export function costsFigure(models: readonly Costs[], metric: string, timeWords: string, memoryWords: string): Markup {
  const costs: Cost[] = [
    { key: 'seconds', title: timeWords, axis: 'time', show: secondsText, unit: 'seconds' },
    { key: 'memory', title: memoryWords, axis: 'bytes', show: bytesText, unit: 'bytes' },
    { key: 'request', title: 'Time of one request, median', axis: 'time', show: secondsText, unit: 'seconds' },
  ];
  const panels: Panel[] = costs.flatMap(({ key, title, axis, show, unit }) => {
    const points: ScatterPoint[] = models.flatMap((one) => {
      const x = one[key];
      if (!isNumber(x) || !isNumber(one.mean)) return [];
      const { model: label, colour, chosen, mean: y } = one;
      return [{ label, colour, chosen, x, y, error: one.standardError ?? 0 }];
    });
    if (points.length < 2) return [];
    const words = points.map(({ label, x, y }) => `${label}: ${metricText(y)} for ${show(x)}`).join('; ');
    return [{ title, words, chart: scatter(points, { x: axis, y: metric, xText: show, unit }) }];
  });
  if (panels.length === 0) return html``;
  return figureOf({
    title: 'What accuracy costs',
    caption: `${metric} with one standard error, against costs of which equal ratios are equally far apart. Up and to the left is better; the model with the ring is the one that is named above.`,
    panels,
    table: {
      caption: 'Accuracy and costs',
      columns: [
        { name: 'model' },
        { name: metric, numeric: true },
        ...costs.map(({ title: name }) => ({ name, numeric: true })),
      ],
      rows: models.map((one) => [
        { show: one.model },
        numberCell(metricText(one.mean), one.mean),
        ...costs.map(({ key, show }) => numberCell(isNumber(one[key]) ? show(one[key]) : '–', one[key])),
      ]),
    },
  });
}
