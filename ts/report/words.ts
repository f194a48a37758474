/** Words of a report as paragraphs and lists. */
import { html, type Markup, type Part } from './html.js';

/** The sentences of a verdict: a point ends one where a capital letter follows. */
function sentencesOf(text: string): string[] {
  return text
    .split(/\n|(?<=[.!?]) (?=[A-Z])/)
    .map((sentence) => sentence.trim())
    .filter((sentence) => sentence !== '');
}

/** A verdict: its first sentence, and then the others as a list. */
export function verdictOf(text: string): Markup {
  const [first, ...rest] = sentencesOf(text);
  return html`<p class="first">${first}</p>${bullets(rest)}`;
}

/** A list; nothing without entries. */
export function bullets(entries: readonly Part[]): Markup {
  return entries.length === 0 ? html`` : html`<ul>${entries.map((entry) => html`<li>${entry}</li>`)}</ul>`;
}

/** What is to be distrusted, each in its own box. */
export function warnings(texts: readonly string[]): Markup {
  return html`${texts.map((text) => html`<p class="warning">${text}</p>`)}`;
}

/** A figure that stands out. */
export interface Tile {
  name: string;
  value: string;
  below?: string | undefined;
}

/** Figures beside each other. */
export function tiles(all: readonly Tile[]): Markup {
  return html`<dl class="tiles">${all.map(
    ({ name, value, below }) =>
      html`<div><dt>${name}</dt><dd>${value}${below === undefined ? null : html`<small>${below}</small>`}</dd></div>`,
  )}</dl>`;
}

/** Names with what belongs to them; what is missing is left out. */
export function facts(all: readonly (readonly [string, Part])[]): Markup {
  const known = all.filter(([, value]) => value !== null && value !== undefined && value !== '');
  return known.length === 0
    ? html``
    : html`<dl class="facts">${known.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}
