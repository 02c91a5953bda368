/** What the tests of direct delivery share: a zone, policies and a memory made by hand, and hops on loopback addresses. */
import net from 'node:net';
import { onTestFinished } from 'vitest';
import type { MxRouteConfig } from '../../src/config/types.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import { type Clock, systemClock } from '../../src/core/time.ts';
import { createMxTransport } from '../../src/delivery/mx.ts';
import type { AddressAnswer, MxAnswer, MxLookup, TlsaAnswer } from '../../src/delivery/mx/lookup.ts';
import type { StsPolicies, StsPolicy } from '../../src/delivery/mx/sts.ts';
import type { SmtpTimeouts } from '../../src/delivery/smtp/timeouts.ts';
import type { Transport } from '../../src/delivery/transport.ts';
import type { DomainStore } from '../../src/store/store.ts';
import type { Log, LogFields } from '../../src/telemetry/log.ts';
import { makeTestCertificate, type TestCertificate } from '../support/next-hop-certificate.ts';
import { type NextHop, type NextHopOptions, startNextHop } from '../support/next-hop.ts';
import { requestFor } from './fixture.ts';

export const DOMAIN = 'example.net';
export const NOW: number = Date.parse('2026-01-05T10:00:00Z');
export const DAY_MS = 86_400_000;

/** Hosts of a domain by preference, or a whole answer. */
type ZoneMx = MxAnswer | readonly (readonly [preference: number, host: string])[];

/** What the zone of a test says; what is not given, is not there. */
export interface Zone {
  /** Of every domain the same, or by domain. */
  readonly mx: ZoneMx | ((domain: string) => ZoneMx);
  /** Addresses by host, or a whole answer. */
  readonly addresses?: Readonly<Record<string, readonly string[] | AddressAnswer>>;
  readonly tlsa?: Readonly<Record<string, TlsaAnswer>>;
  /** Answers are authentic. */
  readonly authentic?: boolean;
  /** Whether a question (`mx example.net`) is never answered. */
  readonly silent?: (question: string) => boolean;
}

export interface FakeLookup extends MxLookup {
  /** Questions in order: `mx example.net`. */
  readonly asked: readonly string[];
}

export function lookupOf(zone: Zone): FakeLookup {
  const asked: string[] = [];
  const authentic = zone.authentic ?? false;
  const ask = async (question: string, signal: AbortSignal): Promise<void> => {
    asked.push(question);
    if (zone.silent?.(question) !== true) return;
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
  };
  return {
    asked,
    async mx(domain, signal) {
      await ask(`mx ${domain}`, signal);
      const mx = typeof zone.mx === 'function' ? zone.mx(domain) : zone.mx;
      if (!('length' in mx)) return mx;
      return { kind: 'hosts', authentic, hosts: mx.map(([preference, name]) => ({ preference, name })) };
    },
    async addresses(host, signal) {
      await ask(`addresses ${host}`, signal);
      const found = zone.addresses?.[host];
      if (found === undefined) return { kind: 'none', text: `${host} has no address` };
      return 'length' in found ? { kind: 'addresses', authentic, addresses: found } : found;
    },
    async tlsa(host, port, signal) {
      await ask(`tlsa ${host} ${port}`, signal);
      return zone.tlsa?.[host] ?? { kind: 'none' };
    },
    txt: () => Promise.resolve({ kind: 'none' }),
  };
}

/** A policy for `example.net` that allows `hosts`. */
export function policyOf(mode: StsPolicy['mode'], hosts: readonly string[]): StsPolicies {
  const policy: StsPolicy = { mode, allows: (name) => hosts.includes(name) };
  return { policyFor: (domain) => Promise.resolve(domain === DOMAIN ? policy : null) };
}

export interface FakeDomains extends DomainStore {
  /** What was noted, in order: `example.net verified`. */
  readonly notes: readonly string[];
  /** Reads and writes reject with `error` from now on; null: no more. */
  fail(error: Error | null): void;
}

export function domainsOf(
  seen: Readonly<Record<string, { level: 'encrypted' | 'verified'; at: number }>> = {},
): FakeDomains {
  const levels = new Map(Object.entries(seen));
  const notes: string[] = [];
  let error: Error | null = null;
  const check = (): void => {
    if (error !== null) throw error;
  };
  return {
    notes,
    fail(next) {
      error = next;
    },
    policy: () => Promise.resolve(null),
    putPolicy: () => Promise.resolve(),
    removePolicy: () => Promise.resolve(),
    async tlsLevel(domain, since) {
      check();
      const found = levels.get(domain);
      return found !== undefined && found.at >= since ? found.level : null;
    },
    async noteTlsLevel(domain, level, at) {
      check();
      levels.set(domain, { level, at });
      notes.push(`${domain} ${level}`);
    },
  };
}

export interface MxBenchOptions {
  readonly zone: Zone;
  readonly port?: number;
  readonly route?: Partial<MxRouteConfig>;
  readonly sts?: StsPolicies;
  readonly domains?: DomainStore;
  readonly clock?: Clock;
  readonly isPrivate?: (address: string) => boolean;
  readonly random?: () => number;
  readonly timeouts?: Partial<SmtpTimeouts>;
}

export interface MxBench {
  readonly transport: Transport;
  readonly lookup: FakeLookup;
  /** Log lines of level info and above. */
  readonly logged: readonly LogFields[];
  deliver(over?: Parameters<typeof requestFor>[0], signal?: AbortSignal): Promise<Outcome>;
}

export function mxRoute(over: Partial<MxRouteConfig> = {}): MxRouteConfig {
  return {
    name: 'direct',
    type: 'mx',
    tls: 'opportunistic',
    port: 25,
    dns: null,
    allowPrivate: true,
    sourceIps: [],
    dane: false,
    mtaSts: true,
    connections: 20,
    connectionsPerDomain: 10,
    connectionsPerHost: 10,
    rate: null,
    ca: null,
    connectTimeoutMs: { critical: 2_000, normal: 5_000, bulk: 5_000 },
    ehlo: null,
    ...over,
  };
}

/** A transport over a zone made by hand; it is stopped when the test ends. */
export function mxBench(options: MxBenchOptions): MxBench {
  const lookup = lookupOf(options.zone);
  const logged: LogFields[] = [];
  const note = (fields: LogFields): void => void logged.push(fields);
  const log: Log = { debug() {}, info: note, warn: note, error: note };
  const transport = createMxTransport({
    route: mxRoute({ ...(options.port === undefined ? {} : { port: options.port }), ...options.route }),
    hostname: 'relay.example.com',
    clock: options.clock ?? systemClock,
    log,
    lookup,
    sts: options.sts ?? { policyFor: () => Promise.resolve(null) },
    domains: options.domains ?? domainsOf(),
    isPrivate: options.isPrivate ?? ((address) => net.isIPv4(address) && address.startsWith('127.')),
    random: options.random ?? (() => 0),
    ...(options.timeouts === undefined ? {} : { timeouts: options.timeouts }),
  });
  onTestFinished(() => transport.stop());
  return {
    transport,
    lookup,
    logged,
    deliver: (over = {}, signal = new AbortController().signal) => transport.deliver(requestFor(over), signal),
  };
}

/**
 * Hops on 127.0.0.2, 127.0.0.3 and so on, or on the `host` that is given, one for each of `options`, all on one port; closed
 * when the test ends.
 */
export async function hopsOn(...options: readonly NextHopOptions[]): Promise<readonly NextHop[]> {
  for (let round = 0; ; round++) {
    const hops: NextHop[] = [];
    let port = 0;
    try {
      for (const [index, each] of options.entries()) {
        const hop = await startNextHop({ ...each, host: each.host ?? `127.0.0.${index + 2}`, port });
        ({ port } = hop);
        hops.push(hop);
      }
      onTestFinished(async () => {
        await Promise.all(hops.map((hop) => hop.close()));
      });
      return hops;
    } catch (error) {
      // Somebody has that port on the next address.
      await Promise.all(hops.map((hop) => hop.close()));
      if (round === 5) throw error;
    }
  }
}

/** A certificate for MX hosts of `example.net`. */
export function certificateFor(...names: readonly string[]): Promise<TestCertificate> {
  return makeTestCertificate({ names });
}

/** The only MX host of most tests, on 127.0.0.2. */
export const ONE_HOST: Zone = { mx: [[10, 'mx1.example.net']], addresses: { 'mx1.example.net': ['127.0.0.2'] } };
/** Two hosts, the second less preferred, on 127.0.0.2 and 127.0.0.3. */
export const TWO_HOSTS: Zone = {
  mx: [
    [10, 'mx1.example.net'],
    [20, 'mx2.example.net'],
  ],
  addresses: { 'mx1.example.net': ['127.0.0.2'], 'mx2.example.net': ['127.0.0.3'] },
};
