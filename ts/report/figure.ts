/** Charts with what they show in words and in numbers. */
import { type Chart, NARROW, SMALL, WIDE } from './charts/canvas.js';
import { escapeHtml, html, Markup, type Part } from './html.js';
import { type Table, tableOf } from './table.js';

/** A chart with its name. */
export interface Panel {
  /** What stands above it; left out where the figure has one chart. */
  title?: string;
  /** What it shows in a sentence, for those who do not see it. */
  words: string;
  chart: Chart;
}

/** A figure. */
interface Figure {
  title: string;
  /** What is drawn and how it is read. */
  caption: Part;
  /** One chart over the whole width, or some beside each other. */
  panels: Panel[];
  /** The numbers behind it. */
  table: Table;
}

/** SVG with its name. */
function named(svg: string, words: string, kind: string): Markup {
  return new Markup(svg.replace('<svg ', `<svg role="img" aria-label="${escapeHtml(words)}" data-${kind} `));
}

/**
 * A figure. A chart that has a row of its own is drawn twice, wide and for phones, of which the style shows one: text
 * that is scaled down with the drawing is not to be read.
 */
export function figureOf({ title, caption, panels, table }: Figure): Markup {
  const [first, ...others] = panels;
  if (first === undefined) return html``;
  const isAlone = others.length === 0 && first.title === undefined;
  const drawn = isAlone
    ? html`<div class="wide">${named(first.chart(WIDE), first.words, 'plot')}</div><div class="narrow">${named(first.chart(NARROW), first.words, 'plot')}</div>`
    : html`<div class="panels">${panels.map(
        (panel) =>
          html`<div class="panel">${panel.title === undefined ? null : html`<h4>${panel.title}</h4>`}${named(panel.chart(SMALL), panel.words, 'plot')}</div>`,
      )}</div>`;
  return html`<figure><h3>${title}</h3><figcaption>${caption}</figcaption>${drawn}
<details><summary>The same in numbers</summary>${tableOf(table)}</details></figure>
`;
}
