/**
 * A stub resolver (RFC 1034, section 5.3.1): asks the configured servers in turn until one answers.
 *
 * Why not `node:dns`: it does not show TTLs of MX and TXT, nor the AD flag, and tells "does not exist" and "cannot be learnt
 * now" apart only by text. The server that answered last is asked first the next time, so that a dead one costs its timeout
 * once. A server that did not answer in time is asked again in the next round, one that refused is not.
 *
 * Known limits: it believes the servers and the way to them; it does not validate DNSSEC itself.
 */
import type { Answer } from 'dns-packet';
import type { Clock } from '../../core/time.ts';
import { findRecords } from './dns-answer.ts';
import { askServer } from './dns-exchange.ts';
import { type DnsAnswer, type DnsType, isDnsName } from './dns-message.ts';
import type { DnsServer } from './dns-server.ts';

export type DnsReply =
  /** At least one record, all of the type asked for. `authentic`: the AD flag of every answer that was used. */
  | {
      readonly kind: 'records';
      readonly authentic: boolean;
      readonly records: readonly Answer[];
      readonly ttlSeconds: number;
    }
  /** `ttlSeconds` as the SOA says (RFC 2308), null without one. */
  | { readonly kind: 'nodata' | 'nxdomain'; readonly authentic: boolean; readonly ttlSeconds: number | null }
  /** It cannot be learnt now; `text` says why and of what. */
  | { readonly kind: 'failed'; readonly text: string };

export interface DnsClient {
  /** Asks for `name` (ASCII, no dot at the end). Rejects only when `signal` aborts, with its reason. */
  ask(name: string, type: DnsType, signal: AbortSignal): Promise<DnsReply>;
}

export interface DnsClientDeps {
  readonly servers: () => readonly DnsServer[];
  readonly clock: Clock;
  /** For one server and protocol; default 2 s. */
  readonly tryMs?: number;
  /** For everything; default 8 s. */
  readonly timeoutMs?: number;
}

const TRY_MS = 2000;
const TIMEOUT_MS = 8000;
const ROUNDS = 3;
/** Chains of aliases that a server gives in pieces: so many pieces are asked for. */
const MAX_PIECES = 4;

/** Makes a client. */
export function createDnsClient({ servers, clock, tryMs = TRY_MS, timeoutMs = TIMEOUT_MS }: DnsClientDeps): DnsClient {
  /** The server that answered last. */
  let good: string | null = null;

  const askServers = async (
    name: string,
    type: DnsType,
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<DnsAnswer | { readonly kind: 'failed'; readonly text: string }> => {
    let waiting = servers().toSorted((a, b) => Number(b.text === good) - Number(a.text === good));
    let text = 'there is no DNS server to ask';
    for (let round = 0; round < ROUNDS; round++) {
      const silent: DnsServer[] = [];
      for (const server of waiting) {
        const leftMs = deadlineMs - clock.monotonicMs();
        if (leftMs <= 0) return { kind: 'failed', text };
        // In turn: a second server is asked only when the first has failed.
        const result = await askServer(server, name, type, { clock, signal, limitMs: Math.min(tryMs, leftMs) });
        signal.throwIfAborted();
        if (result.kind === 'answer') {
          good = server.text;
          return result;
        }
        text = result.text;
        if (result.kind === 'silent') silent.push(server);
      }
      waiting = silent;
    }
    return { kind: 'failed', text };
  };

  return {
    async ask(name, type, signal) {
      signal.throwIfAborted();
      const failed = (text: string): DnsReply => ({ kind: 'failed', text: `${type} of ${name}: ${text}` });
      if (!isDnsName(name)) return { kind: 'failed', text: `${type}: not a name that DNS can hold` };
      const deadlineMs = clock.monotonicMs() + timeoutMs;
      let owner = name;
      let authentic = true;
      let chainTtl = Number.POSITIVE_INFINITY;
      for (let pieces = 0; pieces < MAX_PIECES; pieces++) {
        const answer = await askServers(owner, type, deadlineMs, signal);
        if (answer.kind === 'failed') return failed(answer.text);
        authentic &&= answer.authentic;
        const found = findRecords(answer, owner, type);
        switch (found.kind) {
          case 'records':
            return { ...found, authentic, ttlSeconds: Math.min(chainTtl, found.ttlSeconds) };
          case 'nodata':
          case 'nxdomain': {
            const ttlSeconds = found.ttlSeconds === null ? null : Math.min(chainTtl, found.ttlSeconds);
            return { kind: found.kind, authentic, ttlSeconds };
          }
          case 'useless':
            return failed(found.text);
          case 'cut':
            if (!isDnsName(found.target)) return failed('it is an alias of something that is not a name');
            owner = found.target;
            chainTtl = Math.min(chainTtl, found.ttlSeconds);
        }
      }
      return failed('its chain of aliases has no end');
    },
  };
}
