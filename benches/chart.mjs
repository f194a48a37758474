// One static picture of the rows: how many times faster than the peer, and how much of what is allowed is used.
import { verdict } from './report.mjs';
import { ROWS } from './rows.mjs';
import { figure } from './statistics.mjs';

const WIDTH = 920;
/** Where bars begin and how long the longest may be; names stand to their left, numbers to their right. */
const BARS = { x: 330, width: 340 };
const LINE = 30;
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

/** Opaque, so that it reads on any page; darker where the reader's system is. */
const STYLE = `
text { font: 13px ${FONT}; fill: #1f2933; }
.head { font-size: 16px; font-weight: 600; }
.small { font-size: 11.5px; fill: #616e7c; }
.card { fill: #ffffff; stroke: #d5dbe1; }
.axis { stroke: #c3cbd3; }
.aim { fill: #1b7f79; }
.must { fill: #4c8dae; }
.missed { fill: #d1663f; }
.mark { stroke: #1f2933; stroke-width: 2; }
.target { fill: #1f2933; }
@media (prefers-color-scheme: dark) {
text { fill: #e4e9ee; }
.small { fill: #9aa7b4; }
.card { fill: #161b22; stroke: #343c46; }
.axis { stroke: #46505b; }
.aim { fill: #37a79f; }
.must { fill: #5e9fc4; }
.missed { fill: #e07b53; }
.mark { stroke: #e4e9ee; }
.target { fill: #e4e9ee; }
}`;

const escaped = (text) =>
  String(text).replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]);
const round = (number) => Math.round(number * 10) / 10;

function text(x, y, content, more = '') {
  return `<text x="${round(x)}" y="${round(y)}"${more}>${escaped(content)}</text>`;
}

/**
 * Bars with a line for must and a diamond for aim.
 *
 * @param {{name: string, note: string, value: number, must: number, aim: number, verdict: string}[]} bars
 */
function panel(bars, top) {
  const most = 1.04 * Math.max(...bars.flatMap(({ value, must, aim }) => [value, must, aim]));
  const at = (number) => BARS.x + (BARS.width * number) / most;
  const lines = bars.flatMap((bar, index) => {
    const y = top + index * LINE;
    const [aim, must, middle] = [at(bar.aim), at(bar.must), y + 10];
    return [
      text(BARS.x - 10, y + 14, bar.name, ' text-anchor="end"'),
      `<rect class="${bar.verdict}" x="${BARS.x}" y="${y + 2}" width="${round(at(bar.value) - BARS.x)}" height="16" rx="2"/>`,
      `<path class="mark" d="M${round(must)} ${y - 2}v24"/>`,
      `<path class="target" d="M${round(aim)} ${middle - 5}l5 5l-5 5l-5-5z"/>`,
      text(BARS.x + BARS.width + 12, y + 14, bar.note),
    ];
  });
  return [`<path class="axis" d="M${BARS.x} ${top - 6}v${bars.length * LINE + 2}"/>`, ...lines];
}

/** The rows of a result of `npm run bench -- --json` as a picture. */
export function chart({ machine, rows }) {
  const known = rows.filter(({ value }) => value !== null);
  if (known.length === 0) throw new Error('nothing was measured: there is nothing to draw');
  const all = known.map((result) => ({
    ...ROWS.find(({ id }) => id === result.id),
    ...result,
    verdict: verdict(result),
  }));
  const against = all
    .filter(({ peer, limit }) => peer && !limit)
    .map((row) => {
      // A share of the peer's memory is so many times less.
      const times = (number) => (row.better === 'more' ? number : 1 / number);
      const [value, must, aim] = [row.value, row.must, row.aim].map(times);
      return { ...row, name: row.title, value, must, aim, note: `${figure(value)} × (${row.peer.name})` };
    });
  const allowance = all
    .filter(({ peer, limit }) => !peer || limit)
    .map((row) => {
      const used = (number) => (row.better === 'more' ? row.must / number : number / row.must);
      const note = `${figure(row.value)} ${row.unit} (${row.must}, ${row.aim})`;
      return { ...row, name: row.title, value: used(row.value), must: 1, aim: used(row.aim), note };
    });
  const body = [];
  let y = 38;
  const add = (title, bars) => {
    if (bars.length === 0) return;
    body.push(text(24, y, title, ' class="head"'));
    body.push(...panel(bars, y + 24));
    y += 24 + bars.length * LINE + 34;
  };
  add('Times faster, or less memory, than the peer: longer is better', against);
  add('Share of what is allowed: shorter is better (must, aim)', allowance);
  const legend = [
    ['<path class="mark" d="M30 -9v12"/>', 'must'],
    ['<path class="target" d="M90 -9l5 5l-5 5l-5-5z"/>', 'aim'],
    ['<rect class="aim" x="140" y="-10" width="12" height="12" rx="2"/>', 'aim met'],
    ['<rect class="must" x="220" y="-10" width="12" height="12" rx="2"/>', 'must met'],
    ['<rect class="missed" x="310" y="-10" width="12" height="12" rx="2"/>', 'missed'],
  ];
  const places = [40, 102, 158, 238, 328];
  const signs = legend.map(([sign, name], index) => sign + text(places[index], 0, name, ' class="small"'));
  body.push(`<g transform="translate(0 ${y})">${signs.join('')}</g>`);
  const { cpu, threads, sgemm, torch, numpy, date, quick } = machine;
  const peers = torch ? `; PyTorch ${torch}, NumPy ${numpy}` : '';
  const warning = quick ? 'Small data: these numbers measure nothing. ' : '';
  body.push(
    text(
      24,
      y + 24,
      `${warning}${cpu}, ${threads} threads on either side, sgemm at ${figure(sgemm)} GFLOP/s${peers}; ${date}`,
      ' class="small"',
    ),
  );
  const height = y + 42;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title">`,
    '<title id="title">recvae against PyTorch and NumPy, and against its own limits</title>',
    `<style>${STYLE}</style>`,
    `<rect class="card" x=".5" y=".5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>`,
    ...body,
    '</svg>',
    '',
  ].join('\n');
}
