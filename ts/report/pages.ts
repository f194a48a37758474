/** The page of each command's report. */
import { ablationPage } from './pages/ablate.js';
import { advicePage } from './pages/advise.js';
import { comparisonPage } from './pages/compare.js';
import { tuningPage } from './pages/tune.js';
import type { Read } from './read.js';
import { type Page, pageOf } from './shell.js';

/** The whole page of a report. */
export function pageFor(read: Read): string {
  return pageOf(partsOf(read));
}

function partsOf(read: Read): Page {
  switch (read.kind) {
    case 'compare':
      return comparisonPage(read.report);
    case 'tune':
      return tuningPage(read.report);
    case 'ablate':
      return ablationPage(read.report);
    case 'advise':
      return advicePage(read.report);
  }
}
