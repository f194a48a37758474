/** The page of a comparison. */
import { SIGNIFICANCE } from '../../decide/paired.js';
import { differenceOf, type PairedDifference } from '../../decide/pairs.js';
import {
  bytesText,
  countText,
  isNumber,
  metricText,
  pText,
  secondsText,
  shareText,
  signedText,
  valueText,
} from '../format.js';
import { html, type Markup } from '../html.js';
import type { ReadComparison, ReadModel } from '../read.js';
import { costsFigure } from '../sections/costs.js';
import { curvesFigure } from '../sections/curves.js';
import { dataSection } from '../sections/data.js';
import { differencesFigure, type ShownDifference } from '../sections/differences.js';
import { examplesSection } from '../sections/examples.js';
import { meansTable, outcomesFigure } from '../sections/groups.js';
import { repeatSection } from '../sections/repeat.js';
import { runSection } from '../sections/run.js';
import { searchFigures, shownTrials } from '../sections/search.js';
import type { Page, Section } from '../shell.js';
import { type Column, meanCell, numberCell, tableOf } from '../table.js';
import { bullets, type Tile, tiles, verdictOf, warnings } from '../words.js';

/** All of the page. */
export function comparisonPage(report: ReadComparison): Page {
  const { winner, seed } = report;
  return {
    kind: 'compare',
    title: `Use ${winner}`,
    lead: leadOf(report),
    sections: [
      { title: 'The models', body: modelsTable(report) },
      { title: 'Differences to the winner', body: differences(report) },
      repeatSection(report.repeat, (model) => colourOf(report, model)),
      { title: 'Accuracy and cost', body: costs(report) },
      { title: 'Who is served how well', body: groups(report) },
      { title: 'Training', body: curves(report) },
      searchSection(report),
      examplesSection(report.examples),
      data(report),
      runSection(report.run, [['seed', valueText(seed)]]),
    ],
  };
}

/** Colours of models: their places in the report. */
const colourOf = ({ models }: ReadComparison, name: string) => models.findIndex(({ model }) => model === name);

const mainOf = ({ metrics }: ReadModel, metric: string) => metrics[metric] ?? { mean: null, standardError: null };

/** `a` minus `b` if it is known; a comparison of one model has no pairs. */
function pairOf({ paired }: ReadComparison, a: string, b: string, metric: string): PairedDifference | undefined {
  const isPair = (pair: PairedDifference) =>
    pair.metric === metric && ((pair.a === a && pair.b === b) || (pair.a === b && pair.b === a));
  return paired.some(isPair) ? differenceOf(paired, a as never, b as never, metric) : undefined;
}

function leadOf(report: ReadComparison): Markup {
  const { verdict, models, metric, winner } = report;
  const its = models.find(({ model }) => model === winner);
  const rivals = models.filter(({ model }) => model !== winner);
  const rival = rivals.toSorted((a, b) => (mainOf(b, metric).mean ?? 0) - (mainOf(a, metric).mean ?? 0))[0];
  const pair = rival && pairOf(report, winner, rival.model, metric);
  const figures: Tile[] = [];
  if (its) {
    const { mean, standardError } = mainOf(its, metric);
    figures.push({
      name: `${metric} of ${winner}`,
      value: metricText(mean),
      below: isNumber(standardError) ? `± ${metricText(standardError)} (standard error)` : undefined,
    });
  }
  if (pair) {
    const [low, high] = pair.interval;
    figures.push({
      name: `against ${rival.model}, the best other one`,
      value: signedText(pair.difference),
      below: `${signedText(low)} to ${signedText(high)}, ${pText(pair.pValue)}`,
    });
  }
  if (its) {
    figures.push({ name: 'search and training', value: secondsText(its.seconds) });
    if (isNumber(its.modelMemory)) figures.push({ name: 'size of the model', value: bytesText(its.modelMemory) });
    if (its.requestSeconds) {
      const { median, p90 } = its.requestSeconds;
      figures.push({ name: 'one request', value: secondsText(median), below: `90 % within ${secondsText(p90)}` });
    }
  }
  return html`${verdictOf(verdict)}${tiles(figures)}${warnings(report.warnings ?? [])}`;
}

function modelsTable(report: ReadComparison): Markup {
  const { models, winner, metric, testUsers } = report;
  const names = [...new Set(models.flatMap(({ metrics }) => Object.keys(metrics)))];
  const has = (key: 'modelMemory' | 'requestSeconds') => models.some((model) => model[key] !== undefined);
  const others = names.filter((name) => name !== metric);
  const meanColumn = (name: string) => ({
    name,
    numeric: true,
    hint: 'mean over the test users, with its standard error',
  });
  const columns: Column[] = [
    { name: 'model' },
    meanColumn(metric),
    { name: 'validation', numeric: true, hint: `${metric} on the validation users` },
    { name: 'time', numeric: true, hint: 'search and training together' },
    ...(has('modelMemory') ? [{ name: 'size', numeric: true, hint: 'bytes of the model in memory' }] : []),
    ...(has('requestSeconds') ? [{ name: 'request', numeric: true, hint: 'median time of one request' }] : []),
    { name: 'peak', numeric: true, hint: 'largest resident set of the process meanwhile, with all models before it' },
    ...others.map(meanColumn),
  ];
  const rows = models.map((model) => [
    { show: model.model },
    meanCell(model.metrics[metric]),
    numberCell(metricText(model.validation), model.validation),
    numberCell(secondsText(model.seconds), model.seconds),
    ...(has('modelMemory') ? [numberCell(bytesText(model.modelMemory), model.modelMemory)] : []),
    ...(has('requestSeconds')
      ? [numberCell(secondsText(model.requestSeconds?.median), model.requestSeconds?.median)]
      : []),
    numberCell(bytesText(model.peakMemory), model.peakMemory),
    ...others.map((name) => meanCell(model.metrics[name])),
  ]);
  const chosen = models.findIndex(({ model }) => model === winner);
  return html`<p>Means over the same ${countText(testUsers)} test users, with standard errors. ${metric} decides.</p>
${tableOf({ caption: 'The models', columns, rows, chosen, sortable: true })}`;
}

function differences(report: ReadComparison): Markup {
  const { models, winner, metric, paired } = report;
  const against = (metric: string): ShownDifference[] =>
    models.flatMap(({ model }) => {
      if (model === winner) return [];
      const pair = pairOf(report, model, winner, metric);
      if (!pair) return [];
      const { difference, interval, pValue, detectable } = pair;
      return [
        { label: model, difference, interval, pValue, detectable, clear: isNumber(pValue) && pValue < SIGNIFICANCE },
      ];
    });
  const others = [...new Set(paired.map(({ metric }) => metric))].filter((name) => name !== metric);
  const caption = (what: string) =>
    `Each model minus ${winner} in ${what} on the same test users, with the 95 % bootstrap interval and the p-value after Holm's correction. Left of 0 ${winner} is better. Colour: corrected p below ${SIGNIFICANCE}.`;
  const main = [{ metric, rows: against(metric) }];
  const rest = others.map((name) => ({ metric: name, rows: against(name) }));
  return html`${differencesFigure(`${metric}, which decides`, caption(metric), main)}
${differencesFigure('The other metrics', caption('the other metrics'), rest)}`;
}

function costs(report: ReadComparison): Markup {
  const { models, metric, winner } = report;
  const isKnown = models.some(({ modelMemory }) => modelMemory !== undefined);
  const rows = models.map((one) => ({
    model: one.model,
    colour: colourOf(report, one.model),
    chosen: one.model === winner,
    ...mainOf(one, metric),
    seconds: one.seconds,
    memory: isKnown ? one.modelMemory : one.peakMemory,
    request: one.requestSeconds?.median,
  }));
  return costsFigure(
    rows,
    metric,
    'Search and training',
    isKnown ? 'Size of the model in memory' : 'Largest memory of the process',
  );
}

function groups({ groups, winner, metric, models }: ReadComparison): Markup {
  if (!groups) return html``;
  const names = models.map(({ model }) => model);
  const { activity, popularity } = groups;
  return html`${outcomesFigure('By how much is known of a user', activity, winner, metric)}
${meansTable(`${metric} by how much is known of a user`, activity as never, names, winner)}
${outcomesFigure('By how popular the items are', popularity, winner, metric)}
${meansTable(`${metric} by how popular the items are`, popularity as never, names, winner)}`;
}

function curves(report: ReadComparison): Markup {
  const trainings = report.models.map(({ model, curve, bestEpoch }) => {
    return { label: model, colour: colourOf(report, model), curve, bestEpoch };
  });
  return curvesFigure('Validation by epoch', report.metric, trainings);
}

/** What was searched and what was not, the charts of each search, and all options. */
function searchSection({ models, metric, effort, skipped }: ReadComparison): Section {
  const notes = models.flatMap(({ model, untuned, changed }) => [
    ...(untuned ?? []).map((name) => `${model}: ${name} was not searched.`),
    ...(changed ?? []).map(
      ({ name, from, to }) =>
        `${model}: ${name} is ${valueText(to)} in place of ${valueText(from)}, which does not fit into memory.`,
    ),
  ]);
  const left = (skipped ?? []).map(({ model, what, why }) => {
    return `Left out: ${what === 'model' ? model : `trials of ${model}`}: ${why}.`;
  });
  const figures = models.map(({ model, search, edges, plateaus }) => {
    return searchFigures({ model, metric, trials: shownTrials(search), edges: edges ?? {}, plateaus: plateaus ?? {} });
  });
  return {
    title: 'What the searches tried',
    body: html`${effort === undefined ? null : html`<p>Options: ${effort}.</p>`}${bullets([...notes, ...left])}${figures}${optionsTables(models)}`,
  };
}

/** All options of each model. */
function optionsTables(models: readonly ReadModel[]): Markup {
  return html`<details><summary>All options of each model</summary>${models.map(({ model, options }) => {
    const entries = Object.entries((options ?? {}) as Record<string, unknown>);
    const text = entries.map(([name, value]) => `${name} ${valueText(value)}`).join(', ');
    return html`<p><b>${model}:</b> ${text === '' ? 'none' : text}</p>`;
  })}</details>`;
}

function data({ dataset, profile, leftOut, trainingUsers, testUsers }: ReadComparison): Section {
  return dataSection(profile, leftOut, [
    ['users', countText(dataset?.users)],
    ['items', countText(dataset?.items)],
    ['interactions', countText(dataset?.interactions)],
    ['density', shareText(dataset?.density)],
    ['training users', countText(trainingUsers)],
    ['test users that count', countText(testUsers)],
  ]);
}
