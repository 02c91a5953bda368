/** What is remembered of recipient domains: MTA-STS policies (RFC 8461), and the TLS that their hosts were seen to speak. */
import type Database from 'better-sqlite3';
import type { StsRecord } from '../store.ts';
import type { ReaderCalls, WriterCalls } from './calls.ts';

interface PolicyRow {
  readonly domain: string;
  readonly id: string;
  readonly mode: StsRecord['mode'];
  readonly mx: string;
  readonly fetched_at: number;
  readonly expires_at: number;
}

interface LevelRow {
  readonly encrypted_at: number;
  readonly verified_at: number | null;
}

/** Makes `policy` and `tlsLevel` over `db`. */
export function createDomainReads(db: Database.Database): Pick<ReaderCalls, 'policy' | 'tlsLevel'> {
  const policy = db.prepare<[string], PolicyRow>(
    'SELECT domain, id, mode, mx, fetched_at, expires_at FROM sts_policies WHERE domain = ?',
  );
  const level = db.prepare<[string], LevelRow>('SELECT encrypted_at, verified_at FROM tls_levels WHERE domain = ?');
  return {
    policy(domain) {
      const row = policy.get(domain);
      if (row === undefined) return null;
      const { id, mode, mx, fetched_at, expires_at } = row;
      return { domain: row.domain, id, mode, mx: JSON.parse(mx), fetchedAt: fetched_at, expiresAt: expires_at };
    },
    tlsLevel(domain, since) {
      const row = level.get(domain);
      if (row === undefined) return null;
      if (row.verified_at !== null && row.verified_at >= since) return 'verified';
      return row.encrypted_at >= since ? 'encrypted' : null;
    },
  };
}

/** Makes the writes over `db`. A level is kept with the time when it was last seen: a lower one later takes nothing away. */
export function createDomainWrites(
  db: Database.Database,
): Pick<WriterCalls, 'putPolicy' | 'removePolicy' | 'noteTlsLevel'> {
  const put = db.prepare<[string, string, string, string, number, number]>(
    'INSERT OR REPLACE INTO sts_policies (domain, id, mode, mx, fetched_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const remove = db.prepare<[string]>('DELETE FROM sts_policies WHERE domain = ?');
  const note = db.prepare<[string, number, number | null, number]>(`
    INSERT INTO tls_levels (domain, encrypted_at, verified_at, seen_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (domain) DO UPDATE SET encrypted_at = max(tls_levels.encrypted_at, excluded.encrypted_at),
      verified_at = max(coalesce(tls_levels.verified_at, excluded.verified_at),
        coalesce(excluded.verified_at, tls_levels.verified_at)),
      seen_at = max(tls_levels.seen_at, excluded.seen_at)`);
  return {
    putPolicy({ domain, id, mode, mx, fetchedAt, expiresAt }) {
      put.run(domain, id, mode, JSON.stringify(mx), fetchedAt, expiresAt);
      return null;
    },
    removePolicy(domain) {
      remove.run(domain);
      return null;
    },
    noteTlsLevel(domain, level, at) {
      note.run(domain, at, level === 'verified' ? at : null, at);
      return null;
    },
  };
}
