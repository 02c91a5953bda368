/**
 * Which tag a message has, and who said so. The strongest source wins: header, then the credential's default.
 */
import type { CredentialConfig } from '../config/types.ts';
import type { TagSource } from '../core/message.ts';
import type { Wishes } from './relay-headers.ts';

export interface TagChoice {
  readonly tag: string | null;
  readonly source: TagSource;
}

/** Chooses the tag of a message submitted with `wishes` by `credential` (null: a trusted client without one). */
export function chooseTag(wishes: Wishes, credential: CredentialConfig | null): TagChoice {
  if (wishes.tag !== null) return { tag: wishes.tag, source: 'header' };
  if (credential?.tag != null) return { tag: credential.tag, source: 'credential' };
  return { tag: null, source: 'none' };
}
