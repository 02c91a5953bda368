/**
 * What may be written of an exception that nobody expected, wherever it ends up: a log, a terminal, a reply of the store.
 *
 * Mail was at hand when it was thrown, and messages quote what they are about (`"https://..." is not valid JSON`). So of a bug
 * its name, its code and the places in the program are told, and its message only when it is one of those that the language
 * or the system makes without data of ours. A `RelayError` is no bug: its message was written for the operator.
 * Not for text that a next hop or a client has sent: that is cleaned where it comes in (`mail/clean.ts`).
 */
import { errorCode, RelayError } from './errors.ts';

/** A bug in another thread, told by `bugText` over there. */
export class ToldBug extends Error {
  override readonly name = 'ToldBug';
}

const MAX_FRAMES = 8;
/** Made by V8, of names in the program alone. */
const PLAIN_MESSAGES: readonly RegExp[] = [
  /^Cannot (?:read|set) properties of (?:undefined|null) \((?:reading|setting) '[#\w$]{1,60}'\)$/,
  /^Cannot access '[\w$]{1,60}' before initialization$/,
  /^Assignment to constant variable\.$/,
  /^[\w$.]{1,100} is not (?:a function|a constructor|defined|iterable)$/,
  /^(?:undefined|null|object null) is not (?:a function|iterable)(?: \(cannot read property Symbol\(Symbol\.iterator\)\))?$/,
  /^Maximum call stack size exceeded$/,
  /^Invalid (?:array length|string length|time value)$/,
  /^Array buffer allocation failed$/,
];
const FRAME = /^ {4}at (?:async )?(?:[\w$.<>#[\] ]{1,120} \()?(?:file:\/\/|node:|\/)[^\s()]{1,300}:\d+:\d+\)?$/;

/** `thrown` on one line, without anything that may come from mail. */
export function bugText(thrown: unknown): string {
  if (thrown instanceof RelayError || thrown instanceof ToldBug) return thrown.message.replace(/\s+/g, ' ').trim();
  if (!(thrown instanceof Error)) return `a ${typeof thrown} was thrown; it is withheld, because it may quote mail`;
  const code = errorCode(thrown);
  const told = mayBeTold(thrown, code) ? thrown.message : 'its message is withheld, because it may quote mail';
  const frames = framesOf(thrown).map((frame) => frame.trim());
  const head = `${nameOf(thrown)}${code === null || !/^[A-Z][A-Z0-9_]{1,60}$/.test(code) ? '' : ` ${code}`}: ${told}`;
  return [head, ...frames].join(' ').replace(/\s+/g, ' ').trim();
}

function mayBeTold(error: Error, code: string | null): boolean {
  // What the system and SQLite say names files, calls and tables.
  if (code !== null && (code.startsWith('SQLITE_') || ('syscall' in error && /^E[A-Z0-9]+$/.test(code)))) return true;
  return PLAIN_MESSAGES.some((message) => message.test(error.message));
}

function nameOf(error: Error): string {
  return /^[A-Z][A-Za-z]{1,60}$/.test(error.name) ? error.name : 'Error';
}

/** The places of the program; the message, of which the stack begins with a copy, may look like some. */
function framesOf(error: Error): readonly string[] {
  const stack = typeof error.stack === 'string' ? error.stack : '';
  const message = stack.indexOf(error.message);
  if (message === -1) return [];
  const lines = stack.slice(message + error.message.length).split('\n', MAX_FRAMES + 1);
  const frames = lines.slice(1);
  const other = frames.findIndex((line) => !FRAME.test(line));
  return other === -1 ? frames : frames.slice(0, other);
}
