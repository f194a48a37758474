/** For which share of users one model is better than another, equal, and worse. */
import { barX, text } from '../library.js';
import { type Chart, draw, INK, label, SOFT, shareRows } from './canvas.js';

/** Users by outcome, against one other. */
interface OutcomeRow {
  label: string;
  wins: number;
  ties: number;
  losses: number;
}

const ROW = 44;
/** Share of a bar from which on its number is written into it. */
const LEGIBLE = 0.09;

/** Bars of one length, divided. */
export function outcomes(rows: OutcomeRow[]): Chart {
  return (width) => {
    const parts = rows.flatMap(({ wins, ties, losses }, at) => {
      const all = Math.max(wins + ties + losses, 1);
      const ends = [0, wins / all, (wins + ties) / all, 1];
      const fills = ['var(--win)', 'var(--tie)', 'var(--loss)'];
      const inks = ['var(--on-win)', INK, 'var(--on-loss)'];
      return [0, 1, 2].map((part) => ({
        at: String(at),
        from: ends[part]!,
        to: ends[part + 1]!,
        fill: fills[part]!,
        ink: inks[part]!,
        share: ends[part + 1]! - ends[part]!,
      }));
    });
    return draw({
      ...shareRows(width, ROW, rows.length),
      marks: [
        text(rows, {
          text: (row: OutcomeRow) => label(`against ${row.label}`, 36),
          y: (_: OutcomeRow, at: number) => String(at),
          frameAnchor: 'left',
          dy: -12,
          fill: SOFT,
        }),
        barX(parts, { x1: 'from', x2: 'to', y: 'at', fill: 'fill', insetTop: 20, insetBottom: 4, insetRight: 1 }),
        text(
          parts.filter(({ share }) => share >= LEGIBLE),
          {
            text: ({ share }: { share: number }) => `${Math.round(share * 100)} %`,
            x: ({ from, to }: { from: number; to: number }) => (from + to) / 2,
            y: 'at',
            dy: 8,
            fill: 'ink',
          },
        ),
      ],
    });
  };
}
