/** Differences with their intervals, one below the other. */
import { signed } from '../../decide/wording.js';
import { shortNumber } from '../format.js';
import { dot, link, ruleX, text } from '../library.js';
import { ACCENT, axisOf, bands, type Chart, draw, horizontal, INK, label, SOFT } from './canvas.js';

/** A difference. */
export interface ForestRow {
  label: string;
  difference: number;
  interval: [number, number];
  /** What is said at the end of its line, such as a p-value. */
  note: string;
  /** Whether it is told apart from 0. */
  clear: boolean;
}

const ROW = 42;

/** A forest plot: each row has its name above the interval, so that names may be long. */
export function forest(rows: ForestRow[], name: string): Chart {
  return (width) => {
    const axis = axisOf([0, ...rows.flatMap(({ interval, difference }) => [...interval, difference])], {
      most: width < 500 ? 4 : 8,
    });
    const [top, bottom, side] = [6, 40, 12];
    const places = rows.map((row, at) => ({ ...row, y: -at }));
    const shade = ({ clear }: ForestRow) => (clear ? ACCENT : SOFT);
    return draw({
      width,
      height: top + bottom + ROW * rows.length,
      marginTop: top,
      marginBottom: bottom,
      marginLeft: side,
      marginRight: side,
      x: { domain: axis.domain },
      y: { domain: [-rows.length + 0.5, 0.5], axis: null },
      marks: [
        ...horizontal(axis, name, shortNumber),
        ruleX([0], { stroke: INK, strokeWidth: 1.5 }),
        ...bands(places.map(({ y }) => y + 0.22)),
        link(places, {
          x1: ({ interval }: ForestRow) => interval[0],
          x2: ({ interval }: ForestRow) => interval[1],
          y1: ({ y }: { y: number }) => y - 0.2,
          y2: ({ y }: { y: number }) => y - 0.2,
          stroke: shade,
          strokeWidth: 3,
          strokeLinecap: 'round',
        }),
        dot(places, {
          x: 'difference',
          y: ({ y }: { y: number }) => y - 0.2,
          r: 5,
          fill: shade,
          stroke: 'var(--paper)',
          strokeWidth: 1.5,
        }),
        text(places, {
          text: (row: ForestRow) => label(row.label, width < 500 ? 24 : 70),
          y: ({ y }: { y: number }) => y + 0.22,
          frameAnchor: 'left',
          fill: INK,
        }),
        text(places, {
          text: ({ difference, note }: ForestRow) => `${signed(difference)}${note === '' ? '' : `, ${note}`}`,
          y: ({ y }: { y: number }) => y + 0.22,
          frameAnchor: 'right',
          fill: SOFT,
        }),
      ],
    });
  };
}
