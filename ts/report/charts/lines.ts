/** Lines with names at their ends: validation by epoch, a metric by the number of users. */
import { countText, shortNumber } from '../format.js';
import { dot, line, link, text } from '../library.js';
import {
  axisOf,
  type Chart,
  colour,
  draw,
  horizontal,
  INK,
  label,
  labelPlaces,
  SOFT,
  vertical,
  widthOf,
} from './canvas.js';

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
export interface LineAxes {
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
  return (width) => {
    const [top, bottom, left] = [24, 38, 48];
    const names = all.map((one) => label(one.label, 16));
    const right = 16 + Math.max(...names.map(widthOf));
    const xs = all.flatMap(({ points }) => points.map(({ x }) => x));
    const xAxis = axisOf(xs, { log, most: width < 500 ? 4 : 8, margin: log ? 0.05 : 0 });
    const yAxis = axisOf(
      all.flatMap(({ points }) => points.flatMap(({ y, error = 0 }) => [y - error, y + error])),
      { most: 6 },
    );
    if (!log) xAxis.ticks = xAxis.ticks.filter((tick) => Number.isInteger(tick));
    const ends = all.map(({ points }) => points.at(-1)!);
    const places = labelPlaces(
      ends.map(({ y }) => y),
      yAxis,
      height - top - bottom,
    );
    const right_ = xAxis.domain[1];
    const marked = ({ points, mark }: Line) => (mark === undefined ? [] : mark < 0 ? points : [points[mark]!]);
    return draw({
      width,
      height,
      marginTop: top,
      marginBottom: bottom,
      marginLeft: left,
      marginRight: right,
      x: { type: xAxis.type, domain: xAxis.domain },
      y: { domain: yAxis.domain },
      marks: [
        ...horizontal(xAxis, x, countText),
        ...vertical(yAxis, y, shortNumber),
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
        link(ends, {
          x1: 'x',
          y1: 'y',
          x2: right_,
          y2: (_, at: number) => places[at]!,
          stroke: SOFT,
          strokeWidth: 1,
          strokeDasharray: '1 3',
        }),
        text(names, {
          text: (name: string) => name,
          x: right_,
          y: (_: string, at: number) => places[at]!,
          dx: 6,
          textAnchor: 'start',
          fill: INK,
        }),
      ],
    });
  };
}
