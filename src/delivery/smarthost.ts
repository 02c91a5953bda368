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
import type { Priority } from '../core/message.ts';
import type { Outcome } from '../core/outcome.ts';
import type { Clock } from '../core/time.ts';
import type { Log } from '../telemetry/log.ts';
import { judge, type Judged, outcomeOf, provesStale, sendOver } from './judged.ts';
import { createQuiet } from './quiet.ts';
import { type Answer, type Failure, failure } from './smtp/ending.ts';
import { createTlsContext, nextHopText, type SmtpEndpoint, tlsOptionsFor } from './smtp/endpoint.ts';
import { openSession } from './smtp/open-session.ts';
import { createSessionPool } from './smtp/pool.ts';
import { createRedactor } from './smtp/redact.ts';
import { SmtpSession } from './smtp/session.ts';
import { SMTP_TIMEOUTS, type SmtpTimeouts, timeoutsFor } from './smtp/timeouts.ts';
import type { DeliveryRequest, Transport } from './transport.ts';

export interface SmarthostDeps {
  readonly route: SmtpRouteConfig;
  /** The relay's own name, for EHLO when the route has none. */
  readonly hostname: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Other limits than the usual ones, for tests. */
  readonly timeouts?: Partial<SmtpTimeouts>;
}

/**
 * A transport that delivers through `route`'s server. At most `route.connections` deliveries may run at the same time; a
 * probe opens a connection of its own beside them.
 */
export function createSmarthostTransport(deps: SmarthostDeps): Transport {
  const { route, clock, log } = deps;
  const timeouts: SmtpTimeouts = { ...SMTP_TIMEOUTS, ...deps.timeouts };
  const pool = createSessionPool(clock, timeouts);
  const endpoint = smarthostEndpoint(route);
  const { nextHop } = endpoint;
  const redact = createRedactor(route.auth);
  const sending = { hop: 'smarthost', pool, clock, timeouts } as const;
  const quiet = createQuiet();

  const open = (priority: Priority, signal: AbortSignal): Promise<SmtpSession | Answer | Failure> =>
    openSession(
      {
        endpoint,
        ehlo: route.ehlo ?? deps.hostname,
        connectTimeoutMs: route.connectTimeoutMs[priority],
        timeouts: timeoutsFor(timeouts, priority),
        clock,
      },
      signal,
    );
  const outcome = (judged: Judged, session: SmtpSession | null, timings: Outcome['timings']): Outcome =>
    outcomeOf(judged, { nextHop, tls: session?.facts.tls ?? null, timings }, redact);
  const sinceMs = (fromMs: number): number => Math.round(clock.monotonicMs() - fromMs);
  const notOpened = (ending: Answer | Failure, openMs: number): Outcome => {
    const connecting = ending.stage === 'dns' || ending.stage === 'connect';
    const spentMs = sinceMs(openMs);
    return outcome(judge(ending, 'smarthost'), null, connecting ? { connect: spentMs } : { session: spentMs });
  };
  const neverBegun = (what: string): Outcome => {
    const why = quiet.stopped() ? 'the route was closed' : `the relay gave the ${what} up`;
    return outcome(judge(failure('connect', 'aborted', `${why} before it began`), 'smarthost'), null, {});
  };

  const attempt = async (request: DeliveryRequest, signal: AbortSignal): Promise<Outcome> => {
    const startMs = clock.monotonicMs();
    if (quiet.stopped() || signal.aborted) return neverBegun('attempt');

    const warm = pool.take();
    if (warm !== null) {
      const judged = await sendOver(warm, request, sending, signal);
      if (!provesStale(judged)) return outcome(judged, warm, { transaction: sinceMs(startMs) });
      log.debug(
        { event: 'delivery.reconnect', route: route.name, next_hop: nextHop },
        'a kept connection was dead: the message goes over a new one',
      );
    }

    const openMs = clock.monotonicMs();
    const session = await open(request.priority, signal);
    if (!(session instanceof SmtpSession)) return notOpened(session, openMs);
    pool.admit(session);
    const transactionMs = clock.monotonicMs();
    const judged = await sendOver(session, request, sending, signal);
    return outcome(judged, session, { ...session.facts.timings, transaction: sinceMs(transactionMs) });
  };

  /** With the limits of normal mail: a server that is slow to greet is up all the same. */
  const probe = async (signal: AbortSignal): Promise<Outcome> => {
    if (quiet.stopped() || signal.aborted) return neverBegun('probe');
    const openMs = clock.monotonicMs();
    const session = await open('normal', signal);
    if (!(session instanceof SmtpSession)) return notOpened(session, openMs);
    pool.admit(session);
    session.quit(clock, timeouts.quitMs);
    return {
      kind: 'delivered',
      stage: route.auth === null ? 'ehlo' : 'auth',
      nextHop,
      tls: session.facts.tls,
      code: null,
      enhanced: null,
      response: route.auth === null ? 'the server greets and is ready' : 'the server greets, and the login succeeds',
      timings: session.facts.timings,
    };
  };

  return {
    capacity: route.connections,
    rate: route.rate,
    perDestination: null,
    probe: (signal) => quiet.during(() => probe(signal)),
    deliver: (request, signal) => quiet.during(() => attempt(request, signal)),
    async stop() {
      await Promise.all([quiet.stop(), pool.stop()]);
      // Sessions that were still being opened have been admitted by now.
      await pool.stop();
    },
  };
}

/** The server of `route`, with what its TLS must be and the login. */
export function smarthostEndpoint(route: SmtpRouteConfig): SmtpEndpoint {
  return {
    nextHop: nextHopText(route.host, null, route.port),
    host: route.host,
    address: null,
    port: route.port,
    tls: route.tls,
    tlsOptions: tlsOptionsFor(route.servername ?? route.host, createTlsContext(route.ca), true),
    judge: null,
    tlsReason: 'the route requires it',
    tlsAdvice: ' (set ca or servername of the route)',
    auth: route.auth,
    localAddress: null,
  };
}
