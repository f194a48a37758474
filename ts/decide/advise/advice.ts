/** The words of {@link advise}: which model, why, what to run next and what to distrust. */
import { isNetwork } from '../../models/compute.js';
import type { Json } from '../../runtime/json.js';
import { description } from '../../runtime/native.js';
import type { ModelName } from '../../runtime/options.generated.js';
import type { RunOptions } from '../../runtime/running.js';
import { shellWord } from '../../runtime/text.js';
import { ALWAYS, BLEND } from '../compare/options.js';
import { FLOOR } from '../floor.js';
import { SIGNIFICANCE } from '../paired.js';
import { differenceOf, type PairedDifference } from '../pairs.js';
import { detectableWords, rough, signed } from '../wording.js';
import type { Advice, AdviceReport, CostlierModel, GroupResult, SampleResult, TrialModel } from './report.js';
import { type SampleValues, type Trend, trendsAgainst } from './trend.js';

type Facts = Omit<AdviceReport, keyof Advice | 'run'>;

/** Share of users or items from which on something is worth a warning. */
const NOTABLE = 0.1;
/** Share of the catalogue from which on a single user is no usual one. */
const FULL = 0.5;
/** What a split by users does not tell. */
const ORDER =
  "Order in time is ignored: held-out items are drawn at random from all of a user's, older ones too. If you have timestamps and " +
  'tastes or the catalogue change, split by time as well (--split time) before you trust a small difference.';

/** What advice is made up with beside facts. */
export interface Told {
  given: Given;
  /** Whether the data were split before. */
  wasSplit: boolean;
  /** Whether what is held out of a user came last, as far as is known. */
  inOrder: boolean;
}

/** Makes up the advice; `values` are those of the validation users, by sample. */
export async function adviceOf(
  facts: Facts,
  values: SampleValues[],
  { given, ...told }: Told,
  run: RunOptions,
): Promise<Advice> {
  const leader = leaderOf(facts);
  const all = facts.split.trainingUsers;
  const compared = values.map(({ users, values }) => ({
    users,
    values: new Map([...values].filter(([model]) => model !== FLOOR)),
  }));
  const trends = await trendsAgainst(leader, compared, all, facts.seed, run);
  const nothing = !beatsFloor(leader, facts);
  const open = nothing ? nothingOpen(leader, facts) : openWords(leader, trends, facts);
  const model = open.length > 0 ? null : nothing ? FLOOR : leader;
  const costlier = modelsOf(facts)
    .filter((model) => !(ALWAYS as string[]).includes(model))
    .map((model) => againstCheaper(model, facts));
  const verdict = verdictOf(model, leader, open, trends, facts);
  return {
    model,
    leader,
    options: model === null ? {} : { ...given[model], ...searchedOptions(lastOf(model, facts).trial) },
    verdict,
    open,
    trends,
    costlier,
    reasons: [
      verdict,
      ...memoryWords(facts),
      ...trends.map((trend) => trendWords(trend, facts)),
      ...costlier.flatMap((found) => costlierWords(found, facts)),
      ...costWords(facts),
    ],
    distrust: distrustWords(facts, leader, trends, told),
    next: nextSteps(facts, model, leader, trends, given),
  };
}

/** All models that were tried, the cheapest first. */
function modelsOf({ samples }: Pick<Facts, 'samples'>): ModelName[] {
  const most = samples.reduce((best, sample) => (sample.models.length > best.models.length ? sample : best));
  return most.models.map(({ model }) => model);
}

/** The largest sample that a model was tried on, and what came of it. */
function lastOf(model: ModelName, { samples }: Pick<Facts, 'samples'>): { sample: SampleResult; trial: TrialModel } {
  const sample = samples.findLast(({ models }) => models.some((trial) => trial.model === model))!;
  return { sample, trial: sample.models.find((trial) => trial.model === model)! };
}

/** Whether the largest sample is all there is, so that nothing has to be carried on to it. */
function isWhole({ samples, split, sampledItems }: Facts): boolean {
  return samples.at(-1)!.users === split.trainingUsers && sampledItems === split.items;
}

/**
 * The best model of the largest sample, of those that fit into memory on all data. A network costs hours where the
 * others cost minutes, so it leads only where it is significantly better than the best of these.
 */
function leaderOf({ samples, cost, metric }: Facts): ModelName {
  const { models, paired } = samples.at(-1)!;
  const fits = ({ model }: TrialModel) => cost.find((row) => row.model === model)!.refusal === null;
  const others = models.filter(({ model }) => model !== FLOOR);
  // If none fits, the words about memory say so.
  const candidates = others.some(fits) ? others.filter(fits) : others.length > 0 ? others : models;
  const best = (trials: TrialModel[]) =>
    trials.reduce((best, trial) => (meanOf(trial, metric) > meanOf(best, metric) ? trial : best));
  const linear = candidates.filter(({ model }) => !isNetwork(model));
  if (linear.length === 0) return best(candidates).model;
  const start = best(linear);
  const better = candidates.filter(
    ({ model }) => isNetwork(model) && isSure(differenceOf(paired, model, start.model, metric)),
  );
  return best([start, ...better]).model;
}

const meanOf = ({ metrics }: TrialModel, metric: string) => metrics[metric]!.mean;

/** Whether a model is significantly better than popularity on the largest sample. */
function beatsFloor(model: ModelName, { samples, metric }: Facts): boolean {
  const { models, paired } = samples.at(-1)!;
  if (model === FLOOR) return false;
  return !models.some((trial) => trial.model === FLOOR) || isSure(differenceOf(paired, model, FLOOR, metric));
}

/** Why something may yet be found where the leader does not beat popularity. */
function nothingOpen(leader: ModelName, facts: Facts): string[] {
  const others = modelsOf(facts).filter((model) => {
    const { sample } = lastOf(model, facts);
    const floor = sample.models.some((trial) => trial.model === FLOOR) && model !== FLOOR;
    return floor && isSure(differenceOf(sample.paired, model, FLOOR, facts.metric));
  });
  const beats = others.map(
    (model) =>
      `${model} beats it on ${lastOf(model, facts).sample.users} of ${facts.split.trainingUsers} training users`,
  );
  return isWhole(facts) && others.length === 0 ? [] : [nothingWords(leader, facts), ...beats];
}

/** A sentence about a leader that does not beat popularity. */
function nothingWords(leader: ModelName, { samples, metric, split }: Facts): string {
  const { users, models, paired } = samples.at(-1)!;
  const mean = (model: ModelName) => meanOf(models.find((trial) => trial.model === model)!, metric);
  const where =
    users === split.trainingUsers ? `all ${users} training users` : `${users} of ${split.trainingUsers} training users`;
  if (leader === FLOOR) return `no model but ${FLOOR} was tried on ${where}`;
  const { difference, interval, detectable } = differenceOf(paired, leader, FLOOR, metric);
  const judges = { count: split.validationUsers, part: 'validation' as const };
  const words = difference > 0 ? detectableWords(detectable, mean(leader), judges) : '';
  return (
    `no model beats ${FLOOR}, the floor, significantly on ${where}: the best other one, ${leader}, has ${metric} ` +
    `${mean(leader).toFixed(4)} against ${mean(FLOOR).toFixed(4)} (difference ${signed(difference)}, 95 % interval ` +
    `${signed(interval[0])} to ${signed(interval[1])})${words && `.${words.replace(/\.$/, '')}`}`
  );
}

/** Why the leader need not be the one on all data: each reason in a clause. */
function openWords(leader: ModelName, trends: Trend[], facts: Facts): string[] {
  const { refused, cost, smaller } = facts;
  const fits = (model: ModelName) => cost.find((row) => row.model === model)!.refusal === null;
  const untried = refused.filter(({ model }) => fits(model)).map(({ model, why }) => `${model} was not tried (${why})`);
  const changed = smaller.map(({ model }) => model as ModelName);
  const trended = trends.flatMap(({ model, expected, interval, detectable, measured }) => {
    if (!fits(model)) return [];
    if (expected === null || interval === null)
      return [`one sample says nothing of how ${model} goes on to all training users`];
    const range = `${signed(interval[0])} to ${signed(interval[1])}`;
    if (changed.includes(model) && interval[1] > 0)
      return [`${model} was tried in a smaller form, and may be as good as ${leader} (${range})`];
    if (interval[1] <= (detectable ?? 0)) return [];
    return measured
      ? [`${model}, a costlier model, may be better than ${leader} (${range}), which is not established`]
      : [
          `${model} may be better than ${leader} on all training users: its trend goes to ${signed(expected)} there (${range})`,
        ];
  });
  return [...trended, ...untried];
}

/** The answer in a sentence. */
function verdictOf(model: ModelName | null, leader: ModelName, open: string[], trends: Trend[], facts: Facts): string {
  if (model === null)
    return `I cannot tell; run compare: ${leader} leads as far as was measured, but ${open.join('; ')}.`;
  if (model === FLOOR) return `Use ${FLOOR}: nothing was found in these data, as ${nothingWords(leader, facts)}.`;
  const { sample, trial } = lastOf(model, facts);
  const { metric, split } = facts;
  const where =
    sample.users === split.trainingUsers ? `all ${sample.users}` : `${sample.users} of ${split.trainingUsers}`;
  const start = `Use ${model}: it leads on ${where} training users (${metric} ${meanOf(trial, metric).toFixed(4)}`;
  const next = trends
    .filter(({ gaps }) => gaps.at(-1)!.users === sample.users)
    .reduce<Trend | undefined>((best, trend) => (!best || gapOf(trend) > gapOf(best) ? trend : best), undefined);
  if (!next) return `${start}), and no other one was tried there.`;
  const [low, high] = [0 - next.interval![1], 0 - next.interval![0]];
  const sure = next.interval![1] < 0 ? '' : ', which is not established: either will do';
  const numbers = `, ${signed(-gapOf(next))} to ${next.model}, the next one`;
  const carried = next.measured
    ? `; 95 % interval ${signed(low)} to ${signed(high)}`
    : `; ${signed(-next.expected!)} on all of them by the trend, 95 % interval ${signed(low)} to ${signed(high)}`;
  return `${start}${numbers}${carried})${sure}.`;
}

const gapOf = ({ gaps }: Trend) => gaps.at(-1)!.gap;

/** Where a model stands against the leader. */
function trendWords(trend: Trend, facts: Facts): string {
  const { model, against, gaps, measured, expected, interval } = trend;
  const list = gaps.map(({ users, gap }) => `${signed(gap)} at ${users}`).join(', ');
  const { trial } = lastOf(model, facts);
  const untuned = trial.untuned.length > 0 ? ` It was not tuned (${trial.untuned.join(' and ')} not searched).` : '';
  const range = interval && `95 % interval ${signed(interval[0])} to ${signed(interval[1])}`;
  if (measured) {
    return `${model} against ${against}: ${list} training users, which are all of them (${range}).${untuned}`;
  }
  const carried =
    expected === null
      ? ', which tells no trend'
      : `; on a line over the logarithm of their number that makes ${signed(expected)} on all ${facts.split.trainingUsers} (${range}, to which the chance of who was sampled comes)`;
  return `${model} against ${against}: ${list} sampled users${carried}.${untuned}`;
}

function searchedOptions({ options, search }: TrialModel): Record<string, Json> {
  const names = new Set(search.flatMap(({ options }) => Object.keys(options as object)));
  return Object.fromEntries(Object.entries(options as Record<string, Json>).filter(([name]) => names.has(name)));
}

const isSure = ({ difference, pValue }: PairedDifference) => difference > 0 && pValue < SIGNIFICANCE;

/** Where a model stands against all that are cheaper. */
function againstCheaper(model: ModelName, facts: Facts): CostlierModel {
  const { popularity, metric } = facts;
  const samples = facts.samples.filter(({ models }) => models.some((trial) => trial.model === model));
  const { sample, trial } = lastOf(model, facts);
  const cheaper = sample.models
    .map(({ model }) => model)
    .filter((other, at, all) => other !== FLOOR && at < all.indexOf(model));
  // Those that are usually there may not have fitted into memory.
  if (cheaper.length === 0) return { model, gaps: [], wins: [], ahead: [], finds: [], unfinished: trial.unfinished };
  const gaps = samples.map(({ users, models }) => {
    const mean = (name: ModelName) => meanOf(models.find(({ model }) => model === name)!, metric);
    const against = cheaper.reduce((best, other) => (mean(other) > mean(best) ? other : best));
    return { users, against, gap: mean(model) - mean(against) };
  });
  const beatsAll = (paired: PairedDifference[]) =>
    cheaper.every((other) => isSure(differenceOf(paired, model, other, metric)));
  const wins = samples.flatMap(({ users, paired, activity }) => [
    ...(beatsAll(paired) ? [{ users, group: 'all', from: null, to: null }] : []),
    ...activity
      .filter(({ paired }) => paired.length > 0 && beatsAll(paired))
      .map(({ name, from, to }) => ({ users, group: name, from, to })),
  ]);
  const leads = ({ means }: GroupResult) =>
    cheaper.every((other) => (means[model]?.mean ?? 0) > (means[other]?.mean ?? 0));
  const ahead = sample.activity.filter(leads).map(({ name }) => name);
  const finds = popularity.filter(({ paired }) => paired.length > 0 && beatsAll(paired)).map(({ name }) => name);
  return { model, gaps, wins, ahead, finds, unfinished: trial.unfinished };
}

function costlierWords({ model, gaps, wins, ahead, finds, unfinished }: CostlierModel, facts: Facts): string[] {
  if (gaps.length === 0) return [`${model} had no cheaper model but ${FLOOR} beside it.`];
  const { sample, trial } = lastOf(model, facts);
  const name = ({ users, group, from, to }: CostlierModel['wins'][number]) =>
    group === 'all'
      ? `over all at ${users} sampled users`
      : `at ${users} sampled users among those with ${from} to ${to} items`;
  const groups = sample.activity
    .filter(({ name }) => ahead.includes(name))
    .map(({ name, from, to }) => `${name} (${from} to ${to} items)`);
  const lead = groups.length > 0 ? `, though its mean is ahead of theirs in the group ${groups.join(' and ')}` : '';
  const start =
    wins.length > 0
      ? `${model} starts to win ${wins.map(name).join('; ')}: there it is significantly better than every cheaper model`
      : `${model} does not win within what was measured (up to ${sample.users} training users): over all users and in every group of ` +
        `users some cheaper model is not significantly worse${lead}`;
  const found = facts.popularity
    .filter(({ name }) => finds.includes(name))
    .map(({ name, from, to, items }) => `${name} (${items} items with ${from} to ${to} of the sampled users)`);
  const items =
    found.length > 0
      ? [
          `${model} wins at finding items of the ${found.join(' and of the ')}: significantly better than every cheaper model there.`,
        ]
      : [];
  const training = unfinished
    ? `${model}'s validation was best after ${trial.bestEpoch} of its ${trial.epochs} epochs, and may be better with more, so it is at a disadvantage here`
    : `${model} had epochs enough in its largest sample: it was best after ${trial.bestEpoch} of ${trial.epochs}`;
  return [`${start}.`, ...items, ...(trial.epochs > 0 ? [`${training}.`] : [])];
}

function duration(seconds: number): string {
  if (seconds < 1) return 'less than a second';
  if (seconds < 120) return `about ${rough(seconds)} s`;
  if (seconds < 7200) return `about ${rough(seconds / 60)} minutes`;
  return `about ${rough(seconds / 3600)} hours`;
}

function memoryWords({ cost, refused, smaller }: Facts): string[] {
  const all = cost.flatMap(({ model, refusal }) =>
    refusal === null ? [] : [`${model} does not fit on all training users: ${refusal}.`],
  );
  const changed = smaller.map(({ model, changed }) => {
    const words = changed.map(({ name, to }) => `${name} ${rough(Number(to))}`).join(', ');
    return `${model} was tried with ${words}, as it would have taken too long otherwise; whole it may be a little better.`;
  });
  return [...all, ...changed, ...refused.map(({ model, why }) => `${model} was not tried: ${why}.`)];
}

function costWords(facts: Facts): string[] {
  const tried = modelsOf(facts);
  const words = facts.cost
    .filter(({ model }) => model !== FLOOR && tried.includes(model))
    .map(({ model, seconds }) => `${model} ${duration(seconds)}`);
  return [
    `One fit on all training users takes ${words.join(', ')} (extrapolated from the samples, good to a factor of 2).`,
  ];
}

const roughly = (share: number) => `${rough(share * 100)} %`;

function distrustWords(
  facts: Facts,
  leader: ModelName,
  trends: Trend[],
  { wasSplit, inOrder }: Omit<Told, 'given'>,
): string[] {
  const { profile, split, sampledItems } = facts;
  const few = description.few;
  const words = [
    `The ${split.validationUsers} validation users have also chosen the options and epochs here, so all figures are a little too good; ` +
      'compare judges on test users, whom nothing here has seen.',
  ];
  const cut = modelsOf(facts).filter((model) => lastOf(model, facts).sample.users < split.trainingUsers);
  if (cut.length > 0) {
    const most = Math.max(...cut.map((model) => lastOf(model, facts).sample.users));
    words.push(
      `${cut.join(' and ')} had ${most} of ${split.trainingUsers} training users at most, so items have fewer users there than in the data. More ` +
        'data favour models with more parameters, and a line over the logarithm of the users is a guess.',
    );
  }
  if (sampledItems < split.items) {
    words.push(
      `Only the ${sampledItems} most popular of ${split.items} items took part, which is another problem than the whole: nothing is known ` +
        'about the others.',
    );
  }
  words.push(
    ...(inOrder ? [] : [ORDER]),
    `Items without interactions are not known to these models: show new items by other means. ${roughly(profile.rareItems)} of the items ` +
      `have fewer than ${few} users; hardly anything is learnt about those.`,
  );
  if (!wasSplit && profile.shortUsers > 0) {
    words.push(
      `${roughly(profile.shortUsers)} of the users have fewer than ${few} items: nobody was asked about those` +
        `${profile.shortUsers > NOTABLE ? ', so what is found here may not hold for them' : ''}.`,
    );
  }
  if (profile.repeatedUsers > NOTABLE) {
    words.push(
      `${roughly(profile.repeatedUsers)} of the users have exactly the items of another one: are they duplicates? Held-out users then have ` +
        'a twin in training, which makes every figure too good.',
    );
  }
  if (profile.fullestUser > FULL) {
    words.push(`One user has ${roughly(profile.fullestUser)} of all items: leave robots and test accounts out.`);
  }
  words.push(...powerWords(facts, leader, trends));
  return words;
}

/** What the validation users can show of the model next to the leader, where the lead is not established. */
function powerWords(facts: Facts, leader: ModelName, trends: Trend[]): string[] {
  const near = trends.filter(({ measured, interval }) => measured && interval![1] > 0);
  if (near.length === 0) return [];
  const { model, detectable } = near.reduce((best, trend) => (gapOf(trend) > gapOf(best) ? trend : best));
  const mean = meanOf(lastOf(leader, facts).trial, facts.metric);
  const judges = { count: facts.split.validationUsers, part: 'validation' as const };
  const together = blends(facts, leader, trends)
    ? ` Whichever is ahead, the two may err on different users: the comparison below tries them together (${BLEND}).`
    : '';
  return [
    `${leader} against ${model} is open.${detectableWords(detectable, mean, judges)} Another seed may turn it round.${together}`,
  ];
}

/**
 * Whether there are two models that may be about as good, so that they may be better together; a sample cannot tell by
 * how much.
 */
function blends({ cost }: Facts, leader: ModelName, trends: Trend[]): boolean {
  const fits = (name: ModelName) => name !== FLOOR && cost.find((row) => row.model === name)!.refusal === null;
  return fits(leader) && trends.some(({ model, interval }) => fits(model) && interval !== null && interval[1] > 0);
}

/** Options that were given, by model. */
export type Given = Partial<Record<ModelName, Record<string, Json>>>;

/** Flags that set options. */
function setFlags(options: Record<string, Json>, prefix = ''): string {
  const textOf = (value: Json) => (typeof value === 'string' ? value : JSON.stringify(value));
  return Object.entries(options)
    .map(([name, value]) => ` --set ${shellWord(`${prefix}${name}=${textOf(value)}`)}`)
    .join('');
}

function nextSteps(facts: Facts, model: ModelName | null, leader: ModelName, trends: Trend[], given: Given): string[] {
  const { seed, cost, refused } = facts;
  const fits = (name: ModelName) => cost.find((row) => row.model === name)!.refusal === null;
  // What all data may turn, and what nothing is known of.
  const near = trends.filter(({ interval }) => interval === null || interval[1] > 0).map(({ model }) => model);
  const unfinished = modelsOf(facts).filter((name) => lastOf(name, facts).trial.unfinished && isNetwork(name));
  const asked = new Set([leader, ...near, ...unfinished, ...refused.map(({ model }) => model)]);
  const names = description.models.map(({ name }) => name as ModelName).filter((name) => asked.has(name) && fits(name));
  const compared = [...new Set<ModelName>(['ease', 'als', ...names])].filter((name) => name !== FLOOR);
  const settings = compared.map((name) => setFlags(given[name] ?? {}, `${name}.`)).join('');
  const steps = [
    `recvae compare <input> --seed ${seed} --models ${compared.join(',')}${blends(facts, leader, trends) ? `,${BLEND}` : ''}${settings}`,
  ];
  for (const name of names) {
    const trial = modelsOf(facts).includes(name) ? lastOf(name, facts).trial : undefined;
    if (trial && trial.untuned.length > 0) {
      steps.push(`recvae tune ${name} <input> --seed ${seed}${setFlags(given[name] ?? {})}`);
    }
  }
  if (model === null) return steps;
  const { sample, trial } = lastOf(model, facts);
  const whole = sample.users === facts.split.trainingUsers && facts.sampledItems === facts.split.items;
  const set = Object.entries(searchedOptions(trial)).map(
    ([name, value]) => `--set ${name}=${whole ? value : '<as compare finds>'} `,
  );
  const fixed = setFlags(given[model] ?? {});
  steps.push(`recvae train ${model} <input> --seed ${seed}${fixed} ${set.join('')}--out ${model}.safetensors`);
  return steps;
}
