/**
 * Sending from the outbox: what is due, what came of it, and what is given up.
 *
 * An event is taken from the log into a row of its endpoint's just before its first try, so that a backlog stays in the log
 * and costs nothing, however long an endpoint is down. A row that waits is due again after a crash: the try that was under
 * way was not recorded, and is made once more with the same event id.
 *
 *   log --take--> waiting --delivered--> delivered
 *                 |  ^ \--last try, too old--> dead
 *                 |  |                           |
 *                 +--+ failed        replay -----+--> waiting
 *
 * Of the rows of one order key that wait, the one with the lowest number has a time (`due_at`), and the others have none
 * while it waits. Whoever ends a row gives the next one its time, in the same transaction.
 */
import type Database from 'better-sqlite3';
import type { OutboxItem, OutboxWork } from '../outbox.ts';
import type { WriterCalls } from './calls.ts';
import { type EventLog, eventText } from './event-log.ts';
import {
  createEndpointLookup,
  type EndpointRow,
  LOGGED_COLUMNS,
  type LoggedEvent,
  orderKeyOf,
  type SentEvent,
  wantsOf,
} from './outbox-rows.ts';

type WorkCalls = Pick<WriterCalls, 'outboxWork' | 'recordOutbox' | 'hastenOutbox' | 'giveUpOutbox' | 'replayOutbox'>;

/** Events of the log that one call looks at: a narrow filter must not hold up a commit. */
const SCAN_EVENTS = 200;
/** Of so many tries one is of what the log has next, however much waits: a replay of a million holds up no news. */
const NEWS_EVERY = 8;

interface DueRow {
  readonly seq: number;
  readonly tries: number;
}

interface WaitingRow {
  readonly order_key: string;
  readonly state: string;
}

/** Makes the calls of the dispatcher, and of an operator who replays, over `db`. */
export function createOutboxWork(db: Database.Database, events: EventLog): WorkCalls {
  const find = createEndpointLookup(db);
  /** Tries given out, by endpoint, since the log was looked at. */
  const withoutNews = new Map<number, number>();
  const scan = db.prepare<[number, number], LoggedEvent>(
    `SELECT ${LOGGED_COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT ?`,
  );
  const logged = db.prepare<[number], LoggedEvent>(`SELECT ${LOGGED_COLUMNS} FROM events WHERE seq = ?`);
  const whole = db.prepare<[number], SentEvent>('SELECT seq, event_id, type, at, body FROM events WHERE seq = ?');
  const newest = db.prepare<[], number | null>('SELECT max(seq) FROM events').pluck();
  const moveCursor = db.prepare<[number, number]>('UPDATE webhooks SET cursor = ? WHERE wid = ?');
  const earlier = db
    .prepare<[number, string, number], number>(
      `SELECT 1 FROM webhook_rows INDEXED BY webhook_order
       WHERE wid = +? AND order_key = +? AND seq < +? AND state = 'waiting' LIMIT 1`,
    )
    .pluck();
  const put = db.prepare<(number | string | null)[]>(`
    INSERT INTO webhook_rows (wid, seq, order_key, state, tries, born_at, due_at) VALUES (?, ?, ?, ?, 0, ?, ?)
    ON CONFLICT (wid, seq) DO UPDATE SET state = excluded.state, tries = 0, born_at = excluded.born_at,
      due_at = excluded.due_at`);
  const due = db.prepare<[number, number, number], DueRow>(
    `SELECT seq, tries FROM webhook_rows INDEXED BY webhook_due WHERE wid = +? AND due_at <= +? ORDER BY due_at, seq LIMIT +?`,
  );
  const nextDue = db
    .prepare<[number, number], number | null>(
      'SELECT min(due_at) FROM webhook_rows INDEXED BY webhook_due WHERE wid = +? AND due_at > +?',
    )
    .pluck();
  const row = db.prepare<[number, number], WaitingRow>(
    'SELECT order_key, state FROM webhook_rows WHERE wid = ? AND seq = ?',
  );
  const lastAttempt = db
    .prepare<[number, number], number | null>('SELECT max(number) FROM webhook_attempts WHERE wid = ? AND seq = ?')
    .pluck();
  const addAttempt = db.prepare<(number | string | null)[]>(`
    INSERT INTO webhook_attempts (wid, seq, number, at, ms, delivered, status, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
  const tried = db.prepare<[string, number | null, number, number]>(
    'UPDATE webhook_rows SET state = ?, tries = tries + 1, due_at = ? WHERE wid = ? AND seq = ?',
  );
  const end = db.prepare<[number, number]>(
    `UPDATE webhook_rows SET state = 'dead', due_at = NULL WHERE wid = ? AND seq = ?`,
  );
  const next = db
    .prepare<[number, string], number>(
      `SELECT seq FROM webhook_rows INDEXED BY webhook_order
       WHERE wid = +? AND order_key = +? AND state = 'waiting' ORDER BY seq LIMIT 1`,
    )
    .pluck();
  const giveTime = db.prepare<[number, number, number]>(
    'UPDATE webhook_rows SET due_at = ? WHERE wid = ? AND seq = ? AND due_at IS NULL',
  );
  const failed = db.prepare<[number, number, number]>(`
    UPDATE webhooks SET failures = failures + 1, failed_at = ?, failing_since = coalesce(failing_since, ?) WHERE wid = ?`);
  const succeeded = db.prepare<[number, number]>(
    'UPDATE webhooks SET failures = 0, failing_since = NULL, delivered_at = ? WHERE wid = ?',
  );
  const disable = db.prepare<[number, string, number]>(
    'UPDATE webhooks SET disabled_at = ?, disabled_reason = ? WHERE wid = ? AND disabled_at IS NULL',
  );
  const dueNow = db.prepare<[number, number, number, number]>(`
    UPDATE webhook_rows SET due_at = ? WHERE (wid, seq) IN (
      SELECT wid, seq FROM webhook_rows INDEXED BY webhook_due WHERE wid = ? AND due_at > ? LIMIT ?)`);
  const old = db
    .prepare<[number, number, number], number>(
      `SELECT seq FROM webhook_rows INDEXED BY webhook_waiting
       WHERE wid = +? AND state = 'waiting' AND born_at < +? ORDER BY seq LIMIT +?`,
    )
    .pluck();

  /** Whoever comes first of `orderKey` is due, if it had no time because of one before it. */
  function release(wid: number, orderKey: string, now: number): void {
    const seq = next.get(wid, orderKey);
    if (seq !== undefined) giveTime.run(now, wid, seq);
  }

  function wait(wid: number, event: LoggedEvent, now: number, bornAt: number): boolean {
    const orderKey = orderKeyOf(event);
    const isHeld = earlier.get(wid, orderKey, event.seq) !== undefined;
    put.run(wid, event.seq, orderKey, 'waiting', bornAt, isHeld ? null : now);
    return !isHeld;
  }

  /** Goes on in the log until `wanted` events are due, or a piece of it was looked at. Returns the new cursor, and who is due. */
  function take(
    endpoint: EndpointRow,
    now: number,
    wanted: number,
  ): { readonly cursor: number; readonly taken: readonly DueRow[] } {
    const { wid } = endpoint;
    const wants = wantsOf(endpoint);
    let { cursor } = endpoint;
    const taken: DueRow[] = [];
    for (const event of scan.all(cursor, SCAN_EVENTS)) {
      if (taken.length >= wanted) break;
      cursor = event.seq;
      if (wants(event) && wait(wid, event, now, event.at)) taken.push({ seq: event.seq, tries: 0 });
    }
    if (cursor !== endpoint.cursor) moveCursor.run(cursor, wid);
    return { cursor, taken };
  }

  function itemOf({ seq, tries }: DueRow): readonly OutboxItem[] {
    const event = whole.get(seq);
    if (event === undefined) return [];
    return [
      { seq, eventId: event.event_id, tries, body: eventText(event.type, event.at, event.event_id, seq, event.body) },
    ];
  }

  return {
    outboxWork(name, now, room, busy): OutboxWork {
      const endpoint = find(name);
      if (endpoint === undefined || endpoint.disabled_at !== null) {
        return { items: [], nextDueAt: null, more: false, halted: endpoint === undefined ? 'gone' : 'disabled' };
      }
      const { wid } = endpoint;
      const underWay = new Set(busy);
      const ready = (): readonly DueRow[] =>
        due
          .all(wid, now, room + underWay.size)
          .filter(({ seq }) => !underWay.has(seq))
          .slice(0, room);
      let rows = ready();
      let { cursor } = endpoint;
      const tries = (withoutNews.get(wid) ?? 0) + room;
      const isFull = rows.length >= room;
      withoutNews.set(wid, isFull && tries < NEWS_EVERY ? tries : 0);
      if (!isFull) {
        ({ cursor } = take(endpoint, now, room - rows.length));
        if (cursor !== endpoint.cursor) rows = ready();
      } else if (room > 0 && tries >= NEWS_EVERY) {
        const news = take(endpoint, now, 1);
        cursor = news.cursor;
        rows = [...rows.slice(0, room - news.taken.length), ...news.taken];
      }
      return {
        items: rows.flatMap(itemOf),
        nextDueAt: nextDue.get(wid, now) ?? null,
        more: (newest.get() ?? 0) > cursor,
        halted: null,
      };
    },

    recordOutbox(name, { seq, at, ms, status, text, verdict, disable: reason }) {
      const endpoint = find(name);
      const waiting = endpoint === undefined ? undefined : row.get(endpoint.wid, seq);
      if (endpoint === undefined || waiting?.state !== 'waiting') return 'lost';
      const { wid } = endpoint;
      const delivered = verdict.kind === 'delivered';
      addAttempt.run(wid, seq, (lastAttempt.get(wid, seq) ?? 0) + 1, at, ms, delivered ? 1 : 0, status, text);
      const now = at + ms;
      if (verdict.kind === 'again') tried.run('waiting', verdict.dueAt, wid, seq);
      else {
        tried.run(verdict.kind, null, wid, seq);
        // The time of the try, not its end: due at once even where the clock runs ahead of the exchange's own measure.
        release(wid, waiting.order_key, at);
      }
      if (delivered) succeeded.run(at, wid);
      else failed.run(at, at, wid);
      if (reason !== null && disable.run(now, reason, wid).changes > 0) {
        events.append('webhook.disabled', now, { webhook: { name, reason } }, null);
      }
      return 'recorded';
    },

    hastenOutbox(name, now, limit) {
      const endpoint = find(name);
      return endpoint === undefined ? 0 : dueNow.run(now, endpoint.wid, now, limit).changes;
    },

    giveUpOutbox(name, bornBefore, now, limit) {
      const endpoint = find(name);
      if (endpoint === undefined) return 0;
      const { wid } = endpoint;
      const rows = old.all(wid, bornBefore, limit);
      for (const seq of rows) {
        const orderKey = row.get(wid, seq)?.order_key ?? '';
        end.run(wid, seq);
        release(wid, orderKey, now);
      }
      const wants = wantsOf(endpoint);
      let { cursor } = endpoint;
      let passed = 0;
      for (const event of scan.all(cursor, Math.max(0, limit - rows.length))) {
        if (event.at >= bornBefore) break;
        cursor = event.seq;
        passed++;
        if (wants(event)) put.run(wid, event.seq, orderKeyOf(event), 'dead', event.at, null);
      }
      if (cursor !== endpoint.cursor) moveCursor.run(cursor, wid);
      return rows.length + passed;
    },

    replayOutbox(name, seqs, now) {
      const endpoint = find(name);
      if (endpoint === undefined) return 0;
      let queued = 0;
      for (const seq of seqs) {
        const event = logged.get(seq);
        if (event === undefined) continue;
        // Those beyond the cursor come by themselves.
        if (seq <= endpoint.cursor) wait(endpoint.wid, event, now, now);
        queued++;
      }
      return queued;
    },
  };
}
