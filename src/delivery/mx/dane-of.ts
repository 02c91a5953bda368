/**
 * What DANE says of one MX host (RFC 7672): nothing, TLS with any certificate, or TLS with a certificate that fits its TLSA
 * records. Asked only where the MX answer and the host's addresses are authentic (section 2.2).
 */
import type { Clock } from '../../core/time.ts';
import { daneVerdict, hasUsableTlsa, presentedChain } from './dane.ts';
import type { MxLookup } from './lookup.ts';
import type { Dane } from './tls-demand.ts';

export interface DaneTarget {
  /** The recipient's domain; certificates of an authority may be for it too. */
  readonly domain: string;
  readonly host: string;
  readonly port: number;
}

/** Asks for the host's TLSA records; `failed`: they cannot be learnt, and the host must not be used now (section 2.1.2). */
export async function daneOf(
  lookup: MxLookup,
  { domain, host, port }: DaneTarget,
  clock: Clock,
  signal: AbortSignal,
): Promise<Dane | { readonly kind: 'failed'; readonly text: string }> {
  const answer = await lookup.tlsa(host, port, signal);
  if (answer.kind !== 'records') return answer;
  const { records } = answer;
  if (!hasUsableTlsa(records)) return { kind: 'unusable' };
  return {
    kind: 'check',
    check(socket) {
      const verdict = daneVerdict(records, presentedChain(socket), [host, domain], clock.now());
      return verdict.kind === 'match' ? null : verdict.text;
    },
  };
}
