/** Lines with names at their ends: validation by epoch, a metric by the number of users. */
import { countText, shortNumber } from '../format.js';
import { dot, line, link } from '../library.js';
import { axisOf, type Chart, colour } from './canvas.js';
import { namedChart } from './named.js';

/** A line. */
export interface Line {
  label: string;
  /** Place of its colour. */
  colour: number;
  points: { x: number; y: number; error?: number }[];
  /** Which of its points is marked: all with -1, none if it is left out. */
  mark?: number | undefined;
}

/** How lines are drawn. */
interface LineAxes {
  x: string;
  y: string;
  /** Whether the horizontal axis has ratios. */
  log?: boolean;
  /** Pixels of height. */
  height?: number;
}

/** Points that a curve is drawn with at most; of longer ones each so many'th. */
const MOST_POINTS = 400;

function thinned(points: Line['points'], mark: number | undefined): Line['points'] {
  const every = Math.ceil(points.length / MOST_POINTS);
  return points.filter((_, at) => at % every === 0 || at === mark || at === points.length - 1);
}

/** Lines over one axis. */
export function lines(all: Line[], { x, y, log = false, height = 300 }: LineAxes): Chart {
  const marked = ({ points, mark }: Line) => (mark === undefined ? [] : mark < 0 ? points : [points[mark]!]);
  return namedChart({
    height,
    left: 48,
    most: 16,
    named: all.map(({ label, points }) => ({ label, ...points.at(-1)! })),
    axes: (width) => {
      const xs = all.flatMap(({ points }) => points.map(({ x }) => x));
      const xAxis = axisOf(xs, { log, most: width < 500 ? 4 : 8, margin: log ? 0.05 : 0 });
      if (!log) xAxis.ticks = xAxis.ticks.filter((tick) => Number.isInteger(tick));
      const ys = all.flatMap(({ points }) => points.flatMap(({ y, error = 0 }) => [y - error, y + error]));
      return {
        x: { axis: xAxis, name: x, text: countText },
        y: { axis: axisOf(ys, { most: 6 }), name: y, text: shortNumber },
      };
    },
    marks: [
      ...all.map((one) =>
        line(thinned(one.points, one.mark), { x: 'x', y: 'y', stroke: colour(one.colour), strokeWidth: 2 }),
      ),
      ...all.map((one) =>
        link(
          one.points.filter(({ error }) => error),
          {
            x1: 'x',
            x2: 'x',
            y1: ({ y, error }) => y - error!,
            y2: ({ y, error }) => y + error!,
            stroke: colour(one.colour),
            strokeWidth: 1.5,
          },
        ),
      ),
      ...all.map((one) =>
        dot(marked(one), {
          x: 'x',
          y: 'y',
          r: 5,
          fill: colour(one.colour),
          stroke: 'var(--paper)',
          strokeWidth: 1.5,
        }),
      ),
    ],
  });
}
