/** What a model file keeps of its training users, so that `evaluate` can tell whether it is given the same ones. */
import { createHash } from 'node:crypto';
import type { Json } from '../models.js';
import type { Split } from '../split.js';

/** How many training users there were, and the SHA-256 of their sorted ids, joined by line feeds. */
export interface TrainingUsers {
  count: number;
  sha256: string;
}

/** The training users of a split. */
export function trainingUsers({ train }: Split): TrainingUsers {
  const ids = train.userIds().sort();
  return { count: ids.length, sha256: createHash('sha256').update(ids.join('\n')).digest('hex') };
}

/** Whether a model of that info was trained on the training users of the split; `null` if the info does not say. */
export function sameTrainingUsers(info: Json, split: Split): boolean | null {
  const kept = (info as { trainingUsers?: TrainingUsers } | null)?.trainingUsers;
  if (typeof kept?.sha256 !== 'string') return null;
  return kept.sha256 === trainingUsers(split).sha256;
}
