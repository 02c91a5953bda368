/**
 * Which tags' `match` entries hold for a message: for apps that can set no header. Pure.
 *
 * Tags are asked in the order of the config; the first one counts, the others are told by `explain`. The reasons name the
 * rule, never the subject.
 */
import type { SubjectMatch, TagConfig, TagMatch } from '../config/types.ts';
import type { EnvelopeAddress } from '../core/address.ts';
import { matchesSenderPattern } from './sender.ts';

export interface TagFacts {
  readonly credential: string | null;
  /** null: From is malformed; no entry that asks for it holds. */
  readonly from: EnvelopeAddress | null;
  /** Asked for once at most, and only when an entry needs it; null: nothing to compare. */
  readonly subject: () => string | null;
}

export interface TagVerdict {
  readonly tag: string;
  /** `tags.password-reset.match[0]`. */
  readonly rule: string;
}

/** The tags that match `facts`, each by its first entry that holds, in the order of the config. */
export function matchingTags(tags: ReadonlyMap<string, TagConfig>, facts: TagFacts): readonly TagVerdict[] {
  const verdicts: TagVerdict[] = [];
  for (const { name, match } of tags.values()) {
    const index = match.findIndex((entry) => holds(entry, facts));
    if (index !== -1) verdicts.push({ tag: name, rule: `tags.${name}.match[${index}]` });
  }
  return verdicts;
}

function holds(entry: TagMatch, facts: TagFacts): boolean {
  if (entry.credential !== null && (facts.credential === null || !entry.credential.includes(facts.credential))) {
    return false;
  }
  const { from } = facts;
  if (entry.from !== null && (from === null || !entry.from.some((pattern) => matchesSenderPattern(pattern, from)))) {
    return false;
  }
  if (entry.subject === null) return true;
  const subject = facts.subject();
  return subject !== null && fits(entry.subject, subject);
}

function fits(wanted: SubjectMatch, subject: string): boolean {
  switch (wanted.kind) {
    case 'exact':
      return comparable(subject) === comparable(wanted.text);
    case 'contains':
      return comparable(subject).includes(comparable(wanted.text));
    case 'pattern':
      return wanted.pattern.test(subject);
  }
}

function comparable(text: string): string {
  return text.normalize('NFC').replace(/\s+/g, ' ').trim().toLowerCase();
}
