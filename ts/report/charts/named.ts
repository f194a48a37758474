/**
 * The frame of charts with two axes whose names stand in a column of their own on the right, each with a line to what
 * it names.
 */
import { link, type Markish, text } from '../library.js';
import { type Axis, type Chart, draw, horizontal, INK, label, labelPlaces, SOFT, vertical, widthOf } from './canvas.js';

/** An axis with its name and what says a value. */
interface NamedAxis {
  axis: Axis;
  name: string;
  text: (value: number) => string;
}

/** What has a name, and where. */
interface Named {
  label: string;
  x: number;
  y: number;
  /** Whether the name stands out. */
  bold?: boolean;
}

interface NamedChart {
  height: number;
  /** Pixels for the labels of the vertical axis. */
  left: number;
  /** Characters that a name has at most. */
  most: number;
  named: Named[];
  axes: (width: number) => { x: NamedAxis; y: NamedAxis };
  marks: Markish[];
}

const TOP = 24;
const BOTTOM = 38;
/** Pixels between the last value and its name. */
const GAP = 6;

/** Draws the marks in such a frame. */
export function namedChart({ height, left, most, named, axes, marks }: NamedChart): Chart {
  return (width) => {
    const { x, y } = axes(width);
    const places = labelPlaces(
      named.map(({ y }) => y),
      y.axis,
      height - TOP - BOTTOM,
    );
    const rows = named.map((one, at) => ({ ...one, name: label(one.label, most), place: places[at]! }));
    const end = x.axis.domain[1];
    return draw({
      width,
      height,
      marginTop: TOP,
      marginBottom: BOTTOM,
      marginLeft: left,
      marginRight: 2 * GAP + 4 + Math.max(...rows.map(({ name }) => widthOf(name))),
      x: { type: x.axis.type, domain: x.axis.domain },
      y: { domain: y.axis.domain },
      r: { type: 'identity' },
      marks: [
        ...horizontal(x.axis, x.name, x.text),
        ...vertical(y.axis, y.name, y.text),
        link(rows, {
          x1: 'x',
          y1: 'y',
          x2: end,
          y2: 'place',
          stroke: SOFT,
          strokeWidth: 1,
          strokeDasharray: '1 3',
        }),
        ...marks,
        // A mark has one weight.
        ...[true, false].map((bold) => {
          const own = rows.filter((row) => Boolean(row.bold) === bold);
          const weight = bold ? 700 : 400;
          return text(own, {
            text: 'name',
            x: end,
            y: 'place',
            dx: GAP,
            textAnchor: 'start',
            fill: INK,
            fontWeight: weight,
          });
        }),
      ],
    });
  };
}
