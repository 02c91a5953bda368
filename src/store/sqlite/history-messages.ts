/**
 * Reading messages: one, many by filter, or by whatever an operator has in hand.
 *
 * Every list is driven by one index and goes from the newest message down, so that it stops when it has enough. Known
 * limit: two filters that are each common but rarely meet (a tag and a state) read as far as the first of them reaches.
 * The recipients that begin alike are not in that order: all of their deliveries are read and sorted, so count them before.
 * "Newest" is the order of commits; `sinceMs` is found by bisection and takes the clock to have gone forward.
 */
import type Database from 'better-sqlite3';
import { addressKey, type EnvelopeAddress, parseEnvelopeAddress } from '../../core/address.ts';
import type { BounceClass } from '../../core/bounce.ts';
import type { DeliveryState } from '../../core/delivery.ts';
import { type DeliveryId, type MessageId, parseDeliveryId, parseMessageId } from '../../core/ids.ts';
import { PRIORITIES } from '../../core/message.ts';
import type { DeliveryView, MessageFilter, MessageView } from '../history.ts';
import type { ReaderCalls } from './calls.ts';
import { createFirstSince } from './first-since.ts';
import { DELIVERY_OF_MESSAGE, deliveryKeys } from './keys.ts';
import { MESSAGE_COLUMNS, type MessageRow, recordOf } from './message-row.ts';
import { createStatementCache, type Value } from './statement-cache.ts';

type MessageReads = Pick<ReaderCalls, 'message' | 'messages' | 'deliveriesTo' | 'find'>;

interface DeliveryViewRow {
  readonly id: DeliveryId;
  readonly recipient: EnvelopeAddress;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly rule: string;
  readonly rule_reason: string;
  readonly via: string;
  readonly route: string;
  readonly due_at: number | null;
  readonly last_response: string | null;
  readonly delivered_at: number | null;
  readonly bounce_class: BounceClass | null;
  readonly bounce_why: string | null;
  readonly superseded_by: MessageId | null;
  readonly updated_at: number;
}

/** `addressKey` of what may be a recipient, or null when it is no address. */
export function recipientKeyOf(text: string): string | null {
  const parsed = parseEnvelopeAddress(text, { smtpUtf8: true });
  return parsed.kind === 'address' ? addressKey(parsed.address) : null;
}

/** The keys, from one up to but not including another, of the recipients that begin with `prefix`; a domain in it as A-labels. */
function keysFrom(prefix: string): readonly [from: string, to: string] {
  const key = prefix.toLowerCase();
  return [key, `${key}\u{10ffff}`];
}

/** Makes the message reads over `db`. */
export function createMessageReads(db: Database.Database): MessageReads {
  const byId = db.prepare<[string], MessageRow>(`SELECT ${MESSAGE_COLUMNS} FROM messages m WHERE m.id = ?`);
  const byMid = db.prepare<[number], MessageRow>(`SELECT ${MESSAGE_COLUMNS} FROM messages m WHERE m.mid = ?`);
  const deliveriesOf = db.prepare<[number, number], DeliveryViewRow>(`
    SELECT id, recipient, state, attempts, rule, rule_reason, via, route, due_at, last_response, delivered_at,
      bounce_class, bounce_why, superseded_by, updated_at
    FROM deliveries WHERE did BETWEEN ? AND ? ORDER BY did`);
  const listMids = createMidList(db);

  const byDelivery = midsBy(db, 'SELECT mid FROM deliveries WHERE id = ? LIMIT ?');
  const byFlow = midsBy(
    db,
    'SELECT mid FROM messages INDEXED BY messages_flow WHERE flow = ? ORDER BY mid DESC LIMIT ?',
  );
  const byHeaderId = midsBy(
    db,
    'SELECT mid FROM messages INDEXED BY messages_header_id WHERE header_message_id = ? ORDER BY mid DESC LIMIT ?',
  );
  const byRecipient = midsBy(
    db,
    `SELECT DISTINCT mid FROM deliveries INDEXED BY deliveries_recipient
     WHERE recipient_key = ? ORDER BY mid DESC LIMIT ?`,
  );
  const countTo = db
    .prepare<[string, string, number], number>(
      `SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_recipient
       WHERE recipient_key >= ? AND recipient_key < ? LIMIT ?)`,
    )
    .pluck();
  const idOf = db.prepare<[number], MessageId>('SELECT id FROM messages WHERE mid = ?').pluck();
  const wasRejected = db
    .prepare<[string], MessageId>(
      'SELECT message_id FROM events INDEXED BY events_message WHERE message_id = ? LIMIT 1',
    )
    .pluck();

  function viewOf(row: MessageRow): MessageView {
    return {
      ...recordOf(row),
      contentKept: row.content_kept === 1,
      deliveries: deliveriesOf.all(...deliveryKeys(row.mid)).map(deliveryViewOf),
    };
  }

  return {
    message(id) {
      const row = byId.get(id);
      return row === undefined ? null : viewOf(row);
    },

    messages: (filter) =>
      listMids(filter)
        .flatMap((mid) => byMid.all(mid))
        .map(viewOf),

    deliveriesTo: (prefix, limit) => countTo.get(...keysFrom(prefix), limit) ?? 0,

    find(key, by, limit) {
      if (by === 'flow') return byFlow.all(key, limit).flatMap((mid) => idOf.all(mid));
      const id = parseMessageId(key);
      if (id !== null) return byId.get(id) === undefined ? wasRejected.all(id) : [id];
      const bare = key.replace(/^<(.*)>$/, '$1');
      const recipientKey = recipientKeyOf(bare);
      const mids = new Set([
        ...(parseDeliveryId(key) === null ? [] : byDelivery.all(key, limit)),
        ...byHeaderId.all(`<${bare}>`, limit),
        ...byFlow.all(key, limit),
        ...(recipientKey === null ? [] : byRecipient.all(recipientKey, limit)),
      ]);
      return [...mids]
        .sort((a, b) => b - a)
        .slice(0, limit)
        .flatMap((mid) => idOf.all(mid));
    },
  };
}

function midsBy(db: Database.Database, sql: string): Database.Statement<[string, number], number> {
  return db.prepare<[string, number], number>(sql).pluck();
}

function deliveryViewOf(row: DeliveryViewRow): DeliveryView {
  return {
    id: row.id,
    recipient: row.recipient,
    state: row.state,
    attempts: row.attempts,
    rule: row.rule,
    ruleReason: row.rule_reason,
    via: JSON.parse(row.via),
    route: row.route,
    nextAttemptAt: row.due_at,
    lastResponse: row.last_response,
    deliveredAt: row.delivered_at,
    bounce:
      row.bounce_class === null || row.bounce_why === null ? null : { class: row.bounce_class, why: row.bounce_why },
    supersededBy: row.superseded_by,
    updatedAt: row.updated_at,
  };
}

/** The short keys of the messages that `filter` describes, newest first. */
function createMidList(db: Database.Database): (filter: MessageFilter) => readonly number[] {
  const prepared = createStatementCache(db);
  const firstSince = createFirstSince(db, 'messages', 'mid', 'accepted_at');
  const midBefore = db
    .prepare<[string, string], number>(
      `SELECT coalesce((SELECT mid FROM messages WHERE id = ?),
        (SELECT mid + 1 FROM messages WHERE id < ? ORDER BY id DESC LIMIT 1), 0)`,
    )
    .pluck();

  return (filter) => {
    const { tag, state, recipient, recipientPrefix, flow, headerMessageId, sinceMs, untilMs, before, limit } = filter;
    const where: string[] = [];
    const values: Value[] = [];
    const demand = (condition: string, ...given: readonly Value[]): void => {
      where.push(condition);
      values.push(...given);
    };
    const recipientKey = recipient === undefined ? undefined : recipientKeyOf(recipient);
    if (recipientKey === null) return [];
    const toWhom: readonly string[] = [
      ...(recipientKey === undefined ? [] : ['d.recipient_key = ?']),
      ...(recipientPrefix === undefined ? [] : ['d.recipient_key >= ? AND d.recipient_key < ?']),
    ];
    if (before !== undefined) demand('m.mid < ?', midBefore.get(before, before) ?? 0);
    if (sinceMs !== undefined) demand('m.mid >= ? AND m.accepted_at >= ?', firstSince(sinceMs), sinceMs);
    if (untilMs !== undefined) demand('m.mid < ? AND m.accepted_at < ?', firstSince(untilMs), untilMs);
    if (headerMessageId !== undefined) demand('m.header_message_id = ?', headerMessageId);
    if (tag !== undefined) demand('m.tag = ?', tag);
    if (flow !== undefined) demand('m.flow = ?', flow);
    const conditions = where.map((condition) => ` AND ${condition}`).join('');

    if (toWhom.length > 0) {
      const withState = state === undefined ? '' : ' AND d.state = ?';
      return prepared(`
        SELECT DISTINCT d.mid FROM deliveries d INDEXED BY deliveries_recipient CROSS JOIN messages m ON m.mid = d.mid
        WHERE ${toWhom.join(' AND ')}${withState}${conditions.replaceAll('m.mid', 'd.mid')} ORDER BY d.mid DESC LIMIT ?`).all(
        ...(recipientKey === undefined ? [] : [recipientKey]),
        ...(recipientPrefix === undefined ? [] : keysFrom(recipientPrefix)),
        ...(state === undefined ? [] : [state]),
        ...values,
        limit,
      );
    }
    if (state === 'sending') {
      return prepared(`
        SELECT DISTINCT m.mid FROM deliveries d INDEXED BY deliveries_lease CROSS JOIN messages m ON m.mid = d.mid
        WHERE d.lease_until IS NOT NULL${conditions} ORDER BY m.mid DESC LIMIT ?`).all(...values, limit);
    }
    if (state !== undefined && state !== 'delivered' && flow === undefined && headerMessageId === undefined) {
      const perLane = prepared(`
        SELECT DISTINCT d.mid FROM deliveries d INDEXED BY deliveries_state CROSS JOIN messages m ON m.mid = d.mid
        WHERE d.state = ? AND d.state NOT IN ('sending', 'delivered') AND d.priority = ?${conditions.replaceAll('m.mid', 'd.mid')}
        ORDER BY d.mid DESC LIMIT ?`);
      return PRIORITIES.flatMap((_, lane) => perLane.all(state, lane, ...values, limit))
        .sort((a, b) => b - a)
        .slice(0, limit);
    }
    const index =
      headerMessageId !== undefined
        ? 'INDEXED BY messages_header_id'
        : flow !== undefined
          ? 'INDEXED BY messages_flow'
          : tag !== undefined
            ? 'INDEXED BY messages_tag'
            : '';
    if (state !== undefined) {
      demand(`EXISTS (SELECT 1 FROM deliveries d WHERE ${DELIVERY_OF_MESSAGE} AND d.state = ?)`, state);
    }
    return prepared(
      `SELECT m.mid FROM messages m ${index} WHERE ${['1', ...where].join(' AND ')} ORDER BY m.mid DESC LIMIT ?`,
    ).all(...values, limit);
  };
}
