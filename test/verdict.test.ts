/** Which model `compare` and `advise` say to use, by made-up means and p-values. */
import { expect, test } from 'vitest';
import type { ComparedModel, PairedDifference } from '../dist/compare.js';
import { decide } from '../dist/verdict.js';

const METRIC = 'ndcg@100';

/** The winner of models in their order of cost; `[a, b, p]` are pairs that differ by more than chance. */
function winner(means: Record<string, number>, established: [string, string, number][]): string {
  const names = Object.keys(means);
  const models = names.map((model) => ({
    model,
    seconds: 1,
    metrics: { [METRIC]: { mean: means[model], standardError: 0.01 } },
  })) as unknown as ComparedModel[];
  const paired = names.flatMap((b, at) =>
    names.slice(at + 1).map((a) => {
      const pValue = established.find(([one, other]) => one === a && other === b)?.[2] ?? 0.3;
      const difference = means[a]! - means[b]!;
      return {
        a,
        b,
        metric: METRIC,
        difference,
        interval: [difference, difference],
        pValue,
        pValueUncorrected: pValue,
      };
    }),
  ) as PairedDifference[];
  return decide(models, paired, METRIC).winner;
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

test('popularity is only the floor', () => {
  expect(winner({ popularity: 0.5, ease: 0.4 }, [['ease', 'popularity', 0.001]])).toBe('popularity');
  expect(winner({ popularity: 0.5, ease: 0.4 }, [])).toBe('ease');
});
