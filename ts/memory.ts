/** The largest memory of the process during a piece of work. */
import { readFileSync, writeFileSync } from 'node:fs';

/** Bytes of the line `VmHWM`, the largest resident set since the last reset; undefined where there is no such file. */
function highWaterMark(): number | undefined {
  try {
    const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    return line ? Number(line[1]) * 1024 : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Runs `work` and tells the peak resident set of the process meanwhile, in bytes; what was resident before counts too.
 * Linux keeps the peak itself; elsewhere it is sampled, so that short peaks can be missed.
 */
export async function withPeakMemory<T>(work: () => Promise<T>): Promise<{ result: T; peakMemory: number }> {
  let sampled = process.memoryUsage.rss();
  const sample = () => {
    sampled = Math.max(sampled, process.memoryUsage.rss());
  };
  let resets = true;
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    resets = false;
  }
  const timer = setInterval(sample, 20).unref();
  try {
    const result = await work();
    sample();
    return { result, peakMemory: (resets && highWaterMark()) || sampled };
  } finally {
    clearInterval(timer);
  }
}
