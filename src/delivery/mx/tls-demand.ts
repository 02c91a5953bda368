/**
 * What TLS a delivery to one MX host must have, and who says so. Pure.
 *
 * The strictest word holds: the message's own wish and the route's setting (verified), an MTA-STS policy in mode `enforce`
 * (verified, RFC 8461, section 4), and what the domain was seen to offer. Where the host has usable TLSA records, they alone
 * say which certificate is right: DANE is not overridden by MTA-STS (RFC 8461, section 2), and proves the host's name as well
 * as an authority does.
 *
 * Known limit: `verified` is about the MX host's name, and only MTA-STS and DANE prove that the host is the domain's.
 */
import { TLSSocket } from 'node:tls';
import type { SmtpSession } from '../smtp/session.ts';
import { reaches, TLS_MEMORY_DAYS, type TlsLevel } from './tls-memory.ts';

/** Why a server's certificates do not fit the host's TLSA records, or null. */
export type DaneCheck = (socket: TLSSocket) => string | null;

/** `unusable`: there are TLSA records, and none that can be used: TLS is a must, any certificate will do (RFC 7672, 2.2). */
export type Dane = { readonly kind: 'none' | 'unusable' } | { readonly kind: 'check'; readonly check: DaneCheck };

export interface TlsDemand {
  readonly floor: TlsLevel;
  /** Decides about the certificate instead of the authorities. */
  readonly check: DaneCheck | null;
  /** Who demands it, as the end of a sentence. */
  readonly reason: string;
}

export interface DemandFacts {
  readonly domain: string;
  readonly host: string;
  readonly route: 'opportunistic' | 'required';
  /** The message asks for it. */
  readonly requireTls: boolean;
  /** The policy of the domain is in mode `enforce`. */
  readonly enforced: boolean;
  readonly remembered: TlsLevel;
  readonly dane: Dane;
}

export function demandOf(facts: DemandFacts): TlsDemand {
  const { domain, host, dane } = facts;
  if (dane.kind === 'check') {
    return { floor: 'encrypted', check: dane.check, reason: `the DANE records of ${host} require it` };
  }
  const verified = (reason: string): TlsDemand => ({ floor: 'verified', check: null, reason });
  if (facts.requireTls) return verified('the message asks for verified TLS');
  if (facts.route === 'required') return verified('the route requires verified TLS');
  if (facts.enforced) return verified(`the MTA-STS policy of ${domain} requires verified TLS`);
  const seen = (what: string): string =>
    `${domain} offered ${what} within the last ${TLS_MEMORY_DAYS} days and the relay does not go below that: ` +
    'tell its postmaster, or send its mail over another route';
  if (facts.remembered === 'verified') return verified(seen('verified TLS'));
  if (facts.remembered === 'encrypted') return { floor: 'encrypted', check: null, reason: seen('TLS') };
  if (dane.kind === 'unusable') {
    return { floor: 'encrypted', check: null, reason: `${host} has DANE records, if none that can be used` };
  }
  return { floor: 'none', check: null, reason: '' };
}

/** What an open session has. */
export function levelOf({ facts }: SmtpSession): TlsLevel {
  if (facts.tls === null) return 'none';
  return facts.verified ? 'verified' : 'encrypted';
}

/** Whether an open session with the same host gives what `demand` asks for. */
export function meets(session: SmtpSession, demand: TlsDemand): boolean {
  if (!reaches(levelOf(session), demand.floor)) return false;
  if (demand.check === null) return true;
  return session.socket instanceof TLSSocket && demand.check(session.socket) === null;
}
