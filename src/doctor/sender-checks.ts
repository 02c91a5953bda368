/**
 * What DNS says about the senders and about this relay: the checks of `check --dns`, of `GET /v1/senders` and of the dashboard.
 *
 * Reports are kept for a few minutes and made once however many ask at the same time, so that a page that is loaded again and
 * again asks DNS no more often. A report with a fault is kept for half a minute, for somebody may be mending it, and one that
 * lacks something shorter still. A changed config makes new ones. Look-ups run a few at a time, and a report never takes longer than `LIMIT_MS`: what was not asked by then is
 * said to be unknown.
 *
 * Nothing is sent, and nothing but DNS and our own MTA-STS policy is asked. After a restart everything is asked anew.
 */
import type { Config, SenderConfig } from '../config/types.ts';
import type { Clock } from '../core/time.ts';
import type { DnsClient } from '../delivery/mx/dns-client.ts';
import type { ReadKeyFile } from '../signing/keys.ts';
import { type AtMost, createAtMost } from '../core/at-most.ts';
import { checkDkim } from './check-dkim.ts';
import { checkDmarc } from './check-dmarc.ts';
import { checkHost } from './check-host.ts';
import { checkMx } from './check-mx.ts';
import { checkSpf } from './check-spf.ts';
import { checkSts } from './check-sts.ts';
import { createDoctorDns, type DoctorDns } from './dns.ts';
import { type CheckFinding, createFindings, type FindingLevel, worstLevel } from './finding.ts';
import { waysOut } from './ways-out.ts';

export interface SenderReport {
  readonly domain: string;
  readonly level: FindingLevel;
  /** Epoch milliseconds. */
  readonly checkedAt: number;
  readonly findings: readonly CheckFinding[];
}

export interface SenderChecks {
  /** The report about one sender, perhaps from memory. Rejects only when `signal` aborts, with its reason. */
  check(sender: SenderConfig, signal: AbortSignal): Promise<SenderReport>;
  /** As `check`; where mail of the sender goes out directly, with what concerns the relay's own name and addresses too. */
  checkWithHost(sender: SenderConfig, signal: AbortSignal): Promise<SenderReport>;
  /** The reports about all senders of the config, in its order. */
  checkAll(signal: AbortSignal): Promise<readonly SenderReport[]>;
  /** The relay's own name and addresses, as direct delivery needs them; empty where nothing is delivered directly. */
  checkHost(signal: AbortSignal): Promise<readonly CheckFinding[]>;
}

export interface SenderChecksDeps {
  /** The config in force; another object after a reload. */
  readonly config: () => Config;
  readonly client: DnsClient;
  readonly clock: Clock;
  readonly readKey: ReadKeyFile;
  /**
   * Senders all of whose mail a sandbox captures: `pass`, the default, asks DNS nothing about them, for where nothing is to
   * leave the machine no question should either. `ask` looks ahead: what is found is no fault yet, so nothing of it is an error.
   */
  readonly captured?: 'ask' | 'pass';
}

const KEEP_MS = 5 * 60_000;
const KEEP_FAULTY_MS = 30_000;
/** For reports that lack something. */
const KEEP_UNKNOWN_MS = 15_000;
const LIMIT_MS = 25_000;
const LOOKUPS_AT_A_TIME = 10;

interface Kept<T> {
  readonly config: Config;
  readonly result: Promise<T>;
  untilMs: number;
}

/** Makes the checks; nothing is asked before the first call. */
export function createSenderChecks(deps: SenderChecksDeps): SenderChecks {
  const { clock } = deps;
  const atMost = createAtMost(LOOKUPS_AT_A_TIME);
  const reports = new Map<string, Kept<SenderReport>>();
  const hosts = new Map<string, Kept<readonly CheckFinding[]>>();

  const check = (sender: SenderConfig, signal: AbortSignal): Promise<SenderReport> =>
    kept(
      reports,
      sender.domain,
      (report) => report.findings,
      signal,
      async (dns, config, until) => {
        const captured = isCaptured(sender, config);
        const passed = captured && deps.captured !== 'ask';
        const found = passed ? notAsked(sender) : await checkSender(sender, config, dns, { ...deps, signal: until });
        const findings = captured && !passed ? lookAhead(sender, found) : found;
        return { domain: sender.domain, level: worstLevel(findings), checkedAt: clock.now(), findings };
      },
    );

  /** The result for `key`, of memory or of `make`, which goes on to its end even when this caller leaves. */
  async function kept<T>(
    memory: Map<string, Kept<T>>,
    key: string,
    findingsOf: (result: T) => readonly CheckFinding[],
    signal: AbortSignal,
    make: (dns: DoctorDns, config: Config, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const config = deps.config();
    let entry = memory.get(key);
    if (entry === undefined || entry.config !== config || clock.monotonicMs() >= entry.untilMs) {
      const made: Kept<T> = { config, result: inTime(deps, atMost, config, make), untilMs: Number.POSITIVE_INFINITY };
      entry = made;
      memory.set(key, made);
      made.result.then(
        (result) => {
          made.untilMs = clock.monotonicMs() + keepMs(findingsOf(result));
        },
        () => memory.get(key) === made && memory.delete(key),
      );
    }
    return withSignal(entry.result, signal);
  }

  const host = (signal: AbortSignal): Promise<readonly CheckFinding[]> =>
    kept(
      hosts,
      '',
      (findings) => findings,
      signal,
      (dns, config) => checkHost(config, dns),
    );

  return {
    check,
    async checkWithHost(sender, signal) {
      const isDirect = waysOut(deps.config(), sender.domain).direct.length > 0;
      const [report, more] = await Promise.all([check(sender, signal), isDirect ? host(signal) : []]);
      const findings = [...report.findings, ...more];
      return { ...report, level: worstLevel(findings), findings };
    },
    async checkAll(signal) {
      const { senders } = deps.config();
      return Promise.all(senders.map((sender) => check(sender, signal)));
    },
    checkHost: host,
  };
}

function keepMs(findings: readonly CheckFinding[]): number {
  if (findings.some(({ code }) => code.endsWith('.unknown'))) return KEEP_UNKNOWN_MS;
  return worstLevel(findings) === 'ok' ? KEEP_MS : KEEP_FAULTY_MS;
}

async function inTime<T>(
  { client, clock }: SenderChecksDeps,
  atMost: AtMost,
  config: Config,
  make: (dns: DoctorDns, config: Config, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const end = new AbortController();
  const cancel = clock.after(LIMIT_MS, () => end.abort(new Error('the checks took too long')));
  try {
    return await make(createDoctorDns(client, atMost, end.signal), config, end.signal);
  } finally {
    cancel();
  }
}

async function checkSender(
  sender: SenderConfig,
  config: Config,
  dns: DoctorDns,
  { clock, readKey, signal }: SenderChecksDeps & { readonly signal: AbortSignal },
): Promise<readonly CheckFinding[]> {
  const each = await Promise.all([
    checkSpf(sender, config, dns),
    checkDkim(sender, dns, readKey),
    checkDmarc(sender, dns),
    checkMx(sender, config, dns),
    sender.returnPath === null
      ? []
      : checkSts(sender.returnPath, config, { dns, clock, signal, ca: authorities(config) }),
  ]);
  return each.flat();
}

function isCaptured({ domain }: SenderConfig, config: Config): boolean {
  const { smarthosts, direct } = waysOut(config, domain);
  return smarthosts.length + direct.length === 0;
}

function notAsked({ domain }: SenderConfig): readonly CheckFinding[] {
  const found = createFindings('dns', domain);
  found.notAsked(
    `mail from ${domain} is captured by the sandbox and does not leave this machine: DNS was not asked`,
    'With a route of type smtp or mx, DNS is checked here. To check it before: leadpush-relay check --dns',
  );
  return found.list;
}

/** Nobody gets mail of this sender: what DNS lacks for it matters from the day on that a route lets it out. */
function lookAhead({ domain }: SenderConfig, findings: readonly CheckFinding[]): readonly CheckFinding[] {
  const found = createFindings('dns', domain);
  found.ok(
    `mail from ${domain} is captured by the sandbox and does not leave this machine: nothing in DNS is needed yet`,
    worstLevel(findings) === 'ok'
      ? ''
      : 'What is told here has to be in order before a route of type smtp or mx is used.',
  );
  return [
    ...found.list,
    ...findings.map(
      (finding): CheckFinding => (finding.level === 'error' ? { ...finding, level: 'warning' } : finding),
    ),
  ];
}

/** Who runs a network of its own names its authorities at the direct route. */
function authorities({ routes }: Config): string | null {
  for (const route of routes.values()) if (route.type === 'mx' && route.ca !== null) return route.ca;
  return null;
}

function withSignal<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    result.finally(() => signal.removeEventListener('abort', onAbort)).then(resolve, reject);
  });
}
