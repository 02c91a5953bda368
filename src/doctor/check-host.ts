/**
 * The name of this relay in the eyes of servers that it delivers to: a full name in EHLO that has an address, and addresses
 * whose names lead back to them (forward-confirmed reverse DNS; RFC 1912, section 2.1).
 *
 * Only direct delivery is judged by it: a smarthost knows us by our login. Whether our DNS servers validate, which DANE lives
 * on, is asked here too.
 */
import { isIP } from 'node:net';
import type { Config, MxRouteConfig } from '../config/types.ts';
import { type DoctorDns, reverseName } from './dns.ts';
import { type CheckFinding, createFindings, plainRecord } from './finding.ts';
import { heloName, outboundAddresses, waysOut } from './ways-out.ts';

const WHY_REFUSED = 'Many servers refuse mail from such a machine, or take it for spam.';
/** Names that no server elsewhere can look up. */
const LOCAL_NAME = /(?:^|\.)(?:localhost|localdomain|local|internal|lan|home|corp|invalid|test|example)$/;
/** Top-level domains have been signed for years: a server that validates says so of them, whatever it is asked. */
const SIGNED_NAMES: readonly string[] = ['org', 'com'];

/** Checks names and addresses of every direct route in use; of each name and address once. */
export async function checkHost(config: Config, dns: DoctorDns): Promise<readonly CheckFinding[]> {
  const { direct } = waysOut(config, null);
  const hostname = config.hostname.toLowerCase();
  const names = new Set([hostname, ...direct.map((route) => heloName(route, hostname))]);
  const helo = await Promise.all(
    [...names].map((name) =>
      checkName(name, { mustResolve: direct.some((route) => heloName(route, hostname) === name) }, dns),
    ),
  );
  const ptr = await Promise.all(direct.map((route) => checkRoute(route, hostname, dns)));
  const seen = new Set<string>();
  const once = [...helo, ...ptr].flat().filter((finding) => {
    const key = `${finding.code} ${finding.subject} ${finding.message}`;
    return !seen.has(key) && seen.add(key) !== undefined;
  });
  const dane = await Promise.all(direct.filter((route) => route.dane).map((route) => checkDane(route, dns)));
  return [...once, ...dane.flat()];
}

async function checkName(
  name: string,
  { mustResolve }: { readonly mustResolve: boolean },
  dns: DoctorDns,
): Promise<readonly CheckFinding[]> {
  const found = createFindings('helo', name);
  if (isIP(name) !== 0 || !name.includes('.') || LOCAL_NAME.test(name)) {
    const words = {
      message: `${name} is not a full name of a host on the Internet, and the relay says it in EHLO`,
      why: mustResolve ? WHY_REFUSED : 'It is in Received and Message-ID of every mail, and some smarthosts refuse it.',
      hint: 'Set hostname to the name in the PTR record of your address, such as relay.example.com.',
    };
    if (mustResolve) found.error('not-full', words);
    else found.warning('not-full', words);
    return found.list;
  }
  if (!mustResolve) return [];
  const answer = await dns.addresses(name);
  if (answer.kind === 'failed') found.unknown(answer.text);
  else if (answer.kind === 'none') {
    found.error('no-address', {
      message: `${name}, the relay's name in EHLO, has no address in DNS`,
      why: WHY_REFUSED,
      hint: `Publish an A (or AAAA) record for ${name} with the public address of this machine.`,
    });
  } else found.ok(`${name} has the address ${answer.addresses.join(', ')}`);
  return found.list;
}

async function checkRoute(route: MxRouteConfig, hostname: string, dns: DoctorDns): Promise<readonly CheckFinding[]> {
  const helo = heloName(route, hostname);
  const own = await outboundAddresses(route, hostname, dns);
  if (own.kind === 'unknown') {
    const found = createFindings('ptr', `route ${route.name}`);
    found.warning('unknown', {
      message: `the PTR record cannot be checked: ${own.text}`,
      why: `Receivers look at the name of the address that mail comes from. ${WHY_REFUSED}`,
      hint: `Set source_ip of route ${route.name}, or give ${helo} an address in DNS.`,
    });
    return found.list;
  }
  const each = await Promise.all(own.addresses.map((address) => checkPtr(address, helo, dns)));
  return each.flat();
}

async function checkPtr(address: string, helo: string, dns: DoctorDns): Promise<readonly CheckFinding[]> {
  const found = createFindings('ptr', address);
  const record = plainRecord(reverseName(address), 'PTR', helo);
  const hint = 'Whoever gave you the address sets its PTR record (reverse DNS): the provider of the machine or line.';
  const answer = await dns.namesOf(address);
  if (answer.kind === 'failed') {
    found.unknown(answer.text);
    return found.list;
  }
  if (answer.kind === 'none') {
    found.error('missing', { message: `${address} has no PTR record`, why: WHY_REFUSED, hint, record });
    return found.list;
  }
  const { names } = answer;
  const forward = await Promise.all(names.map(async (name) => ({ name, answer: await dns.addresses(name) })));
  const confirmed = forward.filter(
    (each) => each.answer.kind === 'addresses' && each.answer.addresses.includes(address),
  );
  const failed = forward.find((each) => each.answer.kind === 'failed');
  if (confirmed.some(({ name }) => name === helo)) {
    found.ok(`${address} is called ${helo}, and ${helo} has that address`);
  } else if (confirmed.length > 0) {
    found.warning('other-name', {
      message: `${address} is called ${confirmed.map(({ name }) => name).join(', ')}; the relay says ${helo} in EHLO`,
      why: 'Some servers want both names to be the same.',
      hint: `Set hostname (or ehlo of the route) to ${confirmed[0]?.name ?? ''}, or have the PTR record changed.`,
      record,
    });
  } else if (failed?.answer.kind === 'failed') found.unknown(failed.answer.text);
  else {
    found.error('mismatch', {
      message: `${address} is called ${names.join(', ')}, and that name does not have this address`,
      why: WHY_REFUSED,
      hint: `${hint} It must name ${helo}, and ${helo} must have the address ${address}.`,
      record,
    });
  }
  return found.list;
}

async function checkDane(route: MxRouteConfig, dns: DoctorDns): Promise<readonly CheckFinding[]> {
  const found = createFindings('dane', `route ${route.name}`);
  const answers = await Promise.all(SIGNED_NAMES.map((name) => dns.isAuthentic(name)));
  if (answers.includes(true)) {
    found.ok(`route ${route.name}: the DNS server validates DNSSEC`);
    return found.list;
  }
  const failed = answers.find((answer) => typeof answer !== 'boolean');
  if (typeof failed === 'object') found.unknown(failed.text);
  else {
    found.error('not-validating', {
      message: `route ${route.name} has dane: true, and its DNS server does not validate DNSSEC (no AD flag on signed names)`,
      why: 'TLSA records count only when they were validated: DANE protects nothing.',
      hint: 'Set dns of the route to a validating server, best on this machine (unbound: 127.0.0.1:53), or take dane out.',
    });
  }
  return found.list;
}
