/** Distributions by their quantiles. */
import type { Spread } from '../../data/profile.js';
import { countText } from '../format.js';
import { dot, link, text } from '../library.js';
import { ACCENT, axisOf, bands, type Chart, draw, horizontal, INK, label, SOFT } from './canvas.js';

const ROW = 46;

/**
 * From the least to the most as a thin line, from the first to the third quartile as a thick one, and the median as a
 * point.
 */
export function spreads(rows: { label: string; spread: Spread }[], name: string): Chart {
  return (width) => {
    const axis = axisOf(
      rows.flatMap(({ spread: { min, max } }) => [min, max]),
      { log: true, most: width < 500 ? 5 : 9, margin: 0.03 },
    );
    const places = rows.map(({ label, spread }, at) => ({ label, ...spread, y: -at - 0.18 }));
    const span = (from: 'min' | 'p10' | 'p25', to: 'max' | 'p90' | 'p75', stroke: string, strokeWidth: number) =>
      link(places, { x1: from, x2: to, y1: 'y', y2: 'y', stroke, strokeWidth, strokeLinecap: 'round' });
    return draw({
      width,
      height: ROW * rows.length + 44,
      marginTop: 4,
      marginBottom: 40,
      marginLeft: 12,
      marginRight: 12,
      x: { type: axis.type, domain: axis.domain },
      y: { domain: [-rows.length + 0.5, 0.5], axis: null },
      marks: [
        ...horizontal(axis, name, countText),
        ...bands(places.map(({ y }) => y + 0.38)),
        span('min', 'max', SOFT, 1.5),
        span('p10', 'p90', ACCENT, 3),
        span('p25', 'p75', ACCENT, 9),
        dot(places, { x: 'median', y: 'y', r: 5.5, fill: 'var(--paper)', stroke: INK, strokeWidth: 2 }),
        text(places, {
          text: ({ label: name, median, mean }: { label: string } & Spread) =>
            label(`${name}: median ${countText(median)}, mean ${countText(mean)}`),
          y: ({ y }: { y: number }) => y + 0.38,
          frameAnchor: 'left',
          fill: INK,
        }),
      ],
    });
  };
}
