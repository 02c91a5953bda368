/**
 * Reports about deliveries that came in by mail (RFC 3464, RFC 5965), long after the next hop had taken them: the event, the
 * suppression and the report that is owed in turn, each once, in one transaction. The delivery's state stays as it is.
 *
 * A report that says the same of the same delivery is known by its digest. Whoever has seen a return path can send
 * reports to it, so a delivery takes a bounded number of different ones.
 */
import { createHash } from 'node:crypto';
import type Database from 'better-sqlite3';
import type { EnvelopeAddress } from '../../core/address.ts';
import type { EventData, EventType } from '../../core/event.ts';
import { eventMessage } from '../../core/event.ts';
import type { DeliveryId } from '../../core/ids.ts';
import type { Feedback } from '../store.ts';
import type { ReaderCalls, WriterCalls } from './calls.ts';
import { type DeliveryRow, selectDelivery } from './delivery-row.ts';
import type { EventLog } from './event-log.ts';
import { DELIVERY_OF_MESSAGE } from './keys.ts';
import { eventSourceOf } from './message-row.ts';
import { eventBounce } from './moves.ts';
import { asksFor, createOwe } from './owed.ts';
import { createSuppress } from './suppress.ts';

/** Different reports that one delivery takes. */
const MAX_REPORTS = 16;
/** Deliveries that one Message-ID leads to. */
const MAX_FOUND = 1000;

/** Makes `secret`, `knows` and `byMessageId` over `db`. */
export function createFeedbackReads(db: Database.Database): Pick<ReaderCalls, 'secret' | 'knows' | 'byMessageId'> {
  const secret = db.prepare<[], Uint8Array>('SELECT secret FROM relay WHERE only_row = 1').pluck();
  const knows = db.prepare<[DeliveryId], number>('SELECT 1 FROM deliveries WHERE id = ?').pluck();
  const byMessageId = db.prepare<[string, number], { readonly id: DeliveryId; readonly recipient: EnvelopeAddress }>(`
    SELECT d.id, d.recipient
    FROM messages m INDEXED BY messages_header_id CROSS JOIN deliveries d ON ${DELIVERY_OF_MESSAGE}
    WHERE m.header_message_id = ? ORDER BY m.mid DESC LIMIT ?`);
  return {
    secret() {
      const found = secret.get();
      if (found === undefined) throw new Error('the database has no secret');
      return found;
    },
    knows: (id) => knows.get(id) !== undefined,
    byMessageId: (headerMessageId) => byMessageId.all(headerMessageId, MAX_FOUND),
  };
}

/** Makes `recordFeedback` over `db`. */
export function createFeedback(db: Database.Database, events: EventLog): WriterCalls['recordFeedback'] {
  const one = db.prepare<[string], DeliveryRow>(
    selectDelivery('INDEXED BY sqlite_autoindex_deliveries_1', 'd.id = +?'),
  );
  const seen = db.prepare<[number], number>('SELECT count(*) FROM feedback WHERE did = ?').pluck();
  const note = db.prepare<[number, string]>('INSERT OR IGNORE INTO feedback (did, digest) VALUES (?, ?)');
  const owe = createOwe(db);
  const suppress = createSuppress(db);

  function owes(row: DeliveryRow, action: 'failed' | 'delayed', { at, report, kind }: Feedback): void {
    if (row.wants_reports !== 1 || !asksFor(action, row.recipient_dsn)) return;
    const bounce = kind.type === 'bounced' ? kind.bounce : null;
    const { did, state, attempts } = row;
    owe({ did, action, at, state, attempt: attempts, bounce, reason: report.diagnostic });
  }

  return (feedback) => {
    const { at, report, kind } = feedback;
    const row = one.get(feedback.deliveryId);
    if (row === undefined) return 'unknown';
    if ((seen.get(row.did) ?? 0) >= MAX_REPORTS) return 'duplicate';
    if (note.run(row.did, digestOf(feedback)).changes === 0) return 'duplicate';

    const { id, recipient, state, attempts } = row;
    const data: EventData = {
      message: eventMessage(eventSourceOf(row), row.rule),
      delivery: { id, recipient, state, attempts },
      ...(kind.type === 'bounced' ? { bounce: eventBounce(kind.bounce, kind.suppressUntil) } : {}),
      report,
    };
    const type: EventType = `message.${kind.type}`;
    events.append(type, at, data, row.recipient_key);
    switch (kind.type) {
      case 'bounced':
        if (kind.suppressUntil !== null) suppress(row, 'bounce', report.diagnostic, at, kind.suppressUntil);
        owes(row, 'failed', feedback);
        break;
      case 'complained':
        if (kind.suppressUntil !== null) suppress(row, 'complaint', report.diagnostic, at, kind.suppressUntil);
        break;
      case 'delayed':
        owes(row, 'delayed', feedback);
        break;
    }
    return 'recorded';
  };
}

function digestOf({ report, kind }: Feedback): string {
  const said = JSON.stringify([kind.type, report.kind, report.reporter, report.status, report.diagnostic]);
  return createHash('sha256').update(said).digest('base64url').slice(0, 22);
}
