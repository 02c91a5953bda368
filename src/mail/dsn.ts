/**
 * A delivery status notification, read (RFC 3464, sections 2.2 and 2.3).
 *
 * Only what tells which delivery it is about and what became of it. Values are the sender's own, cut to a bounded length and
 * not cleaned: `cleanRemoteText` comes before any log or record. Fields that are missing or make no sense are null.
 */
import { type FieldGroup, firstValue, readFieldGroups, untyped, withoutComments } from './report-fields.ts';

export const DSN_ACTIONS = ['failed', 'delayed', 'delivered', 'relayed', 'expanded'] as const;
export type DsnAction = (typeof DSN_ACTIONS)[number];

export interface DsnRecipient {
  readonly originalRecipient: string | null;
  readonly finalRecipient: string | null;
  /** null: absent, or a word that the RFC does not know. */
  readonly action: DsnAction | null;
  /** `5.1.1`. */
  readonly status: string | null;
  /** With its type: `smtp; 550 5.1.1 ...`. */
  readonly diagnostic: string | null;
  /** The same with all that it may quote of the message: to be classified. A function, so that no log can show it. */
  readonly unstruck: () => string | null;
  readonly remoteMta: string | null;
}

export interface DeliveryStatus {
  readonly reportingMta: string | null;
  readonly originalEnvelopeId: string | null;
  /** At least one, at most 20. */
  readonly recipients: readonly DsnRecipient[];
}

const STATUS = /^([245]\.\d{1,3}\.\d{1,3})(?!\d)/;

/** Reads the text of a `message/delivery-status` part; null when it speaks of no recipient. */
export function readDeliveryStatus(text: string): DeliveryStatus | null {
  const groups = readFieldGroups(text);
  const message = groups[0];
  // Some servers forget the empty line between the two kinds of groups.
  const recipients = groups.filter(
    (group) => group.has('action') || group.has('status') || group.has('final-recipient'),
  );
  if (message === undefined || recipients.length === 0) return null;
  return {
    reportingMta: untyped(firstValue(message, 'reporting-mta')),
    originalEnvelopeId: firstValue(message, 'original-envelope-id'),
    recipients: recipients.map(readRecipient),
  };
}

function readRecipient(group: FieldGroup): DsnRecipient {
  const action = withoutComments(firstValue(group, 'action') ?? '').toLowerCase();
  const diagnostic = firstValue(group, 'diagnostic-code');
  return {
    originalRecipient: untyped(firstValue(group, 'original-recipient')),
    finalRecipient: untyped(firstValue(group, 'final-recipient')),
    action: DSN_ACTIONS.find((known) => known === action) ?? null,
    status: STATUS.exec(withoutComments(firstValue(group, 'status') ?? ''))?.[1] ?? null,
    diagnostic,
    unstruck: () => diagnostic,
    remoteMta: untyped(firstValue(group, 'remote-mta')),
  };
}
