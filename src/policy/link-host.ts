/**
 * What kind of host a link leads to, and whether a policy allows it. Pure; no DNS is asked.
 *
 * A host is an address, a name of this machine or of a private network, a name that exists for documentation only, a link
 * shortener, or public. An entry of a policy is a name, or `*.example.com` for any name below it (not for itself).
 */
import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';

export type HostKind = 'ip' | 'local' | 'reserved' | 'shortener' | 'public';

/** Names of private networks (RFC 6762 appendix G, RFC 8375, ICANN's `.internal`) and of this machine (RFC 6761). */
const LOCAL_TLDS: ReadonlySet<string> = new Set(
  'localhost localdomain local internal intranet private lan home corp onion'.split(' '),
);
/** RFC 2606 and RFC 6761. */
const RESERVED_TLDS: ReadonlySet<string> = new Set(['test', 'example', 'invalid']);
const RESERVED_DOMAINS: readonly string[] = ['example.com', 'example.net', 'example.org'];
const SHORTENERS: ReadonlySet<string> = new Set(
  (
    'bit.ly bitly.com j.mp tinyurl.com t.co goo.gl ow.ly buff.ly is.gd v.gd cutt.ly rebrand.ly rb.gy shorturl.at t.ly ' +
    'tiny.cc s.id bl.ink short.io adf.ly lnkd.in dub.sh dub.co shorte.st soo.gd qr.ae u.to ' +
    'urlz.fr x.co trib.al dlvr.it tr.im clck.ru vk.cc lnk.to kutt.it snip.ly t2m.io han.gl me2.do surl.li ' +
    'shorturl.asia qrco.de 1url.com 0rz.tw tny.im n9.cl goo.su'
  ).split(' '),
);

/** The kind of `host`: lower case, A-labels, IPv6 in brackets. */
export function kindOfHost(host: string): HostKind {
  if (isIP(host) !== 0 || host.startsWith('[')) return 'ip';
  const top = host.slice(host.lastIndexOf('.') + 1);
  if (top === host || LOCAL_TLDS.has(top) || host.endsWith('.home.arpa')) return 'local';
  if (RESERVED_TLDS.has(top)) return 'reserved';
  if (RESERVED_DOMAINS.some((domain) => host === domain || host.endsWith(`.${domain}`))) return 'reserved';
  return SHORTENERS.has(host.startsWith('www.') ? host.slice(4) : host) ? 'shortener' : 'public';
}

/** Whether `host` (lower case, A-labels) is in `allowed`, whose entries may be written in any letters. */
export function isAllowedHost(host: string, allowed: readonly string[]): boolean {
  return allowed.some((entry) => {
    const wildcard = entry.startsWith('*.');
    const name = normalHost(wildcard ? entry.slice(2) : entry);
    if (name === '') return false;
    return wildcard ? host.endsWith(`.${name}`) : host === name;
  });
}

function normalHost(name: string): string {
  const lower = name.trim().toLowerCase().replace(/\.$/, '');
  return /[^\u0000-\u007f]/.test(lower) ? domainToASCII(lower) : lower;
}
