/** The compiled core, and what it says about itself. Nothing of it is public. */
import { availableParallelism } from 'node:os';
import { describe } from '../../crates/recvae-node/index.cjs';
import { problem, version } from '../../crates/recvae-node/loader.cjs';
import { DESCRIPTION } from './description.generated.js';
import type { Description, ModelDescription, OptionDescription } from './description.js';

export * as native from '../../crates/recvae-node/index.cjs';
export type { OptionDescription, PublishedSet } from './description.js';

/** The version of this package. */
export { version };

/** Why the core cannot be called: what platform this is, which ones are supported, and how to build it. */
export const noBinary = problem;

/** Without a binary it is what the core said when this package was made, so that help can do without one. */
export const description: Description = problem
  ? { ...DESCRIPTION, threads: availableParallelism() }
  : JSON.parse(describe());

/** What is trained and what is made of that. */
export const allModels: readonly ModelDescription[] = [...description.models, description.blend];

/** Whether any of a model's options is worth searching. */
export function isSearchable({ options }: Pick<ModelDescription, 'options'>): boolean {
  return options.some(({ search }) => search !== null);
}

/** What is worth trying of an option, as `--over` takes it. */
export function searchText({ search }: OptionDescription): string {
  if (search === null) return '';
  return Array.isArray(search) ? search.join(',') : `${search.from}..${search.to}`;
}

/** The options that a model takes. */
export function optionsOf(model: string): OptionDescription[] {
  return allModels.find(({ name }) => name === model)!.options;
}
