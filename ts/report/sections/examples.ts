/** A few users side by side. */
import type { ExampleUser } from '../../decide/examples.js';
import { countText } from '../format.js';
import { html, type Markup } from '../html.js';
import type { Section } from '../shell.js';

/** The section of some users; empty without them. */
export function examplesSection(examples: readonly ExampleUser[] | undefined): Section {
  const title = 'A few users side by side';
  if (!examples || examples.length === 0) return { title, body: null };
  const intro = html`<p>One test user of each group by the length of the history, taken by place and not by result. A model sees the
history and has to find what was held out; what it lists of that is marked ✓. Three users are an illustration and prove nothing.</p>`;
  return { title, body: html`${intro}${examples.map(cardOf)}` };
}

function cardOf({ user, group, input, inputItems, target, targetItems, lists }: ExampleUser): Markup {
  const found = new Set(lists.flatMap(({ items }) => items.filter(({ hit }) => hit).map(({ id }) => id)));
  const more = (all: number, shown: number) => (all > shown ? ` and ${countText(all - shown)} more` : '');
  const chips = (ids: readonly string[]) =>
    ids.map((id) => html`<span class="${found.has(id) ? 'chip hit' : 'chip'}">${id}</span> `);
  return html`<article class="user"><h3>${user} <small>(${group} items)</small></h3>
<p><b>History, ${countText(inputItems)}:</b> ${chips(input)}${more(inputItems, input.length)}</p>
<p><b>Held out, ${countText(targetItems)}:</b> ${chips(target)}${more(targetItems, target.length)}</p>
<div class="lists">${lists.map(({ model, items }) => {
    const hits = items.filter(({ hit }) => hit).length;
    const entries = items.map(({ id, hit }) => html`<li${hit ? html` class="hit"` : null}>${id}</li>`);
    return html`<div><h4>${model} <small>${hits} found</small></h4><ol>${entries}</ol></div>`;
  })}</div></article>
`;
}
