/**
 * Migration 2: limits for each recipient domain, collapse, suppression, throttle, bounces, reports, domains. Never edited once
 * released: a change is a new migration.
 *
 * `destination` is the recipient's domain on a route that has a limit for each of them, else empty, so that one index
 * finds what is due on either kind of route. `waiting` holds, for each destination of a lane with clean deliveries that
 * wait, when the first of them is due; triggers keep it exact, whoever writes. So a lane's next delivery is found past any
 * number of full destinations without a look at their backlogs, and a route without destinations pays nothing for it.
 * `superseded_by` of a delivery in work: a newer message came; the delivery ends with its attempt.
 */
/** What a delivery that no longer waits leaves behind: nothing, or the next one's time. */
const FORGET_OLD = `  DELETE FROM waiting
  WHERE route = old.route AND priority = old.priority AND destination = old.destination AND due_at >= old.due_at
    AND NOT EXISTS (
      SELECT 1 FROM deliveries d WHERE d.route = old.route AND d.priority = old.priority
        AND d.destination = old.destination AND d.due_at IS NOT NULL AND d.crashes = 0);
  UPDATE waiting SET due_at = (
      SELECT min(d.due_at) FROM deliveries d WHERE d.route = old.route AND d.priority = old.priority
        AND d.destination = old.destination AND d.due_at IS NOT NULL AND d.crashes = 0)
  WHERE route = old.route AND priority = old.priority AND destination = old.destination AND due_at >= old.due_at;
`;

export const sql: string = `
ALTER TABLE relay ADD COLUMN secret BLOB;
UPDATE relay SET secret = randomblob(32);

ALTER TABLE messages ADD COLUMN wants_reports INTEGER NOT NULL DEFAULT 0;

ALTER TABLE deliveries ADD COLUMN destination TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN return_path TEXT;
ALTER TABLE deliveries ADD COLUMN collapse_scope TEXT;
ALTER TABLE deliveries ADD COLUMN superseded_by TEXT;
ALTER TABLE deliveries ADD COLUMN delay_at INTEGER;
ALTER TABLE deliveries ADD COLUMN bounce_class TEXT;
ALTER TABLE deliveries ADD COLUMN bounce_why TEXT;

DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (route, priority, destination, due_at, deadline)
  WHERE due_at IS NOT NULL AND crashes = 0;
CREATE INDEX deliveries_delay ON deliveries (delay_at) WHERE delay_at IS NOT NULL;
CREATE INDEX deliveries_collapse ON deliveries (recipient_key, collapse_scope)
  WHERE collapse_scope IS NOT NULL AND state IN ('queued', 'sending', 'deferred', 'quarantined');

CREATE TABLE waiting (
  route TEXT NOT NULL,
  priority INTEGER NOT NULL,
  destination TEXT NOT NULL,
  due_at INTEGER NOT NULL,
  PRIMARY KEY (route, priority, destination)
) STRICT, WITHOUT ROWID;
CREATE INDEX waiting_due ON waiting (route, priority, due_at);

CREATE TRIGGER waiting_born AFTER INSERT ON deliveries
WHEN new.destination <> '' AND new.due_at IS NOT NULL AND new.crashes = 0
BEGIN
  INSERT INTO waiting (route, priority, destination, due_at)
  VALUES (new.route, new.priority, new.destination, new.due_at)
  ON CONFLICT (route, priority, destination) DO UPDATE SET due_at = excluded.due_at
    WHERE excluded.due_at < waiting.due_at;
END;
CREATE TRIGGER waiting_come AFTER UPDATE OF route, destination, due_at, crashes ON deliveries
WHEN new.destination <> '' AND new.due_at IS NOT NULL AND new.crashes = 0
BEGIN
  INSERT INTO waiting (route, priority, destination, due_at)
  VALUES (new.route, new.priority, new.destination, new.due_at)
  ON CONFLICT (route, priority, destination) DO UPDATE SET due_at = excluded.due_at
    WHERE excluded.due_at < waiting.due_at;
END;
CREATE TRIGGER waiting_go AFTER UPDATE OF route, destination, due_at, crashes ON deliveries
WHEN old.destination <> '' AND old.due_at IS NOT NULL AND old.crashes = 0
BEGIN
${FORGET_OLD}END;
CREATE TRIGGER waiting_gone AFTER DELETE ON deliveries
WHEN old.destination <> '' AND old.due_at IS NOT NULL AND old.crashes = 0
BEGIN
${FORGET_OLD}END;

CREATE TABLE suppressions (
  recipient_key TEXT PRIMARY KEY,
  recipient TEXT NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL,
  message_id TEXT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX suppressions_expiry ON suppressions (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE throttle (
  scope TEXT NOT NULL,
  recipient_key TEXT NOT NULL,
  at INTEGER NOT NULL,
  did INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (scope, recipient_key, at, did)
) STRICT, WITHOUT ROWID;
CREATE INDEX throttle_expiry ON throttle (expires_at);

CREATE TABLE feedback (
  did INTEGER NOT NULL REFERENCES deliveries (did) ON DELETE CASCADE,
  digest TEXT NOT NULL,
  PRIMARY KEY (did, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE reports (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  did INTEGER NOT NULL REFERENCES deliveries (did) ON DELETE CASCADE,
  action TEXT NOT NULL,
  at INTEGER NOT NULL,
  state TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  bounce TEXT,
  reason TEXT
) STRICT;
CREATE INDEX reports_delivery ON reports (did);

CREATE TABLE sts_policies (
  domain TEXT PRIMARY KEY,
  id TEXT NOT NULL,
  mode TEXT NOT NULL,
  mx TEXT NOT NULL,
  fetched_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sts_policies_expiry ON sts_policies (expires_at);

CREATE TABLE tls_levels (
  domain TEXT PRIMARY KEY,
  encrypted_at INTEGER NOT NULL,
  verified_at INTEGER,
  seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tls_levels_age ON tls_levels (seen_at);
`;
