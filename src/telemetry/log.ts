/**
 * The relay's log: one JSON line per fact, with the same field names everywhere.
 *
 * Never logged: subject, body, link, password, or a remote text that was not cleaned first.
 */

import type { LogFieldName } from './fields.ts';

/**
 * Fields of a log line. Their names are a closed list, kept in `fields.ts`; a field that is undefined is left out. Every line says
 * what it is about in `event`, so that a search never depends on the words of `msg`.
 */
export type LogFields = Readonly<Partial<Record<LogFieldName, unknown>>> & { readonly event: string };

export interface Log {
  debug(fields: LogFields, text: string): void;
  info(fields: LogFields, text: string): void;
  warn(fields: LogFields, text: string): void;
  error(fields: LogFields, text: string): void;
}

/** A log that keeps nothing, for tests and one-shot commands. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
