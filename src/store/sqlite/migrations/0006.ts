/**
 * Migration 6: takes an end back where it was counted. Never edited once released: a change is a new migration.
 *
 * When an operator puts an ended delivery back to work, `stats_reopened` takes its end off the five minutes in which it was
 * accepted. These may have been folded into their hour by then: no row is left there, and the trigger of migration 5 inserted
 * one that counted the end a second time. Now that row counts it off, and the next fold adds it to the hour, where it belongs.
 */
const FINAL = [
  'delivered',
  'bounced',
  'expired',
  'superseded',
  'suppressed',
  'throttled',
  'canceled',
  'quarantined',
] as const;

export const sql: string = `
DROP TRIGGER stats_reopened;
CREATE TRIGGER stats_reopened AFTER UPDATE OF state ON deliveries
WHEN old.state IN (${FINAL.map((state) => `'${state}'`).join(', ')}) AND new.state <> old.state
BEGIN
  INSERT INTO stats (width, slot, tag, accepted, ${FINAL.join(', ')})
    SELECT 300000, m.accepted_at - m.accepted_at % 300000, coalesce(m.tag, ''), 0,
      ${FINAL.map((state) => `-(old.state = '${state}')`).join(', ')}
    FROM messages m WHERE m.mid = new.mid
    ON CONFLICT (width, slot, tag) DO UPDATE SET ${FINAL.map((state) => `${state} = ${state} + excluded.${state}`).join(', ')};
END;
`;
