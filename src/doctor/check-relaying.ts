/**
 * The open-relay self test: the listeners that answer are asked, by a client that has no right to it, to take mail from and to
 * strangers, in the forms that have fooled mail servers. It stops after RCPT: no mail is ever begun.
 *
 * The test is worth what its standpoint is worth. It connects from addresses of this machine; one that `trusted_networks`
 * holds proves nothing, and so it says where it stood and what that does not prove. Firewalls in front are not seen.
 */
import { networkInterfaces, platform } from 'node:os';
import type { Config, ListenerConfig } from '../config/types.ts';
import { isLoopback } from '../config/network.ts';
import { parseCapabilities } from '../delivery/smtp/capabilities.ts';
import { cleanRemoteText } from '../mail/clean.ts';
import { type Dialogue, type DialogueDeps, openDialogue } from './dialogue.ts';
import { type CheckFinding, createFindings, type Findings } from './finding.ts';
import { isInAny } from './networks.ts';

export interface RelayingDeps extends DialogueDeps {
  readonly config: Config;
  /** Addresses of this machine; for tests, default: those of its interfaces. */
  readonly ownAddresses?: readonly string[];
  /** Whether only this machine has an address; for tests. */
  readonly isInner?: (address: string) => boolean;
}

/** Where the test stands: connects from `from` to `to`. */
interface Standpoint {
  readonly from: string;
  readonly to: string;
  readonly isTrusted: boolean;
}

const FOREIGN = 'relay-test.invalid';
const MAX_SAID = 160;
const SEEN_FROM_HERE = ' (seen from this machine only; what a proxy in front hides is not seen)';
const STRANGER_LOOPBACK = '127.255.255.254';

/** Tests every listener for mail and for reports. */
export async function checkRelaying(deps: RelayingDeps): Promise<readonly CheckFinding[]> {
  const { smtp, bounces } = deps.config;
  const each = await Promise.all([
    ...smtp.listeners.map((listener) => testListener('smtp.listeners', listener, deps)),
    ...bounces.listeners.map((listener) => testListener('bounces.listeners', listener, deps)),
  ]);
  return each.flat();
}

async function testListener(
  place: string,
  listener: ListenerConfig,
  deps: RelayingDeps,
): Promise<readonly CheckFinding[]> {
  const { host, port, tls } = listener;
  const name = `${host}:${port} (${place})`;
  const found = createFindings('relay', `${host}:${port}`);
  if (port === 0) {
    found.ok(`${name} was not tested: the system chooses its port at each start`);
    return found.list;
  }
  const stand = standpointFor(listener, deps);
  const target = { address: stand.to, port, from: stand.from, implicitTls: tls === 'implicit' };
  const dialogue = await openDialogue(target, deps);
  if (typeof dialogue === 'string') {
    found.ok(`${name} was not tested: nothing answers there now (${cleanRemoteText(dialogue, MAX_SAID)})`);
    return found.list;
  }
  try {
    await testDialogue(name, dialogue, { listener, stand, isBounce: place === 'bounces.listeners', deps }, found);
  } finally {
    dialogue.close();
  }
  return found.list;
}

/** An address of this machine that is not trusted, if there is one; the outermost that the listener can be reached at. */
function standpointFor({ host }: ListenerConfig, { config, ownAddresses }: RelayingDeps): Standpoint {
  const isTrusted = (address: string): boolean => isInAny(address, config.smtp.trustedNetworks);
  const loopback = host.includes(':') ? '::1' : '127.0.0.1';
  const isAny = host === '0.0.0.0' || host === '::';
  const own = isAny ? (ownAddresses ?? interfaceAddresses(host === '::')) : isLoopback(host) ? [] : [host];
  const candidates: Standpoint[] = own.map((address) => ({
    from: address,
    to: address,
    isTrusted: isTrusted(address),
  }));
  const inner = isLoopback(host) && host !== 'localhost' ? host : loopback;
  if (isAny || isLoopback(host)) {
    candidates.push({ from: inner, to: inner, isTrusted: isTrusted(inner) });
    // Linux lets a client be any address of 127.0.0.0/8: one that a narrow trust does not hold.
    if (platform() === 'linux' && !inner.includes(':')) {
      candidates.push({ from: STRANGER_LOOPBACK, to: inner, isTrusted: isTrusted(STRANGER_LOOPBACK) });
    }
  }
  return candidates.find((each) => !each.isTrusted) ?? candidates[0] ?? { from: inner, to: inner, isTrusted: true };
}

function interfaceAddresses(withIpv6: boolean): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, family, scopeid }) => !internal && (family === 'IPv4' || (withIpv6 && scopeid === 0)))
    .map(({ address }) => address);
}

interface TestCase {
  readonly listener: ListenerConfig;
  readonly stand: Standpoint;
  readonly isBounce: boolean;
  readonly deps: RelayingDeps;
}

async function testDialogue(name: string, dialogue: Dialogue, test: TestCase, found: Findings): Promise<void> {
  const { listener, stand, isBounce, deps } = test;
  const { hostname } = deps.config;
  const isInner = deps.isInner ?? isLoopback;
  const hello = await dialogue.say(`EHLO ${FOREIGN}`);
  if (hello === null || hello.reply.code !== 250) {
    found.ok(`${name} was not tested: it does not greet back`);
    return;
  }
  const { authMechanisms } = parseCapabilities(hello.lines.replaceAll('\r', ''));
  if (authMechanisms.size > 0 && listener.tls !== 'implicit' && !isInner(stand.from)) {
    found.error('auth-clear', {
      message: `${name} offers AUTH to ${stand.from} before TLS`,
      why: 'Passwords cross the network in clear.',
      hint: 'Is it this relay that answers there? It offers AUTH after STARTTLS only.',
    });
  }
  if (!hello.reply.text.toLowerCase().includes(hostname.toLowerCase())) {
    found.warning('other-server', {
      message: `${name} answers as another server: ${cleanRemoteText(hello.reply.text, MAX_SAID)}`,
      why: `What follows is about that server, not about this relay (${hostname}).`,
      hint: 'Is another program, or a relay with another config, on this port?',
    });
  }
  if (stand.isTrusted && !isBounce) {
    found.ok(
      `${name} answers; that it turns strangers away was not shown: ${stand.from} is in smtp.trusted_networks`,
      `From a machine that is not trusted: swaks --server HOST:${listener.port} --from a@${FOREIGN} --to b@${FOREIGN} --quit-after RCPT`,
    );
    return;
  }
  if (
    listener.tls === 'starttls-required' &&
    (!(await dialogue.startTls()) || (await dialogue.say(`EHLO ${FOREIGN}`)) === null)
  ) {
    found.ok(`${name} was not tested further: STARTTLS failed`);
    return;
  }
  const taken = await tryForms(dialogue, deps.config);
  if (taken.accepted.length > 0) {
    found.error('open', {
      message: `${name} is an open relay: it takes mail from ${stand.from}, without a password, to ${taken.accepted.join(', ')}`,
      why: 'Spammers find it within hours; then no mail of yours is delivered anywhere.',
      hint: `Stop it now. ${hint(isBounce)}`,
    });
    return;
  }
  found.ok(
    `${name} turns strangers away: from ${stand.from}, ${taken.tried} forms, ${cleanRemoteText(taken.said, MAX_SAID)}${isInner(stand.from) ? SEEN_FROM_HERE : ''}`,
  );
}

function hint(isBounce: boolean): string {
  if (isBounce) return 'A listener for reports takes mail to return paths alone: another program must be on this port.';
  return 'Look at smtp.trusted_networks, and whether a proxy in front hides where clients come from.';
}

/** Senders and recipients that a server which is open by mistake would take. */
async function tryForms(
  dialogue: Dialogue,
  { hostname, senders }: Config,
): Promise<{ readonly accepted: readonly string[]; readonly tried: number; readonly said: string }> {
  const own = senders[0]?.domain ?? hostname;
  const froms = [`stranger@${FOREIGN}`, '', `postmaster@${own}`];
  const tos = [
    `victim@${FOREIGN}`,
    `victim%${FOREIGN}@${hostname}`,
    `@${hostname}:victim@${FOREIGN}`,
    `"victim@${FOREIGN}"@${hostname}`,
    `${FOREIGN}!victim@${hostname}`,
    `victim@${FOREIGN}@${hostname}`,
  ];
  const accepted: string[] = [];
  let tried = 0;
  const said: { mail?: string; rcpt?: string } = {};
  for (const from of froms) {
    const mail = await dialogue.say(`MAIL FROM:<${from}>`);
    if (mail === null) break;
    tried++;
    said.mail ??= `MAIL: ${mail.reply.code} ${mail.reply.text}`;
    if (mail.reply.code !== 250) continue;
    for (const to of tos) {
      const rcpt = await dialogue.say(`RCPT TO:<${to}>`);
      if (rcpt === null) break;
      tried++;
      said.rcpt ??= `RCPT: ${rcpt.reply.code} ${rcpt.reply.text}`;
      if (rcpt.reply.code < 300) accepted.push(`<${to}>`);
    }
    if ((await dialogue.say('RSET')) === null) break;
  }
  await dialogue.say('QUIT');
  // The answer to the plainest form says most.
  return { accepted: [...new Set(accepted)], tried, said: said.rcpt ?? said.mail ?? 'it hangs up' };
}
