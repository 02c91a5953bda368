/**
 * Opportunistic TLS that remembers: the best that was seen at a domain's hosts is the least that will do from then on, so
 * that whoever stands in between cannot talk the relay out of TLS by hiding it. (chasquid does the same.)
 *
 * What is remembered holds for 90 days from when it was last seen; then a domain that really has given TLS up gets its mail
 * again. `verified` means a certificate of a trusted authority for the MX host's name. One that only DANE vouches for counts
 * as `encrypted` here: a domain that leaves DANE would else be cut off until its own certificate is of such an authority.
 *
 * Writes are few: a level is noted when it is new, higher, or was last noted a day ago. A write that fails is logged and
 * made up for by a later delivery; a read that fails rejects, because without it nobody knows what may be sent in the clear.
 * After a crash at most the notes of its last moments are missing.
 */
import { errorText } from '../../core/errors.ts';
import type { Clock } from '../../core/time.ts';
import type { DomainStore } from '../../store/store.ts';
import type { Log } from '../../telemetry/log.ts';

/** `none`: in the clear. `encrypted`: by any certificate. `verified`: by one that proves the host's name. */
export type TlsLevel = 'none' | 'encrypted' | 'verified';

const DAY_MS = 86_400_000;
export const TLS_MEMORY_DAYS = 90;
/** Domains of which is known, without asking the store, that their level was noted in the last day. */
const MAX_NOTED = 10_000;

const RANK: Readonly<Record<TlsLevel, number>> = { none: 0, encrypted: 1, verified: 2 };

/** Whether `level` is at least `floor`. */
export function reaches(level: TlsLevel, floor: TlsLevel): boolean {
  return RANK[level] >= RANK[floor];
}

export interface TlsMemory {
  /** The least that will do for `domain`; rejects with a `RelayError` when the store cannot say. */
  floor(domain: string): Promise<TlsLevel>;
  /** `level` was reached with a host of `domain`. */
  note(domain: string, level: TlsLevel): void;
  /** Resolves when every note is written, or has failed. */
  settled(): Promise<void>;
}

export interface TlsMemoryDeps {
  readonly domains: DomainStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Name of the route, for the log. */
  readonly route: string;
}

export function createTlsMemory({ domains, clock, log, route }: TlsMemoryDeps): TlsMemory {
  const noted = new Map<string, { readonly level: TlsLevel; readonly at: number }>();
  const writes = new Set<Promise<void>>();

  const write = async (domain: string, level: Exclude<TlsLevel, 'none'>): Promise<void> => {
    const now = clock.now();
    try {
      // Never over a higher level that still holds, nor twice a day.
      const standing = (await domains.tlsLevel(domain, now - TLS_MEMORY_DAYS * DAY_MS)) ?? 'none';
      const fresh = (await domains.tlsLevel(domain, now - DAY_MS)) ?? 'none';
      if (reaches(level, standing) && !reaches(fresh, level)) await domains.noteTlsLevel(domain, level, now);
    } catch (error) {
      noted.delete(domain);
      log.warn({ event: 'mx.tls-memory', route, domain, error: errorText(error) }, 'a TLS level could not be noted');
    }
  };

  return {
    floor: async (domain) => (await domains.tlsLevel(domain, clock.now() - TLS_MEMORY_DAYS * DAY_MS)) ?? 'none',
    note(domain, level) {
      if (level === 'none') return;
      const now = clock.now();
      const last = noted.get(domain);
      // A clock that was set back makes `at` lie ahead: that counts as old.
      if (last !== undefined && reaches(last.level, level) && Math.abs(now - last.at) < DAY_MS) return;
      if (noted.size >= MAX_NOTED) noted.clear();
      noted.set(domain, { level, at: now });
      const writing = write(domain, level).finally(() => writes.delete(writing));
      writes.add(writing);
    },
    async settled() {
      await Promise.all(writes);
    },
  };
}
