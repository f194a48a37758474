// Writes ts/runtime/options.generated.ts, or prints it with --print: the types of all options with the defaults, ranges and texts that the core has.
import { writeFileSync } from 'node:fs';
import { describe } from '../crates/recvae-node/index.js';

const description = JSON.parse(describe());

const pascal = (name) => name.replace(/(^|-)(.)/g, (_, __, letter) => letter.toUpperCase());
const comment = (indent, lines) => [
  `${indent}/**`,
  ...lines.map((line) => `${indent} * ${line}`.trimEnd()),
  `${indent} */`,
];

function property(option) {
  const { name, doc, allowed, default: value, typescript } = option;
  const tags = value === null ? [] : [`@default ${JSON.stringify(value)}`];
  return [...comment('  ', [doc, '', `Allowed: ${allowed}.`, ...tags]), `  ${name}?: ${typescript};`];
}

function type(name, doc, options) {
  const head = comment('', [doc]);
  if (options.length === 0) return [...head, `export type ${name} = Record<string, never>;`, ''];
  return [...head, `export interface ${name} {`, ...options.flatMap(property), '}', ''];
}

const {
  models,
  datasets,
  read,
  thresholds,
  split,
  sample,
  recommend,
  similar,
  explain,
  synth,
  load,
  compact,
  checkpoint,
  compute,
  metricNames,
} = description;
const lines = [
  '// Generated from the core by .ci/generate.mjs: do not edit.',
  '',
  ...type('ReadOptions', 'What to read out of a file.', read),
  ...type('Thresholds', 'How many interactions a user and an item must have to stay.', thresholds),
  ...type('SplitOptions', 'How users are split.', split),
  ...type('SampleOptions', 'How large the sample for trial runs is.', sample),
  ...type('RecommendOptions', 'What to recommend.', recommend),
  ...type('SimilarOptions', 'How many similar items or users.', similar),
  ...type('ExplainOptions', 'How much to explain.', explain),
  ...type('SynthOptions', 'What to make up, for measuring speed and memory; accuracy on it means nothing.', synth),
  ...type('LoadOptions', 'How a model file is opened.', load),
  ...type('CompactOptions', 'How a model is made smaller.', compact),
  ...type('CheckpointOptions', 'How a checkpoint is kept.', checkpoint),
  ...type('ComputeOptions', 'What computes a training of `recvae`, `mult-vae` or `mult-dae`.', compute),
  ...models.flatMap(({ name, doc, options }) =>
    type(`${pascal(name)}Options`, `Options of \`${name}\`. ${doc}`, options),
  ),
  ...comment('', ['The options of each model, by its name.']),
  'export interface ModelOptions {',
  ...models.flatMap(({ name, doc }) => [
    `  /** ${doc} */`,
    `  ${/^\w+$/.test(name) ? name : `'${name}'`}: ${pascal(name)}Options;`,
  ]),
  '}',
  '',
  '/** Name of a model. */',
  'export type ModelName = keyof ModelOptions;',
  '',
  '/** Name of a built-in data set. */',
  `export type DatasetName = ${datasets.map((name) => `'${name}'`).join(' | ')};`,
  '',
  '/** Name of a metric with the length of the list that it looks at. */',
  `export type MetricName = ${metricNames.map((name) => `\`${name}@\${number}\``).join(' | ')};`,
  '',
];
if (process.argv.includes('--print')) process.stdout.write(lines.join('\n'));
else writeFileSync(new URL('../ts/runtime/options.generated.ts', import.meta.url), lines.join('\n'));
