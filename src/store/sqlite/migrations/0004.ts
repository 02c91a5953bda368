/**
 * Migration 4: the outbox of webhooks. Never edited once released: a change is a new migration.
 *
 * The event log is the outbox: an event is there by the transaction that made it. `webhooks` holds how far each endpoint has
 * come in it (`cursor`), and what it wants of it (`types`, `tags`, as JSON). `webhook_rows` holds the events that were taken
 * from the log for an endpoint: waiting, delivered or dead. `due_at` of a waiting one is NULL while an earlier event of
 * the same `order_key` (message or route) waits. `webhook_attempts` holds every try. Rows go with their event.
 */
export const sql = `
CREATE TABLE webhooks (
  wid INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  cursor INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,
  types TEXT NOT NULL,
  tags TEXT,
  failures INTEGER NOT NULL DEFAULT 0,
  failing_since INTEGER,
  delivered_at INTEGER,
  failed_at INTEGER,
  disabled_at INTEGER,
  disabled_reason TEXT
) STRICT;

CREATE TABLE webhook_rows (
  wid INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  order_key TEXT NOT NULL,
  state TEXT NOT NULL,
  tries INTEGER NOT NULL,
  born_at INTEGER NOT NULL,
  due_at INTEGER,
  PRIMARY KEY (wid, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_due ON webhook_rows (wid, due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_order ON webhook_rows (wid, order_key, seq) WHERE state = 'waiting';
CREATE INDEX webhook_waiting ON webhook_rows (wid, seq, born_at) WHERE state = 'waiting';
CREATE INDEX webhook_dead ON webhook_rows (wid, seq) WHERE state = 'dead';

CREATE TABLE webhook_attempts (
  wid INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL,
  ms INTEGER NOT NULL,
  delivered INTEGER NOT NULL,
  status INTEGER,
  text TEXT NOT NULL,
  PRIMARY KEY (wid, seq, number)
) STRICT, WITHOUT ROWID;
`;
