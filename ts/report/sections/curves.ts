/** Validation by epoch. */
import { type Line, lines } from '../charts/lines.js';
import { figureOf } from '../figure.js';
import { isNumber, metricText } from '../format.js';
import { html, type Markup } from '../html.js';
import { numberCell } from '../table.js';

/** A training. */
interface ShownCurve {
  label: string;
  colour: number;
  curve: number[] | undefined;
  bestEpoch: number | null | undefined;
}

/** The figure of some trainings, each with a point at its best epoch; nothing where there is none with two epochs. */
export function curvesFigure(title: string, metric: string, trainings: readonly ShownCurve[]): Markup {
  const known = trainings.filter(({ curve }) => curve !== undefined && curve.length > 1 && curve.every(isNumber));
  if (known.length === 0) return html``;
  const all: Line[] = known.map(({ label, colour, curve, bestEpoch }) => ({
    label,
    colour,
    points: curve!.map((y, at) => ({ x: at + 1, y })),
    mark: isNumber(bestEpoch) ? Math.min(Math.max(bestEpoch, 1), curve!.length) - 1 : undefined,
  }));
  const bestOf = ({ points, mark }: Line) => (mark === undefined ? undefined : points[mark]);
  return figureOf({
    title,
    caption: `${metric} on the validation users after each epoch. The point is the best epoch, whose model is kept.`,
    panels: [
      {
        words: `Validation by epoch. ${all
          .map((one) => {
            const best = bestOf(one);
            const where = best ? `, best in epoch ${best.x} with ${metricText(best.y)}` : '';
            return `${one.label}: ${one.points.length} epochs${where}`;
          })
          .join('; ')}`,
        chart: lines(all, { x: 'epoch', y: metric }),
      },
    ],
    table: {
      caption: title,
      columns: [
        { name: '' },
        ...['epochs', 'first', 'best', 'best epoch', 'last'].map((name) => ({ name, numeric: true })),
      ],
      rows: all.map((one) => {
        const best = bestOf(one);
        return [
          { show: one.label },
          numberCell(String(one.points.length), one.points.length),
          numberCell(metricText(one.points[0]!.y), one.points[0]!.y),
          numberCell(metricText(best?.y), best?.y),
          numberCell(best ? String(best.x) : '–', best?.x),
          numberCell(metricText(one.points.at(-1)!.y), one.points.at(-1)!.y),
        ];
      }),
    },
  });
}
