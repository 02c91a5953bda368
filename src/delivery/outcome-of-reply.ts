/**
 * What the end of an SMTP conversation means for the delivery. Pure: one table for replies, one for failures.
 *
 * The rule behind both: only a word about this recipient or this message is final. A route's own trouble (connection, TLS,
 * AUTH, 421, quota used up, relaying denied) is never a bounce: the attempt is deferred, and another route may take it. After
 * the final dot, only a proper 2xx, 4xx or 5xx decides; anything else leaves the message `uncertain`.
 *
 * Any 4xx to MAIL or DATA is the route's: nothing was said about a recipient that another route could not reach. A 4xx to
 * RCPT is the recipient's (busy, full, greylisted with 450 or 451 4.7.1), unless its code says that it is the server's.
 *
 * A recipient's own server (`mx`) is judged alike but for one thing: we do not log in there, so "authentication required" and
 * "relaying denied" are its final word. 530 to MAIL alone is not: it asks for STARTTLS (RFC 3207, section 4).
 *
 * Codes: RFC 5321, section 4.2; enhanced codes: RFC 3463 and the IANA registry.
 */
import type { Cause, Stage } from '../core/outcome.ts';
import type { SmtpReply } from '../mail/reply.ts';
import type { FailureReason } from './smtp/ending.ts';

export type Verdict =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'deferred' | 'rejected' | 'uncertain'; readonly cause: Cause };

/** AUTH is missing, refused or too weak, or the connection must be encrypted first (RFC 4954, section 6). */
const AUTH_CODES: ReadonlySet<number> = new Set([530, 534, 535, 538]);
/** Credentials invalid, mechanism too weak, encryption needed; 5.7.57 is Exchange's "client not authenticated". */
const AUTH_ENHANCED: ReadonlySet<string> = new Set(['5.7.8', '5.7.9', '5.7.11', '5.7.57']);
/** The dialogue itself went wrong: unknown command, not implemented, out of sequence. */
const DIALOGUE_CODES: ReadonlySet<number> = new Set([500, 502, 503]);
/** A smarthost that does not take mail from us at all says so at RCPT, in words. */
const RELAYING_DENIED =
  /\brelay(?:ing)?\b[^.]{0,60}\b(?:denied|prohibited|not (?:allowed|permitted))|\bunable to relay\b/i;

const deferred = (cause: Cause): Verdict => ({ kind: 'deferred', cause });
const rejected = (cause: Cause): Verdict => ({ kind: 'rejected', cause });

/** Who answers: a server that carries our mail further, or the recipient's own. */
export type HopKind = 'smarthost' | 'mx';

/** The verdict on `reply` (null: what came is not an SMTP reply) of `hop` to the command of `stage`. */
export function verdictOfReply(stage: Stage, reply: SmtpReply | null, hop: HopKind = 'smarthost'): Verdict {
  const code = reply?.code ?? 0;
  if (stage === 'dot' && code >= 200 && code < 300) return { kind: 'delivered' };
  if (reply === null || code < 400) return verdictOfFailure(stage, 'protocol');
  switch (stage) {
    case 'dns':
    case 'connect':
    case 'greeting':
    case 'ehlo':
      return deferred('route');
    case 'starttls':
      return deferred(code === 421 ? 'route' : 'tls');
    case 'auth':
      return deferred(code === 421 ? 'route' : 'auth');
    case 'mail':
    case 'rcpt':
    case 'data':
    case 'dot':
      return verdictOfRefusal(stage, reply, hop);
  }
}

function verdictOfRefusal(stage: 'mail' | 'rcpt' | 'data' | 'dot', reply: SmtpReply, hop: HopKind): Verdict {
  if (isRouteTrouble(reply)) return deferred('route');
  if (hop === 'mx') {
    if (stage === 'mail' && reply.code === 530) return deferred('tls');
  } else if (isAuthTrouble(stage, reply)) {
    return deferred('auth');
  }
  if (reply.code < 500) {
    if (stage === 'rcpt') return deferred('recipient');
    return deferred(stage === 'dot' ? 'content' : 'route');
  }
  if (stage !== 'dot' && DIALOGUE_CODES.has(reply.code)) return deferred('route');
  return rejected(stage === 'rcpt' ? 'recipient' : 'content');
}

/**
 * The server is closing (421), throttles the sender (454, as Amazon SES does after the content), its system is full or
 * stopped (x.3.1, x.3.2), or a quota is used up (x.4.5, "mail system congestion": 550 5.4.5 at Google).
 */
function isRouteTrouble(reply: SmtpReply): boolean {
  if (reply.code === 421 || reply.code === 454) return true;
  const detail = reply.enhanced?.slice(2);
  return detail === '4.5' || (reply.code < 500 && (detail === '3.1' || detail === '3.2'));
}

function isAuthTrouble(stage: Stage, reply: SmtpReply): boolean {
  if (AUTH_CODES.has(reply.code) || AUTH_ENHANCED.has(reply.enhanced ?? '')) return true;
  // Later than MAIL, 5.7.0 is what some servers say about the content.
  if (stage === 'mail' && reply.enhanced === '5.7.0') return true;
  return stage === 'rcpt' && reply.code >= 500 && RELAYING_DENIED.test(reply.text);
}

/** The verdict on a conversation that ended at `stage` without a reply that decides. */
export function verdictOfFailure(stage: Stage, reason: FailureReason): Verdict {
  if (stage === 'dot') return { kind: 'uncertain', cause: reason === 'aborted' ? 'local' : 'route' };
  switch (reason) {
    case 'aborted':
      return deferred('local');
    case 'dns':
    case 'connect':
    case 'tls':
    case 'auth':
      return deferred(reason);
    case 'timeout':
    case 'lost':
    case 'protocol':
      if (stage === 'starttls') return deferred('tls');
      return deferred('route');
  }
}
