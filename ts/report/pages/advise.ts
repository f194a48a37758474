/** The page of an advice. */
import type { GroupResult, TrialModel } from '../../decide/advise/report.js';
import { SIGNIFICANCE } from '../../decide/paired.js';
import { lines } from '../charts/lines.js';
import { figureOf } from '../figure.js';
import { bytesText, countText, isNumber, meanText, secondsText, signedText, valueText } from '../format.js';
import { html, type Markup } from '../html.js';
import type { ReadAdvice } from '../read.js';
import { costsFigure } from '../sections/costs.js';
import { curvesFigure } from '../sections/curves.js';
import { dataSection } from '../sections/data.js';
import { differencesFigure } from '../sections/differences.js';
import { meansTable } from '../sections/groups.js';
import { runSection } from '../sections/run.js';
import { searchFigures, shownTrials } from '../sections/search.js';
import type { Page } from '../shell.js';
import { numberCell, tableOf } from '../table.js';
import { bullets, type Tile, tiles, verdictOf } from '../words.js';

/** All of the page. */
export function advicePage(report: ReadAdvice): Page {
  const { model, leader, reasons, open, distrust, next, profile, leftOut, split, run, seed } = report;
  return {
    kind: 'advise',
    title: model === null ? `The samples cannot tell; ${leader} leads` : `Use ${model}`,
    lead: html`${verdictOf(report.verdict)}${tiles(figuresOf(report))}`,
    sections: [
      {
        title: 'Why',
        body: bullets([...(open ?? []), ...(reasons ?? [])].filter((reason) => reason !== report.verdict)),
      },
      { title: 'What to distrust', body: bullets(distrust ?? []) },
      { title: 'What to run next', body: (next ?? []).map((command) => html`<pre>${command}</pre>`) },
      { title: 'By the number of users', body: html`${bySize(report)}${trends(report)}` },
      { title: 'What the models cost', body: cost(report) },
      { title: 'Who is served how well', body: groups(report) },
      { title: 'Training', body: training(report) },
      { title: 'What was tried', body: searched(report) },
      dataSection(profile, leftOut, [
        ['training users', countText(split?.trainingUsers)],
        ['items', countText(split?.items)],
        ['validation users that count', countText(split?.validationUsers)],
      ]),
      runSection(run, [['seed', valueText(seed)]]),
    ],
  };
}

/** All models that were tried, in the order of the largest sample. */
function namesOf({ samples }: ReadAdvice): string[] {
  return [...new Set([...samples].reverse().flatMap(({ models }) => models.map(({ model }) => model as string)))];
}

/** A model on the largest sample that it was tried on. */
function lastOf({ samples }: ReadAdvice, name: string): { users: number; trial: TrialModel } | undefined {
  for (const { users, models } of [...samples].reverse()) {
    const trial = models.find(({ model }) => model === name);
    if (trial) return { users, trial };
  }
  return undefined;
}

function figuresOf(report: ReadAdvice): Tile[] {
  const { model, leader, metric, cost } = report;
  const name = model ?? leader;
  const last = lastOf(report, name);
  const its = cost.find((one) => one.model === name);
  const found = last?.trial.metrics[metric];
  return [
    ...(found
      ? [{ name: `${metric} of ${name}`, value: meanText(found), below: `on ${countText(last.users)} training users` }]
      : []),
    ...(its
      ? [
          { name: 'one fit on all training users', value: secondsText(its.seconds), below: 'good to a factor of 2' },
          { name: 'memory of a fit', value: bytesText(its.fitMemory) },
          { name: 'size of the model', value: bytesText(its.modelMemory) },
        ]
      : []),
  ];
}

function bySize(report: ReadAdvice): Markup {
  const { samples, metric } = report;
  const names = namesOf(report);
  const all = names.flatMap((label, colour) => {
    const points = samples.flatMap(({ users, models }) => {
      const found = models.find(({ model }) => model === label)?.metrics[metric];
      return found && isNumber(found.mean) ? [{ x: users, y: found.mean, error: found.standardError ?? 0 }] : [];
    });
    return points.length === 0 ? [] : [{ label, colour, points, mark: -1 }];
  });
  if (all.length === 0) return html``;
  return figureOf({
    title: `${metric} by the number of training users`,
    caption: 'On the validation users, with one standard error. Equal ratios of users are equally far apart.',
    panels: [
      {
        words: all
          .map(({ label, points }) => {
            return `${label}: ${points.map(({ x, y }) => `${y.toFixed(4)} of ${countText(x)} users`).join(', ')}`;
          })
          .join('; '),
        chart: lines(all, { x: 'training users', y: metric, log: true }),
      },
    ],
    table: {
      caption: `${metric} by sample`,
      columns: [{ name: 'training users' }, ...names.map((name) => ({ name, numeric: true }))],
      rows: samples.map(({ users, models }) => [
        { show: countText(users) },
        ...names.map((name) => {
          const found = models.find(({ model }) => model === name)?.metrics[metric];
          return numberCell(found ? meanText(found) : '–', found?.mean);
        }),
      ]),
    },
  });
}

function trends({ trends, leader, metric, split }: ReadAdvice): Markup {
  const known = (trends ?? []).flatMap(({ model, expected, interval, measured, detectable }) => {
    if (expected === null || interval === null) return [];
    const label = `${model}${measured ? '' : ', by its trend'}`;
    const clear = interval[0] > 0 || interval[1] < 0;
    return [{ label, difference: expected, interval, pValue: null, detectable, clear }];
  });
  return differencesFigure(
    `On all ${countText(split?.trainingUsers)} training users`,
    `Each model minus ${leader}, which leads, with a 95 % interval that is not corrected: measured there, or carried on by the trend over the samples. Colour: the interval is without 0.`,
    [{ metric, rows: known }],
  );
}

function cost(report: ReadAdvice): Markup {
  const names = namesOf(report);
  const { cost, metric, model: advised, leader } = report;
  const points = cost.flatMap(({ model, modelMemory, seconds }) => {
    const found = lastOf(report, model)?.trial.metrics[metric];
    if (!found) return [];
    const chosen = model === (advised ?? leader);
    return [{ model, colour: names.indexOf(model), chosen, ...found, seconds, memory: modelMemory }];
  });
  const table = tableOf({
    caption: 'Cost on all training users',
    columns: [
      { name: 'model' },
      { name: 'time of one fit', numeric: true, hint: 'good to a factor of 2' },
      { name: 'memory of a fit', numeric: true },
      { name: 'model size', numeric: true },
      { name: 'fits here' },
      { name: 'time grows with' },
    ],
    rows: cost.map(({ model, seconds, fitMemory, modelMemory, refusal, law }) => [
      { show: model },
      numberCell(secondsText(seconds), seconds),
      numberCell(bytesText(fitMemory), fitMemory),
      numberCell(bytesText(modelMemory), modelMemory),
      { show: refusal === null ? 'yes' : 'no' },
      { show: law },
    ]),
    sortable: true,
  });
  const refused = bullets((report.refused ?? []).map(({ model, why }) => `${model} was not tried: ${why}`));
  const smaller = bullets(
    (report.smaller ?? []).map(({ model, changed }) => {
      const words = changed.map(({ name, from, to }) => `${name} ${valueText(to)} in place of ${valueText(from)}`);
      return `${model} was tried in a smaller form: ${words.join(', ')}`;
    }),
  );
  return html`${costsFigure(points, metric, 'One fit on all training users', 'Size of the model in memory')}${table}${refused}${smaller}`;
}

function groups({ samples, sharedUsers, popularity, metric, leader }: ReadAdvice): Markup {
  const shared = samples.find(({ users }) => users === sharedUsers);
  const names = (shared?.models ?? []).map(({ model }) => model as string);
  const note = (groups: readonly GroupResult[]) => {
    const clear = groups.flatMap(({ name, paired }) =>
      paired
        .filter(({ pValue }) => isNumber(pValue) && pValue < SIGNIFICANCE)
        .map(({ a, b, difference }) => `${name}: ${a} minus ${b} is ${signedText(difference)}, established`),
    );
    return bullets(clear);
  };
  const activity = shared?.activity ?? [];
  const title = `sample of ${countText(sharedUsers)} training users`;
  return html`${meansTable(`${metric} by how much is known of a user, ${title}`, activity as never, names, leader)}${note(activity)}
${meansTable(`${metric} by how popular the items are, ${title}`, (popularity ?? []) as never, names, leader)}${note(popularity ?? [])}`;
}

function training(report: ReadAdvice): Markup {
  const trainings = namesOf(report).map((label, colour) => {
    const { curve, bestEpoch } = lastOf(report, label)!.trial;
    return { label, colour, curve, bestEpoch };
  });
  return curvesFigure('Validation by epoch, on the largest sample of each model', report.metric, trainings);
}

function searched(report: ReadAdvice): Markup {
  const { metric } = report;
  return html`${namesOf(report).map((model) => {
    const { search, edges, plateaus } = lastOf(report, model)!.trial;
    return searchFigures({ model, metric, trials: shownTrials(search), edges: edges ?? {}, plateaus: plateaus ?? {} });
  })}`;
}
