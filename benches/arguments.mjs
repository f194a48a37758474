// The command line of `npm run bench`.
import { parseArgs } from 'node:util';

/** Somebody asked for what is not there; the message says what is. */
export class UsageError extends Error {}

const FLAGS = {
  only: { value: 'ID[,ID]', text: 'measure these rows and no others' },
  rounds: { value: 'N', text: 'how often each side runs, in turns (default: what each row says, 3 to 5)' },
  threads: { value: 'N', text: 'threads of either side (default 2)' },
  json: { value: 'FILE', text: 'write machine and rows as JSON' },
  svg: { value: 'FILE', text: 'draw the rows' },
  from: { value: 'FILE', text: 'measure nothing, take an earlier --json' },
  scaling: { text: 'measure how time grows with items, users and threads instead of the rows' },
  'max-items': { value: 'N', text: 'with --scaling: nothing with more items than this' },
  quick: { text: 'small data, one round: shows that everything runs, and measures nothing' },
  help: { text: 'show this' },
};

/** All flags with their meaning, one a line. */
export function usage(ids) {
  const name = ([flag, { value }]) => `--${flag}${value ? ` ${value}` : ''}`;
  const flags = Object.entries(FLAGS).map((flag) => `  ${name(flag).padEnd(16)} ${flag[1].text}`);
  return ['npm run bench -- [flags]', '', ...flags, '', `ids: ${ids.join(', ')}`].join('\n');
}

function whole(name, text, least) {
  const number = Number(text);
  if (Number.isInteger(number) && number >= least) return number;
  throw new UsageError(`--${name} is '${text}'; allowed: a whole number, ${least} or more`);
}

/**
 * What is asked for.
 *
 * @param {string[]} argv - The arguments behind the name of the program.
 * @param {string[]} ids - The rows that there are.
 */
export function parse(argv, ids) {
  const options = Object.fromEntries(
    Object.entries(FLAGS).map(([flag, { value }]) => [flag, { type: value ? 'string' : 'boolean' }]),
  );
  let values;
  try {
    values = parseArgs({ args: argv, options, allowPositionals: false }).values;
  } catch (error) {
    const allowed = Object.keys(FLAGS).map((flag) => `--${flag}`);
    throw new UsageError(`${error.message.split('. ')[0]}; allowed: ${allowed.join(', ')}`);
  }
  const only = values.only?.split(',').map((id) => id.trim());
  const unknown = only?.find((id) => !ids.includes(id));
  if (unknown !== undefined) throw new UsageError(`there is no row '${unknown}'; allowed: ${ids.join(', ')}`);
  const exclude = (flag, others) => {
    const other = others.find((name) => values[flag] !== undefined && values[name] !== undefined);
    if (other) throw new UsageError(`--${other} goes without --${flag}; allowed: one of them`);
  };
  exclude('from', ['only', 'rounds', 'threads', 'scaling', 'quick', 'json']);
  exclude('scaling', ['only', 'svg', 'rounds', 'threads']);
  if (values['max-items'] && !values.scaling) throw new UsageError('--max-items goes with --scaling only');
  return {
    help: values.help ?? false,
    only: ids.filter((id) => !only || only.includes(id)),
    rounds: values.rounds === undefined ? undefined : whole('rounds', values.rounds, 1),
    threads: values.threads === undefined ? 2 : whole('threads', values.threads, 1),
    json: values.json,
    svg: values.svg,
    from: values.from,
    scaling: values.scaling ?? false,
    maxItems: values['max-items'] === undefined ? Infinity : whole('max-items', values['max-items'], 5_000),
    quick: values.quick ?? false,
  };
}
