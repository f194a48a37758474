/** `--set key=value`. */
import { RecvaeError } from '../runtime/errors.js';

/** Adds one `key=value` to those before it; the value is JSON where it can be read as such, and a word otherwise. */
export function addSetting(text: string, before: Record<string, unknown> = {}): Record<string, unknown> {
  const at = text.indexOf('=');
  if (at < 1) throw new RecvaeError('INVALID_ARGUMENT', `--set is '${text}'; allowed: option=value`);
  return { ...before, [text.slice(0, at)]: parse(text.slice(at + 1)) };
}

/** JSON, or a word. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // `.005` is a number to people, though not to JSON.
    return /^[-+]?\.?\d/.test(text) && Number.isFinite(Number(text)) ? Number(text) : text;
  }
}
