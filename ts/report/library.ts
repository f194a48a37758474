/**
 * All that comes from packages: set-up bundles this file, so that whoever installs this package needs none of them.
 * Their licences are in `licences.txt` beside it.
 */
export {
  axisX,
  axisY,
  barX,
  dot,
  line,
  link,
  type Markish,
  type PlotOptions,
  plot,
  rect,
  ruleX,
  ruleY,
  text,
} from '@observablehq/plot';
export { parseHTML } from 'linkedom';
