/** What all charts have in common: sizes, colours, ticks, places of labels, and the drawing itself. */
import { escaped } from '../../runtime/text.js';
import { axisX, axisY, type Markish, type PlotOptions, parseHTML, plot, ruleX, ruleY } from '../library.js';

/** Widths in pixels: of a chart that has a row of its own, of the same on a phone, and of one beside others. */
export const WIDE = 760;
export const NARROW = 328;
export const SMALL = 328;

/** Draws a chart in a width, as SVG without a name. */
export type Chart = (width: number) => string;

/** Colours by their place, which the page's style defines for light, dark and print. */
const COLOURS = 8;
export const colour = (at: number) => `var(--c${at % COLOURS})`;
export const INK = 'var(--ink)';
export const SOFT = 'var(--soft)';
export const FAINT = 'var(--line)';
export const ACCENT = 'var(--accent)';

const { document } = parseHTML('<html></html>');

/**
 * Draws marks. Numbers in attributes are rounded: a hundredth of a pixel is not seen. No character is left that would
 * be obeyed.
 */
export function draw(options: PlotOptions): string {
  const svg = plot({
    ...options,
    document: document as never,
    className: 'plot',
    color: { type: 'identity' },
    style: { fontSize: '12px' },
  });
  svg.querySelector('style')?.remove(); // the page has it once
  const text = escaped(svg.outerHTML).replace(/<[^>]*>/g, (tag: string) =>
    tag.replace(/-?\d+\.\d{3,}(?:e-\d+)?/g, (number: string) => String(Number(Number(number).toFixed(2)))),
  );
  // What is inside has no name of its own: the figure has one.
  return text.replaceAll(/ aria-(?:label|hidden)="[^"]*"/g, '');
}

/** Text from the data as one line of so many characters at most. */
export function label(text: string, most = 60): string {
  const line = [...escaped(text)];
  return line.length <= most ? line.join('') : `${line.slice(0, most - 1).join('')}…`;
}

/** An axis of numbers. */
export interface Axis {
  type: 'linear' | 'log';
  domain: [number, number];
  ticks: number[];
}

/** What numbers are of, which says which of them are round. */
export type Unit = 'number' | 'bytes' | 'seconds';

interface AxisOptions {
  log?: boolean;
  most?: number;
  margin?: number;
  unit?: Unit;
}

/** Share of a number below which others that differ by less from it are drawn as equal. */
const LEAST_EXTENT = 1e-9;

/** Below, a number has no place among ratios. */
const LEAST_RATIO = 1e-12;

const STEPS = [[1], [1, 3], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]];

/**
 * An axis for numbers, with so many ticks at most; `log` only holds where all are above 0 by enough. Its ends lie
 * `margin` beyond the numbers, as a share of the extent.
 */
export function axisOf(
  numbers: number[],
  { log = false, most = 6, margin = 0.06, unit = 'number' }: AxisOptions = {},
): Axis {
  const isLog = log && numbers.every((number) => number >= LEAST_RATIO);
  const to = isLog ? Math.log10 : (value: number) => value;
  const from = isLog ? (value: number) => 10 ** value : (value: number) => value;
  const values = numbers.map(to);
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (!(high - low > LEAST_EXTENT * Math.max(Math.abs(low), Math.abs(high), 1))) {
    const half = isLog ? 0.5 : Math.max(Math.abs(low) * 0.1, 1e-3);
    [low, high] = [low - half, high + half];
  }
  const beyond = (high - low) * margin;
  const domain: [number, number] = [from(low - beyond), from(high + beyond)];
  if (isLog) return { type: 'log', domain, ticks: ticksOf(domain, most, unit) };
  return { type: 'linear', domain, ticks: linearTicks(domain, most) };
}

function linearTicks([low, high]: [number, number], most: number): number[] {
  const rough = (high - low) / Math.max(most, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough)!;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(last - first + 1, 0) }, (_, at) =>
    Number(((first + at) * step).toPrecision(12)),
  );
}

function logTicks([low, high]: [number, number], most: number): number[] {
  const powers = Array.from({ length: Math.floor(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 }, (_, at) => {
    return Math.floor(Math.log10(low)) + at;
  });
  const within = STEPS.map((steps) =>
    powers.flatMap((power) => steps.map((step) => step * 10 ** power)).filter((tick) => tick >= low && tick <= high),
  );
  const ticks = within.findLast((ticks) => ticks.length <= most) ?? within[0]!;
  if (ticks.length <= most) return ticks.length > 0 ? ticks : [Math.sqrt(low * high)];
  const every = Math.ceil(ticks.length / most);
  return ticks.filter((_, at) => at % every === 0);
}

/** Round durations: powers of ten up to a minute, then minutes and hours. */
const DURATIONS = [...Array.from({ length: 8 }, (_, at) => 10 ** (at - 6)), 60, 600, 3600, 36_000, 360_000];
/** Round sizes: powers of two. */
const SIZES = Array.from({ length: 61 }, (_, at) => 2 ** at);

/** Round numbers of a logarithmic axis, `most` at most. */
function ticksOf(domain: [number, number], most: number, unit: Unit): number[] {
  if (unit === 'number') return logTicks(domain, most);
  const within = (unit === 'bytes' ? SIZES : DURATIONS).filter((tick) => tick >= domain[0] && tick <= domain[1]);
  const every = Math.ceil(within.length / most);
  const ticks = within.filter((_, at) => at % every === 0);
  return ticks.length > 1 ? ticks : logTicks(domain, most);
}

/** A horizontal axis with faint lines, labels below and a name at its end. */
export function horizontal(axis: Axis, name: string, format: (value: number) => string): Markish[] {
  const own = { ticks: axis.ticks, text: format };
  return [
    ruleX(axis.ticks, { stroke: FAINT }),
    axisX({ ...own, label: name, labelAnchor: 'center', tickSize: 0, fill: SOFT, labelArrow: 'none' }),
  ];
}

/** A vertical one. */
export function vertical(axis: Axis, name: string, format: (value: number) => string): Markish[] {
  const own = { ticks: axis.ticks, text: format };
  return [
    ruleY(axis.ticks, { stroke: FAINT }),
    axisY({ ...own, label: name, labelAnchor: 'top', tickSize: 0, fill: SOFT, labelArrow: 'none' }),
  ];
}

/** Room for a line of text at each of such places, where no line of the axis runs through it. */
export function bands(places: number[]): Markish[] {
  return [ruleY(places, { stroke: 'var(--paper)', strokeWidth: 18, insetLeft: -12, insetRight: -12 } as never)];
}

/**
 * Places for labels that want to be at such values, at least `gap` apart, as near as they can be to where they belong.
 */
export function spread(wanted: number[], gap: number, [low, high]: readonly [number, number]): number[] {
  const order = [...wanted.keys()].sort((a, b) => wanted[a]! - wanted[b]!);
  const placed = new Array<number>(wanted.length);
  let least = low;
  for (const at of order) {
    placed[at] = Math.max(wanted[at]!, least);
    least = placed[at] + gap;
  }
  let most = high;
  for (const at of [...order].reverse()) {
    placed[at] = Math.min(placed[at]!, most);
    most = placed[at] - gap;
  }
  return placed;
}

/** Pixels between two labels, one below the other. */
const LABEL_GAP = 15;

/** {@link spread} over an axis of so many pixels. */
export function labelPlaces(wanted: number[], { domain: [low, high] }: Axis, pixels: number): number[] {
  return spread(wanted, ((high - low) * LABEL_GAP) / pixels, [low, high]);
}

/** What charts of shares have in common: `count` rows of so many pixels, each named by its number, from 0 to 1. */
export function shareRows(width: number, row: number, count: number): PlotOptions {
  return {
    width,
    height: row * count + 4,
    marginLeft: 0,
    marginRight: 0,
    marginTop: 2,
    marginBottom: 2,
    x: { domain: [0, 1], axis: null },
    y: { domain: Array.from({ length: count }, (_, at) => String(at)), axis: null, padding: 0 },
  };
}

/** Pixels that such a text takes at most, at the size of all charts. */
export function widthOf(text: string): number {
  return [...text].length * 6.8;
}
