import { toRecvaeError } from './errors.js';

/**
 * Runs long work of the binding that reports its progress, and lets all reports arrive before the result. The binding's
 * callback must not throw, for Node would end the process: after `onProgress` has thrown it is not called again, and once
 * the work has ended the promise is rejected with what was thrown.
 */
export async function reporting<P, T>(
  onProgress: ((progress: P) => void) | undefined,
  work: (report: ((progress: P) => void) | undefined) => Promise<T>,
): Promise<T> {
  let thrown: { value: unknown } | undefined;
  const report =
    onProgress &&
    ((progress: P) => {
      if (thrown) return;
      try {
        // The binding could not make the report: a bug, which somebody has to hear of.
        if (progress instanceof Error) throw toRecvaeError(progress);
        onProgress(progress);
      } catch (value) {
        thrown = { value };
      }
    });
  const result = await work(report);
  // Reports come on another queue than the result: let those that wait arrive first.
  await new Promise(setImmediate);
  if (thrown) throw thrown.value;
  return result;
}
