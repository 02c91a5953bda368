/**
 * The result of one delivery attempt.
 *
 * The question that decides everything is whether the final dot may have been written. Before it, the attempt can be
 * repeated freely, over any route; after it, without an answer, the outcome is `uncertain` and a copy may exist.
 */

/** How far the SMTP conversation had come when it ended. `dot`: the content was sent and answered. */
export const STAGES = [
  'dns',
  'connect',
  'greeting',
  'ehlo',
  'starttls',
  'auth',
  'mail',
  'rcpt',
  'data',
  'dot',
] as const;
export type Stage = (typeof STAGES)[number];

/** Whose fault it was. `route`: the next hop itself is unwell (421, out of quota), not this recipient. */
export type Cause = 'local' | 'dns' | 'connect' | 'tls' | 'auth' | 'route' | 'recipient' | 'content';

/** Whole milliseconds per phase; a phase that did not happen is absent. */
export interface Timings {
  /** From acceptance, or from the moment the retry was due, to the start of the attempt. */
  readonly queue?: number;
  readonly connect?: number;
  readonly tls?: number;
  /** Greeting, EHLO and AUTH; absent on a reused connection. */
  readonly session?: number;
  /** MAIL to the answer to the final dot. */
  readonly transaction?: number;
}

/** What is recorded of every attempt, whatever its outcome. */
export interface AttemptFacts {
  readonly stage: Stage;
  /** `host:port` that was spoken to, or tried; null when it did not come so far. */
  readonly nextHop: string | null;
  readonly tls: { readonly version: string; readonly cipher: string } | null;
  /** SMTP reply code and enhanced code, or null when no reply came. */
  readonly code: number | null;
  readonly enhanced: string | null;
  /** Reply text or error text: one line, cleaned, cut, free of what might be secret. */
  readonly response: string;
  readonly timings: Timings;
  /** The next hop offered DSN (RFC 3461), and what the sender asked for with NOTIFY was passed on to it. */
  readonly dsnPassedOn?: boolean;
}

export type Outcome =
  /** The next hop took responsibility (2xx to the final dot). */
  | ({ readonly kind: 'delivered' } & AttemptFacts)
  /** Not now; a later attempt, on any route, is safe: the final dot was never written, or it was refused with 4xx. */
  | ({ readonly kind: 'deferred'; readonly cause: Cause } & AttemptFacts)
  /** Never: a 5xx to this recipient, sender or content. */
  | ({ readonly kind: 'rejected'; readonly cause: Cause } & AttemptFacts)
  /** The final dot may have been written and no answer came: the next hop may have the message. */
  | ({ readonly kind: 'uncertain'; readonly cause: Cause } & AttemptFacts);
