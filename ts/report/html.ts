/** Markup, in which text from anywhere stays text. */
import { escaped } from '../runtime/text.js';

/** What may stand in a page as it is. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What {@link html} takes: text and numbers are escaped; nothing stands for `null`, `undefined` and `false`. */
export type Part = Markup | string | number | null | undefined | false | readonly Part[];

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text as an element or a quoted attribute may have it; characters that would be obeyed are shown. */
export function escapeHtml(text: string): string {
  return escaped(text).replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

function textOf(part: Part): string {
  if (part === null || part === undefined || part === false) return '';
  if (part instanceof Markup) return part.text;
  if (typeof part === 'object') return part.map(textOf).join('');
  return escapeHtml(String(part));
}

/** Markup from a template whose values are escaped. */
export function html(strings: TemplateStringsArray, ...values: Part[]): Markup {
  return new Markup(strings.map((text, at) => (at === 0 ? text : textOf(values[at - 1]) + text)).join(''));
}
