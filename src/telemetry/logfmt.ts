/**
 * A line of the log as `key=value` pairs, for `grep` and tools that read logfmt.
 *
 * A value with a space, a quote, `=` or a control character stands in quotes, escaped as in JSON. Objects become keys with
 * dots (`timings_ms.connect=12`), lists a quoted list with commas; what is null is left out.
 */
import { escapeJsonControls } from './json-line.ts';

const PLAIN = /^[^\s"=\\\p{C}\p{Z}]+$/u;

/** `fields` on one line, without a line end. */
export function logfmtOf(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .flatMap(([key, value]) => pairsOf(key, value))
    .join(' ');
}

function pairsOf(key: string, value: unknown): readonly string[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return [`${key}=${quoted(value.map(String).join(','))}`];
  if (typeof value === 'object')
    return Object.entries(value).flatMap(([inner, each]) => pairsOf(`${key}.${inner}`, each));
  return [`${key}=${quoted(typeof value === 'string' ? value : JSON.stringify(value))}`];
}

function quoted(text: string): string {
  return PLAIN.test(text) ? text : escapeJsonControls(JSON.stringify(text));
}
