/**
 * Answers of DNS, kept for as long as they say; equal questions at the same time are asked once.
 *
 * Kept for their TTL, but for an hour at most: a domain that moves its mail away from a dead host is to be followed the same
 * hour, whatever TTL it had before; and for a second at least, so that a burst of mail is not a burst of queries. "There is
 * none" is kept as the SOA says (RFC 2308, section 5), for 5 minutes at most: a person may be waiting for a domain that was
 * just set up. Failures are kept for 2 s, shorter than the first retry of critical mail, which is to ask anew.
 *
 * Times are monotonic. Bounded: beyond `maxEntries`, those not used for longest are forgotten.
 */
import type { Clock } from '../../core/time.ts';
import type { DnsClient, DnsReply } from './dns-client.ts';
import { createSharedWork } from './shared-work.ts';

const LONGEST_SECONDS = 3600;
const LONGEST_NEGATIVE_SECONDS = 300;
const SHORTEST_SECONDS = 1;
const FAILURE_SECONDS = 2;
const MAX_ENTRIES = 10_000;

/** `client` with a memory in front. */
export function createDnsCache(client: DnsClient, clock: Clock, maxEntries: number = MAX_ENTRIES): DnsClient {
  /** In the order of last use. */
  const kept = new Map<string, { readonly reply: DnsReply; readonly untilMs: number }>();
  const work = createSharedWork<DnsReply>();

  const keep = (key: string, reply: DnsReply): void => {
    kept.delete(key);
    kept.set(key, { reply, untilMs: clock.monotonicMs() + secondsToKeep(reply) * 1000 });
    for (const oldest of kept.keys()) {
      if (kept.size <= maxEntries) break;
      kept.delete(oldest);
    }
  };

  return {
    async ask(name, type, signal) {
      signal.throwIfAborted();
      const key = `${type} ${name.toLowerCase()}`;
      const entry = kept.get(key);
      if (entry !== undefined) {
        kept.delete(key);
        if (clock.monotonicMs() < entry.untilMs) {
          kept.set(key, entry);
          return entry.reply;
        }
      }
      return work.run(key, signal, async (shared) => {
        const reply = await client.ask(name, type, shared);
        keep(key, reply);
        return reply;
      });
    },
  };
}

function secondsToKeep(reply: DnsReply): number {
  switch (reply.kind) {
    case 'records':
      return Math.min(Math.max(reply.ttlSeconds, SHORTEST_SECONDS), LONGEST_SECONDS);
    case 'nodata':
    case 'nxdomain':
      // Without an SOA it should not be kept at all (RFC 2308, section 5).
      return Math.min(Math.max(reply.ttlSeconds ?? 0, SHORTEST_SECONDS), LONGEST_NEGATIVE_SECONDS);
    case 'failed':
      return FAILURE_SECONDS;
  }
}
