/**
 * What a check says: how bad it is, what was found, why that matters, and what mends it. Pure.
 *
 * The shape is the line of `check --json` and an item of the API: names here are promises to other people's scripts. `code`
 * is stable; texts are for people and may change. What could not be learnt (a DNS server that does not answer) is a warning
 * with a code that ends in `.unknown`, never a fault of the domain.
 */

export type FindingLevel = 'ok' | 'warning' | 'error';

/** A DNS record to publish. */
export interface RecordToPublish {
  /** Without the dot at the end. */
  readonly name: string;
  readonly type: 'A' | 'MX' | 'PTR' | 'TXT';
  /** As it is asked for: of TXT the joined text, of MX `10 host`. */
  readonly value: string;
  /** A line for a zone file. */
  readonly zone: string;
}

export interface CheckFinding {
  readonly level: FindingLevel;
  /** `spf.missing`, `dkim.mismatch`; of what is in order `spf.ok`. */
  readonly code: string;
  /** What was looked at, as a group: `config`, `spf`, `dkim`, `route`. */
  readonly about: string;
  /** Which one of them: a domain, a route, a file; empty where there is one only. */
  readonly subject: string;
  readonly message: string;
  /** What follows from it; empty where all is well. */
  readonly why: string;
  /** What mends it, a sentence or a command; may be empty. */
  readonly hint: string;
  readonly record: RecordToPublish | null;
}

export interface FindingWords {
  readonly message: string;
  readonly why: string;
  readonly hint: string;
  readonly record?: RecordToPublish;
}

/** Collects what the checks of one group find about one subject. */
export interface Findings {
  readonly list: readonly CheckFinding[];
  ok(message: string, hint?: string): void;
  /** There was no need to look; code `.not-asked`. */
  notAsked(message: string, hint: string): void;
  /** `name` becomes the second half of the code. */
  warning(name: string, words: FindingWords): void;
  error(name: string, words: FindingWords): void;
  /** It could not be learnt: `text` says what and why. */
  unknown(text: string): void;
}

/** What is published may be 64 KB of anything, and whoever reads a finding wants to see the others too. */
const MAX_TEXT_CHARS = 2000;
/** Longer than any record that does its work. */
const MAX_RECORD_CHARS = 8000;

function cut(text: string): string {
  return text.length <= MAX_TEXT_CHARS ? text : `${text.slice(0, MAX_TEXT_CHARS - 1).toWellFormed()}\u2026`;
}

/** A collector for the group `about` and one `subject`. */
export function createFindings(about: string, subject: string): Findings {
  const list: CheckFinding[] = [];
  const add = (level: FindingLevel, name: string, { message, why, hint, record = null }: Words): void => {
    const shown = record !== null && record.zone.length > MAX_RECORD_CHARS ? null : record;
    list.push({
      level,
      code: `${about}.${name}`,
      about,
      subject,
      message: cut(message),
      why,
      hint: cut(hint),
      record: shown,
    });
  };
  return {
    list,
    ok: (message, hint = '') => add('ok', 'ok', { message, why: '', hint }),
    notAsked: (message, hint) => add('ok', 'not-asked', { message, why: '', hint }),
    warning: (name, words) => add('warning', name, words),
    error: (name, words) => add('error', name, words),
    unknown: (text) =>
      add('warning', 'unknown', {
        message: `could not be asked: ${text}`,
        why: 'What is published there is not known now: it may be right or wrong.',
        hint: 'Try again later; `check --resolver HOST:PORT` asks another DNS server.',
      }),
  };
}

type Words = Omit<FindingWords, 'record'> & { readonly record?: RecordToPublish | null };

const RANK: Readonly<Record<FindingLevel, number>> = { ok: 0, warning: 1, error: 2 };

/** The worst level among `findings`; `ok` when there is none. */
export function worstLevel(findings: readonly CheckFinding[]): FindingLevel {
  return findings.reduce<FindingLevel>((worst, { level }) => (RANK[level] > RANK[worst] ? level : worst), 'ok');
}

/** Octets in one character-string of a TXT record (RFC 1035, section 3.3). */
const MAX_STRING_OCTETS = 255;

/** A TXT record to publish, cut into strings of 255 octets at most. `value` is ASCII without quotes. */
export function txtRecord(name: string, value: string): RecordToPublish {
  const strings: string[] = [];
  for (let at = 0; at < value.length; at += MAX_STRING_OCTETS) {
    strings.push(`"${value.slice(at, at + MAX_STRING_OCTETS)}"`);
  }
  const text = strings.length === 1 ? (strings[0] ?? '') : `( ${strings.join(' ')} )`;
  return { name, type: 'TXT', value, zone: `${name}. IN TXT ${text}` };
}

/** A record whose value is the name of a host (`host`) or an address. */
export function plainRecord(name: string, type: 'A' | 'MX' | 'PTR', value: string): RecordToPublish {
  return { name, type, value, zone: `${name}. IN ${type} ${value}${type === 'A' ? '' : '.'}` };
}
