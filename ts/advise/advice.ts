/** The words of {@link advise}: which model, why, what to run next and what to distrust. */
import type { AdviceReport } from '../advise.js';
import { ALWAYS, type PairedDifference } from '../compare.js';
import type { Json } from '../models.js';
import { description, optionsOf } from '../native.js';
import type { ModelName } from '../options.generated.js';
import { decide, differenceOf, FLOOR, formatP, SIGNIFICANCE, signed } from '../verdict.js';
import type { GroupResult, SampleResult, TrialModel } from './sample-runs.js';

/** What to do. */
export interface Advice {
  /** The model to use. */
  model: ModelName;
  /** Those of its options that were searched, with the values that were best on the largest sample. */
  options: Record<string, Json>;
  /** Why that model: by how much, how sure, at what cost; as {@link compare} says it, on validation users. */
  verdict: string;
  /** Where each costlier model starts to win against all cheaper ones, or that it does not within what was measured. */
  costlier: CostlierModel[];
  /** The same and all other reasons in words. */
  reasons: string[];
  /** What these figures do not show. */
  distrust: string[];
  /** Commands to run next, with `<input>` for the data. */
  next: string[];
}

/** A model beyond those that are always compared, against all cheaper ones. */
export interface CostlierModel {
  /** Which model. */
  model: ModelName;
  /** By sample: its mean minus that of the best cheaper model. */
  gaps: { users: number; against: ModelName; gap: number }[];
  /** Where it is significantly better than every cheaper model: at how many sampled users, and in which group (`all`: everybody). */
  wins: { users: number; group: string; from: number | null; to: number | null }[];
  /** Groups of users of the largest sample in which its mean is the best, established or not. */
  ahead: string[];
  /** Groups of items that it finds significantly better than every cheaper model, in the largest sample. */
  finds: string[];
  /** Whether its training ended for want of epochs in the largest sample. */
  unfinished: boolean;
}

type Facts = Omit<AdviceReport, keyof Advice>;

/** From which p-value on a difference on users that have chosen options, too, is a close call. */
const CLOSE = 0.01;
/** Share of users or items from which on something is worth a warning. */
const NOTABLE = 0.1;
/** Share of the catalogue from which on a single user is no usual one. */
const FULL = 0.5;

/** Makes up the advice. */
export function adviceOf(facts: Facts, wasSplit: boolean): Advice {
  const largest = facts.samples.at(-1)!;
  const fits = ({ model }: { model: ModelName }) => facts.cost.find((cost) => cost.model === model)!.refusal === null;
  const fitting = largest.models.filter(fits);
  // If none fits, the words about memory below say so.
  const candidates = fitting.some(({ model }) => model !== FLOOR) ? fitting : largest.models;
  const { winner, verdict } = decide(candidates, largest.paired, facts.metric);
  const chosen = largest.models.find(({ model }) => model === winner)!;
  const costlier = largest.models
    .filter(({ model }) => !(ALWAYS as string[]).includes(model))
    .map((trial) => againstCheaper(trial, facts));
  return {
    model: winner,
    options: searchedOptions(chosen),
    verdict,
    costlier,
    reasons: [
      verdict,
      ...memoryWords(facts),
      ...costlier.flatMap((found) => costlierWords(found, facts)),
      ...costWords(facts, winner),
    ],
    distrust: distrustWords(facts, winner, wasSplit),
    next: nextSteps(facts, chosen, costlier),
  };
}

function searchedOptions({ options, search }: TrialModel): Record<string, Json> {
  const names = new Set(search.flatMap(({ options }) => Object.keys(options as object)));
  return Object.fromEntries(Object.entries(options as Record<string, Json>).filter(([name]) => names.has(name)));
}

const isSure = ({ difference, pValue }: PairedDifference) => difference > 0 && pValue < SIGNIFICANCE;

/** Where a model stands against all that are cheaper. */
function againstCheaper({ model, unfinished }: TrialModel, { samples, popularity, metric }: Facts): CostlierModel {
  const cheaper = samples
    .at(-1)!
    .models.map(({ model }) => model)
    .filter((other, at, all) => other !== FLOOR && at < all.indexOf(model));
  const gaps = samples.map(({ users, models }) => {
    const mean = (name: ModelName) => models.find(({ model }) => model === name)!.metrics[metric]!.mean;
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
  const ahead = samples
    .at(-1)!
    .activity.filter(leads)
    .map(({ name }) => name);
  const finds = popularity.filter(({ paired }) => paired.length > 0 && beatsAll(paired)).map(({ name }) => name);
  return { model, gaps, wins, ahead, finds, unfinished };
}

function costlierWords(
  { model, gaps, wins, ahead, finds, unfinished }: CostlierModel,
  { samples, popularity }: Facts,
): string[] {
  const largest = samples.at(-1)!;
  const name = ({ users, group, from, to }: CostlierModel['wins'][number]) =>
    group === 'all'
      ? `over all at ${users} sampled users`
      : `at ${users} sampled users among those with ${from} to ${to} items`;
  const measured = `up to ${largest.users} training users`;
  const groups = largest.activity
    .filter(({ name }) => ahead.includes(name))
    .map(({ name, from, to }) => `${name} (${from} to ${to} items)`);
  const lead = groups.length > 0 ? `, though its mean is ahead of theirs in the group ${groups.join(' and ')}` : '';
  const start =
    wins.length > 0
      ? `${model} starts to win ${wins.map(name).join('; ')}: there it is significantly better than every cheaper model`
      : `${model} does not win within what was measured (${measured}): over all users and in every group of users some cheaper ` +
        `model is not significantly worse${lead}`;
  const found = popularity
    .filter(({ name }) => finds.includes(name))
    .map(({ name, from, to, items }) => `${name} (${items} items with ${from} to ${to} of the sampled users)`);
  const items =
    found.length > 0
      ? [
          `${model} wins at finding items of the ${found.join(' and of the ')}: significantly better than every cheaper model there.`,
        ]
      : [];
  const list = gaps.map(({ users, against, gap }) => `${signed(gap)} to ${against} at ${users}`).join(', ');
  const [first, last] = [gaps[0]!.gap, gaps.at(-1)!.gap];
  const trend =
    gaps.length < 2
      ? ''
      : last > first
        ? ': it gains as data grow, and all training users may be in its favour'
        : ': it does not gain as data grow';
  const trial = largest.models.find((trial) => trial.model === model)!;
  const training = unfinished
    ? `${model}'s validation was still rising when its ${trial.epochs} epochs ended (best: ${trial.bestEpoch}), so it is at a disadvantage here`
    : `${model} had epochs enough in the largest sample: it was best after ${trial.bestEpoch} of ${trial.epochs}`;
  const options = trial.search.length > 0 ? '' : ' Its options were not searched.';
  return [
    `${start}.`,
    ...items,
    `Over all, ${model} is ${list} sampled users${trend}.`,
    ...(trial.epochs > 0 ? [`${training}.${options}`] : []),
  ];
}

function duration(seconds: number): string {
  if (seconds < 1) return 'less than a second';
  if (seconds < 120) return `about ${Number(seconds.toPrecision(2))} s`;
  if (seconds < 7200) return `about ${Number((seconds / 60).toPrecision(2))} minutes`;
  return `about ${Number((seconds / 3600).toPrecision(2))} hours`;
}

function memoryWords({ cost, refused }: Facts): string[] {
  const all = cost.flatMap(({ model, refusal }) =>
    refusal === null ? [] : [`${model} does not fit on all training users: ${refusal}.`],
  );
  return [...all, ...refused.map(({ model, why }) => `${model} was not tried: ${why}.`)];
}

function costWords({ cost, samples }: Facts, winner: ModelName): string[] {
  const tried = samples.at(-1)!.models.map(({ model }) => model);
  const words = cost
    .filter(({ model, seconds }) => seconds !== null && model !== FLOOR && (tried.includes(model) || model === winner))
    .map(({ model, seconds }) => `${model} ${duration(seconds!)}`);
  return [
    `One fit on all training users takes ${words.join(', ')} (extrapolated from the samples, good to a factor of 2).`,
  ];
}

const percent = (share: number) => `${Number((share * 100).toPrecision(2))} %`;

function distrustWords(facts: Facts, winner: ModelName, wasSplit: boolean): string[] {
  const { profile, split, sampledItems, samples, metric } = facts;
  const { users, models, paired } = samples.at(-1)!;
  const few = description.few;
  const words = [
    `The ${split.validationUsers} validation users have also chosen the options and epochs here, so all figures are a little too good; ` +
      'compare judges on test users, whom nothing here has seen.',
  ];
  if (users < split.trainingUsers) {
    words.push(
      `${users} of ${split.trainingUsers} training users were tried. More data favour models with more parameters, and options move: ` +
        'the best lambda of ease, a number of users, grows with them.',
    );
  }
  if (sampledItems < split.items) {
    words.push(
      `Only the ${sampledItems} most popular of ${split.items} items took part; nothing is known about the others.`,
    );
  }
  words.push(
    "Order in time is ignored: held-out items are drawn at random from all of a user's, older ones too. If you have timestamps and " +
      'tastes or the catalogue change, try the last items as well before you trust a small difference.',
    `Items without interactions are not known to these models: show new items by other means. ${percent(profile.rareItems)} of the items ` +
      `have fewer than ${few} users; hardly anything is learnt about those.`,
  );
  if (!wasSplit && profile.shortUsers > 0) {
    words.push(
      `${percent(profile.shortUsers)} of the users have fewer than ${few} items: nobody was asked about those` +
        `${profile.shortUsers > NOTABLE ? ', so what is found here may not hold for them' : ''}.`,
    );
  }
  if (profile.repeatedUsers > NOTABLE) {
    words.push(
      `${percent(profile.repeatedUsers)} of the users have exactly the items of another one: are they duplicates? Held-out users then have ` +
        'a twin in training, which makes every figure too good.',
    );
  }
  if (profile.fullestUser > FULL) {
    words.push(`One user has ${percent(profile.fullestUser)} of all items: leave robots and test accounts out.`);
  }
  words.push(...powerWords(models, paired, winner, metric, split.validationUsers));
  return words;
}

/** Whether the validation users are enough for the difference between the winner and the model next to it. */
function powerWords(models: TrialModel[], paired: PairedDifference[], winner: ModelName, metric: string, n: number) {
  const mean = (trial: TrialModel) => trial.metrics[metric]!.mean;
  const others = models.filter(({ model }) => model !== winner && model !== FLOOR);
  if (others.length === 0) return [];
  const rival = others.reduce((best, other) => (mean(other) > mean(best) ? other : best)).model;
  const { difference, interval, pValue } = differenceOf(paired, winner, rival, metric);
  const numbers = `${signed(difference)}, 95 % interval ${signed(interval[0])} to ${signed(interval[1])}, ${formatP(pValue)}`;
  if (pValue < CLOSE || interval[0] === interval[1]) return []; // equal for everybody: nothing is open
  const open = pValue < SIGNIFICANCE ? 'is a close call' : 'is open';
  return [
    `${winner} against ${rival} ${open} (${numbers}): ${n} validation users are few for such a difference, four times as many would halve ` +
      'the interval. Another seed may turn it round.',
  ];
}

function nextSteps(facts: Facts, { model, options, search }: TrialModel, costlier: CostlierModel[]): string[] {
  const { seed, samples, split, sampledItems } = facts;
  const whole = samples.at(-1)!.users === split.trainingUsers && sampledItems === split.items;
  const open = costlier.filter((found) => inReach(found, samples.at(-1)!, model, facts.metric));
  const names = ['ease', 'als', ...open.map(({ model }) => model)];
  const steps = [`recvae compare <input> --seed ${seed} --models ${[...new Set(names)].join(',')}`];
  // Those that compare does not search.
  const bare = open.filter(
    ({ model }) => samples.at(-1)!.models.find((trial) => trial.model === model)!.search.length === 0,
  );
  for (const { model } of bare) {
    const gamma = optionsOf(model).find(({ search }) => search.length > 0);
    if (gamma) steps.push(`recvae tune ${model} <input> --seed ${seed} --over ${gamma.name}=${gamma.search.join(',')}`);
  }
  const found = searchedOptions({ options, search } as TrialModel);
  const set = Object.entries(found).map(([name, value]) => `--set ${name}=${whole ? value : '<as compare finds>'} `);
  steps.push(`recvae train ${model} <input> --seed ${seed} ${set.join('')}--out ${model}.safetensors`);
  return steps;
}

/** Whether all data may turn it: not established that the winner is better, or training cut short, or a gap that closes. */
function inReach(
  { model, gaps, unfinished }: CostlierModel,
  { paired }: SampleResult,
  winner: ModelName,
  metric: string,
) {
  if (model === winner || unfinished) return true;
  if (!isSure(differenceOf(paired, winner, model, metric))) return true;
  return gaps.length > 1 && gaps.at(-1)!.gap > gaps[0]!.gap;
}
