/**
 * The `smtp` route: hands mail to one server (a smarthost or a mail provider) over kept connections.
 *
 * An attempt takes a warm connection or opens one, sends one message to one recipient, and says what came of it. It never
 * retries, with one exception: a kept connection that turns out to be dead before it answered MAIL is no attempt at all, and
 * the message goes over a fresh one (once).
 *
 * It never sends in the clear where the route requires TLS, nor without AUTH where the route has a username; see
 * `smtp/open-session`. After a crash nothing is left but connections that the server sees break: what they had not
 * finished with the final dot, it discards.
 */
import type { SmtpRouteConfig } from '../config/types.ts';
import type { AttemptFacts, Outcome, Timings } from '../core/outcome.ts';
import type { Clock } from '../core/time.ts';
import { cleanRemoteText } from '../mail/clean.ts';
import { parseReply, type SmtpReply } from '../mail/reply.ts';
import type { Log } from '../telemetry/log.ts';
import { type Verdict, verdictOfFailure, verdictOfReply } from './outcome-of-reply.ts';
import { nextHopOf, tlsOptionsOf } from './smtp/connect.ts';
import { type Ending, failure } from './smtp/ending.ts';
import { openSession } from './smtp/open-session.ts';
import { createSessionPool } from './smtp/pool.ts';
import { createRedactor } from './smtp/redact.ts';
import { SmtpSession } from './smtp/session.ts';
import { SMTP_TIMEOUTS, type SmtpTimeouts } from './smtp/timeouts.ts';
import { transact } from './smtp/transaction.ts';
import type { DeliveryRequest, Transport } from './transport.ts';

/** Characters of a reply that are kept: RFC 5321 allows 512 octets a line, and the sense is in the first one or two. */
const MAX_RESPONSE_LENGTH = 500;

export interface SmarthostDeps {
  readonly route: SmtpRouteConfig;
  /** The relay's own name, for EHLO when the route has none. */
  readonly hostname: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Other limits than the usual ones, for tests. */
  readonly timeouts?: Partial<SmtpTimeouts>;
}

/** A transport that delivers through `route`'s server. At most `route.connections` deliveries may run at the same time. */
export function createSmarthostTransport(deps: SmarthostDeps): Transport {
  const { route, clock, log } = deps;
  const timeouts: SmtpTimeouts = { ...SMTP_TIMEOUTS, ...deps.timeouts };
  const pool = createSessionPool(clock, timeouts);
  const opening = { route, ehlo: route.ehlo ?? deps.hostname, tlsOptions: tlsOptionsOf(route), timeouts, clock };
  const nextHop = nextHopOf(route);
  const redact = createRedactor(route.auth);
  let running = 0;
  let onQuiet: () => void = () => {};
  let stopped = false;

  /** Runs one transaction and gives the session back, for reuse when server and connection are in order. */
  const send = async (session: SmtpSession, request: DeliveryRequest, signal: AbortSignal): Promise<Judged> => {
    const judged = judge(await transact(session, request, { clock, timeouts }, signal));
    const { verdict, ending } = judged;
    // A server in trouble gets a new connection next time, and with it a new login.
    const keep = verdict.kind === 'delivered' || verdict.cause === 'recipient' || verdict.cause === 'content';
    if (!keep) session.destroy();
    // What was never sent leaves the session as it was.
    if (ending.kind !== 'unsendable') session.needsReset = verdict.kind !== 'delivered' && ending.kind === 'answer';
    pool.giveBack(session);
    return judged;
  };

  const attempt = async (request: DeliveryRequest, signal: AbortSignal): Promise<Outcome> => {
    const startMs = clock.monotonicMs();
    const sinceMs = (fromMs: number): number => Math.round(clock.monotonicMs() - fromMs);
    if (stopped || signal.aborted) {
      const why = stopped ? 'the route was closed' : 'the relay gave the attempt up';
      return outcomeOf(judge(failure('connect', 'aborted', `${why} before it began`)), null, {});
    }

    const warm = pool.take();
    if (warm !== null) {
      const judged = await send(warm, request, signal);
      if (!provesStale(judged)) return outcomeOf(judged, warm, { transaction: sinceMs(startMs) });
      log.debug(
        { route: route.name, next_hop: nextHop },
        'a kept connection was dead: the message goes over a new one',
      );
    }

    const openMs = clock.monotonicMs();
    const session = await openSession(opening, signal);
    if (!(session instanceof SmtpSession)) {
      const connecting = session.stage === 'dns' || session.stage === 'connect';
      const spentMs = sinceMs(openMs);
      return outcomeOf(judge(session), null, connecting ? { connect: spentMs } : { session: spentMs });
    }
    pool.admit(session);
    const transactionMs = clock.monotonicMs();
    const judged = await send(session, request, signal);
    return outcomeOf(judged, session, { ...session.facts.timings, transaction: sinceMs(transactionMs) });
  };

  const outcomeOf = (judged: Judged, session: SmtpSession | null, timings: Timings): Outcome => {
    const { ending, reply, verdict } = judged;
    const said = ending.kind === 'answer' ? (reply?.text ?? ending.reply) : ending.text;
    const facts: AttemptFacts = {
      stage: ending.stage,
      nextHop,
      tls: session?.facts.tls ?? null,
      code: reply?.code ?? null,
      enhanced: ending.kind === 'unsendable' ? ending.enhanced : (reply?.enhanced ?? null),
      response: cleanRemoteText(redact(said), MAX_RESPONSE_LENGTH),
      timings,
    };
    return { ...verdict, ...facts };
  };

  return {
    capacity: route.connections,
    rate: route.rate,
    async deliver(request, signal) {
      running++;
      try {
        return await attempt(request, signal);
      } finally {
        running--;
        if (running === 0) onQuiet();
      }
    },
    async stop() {
      stopped = true;
      const quiet = new Promise<void>((resolve) => {
        onQuiet = resolve;
        if (running === 0) resolve();
      });
      await Promise.all([pool.stop(), quiet]);
      // Sessions that were still being opened have been admitted by now.
      await pool.stop();
    },
  };
}

/** An ending with what it means. */
interface Judged {
  readonly ending: Ending;
  /** The parsed reply; null when there was none, or none that is one. */
  readonly reply: SmtpReply | null;
  readonly verdict: Verdict;
}

function judge(ending: Ending): Judged {
  switch (ending.kind) {
    case 'answer': {
      const reply = parseReply(ending.reply);
      return { ending, reply, verdict: verdictOfReply(ending.stage, reply) };
    }
    case 'failure':
      return { ending, reply: null, verdict: verdictOfFailure(ending.stage, ending.reason) };
    case 'unsendable':
      return { ending, reply: null, verdict: { kind: 'rejected', cause: 'content' } };
  }
}

/**
 * True when a kept connection broke, stayed silent or said 421 before it answered MAIL: the server had closed it, or forgot
 * it, while it was idle. Nothing of the message was taken then.
 */
function provesStale({ ending, reply }: Judged): boolean {
  if (ending.stage !== 'mail') return false;
  if (ending.kind === 'failure') return ending.reason === 'lost' || ending.reason === 'timeout';
  return reply?.code === 421;
}
