/**
 * Who runs an MX host, as far as its name tells: the four that have most mailboxes, or `other`. A recipient's own domain is
 * never looked at: the host that answered is the one that counts, and its name is not the recipient's.
 */

export const PROVIDERS = ['google', 'microsoft', 'yahoo', 'apple', 'other'] as const;
export type Provider = (typeof PROVIDERS)[number];

const BY_SUFFIX: readonly (readonly [suffix: string, provider: Provider])[] = [
  ['.google.com', 'google'],
  ['.googlemail.com', 'google'],
  ['.protection.outlook.com', 'microsoft'],
  ['.mx.microsoft', 'microsoft'],
  ['.yahoodns.net', 'yahoo'],
  ['.icloud.com', 'apple'],
];

/** The provider of `nextHop`, `host:port` or `host[address]:port`; `other` when there was no host to speak to. */
export function providerOf(nextHop: string | null): Provider {
  const host = (/^[^[:]+/.exec(nextHop ?? '')?.[0] ?? '').toLowerCase().replace(/\.$/, '');
  return BY_SUFFIX.find(([suffix]) => host.endsWith(suffix))?.[1] ?? 'other';
}
