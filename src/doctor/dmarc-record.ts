/**
 * The text of a DMARC record (RFC 7489, section 6.3). Pure, and it never throws.
 */
import { parseTagList, quote } from './tag-list.ts';

export type DmarcPolicy = 'none' | 'quarantine' | 'reject';

export interface DmarcRecord {
  /** null: there is none that can be read; receivers then take `none` where `rua` is there, else no DMARC at all. */
  readonly policy: DmarcPolicy | null;
  /** For domains below; the policy when it says nothing. */
  readonly subdomainPolicy: DmarcPolicy | null;
  readonly strictDkim: boolean;
  readonly strictSpf: boolean;
  /** Percent of failing mail that the policy is applied to. */
  readonly percent: number;
  /** Where daily reports go: `mailto:` addresses as they stand, and their domains in lower case. */
  readonly reports: readonly { readonly uri: string; readonly domain: string }[];
  readonly problems: readonly string[];
}

const POLICIES: readonly DmarcPolicy[] = ['none', 'quarantine', 'reject'];

/** Whether a TXT record is a DMARC record (section 6.6.3). */
export function isDmarcRecord(text: string): boolean {
  return /^v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)/i.test(text);
}

/** Reads a text for which `isDmarcRecord` holds. */
export function parseDmarcRecord(text: string): DmarcRecord {
  const { tags, problems: syntax } = parseTagList(text);
  const problems = [...syntax];
  const policyAt = (name: string): DmarcPolicy | null => {
    const value = tags.get(name);
    if (value === undefined) return null;
    const policy = POLICIES.find((known) => known === value.toLowerCase()) ?? null;
    if (policy === null) problems.push(`${name}=${quote(value)} is not none, quarantine or reject`);
    return policy;
  };
  const isStrict = (name: string): boolean => {
    const value = (tags.get(name) ?? 'r').toLowerCase();
    if (value !== 'r' && value !== 's') problems.push(`${name}=${quote(value)} is not r or s`);
    return value === 's';
  };
  const policy = policyAt('p');
  if (!tags.has('p')) problems.push('it has no p=');
  const strictDkim = isStrict('adkim');
  const strictSpf = isStrict('aspf');
  const subdomainPolicy = policyAt('sp') ?? policy;
  return {
    policy,
    subdomainPolicy,
    strictDkim,
    strictSpf,
    percent: percentIn(tags.get('pct'), problems),
    reports: reportsIn(tags.get('rua'), problems),
    problems,
  };
}

function percentIn(value: string | undefined, problems: string[]): number {
  if (value === undefined) return 100;
  if (/^\d{1,3}$/.test(value) && Number(value) <= 100) return Number(value);
  problems.push(`pct=${quote(value)} is not a number from 0 to 100`);
  return 100;
}

function reportsIn(value: string | undefined, problems: string[]): DmarcRecord['reports'] {
  const reports: { readonly uri: string; readonly domain: string }[] = [];
  for (const part of (value ?? '').split(',')) {
    const uri = part.trim();
    if (uri === '') continue;
    // A size limit (`!10m`) may follow the address.
    const [address = ''] = uri.slice('mailto:'.length).split('!');
    const at = address.lastIndexOf('@');
    if (!/^mailto:/i.test(uri) || at < 1 || at === address.length - 1) {
      problems.push(`rua: "${quote(uri)}" is not mailto:address`);
    } else reports.push({ uri, domain: address.slice(at + 1).toLowerCase() });
  }
  return reports;
}
