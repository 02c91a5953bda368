/**
 * MTA-STS (RFC 8461) of our own domains that receive reports: nothing has to be published, but what is must be right, or
 * senders that keep to it do not deliver. TLS-RPT (RFC 8460) is mentioned where it is missing.
 */
import type { Config } from '../config/types.ts';
import type { Clock } from '../core/time.ts';
import { fetchStsPolicy, HTTPS_PORT } from '../delivery/mx/sts-fetch.ts';
import { matchesMxPattern, parseStsRecord } from '../delivery/mx/sts-policy.ts';
import type { DoctorDns } from './dns.ts';
import { type CheckFinding, createFindings, txtRecord } from './finding.ts';

export interface StsCheckDeps {
  readonly dns: DoctorDns;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** PEM text of the authorities to trust instead of the system's; null: the system's. */
  readonly ca: string | null;
  /** For tests; default 443. */
  readonly port?: number;
}

const WHY_UNDELIVERED = 'Servers that keep to MTA-STS cannot know what to demand, or do not deliver reports at all.';

/** Checks what `domain`, a return path, has published of MTA-STS. */
export async function checkSts(domain: string, config: Config, deps: StsCheckDeps): Promise<readonly CheckFinding[]> {
  const { dns, clock, signal, ca, port = HTTPS_PORT } = deps;
  const found = createFindings('mta-sts', domain);
  const name = `_mta-sts.${domain}`;
  const answer = await dns.texts(name);
  if (answer.kind === 'failed') {
    found.unknown(answer.text);
    return found.list;
  }
  const announced = answer.kind === 'texts' ? answer.texts.filter((text) => /^v=STSv1/i.test(text)) : [];
  if (announced.length === 0) {
    found.ok(`${domain} has no MTA-STS policy; none is needed`);
    return found.list;
  }
  if (parseStsRecord(announced) === null) {
    found.error('record', {
      message:
        announced.length > 1
          ? `${name} has ${announced.length} MTA-STS records`
          : `${name} is not right: ${announced[0] ?? ''}`,
      why: WHY_UNDELIVERED,
      hint: 'Leave one record, and change its id whenever the policy changes.',
      record: txtRecord(name, 'v=STSv1; id=1'),
    });
    return found.list;
  }
  const hostname = config.hostname.toLowerCase();
  const policyUrl = `https://mta-sts.${domain}/.well-known/mta-sts.txt`;
  const text = `version: STSv1, mode: testing, mx: ${hostname}, max_age: 86400, one to a line`;
  // It is our own policy host, so that it may stand in our own network.
  const lookup = { addresses: async (host: string) => addressesOf(host, dns) };
  let fetched: Awaited<ReturnType<typeof fetchStsPolicy>>;
  try {
    fetched = await fetchStsPolicy(domain, { lookup, clock, ca, allowPrivate: true, port }, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    found.unknown(`the MTA-STS policy of ${domain}: there was no time left to ask`);
    return found.list;
  }
  if (fetched.kind === 'failed') {
    found.error('policy', {
      message: `${domain} announces an MTA-STS policy that cannot be had: ${fetched.text}`,
      why: WHY_UNDELIVERED,
      hint: `Serve it at ${policyUrl} with a valid certificate (${text}), or take ${name} out.`,
    });
    return found.list;
  }
  const { mode, mx } = fetched.policy;
  if (mode !== 'none' && !matchesMxPattern(mx, hostname)) {
    found.error('mx', {
      message: `the MTA-STS policy of ${domain} (mode ${mode}) names ${mx.join(', ')}, not this relay (${hostname})`,
      why:
        mode === 'enforce'
          ? 'Servers that keep to it do not deliver reports here.'
          : 'In mode enforce, servers would not deliver reports here.',
      hint: `Add the line "mx: ${hostname}" at ${policyUrl}, and change the id in ${name}.`,
    });
    return found.list;
  }
  found.ok(`${domain} has an MTA-STS policy (mode ${mode}) that names this relay`);
  await adviseReports(domain, dns, found.ok);
  return found.list;
}

async function adviseReports(
  domain: string,
  dns: DoctorDns,
  ok: (message: string, hint: string) => void,
): Promise<void> {
  const answer = await dns.texts(`_smtp._tls.${domain}`);
  if (answer.kind === 'failed') return;
  if (answer.kind === 'texts' && answer.texts.some((text) => /^v=TLSRPTv1/i.test(text))) return;
  ok(
    `${domain} asks for no reports about failed TLS (TLS-RPT)`,
    `They tell when the policy keeps mail away: _smtp._tls.${domain}. IN TXT "v=TLSRPTv1; rua=mailto:tls@${domain}"`,
  );
}

async function addressesOf(
  host: string,
  dns: DoctorDns,
): Promise<
  | { readonly kind: 'addresses'; readonly authentic: boolean; readonly addresses: readonly string[] }
  | { readonly kind: 'none' | 'failed'; readonly text: string }
> {
  const answer = await dns.addresses(host);
  switch (answer.kind) {
    case 'addresses':
      return { kind: 'addresses', authentic: false, addresses: answer.addresses };
    case 'none':
      return { kind: 'none', text: `${host} has no address` };
    case 'failed':
      return answer;
  }
}
