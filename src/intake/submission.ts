/**
 * A message as a way in hands it over: SMTP and API both make one of these and call `accept`.
 */
import type { Identity } from '../config/types.ts';
import type { EnvelopeAddress } from '../core/address.ts';
import type { DeliveryId, MessageId } from '../core/ids.ts';
import type { Envelope } from '../core/message.ts';
import type { Refusal } from '../core/refusal.ts';

/** Who submits, as far as it was proven. */
export interface Submitter {
  /** null: a client in a trusted network that did not log in, or a caller of the API on loopback without a token. */
  readonly credential: Identity | null;
  readonly address: string;
  readonly helo: string;
  /** `TLSv1.3`, or null on a plain connection. */
  readonly tls: string | null;
  /** For the Received header (RFC 3848): `ESMTP`, `ESMTPA`, `ESMTPS`, `ESMTPSA`, with `UTF8` in front for SMTPUTF8, or `HTTP`. */
  readonly protocol: string;
}

export interface Submission {
  readonly submitter: Submitter;
  readonly envelope: Envelope;
  /** As received, dots unstuffed. */
  readonly content: Uint8Array;
  /**
   * Not null: the relay's own report (RFC 3464) with that number: no credential, null sender, From is the relay's own; sender
   * rules, tag rules, suppression and throttle do not apply, and no report is owed for it. Null for all other mail.
   */
  readonly paysReport: number | null;
}

export type Accepted =
  | {
      readonly kind: 'accepted';
      readonly id: MessageId;
      /** One for each recipient, in the order of the envelope. */
      readonly deliveries: readonly { readonly id: DeliveryId; readonly recipient: EnvelopeAddress }[];
    }
  /** The idempotency key was seen before; `id` is the first message's. */
  | { readonly kind: 'duplicate'; readonly id: MessageId };

/** The idempotency key was used for another message, `conflictsWith`. */
export interface Conflict extends Refusal {
  readonly conflictsWith: MessageId;
}

/** The one way in. Environment trouble is a refusal too (451, 452): it never rejects for a reason that can be foreseen. */
export interface Intake {
  /** Whether mail can be taken at all just now; checked at MAIL. */
  ready(): Refusal | null;
  /** Whether `submitter` may use this envelope sender; checked at MAIL, before any content is read. */
  checkSender(submitter: Submitter, mailFrom: Envelope['mailFrom']): Refusal | null;
  accept(submission: Submission): Promise<Accepted | Refusal | Conflict>;
}
