/**
 * Sorts refusals of messages at submission into few kinds, for the label of a metric. What an SMTP session refuses by itself
 * (no login, too many recipients, too big) never comes here: it counts in a metric of its own.
 */
import type { Refusal } from '../core/refusal.ts';

/** Every value that the label `reason` of `leadpush_messages_rejected_total` can have. */
export const REJECTION_REASONS = [
  'not-allowed',
  'links',
  'malformed',
  'tls',
  'storage',
  'unavailable',
  'other',
] as const;
export type RejectionReason = (typeof REJECTION_REASONS)[number];

const BY_ENHANCED_CODE: ReadonlyMap<string, RejectionReason> = new Map([
  ['5.7.0', 'links'],
  ['5.7.1', 'not-allowed'],
  ['5.7.10', 'tls'],
  ['4.3.1', 'storage'],
]);

/** The kind of a refusal, by its enhanced code (RFC 3463). */
export function rejectionReason(refusal: Pick<Refusal, 'code' | 'enhanced'>): RejectionReason {
  const known = BY_ENHANCED_CODE.get(refusal.enhanced);
  if (known !== undefined) return known;
  if (refusal.enhanced.startsWith('4.')) return 'unavailable';
  // 5.1.x bad address, 5.5.x protocol, 5.6.x content.
  return /^5\.[156]\./.test(refusal.enhanced) ? 'malformed' : 'other';
}
