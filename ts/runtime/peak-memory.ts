/** The largest memory of the process during a piece of work. */
import { readFileSync } from 'node:fs';

/** Milliseconds between two looks at the resident set. */
const INTERVAL = 5;

/**
 * Bytes of the line `VmHWM`, the largest resident set that the process ever had; undefined where there is no such file.
 */
function highWaterMark(): number | undefined {
  try {
    const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    return line ? Number(line[1]) * 1024 : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Runs `work` and tells the peak resident set of the process meanwhile, in bytes; what was resident before counts too,
 * and so does what other work of the process takes at the same time.
 *
 * The resident set is looked at every few milliseconds, so that shorter peaks can be missed; on Linux not where the
 * process was never as large before, which the system itself writes down. That mark is read and not set back: it is the
 * whole process's, and measurements may overlap.
 */
export async function withPeakMemory<T>(work: () => Promise<T>): Promise<{ result: T; peakMemory: number }> {
  const before = highWaterMark();
  let peak = process.memoryUsage.rss();
  const sample = () => {
    peak = Math.max(peak, process.memoryUsage.rss());
  };
  const timer = setInterval(sample, INTERVAL).unref();
  try {
    const result = await work();
    sample();
    const after = highWaterMark();
    const grown = before !== undefined && after !== undefined && after > before;
    return { result, peakMemory: grown ? Math.max(after, peak) : peak };
  } finally {
    clearInterval(timer);
  }
}
