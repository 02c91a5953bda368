/**
 * The cost of a statement must not grow with what lies in the log or waits in the queue: every statement that the store
 * prepares is explained here, and none may walk a table or sort what it found, but for the ones named with their reason.
 */
import { expect, test } from 'vitest';
import { createIds } from '../../src/core/ids.ts';
import { connect } from '../../src/store/sqlite/connect.ts';
import { createEventLog } from '../../src/store/sqlite/event-log.ts';
import { migrate } from '../../src/store/sqlite/migrations.ts';
import { createReader } from '../../src/store/sqlite/reader.ts';
import { createWriter } from '../../src/store/sqlite/writer.ts';
import { createManualClock } from '../support/clock.ts';
import { adoptedRing } from './ring.ts';

interface PlanStep {
  readonly detail: string;
}

/** Steps that look like a walk or a sort and are bounded all the same. */
const BOUNDED: readonly { readonly step: RegExp; readonly because: string }[] = [
  { step: /USING (?:COVERING )?INDEX deliveries_lease/, because: 'as many rows as attempts under way' },
  { step: /USING (?:COVERING )?INDEX deliveries_suspect/, because: 'as many rows as were in work during a crash' },
  { step: /^SCAN (?:routes|tags)$/, because: 'as many rows as routes or tags in use' },
  { step: /^SCAN CONSTANT ROW$/, because: 'one row' },
  { step: /^SCAN json_each/, because: 'as many rows as event types or full destinations' },
  { step: /^SCAN (?:webhooks|sqlite_sequence)\b/, because: 'as many rows as webhook endpoints or numbered tables' },
  { step: /^SCAN \(subquery-1\)$/, because: 'counts no more than its LIMIT' },
  { step: /^SCAN own$/, because: 'the messages of one recipient, when they are not too many' },
];

/** The newest or oldest of all come in order of their key: that walk stops at its limit. */
const STOPS_AT_LIMIT =
  /^SCAN (?:c|m|e|r|events|messages): SELECT .*ORDER BY (?:[cm]\.mid|r\.number|(?:e\.)?seq)(?: DESC| ASC)? LIMIT/;

/** Statements that walk a table on purpose, and stop by themselves. */
const MAY_WALK: readonly { readonly sql: string; readonly because: string }[] = [
  { sql: 'SELECT mid, accepted_at, settled_at FROM messages ORDER BY mid', because: 'ends at the first young message' },
  { sql: 'SELECT 1 FROM waiting LIMIT 1', because: 'one row' },
  { sql: 'SELECT 1 FROM contents LIMIT 1', because: 'one row' },
  {
    sql: 'SELECT seq, at, type, tag, message_id, iif(message_id IS NULL, body, NULL) AS body FROM events WHERE event_id = ?',
    because: 'for an operator who replays one event, when the clock had been set back',
  },
  {
    sql: 'SELECT key_id AS id, count(*) AS messages FROM content_keys WHERE used = 1 GROUP BY key_id',
    because: 'at a start, and for an operator',
  },
];

/** Statements that may sort, found by a part of their text. */
const MAY_SORT: readonly { readonly sql: string; readonly because: string }[] = [
  { sql: 'FROM stats WHERE width', because: 'as many rows as slots and tags in the span' },
  { sql: 'FROM stats_times WHERE width', because: 'as many rows as slots, tags and steps in the span' },
  { sql: 'FROM stats_faults WHERE slot', because: 'as many rows as hours and kinds of faults in the span' },
  { sql: 'GROUP BY key_id', because: 'at a start, and for an operator' },
  { sql: 'ORDER BY a.started_at', because: 'the attempts of one message' },
  { sql: 'd.recipient_key >= ?', because: 'no more deliveries than a page may wait for: who asks counts them before' },
  { sql: 'd.lease_until IS NOT NULL AND', because: 'as many rows as attempts under way' },
  { sql: 'WHERE d.lease_until IS NOT NULL ORDER BY m.mid', because: 'as many rows as attempts under way' },
];

/** The texts of all statements that `use` prepares on a new database, and their plans. */
function plansOf(use: (db: ReturnType<typeof connect>) => void): ReadonlyMap<string, readonly string[]> {
  const db = connect({ file: ':memory:', readonly: false, busyMs: 0 });
  migrate(db, false);
  const prepare = db.prepare.bind(db);
  const texts = new Set<string>();
  db.prepare = (sql: string) => {
    texts.add(sql);
    return prepare(sql);
  };
  use(db);
  return new Map(
    [...texts]
      .filter((sql) => /^\s*(?:SELECT|WITH|UPDATE|DELETE|INSERT)/.test(sql))
      .map((sql) => {
        const parameters = Array.from(sql.matchAll(/\?/g), () => 1);
        return [
          sql.replace(/\s+/g, ' ').trim(),
          prepare<unknown[], PlanStep>(`EXPLAIN QUERY PLAN ${sql}`)
            .all(...parameters)
            .map((step) => step.detail),
        ];
      }),
  );
}

/** Steps that walk or sort without a reason. */
function faultsOf(plans: ReadonlyMap<string, readonly string[]>): string[] {
  return [...plans].flatMap(([sql, steps]) =>
    steps
      .filter((step) => {
        if (step.startsWith('SCAN')) {
          return !BOUNDED.some((bounded) => bounded.step.test(step)) && !MAY_WALK.some((walk) => sql === walk.sql);
        }
        if (/TEMP B-TREE/.test(step)) return !MAY_SORT.some((allowed) => sql.includes(allowed.sql));
        return /AUTOMATIC|MULTI-INDEX/.test(step);
      })
      .map((step) => `${step}: ${sql}`)
      .filter((fault) => !STOPS_AT_LIMIT.test(fault)),
  );
}

test('no statement of the writing connection walks a table or sorts', () => {
  const plans = plansOf((db) => createWriter(db, createEventLog(db), true, adoptedRing(db)));
  expect(plans.size).toBeGreaterThan(30);
  expect(faultsOf(plans)).toEqual([]);
});

test('claiming goes through the index of its lane, in order of due time', () => {
  const plans = plansOf((db) => createWriter(db, createEventLog(db), true, adoptedRing(db)));
  const claims = [...plans].filter(([sql]) => sql.includes('ORDER BY d.due_at LIMIT'));
  expect(claims.map(([, steps]) => steps)).toEqual([
    [
      'SEARCH d USING INDEX deliveries_due (route=? AND priority=? AND destination=? AND due_at<?)',
      'SEARCH m USING INTEGER PRIMARY KEY (rowid=?)',
    ],
    [
      'SEARCH d USING INDEX deliveries_suspect (route=? AND priority=? AND due_at<?)',
      'LIST SUBQUERY 1',
      'SCAN json_each VIRTUAL TABLE INDEX 1:',
      'CREATE BLOOM FILTER',
      'SEARCH m USING INTEGER PRIMARY KEY (rowid=?)',
    ],
  ]);
});

test('finding a destination with something due goes past full ones and their backlogs by seeks alone', () => {
  const plans = plansOf((db) => createWriter(db, createEventLog(db), true, adoptedRing(db)));
  const steps = [...plans]
    .filter(([sql]) => sql.includes('FROM waiting') && !sql.includes('LIMIT 1'))
    .map(([, plan]) => plan[0]);
  expect(steps).toEqual(['SEARCH waiting USING PRIMARY KEY (route=? AND priority=? AND destination>?)']);
  const heads = [...plans].filter(([sql]) => sql.includes('FROM waiting INDEXED BY') && sql.includes('LIMIT 1'));
  expect(heads.map(([, plan]) => plan[0])).toEqual([
    'SEARCH waiting USING COVERING INDEX waiting_due (route=? AND priority=? AND due_at<?)',
    'SEARCH waiting USING COVERING INDEX waiting_due (route=? AND priority=?)',
  ]);
});

test('the triggers that keep destinations look up the next delivery of one destination by a seek', () => {
  const db = connect({ file: ':memory:', readonly: false, busyMs: 0 });
  migrate(db, false);
  const triggers = db
    .prepare<[], string>("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'waiting_go%'")
    .pluck()
    .all();
  const inner = triggers.flatMap((sql) => sql.match(/SELECT (?:1|min)[^;]*?d\.crashes = 0/g) ?? []);
  expect(inner).toHaveLength(4);
  for (const sql of inner) {
    const plan = db.prepare<[], PlanStep>(`EXPLAIN QUERY PLAN ${sql.replaceAll(/old\.\w+/g, "'x'")}`).all();
    expect(plan.map((step) => step.detail)).toEqual([
      expect.stringMatching(
        /^SEARCH d USING COVERING INDEX deliveries_due \(route=\? AND priority=\? AND destination=\?/,
      ),
    ]);
  }
});

test('no read walks a table or sorts, whatever it is asked for', () => {
  const ids = createIds(createManualClock(1));
  const plans = plansOf((db) => {
    const reader = createReader(
      db,
      { checkpoint: () => ({ frames: 0, folded: 0 }), freeBytes: () => null },
      adoptedRing(db),
    );
    const some = <T>(value: T): readonly (T | undefined)[] => [undefined, value];
    for (const tag of some('t')) {
      for (const recipient of some('ann@example.net')) {
        for (const sinceMs of some(1)) {
          for (const state of [undefined, 'delivered', 'sending', 'queued', 'bounced'] as const) {
            const filter = Object.fromEntries(
              Object.entries({ tag, recipient, sinceMs, state }).filter(([, value]) => value !== undefined),
            );
            for (const flow of some('f')) {
              for (const before of some(ids.message())) {
                const mark = { ...(flow && { flow }), ...(before && { before, untilMs: 2 }) };
                reader.messages.run({ ...filter, ...mark, limit: 10 });
                reader.messages.run({ ...filter, ...mark, headerMessageId: '<x@y>', limit: 10 });
                reader.messages.run({ ...filter, ...mark, recipientPrefix: 'ann', limit: 10 });
              }
            }
            for (const afterSeq of some(1)) {
              const mark = afterSeq === undefined ? {} : { afterSeq };
              reader.events.run({ ...filter, ...mark, limit: 10 });
              reader.events.run({ ...filter, ...mark, types: ['message.bounced', 'route.down'], limit: 10 });
              reader.events.run({ ...filter, ...mark, flow: 'f', limit: 10 });
              reader.events.run({ ...filter, ...mark, route: 'ses', untilMs: 2, limit: 10 });
            }
          }
        }
      }
    }
  });
  expect(plans.size).toBeGreaterThan(60);
  expect(faultsOf(plans)).toEqual([]);
});
