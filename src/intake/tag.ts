/**
 * Which tag a message has, and who said so. The strongest source wins: our header, an accepted alias, a tag rule
 * (`tags.*.match`, first in the config), the credential's default.
 */
import type { Config, Identity } from '../config/types.ts';
import type { EnvelopeAddress } from '../core/address.ts';
import type { TagSource } from '../core/message.ts';
import type { HeaderField } from '../mail/header.ts';
import { matchingTags, type TagVerdict } from '../policy/tag-rules.ts';
import { readSubject } from './subject.ts';

export interface TagInput {
  readonly bytes: Uint8Array;
  readonly fields: readonly HeaderField[];
  /** null: a trusted client without one. */
  readonly credential: Identity | null;
  /** The address in From as the app wrote it; null: malformed. */
  readonly from: EnvelopeAddress | null;
  /** Of `X-Leadpush-Tag`, and of an alias. */
  readonly header: string | null;
  readonly alias: string | null;
}

export interface TagChoice {
  readonly tag: string | null;
  readonly source: TagSource;
  /** Every tag rule that matches, also where a stronger source decided; the first in the config comes first. */
  readonly rules: readonly TagVerdict[];
}

/** Chooses the tag of a message. */
export function chooseTag(config: Pick<Config, 'tags'>, input: TagInput): TagChoice {
  const { header, alias, credential } = input;
  let subject: string | null | undefined;
  const rules = matchingTags(config.tags, {
    credential: credential?.username ?? null,
    from: input.from,
    subject: () => (subject === undefined ? (subject = readSubject(input.bytes, input.fields)) : subject),
  });
  if (header !== null) return { tag: header, source: 'header', rules };
  if (alias !== null) return { tag: alias, source: 'alias', rules };
  const [first] = rules;
  if (first !== undefined) return { tag: first.tag, source: 'rule', rules };
  if (credential?.tag != null) return { tag: credential.tag, source: 'credential', rules };
  return { tag: null, source: 'none', rules };
}
