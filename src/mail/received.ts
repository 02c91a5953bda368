/**
 * The Received header field that the relay adds (RFC 5321, section 4.4; protocols of RFC 3848 and RFC 6531).
 *
 * What the client chose (its HELO name) goes in cleaned, because it stands in a header that others parse. The recipient
 * is named only when the caller gives one; it gives none when there are several, or each would learn of the others.
 * The field is ASCII: a recipient that is not is left out.
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { EnvelopeAddress } from '../core/address.ts';
import type { MessageId } from '../core/ids.ts';
import { formatMailDate } from './date.ts';

export interface ReceivedFacts {
  /** As the client gave it; anything. */
  readonly helo: string;
  /** The client's IP address; empty for a message made inside the relay. */
  readonly address: string;
  /** This relay's name. */
  readonly hostname: string;
  /** `ESMTP`, `ESMTPSA`, `UTF8SMTPS`, `HTTP` ... */
  readonly protocol: string;
  /** `TLSv1.3`, or null on a plain connection. */
  readonly tls: string | null;
  readonly id: MessageId;
  readonly recipient: EnvelopeAddress | null;
  /** Epoch milliseconds. */
  readonly at: number;
}

const MAX_HELO_LENGTH = 255;
const NOT_IN_DOMAIN = /[^A-Za-z0-9.\-_:[\]]/g;
const NOT_IN_WORD = /[^A-Za-z0-9.-]/g;
const PRINTABLE_ASCII = /^[\x21-\x7e]+$/;

/** The whole field, folded at its clauses, with its last CRLF. */
export function formatReceived(facts: ReceivedFacts): string {
  const tls = facts.tls === null ? '' : ` (${word(facts.tls)})`;
  const recipient = facts.recipient !== null && PRINTABLE_ASCII.test(facts.recipient) ? facts.recipient : null;
  return [
    `Received: from ${cleanHelo(facts.helo)} (${addressLiteral(facts.address)})`,
    `\tby ${word(facts.hostname)} with ${word(facts.protocol)}${tls}`,
    recipient === null ? `\tid ${facts.id};` : `\tid ${facts.id}\r\n\tfor <${recipient}>;`,
    `\t${formatMailDate(facts.at)}`,
    '',
  ].join('\r\n');
}

function cleanHelo(helo: string): string {
  return helo.slice(0, MAX_HELO_LENGTH).replace(NOT_IN_DOMAIN, '') || 'unknown';
}

/** The address literal of RFC 5321, section 4.1.3. */
function addressLiteral(address: string): string {
  if (isIPv4(address)) return `[${address}]`;
  return isIPv6(address) ? `[IPv6:${address.replace(/%.*/, '')}]` : 'unknown';
}

function word(text: string): string {
  return text.replace(NOT_IN_WORD, '') || 'unknown';
}
