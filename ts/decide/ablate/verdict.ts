/** What an ablation found, in words. */
import { SIGNIFICANCE } from '../paired.js';
import { formatP, signed } from '../wording.js';
import { CHANGES, type ComparisonKind } from './designs.js';
import type { AblatedModel, ChangeComparison, Finding } from './report.js';

/** The kinds of comparison in words. */
export const KINDS: Record<ComparisonKind, string> = { alone: 'alone', last: 'in the whole', main: 'on average' };

/** How findings are told, in this order. */
const HEADINGS: Record<Finding, string> = {
  pays: 'Pays here',
  costs: 'Does not pay, makes it worse',
  depends: 'Depends on the other changes',
  open: 'Cannot be told',
};

/** Whether a difference is real: beyond the chance of the users by its p-value, and of one sign under every seed. */
export function isEstablished({ difference, pValue, seeds }: Omit<ChangeComparison, 'established'>): boolean {
  return pValue < SIGNIFICANCE && seeds.every((ofSeed) => Math.sign(ofSeed) === Math.sign(difference));
}

/** What the comparisons of one change say together. */
function findingOf(comparisons: ChangeComparison[]): Finding {
  const real = comparisons.filter(({ established }) => established);
  if (real.length === 0) return 'open';
  if (real.every(({ difference }) => difference > 0)) return 'pays';
  return real.every(({ difference }) => difference < 0) ? 'costs' : 'depends';
}

/** Which changes pay, which do not, which cannot be told. */
export function findings(comparisons: ChangeComparison[]): { change: string; finding: Finding }[] {
  return CHANGES.map((change) => ({
    change,
    finding: findingOf(comparisons.filter((comparison) => comparison.change === change)),
  }));
}

/** One comparison with its p-value, or where that is large with its interval, which says what may still be. */
function numbers({ kind, difference, interval, pValue, established, detectable }: ChangeComparison): string {
  const seeds = established ? '' : ', but with both signs over the seeds';
  if (pValue < SIGNIFICANCE) return `${KINDS[kind]} ${signed(difference)}, ${formatP(pValue)}${seeds}`;
  return `${KINDS[kind]} between ${signed(interval[0])} and ${signed(interval[1])}, not established${shown(detectable)}`;
}

/** Which true difference so many users would probably have shown: that tells "not there" from "too few users". */
function shown(detectable: number | null): string {
  if (detectable === null) return ', and with so few users nothing could be';
  return detectable === 0 ? '' : `, where ${detectable.toFixed(4)} would mostly be seen`;
}

/** The findings with their numbers, and what these do not say. */
export function ablationVerdict(comparisons: ChangeComparison[], models: AblatedModel[]): string {
  const found = findings(comparisons);
  const sentences = Object.entries(HEADINGS).flatMap(([finding, heading]) => {
    const changes = found.filter((row) => row.finding === finding);
    const texts = changes.map(({ change }) => {
      const own = comparisons.filter((comparison) => comparison.change === change);
      return `${change} (${own.map(numbers).join('; ')})`;
    });
    return texts.length === 0 ? [] : [`${heading}: ${texts.join(', ')}.`];
  });
  return [...sentences, aboutSeeds(comparisons), ...aboutEpochs(models)].join('\n');
}

/** Intervals and p-values come from the users alone. */
function aboutSeeds(comparisons: ChangeComparison[]): string {
  const chance = 'Intervals and p-values hold the chance of who the test users are, not that of training';
  const seeds = comparisons[0]!.seeds.length;
  if (seeds === 1) return `${chance}, of which one seed says nothing.`;
  const spreads = comparisons.map((comparison) => Math.max(...comparison.seeds) - Math.min(...comparison.seeds));
  const most = Math.max(...spreads).toFixed(4);
  return `${chance}: over ${seeds} seeds a difference varies by up to ${most}.`;
}

/**
 * A model that the number of epochs stopped may not be at its best yet, and fewer passes an epoch are no fault of a
 * design.
 */
function aboutEpochs(models: AblatedModel[]): string[] {
  const runs = models.filter(({ model }) => model === 'recvae').flatMap(({ seeds }) => seeds);
  const cut = runs.filter(({ atLimit }) => atLimit).length;
  if (cut === 0) return [];
  return [
    `${cut} of ${runs.length} trainings were stopped by the number of epochs and not by patience: they may not be at their ` +
      'best, and joint training has fewer passes an epoch than alternating training; more epochs make the comparison fair.',
  ];
}
