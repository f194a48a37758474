/** What a search tried: validation by the value of an option, and all options at once. */
import { isNumber, shortNumber, valueText } from '../format.js';
import { dot, line, link, rect, text } from '../library.js';
import {
  ACCENT,
  type Axis,
  axisOf,
  type Chart,
  draw,
  FAINT,
  horizontal,
  INK,
  label,
  SOFT,
  vertical,
} from './canvas.js';

/** A trial that has ended. */
export interface TriedPoint {
  options: Record<string, unknown>;
  validation: number;
  /** Whether it had all epochs and items, so that it may be compared with the best one. */
  whole: boolean;
  best: boolean;
}

/** An option's values as numbers on an axis: numbers as they are, others by their place in the list of all. */
interface Scale {
  axis: Axis;
  of: (value: unknown) => number;
  text: (value: number) => string;
}

function scaleOf(values: unknown[], most: number, log: boolean): Scale {
  if (values.every(isNumber)) {
    const axis = axisOf(values, { log, most, margin: 0.05 });
    return { axis, of: (value) => value as number, text: shortNumber };
  }
  const texts = [...new Set(values.map(valueText))];
  const axis: Axis = { type: 'linear', domain: [-0.5, texts.length - 0.5], ticks: [...texts.keys()] };
  return { axis, of: (value) => texts.indexOf(valueText(value)), text: (at) => label(texts[at] ?? '', 12) };
}

/** Validation by the value of one option; `plateau` is where it makes no difference. */
export function optionCurve(
  trials: TriedPoint[],
  option: string,
  metric: string,
  { log, plateau }: { log: boolean; plateau: { from: number; to: number } | undefined },
): Chart {
  return (width) => {
    const {
      axis,
      of,
      text: textOf,
    } = scaleOf(
      trials.map(({ options }) => options[option]),
      5,
      log,
    );
    const yAxis = axisOf(
      trials.map(({ validation }) => validation),
      { most: 5 },
    );
    const points = trials.map((trial) => ({ ...trial, x: of(trial.options[option]) }));
    const isAlone = Object.keys(trials[0]!.options).length === 1;
    const whole = points.filter(({ whole }) => whole).sort((a, b) => a.x - b.x);
    const within = (value: number) => Math.min(Math.max(value, axis.domain[0]), axis.domain[1]);
    return draw({
      width,
      height: 230,
      marginTop: 24,
      marginBottom: 38,
      marginLeft: 48,
      marginRight: 12,
      x: { type: axis.type, domain: axis.domain },
      y: { domain: yAxis.domain },
      marks: [
        ...(plateau
          ? [
              rect([plateau], {
                x1: within(plateau.from),
                x2: within(plateau.to),
                y1: yAxis.domain[0],
                y2: yAxis.domain[1],
                fill: 'var(--band)',
              }),
            ]
          : []),
        ...horizontal(axis, label(option, 24), textOf),
        ...vertical(yAxis, metric, shortNumber),
        // Of several options a line over one of them would join what has nothing to do with each other.
        ...(isAlone ? [line(whole, { x: 'x', y: 'validation', stroke: SOFT, strokeWidth: 1.5 })] : []),
        dot(
          points.filter(({ whole }) => !whole),
          { x: 'x', y: 'validation', r: 4, stroke: SOFT, strokeWidth: 1.5 },
        ),
        dot(whole, { x: 'x', y: 'validation', r: 4, fill: SOFT }),
        dot(
          points.filter(({ best }) => best),
          { x: 'x', y: 'validation', r: 6.5, fill: ACCENT, stroke: 'var(--paper)', strokeWidth: 1.5 },
        ),
      ],
    });
  };
}

/** A line a trial over an axis for each option, with validation at the end. */
export function parallel(trials: TriedPoint[], options: { name: string; log: boolean }[], metric: string): Chart {
  return (width) => {
    const axes = options.map(({ name, log }) => ({ name, log, of: (trial: TriedPoint) => trial.options[name] }));
    const all = [...axes, { name: metric, log: false, of: ({ validation }: TriedPoint) => validation as unknown }];
    const scales = all.map(({ of, log }) => scaleOf(trials.map(of), 5, log));
    const share = (at: number, trial: TriedPoint) => {
      const { axis, of } = scales[at]!;
      const to = axis.type === 'log' ? Math.log : (value: number) => value;
      const [low, high] = axis.domain.map(to) as [number, number];
      return (to(of(all[at]!.of(trial))) - low) / (high - low);
    };
    const order = [...trials].sort((a, b) => a.validation - b.validation);
    const good = order.slice(-Math.ceil(order.length / 4));
    const lineOf = (trial: TriedPoint) => all.map((_, at) => ({ at, share: share(at, trial) }));
    const ends = all.flatMap((_, at) => {
      const { axis, text: textOf } = scales[at]!;
      const to = axis.type === 'log' ? Math.log : (value: number) => value;
      const [low, high] = axis.domain.map(to) as [number, number];
      return axis.ticks.map((tick) => ({ at, share: (to(tick) - low) / (high - low), text: textOf(tick) }));
    });
    const most = Math.max(8, Math.floor(width / all.length / 7));
    return draw({
      width,
      height: 300,
      marginTop: 30,
      marginBottom: 10,
      marginLeft: Math.min(48, width / (2 * all.length)),
      marginRight: Math.min(48, width / (2 * all.length)),
      x: { domain: [0, all.length - 1], axis: null },
      y: { domain: [0, 1], axis: null },
      marks: [
        ...order.map((trial) => line(lineOf(trial), { x: 'at', y: 'share', stroke: FAINT, strokeWidth: 1.5 })),
        ...good.map((trial) =>
          line(lineOf(trial), { x: 'at', y: 'share', stroke: ACCENT, strokeWidth: 1.5, strokeOpacity: 0.55 }),
        ),
        ...order
          .filter(({ best }) => best)
          .map((trial) => line(lineOf(trial), { x: 'at', y: 'share', stroke: ACCENT, strokeWidth: 3.5 })),
        link(all, { x1: (_, at: number) => at, x2: (_, at: number) => at, y1: 0, y2: 1, stroke: SOFT }),
        text(ends, { x: 'at', y: 'share', text: 'text', fill: INK, stroke: 'var(--paper)', strokeWidth: 5 }),
        text(all, {
          x: (_: unknown, at: number) => at,
          y: 1,
          dy: -18,
          text: ({ name }: { name: string }) => label(name, most),
          fill: INK,
          fontWeight: 600,
        }),
      ],
    });
  };
}
