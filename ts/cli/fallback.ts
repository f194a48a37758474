/** What is said of models that cannot name popular items. */
import type { Model } from '../models/model.js';
import { message } from './output.js';

/** Warns where a file lacks the numbers of users that popular items are known by. `way` is the way out. */
export function warnOfFallback(file: string, { fallback }: Model, way: string): void {
  if (fallback !== 'none') return;
  message(
    `warning: ${file} does not say how many users have an item, as files of earlier versions: users without a known item get ` +
      `no popular items (${way})`,
  );
}
