/**
 * Made-up reports of all commands that have a page, with everything in them that can be. No number in them was
 * measured.
 */
import type {
  AblationReport,
  AdviceReport,
  ComparedModel,
  ComparisonReport,
  Curve,
  ExampleUser,
  LeftOut,
  ModelName,
  Profile,
  RepeatReport,
  RunFacts,
  TuneReport,
} from '../dist/index.js';

const spread = (median: number) => ({
  min: 1,
  p10: median / 4,
  p25: median / 2,
  median,
  p75: median * 2,
  p90: median * 4,
  p99: median * 10,
  max: median * 40,
  mean: median * 1.6,
});

const profile: Profile = {
  users: 1200,
  items: 300,
  interactions: 14_400,
  density: 0.04,
  perUser: spread(8),
  perItem: spread(30),
  gini: 0.52,
  top1Percent: 0.09,
  top20Percent: 0.61,
  tail: 0.39,
  rareItems: 0.12,
  shortUsers: 0.2,
  repeatedUsers: 0.01,
  fullestUser: 0.4,
};

const leftOut: LeftOut[] = [
  { reason: 'duplicates', rows: 3, users: 0, items: 0, interactions: 0, text: '3 rows were there already' },
];

const run: RunFacts = {
  recvae: '0.1.0',
  node: '20.20.2',
  platform: 'linux x64',
  processor: 'A processor',
  cores: 8,
  threads: 4,
  memory: 16 * 2 ** 30,
  started: '2026-11-30T12:00:00.000Z',
  seconds: 75.5,
  command: ['recvae', 'compare', 'my likes.csv', '--seed', '1'],
};

const difference = (difference: number) => ({
  difference,
  interval: [difference - 0.01, difference + 0.01] as [number, number],
  pValue: Math.abs(difference) > 0.01 ? 0.0004 : 0.4,
  pValueUncorrected: Math.abs(difference) > 0.01 ? 0.0001 : 0.2,
  detectable: 0.014,
});

const rising = (epochs: number, best: number): Curve => ({
  curve: Array.from({ length: epochs }, (_, at) => 0.3 - Math.abs(at + 1 - best) / 200),
  bestEpoch: best,
});

const NAMES: ModelName[] = ['popularity', 'ease', 'edlae', 'als', 'mult-vae', 'recvae'];
const METRICS = ['ndcg@100', 'recall@20', 'coverage@100'];

function comparedModel(model: ModelName, at: number): ComparedModel {
  const hasEpochs = at >= 3;
  const searched =
    at === 0
      ? []
      : Array.from({ length: 14 }, (_, trial): ComparedModel['search'][number] => ({
          options: at === 1 ? { lambda: 2 ** trial } : { lambda: 2 ** trial, dropoutRate: ((trial * 5) % 14) / 20 },
          validation: 0.3 - (trial - 6) ** 2 / 2000,
          ...(trial % 7 === 5 && { epochs: 3, items: 100 }),
        }));
  return {
    model,
    options: { lambda: 64, name: 'text' },
    search: searched,
    searchSeconds: at,
    trials: searched.length,
    untuned: at === 4 ? ['gamma'] : [],
    edges: at === 2 ? { lambda: 'highest' } : {},
    plateaus: at === 1 ? { lambda: { from: 16, to: 500 } } : {},
    seconds: 0.02 * 9 ** at,
    estimatedSeconds: 0.03 * 9 ** at,
    peakMemory: (80 + 40 * at) * 2 ** 20,
    fitMemory: 2 ** (20 + at),
    modelMemory: 2 ** (12 + 2 * at),
    requestSeconds: { median: 1e-4 * (at + 1), p90: 3e-4 * (at + 1), requests: 32 },
    validation: 0.2 + 0.02 * at,
    epochs: hasEpochs ? 20 : 0,
    ...(hasEpochs ? rising(20, 12 + at) : { curve: [], bestEpoch: null }),
    changed: at === 1 ? [{ name: 'density', from: 1, to: 0.5 }] : [],
    metrics: Object.fromEntries(
      METRICS.map((name) => [name, { mean: 0.2 + 0.021 * at, standardError: name === 'coverage@100' ? null : 0.006 }]),
    ),
  };
}

function examplesOf(models: ModelName[]): ExampleUser[] {
  return ['few', 'some', 'many'].map((group, at) => ({
    user: `user ${at}`,
    group,
    input: ['item a', 'item b', 'item c'],
    inputItems: 3 + 20 * at,
    target: ['item d', 'item e'],
    targetItems: 2,
    lists: models.map((model, place) => ({
      model,
      items: Array.from({ length: 10 }, (_, rank) => ({
        id: rank === place ? 'item d' : `item ${place}-${rank}`,
        hit: rank === place,
      })),
    })),
  }));
}

/** Three splits and three seeds of the first one. */
function repeated(names: ModelName[], winner: ModelName): RepeatReport {
  const apart = (mean: number) => ({
    'ndcg@100': { mean, users: 0.006, seed: 0.001, split: 0.002, between: 0.0064 },
  });
  const runs = Array.from({ length: 5 }, (_, at) => ({
    seed: 1 + (at % 3),
    splitSeed: at < 3 ? 1 + at : 1,
    winner,
    means: Object.fromEntries(names.map((name, place) => [name, 0.2 + place / 50 + at / 500])),
  }));
  const others = names.filter((name) => name !== winner);
  return {
    metric: 'ndcg@100',
    runs,
    splits: 3,
    seeds: 3,
    winner,
    models: names.map((model, at) => ({ model, wins: model === winner ? 5 : 0, metrics: apart(0.2 + at / 50) })),
    differences: others.map((model, at) => ({ model, ahead: at, metrics: apart(-0.01 * (at + 1)) })),
  };
}

/** A comparison of the first so many models. */
export function comparison(count = NAMES.length): ComparisonReport {
  const names = NAMES.slice(0, count);
  const winner = names[Math.min(1, count - 1)]!;
  const means = Object.fromEntries(names.map((name, at) => [name, { mean: 0.2 + at / 50, standardError: 0.01 }]));
  const outcomes = names
    .filter((model) => model !== winner)
    .map((model, at) => ({ model, wins: 60 - 10 * at, ties: 20, losses: 20 + 10 * at }));
  const paired = names.flatMap((b, place) =>
    names
      .slice(place + 1)
      .flatMap((a, more) =>
        ['ndcg@100', 'recall@20'].map((metric) => ({ a, b, metric, ...difference(0.02 - more / 60) })),
      ),
  );
  return {
    dataset: { users: 1500, items: 300, interactions: 18_000, density: 0.04 },
    leftOut,
    warnings: ['The model had seen 3 of the users.'],
    profile,
    trainingUsers: 1200,
    testUsers: 150,
    seed: 1,
    metric: 'ndcg@100',
    effort: 'each search up to 60 s',
    models: names.map(comparedModel),
    skipped: [{ model: 'mult-dae', what: 'model', why: 'one fit takes about 9 minutes' }],
    paired,
    groups: {
      activity: ['few', 'some', 'many'].map((name, at) => ({
        name,
        from: 4 * at + 1,
        to: 4 * at + 4,
        users: 100,
        means,
        outcomes,
      })),
      popularity: ['head', 'middle', 'tail'].map((name, at) => ({
        name,
        from: 90 - 30 * at,
        to: 120 - 30 * at,
        users: 100,
        items: 100,
        means,
        outcomes,
      })),
    },
    examples: examplesOf(names),
    repeat: repeated(names, winner),
    run,
    winner,
    verdict: `Use ${winner}: it is ahead (p < .001). It took 5 % of the time. Not tuned: mult-vae.`,
  };
}

/** A search of two options. */
export function tuning(): TuneReport {
  const trials = Array.from({ length: 20 }, (_, at) => ({
    options: { lambda: 10 * 1.5 ** ((at * 7) % 20), variant: at % 2 === 0 ? 'plain' : 'other' },
    validation: at === 19 ? null : 0.35 - at / 300,
    epochs: 10,
    seconds: 1 + at,
    ...(at === 17 && { stopped: 'hopeless' as const }),
    ...(at === 18 && { items: 50, epochLimit: 4 }),
    ...(at === 19 && { failed: 'the matrix is singular' }),
  }));
  return {
    model: 'als',
    search: 'adaptive',
    space: { lambda: { from: 1, to: 20_000, scale: 'log' }, variant: ['plain', 'other'] },
    seed: 1,
    metric: 'ndcg@100',
    users: { train: 1200, validation: 150, test: 150 },
    leftOut,
    warnings: [],
    trials,
    best: trials[0]!.options,
    options: { ...trials[0]!.options, epochs: 10 },
    validation: { mean: 0.35, standardError: 0.02 },
    test: { 'ndcg@100': { mean: 0.33, standardError: 0.02 }, 'recall@20': { mean: 0.3, standardError: null } },
    floor: { ...difference(0.12), mean: 0.2, part: 'test', users: 150 },
    withinOneStandardError: { trials: 4, values: { lambda: [10, 20] } },
    atTheEdge: { lambda: 'lowest' },
    plateaus: { lambda: { from: 10, to: 90 } },
    ...rising(10, 7),
    profile,
    requestSeconds: { median: 4e-4, p90: 9e-4, requests: 32 },
    examples: examplesOf(['als']),
    run,
    seconds: 190,
    verdict: 'Use als with lambda 10, variant plain: 0.3500 of ndcg@100. The optimum is flat.',
  };
}

/** An ablation with two seeds. */
export function ablation(): AblationReport {
  const changes = ['composite prior', 'KL weight per user', 'alternating training', 'dense encoder'];
  const designs = [[], ...changes.map((change) => [change]), changes];
  const seeds = [1, 2];
  const models: AblationReport['models'] = [
    { model: 'mult-vae' as const, changes: [] as string[] },
    ...designs.map((changes) => ({ model: 'recvae' as const, changes })),
  ].map((which, at) => ({
    ...which,
    options: { hiddenDim: 600 },
    mean: 0.3 + at / 100,
    standardError: 0.006,
    seeds: seeds.map((seed) => ({
      seed,
      mean: 0.3 + at / 100 + (seed - 1.5) / 100,
      validation: 0.31,
      epochs: 12,
      atLimit: seed === 1,
      seconds: 30,
      ...rising(12, 6 + seed),
    })),
  }));
  const comparisons = (['alone', 'last', 'main'] as const).flatMap((kind, place) =>
    changes.map((change, at) => ({
      change,
      kind,
      ...difference((at - 1) / 50 - place / 200),
      seeds: [0.01, 0.02],
      established: at === 3,
    })),
  );
  return {
    dataset: { users: 1500, items: 300, interactions: 18_000, density: 0.04 },
    leftOut,
    profile,
    testUsers: 150,
    seed: 1,
    seeds,
    metric: 'ndcg@100',
    changes,
    models,
    comparisons,
    findings: changes.map((change, at) => ({ change, finding: at === 3 ? 'pays' : 'open' })),
    floor: { ...difference(0.1), mean: 0.2, part: 'test', users: 150 },
    run,
    verdict: 'Pays here: dense encoder (alone +0.0400, p < .001).\nCannot be told: composite prior.',
  };
}

/** Advice from two samples that is not sure. */
export function advice(): AdviceReport {
  const full = comparison(4);
  const sample = (users: number) => ({
    users,
    interactions: users * 12,
    profile,
    models: full.models.map(({ changed, estimatedSeconds, fitMemory, modelMemory, requestSeconds, ...model }, at) => ({
      ...model,
      metrics: { 'ndcg@100': { mean: 0.2 + at / 50 + users / 1e5, standardError: 0.01 } },
      unfinished: at === 3,
    })),
    paired: full.paired,
    activity: full.groups.activity.map(({ outcomes, ...group }) => ({ ...group, paired: full.paired.slice(0, 2) })),
  });
  return {
    profile,
    leftOut,
    split: { trainingUsers: 1200, items: 300, validationUsers: 150 },
    sampledItems: 300,
    sharedUsers: 1200,
    seed: 1,
    metric: 'ndcg@100',
    cost: full.models.map(({ model }, at) => ({
      model,
      fitMemory: 2 ** (21 + at),
      modelMemory: 2 ** (15 + at),
      refusal: at === 2 ? 'it needs more memory than there is' : null,
      seconds: 0.01 * 8 ** at,
      law: 'items^3',
    })),
    samples: [sample(600), sample(1200)],
    popularity: full.groups.popularity.map(({ outcomes, ...group }) => ({ ...group, paired: [] })),
    refused: [{ model: 'recvae', why: 'it takes too long' }],
    smaller: [{ model: 'ease', changed: [{ name: 'density', from: 1, to: 0.2 }] }],
    run: { ...run, command: ['recvae', 'advise', 'likes.csv'] },
    model: null,
    leader: 'ease',
    options: { lambda: 64 },
    verdict: 'Nobody can tell from these samples: ease leads.',
    open: ['edlae may be better.'],
    trends: [
      {
        model: 'edlae',
        against: 'ease',
        gaps: [{ users: 600, gap: 0.01 }],
        measured: false,
        expected: -0.004,
        interval: [-0.02, 0.012],
        detectable: 0.02,
      },
      {
        model: 'als',
        against: 'ease',
        gaps: [],
        measured: true,
        expected: null,
        interval: null,
        detectable: 0.02,
      },
    ],
    costlier: [],
    reasons: ['ease is cheap.'],
    distrust: ['Order in time is ignored.'],
    next: ['recvae compare likes.csv --models ease,edlae'],
  };
}

/** One report of each command. */
export const REPORTS = { compare: comparison, tune: tuning, ablate: ablation, advise: advice };
