/**
 * A refusal at submission: a mail problem, hence a value. It has two texts: one for the client, which gives nothing
 * away about other people's accounts, and the whole reason for the log.
 */

export interface Refusal {
  readonly kind: 'refused';
  /** SMTP reply code, 4xx or 5xx. */
  readonly code: number;
  /** Enhanced status code (RFC 3463): `5.7.1`. */
  readonly enhanced: string;
  /** For the client: printable ASCII, one line, without the codes. */
  readonly text: string;
  /** For the log; never holds a subject, a link or a password. */
  readonly reason: string;
}

/** Builds a refusal; `reason` defaults to the client's text. */
export function refuse(code: number, enhanced: string, text: string, reason: string = text): Refusal {
  return { kind: 'refused', code, enhanced, text, reason };
}
