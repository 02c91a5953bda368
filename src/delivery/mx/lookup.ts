/**
 * What direct delivery asks of DNS: an interface, so that tests bring their own zone.
 *
 * Every answer says whether it is authentic (DNSSEC, as told by a validating resolver that the config trusts); without
 * such a resolver none is. "It does not exist" and "it cannot be learnt now" are never confused: the first is final, the
 * second is tried again.
 */

/** One MX host; a domain without MX records is its own (implicit MX, RFC 5321, section 5.1). */
export interface MxHost {
  /** Lower case, A-labels, no dot at the end. */
  readonly name: string;
  readonly preference: number;
}

export type MxAnswer =
  /** In order of preference; hosts of equal preference in the order of the answer. */
  | { readonly kind: 'hosts'; readonly authentic: boolean; readonly hosts: readonly MxHost[] }
  /** Final: the domain does not exist (5.1.2), takes no mail (null MX, RFC 7505: 5.1.10), or has no usable host (5.4.4). */
  | { readonly kind: 'none'; readonly enhanced: string; readonly text: string }
  /** SERVFAIL, REFUSED, timeout, or a broken answer. */
  | { readonly kind: 'failed'; readonly text: string };

export type AddressAnswer =
  /** Of both families, IPv6 and IPv4 alternating, at least one. */
  | { readonly kind: 'addresses'; readonly authentic: boolean; readonly addresses: readonly string[] }
  | { readonly kind: 'none'; readonly text: string }
  | { readonly kind: 'failed'; readonly text: string };

/** RFC 6698, section 2.1. */
export interface TlsaRecord {
  readonly usage: number;
  readonly selector: number;
  readonly matchingType: number;
  readonly data: Uint8Array;
}

export type TlsaAnswer =
  /** Authentic records only; an answer that is not authentic counts as none (RFC 7672, section 2.1). */
  | { readonly kind: 'records'; readonly records: readonly TlsaRecord[] }
  | { readonly kind: 'none' }
  /** The host must not be used now (RFC 7672, section 2.1.2). */
  | { readonly kind: 'failed'; readonly text: string };

export type TxtAnswer =
  /** Each record with its strings joined. */
  | { readonly kind: 'texts'; readonly texts: readonly string[] }
  | { readonly kind: 'none' }
  | { readonly kind: 'failed'; readonly text: string };

/** Answers are kept for their TTL. None of these rejects, but for an abort of `signal` (with its reason). */
export interface MxLookup {
  mx(domain: string, signal: AbortSignal): Promise<MxAnswer>;
  addresses(host: string, signal: AbortSignal): Promise<AddressAnswer>;
  tlsa(host: string, port: number, signal: AbortSignal): Promise<TlsaAnswer>;
  txt(name: string, signal: AbortSignal): Promise<TxtAnswer>;
}
