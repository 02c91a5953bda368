/**
 * The MTA-STS policy that holds for a domain now (RFC 8461, section 5.1): the TXT record is looked at for each mail (DNS keeps
 * it for its TTL), the policy is fetched when none is cached or the record's id has changed.
 *
 * A cached policy that has not expired holds whatever happens: TXT record gone, DNS out of order, fetch failed. Whoever can cut
 * us off from those must not be able to take a policy away. Without a cached one, a fetch that fails means no policy, as the
 * RFC says. A failed fetch is not tried again for 5 minutes, so that mail does not wait for it each time. In the second half
 * of its life, and after a day at the latest, a policy is fetched anew beside the mail, so that it does not run out.
 *
 * Why our own: Node has no MTA-STS, and mailauth's cannot be given DNS servers or authorities and would bring its whole
 * dependency tree into production.
 *
 * After a crash or restart the store still has the policies; only the memory of failed fetches is gone. When the store cannot
 * be read or written, what is in memory holds, and the log says so.
 */
import { errorText } from '../../core/errors.ts';
import type { Clock } from '../../core/time.ts';
import type { DomainStore, StsRecord } from '../../store/store.ts';
import type { Log } from '../../telemetry/log.ts';
import type { MxLookup } from './lookup.ts';
import { createSharedWork } from './shared-work.ts';
import type { StsPolicies, StsPolicy } from './sts.ts';
import { fetchStsPolicy, HTTPS_PORT, type StsFetchResult } from './sts-fetch.ts';
import { matchesMxPattern, parseStsRecord } from './sts-policy.ts';

export interface StsDeps {
  readonly lookup: Pick<MxLookup, 'addresses' | 'txt'>;
  readonly store: Pick<DomainStore, 'policy' | 'putPolicy' | 'removePolicy'>;
  readonly clock: Clock;
  readonly log: Log;
  /** PEM text of the authorities to trust instead of the system's; null: the system's. */
  readonly ca: string | null;
  /** Whether policy hosts in private networks may be asked. */
  readonly allowPrivate: boolean;
  /** For tests; default 443. */
  readonly port?: number;
}

const FAILURE_MS = 5 * 60_000;
const DAY_MS = 86_400_000;
/** A policy holds at least so long, whatever `max_age` says: a burst of mail is to be one fetch. */
const SHORTEST_MS = 60_000;
const MAX_ENTRIES = 1000;

export function createStsPolicies(deps: StsDeps): StsPolicies {
  const { lookup, store, clock, log, ca, allowPrivate, port = HTTPS_PORT } = deps;
  /** What the store has, as far as it was asked; null: nothing. Both in the order of last use. */
  const known = new Map<string, StsRecord | null>();
  /** Until when (monotonic) the policy of `domain id` is not asked for again. */
  const failedUntil = new Map<string, number>();
  const fetches = createSharedWork<StsFetchResult>();
  const loads = createSharedWork<StsRecord | null>();

  const storeFailed = (domain: string, error: unknown): void =>
    log.warn({ event: 'mx.sts-store', domain, error: errorText(error) }, 'an MTA-STS policy could not be read or kept');

  const cachedPolicy = async (domain: string, signal: AbortSignal): Promise<StsRecord | null> => {
    let record = known.get(domain);
    if (record === undefined) {
      record = await loads.run(domain, signal, async () => {
        try {
          return await store.policy(domain);
        } catch (error) {
          storeFailed(domain, error);
          return null;
        }
      });
      // A fetch may have been faster.
      record = known.get(domain) ?? record;
    }
    if (record !== null && record.expiresAt <= clock.now()) {
      // Noted before the wait: what is fetched meanwhile stays.
      remember(known, domain, null);
      await store.removePolicy(domain).catch((error: unknown) => storeFailed(domain, error));
      return null;
    }
    remember(known, domain, record);
    return record;
  };

  const fetchPolicy = async (domain: string, id: string, signal: AbortSignal): Promise<StsRecord | null> => {
    const key = `${domain} ${id}`;
    const result = await fetches.run(key, signal, async (shared) => {
      const fetched = await fetchStsPolicy(domain, { lookup, clock, ca, allowPrivate, port }, shared);
      if (fetched.kind === 'failed') {
        remember(failedUntil, key, clock.monotonicMs() + FAILURE_MS);
        log.warn({ event: 'mx.sts-fetch', domain, reason: fetched.text }, 'an MTA-STS policy could not be fetched');
        return fetched;
      }
      failedUntil.delete(key);
      const { mode, mx, maxAgeSeconds } = fetched.policy;
      const fetchedAt = clock.now();
      const expiresAt = fetchedAt + Math.max(maxAgeSeconds * 1000, SHORTEST_MS);
      const record: StsRecord = { domain, id, mode, mx, fetchedAt, expiresAt };
      remember(known, domain, record);
      await store.putPolicy(record).catch((error: unknown) => storeFailed(domain, error));
      return fetched;
    });
    return result.kind === 'policy' ? (known.get(domain) ?? null) : null;
  };

  const mayFetch = (domain: string, id: string): boolean =>
    clock.monotonicMs() >= (failedUntil.get(`${domain} ${id}`) ?? 0);

  const refreshBeside = (domain: string, id: string): void => {
    // Under no attempt's signal: it is bounded by its own time limit.
    fetchPolicy(domain, id, new AbortController().signal).catch((error: unknown) =>
      log.warn({ event: 'mx.sts-fetch', domain, error: errorText(error) }, 'an MTA-STS policy could not be fetched'),
    );
  };

  return {
    async policyFor(domain, signal) {
      signal.throwIfAborted();
      const [answer, cached] = await Promise.all([
        lookup.txt(`_mta-sts.${domain}`, signal),
        cachedPolicy(domain, signal),
      ]);
      const id = answer.kind === 'texts' ? parseStsRecord(answer.texts) : null;
      if (id === null || !mayFetch(domain, id)) return inForce(cached);
      if (cached?.id !== id) return inForce((await fetchPolicy(domain, id, signal)) ?? cached);
      if (clock.now() - cached.fetchedAt >= Math.min(DAY_MS, (cached.expiresAt - cached.fetchedAt) / 2)) {
        refreshBeside(domain, id);
      }
      return inForce(cached);
    },
  };
}

function inForce(record: StsRecord | null): StsPolicy | null {
  if (record === null || record.mode === 'none') return null;
  return { mode: record.mode, allows: (mxName) => matchesMxPattern(record.mx, mxName) };
}

/** Puts `key` last, and forgets the first ones beyond the bound. */
function remember<V>(entries: Map<string, V>, key: string, value: V): void {
  entries.delete(key);
  entries.set(key, value);
  for (const oldest of entries.keys()) {
    if (entries.size <= MAX_ENTRIES) break;
    entries.delete(oldest);
  }
}
