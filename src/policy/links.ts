/**
 * The link audit: the links of a message held against the policy of its tag. Pure; it changes nothing and asks nobody.
 *
 * What comes out is kept with the message, shown in traces and in the API, and told to the app: hosts, schemes, ports and
 * verdicts, bounded in number, never a path, query, fragment or user name. Which finding counts how much: `link-findings.ts`.
 *
 * A message that was not read whole is a breach, so that nothing passes because the audit gave up.
 */
import type { AuditedLink, LinkAudit, LinkVerdict } from '../core/link-audit.ts';
import { type Link, type LinkKind, readLinks } from '../mail/links.ts';
import type { MailParts, Unread } from '../mail/parts.ts';
import { type FindingPlace, LINK_CODES, type LinkCode, sentenceOf, severityOf } from './link-findings.ts';
import { type HostKind, isAllowedHost, kindOfHost } from './link-host.ts';
import { createImitationFinder, findLookAlike, type LookAlike } from './look-alike.ts';

export interface LinkPolicy {
  /** Names, `*.example.com` for what is below, `*` for any host that is not bad in itself; empty: the same as `*`. */
  readonly hosts: readonly string[];
  /** Lower case, without the colon; empty: https alone. */
  readonly schemes: readonly string[];
  readonly action: 'reject' | 'warn';
}

/** What the audit cannot see in the parts. */
export interface LinkFacts {
  /** The message has a tag of account recovery. */
  readonly recovery: boolean;
}

/** Entries of each list of an audit. */
export const MAX_LISTED = 50;
/** Gmail cuts HTML there; octets. */
export const GMAIL_CLIPS_AT: number = 102 * 1024;
/** Characters of a refusal, so that the reply stays one line of 512 octets (RFC 5321, section 4.5.3.1.5). */
const MAX_REFUSAL_CHARACTERS = 450;

const LOADED: ReadonlySet<LinkKind> = new Set<LinkKind>(['image', 'background', 'css', 'media']);
const FOLLOWED: ReadonlySet<LinkKind> = new Set<LinkKind>(['a', 'area', 'text']);
const ACTIVE_ATTACHMENTS: ReadonlySet<string> = new Set(['text/html', 'application/xhtml+xml', 'image/svg+xml']);
const BAD_HOSTS: Readonly<Record<Exclude<HostKind, 'public'>, LinkCode>> = {
  ip: 'ip-host',
  local: 'local-host',
  reserved: 'reserved-host',
  shortener: 'shortener',
};
const UNREAD_WORDS: Readonly<Record<Unread, string>> = {
  size: 'it has more than 256 KB of text and HTML',
  parts: 'it has more than 100 parts',
  depth: 'its parts are nested more than 8 deep',
  lines: 'it has too many lines that may be boundaries between parts',
  header: 'a header is too long or can be read in two ways',
  boundary: 'a multipart has no boundary, or one that never comes or comes twice',
  encoding: 'a transfer encoding is not known, or not allowed where it stands',
  charset: 'a character set is not known',
  message: 'another message is attached',
  links:
    'it has more than 500 links, or HTML that is too long, nested too deep, or seen in different ways by different readers',
};

interface Judged {
  readonly code: LinkCode;
  readonly detail: string | null;
}

/** Holds the parts of a message against `policy`. */
export function auditLinks(parts: MailParts, policy: LinkPolicy, facts: LinkFacts): LinkAudit {
  const found = readLinks(parts.texts);
  const book = createBook(policy.action);
  const judge = createJudge(policy);
  for (const link of found.links) book.addLink(link, judge(link));

  const note = (code: LinkCode, part: FindingPlace['part'], count = 1, detail: string | null = null): void =>
    book.addFinding(code, { part, kind: null, scheme: null, host: null, port: null, detail }, count);
  const marks = (...names: readonly ('form' | 'frame' | 'script' | 'handler' | 'refresh')[]): number =>
    names.reduce((sum, name) => sum + (found.marks.get(name) ?? 0), 0);
  for (const code of ['form', 'frame', 'refresh'] as const) if (marks(code) > 0) note(code, 'html', marks(code));
  if (marks('script', 'handler') > 0) note('script', 'html', marks('script', 'handler'));

  const unread = new Set(parts.unread);
  if (!found.whole) unread.add('links');
  for (const reason of unread) note('not-read-whole', 'message', 1, UNREAD_WORDS[reason]);

  const hasText = parts.texts.some((part) => part.type === 'text/plain');
  if (!hasText) note('no-text-part', 'message');
  const follows = (part: Link['part']): boolean =>
    found.links.some((link) => link.part === part && FOLLOWED.has(link.kind) && link.target.form === 'host');
  if (hasText && follows('html') && !follows('text')) note('link-not-in-text', 'text');
  if (parts.texts.some((part) => part.kind === 'html' && part.octets > GMAIL_CLIPS_AT)) note('html-too-long', 'html');
  const active = parts.attachments.filter((type) => ACTIVE_ATTACHMENTS.has(type)).length;
  if (active > 0) note('html-attachment', 'message', active);
  if (facts.recovery && parts.fieldNames.has('list-unsubscribe')) note('list-unsubscribe', 'message');
  return book.close();
}

/** The client's text for a message whose audit says `reject`: the first breach, and how many there are; ASCII, one line. */
export function refusalOfAudit(audit: LinkAudit): string {
  const breaches = audit.findings.filter((finding) => finding.severity === 'breach');
  const others = breaches.length - 1 + audit.omitted.findings;
  const more = others > 0 ? ` (${others} more)` : '';
  const text = `Link policy: ${breaches[0]?.text ?? 'breach'}`;
  const room = MAX_REFUSAL_CHARACTERS - more.length;
  return (text.length > room ? `${text.slice(0, room - 3)}...` : text) + more;
}

// --------------------------------------------------------------- judge

function createJudge(policy: LinkPolicy): (link: Link) => readonly Judged[] {
  const schemes = new Set(policy.schemes.length === 0 ? ['https'] : policy.schemes.map((name) => name.toLowerCase()));
  const anyHost = policy.hosts.length === 0 || policy.hosts.includes('*');
  const findImitated = createImitationFinder(policy.hosts.map((entry) => entry.replace(/^\*\./, '')));
  // A message has few hosts and may have thousands of links.
  const verdicts = new Map<string, { readonly named: boolean; readonly judged: readonly Judged[] }>();
  const judgeHostOnce = (host: string): { readonly named: boolean; readonly judged: readonly Judged[] } => {
    const known = verdicts.get(host);
    if (known !== undefined) return known;
    const named = isAllowedHost(host, policy.hosts);
    const verdict = { named, judged: named ? [] : judgeHost(host, anyHost, findImitated) };
    verdicts.set(host, verdict);
    return verdict;
  };
  return (link) => {
    const { form, scheme, host } = link.target;
    switch (form) {
      case 'contact':
      case 'inside':
        return [];
      case 'data':
        return LOADED.has(link.kind) ? [] : [plain('script-link')];
      case 'script':
        return [plain('script-link')];
      case 'relative':
        return [plain('incomplete-link')];
      case 'unreadable':
        return [plain('unreadable-link')];
      case 'other':
        return schemes.has(scheme) ? [] : [plain('scheme-not-allowed')];
      default: {
        const { named, judged } = judgeHostOnce(host ?? '');
        if (link.kind === 'bare') return !named && !anyHost ? [plain('bare-host')] : [];
        return [...judged, ...judgeRest(link, schemes, host ?? '')];
      }
    }
  };
}

function judgeHost(host: string, anyHost: boolean, findImitated: (host: string) => string | null): readonly Judged[] {
  const judged: Judged[] = [];
  const kind = kindOfHost(host);
  if (kind !== 'public') judged.push(plain(BAD_HOSTS[kind]));
  const letters = findLookAlike(host);
  const imitated = findImitated(host);
  if (letters !== null) judged.push({ code: 'look-alike-host', detail: lookAlikeWords(letters) });
  else if (imitated !== null) judged.push({ code: 'look-alike-host', detail: `the name looks like ${imitated}` });
  return judged.length === 0 && !anyHost ? [plain('host-not-allowed')] : judged;
}

function judgeRest(link: Link, schemes: ReadonlySet<string>, host: string): readonly Judged[] {
  const { target, kind } = link;
  const judged: Judged[] = [];
  const feigned = link.textHosts.find((textHost) => !showsHost(textHost, host));
  if (feigned !== undefined) judged.push({ code: 'text-mismatch', detail: feigned });
  if (target.userinfo) judged.push(plain('userinfo'));
  // In text readers put http in front of a name by themselves.
  if (target.scheme === '' && kind !== 'text') judged.push(plain('incomplete-link'));
  else if (target.scheme !== '' && !schemes.has(target.scheme)) judged.push(plain('scheme-not-allowed'));
  else if (target.scheme === 'http') judged.push(plain('http-link'));
  if (target.port !== null && kindOfHost(host) === 'public') judged.push(plain('odd-port'));
  if (link.pixel || kind === 'ping') judged.push(plain('tracking-pixel'));
  else if (LOADED.has(kind)) judged.push(plain('remote-image'));
  return judged;
}

/** A link may lead to a name below the one that is shown: who owns the one owns the other. */
function showsHost(textHost: string, host: string): boolean {
  const shown = textHost.startsWith('www.') ? textHost.slice(4) : textHost;
  return host === shown || host.endsWith(`.${shown}`);
}

function lookAlikeWords(found: LookAlike): string {
  switch (found.kind) {
    case 'mixed-scripts':
      return `the name mixes letters of ${found.scripts.join(' and ')}`;
    case 'whole-script':
      return `the name is written in ${found.script} letters that look like "${found.looksLike}"`;
    case 'odd-letter':
      return 'the name has a letter that passes for another one';
    case 'unreadable':
      return 'the name has an xn-- label that does not decode';
  }
}

function plain(code: LinkCode): Judged {
  return { code, detail: null };
}

// ---------------------------------------------------------------- book

interface Book {
  addLink(link: Link, judged: readonly Judged[]): void;
  addFinding(code: LinkCode, place: FindingPlace, count: number): void;
  close(): LinkAudit;
}

/** Counts what is alike, and keeps the worst when there is too much. */
function createBook(action: LinkPolicy['action']): Book {
  const links = new Map<string, { link: Link; count: number; codes: Set<LinkCode> }>();
  const findings = new Map<string, { code: LinkCode; place: FindingPlace; count: number }>();

  const addFinding: Book['addFinding'] = (code, place, count) => {
    const key = JSON.stringify([code, place.part, place.kind, place.scheme, place.host, place.port, place.detail]);
    const known = findings.get(key);
    if (known === undefined) findings.set(key, { code, place, count });
    else known.count += count;
  };

  const verdictOf = (codes: Iterable<LinkCode>): LinkVerdict => {
    let verdict: LinkVerdict = 'pass';
    for (const code of codes) {
      if (action === 'reject' && severityOf(code) === 'breach') return 'reject';
      verdict = 'warn';
    }
    return verdict;
  };

  return {
    addFinding,
    addLink: (link, judged) => {
      const { scheme, host, port } = link.target;
      const key = JSON.stringify([scheme, host, link.kind]);
      const entry = links.get(key) ?? { link, count: 0, codes: new Set<LinkCode>() };
      entry.count++;
      links.set(key, entry);
      for (const { code, detail } of judged) {
        entry.codes.add(code);
        addFinding(code, { part: link.part, kind: link.kind, scheme, host, port, detail }, 1);
      }
    },
    close: () => {
      const audited = [...links.values()]
        .map(({ link: { target, kind }, count, codes }): AuditedLink => {
          const { scheme, host, shown } = target;
          return { scheme, host, shown, kind, count, verdict: verdictOf(codes), codes: [...codes] };
        })
        .toSorted((one, other) => VERDICT_RANK[other.verdict] - VERDICT_RANK[one.verdict]);
      const told = [...findings.values()].toSorted(
        (one, other) => LINK_CODES.indexOf(one.code) - LINK_CODES.indexOf(other.code),
      );
      return {
        verdict: verdictOf(told.map(({ code }) => code)),
        links: audited.slice(0, MAX_LISTED),
        findings: told.slice(0, MAX_LISTED).map(({ code, place, count }) => ({
          code,
          severity: severityOf(code),
          part: place.part,
          host: place.host,
          count,
          text: sentenceOf(code, place),
        })),
        omitted: {
          links: Math.max(audited.length - MAX_LISTED, 0),
          findings: Math.max(told.length - MAX_LISTED, 0),
        },
      };
    },
  };
}

const VERDICT_RANK: Readonly<Record<LinkVerdict, number>> = { pass: 0, warn: 1, reject: 2 };
