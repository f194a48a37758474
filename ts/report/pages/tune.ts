/** The page of a search. */
import { SIGNIFICANCE } from '../../decide/paired.js';
import {
  countText,
  isNumber,
  meanText,
  metricText,
  NONE,
  pText,
  secondsText,
  signedText,
  valueText,
} from '../format.js';
import { html, type Markup } from '../html.js';
import type { ReadTuning } from '../read.js';
import { curvesFigure } from '../sections/curves.js';
import { dataSection } from '../sections/data.js';
import { differencesFigure } from '../sections/differences.js';
import { examplesSection } from '../sections/examples.js';
import { runSection } from '../sections/run.js';
import { searchFigures } from '../sections/search.js';
import type { Page } from '../shell.js';
import { type Column, numberCell, tableOf } from '../table.js';
import { facts, type Tile, tiles, verdictOf, warnings } from '../words.js';

/** All of the page. */
export function tuningPage(report: ReadTuning): Page {
  const { model, metric, seed, users, best, profile, leftOut, run } = report;
  const point = Object.entries(best).map(([name, value]) => `${name} ${valueText(value)}`);
  return {
    kind: 'tune',
    title: `Use ${model} with ${point.join(', ')}`,
    lead: html`${verdictOf(report.verdict)}${tiles(figuresOf(report))}${warnings(report.warnings ?? [])}`,
    sections: [
      { title: 'What the search tried', body: searched(report) },
      { title: 'The trials', body: trialsTable(report) },
      { title: 'Training of the best one', body: training(report) },
      { title: 'On the test users', body: tested(report) },
      { title: 'Against popularity', body: againstFloor(report) },
      examplesSection(report.examples),
      dataSection(profile, leftOut, [
        ['training users', countText(users?.train)],
        ['validation users that count', countText(users?.validation)],
        ['test users that count', countText(users?.test)],
      ]),
      runSection(run, [
        ['seed', valueText(seed)],
        ['search', report.search],
        ['all options', optionsText(report)],
        ['metric', metric],
      ]),
    ],
  };
}

function optionsText({ options }: ReadTuning): string {
  const entries = Object.entries((options ?? {}) as Record<string, unknown>);
  return entries.map(([name, value]) => `${name} ${valueText(value)}`).join(', ');
}

function figuresOf({ validation, metric, test, trials, seconds, requestSeconds }: ReadTuning): Tile[] {
  const found = test?.[metric];
  const ended = trials.filter(({ validation }) => isNumber(validation)).length;
  return [
    { name: `${metric}, validation`, value: metricText(validation.mean), below: 'the best of many: expect less' },
    ...(found
      ? [{ name: `${metric}, test`, value: metricText(found.mean), below: `${meanText(found)}, measured once` }]
      : []),
    { name: 'trials that ended', value: `${countText(ended)} of ${countText(trials.length)}` },
    { name: 'took', value: secondsText(seconds) },
    ...(requestSeconds
      ? [
          {
            name: 'one request',
            value: secondsText(requestSeconds.median),
            below: `90 % within ${secondsText(requestSeconds.p90)}`,
          },
        ]
      : []),
  ];
}

/** On how much less than the others a trial was. */
function lessOf({ items, epochLimit, stopped }: ReadTuning['trials'][number]): string {
  return [
    ...(items === undefined ? [] : [`${countText(items)} items`]),
    ...(epochLimit === undefined ? [] : [`${countText(epochLimit)} epochs`]),
    ...(stopped === undefined ? [] : [stopped]),
  ].join(', ');
}

function searched(report: ReadTuning): Markup {
  const { model, metric, trials, atTheEdge, plateaus } = report;
  const tried = trials.flatMap((trial) => {
    const { options, validation, seconds } = trial;
    return isNumber(validation) ? [{ options, validation, seconds, less: lessOf(trial) }] : [];
  });
  return searchFigures({ model, metric, trials: tried, edges: atTheEdge ?? {}, plateaus: plateaus ?? {} });
}

function trialsTable({ trials, space, metric }: ReadTuning): Markup {
  const names = Object.keys(space ?? {});
  const columns: Column[] = [
    { name: 'rank', numeric: true },
    { name: `validation ${metric}`, numeric: true },
    ...names.map((name) => ({ name, numeric: true })),
    { name: 'epochs', numeric: true },
    { name: 'time', numeric: true },
    { name: 'note' },
  ];
  const rows = trials.map((trial, at) => {
    const { options, validation, epochs, seconds, failed } = trial;
    return [
      { show: String(at + 1), by: at + 1 },
      numberCell(metricText(validation), validation),
      ...names.map((name) => {
        const value = options[name];
        return { show: value === undefined ? NONE : valueText(value), by: isNumber(value) ? value : null };
      }),
      numberCell(countText(epochs), epochs),
      numberCell(secondsText(seconds), seconds),
      { show: failed === undefined ? lessOf(trial) : `failed: ${failed}` },
    ];
  });
  return tableOf({ caption: 'The trials, the best one first', columns, rows, chosen: 0, sortable: true });
}

function training({ model, metric, curve, bestEpoch }: ReadTuning): Markup {
  return curvesFigure('Validation by epoch', metric, [{ label: model, colour: 1, curve, bestEpoch }]);
}

function tested({ test, users }: ReadTuning): Markup {
  if (!test) return html``;
  return html`<p>Measured once, for the best model alone, on ${countText(users?.test)} users.</p>
${facts(Object.entries(test).map(([name, value]) => [name, meanText(value)] as const))}`;
}

function againstFloor({ model, metric, floor }: ReadTuning): Markup {
  if (!floor) return html``;
  const { difference, interval, pValue, detectable, mean, part, users } = floor;
  const clear = isNumber(pValue) && pValue < SIGNIFICANCE;
  return differencesFigure(
    `${model} minus popularity`,
    `On ${countText(users)} ${part} users, of whom popularity, the floor, has ${metricText(mean)}: difference ${signedText(difference)}, ${pText(pValue)}.`,
    [{ metric, rows: [{ label: `${model} minus popularity`, difference, interval, pValue, detectable, clear }] }],
  );
}
