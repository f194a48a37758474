// Writes what follows from the compiled core, or prints one of the files with --print <its path>:
// - ts/runtime/options.generated.ts: the types of all options with the defaults, ranges and texts that the core has;
// - ts/runtime/description.generated.ts: the same as data, for a help that has to do without a binary;
// - crates/recvae-node/index.cjs: the names that the binding exports, which importers see before they run it.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { binding, problem } = createRequire(import.meta.url)('../crates/recvae-node/loader.cjs');
if (problem) throw problem;

// How many threads there are is this machine's matter.
const { threads: _, ...description } = JSON.parse(binding.describe());

const pascal = (name) => name.replace(/(^|-)(.)/g, (_, __, letter) => letter.toUpperCase());
const comment = (indent, lines) => [
  `${indent}/**`,
  ...lines.map((line) => `${indent} * ${line}`.trimEnd()),
  `${indent} */`,
];

function property(option) {
  const { name, doc, allowed, default: value, typescript } = option;
  const tags = value === null ? [] : [`@default ${JSON.stringify(value)}`];
  return [...comment('  ', [doc, '', `Allowed: ${allowed}.`, ...tags]), `  ${name}?: ${typescript} | undefined;`];
}

function type(name, doc, options) {
  const head = comment('', [doc]);
  if (options.length === 0) return [...head, `export type ${name} = Record<string, never>;`, ''];
  return [...head, `export interface ${name} {`, ...options.flatMap(property), '}', ''];
}

const {
  models: trained,
  blend,
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
  export: exported,
  checkpoint,
  compute,
  metricNames,
  rankingMetricNames,
  metrics,
} = description;
const union = (names) => names.map((name) => `'${name}'`).join(' | ');
const models = [...trained, blend];
const types = [
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
  ...type('ExportOptions', 'How a model is written for other programs.', exported),
  ...type('CheckpointOptions', 'How a checkpoint is kept.', checkpoint),
  ...type(
    'ComputeOptions',
    'How a training is computed: of the networks by which engine and precision, and of them, iALS, EASE^R, EDLAE, RDLAE and DEQL on which device.',
    compute,
  ),
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
  ...comment('', ['Name of a model.']),
  '// Taken out of an object, it has no name of its own: messages of a compiler then list the models.',
  `export type ModelName = { name: ${union(models.map(({ name }) => name))} }['name'];`,
  '',
  '/** Name of a built-in data set. */',
  `export type DatasetName = ${union(datasets)};`,
  '',
  '/** Name of a metric with the length of the list that it looks at, or of one that looks at whole rankings. */',
  `export type MetricName = ${[...metricNames.map((name) => `\`${name}@\${number}\``), ...rankingMetricNames.map((name) => `'${name}'`)].join(' | ')};`,
  '',
  '/** The metrics that are measured where none are asked for. */',
  `export type DefaultMetricName = ${union(metrics)};`,
  '',
];

const data = [
  '// Generated from the core by .ci/generate.mjs: do not edit.',
  '',
  "import type { Description } from './description.js';",
  '',
  `export const DESCRIPTION: Omit<Description, 'threads'> = ${JSON.stringify(description, null, 2)};`,
  '',
];

// The form by which importers know the names without running it: an object that is made elsewhere would have none.
const names = [
  '// Generated from the binding by .ci/generate.mjs: do not edit.',
  "'use strict';",
  "const { binding } = require('./loader.cjs');",
  ...Object.keys(binding)
    .filter((name) => /^\w+$/.test(name))
    .sort()
    .map((name) => `module.exports.${name} = binding.${name};`),
  '',
];

const files = {
  'ts/runtime/options.generated.ts': types,
  'ts/runtime/description.generated.ts': data,
  'crates/recvae-node/index.cjs': names,
};
const printed = process.argv.indexOf('--print');
if (printed >= 0) process.stdout.write(files[process.argv[printed + 1]].join('\n'));
else {
  for (const [path, lines] of Object.entries(files)) {
    writeFileSync(new URL(`../${path}`, import.meta.url), lines.join('\n'));
  }
}
