/**
 * What MAIL and RCPT say for a delivery, given what the server offers. Addresses go on the wire octet for octet.
 *
 * Parameters: SIZE (RFC 1870), BODY=8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531) when an address or the header needs it, BY
 * (RFC 2852) when the message has a TTL, and those of DSN (RFC 3461), each only where the server offers the extension. The
 * library encodes xtext.
 */
import type { Socket } from 'node:net';
import type { SMTPEnvelope } from 'nodemailer/lib/smtp-connection';
import type { DeliveryRequest } from '../transport.ts';
import type { Capabilities } from './capabilities.ts';
import type { Unsendable } from './ending.ts';

const NON_ASCII = /[\u0080-\uffff]/;
const MAIL_COMMAND = 'MAIL FROM:<';

/** Why `request` cannot go over a server with these capabilities, or null. Nothing is sent then. */
export function unsendable(request: DeliveryRequest, capabilities: Capabilities): Unsendable | null {
  const { maxBytes } = capabilities;
  const bytes = request.content.length;
  if (maxBytes !== null && maxBytes > 0 && bytes > maxBytes) {
    const text = `the message has ${bytes} octets and the server takes ${maxBytes}`;
    return { kind: 'unsendable', stage: 'mail', enhanced: '5.3.4', text };
  }
  if (!capabilities.smtpUtf8 && (NON_ASCII.test(request.mailFrom) || NON_ASCII.test(request.recipient))) {
    const text = 'an address has characters beyond ASCII and the server does not offer SMTPUTF8';
    return { kind: 'unsendable', stage: 'mail', enhanced: '5.6.7', text };
  }
  return null;
}

/** The envelope in the library's form. It may write into it: make a new one for each transaction. */
export function envelopeOf(request: DeliveryRequest, capabilities: Capabilities): SMTPEnvelope {
  const { ret, envid } = request.dsn;
  const notify = request.recipientDsn?.notify ?? [];
  const orcpt = request.recipientDsn?.orcpt ?? null;
  const dsn = capabilities.dsn && (ret !== null || envid !== null || notify.length > 0 || orcpt !== null);
  return {
    from: request.mailFrom === '' ? false : request.mailFrom,
    to: request.recipient,
    use8BitMime: request.eightBit && capabilities.eightBitMime,
    ...(capabilities.maxBytes === null ? {} : { size: request.content.length }),
    ...(dsn ? { dsn: { ret, envid, notify: [...notify], orcpt } } : {}),
  };
}

/** The parameters of MAIL that the library has no option for; `nowMs` is epoch milliseconds. */
export function mailParametersOf(
  request: DeliveryRequest,
  capabilities: Capabilities,
  nowMs: number,
): readonly string[] {
  const by = deliverByParameter(request, capabilities, nowMs);
  return [...(needsSmtpUtf8Parameter(request, capabilities) ? ['SMTPUTF8'] : []), ...(by === null ? [] : [by])];
}

/** Nine digits at most (RFC 2852, section 4): some 31 years. */
const MAX_BY_SECONDS = 999_999_999;

/**
 * `BY=<seconds>;R`: the server is to return the message when it cannot deliver it in that time, instead of late.
 *
 * Left out when less than a second is left, because 0 and below are not allowed with `R`, and when less is left than the
 * server's minimum, because it would refuse the message for good (RFC 2852, section 4.1.4): a message that it may deliver a
 * little late is better than one that bounces while there is time.
 */
function deliverByParameter(request: DeliveryRequest, capabilities: Capabilities, nowMs: number): string | null {
  if (capabilities.deliverBySeconds === null || request.deliverBy === null) return null;
  const seconds = Math.min(Math.floor((request.deliverBy - nowMs) / 1000), MAX_BY_SECONDS);
  return seconds < Math.max(1, capabilities.deliverBySeconds) ? null : `BY=${seconds};R`;
}

/**
 * True when MAIL must carry SMTPUTF8 and the library will not put it there by itself: the addresses are ASCII, but the
 * header has UTF-8. The wish alone (`smtpUtf8` of the request) is not enough: many clients declare it for every message,
 * and it would make later servers refuse mail that they could take.
 */
function needsSmtpUtf8Parameter(request: DeliveryRequest, capabilities: Capabilities): boolean {
  if (!request.smtpUtf8 || !request.eightBit || !capabilities.smtpUtf8) return false;
  if (NON_ASCII.test(request.mailFrom) || NON_ASCII.test(request.recipient)) return false;
  return headerHasUtf8(request.content);
}

function headerHasUtf8(content: Uint8Array): boolean {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const end = bytes.indexOf('\r\n\r\n');
  return bytes.subarray(0, end === -1 ? bytes.length : end).some((byte) => byte > 127);
}

/**
 * Runs `send`, which must write MAIL to `socket` before it returns, and adds `parameters` to that command. The library has
 * no option for them; only the one write is touched.
 */
export function withMailParameters(socket: Socket, parameters: readonly string[], send: () => void): void {
  if (parameters.length === 0) {
    send();
    return;
  }
  const write = socket.write.bind(socket);
  const restore = (): void => void Reflect.deleteProperty(socket, 'write');
  socket.write = (chunk: string | Uint8Array): boolean => {
    restore();
    const command = Buffer.from(chunk).toString('utf8');
    if (!command.startsWith(MAIL_COMMAND)) throw new Error('the first command of a transaction was not MAIL');
    return write(command.replace(/\r\n$/, ` ${parameters.join(' ')}\r\n`));
  };
  try {
    send();
  } finally {
    restore();
  }
}
