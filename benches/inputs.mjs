// What benches of accuracy are given.
import { existsSync, statSync } from 'node:fs';
import { Interactions, Split, split } from '../dist/index.js';

/** The split of a file of interactions, of a folder with an official split, or of a built-in data set by its name. */
export async function splitOf(input, seed) {
  if (!existsSync(input)) return split(await Interactions.dataset(input), { seed });
  if (statSync(input).isDirectory()) return Split.fromOfficial(input);
  return split(await Interactions.fromFile(input), { seed });
}
