/** The designs of an ablation: which of RecVAE's changes to Mult-VAE a model has, and which designs are compared. */
import { description } from '../../runtime/native.js';
import type { RecvaeOptions } from '../../runtime/options.generated.js';

/** Names of the changes, in the core's order. */
export const CHANGES: readonly string[] = description.changes.map(({ name }) => name);

/** The options that a design sets, so that nobody else may. */
export const SWITCHED: readonly string[] = description.changes.map(({ option }) => option);

/** A set of changes, bit i for change i. */
export type Design = number;

const WHOLE: Design = 2 ** CHANGES.length - 1;
const only = (change: number): Design => 2 ** change;

/** The names of the changes of a design. */
export function changesOf(design: Design): string[] {
  return CHANGES.filter((_, change) => design & only(change));
}

/** What makes RecVAE that design. */
export function optionsOf(design: Design): RecvaeOptions {
  return Object.fromEntries(
    description.changes.map((change, at) => [change.option, design & only(at) ? change.with : change.without]),
  );
}

/** None, each alone, each taken out of the whole, all four; or with `all` every combination, by number of changes. */
export function designsOf(all: boolean): Design[] {
  const size = (design: Design) => changesOf(design).length;
  const every = Array.from({ length: WHOLE + 1 }, (_, design) => design);
  const extreme = (design: Design) => size(design) <= 1 || size(design) >= CHANGES.length - 1;
  return every.filter((design) => all || extreme(design)).sort((a, b) => size(a) - size(b) || a - b);
}

/**
 * What a change is put to the test against.
 *
 * - `alone`: RecVAE with this change only, against RecVAE without any.
 * - `last`: RecVAE whole, against RecVAE without this change.
 * - `main`: the main effect, the mean over the pairs of designs that differ in this change only; of all designs.
 */
export type ComparisonKind = 'alone' | 'last' | 'main';

/** One comparison: the designs with the change, and in the same order those without it. */
interface Contrast {
  change: string;
  kind: ComparisonKind;
  with: Design[];
  without: Design[];
}

/** All comparisons, kind by kind: the family over which p-values are corrected. */
export function contrastsOf(all: boolean): Contrast[] {
  const kinds: [ComparisonKind, (change: Design) => Design[]][] = [
    ['alone', (change) => [change]],
    ['last', () => [WHOLE]],
  ];
  if (all) kinds.push(['main', (change) => designsOf(true).filter((design) => design & change)]);
  return kinds.flatMap(([kind, designs]) =>
    CHANGES.map((change, at) => {
      const having = designs(only(at));
      return { change, kind, with: having, without: having.map((design) => design - only(at)) };
    }),
  );
}
