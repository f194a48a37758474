/** Means with their standard errors, one below the other. */
import { metricText, shortNumber } from '../format.js';
import { dot, link, text } from '../library.js';
import { axisOf, bands, type Chart, colour, draw, horizontal, INK, label, SOFT } from './canvas.js';

/** A mean. */
export interface MeanRow {
  label: string;
  /** Place of its colour. */
  colour: number;
  mean: number;
  error: number;
  /** Small points on the same line, such as those of single seeds. */
  points: number[];
}

const ROW = 38;

/** A line for each mean, with its name above it. */
export function means(rows: MeanRow[], name: string): Chart {
  return (width) => {
    const numbers = rows.flatMap(({ mean, error, points }) => [mean - error, mean + error, ...points]);
    const axis = axisOf(numbers, { most: width < 500 ? 4 : 8 });
    const places = rows.map((row, at) => ({ ...row, y: -at - 0.18 }));
    const dots = places.flatMap(({ points, y }) => points.map((x) => ({ x, y })));
    const shade = ({ colour: at }: MeanRow) => colour(at);
    const above = { y: ({ y }: { y: number }) => y + 0.4 };
    return draw({
      width,
      height: ROW * rows.length + 46,
      marginTop: 6,
      marginBottom: 40,
      marginLeft: 12,
      marginRight: 12,
      x: { domain: axis.domain },
      y: { domain: [-rows.length + 0.5, 0.5], axis: null },
      marks: [
        ...horizontal(axis, name, shortNumber),
        ...bands(places.map(({ y }) => y + 0.4)),
        link(places, {
          x1: ({ mean, error }: MeanRow) => mean - error,
          x2: ({ mean, error }: MeanRow) => mean + error,
          y1: 'y',
          y2: 'y',
          stroke: shade,
          strokeWidth: 3,
          strokeLinecap: 'round',
        }),
        dot(dots, { x: 'x', y: 'y', r: 3, stroke: INK }),
        dot(places, { x: 'mean', y: 'y', r: 5.5, fill: shade, stroke: 'var(--paper)', strokeWidth: 1.5 }),
        text(places, {
          ...above,
          text: (row: MeanRow) => label(row.label, width < 500 ? 38 : 90),
          frameAnchor: 'left',
          fill: INK,
        }),
        text(places, { ...above, text: ({ mean }: MeanRow) => metricText(mean), frameAnchor: 'right', fill: SOFT }),
      ],
    });
  };
}
