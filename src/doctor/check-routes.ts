/**
 * Whether each smarthost takes our login: TCP, TLS, EHLO, AUTH, QUIT, over the same code that delivers. No mail is begun.
 *
 * A certificate that does not do is looked at once more over a connection that is not verified and has no login, so that the
 * finding can say what the server shows. Failures say what they mean; what servers say is cleaned, and holds no password.
 */
import { TLSSocket } from 'node:tls';
import type { SmtpRouteConfig } from '../config/types.ts';
import { shellWord } from '../core/shell-word.ts';
import { type Clock, isoTime } from '../core/time.ts';
import { smarthostEndpoint } from '../delivery/smarthost.ts';
import type { Answer, Failure } from '../delivery/smtp/ending.ts';
import { createTlsContext, type SmtpEndpoint, tlsOptionsFor } from '../delivery/smtp/endpoint.ts';
import { openSession } from '../delivery/smtp/open-session.ts';
import { createRedactor } from '../delivery/smtp/redact.ts';
import { SmtpSession } from '../delivery/smtp/session.ts';
import { SMTP_TIMEOUTS, type SmtpTimeouts } from '../delivery/smtp/timeouts.ts';
import { cleanRemoteText } from '../mail/clean.ts';
import { parseReply } from '../mail/reply.ts';
import { type CheckFinding, createFindings, type Findings } from './finding.ts';

export interface RouteCheckDeps {
  /** For EHLO where the route has no name of its own. */
  readonly hostname: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const DAY_MS = 86_400_000;
const ENDS_SOON_DAYS = 7;
const MAX_SAID = 300;
const WHY = 'Mail over this route waits, or goes over the next one of its rule.';
/** Somebody waits for the answer: shorter than for mail. */
export const CHECK_TIMEOUTS: SmtpTimeouts = {
  ...SMTP_TIMEOUTS,
  greetingMs: 12_000,
  tlsMs: 8000,
  authMs: 10_000,
  quitMs: 2000,
};

/** Tries the server of `route`. */
export async function checkSmarthost(route: SmtpRouteConfig, deps: RouteCheckDeps): Promise<readonly CheckFinding[]> {
  const { clock } = deps;
  const found = createFindings('route', route.name);
  const endpoint = smarthostEndpoint(route);
  const startMs = clock.monotonicMs();
  const session = await open(endpoint, route, deps);
  const spentMs = Math.round(clock.monotonicMs() - startMs);
  if (!(session instanceof SmtpSession)) {
    await judgeFailure(session, route, deps, found);
    return found.list;
  }
  const certificate = certificateOf(session);
  const { tls } = session.facts;
  session.quit(clock, CHECK_TIMEOUTS.quitMs);
  await session.closed();
  const secured = tls === null ? 'without TLS' : `over ${tls.version} (${tls.cipher})`;
  const login = route.auth === null ? 'no login is configured' : 'the login succeeds';
  const shown = certificate === null ? '' : `; its certificate is for ${certificate.names}, until ${certificate.until}`;
  found.ok(`${route.name}: ${endpoint.nextHop} answers ${secured}, ${login}, in ${spentMs} ms${shown}`);
  if (certificate !== null && certificate.untilMs - clock.now() < ENDS_SOON_DAYS * DAY_MS) {
    found.warning('certificate-ends', {
      message: `${route.name}: the certificate of ${endpoint.nextHop} ends on ${certificate.until}`,
      why: `When it has ended: ${WHY}`,
      hint: 'Whoever runs the server must renew it.',
    });
  }
  return found.list;
}

function open(
  endpoint: SmtpEndpoint,
  { ehlo, connectTimeoutMs }: Pick<SmtpRouteConfig, 'ehlo' | 'connectTimeoutMs'>,
  { hostname, clock, signal }: RouteCheckDeps,
): Promise<SmtpSession | Answer | Failure> {
  const opening = { endpoint, ehlo: ehlo ?? hostname, connectTimeoutMs: connectTimeoutMs.normal };
  return openSession({ ...opening, timeouts: CHECK_TIMEOUTS, clock }, signal);
}

interface ShownCertificate {
  readonly names: string;
  readonly until: string;
  readonly untilMs: number;
}

function certificateOf({ socket }: SmtpSession): ShownCertificate | null {
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  if (certificate === undefined) return null;
  const names = certificate.subjectAltName ?? certificate.subject.replaceAll('\n', ', ');
  const untilMs = Date.parse(certificate.validTo);
  return { names: cleanRemoteText(names, MAX_SAID), until: isoTime(untilMs).slice(0, 10), untilMs };
}

async function judgeFailure(
  ending: Answer | Failure,
  route: SmtpRouteConfig,
  deps: RouteCheckDeps,
  found: Findings,
): Promise<void> {
  const redact = createRedactor(route.auth);
  const said =
    ending.kind === 'answer' ? `the server answered ${ending.stage.toUpperCase()}: ${ending.reply}` : ending.text;
  const message = `${route.name}: ${cleanRemoteText(redact(said), MAX_SAID)}`;
  if (ending.kind === 'failure' && ending.reason === 'aborted') {
    found.unknown(`route ${message}`);
    return;
  }
  const { host, port } = route;
  switch (ending.stage) {
    case 'dns':
      found.error('no-address', {
        message,
        why: WHY,
        hint: `Is ${host} spelled right? Try: getent hosts ${shellWord(host)}`,
      });
      return;
    case 'connect':
      found.error('unreachable', {
        message,
        why: WHY,
        hint: `Nothing answers at ${host}:${port} from here: is the port right (587, or 465 with tls: implicit), does a firewall let us out? Try: nc -vz ${shellWord(host)} ${port}`,
      });
      return;
    case 'starttls':
      found.error('tls', {
        message: `${message}${await shownBy(route, deps)}`,
        why: WHY,
        hint: tlsHint(ending, route),
      });
      return;
    case 'auth':
      found.error('auth', { message, why: WHY, hint: authHint(ending, route) });
      return;
    case 'greeting':
    case 'ehlo':
    case 'mail':
    case 'rcpt':
    case 'data':
    case 'dot':
      found.error('refused', { message, why: WHY, hint: greetingHint(ending, route) });
  }
}

/** What the server shows to whoever does not verify it; nothing is logged in there. */
async function shownBy(route: SmtpRouteConfig, deps: RouteCheckDeps): Promise<string> {
  const name = route.servername ?? route.host;
  const endpoint: SmtpEndpoint = {
    ...smarthostEndpoint(route),
    auth: null,
    tlsOptions: tlsOptionsFor(name, createTlsContext(null), false),
  };
  const session = await open(endpoint, route, deps);
  if (!(session instanceof SmtpSession)) return '';
  const certificate = certificateOf(session);
  session.quit(deps.clock, CHECK_TIMEOUTS.quitMs);
  await session.closed();
  return certificate === null ? '' : `. It shows a certificate for ${certificate.names}, until ${certificate.until}`;
}

function tlsHint(ending: Answer | Failure, { host, port, tls, servername }: SmtpRouteConfig): string {
  const text = ending.kind === 'failure' ? ending.text : '';
  const name = servername ?? host;
  if (/ALTNAME_INVALID|HOSTNAME_MISMATCH/.test(text)) {
    return `Set servername of the route to a name of the certificate if that is the right server; it is verified for ${name} now.`;
  }
  if (/HAS_EXPIRED/.test(text)) return 'Whoever runs the server must renew it. Is the clock of this machine right?';
  if (/NOT_YET_VALID/.test(text)) return 'Is the clock of this machine right? See timedatectl.';
  if (/SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|UNTRUSTED/.test(text)) {
    return 'If the server is your own, set ca of the route to the PEM file of its authority; else its chain is not complete.';
  }
  if (/does not offer STARTTLS/.test(text) || ending.kind === 'answer') {
    return 'If the server speaks TLS from the first octet (port 465), write tls: implicit; mail is never sent in clear instead.';
  }
  const other = tls === 'implicit' ? 'tls: required (STARTTLS)' : 'tls: implicit';
  return `Port ${port} may speak ${other}. See what it says: openssl s_client ${tls === 'implicit' ? '' : '-starttls smtp '}-connect ${shellWord(`${host}:${port}`)}`;
}

function authHint(ending: Answer | Failure, { name }: SmtpRouteConfig): string {
  const code = ending.kind === 'answer' ? (parseReply(ending.reply)?.code ?? 0) : 0;
  if (code === 535) {
    return `Username or password of routes.${name} is wrong, or the account may not use SMTP. Providers often want a key made for SMTP, not the login of their web pages.`;
  }
  if (code >= 400 && code < 500) return 'The server cannot check logins now: try again later, or ask whoever runs it.';
  return `Does the server want a login at all, and which kinds? PLAIN and LOGIN are known here. See routes.${name}.`;
}

function greetingHint(ending: Answer | Failure, { ehlo }: SmtpRouteConfig): string {
  if (ending.kind === 'failure')
    return 'Is it an SMTP server, and the right port? With TLS from the first octet (465), write tls: implicit.';
  const own = ehlo === null ? 'hostname (or ehlo of the route)' : 'ehlo of the route';
  return `The server turns us away: it may not know our address, or not like our name; look at its words, and at ${own}.`;
}
