/** Packages that only some calls need, and that users install when they want those. */
import { RecvaeError } from './errors.js';

/**
 * What `import('name').catch` is given where the package may be absent. The import is literal, so that tracers find it;
 * with a `catch` of its own, or the comment that webpack reads, bundlers do not ask for a package that is not there.
 * `what`: what needs it.
 */
export function absent(what: string, name: string): (cause: unknown) => never {
  return (cause) => {
    const { code, message } = cause as NodeJS.ErrnoException;
    // ERR_MODULE_NOT_FOUND, and MODULE_NOT_FOUND where a bundler made it a require.
    const why = code?.endsWith('MODULE_NOT_FOUND') ? 'is not installed' : `cannot be loaded (${message})`;
    const text = `${what} needs the package ${name}, which ${why}; the way out: npm install ${name}`;
    throw new RecvaeError('INVALID_ARGUMENT', text, { cause });
  };
}
