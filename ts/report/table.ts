/** Tables, whose columns can be sorted where that helps. */
import { isNumber, type Maybe, metricText, NONE } from './format.js';
import { html, type Markup, type Part } from './html.js';

/** A cell: what it shows, and what it is sorted by if that is not its text. */
export interface Cell {
  show: Part;
  /** `null` is last in either order. */
  by?: number | string | null | undefined;
}

/** A column. */
export interface Column {
  name: string;
  /** Whether its cells stand to the right. */
  numeric?: boolean;
  /** What it means, where the name does not say that. */
  hint?: string;
}

/** A table. */
export interface Table {
  /** What it shows, for those who do not see it in its place. */
  caption: string;
  columns: Column[];
  /** Cells by row; the first one names the row. */
  rows: Cell[][];
  /** Which row stands out. */
  chosen?: number;
  sortable?: boolean;
}

/** A cell of a number. */
export function numberCell(show: string, by: number | null | undefined): Cell {
  return { show, by: by ?? null };
}

/** A cell of a mean, with its standard error below it. */
export function meanCell(value: { mean: Maybe; standardError: Maybe } | undefined): Cell {
  if (!value) return numberCell(NONE, null);
  const { mean, standardError } = value;
  const error = isNumber(standardError) ? html` <small>± ${metricText(standardError)}</small>` : null;
  return { show: html`${metricText(mean)}${error}`, by: mean ?? null };
}

/** A table that scrolls in its own box where it is too wide. */
export function tableOf({ caption, columns, rows, chosen, sortable = false }: Table): Markup {
  const align = ({ numeric }: Column) => (numeric ? html` class="number"` : null);
  const head = columns.map((column) => {
    const title = column.hint === undefined ? null : html` title="${column.hint}"`;
    const name = sortable ? html`<button type="button">${column.name}</button>` : column.name;
    return html`<th scope="col"${align(column)}${title}>${name}</th>`;
  });
  const body = rows.map((cells, row) => {
    const parts = cells.map(({ show, by }, at) => {
      const key = by === undefined || by === null ? null : html` data-by="${by}"`;
      if (at === 0) return html`<th scope="row"${key}>${show}</th>`;
      return html`<td${align(columns[at]!)}${key}>${show}</td>`;
    });
    return html`<tr${row === chosen ? html` class="chosen"` : null}>${parts}</tr>`;
  });
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table${sortable ? html` class="sortable"` : null}>
<caption>${caption}</caption><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}
