/** `--set key=value`. */
import { BLEND, type CompareOptions, order } from '../decide/compare/options.js';
import { RecvaeError } from '../runtime/errors.js';
import { allModels } from '../runtime/native.js';

/** Adds one `key=value` to those before it; the value is JSON where it can be read as such, and a word otherwise. */
export function addSetting(text: string, before: Record<string, unknown> = {}): Record<string, unknown> {
  const at = text.indexOf('=');
  if (at < 1) throw new RecvaeError('INVALID_ARGUMENT', `--set is '${text}'; allowed: option=value`);
  return { ...before, [text.slice(0, at)]: parse(text.slice(at + 1)) };
}

/** What people write for numbers; `0x10` and `1_000` are words. */
const DECIMAL = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

/** JSON, or a word. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // `.005` is a number to people, though not to JSON.
    return DECIMAL.test(text) && Number.isFinite(Number(text)) ? Number(text) : text;
  }
}

/** `{'ease.lambda': 1}` as `{ease: {lambda: 1}}`. */
export function byModel(settings: Record<string, unknown> | undefined): CompareOptions['options'] {
  const result: Record<string, Record<string, unknown>> = {};
  for (const [key, value] of Object.entries(settings ?? {})) {
    const at = key.indexOf('.');
    const model = key.slice(0, Math.max(at, 0));
    if (!allModels.some(({ name }) => name === model)) {
      const names = allModels.map(({ name }) => name).join(', ');
      throw new RecvaeError('INVALID_ARGUMENT', `--set is '${key}'; allowed: model.option with one of ${names}`);
    }
    result[model] = { ...result[model], [key.slice(at + 1)]: value };
  }
  return result as CompareOptions['options'];
}

/** Fails for an option of a model that is not among the compared ones, which would change nothing. */
export function refuseIdle(settings: Record<string, unknown> | undefined, models: string[] | undefined): void {
  const compared: string[] = [...order(models), ...(models?.includes(BLEND) ? [BLEND] : [])];
  for (const key of Object.keys(settings ?? {})) {
    if (compared.includes(key.slice(0, key.indexOf('.')))) continue;
    const names = compared.map((name) => `${name}.`).join(', ');
    throw new RecvaeError('INVALID_ARGUMENT', `--set is '${key}', of a model that is not compared; allowed: ${names}`);
  }
}
