/** A comparison that was repeated: where the variance of what it found comes from. */
import type { RepeatReport, VarianceApart } from '../../decide/compare/report.js';
import { means } from '../charts/means.js';
import { figureOf } from '../figure.js';
import { countText, isNumber, metricText, signedText } from '../format.js';
import { html, type Markup } from '../html.js';
import type { Section } from '../shell.js';
import { type Column, numberCell, tableOf } from '../table.js';

const SOURCES = [
  ['users', 'by which users are tested: the standard error of the mean'],
  ['seed', 'by the random numbers of training and search'],
  ['split', 'by which users and interactions are trained on'],
  ['between splits', 'all three together, as measured from split to split'],
] as const;

const columnsOf = (last: string, hint: string): Column[] => [
  { name: 'model' },
  { name: 'mean', numeric: true, hint: 'over the splits' },
  ...SOURCES.map(([name, hint]) => ({ name, numeric: true, hint })),
  { name: last, numeric: true, hint },
];

/** Standard deviations by their source. */
const cellsOf = (apart: VarianceApart | undefined) =>
  [apart?.users, apart?.seed, apart?.split, apart?.between].map((deviation) =>
    numberCell(metricText(deviation), deviation),
  );

/** The section of a repeated comparison; nothing of one that was not, or of which no model is in all comparisons. */
export function repeatSection(report: RepeatReport | undefined, colourOf: (model: string) => number): Section {
  const title = 'How much of it is chance';
  if (!report || report.models.length === 0) return { title, body: html`` };
  const { metric, runs, splits, seeds, models, winner, differences } = report;
  const of = (count: number) => numberCell(`${count} of ${runs.length}`, count);
  const chosen = models.findIndex(({ model }) => model === winner);
  const rows = models.map(({ model, wins, metrics: { [metric]: apart } }) => [
    { show: model },
    numberCell(metricText(apart?.mean), apart?.mean),
    ...cellsOf(apart),
    of(wins),
  ]);
  const others = differences.map(({ model, ahead, metrics: { [metric]: apart } }) => [
    { show: model },
    numberCell(signedText(apart?.mean), apart?.mean),
    ...cellsOf(apart),
    of(ahead),
  ]);
  const against =
    others.length === 0
      ? null
      : html`<p>Difference to ${winner}, the winner of the first comparison, on the same users:</p>
${tableOf({
  caption: `Differences to ${winner}, by their source`,
  columns: columnsOf('ahead', 'comparisons in which its mean is above that of the first winner'),
  rows: others,
  sortable: true,
})}`;
  return {
    title,
    body: html`<p>${countText(runs.length)} comparisons: on ${countText(splits)} splits, and with ${countText(seeds)} training seeds on the first
of them. Standard deviations of the mean ${metric}, by their source:</p>
${tableOf({ caption: `${metric} by source of its variance`, columns: columnsOf('won', 'comparisons that it won'), rows, chosen, sortable: true })}
${against}
${runsFigure(report, colourOf)}`,
  };
}

/** Each comparison as a point. */
function runsFigure({ metric, runs, models }: RepeatReport, colourOf: (model: string) => number): Markup {
  const shown = models.flatMap(({ model, metrics: { [metric]: apart } }) => {
    const points = runs.flatMap(({ means }) => (isNumber(means[model]) ? [means[model]] : []));
    const error = apart?.between ?? apart?.users;
    if (!isNumber(apart?.mean) || !isNumber(error) || points.length === 0) return [];
    return [{ label: model, colour: colourOf(model), mean: apart.mean, error, points }];
  });
  if (shown.length === 0) return html``;
  const title = 'Every comparison';
  return figureOf({
    title,
    caption: `The mean ${metric} of each model: a small point for each comparison, the large one for the mean over the splits, and the line for one standard deviation between the splits, or by users where there is one split.`,
    panels: [
      {
        words: shown
          .map(({ label, points }) => {
            const [low, high] = [Math.min(...points), Math.max(...points)];
            return `${label}: ${metricText(low)} to ${metricText(high)}`;
          })
          .join('; '),
        chart: means(shown, metric),
      },
    ],
    table: {
      caption: title,
      columns: [
        { name: 'comparison' },
        { name: 'training seed', numeric: true },
        { name: 'seed of the split', numeric: true },
        { name: 'winner' },
        ...models.map(({ model }) => ({ name: model, numeric: true })),
      ],
      rows: runs.map(({ seed, splitSeed, fold, winner, means }, at) => [
        { show: `${at + 1}${fold === undefined ? '' : `, fold ${fold}`}`, by: at },
        numberCell(String(seed), seed),
        numberCell(String(splitSeed), splitSeed),
        { show: winner },
        ...models.map(({ model }) => numberCell(metricText(means[model]), means[model])),
      ]),
    },
  });
}
