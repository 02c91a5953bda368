/**
 * How long each phase of a conversation with a next hop may take. All are wall-clock limits, not idle limits: a server that
 * drips one octet a second runs into them like one that says nothing.
 *
 * RFC 5321, section 4.5.3.2 recommends minutes: 5 for each command, 10 for the answer to the final dot. Recovery mail is
 * worthless by then, so they are shorter. An answer to the dot that comes later than `dotMs` is never read: the attempt is
 * `uncertain` and the repetition can make one extra copy. Connecting has its limit in the route's config.
 *
 * For critical mail the phases up to AUTH are shorter still. To give up there costs nothing: no word of the message was said,
 * and the attempt goes on over the next host or route at once. A healthy server needs a second or two for all of them; those
 * that greet late on purpose, to catch spammers, mostly wait 5 or 6 s. From MAIL to DATA it is `criticalMs` too where another
 * route is left, else `criticalEnvelopeMs`. From the content on the limits are the same for all lanes: after the dot, to give up
 * may cost a copy.
 */
import type { Priority } from '../../core/message.ts';

/** All in milliseconds. */
export interface SmtpTimeouts {
  /** From the connection (or the end of the TLS handshake) to the answer to EHLO. */
  readonly greetingMs: number;
  /** The TLS handshake, with STARTTLS from its 220 on. */
  readonly tlsMs: number;
  /** AUTH with all its steps. */
  readonly authMs: number;
  /** For critical mail, none of the three above is longer than this, nor the one below where another route is left. */
  readonly criticalMs: number;
  /** From MAIL to the answer to DATA. */
  readonly envelopeMs: number;
  /** The same at most for critical mail that has no other route. */
  readonly criticalEnvelopeMs: number;
  /**
   * On a connection that was used before: from MAIL to its answer. A connection can die without a word (a firewall forgot
   * it); when this passes, the message goes over a fresh one within the same attempt.
   */
  readonly reusedMs: number;
  /** Writing the content up to the final dot, plus `contentPerMegabyteMs` for each started megabyte. */
  readonly contentMs: number;
  readonly contentPerMegabyteMs: number;
  /** From the final dot to its answer. */
  readonly dotMs: number;
  /** From QUIT to the end of the connection. */
  readonly quitMs: number;
  /** An unused connection is closed after this; servers commonly wait 60 s to 300 s before they close it. */
  readonly idleMs: number;
}

export const SMTP_TIMEOUTS: SmtpTimeouts = {
  greetingMs: 30_000,
  tlsMs: 15_000,
  authMs: 15_000,
  criticalMs: 10_000,
  envelopeMs: 60_000,
  criticalEnvelopeMs: 30_000,
  reusedMs: 10_000,
  contentMs: 180_000,
  contentPerMegabyteMs: 10_000,
  dotMs: 60_000,
  quitMs: 5_000,
  idleMs: 30_000,
};

/**
 * `timeouts` as they hold for mail of `priority`; `hasAlternative`: it can go over another route. Nothing that is said before
 * the final dot can cost a copy, so critical mail waits no longer there than it must. Where there is no other way, it gives
 * a server time that checks the sender at RCPT, as some do for 20 s and more.
 */
export function timeoutsFor(timeouts: SmtpTimeouts, priority: Priority, hasAlternative = false): SmtpTimeouts {
  if (priority !== 'critical') return timeouts;
  const { criticalMs } = timeouts;
  return {
    ...timeouts,
    greetingMs: Math.min(timeouts.greetingMs, criticalMs),
    tlsMs: Math.min(timeouts.tlsMs, criticalMs),
    authMs: Math.min(timeouts.authMs, criticalMs),
    envelopeMs: Math.min(timeouts.envelopeMs, hasAlternative ? criticalMs : timeouts.criticalEnvelopeMs),
  };
}
