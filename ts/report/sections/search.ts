/** What a search tried. */
import { description } from '../../runtime/native.js';
import type { SearchedTrial } from '../../search/train.js';
import { bars } from '../charts/bars.js';
import { optionCurve, parallel, type TriedPoint } from '../charts/trials.js';
import { figureOf, type Panel } from '../figure.js';
import { isNumber, metricText, shareText, valueText } from '../format.js';
import { html, type Markup } from '../html.js';
import { numberCell } from '../table.js';
import { importances, LEAST_TRIALS } from './importance.js';

/** A trial as it is shown. */
interface ShownTrial {
  options: Record<string, unknown>;
  validation: number;
  /** On what less than everything it was made; empty on everything. */
  less: string;
  seconds?: number;
}

/** The trials of a search, as comparisons and advice have them. */
export function shownTrials(search: readonly SearchedTrial[] | undefined): ShownTrial[] {
  return (search ?? []).map(({ options, validation, epochs, items }) => {
    const less = [
      ...(epochs === undefined ? [] : [`${epochs} epochs`]),
      ...(items === undefined ? [] : [`${items} items`]),
    ].join(', ');
    return { options: options as Record<string, unknown>, validation, less };
  });
}

/** A search of the options of one model. */
interface Tried {
  model: string;
  metric: string;
  trials: ShownTrial[];
  edges: Record<string, string>;
  plateaus: Record<string, { from: number; to: number }>;
}

/** Ratio of the largest to the smallest value from which on ratios count where the core does not say. */
const WIDE_RANGE = 8;

/**
 * Whether ratios of an option's values count and not their differences: as its search has it, else by how far they lie
 * apart.
 */
function isByRatio(model: string, option: string, trials: readonly TriedPoint[]): boolean {
  const rows = description.models.find(({ name }) => name === model)?.options;
  const search = rows?.find(({ name }) => name === option)?.search;
  if (search && !Array.isArray(search)) return search.scale === 'log';
  const values = trials.map(({ options }) => options[option]).filter(isNumber);
  const least = Math.min(...values);
  return least > 0 && Math.max(...values) / least >= WIDE_RANGE;
}

/** Charts of a search; nothing without trials. */
export function searchFigures({ model, metric, trials: all, edges, plateaus }: Tried): Markup {
  const trials = all.filter(({ validation }) => isNumber(validation));
  const options = [...new Set(trials.flatMap(({ options }) => Object.keys(options)))].filter((name) =>
    trials.every(({ options }) => name in options),
  );
  if (trials.length === 0 || options.length === 0) return html``;
  const whole = trials.filter(({ less }) => less === '');
  const best = (whole.length > 0 ? whole : trials).reduce((best, trial) =>
    trial.validation > best.validation ? trial : best,
  );
  const points: TriedPoint[] = trials.map(({ options, validation, less }) => ({
    options,
    validation,
    whole: less === '',
    best: false,
  }));
  points[trials.indexOf(best)]!.best = true;
  const bestWords = options.map((name) => `${name} ${valueText(best.options[name])}`).join(', ');
  const table = {
    caption: `Trials of ${model}`,
    columns: [
      { name: 'trial' },
      ...options.map((name) => ({ name, numeric: true })),
      { name: `validation ${metric}`, numeric: true },
      { name: 'on less' },
    ],
    rows: trials.map(({ options: its, validation, less }, at) => [
      { show: String(at + 1) },
      ...options.map((name) => numberCell(valueText(its[name]), isNumber(its[name]) ? its[name] : null)),
      numberCell(metricText(validation), validation),
      { show: less },
    ]),
  };
  const notes = options.flatMap((name) => {
    const plateau = plateaus[name];
    return [
      ...(edges[name] ? [`The best ${name} is the ${edges[name]} of those searched; better ones may lie beyond.`] : []),
      ...(plateau
        ? [
            `From ${valueText(plateau.from)} to ${valueText(plateau.to)} (shaded), ${name} makes no difference beyond chance.`,
          ]
        : []),
    ];
  });
  const less =
    whole.length < trials.length
      ? ' Hollow points had fewer epochs or items and are not to be compared with the others.'
      : '';
  const panels: Panel[] = options.map((option) => ({
    title: option,
    words: `Validation ${metric} of ${trials.length} trials of ${model} by ${option}; the best one is ${metricText(best.validation)} at ${option} ${valueText(best.options[option])}`,
    chart: optionCurve(points, option, metric, { log: isByRatio(model, option, points), plateau: plateaus[option] }),
  }));
  const curves = figureOf({
    title: `${model}: what was tried`,
    caption: `${trials.length} trials on the validation users. The large point is the best one: ${bestWords}, ${metricText(best.validation)}.${less} ${notes.join(' ')}`,
    panels,
    table,
  });
  return html`${curves}${options.length > 1 ? together(points, options, model, metric, bestWords, table) : null}${importanceFigure(points, options, model, metric)}`;
}

type TrialTable = Parameters<typeof figureOf>[0]['table'];

function together(
  points: TriedPoint[],
  options: string[],
  model: string,
  metric: string,
  bestWords: string,
  table: TrialTable,
): Markup {
  const all = points.filter(({ whole }) => whole);
  const shown = all.length > 1 ? all : points;
  return figureOf({
    title: `${model}: the options together`,
    caption: 'Each line is a trial. Coloured lines are the best quarter; the thick one is the best trial.',
    panels: [
      {
        words: `Parallel coordinates of ${shown.length} trials of ${model} over ${options.join(', ')} and ${metric}; the best one has ${bestWords}`,
        chart: parallel(
          shown,
          options.map((name) => ({ name, log: isByRatio(model, name, points) })),
          metric,
        ),
      },
    ],
    table,
  });
}

function importanceFigure(points: TriedPoint[], options: string[], model: string, metric: string): Markup {
  const whole = points.filter(({ whole }) => whole);
  const found = importances(whole, options);
  if (found.length === 0) return html``;
  return figureOf({
    title: `${model}: which option matters`,
    caption: `Share of the variance of validation between trials whose value is low, middle or high, corrected for chance (epsilon squared), from ${whole.length} trials. An adaptive search tries more where it is good, so this tells of the region that was searched.`,
    panels: [
      {
        words: found.map(({ label, share }) => `${label}: ${shareText(share)} of the variance of ${metric}`).join('; '),
        chart: bars(found),
      },
    ],
    table: {
      caption: `Importance of the options of ${model}, of at least ${LEAST_TRIALS} trials`,
      columns: [{ name: 'option' }, { name: 'share', numeric: true }],
      rows: found.map(({ label, share }) => [{ show: label }, numberCell(shareText(share), share)]),
    },
  });
}
