import { expect, test } from 'vitest';
import { STAGES, type Stage } from '../../src/core/outcome.ts';
import { verdictOfFailure, verdictOfReply } from '../../src/delivery/outcome-of-reply.ts';
import { parseReply } from '../../src/mail/reply.ts';

/** Stage, reply, and what it means: `kind cause`. */
const REPLIES: readonly (readonly [Stage, string, string])[] = [
  // The only way to be delivered.
  ['dot', '250 2.0.0 Ok: queued as 1', 'delivered'],
  ['dot', '251 will forward', 'delivered'],
  // Refusals of the recipient.
  ['rcpt', '450 4.2.1 mailbox busy', 'deferred recipient'],
  ['rcpt', '452 4.2.2 mailbox full', 'deferred recipient'],
  ['rcpt', '451 greylisted', 'deferred recipient'],
  ['rcpt', '450 4.7.1 greylisted', 'deferred recipient'],
  ['rcpt', '451 4.7.1 greylisted', 'deferred recipient'],
  ['rcpt', '550 5.1.1 no such user', 'rejected recipient'],
  ['rcpt', '553 5.1.3 bad address syntax', 'rejected recipient'],
  ['rcpt', '550 5.7.1 blocked by policy', 'rejected recipient'],
  ['rcpt', '501 5.1.3 bad recipient syntax', 'rejected recipient'],
  // Refusals of the sender or the content: final, but nothing against the recipient.
  ['mail', '550 5.7.1 sender not allowed', 'rejected content'],
  ['mail', '552 5.3.4 message too big', 'rejected content'],
  ['mail', '501 5.1.7 bad sender syntax', 'rejected content'],
  ['data', '554 5.7.1 not for you', 'rejected content'],
  ['dot', '554 5.7.1 looks like spam', 'rejected content'],
  ['dot', '552 5.7.0 attachment type blocked', 'rejected content'],
  ['dot', '500 line too long', 'rejected content'],
  ['dot', '451 4.3.0 try later', 'deferred content'],
  ['dot', '450 4.7.1 try again later', 'deferred content'],
  // The route's own trouble is never a bounce.
  ['mail', '450 4.7.1 too many messages', 'deferred route'],
  ['mail', '451 4.5.1 something', 'deferred route'],
  ['mail', '454 4.7.0 Throttling failure: Maximum sending rate exceeded', 'deferred route'],
  ['mail', '451 4.7.500 server busy', 'deferred route'],
  ['mail', '452 4.3.1 insufficient storage', 'deferred route'],
  ['mail', '451 local error', 'deferred route'],
  ['data', '451 4.3.0 local error', 'deferred route'],
  ['rcpt', '452 4.3.1 insufficient storage', 'deferred route'],
  ['dot', '452 4.3.1 insufficient storage', 'deferred route'],
  ['dot', '454 Throttling failure: Daily message quota exceeded.', 'deferred route'],
  ['rcpt', '550 5.4.5 Daily user sending quota exceeded', 'deferred route'],
  ['dot', '550 5.4.5 Daily user sending quota exceeded', 'deferred route'],
  ['mail', '503 5.5.1 EHLO first', 'deferred route'],
  ['rcpt', '503 5.5.1 out of sequence', 'deferred route'],
  ['data', '503 5.5.1 RCPT first', 'deferred route'],
  ['mail', '502 5.5.2 not implemented', 'deferred route'],
  // 421 is the server going away, wherever it says so.
  ...(['greeting', 'ehlo', 'starttls', 'auth', 'mail', 'rcpt', 'data', 'dot'] as const).map(
    (stage) => [stage, '421 4.3.2 shutting down', 'deferred route'] as const,
  ),
  // Before the transaction nothing is about the message.
  ['greeting', '554 5.7.1 your address is listed', 'deferred route'],
  ['greeting', '450 busy', 'deferred route'],
  ['ehlo', '550 5.7.1 bad name', 'deferred route'],
  ['starttls', '454 4.7.0 TLS not available', 'deferred tls'],
  ['starttls', '502 5.5.1 unknown command', 'deferred tls'],
  ['auth', '535 5.7.8 wrong password', 'deferred auth'],
  ['auth', '454 4.7.0 temporary failure', 'deferred auth'],
  // Not logged in, or not allowed to relay.
  ['mail', '530 5.7.0 authentication required', 'deferred auth'],
  ['mail', '535 5.7.8 credentials invalid', 'deferred auth'],
  ['mail', '550 5.7.0 not authorised', 'deferred auth'],
  ['rcpt', '530 authentication required', 'deferred auth'],
  ['dot', '530 5.7.57 Client not authenticated to send mail', 'deferred auth'],
  ['rcpt', '554 5.7.1 <ann@example.net>: Relay access denied', 'deferred auth'],
  ['rcpt', '550 5.7.1 relaying denied', 'deferred auth'],
  ['rcpt', '550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain', 'deferred auth'],
  ['rcpt', '550 relay not permitted', 'deferred auth'],
  // Replies that answer nothing.
  ['data', '250 2.0.0 ok', 'deferred route'],
  ['mail', '354 go on', 'deferred route'],
  ['dot', '354 go on', 'uncertain route'],
];

test.each(REPLIES)('%s answered with "%s" is %s', (stage, text, expected) => {
  const reply = parseReply(text);
  expect(reply).not.toBeNull();
  expect(said(verdictOfReply(stage, reply))).toBe(expected);
});

/** A recipient's own server, with whom there is no login. */
const MX_REPLIES: readonly (readonly [Stage, string, string])[] = [
  ['mail', '530 5.7.0 Must issue a STARTTLS command first', 'deferred tls'],
  ['mail', '550 5.7.0 not authorised', 'rejected content'],
  ['rcpt', '554 5.7.1 Relay access denied', 'rejected recipient'],
  ['rcpt', '530 authentication required', 'rejected recipient'],
  ['rcpt', '450 4.7.1 greylisted', 'deferred recipient'],
  ['rcpt', '421 4.7.0 too many connections', 'deferred route'],
  ['mail', '451 4.5.0 busy', 'deferred route'],
  ['mail', '503 5.5.1 EHLO first', 'deferred route'],
];

test.each(MX_REPLIES)('at a recipient\'s own server, %s answered with "%s" is %s', (stage, text, expected) => {
  expect(said(verdictOfReply(stage, parseReply(text), 'mx'))).toBe(expected);
});

test.each(STAGES)('garbage at %s decides nothing: uncertain after the dot, deferred before it', (stage) => {
  expect(verdictOfReply(stage, null).kind).toBe(stage === 'dot' ? 'uncertain' : 'deferred');
});

test.each([
  ['connect', 'connect', 'deferred connect'],
  ['dns', 'dns', 'deferred dns'],
  ['starttls', 'tls', 'deferred tls'],
  ['starttls', 'lost', 'deferred tls'],
  ['starttls', 'timeout', 'deferred tls'],
  ['auth', 'auth', 'deferred auth'],
  ['auth', 'lost', 'deferred route'],
  ['greeting', 'timeout', 'deferred route'],
  ['mail', 'lost', 'deferred route'],
  ['data', 'timeout', 'deferred route'],
  ['data', 'protocol', 'deferred route'],
  ['data', 'aborted', 'deferred local'],
  ['dot', 'lost', 'uncertain route'],
  ['dot', 'timeout', 'uncertain route'],
  ['dot', 'protocol', 'uncertain route'],
  ['dot', 'aborted', 'uncertain local'],
] as const)('%s ended by "%s" is %s', (stage, reason, expected) => {
  expect(said(verdictOfFailure(stage, reason))).toBe(expected);
});

function said(verdict: ReturnType<typeof verdictOfFailure>): string {
  return verdict.kind === 'delivered' ? verdict.kind : `${verdict.kind} ${verdict.cause}`;
}
