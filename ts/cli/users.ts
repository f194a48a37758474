/**
 * What a model's info keeps of its training users. Its file has more, see `training_record.rs` of the core; this
 * remains where that was not saved, and in files of earlier versions.
 */
import { createHash } from 'node:crypto';
import type { Split } from '../data/split.js';
import type { Evaluation } from '../models/evaluate.js';
import type { Json } from '../runtime/json.js';
import { message } from './output.js';

/** How many training users there were, and the SHA-256 of their sorted ids, joined by line feeds. */
interface TrainingUsers {
  count: number;
  sha256: string;
}

/** The training users of a split. */
export function trainingUsers({ train }: Split): TrainingUsers {
  const ids = train.userIds().sort();
  return { count: ids.length, sha256: createHash('sha256').update(ids.join('\n')).digest('hex') };
}

/** Whether a model of that info was trained on the training users of the split; `null` if the info does not say. */
function sameByInfo(info: Json, split: Split): boolean | null {
  const kept = (info as { trainingUsers?: TrainingUsers } | null)?.trainingUsers;
  if (typeof kept?.sha256 !== 'string') return null;
  return kept.sha256 === trainingUsers(split).sha256;
}

/** What is known of whether a model was trained on the users of a split that it is evaluated on. */
export type Trained = Pick<Evaluation, 'sameTrainingUsers' | 'trainedUsers' | 'trainedHistories' | 'warnings'>;

/** The same by the evaluation and, where that does not know, by the model's info. It tells the warnings. */
export function tellTrained(info: Json, split: Split, evaluation: Trained): Trained {
  const { sameTrainingUsers, trainedUsers, trainedHistories } = evaluation;
  let { warnings } = evaluation;
  const unknown = sameTrainingUsers === null && trainedUsers === null;
  // Where the users who are asked are trained on, too, their ids say nothing of the items that they were trained on
  // with.
  const same = unknown && !split.test.areKnown ? sameByInfo(info, split) : sameTrainingUsers;
  if (unknown && same === true) warnings = []; // the parts of a split have no user in common
  if (unknown && same === false) {
    warnings = [
      'this is not the split of the training: these held-out users may have been among the training users, and then the ' +
        'metrics are too good',
    ];
  }
  for (const warning of warnings) message(`warning: ${warning}`);
  return { sameTrainingUsers: same, trainedUsers, trainedHistories, warnings };
}
