/** `send --url`: the mail that would go over SMTP, as it is, through the HTTP API of a relay elsewhere. */
import { type WireSent, sent } from '../../api/wire/send.ts';
import type { RemoteClient } from './client.ts';

export interface BuiltMail {
  readonly from: string;
  readonly to: readonly string[];
  /** Lines end in CRLF. */
  readonly content: Uint8Array;
}

/** Hands `mail` over; rejects with a `RemoteError` that says why when it is refused. */
export function sendRemotely(client: RemoteClient, { from, to, content }: BuiltMail): Promise<WireSent> {
  return client.call('v1/messages/mime', sent, {
    method: 'POST',
    query: { from, to: to.join(',') },
    octets: { type: 'message/rfc822', content },
  });
}
