/** What the data look like, and what of them is not in the figures. */
import type { LeftOut } from '../../data/left-out.js';
import type { Profile, Spread } from '../../data/profile.js';
import { description } from '../../runtime/native.js';
import { bars } from '../charts/bars.js';
import { spreads } from '../charts/spreads.js';
import { figureOf } from '../figure.js';
import { countText, shareText } from '../format.js';
import { html, type Markup, type Part } from '../html.js';
import type { Section } from '../shell.js';
import { numberCell } from '../table.js';
import { bullets, facts } from '../words.js';

const QUANTILES = ['min', 'p10', 'p25', 'median', 'p75', 'p90', 'p99', 'max', 'mean'] as const;

/** The section of the data; `known` are facts beside the profile, which reports of earlier versions do not have. */
export function dataSection(
  profile: Profile | undefined,
  leftOut: readonly LeftOut[] | undefined,
  known: readonly (readonly [string, Part])[],
): Section {
  const left = bullets((leftOut ?? []).map(({ text }) => text));
  const body = html`${facts(known)}${profile && profileOf(profile)}${
    left.text === '' ? null : html`<h3>Left out</h3>${left}`
  }`;
  return { title: 'The data', body };
}

function profileOf(profile: Profile): Markup {
  const { perUser, perItem, gini, top1Percent, top20Percent, tail } = profile;
  const rows: { label: string; spread: Spread }[] = [
    { label: 'items per user', spread: perUser },
    { label: 'users per item', spread: perItem },
  ];
  const sizes = figureOf({
    title: 'How much there is of each',
    caption:
      'The thin line goes from the least to the most, the middle one from the 10th to the 90th percentile, the thick one over the middle half; the ring is the median.',
    panels: [
      {
        words: rows
          .map(({ label, spread: { min, median, max } }) => {
            return `${label}: from ${countText(min)} to ${countText(max)}, median ${countText(median)}`;
          })
          .join('; '),
        chart: spreads(rows, 'number, with equal ratios equally far apart'),
      },
    ],
    table: {
      caption: 'Items per user and users per item',
      columns: [{ name: '' }, ...QUANTILES.map((name) => ({ name, numeric: true }))],
      rows: rows.map(({ label, spread }) => [
        { show: label },
        ...QUANTILES.map((name) => numberCell(countText(spread[name]), spread[name])),
      ]),
    },
  });
  const shares = [
    { label: 'the most popular 1 % of the items', share: top1Percent },
    { label: 'the most popular 20 %', share: top20Percent },
    { label: 'the other 80 %, the tail', share: tail },
  ];
  const popularity = figureOf({
    title: 'How unequal the items are',
    caption: `Share of all interactions. The Gini coefficient of users per item is ${gini.toFixed(3)}: 0 if all have as many, near 1 if one has all.`,
    panels: [
      { words: shares.map(({ label, share }) => `${label}: ${shareText(share)}`).join('; '), chart: bars(shares) },
    ],
    table: {
      caption: 'Share of the interactions',
      columns: [{ name: 'items' }, { name: 'share', numeric: true }],
      rows: shares.map(({ label, share }) => [{ show: label }, numberCell(shareText(share), share)]),
    },
  });
  const { few } = description;
  const rest = facts([
    [`items with fewer than ${few} users`, shareText(profile.rareItems)],
    [`users with fewer than ${few} items`, shareText(profile.shortUsers)],
    ['users who repeat another one', shareText(profile.repeatedUsers)],
    ['the fullest user has', `${shareText(profile.fullestUser)} of the items`],
  ]);
  return html`${sizes}${popularity}${rest}`;
}
