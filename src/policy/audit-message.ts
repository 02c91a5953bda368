/** The link audit of a whole message: its parts read (bounded), its links held against the policy of its tag. */
import type { LinksConfig } from '../config/types.ts';
import { readParts } from '../mail/parts.ts';
import type { LinkAudit } from '../core/link-audit.ts';
import { auditLinks } from './links.ts';

/** The audit of the message in `bytes`; null when its tag has no link policy. */
export function auditMessage(
  bytes: Uint8Array,
  policy: { readonly links: LinksConfig | null; readonly recovery: boolean },
): LinkAudit | null {
  return policy.links === null ? null : auditLinks(readParts(bytes), policy.links, { recovery: policy.recovery });
}
