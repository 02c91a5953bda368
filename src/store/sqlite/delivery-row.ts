/** A row of `deliveries` with what its events tell of its message. */
import type { EnvelopeAddress } from '../../core/address.ts';
import type { DeliveryState } from '../../core/delivery.ts';
import type { DeliveryId, MessageId } from '../../core/ids.ts';
import type { MessageRecord } from '../../core/message.ts';
import { EVENT_MESSAGE_COLUMNS, type EventMessageRow } from './message-row.ts';

export interface DeliveryRow extends EventMessageRow {
  readonly did: number;
  readonly id: DeliveryId;
  readonly mid: number;
  readonly recipient: EnvelopeAddress;
  readonly recipient_key: string;
  /** JSON of a `RecipientDsn`. */
  readonly recipient_dsn: string | null;
  /** The envelope sender of this delivery alone. */
  readonly return_path: string | null;
  readonly state: DeliveryState;
  readonly rule: string;
  readonly route: string;
  readonly destination: string;
  readonly attempts: number;
  readonly crashes: number;
  readonly due_at: number | null;
  readonly leased_at: number | null;
  readonly collapse_scope: string | null;
  /** A newer message came while this one was in work, or took its place. */
  readonly superseded_by: MessageId | null;
  readonly delay_at: number | null;
  readonly deadline_source: MessageRecord['deadlineSource'];
  readonly content_kept: number;
  readonly wants_reports: number;
}

/** `SELECT` of a `DeliveryRow`; `index` (`INDEXED BY ...`, `NOT INDEXED`) is what of `deliveries` answers the question. */
export function selectDelivery(index: string, condition: string): string {
  return `
    SELECT d.did, d.id, d.mid, d.recipient, d.recipient_key, d.dsn AS recipient_dsn, d.return_path, d.state, d.rule,
      d.route, d.destination, d.attempts, d.crashes, d.due_at, d.leased_at, d.collapse_scope, d.superseded_by, d.delay_at,
      m.deadline_source, m.content_kept, m.wants_reports, ${EVENT_MESSAGE_COLUMNS}
    FROM deliveries d ${index} CROSS JOIN messages m ON m.mid = d.mid
    WHERE ${condition}`;
}
