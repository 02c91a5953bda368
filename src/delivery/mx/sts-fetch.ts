/**
 * Fetches an MTA-STS policy over HTTPS (RFC 8461, section 3.3).
 *
 * Only what the RFC lets count: status 200, no redirect, TLS 1.2 at least, a certificate for `mta-sts.<domain>` of an authority
 * that is trusted. Of the content type only `text/plain` is taken, with any parameters; a missing one passes, because the
 * check is against hosts that let strangers upload other files. At most 64 KiB and 10 s in all. The host is resolved by the
 * route's own DNS servers, and not connected to in private networks unless the route allows it; proxies are not used.
 */
import https from 'node:https';
import { errorText } from '../../core/errors.ts';
import type { Clock } from '../../core/time.ts';
import { cleanRemoteText } from '../../mail/clean.ts';
import { limitInterim } from '../interim.ts';
import { runStep } from '../smtp/step.ts';
import type { MxLookup } from './lookup.ts';
import { isPrivateAddress } from './special-networks.ts';
import { parseStsPolicy, type StsPolicyText } from './sts-policy.ts';

export interface StsFetchDeps {
  readonly lookup: Pick<MxLookup, 'addresses'>;
  readonly clock: Clock;
  /** PEM text of the authorities to trust instead of the system's; null: the system's. */
  readonly ca: string | null;
  readonly allowPrivate: boolean;
  /** For tests; the RFC knows 443 alone. */
  readonly port: number;
}

export type StsFetchResult =
  | { readonly kind: 'policy'; readonly policy: StsPolicyText }
  /** No address, no connection, wrong certificate, another status, a malformed policy; `text` says which. */
  | { readonly kind: 'failed'; readonly text: string };

const LIMIT_MS = 10_000;
/** An address that does not answer leaves time for another one. */
const ADDRESS_LIMIT_MS = 4000;
const MAX_ADDRESSES = 4;
const MAX_BYTES = 64 * 1024;
const MAX_TEXT_CHARS = 400;
const POLICY_PATH = '/.well-known/mta-sts.txt';
export const HTTPS_PORT = 443;

/** Fetches the policy of `domain` (lower case, A-labels). Rejects only when `signal` aborts, with its reason. */
export async function fetchStsPolicy(domain: string, deps: StsFetchDeps, signal: AbortSignal): Promise<StsFetchResult> {
  const { lookup, clock, allowPrivate } = deps;
  const deadlineMs = clock.monotonicMs() + LIMIT_MS;
  const host = `mta-sts.${domain}`;
  const answer = await lookup.addresses(host, signal);
  if (answer.kind !== 'addresses') return { kind: 'failed', text: answer.text };
  const usable = answer.addresses.filter((address) => allowPrivate || !isPrivateAddress(address));
  let result: StsFetchResult = { kind: 'failed', text: `${host} has addresses in private networks only` };
  for (const address of usable.slice(0, MAX_ADDRESSES)) {
    const leftMs = Math.min(deadlineMs - clock.monotonicMs(), ADDRESS_LIMIT_MS);
    if (leftMs <= 0) break;
    result = await fetchFrom(address, host, leftMs, deps, signal);
    signal.throwIfAborted();
    if (result.kind === 'policy') break;
  }
  return result;
}

function fetchFrom(
  address: string,
  host: string,
  limitMs: number,
  { clock, ca, port }: StsFetchDeps,
  signal: AbortSignal,
): Promise<StsFetchResult> {
  const failed = (text: string): StsFetchResult => ({
    kind: 'failed',
    // A certificate's names are in the error, as somebody else wrote them.
    text: cleanRemoteText(`policy of ${host}: ${text}`, MAX_TEXT_CHARS),
  });
  const aborted = (): StsFetchResult => failed('given up');
  if (signal.aborted) return Promise.resolve(aborted());
  const request = https.request({
    host: address,
    port,
    path: POLICY_PATH,
    method: 'GET',
    headers: {
      host: port === HTTPS_PORT ? host : `${host}:${port}`,
      accept: 'text/plain',
      'accept-encoding': 'identity',
    },
    servername: host,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    ...(ca === null ? {} : { ca }),
    agent: false,
  });
  return runStep<StsFetchResult>(clock, signal, aborted, (step) => {
    step.limit(limitMs, () => step.settle(failed(`not there within ${Math.round(limitMs)} ms`)));
    request.on('error', (error) => step.settle(failed(errorText(error))));
    limitInterim(request, (reason) => step.settle(failed(reason)));
    request.once('response', (response) => {
      const type = response.headers['content-type'] ?? 'text/plain';
      if (response.statusCode !== 200) return step.settle(failed(`HTTP status ${response.statusCode}, not 200`));
      if (!/^\s*text\/plain\s*(?:;|$)/i.test(type)) return step.settle(failed('its content type is not text/plain'));
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('error', (error) => step.settle(failed(errorText(error))));
      response.on('data', (part: Buffer) => {
        if (bytes > MAX_BYTES) return;
        parts.push(part);
        bytes += part.length;
        if (bytes > MAX_BYTES) step.settle(failed(`larger than ${MAX_BYTES} octets`));
      });
      response.once('end', () => {
        const parsed = parseStsPolicy(Buffer.concat(parts).toString('utf8'));
        step.settle(parsed.kind === 'policy' ? parsed : failed(parsed.reason));
      });
    });
    request.end();
  }).finally(() => request.destroy());
}
