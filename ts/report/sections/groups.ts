/** Who is served how well: wins, ties and losses, and means by group. */
import type { ComparedGroup } from '../../decide/compare/outcomes.js';
import { outcomes } from '../charts/outcomes.js';
import { figureOf, type Panel } from '../figure.js';
import { countText, shareText } from '../format.js';
import { html, type Markup } from '../html.js';
import { meanCell, numberCell, type Table, tableOf } from '../table.js';
import { bullets } from '../words.js';

/** Means by model and group. */
interface ShownGroup extends Pick<ComparedGroup, 'name' | 'from' | 'to' | 'users' | 'items'> {
  means: Record<string, { mean: number; standardError: number | null } | undefined>;
}

/** A group in words. */
function groupWords({ name, from, to, users, items }: ShownGroup): string {
  const range = from === to ? countText(from) : `${countText(from)} to ${countText(to)}`;
  return items === undefined
    ? `${name}: ${range} items in the history, ${countText(users)} users`
    : `${name}: ${countText(items)} items with ${range} training users, ${countText(users)} users`;
}

/** For how many users the winner is better, equal and worse. */
export function outcomesFigure(
  title: string,
  groups: readonly ComparedGroup[],
  winner: string,
  metric: string,
): Markup {
  const known = groups.filter(({ outcomes, users }) => users > 0 && outcomes.length > 0);
  if (known.length === 0) return html``;
  const panels: Panel[] = known.map((group) => ({
    title: groupWords(group as ShownGroup),
    words: group.outcomes
      .map(({ model, wins, ties, losses }) => `${winner} against ${model}: ${wins} won, ${ties} tied, ${losses} lost`)
      .join('; '),
    chart: outcomes(group.outcomes.map(({ model, ...counts }) => ({ label: model, ...counts }))),
  }));
  return figureOf({
    title,
    caption: html`Share of the users for whom <span class="key" style="background:var(--win)"></span>${winner} has the higher ${metric},
<span class="key" style="background:var(--tie)"></span>both have the same, <span class="key" style="background:var(--loss)"></span>the other one has the higher one.`,
    panels,
    table: {
      caption: title,
      columns: [
        { name: 'group' },
        { name: 'against' },
        ...['won', 'tied', 'lost', 'won, share'].map((name) => ({ name, numeric: true })),
      ],
      rows: known.flatMap(({ name, users, outcomes }) =>
        outcomes.map(({ model, wins, ties, losses }) => [
          { show: name },
          { show: model },
          numberCell(countText(wins), wins),
          numberCell(countText(ties), ties),
          numberCell(countText(losses), losses),
          numberCell(shareText(wins / users), wins / users),
        ]),
      ),
    },
  });
}

/** The means of each model by group. */
export function meansTable(
  caption: string,
  groups: readonly ShownGroup[],
  models: readonly string[],
  chosen: string,
): Markup {
  const known = groups.filter(({ users }) => users > 0);
  if (known.length === 0) return html``;
  const table: Table = {
    caption,
    columns: [
      { name: 'model' },
      ...known.map((group) => ({ name: group.name, numeric: true, hint: groupWords(group) })),
    ],
    rows: models.map((model) => [{ show: model }, ...known.map(({ means }) => meanCell(means[model]))]),
    chosen: models.indexOf(chosen),
    sortable: true,
  };
  return html`<h3>${caption}</h3>${bullets(known.map(groupWords))}${tableOf(table)}`;
}
