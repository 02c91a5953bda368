/**
 * Why a message cannot be delivered to a recipient: the closed list of classes, and what each means to people.
 *
 * Only `recipient` leads to a suppression, and for a limited time: every other class says something about the message, the
 * sender, the route or the moment, and not that the mailbox does not exist.
 */

export const BOUNCE_CLASSES = [
  'recipient',
  'mailbox-full',
  'policy',
  'content',
  'reputation',
  'infrastructure',
  'undetermined',
] as const;
export type BounceClass = (typeof BOUNCE_CLASSES)[number];

/** What each class means and what to do, one sentence, for the trace and the API. */
export const BOUNCE_EXPLANATIONS: Readonly<Record<BounceClass, string>> = {
  recipient: 'The mailbox or its domain does not exist or takes no mail: ask the person for another address.',
  'mailbox-full': 'The mailbox exists and is full: the person must make room before a message can arrive.',
  policy: 'The receiver does not take this mail by its own rules: see whether sender, SPF, DKIM and DMARC fit them.',
  content: 'The receiver refused what the message says or how it is built: look at its text, links and size.',
  reputation: 'The receiver distrusts the sending address or domain: see the blocklists and the provider’s account.',
  infrastructure: 'A server on the way was misconfigured or out of order: see the route and its next hop.',
  undetermined: 'The reply does not say why: read its text, and ask the receiver if it happens again.',
};

export interface Bounce {
  readonly class: BounceClass;
  /** Which part of the answer decided, one sentence: `enhanced code 5.1.1: bad destination mailbox address`. */
  readonly why: string;
}
