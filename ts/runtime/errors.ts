import { types } from 'node:util';
import { native } from './native.js';

/**
 * What kind of failure a {@link RecvaeError} is.
 *
 * - `INVALID_ARGUMENT`: a name, option or argument that is not allowed: the caller's mistake.
 * - `INVALID_DATA`: data that cannot be understood or used; the message has file, line and column where there are such.
 * - `INVALID_MODEL_FILE`: a model file or a checkpoint that is truncated, altered or of another program.
 * - `NUMERICAL`: the arithmetic left the finite numbers; the message names the way out.
 * - `MEMORY`: a fit would take more memory than there is; the message has the figures and the way out.
 * - `IO`: the operating system refused a file operation.
 * - `INTERNAL`: a bug in this package. If the native part found it, the message says where, with the calls that led
 *   there.
 */
export type RecvaeErrorCode =
  | 'INVALID_ARGUMENT'
  | 'INVALID_DATA'
  | 'INVALID_MODEL_FILE'
  | 'NUMERICAL'
  | 'MEMORY'
  | 'IO'
  | 'INTERNAL';

/** The one error class of this package. Its message says what was wrong, the value found and what is allowed. */
export class RecvaeError extends Error {
  /** Tells it from other errors in a printout. */
  override readonly name = 'RecvaeError';
  /** What kind of failure it is. */
  readonly code: RecvaeErrorCode;

  constructor(code: RecvaeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Whether something is an error, of any realm; a DOMException, such as a signal's reason, is one. */
function isError(thrown: unknown): thrown is Error {
  return types.isNativeError(thrown) || Object.prototype.toString.call(thrown) === '[object DOMException]';
}

const CODES: ReadonlySet<string> = new Set<RecvaeErrorCode>([
  'INVALID_ARGUMENT',
  'INVALID_DATA',
  'INVALID_MODEL_FILE',
  'NUMERICAL',
  'MEMORY',
  'IO',
  'INTERNAL',
]);

/**
 * Anything that was thrown, as a {@link RecvaeError}: the core's codes, napi's conversion failures, Node's file errors.
 */
export function toRecvaeError(thrown: unknown): RecvaeError {
  if (thrown instanceof RecvaeError) return thrown;
  if (!isError(thrown)) return new RecvaeError('INTERNAL', `internal error: ${String(thrown)}`);
  const { code: mark, syscall } = thrown as NodeJS.ErrnoException;
  const code = typeof mark === 'string' ? mark : undefined; // of a DOMException it is a number
  const known = code !== undefined && CODES.has(code);
  if (known) return new RecvaeError(code as RecvaeErrorCode, thrown.message, { cause: thrown });
  if (syscall !== undefined) return new RecvaeError('IO', wordsOf(thrown), { cause: thrown });
  // napi could not convert an argument: `StringExpected`, `InvalidArg`, …; or Node takes no such path: one with a null
  // byte.
  if (code === 'InvalidArg' || code === 'ERR_INVALID_ARG_VALUE' || code?.endsWith('Expected')) {
    return new RecvaeError('INVALID_ARGUMENT', thrown.message, { cause: thrown });
  }
  // What napi makes of a panic has no more than its message.
  const calls = code === 'GenericFailure' ? native.panicCalls(thrown.message) : null;
  return new RecvaeError('INTERNAL', `internal error: ${thrown.message}${calls ?? ''}`, { cause: thrown });
}

/** What Node says of one file, `ENOENT: no such file or directory, open 'x'`, in the words of the core. */
function wordsOf({ message, code, syscall, path }: NodeJS.ErrnoException): string {
  const [, what] = /^\w+: (.*), \w+ '.*'$/s.exec(message) ?? [];
  if (what === undefined || path === undefined || message.includes("' -> '")) return message;
  return `cannot ${syscall} ${path}: ${what} (${code})`;
}

/** Calls into the binding, whose failures become {@link RecvaeError}s. */
export function guard<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw toRecvaeError(thrown);
  }
}

/** The same for promises, also where the call itself throws. */
export async function guardAsync<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    throw toRecvaeError(thrown);
  }
}

/**
 * Options as the JSON text that the core checks. `undefined` takes the default. JSON would write NaN and infinities as
 * `null`, and has no bigints; as words they reach the core's message.
 */
export function toJson(options: object | undefined): string {
  try {
    const text = JSON.stringify(options ?? {}, function (this: Record<string, unknown>, key, value) {
      if (typeof value === 'bigint') return `${value}n`;
      if (typeof value === 'number' && !Number.isFinite(value)) return `${value}`;
      // A date that is none has become null, which says nothing of what was given.
      return value === null && this[key] !== null ? String(this[key]) : value;
    });
    if (text !== undefined) return text;
  } catch {
    // circular
  }
  throw new RecvaeError('INVALID_ARGUMENT', 'options is not JSON; allowed: an object {name: value}');
}
