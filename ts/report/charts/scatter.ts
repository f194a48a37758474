/** Points with names: what models reach against what they cost. */
import { dot, link } from '../library.js';
import { axisOf, type Chart, colour, INK, type Unit } from './canvas.js';
import { namedChart } from './named.js';

/** A point. */
export interface ScatterPoint {
  label: string;
  /** Place of its colour. */
  colour: number;
  x: number;
  y: number;
  /** Half of the bar over and below it; none for 0. */
  error: number;
  /** Whether it stands out. */
  chosen: boolean;
}

/** The names of the axes, with what says a cost. */
interface ScatterAxes {
  x: string;
  y: string;
  xText: (value: number) => string;
  unit: Unit;
}

/** A scatter plot whose names stand in a column of their own, each with a line to its point. */
export function scatter(points: ScatterPoint[], { x, y, xText, unit }: ScatterAxes): Chart {
  const shade = ({ colour: at }: ScatterPoint) => colour(at);
  return namedChart({
    height: 260,
    left: 44,
    most: 14,
    named: points.map(({ label, x, y, chosen }) => ({ label, x, y, bold: chosen })),
    axes: () => {
      const xs = points.map(({ x }) => x);
      const yAxis = axisOf(
        points.flatMap(({ y, error }) => [y - error, y + error]),
        { most: 7 },
      );
      const digits = yAxis.ticks.some((tick) => (tick * 100) % 1 > 1e-6) ? 3 : 2;
      return {
        x: { axis: axisOf(xs, { log: true, most: 3, margin: 0.08, unit }), name: x, text: xText },
        y: { axis: yAxis, name: y, text: (value) => value.toFixed(digits) },
      };
    },
    marks: [
      link(points, {
        x1: 'x',
        x2: 'x',
        y1: ({ y, error }: ScatterPoint) => y - error,
        y2: ({ y, error }: ScatterPoint) => y + error,
        stroke: shade,
        strokeWidth: 1.5,
      }),
      dot(points, {
        x: 'x',
        y: 'y',
        r: ({ chosen }: ScatterPoint) => (chosen ? 7 : 5),
        fill: shade,
        stroke: 'var(--paper)',
      }),
      dot(
        points.filter(({ chosen }) => chosen),
        { x: 'x', y: 'y', r: 9.5, stroke: INK, strokeWidth: 1.5 },
      ),
    ],
  });
}
