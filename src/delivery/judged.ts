/**
 * What one conversation meant: its ending, the verdict on it, and the outcome made of both. Shared by the transports that
 * speak SMTP.
 */
import type { AttemptFacts, Outcome, Timings } from '../core/outcome.ts';
import type { Clock } from '../core/time.ts';
import { cleanRemoteText } from '../mail/clean.ts';
import { parseReply, type SmtpReply } from '../mail/reply.ts';
import { type HopKind, type Verdict, verdictOfFailure, verdictOfReply } from './outcome-of-reply.ts';
import type { Ending } from './smtp/ending.ts';
import type { SessionPool } from './smtp/pool.ts';
import type { SmtpSession } from './smtp/session.ts';
import { type SmtpTimeouts, timeoutsFor } from './smtp/timeouts.ts';
import { transact } from './smtp/transaction.ts';
import type { DeliveryRequest } from './transport.ts';

/** Characters of a reply that are kept: RFC 5321 allows 512 octets a line, and the sense is in the first one or two. */
export const MAX_RESPONSE_LENGTH = 500;

/** An ending with what it means. */
export interface Judged {
  readonly ending: Ending;
  /** The parsed reply; null when there was none, or none that is one. */
  readonly reply: SmtpReply | null;
  readonly verdict: Verdict;
  /** What the sender wants to hear of was passed on to a server that reports by itself (RFC 3461). */
  readonly dsnPassedOn: boolean;
}

/** What `ending` means when it was a server of kind `hop`. */
export function judge(ending: Ending, hop: HopKind): Judged {
  switch (ending.kind) {
    case 'answer': {
      const reply = parseReply(ending.reply);
      return { ending, reply, verdict: verdictOfReply(ending.stage, reply, hop), dsnPassedOn: false };
    }
    case 'failure':
      return { ending, reply: null, verdict: verdictOfFailure(ending.stage, ending.reason), dsnPassedOn: false };
    case 'unsendable':
      return { ending, reply: null, verdict: { kind: 'rejected', cause: 'content' }, dsnPassedOn: false };
  }
}

/** Where it was, and how long it took. */
export interface OutcomeContext {
  readonly nextHop: string | null;
  /** null: none was open. */
  readonly tls: AttemptFacts['tls'];
  readonly timings: Timings;
}

/** The outcome to be recorded; the text is passed through `redact`, cleaned and cut. */
export function outcomeOf(
  judged: Judged,
  context: OutcomeContext,
  redact: (text: string) => string = (text) => text,
): Outcome {
  const { ending, reply, verdict } = judged;
  const said = ending.kind === 'answer' ? (reply?.text ?? ending.reply) : ending.text;
  const facts: AttemptFacts = {
    stage: ending.stage,
    nextHop: context.nextHop,
    tls: context.tls,
    code: reply?.code ?? null,
    enhanced: ending.kind === 'unsendable' ? ending.enhanced : (reply?.enhanced ?? null),
    response: cleanRemoteText(redact(said), MAX_RESPONSE_LENGTH),
    timings: context.timings,
    ...(judged.dsnPassedOn ? { dsnPassedOn: true } : {}),
  };
  return { ...verdict, ...facts };
}

/**
 * True when a kept connection broke, stayed silent or said 421 before it answered MAIL: the server had closed it, or forgot
 * it, while it was idle. Nothing of the message was taken then.
 */
export function provesStale({ ending, reply }: Judged): boolean {
  if (ending.stage !== 'mail') return false;
  if (ending.kind === 'failure') return ending.reason === 'lost' || ending.reason === 'timeout';
  return reply?.code === 421;
}

export interface SendDeps {
  readonly hop: HopKind;
  readonly pool: SessionPool;
  readonly clock: Clock;
  readonly timeouts: SmtpTimeouts;
}

/** Runs one transaction and gives the session back, for reuse when server and connection are in order. */
export async function sendOver(
  session: SmtpSession,
  request: DeliveryRequest,
  { hop, pool, clock, timeouts }: SendDeps,
  signal: AbortSignal,
): Promise<Judged> {
  const limits = timeoutsFor(timeouts, request.priority, request.hasAlternative);
  const judged = judge(await transact(session, request, { clock, timeouts: limits }, signal), hop);
  const { verdict, ending } = judged;
  // A server in trouble gets a new connection next time, and with it a new login.
  const keep = verdict.kind === 'delivered' || verdict.cause === 'recipient' || verdict.cause === 'content';
  if (!keep) session.destroy();
  // What was never sent leaves the session as it was.
  if (ending.kind !== 'unsendable') session.needsReset = verdict.kind !== 'delivered' && ending.kind === 'answer';
  pool.giveBack(session);
  const asked = (request.recipientDsn?.notify.length ?? 0) > 0;
  return { ...judged, dsnPassedOn: asked && session.facts.capabilities.dsn };
}
