/** Shares as bars, one below the other. */
import { shareText } from '../format.js';
import { barX, text } from '../library.js';
import { ACCENT, type Chart, draw, INK, label, SOFT, shareRows } from './canvas.js';

const ROW = 40;

/** Bars from 0 to 1 with their names above. */
export function bars(rows: { label: string; share: number }[]): Chart {
  return (width) =>
    draw({
      ...shareRows(width, ROW, rows.length),
      marks: [
        text(rows, {
          text: ({ label: name }: { label: string }) => label(name, 40),
          y: (_: unknown, at: number) => String(at),
          frameAnchor: 'left',
          dy: -10,
          fill: INK,
        }),
        text(rows, {
          text: ({ share }: { share: number }) => shareText(share),
          y: (_: unknown, at: number) => String(at),
          frameAnchor: 'right',
          dy: -10,
          fill: SOFT,
        }),
        barX(rows, {
          x1: 0,
          x2: 1,
          y: (_, at: number) => String(at),
          fill: 'var(--tie)',
          insetTop: 20,
          insetBottom: 8,
        }),
        barX(rows, {
          x1: 0,
          x2: 'share',
          y: (_, at: number) => String(at),
          fill: ACCENT,
          insetTop: 20,
          insetBottom: 8,
        }),
      ],
    });
}
