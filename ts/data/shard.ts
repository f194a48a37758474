/** A part of the work for one machine of several. */

/** Shard `index`, from 0, of `of`, as Kubernetes and Slurm number them. */
export interface Shard {
  /** Which one: 0 to `of` - 1. */
  index: number;
  /** How many there are, 1 to 1,048,576. */
  of: number;
}

/** The shard in words: `2/4`. */
export function shardText({ index, of }: Shard): string {
  return `${index}/${of}`;
}
