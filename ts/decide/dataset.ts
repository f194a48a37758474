/** The data that something is decided on. */
import type { Interactions } from '../data/interactions.js';
import { Split, split } from '../data/split.js';
import { RecvaeError } from '../runtime/errors.js';
import { description } from '../runtime/native.js';
import type { SplitOptions } from '../runtime/options.generated.js';

/** The split's; it stands for all of them, so that `seed` in a report repeats the run. */
export const DEFAULT_SEED = description.split.find(({ name }) => name === 'seed')!.default as number;

/**
 * The split that a comparison or an ablation on `input` works with.
 *
 * @throws {@link RecvaeError} `INVALID_ARGUMENT` if options of a split stand beside a ready one, which they would not
 * change.
 */
export async function splitFor(
  input: Split | Interactions,
  options: { seed?: number | undefined; split?: SplitOptions | undefined; signal?: AbortSignal | undefined },
): Promise<Split> {
  if (input instanceof Split) {
    if (options.split === undefined) return input;
    const text = 'options.split has no meaning beside a ready split; allowed: interactions with options.split';
    throw new RecvaeError('INVALID_ARGUMENT', text);
  }
  const seed = options.split?.seed ?? options.seed ?? DEFAULT_SEED;
  return split(input, { ...options.split, seed }, { signal: options.signal });
}

/** Fails if there are not enough users for a paired comparison. */
export function checkTestUsers({ test }: Split): void {
  if (test.nScored >= 2) return;
  const text = `${test.nScored} of ${test.nUsers} test users have anything to find; allowed: 2 or more`;
  throw new RecvaeError('INVALID_DATA', text);
}

/** The data of a report: all parts of a split together. */
export function datasetOf(split: Split) {
  const { users, interactions } = split.totals();
  const items = split.train.nItems;
  return { users, items, interactions, density: interactions / (users * items) };
}
