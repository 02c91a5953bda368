/**
 * The sender that a tag demands (`tags.*.from`): kept, refused or replaced. Pure.
 *
 * Only the address is compared, never the name: what a name may be is the address's business. What goes out is then held to
 * the credential's own patterns and to `senders` by `policy/sender.ts`: a tag never gives an app a sender that its
 * credential may not use.
 */
import type { TagConfig } from '../config/types.ts';
import { addressKey, type EnvelopeAddress } from '../core/address.ts';
import { type Refusal, refuse } from '../core/refusal.ts';

export interface WrittenFrom {
  readonly address: EnvelopeAddress;
  readonly name: string;
}

export type TrustedFrom =
  /** From stays as the app wrote it. */
  | { readonly kind: 'kept'; readonly from: WrittenFrom }
  /** From is replaced; `old` is what the app wrote. */
  | { readonly kind: 'rewritten'; readonly from: WrittenFrom; readonly old: WrittenFrom; readonly keepReplyTo: boolean }
  | Refusal;

/** What becomes of `written`, the From of a message with the tag `tag` (undefined: none that the config knows). */
export function applyTagFrom(tag: Pick<TagConfig, 'name' | 'from'> | undefined, written: WrittenFrom): TrustedFrom {
  const wanted = tag?.from ?? null;
  if (tag === undefined || wanted === null) return { kind: 'kept', from: written };
  const isSame = addressKey(wanted.address) === addressKey(written.address);
  if (wanted.mode === 'require') {
    if (isSame) return { kind: 'kept', from: written };
    return refuse(
      550,
      '5.7.1',
      `From must be <${wanted.address}> for mail with the tag ${tag.name} (tags.${tag.name}.from)`,
      `From <${written.address}> is not <${wanted.address}>, which tags.${tag.name}.from requires`,
    );
  }
  // Nothing to change: the app's own bytes stay.
  if (isSame && (wanted.name === '' || wanted.name === written.name)) return { kind: 'kept', from: written };
  const from = { address: wanted.address, name: wanted.name };
  return { kind: 'rewritten', from, old: written, keepReplyTo: wanted.keepReplyTo && !isSame };
}
