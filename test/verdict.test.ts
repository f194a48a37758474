/** Which model `compare` and `advise` say to use, and in what words, by made-up means and p-values. */
import { expect, test } from 'vitest';
import type { ComparedModel } from '../dist/decide/compare/report.js';
import { decide } from '../dist/decide/compare/verdict.js';
import { floorWords } from '../dist/decide/floor.js';
import type { PairedDifference } from '../dist/decide/pairs.js';
import { formatP } from '../dist/decide/wording.js';

const METRIC = 'ndcg@100';

/** What a made-up comparison has besides means. */
interface Made {
  /** Seconds by model; by default 10. */
  seconds?: Record<string, number>;
  /** Options that were not tuned. */
  untuned?: Record<string, string[]>;
  /** The difference that so many users show, of every pair. */
  detectable?: number | null;
}

/** Of models in their order of cost; `[a, b, p]` are the pairs with another p-value than .3. */
function decided(means: Record<string, number>, pValues: [string, string, number][], made: Made = {}) {
  const names = Object.keys(means);
  const models = names.map((model) => ({
    model,
    seconds: made.seconds?.[model] ?? 10,
    untuned: made.untuned?.[model] ?? [],
    metrics: { [METRIC]: { mean: means[model], standardError: 0.01 } },
  })) as unknown as ComparedModel[];
  const paired = names.flatMap((b, at) =>
    names.slice(at + 1).map((a) => {
      const pValue = pValues.find(([one, other]) => one === a && other === b)?.[2] ?? 0.3;
      const difference = means[a]! - means[b]!;
      const interval = [difference - 0.01, difference + 0.01];
      const detectable = made.detectable === undefined ? 0.014 : made.detectable;
      return { a, b, metric: METRIC, difference, interval, pValue, pValueUncorrected: pValue, detectable };
    }),
  ) as PairedDifference[];
  return decide(models, paired, METRIC, { count: 500, part: 'test' });
}

/** The winner where all models but those named are significantly better than popularity. */
function winner(means: Record<string, number>, established: [string, string, number][], below: string[] = []): string {
  const above = Object.keys(means).filter((name) => name !== 'popularity' && !below.includes(name));
  const floor = above.map((name): [string, string, number] => [name, 'popularity', 0.001]);
  return decided(means, [...floor, ...established]).winner;
}

test('the cheapest that no other one beats', () => {
  const means = { popularity: 0.2, ease: 0.424, edlae: 0.428, als: 0.433, recvae: 0.42 };
  expect(winner(means, [])).toBe('ease');
  // Beaten by one that is not the best, and the best beats neither.
  expect(winner(means, [['edlae', 'ease', 0.02]])).toBe('edlae');
  expect(winner(means, [['als', 'ease', 0.01]])).toBe('edlae');
  expect(
    winner(means, [
      ['als', 'ease', 0.01],
      ['als', 'edlae', 0.04],
    ]),
  ).toBe('als');
  // Being worse beats nobody, however sure it is; nor does a p-value at the limit.
  expect(winner(means, [['recvae', 'ease', 0.001]])).toBe('ease');
  expect(winner(means, [['als', 'ease', 0.05]])).toBe('ease');
});

test('a model has to beat popularity to be recommended at all', () => {
  const means = { popularity: 0.2, ease: 0.424, edlae: 0.428, als: 0.433, recvae: 0.42 };
  expect(winner(means, [], ['ease'])).toBe('edlae');
  expect(winner(means, [], ['ease', 'edlae', 'als'])).toBe('recvae');
  // The one that beats all others has a spread that hides it from popularity.
  expect(
    winner(
      means,
      [
        ['als', 'ease', 0.01],
        ['als', 'edlae', 0.01],
        ['recvae', 'als', 0.01],
      ],
      ['als'],
    ),
  ).toBe('edlae');
});

test('where no model beats popularity nothing was found, and popularity is used', () => {
  const behind = decided({ popularity: 0.436, ease: 0.4231, als: 0.4 }, [['ease', 'popularity', 0.04]]);
  expect(behind.winner).toBe('popularity');
  expect(behind.verdict).toBe(
    'Use popularity: nothing was found in these data, as no model beats popularity, the floor, significantly; the best other one, ' +
      'ease, is behind (ndcg@100 0.4231 against 0.4360 of popularity, difference -0.0129, 95 % interval -0.0229 to -0.0029, p = .040 ' +
      "after Holm's correction).",
  );
  const ahead = decided({ popularity: 0.4, ease: 0.41, als: 0.42 }, []);
  expect(ahead.winner).toBe('popularity');
  expect(ahead.verdict).toContain(
    'the best other one, als, is ahead, but that is not established (ndcg@100 0.4200 against',
  );
  expect(ahead.verdict).toContain(
    'The 500 test users show a true difference with a chance of 80 % from 0.0140 (3.3 % of the figure) on',
  );
  const same = decided({ popularity: 1, ease: 1 }, [['ease', 'popularity', 1]], { detectable: 0 });
  expect(same.winner).toBe('popularity');
  expect(same.verdict).toContain(
    'the best other one, ease, is equal to it (ndcg@100 1.0000 against 1.0000 of popularity',
  );
  for (const { verdict } of [behind, ahead, same]) expect(verdict).not.toMatch(/cheaper|stays|Search and training/);
  expect(same.verdict).not.toMatch(/ahead|too few|show a true/);
});

const BEAT: [string, string, number][] = [
  ['ease', 'popularity', 0.001],
  ['als', 'popularity', 0.001],
];

test('"cheaper" and words on time only where the seconds differ by more than runs do', () => {
  const means = { popularity: 0.2, ease: 0.42, als: 0.43 };
  const cheaper = decided(means, BEAT, { seconds: { ease: 4, als: 10 } });
  expect(cheaper.winner).toBe('ease');
  expect(cheaper.verdict).toContain('als is ahead, but the difference is not established (');
  expect(cheaper.verdict).toContain('so the cheaper model stays.');
  expect(cheaper.verdict).toMatch(/Search and training took 40 % of the time of als\.$/);
  // The one that is usually cheaper took longer, about as long, or both were done at once.
  const dearer = decided(means, BEAT, { seconds: { ease: 100, als: 10 } });
  expect(dearer.verdict).toContain('so ease stays, which comes first in the order from cheap to costly.');
  expect(dearer.verdict).toMatch(/Search and training took 10 times the time of als\.$/);
  for (const seconds of [
    { ease: 10, als: 14 },
    { ease: 0.01, als: 0.9 },
  ]) {
    const { verdict } = decided(means, BEAT, { seconds });
    expect(verdict).toContain('so ease stays');
    expect(verdict).not.toMatch(/cheaper|Search and training/);
  }
});

test('equal is not ahead', () => {
  const means = { popularity: 0.2, ease: 0.43001, als: 0.43002 };
  const { winner, verdict } = decided(means, [...BEAT, ['als', 'ease', 0.9]], { seconds: { als: 30 } });
  expect(winner).toBe('ease');
  expect(verdict).toContain('it and als are equal here (ndcg@100 0.4300 against 0.4300 of als');
  expect(verdict).toContain('so the cheaper model stays.');
  expect(verdict).not.toContain('ahead');
});

test('a model that was not tuned is named so, over and under', () => {
  const means = { popularity: 0.2, ease: 0.42, recvae: 0.41 };
  const over: [string, string, number][] = [
    ['ease', 'popularity', 0.001],
    ['recvae', 'ease', 0.01],
  ];
  const above = decided(means, over, { untuned: { recvae: ['gamma'] } });
  expect(above.verdict).toContain('it is significantly better than recvae, not tuned (gamma not searched) (ndcg@100');
  expect(above.verdict).toContain(
    'Not tuned: recvae (gamma not searched); where one of them is behind, that may be for its options.',
  );
  const best = decided({ popularity: 0.2, ease: 0.42, recvae: 0.45 }, [['recvae', 'popularity', 0.001], ...over], {
    untuned: { recvae: ['gamma', 'beta'], ease: ['lambda'] },
  });
  expect(best.winner).toBe('recvae');
  expect(best.verdict).toContain('it is significantly better than ease, not tuned (lambda not searched) (');
  expect(best.verdict).toContain('It was not tuned itself (gamma and beta not searched) and may be better yet.');
  // Neither rival nor winner, and popularity as the answer.
  const third = decided({ ...means, als: 0.3 }, BEAT, { untuned: { als: ['factors'] } });
  expect(third.verdict).toContain('Not tuned: als (factors not searched)');
  const nothing = decided({ popularity: 0.5, ease: 0.4 }, [], { untuned: { ease: ['lambda'] } });
  expect(nothing.verdict).toContain('the best other one, ease, not tuned (lambda not searched), is behind');
  expect(decided(means, BEAT).verdict).not.toContain('tuned');
});

test('"not established" can be told from "too few users"', () => {
  const means = { popularity: 0.2, ease: 0.42, als: 0.43 };
  const enough = decided(means, BEAT, { detectable: 0.0141 }).verdict;
  expect(enough).toContain(
    'The 500 test users show a true difference with a chance of 80 % from 0.0141 (3.3 % of the figure) on, so it is smaller or was missed by chance.',
  );
  const few = decided(means, BEAT, { detectable: 0.09 }).verdict;
  expect(few).toContain(
    'The 500 test users are too few to tell: they show a true difference with a chance of 80 % only from 0.0900 (21 % of the figure) on.',
  );
  const none = decided(means, BEAT, { detectable: null }).verdict;
  expect(none).toContain(
    'The 500 test users, or those of them on whom the two differ, are too few to establish any difference, however large.',
  );
  // Nothing is open where the difference is established.
  expect(decided(means, [...BEAT, ['als', 'ease', 0.01]]).verdict).not.toContain('show a true difference');
});

test('a single model against the floor', () => {
  const users = { mean: 0.3, detectable: 0.05, part: 'test' as const, users: 60 };
  const interval: [number, number] = [-0.01, 0.03];
  const found = (pValue: number, sign = 1) =>
    floorWords('als', { ...users, difference: sign * 0.01, interval, pValue, pValueUncorrected: pValue });
  expect(floorWords('als', null)).toBe('');
  expect(found(0.04)).toBe('');
  expect(found(0.2)).toBe(
    'Nothing was found in these data: als does not beat popularity, the floor (0.3000), significantly on the test users (difference ' +
      '+0.0100, p = .200). The 60 test users are too few to tell: they show a true difference with a chance of 80 % only from 0.0500 ' +
      '(17 % of the figure) on.',
  );
  expect(found(0.001, -1)).toMatch(/\(difference -0\.0100, p = \.001\)\.$/);
  expect([formatP(0.0004), formatP(0.05)]).toEqual(['p < .001', 'p = .050']);
});
