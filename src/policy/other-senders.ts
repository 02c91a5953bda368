/**
 * The header fields beside From that name a sender: `Sender`, `Resent-From`, `Resent-Sender` (RFC 5322, sections 3.6.2 and 3.6.6).
 * Mail programs show them ("on behalf of"), so each is held to the same rules as From: one mailbox, of a sender that the
 * credential may use. Pure.
 *
 * Decided: several mailboxes in Resent-From, which the RFC allows, are refused as in From.
 */
import type { Config, Identity } from '../config/types.ts';
import { type Refusal, refuse } from '../core/refusal.ts';
import { parseFromValue } from '../mail/from.ts';
import { fieldValue, type HeaderField } from '../mail/header.ts';
import { checkHeaderFrom, type SenderField } from './sender.ts';

const FIELDS: ReadonlyMap<string, SenderField> = new Map([
  ['sender', 'Sender'],
  ['resent-from', 'Resent-From'],
  ['resent-sender', 'Resent-Sender'],
]);

/** A refusal for the first such field that `credential` may not write so; null when all may stay. */
export function checkOtherSenders(
  config: Pick<Config, 'senders' | 'unknownSenders'>,
  credential: Identity | null,
  bytes: Uint8Array,
  fields: readonly HeaderField[],
): Refusal | null {
  for (const field of fields) {
    const name = FIELDS.get(field.key);
    if (name === undefined) continue;
    const parsed = parseFromValue(fieldValue(bytes, field));
    if (parsed.kind === 'malformed') return refuse(550, '5.6.0', parsed.reason.replaceAll('From', name));
    const refusal = checkHeaderFrom(config, credential, parsed.address, name);
    if (refusal !== null) return refusal;
  }
  return null;
}
