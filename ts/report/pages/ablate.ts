/** The page of an ablation. */
import type { ComparisonKind } from '../../decide/ablate/designs.js';
import { labelOf } from '../../decide/ablate/report.js';
import { SIGNIFICANCE } from '../../decide/paired.js';
import { lines } from '../charts/lines.js';
import { type MeanRow, means } from '../charts/means.js';
import { figureOf, type Panel } from '../figure.js';
import { countText, isNumber, listText, metricText, secondsText, shareText, signedText, valueText } from '../format.js';
import { html, type Markup } from '../html.js';
import type { ReadAblation } from '../read.js';
import { dataSection } from '../sections/data.js';
import { differencesFigure } from '../sections/differences.js';
import { runSection } from '../sections/run.js';
import type { Page } from '../shell.js';
import { type Column, meanCell, numberCell, tableOf } from '../table.js';
import { facts, type Tile, tiles, verdictOf } from '../words.js';

/** All of the page. */
export function ablationPage(report: ReadAblation): Page {
  const { dataset, profile, leftOut, testUsers, run, seed, seeds } = report;
  return {
    kind: 'ablate',
    title: titleOf(report),
    lead: html`${verdictOf(report.verdict)}${tiles(figuresOf(report))}`,
    sections: [
      { title: 'What each change brings', body: differences(report) },
      { title: 'The models', body: html`${meansFigure(report)}${modelsTable(report)}` },
      { title: 'Training', body: curves(report) },
      { title: 'Against popularity', body: againstFloor(report) },
      { title: 'Options', body: options(report) },
      dataSection(profile, leftOut, [
        ['users', countText(dataset?.users)],
        ['items', countText(dataset?.items)],
        ['interactions', countText(dataset?.interactions)],
        ['density', shareText(dataset?.density)],
        ['test users that count', countText(testUsers)],
      ]),
      runSection(run, [
        ['seed', valueText(seed)],
        ['seeds of the models', seeds.join(', ')],
      ]),
    ],
  };
}

function titleOf({ findings }: ReadAblation): string {
  const paying = findings.filter(({ finding }) => finding === 'pays').map(({ change }) => change);
  if (paying.length === 0) return "None of RecVAE's changes is established to pay";
  return paying.length === 1 ? `${paying[0]} pays` : `${listText(paying)} pay`;
}

function figuresOf({ findings }: ReadAblation): Tile[] {
  const words = { pays: 'pays', costs: 'costs', depends: 'depends', open: 'open' };
  return findings.map(({ change, finding }) => ({ name: change, value: words[finding] ?? finding }));
}

/** Against what changes are compared. */
const KIND_WORDS: Record<ComparisonKind, string> = {
  alone: 'Alone: the change beside none, against none',
  last: 'In the whole: all changes, against all but this one',
  main: 'On average: all models with the change, against all without it',
};

function differences({ comparisons, metric, seeds }: ReadAblation): Markup {
  const kinds = [...new Set(comparisons.map(({ kind }) => kind))];
  return html`${kinds.map((kind) =>
    differencesFigure(
      KIND_WORDS[kind] ?? kind,
      `${metric} with the change minus without it, on the same test users, mean over ${seeds.length} seeds, with the 95 % bootstrap interval and the p-value after Holm's correction over all comparisons. Colour: established, that is p below ${SIGNIFICANCE} and the same sign under every seed.`,
      [
        {
          metric,
          rows: comparisons
            .filter((one) => one.kind === kind)
            .map(({ change, established, difference, interval, pValue, detectable }) => {
              return { label: change, difference, interval, pValue, detectable, clear: established };
            }),
        },
      ],
    ),
  )}`;
}

function meansFigure({ models, metric, seeds }: ReadAblation): Markup {
  const rows: MeanRow[] = models
    .filter(({ mean }) => isNumber(mean))
    .map((model) => ({
      label: labelOf(model),
      colour: model.model === 'mult-vae' ? 2 : 1,
      mean: model.mean,
      error: model.standardError ?? 0,
      points: model.seeds.map(({ mean }) => mean).filter(isNumber),
    }))
    .sort((a, b) => b.mean - a.mean);
  if (rows.length === 0) return html``;
  return figureOf({
    title: 'All models, the best one first',
    caption: `${metric} on the test users with one standard error, which comes from the users alone. The rings are the ${seeds.length} seeds.`,
    panels: [
      {
        words: rows.map(({ label, mean }) => `${label}: ${metricText(mean)}`).join('; '),
        chart: means(rows, metric),
      },
    ],
    table: {
      caption: 'Means by model and seed',
      columns: [
        { name: 'model' },
        { name: metric, numeric: true },
        { name: 'standard error', numeric: true },
        ...seeds.map((seed) => ({ name: `seed ${seed}`, numeric: true })),
      ],
      rows: rows.map(({ label, mean, error, points }) => [
        { show: label },
        numberCell(metricText(mean), mean),
        numberCell(metricText(error), error),
        ...seeds.map((_, at) => numberCell(metricText(points[at]), points[at])),
      ]),
    },
  });
}

function modelsTable({ models, changes, metric }: ReadAblation): Markup {
  const columns: Column[] = [
    { name: 'model' },
    ...changes.map((name) => ({ name })),
    { name: metric, numeric: true },
    { name: 'epochs', numeric: true, hint: 'the most over the seeds' },
    { name: 'ended by the limit', numeric: true, hint: 'seeds whose training the number of epochs ended' },
    { name: 'time', numeric: true, hint: 'all seeds together' },
  ];
  const rows = models.map((model) => {
    const epochs = Math.max(0, ...model.seeds.map(({ epochs }) => epochs).filter(isNumber));
    const limited = model.seeds.filter(({ atLimit }) => atLimit).length;
    const seconds = model.seeds.reduce((sum, { seconds }) => sum + (seconds ?? 0), 0);
    return [
      { show: model.model },
      ...changes.map((change) => ({ show: model.changes.includes(change) ? '✓' : '' })),
      meanCell(model),
      numberCell(countText(epochs), epochs),
      numberCell(`${limited} of ${model.seeds.length}`, limited),
      numberCell(secondsText(seconds), seconds),
    ];
  });
  const best = models.reduce((best, { mean }, at) => (mean > models[best]!.mean ? at : best), 0);
  return tableOf({ caption: 'The models', columns, rows, chosen: best, sortable: true });
}

/** A chart for each model, with a line for each seed. */
function curves({ models, metric }: ReadAblation): Markup {
  const known = models.flatMap((model) => {
    const seeds = model.seeds.filter(({ curve }) => curve && curve.length > 1 && curve.every(isNumber));
    return seeds.length === 0 ? [] : [{ label: labelOf(model), seeds }];
  });
  if (known.length === 0) return html``;
  const panels: Panel[] = known.map(({ label, seeds }) => ({
    title: label,
    words: `Validation by epoch of ${label}: ${seeds
      .map(
        ({ seed, curve, bestEpoch }) => `seed ${seed}, ${curve!.length} epochs, best in epoch ${countText(bestEpoch)}`,
      )
      .join('; ')}`,
    chart: lines(
      seeds.map(({ seed, curve, bestEpoch }, at) => ({
        label: `seed ${seed}`,
        colour: at + 1,
        points: curve!.map((y, epoch) => ({ x: epoch + 1, y })),
        mark: isNumber(bestEpoch) ? Math.min(Math.max(bestEpoch, 1), curve!.length) - 1 : undefined,
      })),
      { x: 'epoch', y: metric, height: 220 },
    ),
  }));
  return figureOf({
    title: 'Validation by epoch',
    caption: `${metric} on the validation users after each epoch, a line for each seed. The point is the best epoch, whose model is kept. The axes differ.`,
    panels,
    table: {
      caption: 'Best epochs',
      columns: [
        { name: 'model' },
        ...['seed', 'epochs', 'best epoch', 'best'].map((name) => ({ name, numeric: true })),
      ],
      rows: known.flatMap(({ label, seeds }) =>
        seeds.map(({ seed, curve, bestEpoch }) => [
          { show: label },
          numberCell(String(seed), seed),
          numberCell(countText(curve!.length), curve!.length),
          numberCell(countText(bestEpoch), bestEpoch),
          numberCell(metricText(Math.max(...curve!)), Math.max(...curve!)),
        ]),
      ),
    },
  });
}

function againstFloor({ floor, metric }: ReadAblation): Markup {
  if (!floor) return html``;
  const { difference, interval, pValue, detectable, mean, users } = floor;
  const label = 'the design with the highest mean minus popularity';
  return differencesFigure(
    'The best design minus popularity',
    `On ${countText(users)} test users, of whom popularity, the floor, has ${metricText(mean)}; the difference is ${signedText(difference)}.`,
    [
      {
        metric,
        rows: [{ label, difference, interval, pValue, detectable, clear: isNumber(pValue) && pValue < SIGNIFICANCE }],
      },
    ],
  );
}

function options({ models }: ReadAblation): Markup {
  const entries = models.map((model) => {
    const text = Object.entries(model.options ?? {}).map(([name, value]) => `${name} ${valueText(value)}`);
    return [labelOf(model), text.join(', ')] as const;
  });
  return html`<details><summary>All options of each model</summary>${facts(entries)}</details>`;
}
