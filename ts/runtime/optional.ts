/** Packages that only some calls need, and that users install when they want those. */
import { RecvaeError } from './errors.js';

/** Loads one; `load` has the literal import, which bundlers follow. `what`: what needs it. */
export async function optionalPackage<T>(what: string, name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    // ERR_MODULE_NOT_FOUND, and MODULE_NOT_FOUND where a bundler made it a require.
    const why = code?.endsWith('MODULE_NOT_FOUND') ? 'is not installed' : `cannot be loaded (${message})`;
    const text = `${what} needs the package ${name}, which ${why}; the way out: npm install ${name}`;
    throw new RecvaeError('INVALID_ARGUMENT', text, { cause });
  }
}
