/**
 * JSON on one line, safe to show on a terminal and to read with `tail -f`.
 *
 * JSON itself escapes U+0000 to U+001F (ESC, CR, LF among them). It leaves what a terminal or a viewer may still obey: DEL,
 * the C1 controls (U+009B is CSI), U+2028 and U+2029, which some readers take for line ends, and the marks that turn the
 * direction of writing. Inside JSON text these can only stand in strings, so each is written as its \u escape: the
 * value that a JSON reader gets is unchanged.
 */

const STILL_HARMFUL = /[\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Escapes in JSON text the characters that JSON allows but a terminal may obey. */
export function escapeJsonControls(json: string): string {
  return json.replace(STILL_HARMFUL, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** `value` as one line of JSON without the line end, safe to print anywhere. */
export function jsonLine(value: unknown): string {
  return escapeJsonControls(JSON.stringify(value));
}
