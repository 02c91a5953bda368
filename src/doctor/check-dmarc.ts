/**
 * DMARC (RFC 7489) of a From domain, and whether our mail passes it: the domain of the DKIM signature, or of the return path,
 * must be the From domain's.
 *
 * The organisational domain is found by walking up the names until one has a record, as the successor of RFC 7489 does it;
 * no list of public suffixes is needed. Known limit: two subdomains of a domain without a record are not known to belong
 * together.
 */
import type { SenderConfig } from '../config/types.ts';
import { type DmarcRecord, isDmarcRecord, parseDmarcRecord } from './dmarc-record.ts';
import type { DoctorDns } from './dns.ts';
import { type CheckFinding, createFindings, type Findings, txtRecord } from './finding.ts';

type Found =
  | { readonly kind: 'record'; readonly domain: string; readonly text: string; readonly record: DmarcRecord }
  | { readonly kind: 'several'; readonly domain: string; readonly texts: readonly string[] }
  | { readonly kind: 'none' }
  | { readonly kind: 'failed'; readonly text: string };

/** Receivers look no further up. */
const MAX_STEPS = 8;

/** Checks the DMARC record that holds for mail from `sender`, and the alignment of its return path. */
export async function checkDmarc(sender: SenderConfig, dns: DoctorDns): Promise<readonly CheckFinding[]> {
  const { domain } = sender;
  const found = createFindings('dmarc', domain);
  const at = await findDmarc(domain, dns);
  switch (at.kind) {
    case 'failed':
      found.unknown(at.text);
      return found.list;
    case 'none':
      found.error('missing', {
        message: `${domain} has no DMARC record, and none of the domains above it has one`,
        why: 'Anybody can put your address into From; large receivers want a DMARC record and refuse mail without it.',
        hint: 'Publish the record, read the reports that come, then change p=none to p=quarantine and p=reject.',
        record: txtRecord(`_dmarc.${domain}`, `v=DMARC1; p=none; rua=mailto:dmarc@${domain}`),
      });
      return found.list;
    case 'several':
      found.error('several', {
        message: `_dmarc.${at.domain} has ${at.texts.length} DMARC records: ${at.texts.join(' | ')}`,
        why: 'Receivers act as if there were none.',
        hint: 'Leave one, and delete the others.',
        record: txtRecord(`_dmarc.${at.domain}`, at.texts[0] ?? ''),
      });
      return found.list;
    case 'record':
      judgePolicy(domain, at, found);
      judgeAlignment(sender, at.domain, at.record, found);
      await judgeReports(at, dns, found);
      if (found.list.length === 0) found.ok(`the DMARC record of ${at.domain} is in order: ${at.text}`);
      return found.list;
  }
}

async function findDmarc(domain: string, dns: DoctorDns): Promise<Found> {
  const labels = domain.split('.');
  // The domain itself, then up; a top-level domain's record is not ours.
  const candidates = labels.slice(0, -1).map((_, index) => labels.slice(index).join('.'));
  for (const candidate of [candidates[0] ?? domain, ...candidates.slice(1).slice(-(MAX_STEPS - 1))]) {
    const answer = await dns.texts(`_dmarc.${candidate}`);
    if (answer.kind === 'failed') return answer;
    const texts = answer.kind === 'texts' ? answer.texts.filter(isDmarcRecord) : [];
    const [text] = texts;
    if (text === undefined) continue;
    if (texts.length > 1) return { kind: 'several', domain: candidate, texts };
    return { kind: 'record', domain: candidate, text, record: parseDmarcRecord(text) };
  }
  return { kind: 'none' };
}

function judgePolicy(domain: string, at: Extract<Found, { kind: 'record' }>, found: Findings): void {
  const { record, text } = at;
  const name = `_dmarc.${at.domain}`;
  if (record.problems.length > 0) {
    found.error('syntax', {
      message: `the DMARC record of ${at.domain} is not right: ${record.problems.join('; ')}`,
      why: 'Receivers pass over what they cannot read, or act as if there were no record.',
      hint: `Mend the record; it is now: ${text}`,
      record: txtRecord(name, repaired(record)),
    });
    return;
  }
  const isBelow = at.domain !== domain;
  const policy = isBelow ? record.subdomainPolicy : record.policy;
  if (policy === 'none') {
    const tag = isBelow && record.policy !== 'none' ? 'sp' : 'p';
    found.warning('policy-none', {
      message: `DMARC of ${domain} only watches: ${tag}=none${isBelow ? ` at ${at.domain}` : ''}`,
      why: 'A forged recovery mail with your address in From is delivered like a true one.',
      // Without reports nobody knows yet whether the own mail would pass: they come first.
      ...(record.reports.length === 0
        ? { hint: 'First ask for reports; when they show that your own mail passes, publish p=quarantine.' }
        : {
            hint: `When the reports show that your own mail passes, publish ${tag}=quarantine, then ${tag}=reject.`,
            record: txtRecord(
              name,
              text.replace(tag === 'sp' ? /(\bsp\s*=\s*)none/i : /((?:^|[;\s])p\s*=\s*)none/i, '$1quarantine'),
            ),
          }),
    });
  } else if (record.percent < 100) {
    found.warning('percent', {
      message: `DMARC of ${domain} counts for ${record.percent} % of the mail only (pct=${record.percent})`,
      why: 'The other forgeries get the milder treatment.',
      hint: 'Take pct out when the reports show that your own mail passes.',
      record: txtRecord(name, text.replace(/;?\s*\bpct\s*=\s*\d+\s*/i, '')),
    });
  }
  if (record.reports.length === 0) {
    found.warning('no-reports', {
      message: `the DMARC record of ${at.domain} asks for no reports (rua)`,
      why: 'Nobody tells you when your own mail fails, or who forges it.',
      hint: 'Add rua with an address that somebody, or a service, reads.',
      record: txtRecord(name, `${text.replace(/[;\s]+$/, '')}; rua=mailto:dmarc@${at.domain}`),
    });
  }
}

function judgeAlignment(sender: SenderConfig, organisation: string, record: DmarcRecord, found: Findings): void {
  const { domain, returnPath, dkim } = sender;
  // The signature's domain is the From domain itself: it is aligned, strictly too.
  const signed = dkim.length > 0;
  if (returnPath === null) {
    if (signed) return;
    found.warning('alignment', {
      message: `whether mail from ${domain} passes DMARC is left to the envelope sender that the app gives`,
      why: 'There is no signature, and only an envelope sender of the same domain passes through SPF.',
      hint: `Sign: leadpush-relay dkim generate --domain ${domain} --selector lp1 --out FILE`,
    });
    return;
  }
  const shares = (name: string): boolean => name === organisation || name.endsWith(`.${organisation}`);
  const isRelated = returnPath === domain || returnPath.endsWith(`.${domain}`) || shares(returnPath);
  const aligned = record.strictSpf ? returnPath === domain : isRelated;
  if (aligned) return;
  const how = record.strictSpf && isRelated ? 'the record wants strict alignment (aspf=s)' : 'it is another domain';
  const words = {
    message: `the return path ${returnPath} is not aligned with ${domain}: ${how}`,
    why: signed
      ? 'SPF does not count for DMARC: when a forwarder or filter breaks the signature, the mail fails.'
      : 'Nothing of this mail passes DMARC: it is not signed, and SPF does not count.',
    hint:
      record.strictSpf && isRelated
        ? 'Publish the DMARC record with aspf=r.'
        : `Use a return path below ${domain}, such as bounces.${domain}.`,
  };
  if (signed) found.warning('alignment', words);
  else found.error('alignment', words);
}

/** Reports to another domain are sent only when that domain agrees (section 7.1). */
async function judgeReports(at: Extract<Found, { kind: 'record' }>, dns: DoctorDns, found: Findings): Promise<void> {
  const others = new Set(at.record.reports.map((report) => report.domain));
  for (const other of others) {
    if (other === at.domain || isSameTree(other, at.domain)) continue;
    const name = `${at.domain}._report._dmarc.${other}`;
    const answer = await dns.texts(name);
    if (answer.kind === 'failed') found.unknown(answer.text);
    else if (answer.kind === 'none' || !answer.texts.some(isDmarcRecord)) {
      found.warning('report-permission', {
        message: `${other} does not say that it takes DMARC reports about ${at.domain}`,
        why: 'Receivers send no report there.',
        hint: `The owner of ${other} publishes the record; or use an address of your own domain in rua.`,
        record: txtRecord(name, 'v=DMARC1'),
      });
    }
  }
}

function isSameTree(one: string, other: string): boolean {
  return one.endsWith(`.${other}`) || other.endsWith(`.${one}`);
}

/** The record as far as it can be read, in its usual form. */
function repaired({ policy, subdomainPolicy, strictDkim, strictSpf, reports }: DmarcRecord): string {
  const tags = [
    `p=${policy ?? 'quarantine'}`,
    ...(subdomainPolicy !== null && subdomainPolicy !== policy ? [`sp=${subdomainPolicy}`] : []),
    ...(strictDkim ? ['adkim=s'] : []),
    ...(strictSpf ? ['aspf=s'] : []),
    ...(reports.length === 0 ? [] : [`rua=${reports.map(({ uri }) => uri).join(',')}`]),
  ];
  return ['v=DMARC1', ...tags].join('; ');
}
