/**
 * Migration 3: encrypted content, links, digests of idempotency keys, several throttles. Never edited once released: a change
 * is a new migration.
 *
 * `sealed` holds contents encrypted under keys of their own, `content_keys` those keys, wrapped. A row of `content_keys` is
 * a slot that is used again and never deleted, always of one length: so SQLite overwrites it where it stands, its page is
 * never merged with another, and no copy of a destroyed key is left in the unused part of a page. (`used` is 0 or 1:
 * SQLite stores both in no octets at all.) The trigger destroys a key with its content, whoever deletes that.
 * `contents` holds what an older version left in plain; it empties after the start (`contents.ts`).
 *
 * `throttle.number` counts a scope's deliveries to a recipient (or to all: ''), so that a limit of any size is one look. Scopes of
 * schema 2 were tags.
 */
export const sql = `
ALTER TABLE relay ADD COLUMN content_key BLOB;
ALTER TABLE messages ADD COLUMN links TEXT;
ALTER TABLE idempotency ADD COLUMN digest BLOB;

CREATE TABLE content_keys (
  slot INTEGER PRIMARY KEY,
  used INTEGER NOT NULL CHECK (used IN (0, 1)),
  key_id BLOB NOT NULL CHECK (length(key_id) = 8),
  wrapped BLOB NOT NULL CHECK (length(wrapped) = 60)
) STRICT;
CREATE INDEX content_keys_free ON content_keys (used) WHERE used = 0;

CREATE TABLE sealed (
  mid INTEGER PRIMARY KEY REFERENCES messages (mid) ON DELETE CASCADE,
  slot INTEGER NOT NULL,
  bytes BLOB NOT NULL
) STRICT;
CREATE TRIGGER sealed_gone AFTER DELETE ON sealed
BEGIN
  UPDATE content_keys SET used = 0, key_id = zeroblob(8), wrapped = zeroblob(60) WHERE slot = old.slot;
END;

ALTER TABLE throttle RENAME TO throttle_2;
DROP INDEX throttle_expiry;
CREATE TABLE throttle (
  scope TEXT NOT NULL,
  recipient_key TEXT NOT NULL,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (scope, recipient_key, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX throttle_expiry ON throttle (expires_at);
INSERT INTO throttle (scope, recipient_key, number, at, expires_at)
  SELECT 'tag:' || scope, recipient_key, row_number() OVER (PARTITION BY scope, recipient_key ORDER BY at, did), at, expires_at
  FROM throttle_2;
DROP TABLE throttle_2;

ALTER TABLE deliveries ADD COLUMN rounds INTEGER NOT NULL DEFAULT 0;
`;
