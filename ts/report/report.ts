/** Reports as pages. */
import type { AblationReport } from '../decide/ablate/report.js';
import type { AdviceReport } from '../decide/advise/report.js';
import type { ComparisonReport } from '../decide/compare/report.js';
import type { TuneReport } from '../decide/tune/report.js';
import { RecvaeError } from '../runtime/errors.js';
import { readReport, unread } from './read.js';

/**
 * A report as one HTML page, for people who have to decide: the answer and its reasons first, then tables and figures,
 * the data, and how it was made. The page loads nothing, is readable on a phone, has light and dark colours and can be
 * printed. It depends on the report alone. What reports of earlier versions lack is left out.
 *
 * @param report - What {@link compare}, {@link tune}, {@link ablate} or {@link advise} has found, or the same from
 * JSON.
 *
 * @example
 * ```ts
 * const { report } = await compare(data, { seed: 1 });
 * await writeFile('comparison.html', await reportPage(report));
 * ```
 *
 * @throws {@link RecvaeError} `INVALID_DATA` if it is no such report.
 */
export async function reportPage(
  report: ComparisonReport | TuneReport | AblationReport | AdviceReport | unknown,
): Promise<string> {
  const read = readReport(report);
  const { pageFor } = await import('./pages.js'); // with all that draws, which nobody else needs
  try {
    return pageFor(read);
  } catch (thrown) {
    if (thrown instanceof RecvaeError) throw thrown;
    throw unread(`it looks like a report of ${read.kind}, but is not one (${(thrown as Error).message})`);
  }
}
