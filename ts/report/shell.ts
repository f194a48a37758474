/** The page around the sections: one file that loads nothing. */
import { createHash } from 'node:crypto';
import { html, Markup, type Part } from './html.js';

/** A part of a page. */
export interface Section {
  title: string;
  body: Part;
}

/** What a page consists of. */
export interface Page {
  /** Name of the command that made the report. */
  kind: string;
  title: string;
  /** What is said in the first place. */
  lead: Part;
  sections: Section[];
}

const STYLE = `
:root { color-scheme: light; --paper: #fff; --ink: #1b1f24; --soft: #59636e; --line: #d8dee4; --panel: #f5f7f9; --accent: #0b6bcb;
  --win: #226a9f; --tie: #d5dae0; --loss: #ad4a12; --on-win: #fff; --on-loss: #fff; --band: #e3eefb; --warn: #fff4d6; --warn-line: #b98900;
  --c0: #6e7781; --c1: #0b6bcb; --c2: #b5560b; --c3: #1a7f4b; --c4: #9a3fb5; --c5: #c0304a; --c6: #0f7f8c; --c7: #7a6400; }
@media screen and (prefers-color-scheme: dark) {
  :root { color-scheme: dark; --paper: #14181d; --ink: #e8ecf0; --soft: #a3aeb9; --line: #343c45; --panel: #1d232a; --accent: #5cabff;
    --win: #4d9bdb; --tie: #3a434d; --loss: #e08a52; --on-win: #08131d; --on-loss: #1d0f05; --band: #1c3350; --warn: #372d10; --warn-line: #d8a928;
    --c0: #98a3ae; --c1: #5cabff; --c2: #f0964a; --c3: #4cc38a; --c4: #d08be6; --c5: #ff8296; --c6: #4fc4d1; --c7: #d3b84a; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; overflow-wrap: anywhere; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 2rem; line-height: 1.15; margin: 0 0 .5rem; }
h2 { font-size: 1.35rem; margin: 3rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 0 0 .25rem; }
h4 { font-size: .9rem; margin: 0 0 .25rem; font-weight: 600; }
p, ul, ol { margin: 0 0 .75rem; max-width: 75ch; }
ul, ol { padding-left: 1.25rem; }
code, pre { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { background: var(--panel); padding: 12px; border-radius: 6px; white-space: pre-wrap; margin: 0 0 .75rem; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .9rem; max-width: none; }
a { color: var(--accent); }
.kind { color: var(--soft); font-size: .9rem; margin: 0 0 .25rem; }
.first { font-size: 1.15rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(148px, 1fr)); gap: 12px; margin: 1.25rem 0; padding: 0; }
.tiles div { background: var(--panel); border-radius: 8px; padding: 10px 14px; }
.tiles dt { color: var(--soft); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.25rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.tiles dd small { display: block; font-size: .8rem; font-weight: 400; color: var(--soft); }
.warning { background: var(--warn); border-left: 4px solid var(--warn-line); padding: 8px 14px; border-radius: 4px; margin: 0 0 .75rem; max-width: 75ch; }
figure { margin: 0 0 2.25rem; }
figcaption { color: var(--soft); font-size: .92rem; margin: 0 0 .75rem; max-width: 75ch; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); gap: 20px 24px; }
.panel { min-width: 0; display: flex; flex-direction: column; justify-content: flex-end; }
.plot { display: block; max-width: 100%; height: auto; overflow: visible; }
.plot text { white-space: pre; paint-order: stroke; }
.narrow { display: none; }
@media screen and (max-width: 800px) { .wide { display: none; } .narrow { display: block; } h1 { font-size: 1.6rem; } }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .3em 0 .1em; vertical-align: -1px; }
.scroll { overflow-x: auto; margin: 0 0 .75rem; max-width: 100%;
  background: linear-gradient(to left, var(--paper) 30%, transparent) right / 40px 100% local no-repeat,
    linear-gradient(to left, var(--line), transparent) right / 12px 100% scroll no-repeat; }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; color: var(--soft); font-size: .85rem; padding: 0 0 6px; position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; white-space: nowrap; }
th, td { padding: 5px 8px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid var(--line); white-space: nowrap; vertical-align: bottom; }
.number { text-align: right; white-space: nowrap; }
td small { display: block; color: var(--soft); font-size: .82em; line-height: 1.2; }
h4 small { display: block; color: var(--soft); font-weight: 400; }
tbody th { font-weight: 600; min-width: 6.2em; position: sticky; left: 0; background: var(--paper); }
tr.chosen > * { background: var(--band); }
th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; padding: 4px 0; margin: 0; cursor: pointer; }
th button::after { content: ' ↕' / ''; color: var(--soft); font-size: .8em; }
th[aria-sort='ascending'] button::after { content: ' ↑' / ''; color: inherit; }
th[aria-sort='descending'] button::after { content: ' ↓' / ''; color: inherit; }
details { margin: .5rem 0 0; }
summary { cursor: pointer; color: var(--accent); font-size: .9rem; padding: 4px 0; }
.user { border: 1px solid var(--line); border-radius: 8px; padding: 14px; margin: 0 0 16px; }
.user > p { max-width: none; font-size: .9rem; }
.chip { display: inline-block; background: var(--panel); border-radius: 4px; padding: 0 6px; margin: 0 4px 4px 0; max-width: 100%; }
.chip.hit { background: var(--band); font-weight: 650; }
.lists { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 12px 16px; }
.lists div { min-width: 0; }
.lists ol { margin: 0; padding-left: 1.7em; font-size: .85rem; line-height: 1.45; }
.lists li.hit { font-weight: 700; color: var(--accent); }
.lists li.hit::after { content: ' ✓'; }
dl.facts { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: 4px 16px; margin: 0 0 .75rem; }
dl.facts dt { color: var(--soft); }
dl.facts dd { margin: 0; min-width: 0; }
@page { margin: 14mm; }
@media print {
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  nav, .figures-only, summary { display: none; }
  details:not([open]) { display: none; }
  figure, .user, .panel, tr, .tiles { break-inside: avoid; }
  h2, h3, h4, figcaption { break-after: avoid; }
  .tiles { grid-template-columns: repeat(auto-fit, minmax(110px, 1fr)); gap: 8px; }
  .tiles dd { font-size: 1.05rem; }
  .scroll { overflow: visible; background: none; }
  table { font-size: 7.5pt; width: 100%; }
  th, td { padding: 2px 4px; }
  thead th, .number { white-space: normal; }
  th button::after { content: none !important; }
  tbody th { position: static; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
`;

/**
 * Sorts a table by the column whose name is pressed: first from the best to the worst of numbers, then the other way.
 */
const SCRIPT = `
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells];
  const valueOf = (row, at) => {
    const cell = row.cells[at];
    if (!heads[at].classList.contains('number')) return cell.dataset.by ?? cell.textContent;
    return cell.dataset.by === undefined ? null : Number(cell.dataset.by);
  };
  heads.forEach((head, at) => head.firstElementChild.addEventListener('click', () => {
    const first = head.classList.contains('number') ? 'descending' : 'ascending';
    const order = head.ariaSort === first ? (first === 'ascending' ? 'descending' : 'ascending') : first;
    for (const other of heads) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', order);
    const sign = order === 'ascending' ? 1 : -1;
    const rows = [...table.tBodies[0].rows].sort((one, other) => {
      const [a, b] = [valueOf(one, at), valueOf(other, at)];
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (typeof a === 'number' ? a - b : a.localeCompare(b));
    });
    table.tBodies[0].append(...rows);
  }));
}
`;

const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Nothing but what stands in the page may run, style it or be loaded, whatever the data are. */
const POLICY = `default-src 'none'; style-src 'unsafe-inline'; script-src ${hash(SCRIPT)}; base-uri 'none'; form-action 'none'`;

/** The whole page. Sections without a body are left out. */
export function pageOf({ kind, title, lead, sections }: Page): string {
  const filled = sections.filter(({ body }) => html`${body}`.text.trim() !== '');
  const idOf = (at: number) => `section-${at + 1}`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${new Markup(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="recvae">
<title>${title} – recvae ${kind}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<main>
<header>
<p class="kind">recvae ${kind}</p>
<h1>${title}</h1>
${lead}
</header>
<nav aria-label="Sections"><ul>${filled.map((section, at) => html`<li><a href="#${idOf(at)}">${section.title}</a></li>`)}</ul></nav>
${filled.map(
  (section, at) => html`<section id="${idOf(at)}" aria-labelledby="${idOf(at)}-title">
<h2 id="${idOf(at)}-title">${section.title}</h2>
${section.body}
</section>
`,
)}</main>
<script>${new Markup(SCRIPT)}</script>
</body>
</html>
`;
  return page.text;
}
