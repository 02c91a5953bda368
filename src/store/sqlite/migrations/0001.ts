/**
 * Migration 1: the first schema. Never edited once released: a change is a new migration.
 *
 * Times are epoch milliseconds. `mid` and `did` are the short keys that tables and indexes use among themselves; the long
 * ids are what the world sees; a delivery's short key contains its message's (`keys.ts`). Flags are 0 or 1, lists and objects are JSON, NULL stands for "none" or "empty".
 * Each index is there for one question (see the statement that names it with INDEXED BY); partial ones hold only the rows
 * that are still of interest, so that what was delivered long ago costs the queue nothing.
 */
export const sql = `
PRAGMA application_id = 0x4c505231;

CREATE TABLE relay (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  epoch INTEGER NOT NULL,
  probed_at INTEGER NOT NULL
) STRICT;
INSERT INTO relay (only_row, epoch, probed_at) VALUES (1, 0, 0);

CREATE TABLE messages (
  mid INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  header_message_id TEXT NOT NULL,
  mail_from TEXT NOT NULL,
  header_from TEXT NOT NULL,
  dsn TEXT,
  smtp_utf8 INTEGER NOT NULL,
  tag TEXT,
  tag_source TEXT NOT NULL,
  flow TEXT,
  metadata TEXT,
  priority INTEGER NOT NULL,
  collapse_key TEXT,
  require_tls INTEGER NOT NULL,
  credential TEXT,
  rule TEXT NOT NULL,
  accepted_at INTEGER NOT NULL,
  deadline INTEGER NOT NULL,
  deadline_source TEXT NOT NULL,
  size INTEGER NOT NULL,
  eight_bit INTEGER NOT NULL,
  signatures TEXT,
  warnings TEXT,
  client_address TEXT NOT NULL,
  client_helo TEXT NOT NULL,
  client_tls TEXT,
  content_kept INTEGER NOT NULL DEFAULT 1,
  captured INTEGER NOT NULL DEFAULT 0,
  settled_at INTEGER
) STRICT;
CREATE INDEX messages_header_id ON messages (header_message_id);
CREATE INDEX messages_tag ON messages (tag) WHERE tag IS NOT NULL;
CREATE INDEX messages_flow ON messages (flow) WHERE flow IS NOT NULL;
CREATE INDEX messages_content ON messages (captured, settled_at) WHERE content_kept = 1 AND settled_at IS NOT NULL;

CREATE TABLE contents (
  mid INTEGER PRIMARY KEY REFERENCES messages (mid) ON DELETE CASCADE,
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE deliveries (
  did INTEGER PRIMARY KEY CHECK (did / 65536 = mid),
  id TEXT NOT NULL UNIQUE,
  mid INTEGER NOT NULL,
  recipient TEXT NOT NULL,
  recipient_key TEXT NOT NULL,
  dsn TEXT,
  state TEXT NOT NULL,
  rule TEXT NOT NULL,
  rule_reason TEXT NOT NULL,
  via TEXT NOT NULL,
  route TEXT NOT NULL,
  priority INTEGER NOT NULL,
  due_at INTEGER,
  deadline INTEGER NOT NULL,
  lease_until INTEGER,
  lease_token INTEGER,
  leased_at INTEGER,
  attempts INTEGER NOT NULL DEFAULT 0,
  crashes INTEGER NOT NULL DEFAULT 0,
  last_response TEXT,
  delivered_at INTEGER,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_recipient ON deliveries (recipient_key, mid);
CREATE INDEX deliveries_due ON deliveries (route, priority, due_at, deadline)
  WHERE due_at IS NOT NULL AND crashes = 0;
CREATE INDEX deliveries_suspect ON deliveries (route, priority, due_at, deadline)
  WHERE due_at IS NOT NULL AND crashes > 0;
CREATE INDEX deliveries_lease ON deliveries (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX deliveries_suspect_lease ON deliveries (lease_until) WHERE lease_until IS NOT NULL AND crashes > 0;
CREATE INDEX deliveries_deadline ON deliveries (deadline) WHERE state IN ('queued', 'deferred', 'quarantined');
CREATE INDEX deliveries_state ON deliveries (state, priority, mid) WHERE state NOT IN ('sending', 'delivered');

CREATE TABLE attempts (
  did INTEGER NOT NULL REFERENCES deliveries (did) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  route TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  cause TEXT,
  next_hop TEXT,
  tls TEXT,
  cipher TEXT,
  stage TEXT NOT NULL,
  code INTEGER,
  enhanced TEXT,
  response TEXT NOT NULL,
  timings TEXT NOT NULL,
  PRIMARY KEY (did, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  message_id TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_expiry ON idempotency (expires_at);

CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id TEXT NOT NULL,
  type TEXT NOT NULL,
  at INTEGER NOT NULL,
  message_id TEXT,
  tag TEXT,
  recipient_key TEXT,
  state TEXT,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX events_message ON events (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX events_tag ON events (tag, type);
CREATE INDEX events_rejected ON events (recipient_key) WHERE type = 'message.rejected';
`;
