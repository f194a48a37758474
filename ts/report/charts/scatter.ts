/** Points with names: what models reach against what they cost. */
import { dot, link, text } from '../library.js';
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
  type Unit,
  vertical,
  widthOf,
} from './canvas.js';

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
export interface ScatterAxes {
  x: string;
  y: string;
  xText: (value: number) => string;
  unit: Unit;
}

/** A scatter plot whose names stand in a column of their own, each with a line to its point. */
export function scatter(points: ScatterPoint[], { x, y, xText, unit }: ScatterAxes): Chart {
  return (width) => {
    const [top, bottom, left, height] = [24, 38, 44, 260];
    const names = points.map((point) => label(point.label, 14));
    const right = 14 + Math.max(...names.map(widthOf));
    const xAxis = axisOf(
      points.map(({ x }) => x),
      { log: true, most: 3, margin: 0.08, unit },
    );
    const yAxis = axisOf(
      points.flatMap(({ y, error }) => [y - error, y + error]),
      { most: 7 },
    );
    const places = labelPlaces(
      points.map(({ y }) => y),
      yAxis,
      height - top - bottom,
    );
    const named = points.map((point, at) => ({ ...point, name: names[at]!, place: places[at]! }));
    const shade = ({ colour: at }: ScatterPoint) => colour(at);
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
        ...horizontal(xAxis, x, xText),
        ...vertical(yAxis, y, (value) => value.toFixed(yAxis.ticks.some((tick) => (tick * 100) % 1 > 1e-6) ? 3 : 2)),
        link(named, {
          x1: 'x',
          y1: 'y',
          x2: xAxis.domain[1],
          y2: 'place',
          stroke: SOFT,
          strokeWidth: 1,
          strokeDasharray: '1 3',
        }),
        link(named, {
          x1: 'x',
          x2: 'x',
          y1: ({ y, error }: ScatterPoint) => y - error,
          y2: ({ y, error }: ScatterPoint) => y + error,
          stroke: shade,
          strokeWidth: 1.5,
        }),
        dot(named, {
          x: 'x',
          y: 'y',
          r: ({ chosen }: ScatterPoint) => (chosen ? 7 : 5),
          fill: shade,
          stroke: 'var(--paper)',
        }),
        dot(
          named.filter(({ chosen }) => chosen),
          { x: 'x', y: 'y', r: 9.5, stroke: INK, strokeWidth: 1.5 },
        ),
        text(named, {
          text: 'name',
          x: xAxis.domain[1],
          y: 'place',
          dx: 6,
          textAnchor: 'start',
          fill: INK,
          fontWeight: ({ chosen }: ScatterPoint) => (chosen ? 700 : 400),
        } as never),
      ],
      r: { type: 'identity' },
    });
  };
}
