/**
 * The headers that sign an event: Standard Webhooks 1.0.0, symmetric scheme `v1`.
 *
 * Signed is `<id>.<timestamp>.<body>`, octet by octet. The id is the event's and the same at each try, the timestamp that of
 * the try. With two secrets there are two signatures, and a receiver that knows one of the two finds its own.
 */
import { createHmac } from 'node:crypto';

export interface SignatureHeaders {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
}

/** The headers for `body`, signed with each of `secrets` at `nowMs` (epoch milliseconds). */
export function signatureHeaders(
  secrets: readonly Uint8Array[],
  id: string,
  nowMs: number,
  body: string,
): SignatureHeaders {
  const timestamp = String(Math.floor(nowMs / 1000));
  const signatures = secrets.map((secret) => {
    const mac = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`, 'utf8').digest('base64');
    return `v1,${mac}`;
  });
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}
