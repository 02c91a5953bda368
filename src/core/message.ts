/**
 * What a message is inside the relay: envelope, sender's wishes, and the record that is kept of it.
 *
 * None of these types holds a subject, a body or a link: content is bytes, kept apart, and never shown.
 */
import type { EnvelopeAddress, ReversePath } from './address.ts';
import type { DeliveryId, MessageId } from './ids.ts';
import type { LinkAudit } from './link-audit.ts';

/** The lanes, most urgent first; the position is the number that the queue sorts by. */
export const PRIORITIES = ['critical', 'normal', 'bulk'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** Where a message's tag came from, strongest first; `none` when it has no tag. */
export const TAG_SOURCES = ['header', 'alias', 'rule', 'credential', 'none'] as const;
export type TagSource = (typeof TAG_SOURCES)[number];

/** Tags whose mail restores access to an account. */
export const RECOVERY_TAGS: ReadonlySet<string> = new Set(['password-reset', 'admin-reset', 'compromised-account']);

/** The name of a tag, wherever one is written. */
export const TAG_GRAMMAR: RegExp = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** A TTL is at least this long. */
export const MIN_TTL_MS = 1000;
/** A TTL is at most this long: 30 days. */
export const MAX_TTL_MS: number = 30 * 86_400_000;

/** DSN parameters of MAIL (RFC 3461, section 4.3 and 4.4). */
export interface EnvelopeDsn {
  readonly ret: 'FULL' | 'HDRS' | null;
  /** Decoded from xtext. */
  readonly envid: string | null;
}

/** DSN parameters of RCPT (RFC 3461, section 4.1 and 4.2). */
export interface RecipientDsn {
  readonly notify: readonly ('NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY')[];
  /** `addr-type;address`, decoded from xtext. */
  readonly orcpt: string | null;
}

export interface EnvelopeRecipient {
  /** Byte for byte as the client gave it between the angle brackets. */
  readonly address: EnvelopeAddress;
  readonly dsn: RecipientDsn | null;
}

export interface Envelope {
  /** Empty for the null sender `<>`. */
  readonly mailFrom: ReversePath;
  readonly recipients: readonly EnvelopeRecipient[];
  readonly dsn: EnvelopeDsn;
  /** The client declared SMTPUTF8 (RFC 6531). */
  readonly smtpUtf8: boolean;
  /** Seconds from `BY=` (RFC 2852), or null. */
  readonly deliverBySeconds: number | null;
}

/** What is kept of a message, apart from its content. Written once, at acceptance. Times are epoch milliseconds. */
export interface MessageRecord {
  readonly id: MessageId;
  /** The Message-ID header's value with its angle brackets. */
  readonly headerMessageId: string;
  readonly mailFrom: ReversePath;
  /** The address in the From header. */
  readonly headerFrom: string;
  readonly dsn: EnvelopeDsn;
  readonly smtpUtf8: boolean;
  readonly tag: string | null;
  readonly tagSource: TagSource;
  readonly flow: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly priority: Priority;
  readonly collapseKey: string | null;
  readonly requireTls: boolean;
  /** Username of the credential, or null for a client in a trusted network. */
  readonly credential: string | null;
  /** Name of the routing rule that matched for the first recipient; each delivery keeps its own. */
  readonly rule: string;
  readonly acceptedAt: number;
  /** After this the message is never delivered: acceptance plus TTL, or plus `retry.give_up_after`. */
  readonly deadline: number;
  /** Why the deadline is what it is. */
  readonly deadlineSource: 'header' | 'deliverby' | 'tag' | 'give-up';
  /** Octets of the stored message, signature included. */
  readonly size: number;
  /** True when the content has octets above 127 (8BITMIME, RFC 6152). */
  readonly eightBit: boolean;
  /** `selector._domainkey.domain (algorithm)` of each signature. */
  readonly signatures: readonly string[];
  readonly warnings: readonly string[];
  /** What the links of the message were found to be; null: its tag has no link policy. */
  readonly links: LinkAudit | null;
  /** The client's address, HELO name and TLS version, as in the Received header. */
  readonly client: { readonly address: string; readonly helo: string; readonly tls: string | null };
}

/** One recipient of a new message. */
export interface NewDelivery {
  readonly id: DeliveryId;
  readonly recipient: EnvelopeAddress;
  readonly dsn: RecipientDsn | null;
  /** Name of the routing rule that matched for this recipient, why, and the rule's routes in order. */
  readonly rule: string;
  readonly ruleReason: string;
  readonly via: readonly string[];
  /** The route of the first attempt. */
  readonly route: string;
  /** That route has a limit for each recipient domain. */
  readonly byDestination: boolean;
  /** The envelope sender of this delivery alone (VERP); null: the message's. */
  readonly returnPath: ReversePath | null;
}
