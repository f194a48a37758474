/** Text from anywhere, such as an id or a path, as a terminal, a page or a shell may have it. */

/**
 * What a terminal obeys instead of showing it, or what makes text look like other text: the control characters C0, DEL
 * and C1, separators of lines, and marks and overrides of the direction of writing.
 */
const OBEYED = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
/** The same but for the ends of lines. */
const OBEYED_IN_LINES = new RegExp(`(?!\n)${OBEYED.source}`, 'gu');

const NAMED: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** As JSON writes it. */
function spelt(character: string): string {
  return NAMED[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** As one line that is shown and not obeyed. */
export function escaped(text: string): string {
  return text.replace(OBEYED, spelt);
}

/** The same in lines as they are. */
export function escapedInLines(text: string): string {
  return text.replace(OBEYED_IN_LINES, spelt);
}

/** A word as a shell takes it, also one of characters that a terminal would obey. */
export function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  const text = escaped(word);
  // Escapes are understood between $' and ', where backslashes need one, too.
  if (text !== word) return `$'${escaped(word.replace(/[\\']/g, '\\$&'))}'`;
  return quoted(word);
}

/** Text within single quotes, as a shell takes it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
