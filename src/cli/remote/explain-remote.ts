/** `explain --url`: the dry run of a relay elsewhere, with its config. */
import { explanation } from '../../api/wire/explanation.ts';
import type { Plain } from '../../api/wire/json.ts';
import { senderList } from '../../api/wire/sender.ts';
import type { Explanation } from '../../intake/explain.ts';
import type { RemoteClient } from './client.ts';

export interface AskedMail {
  /** null: no-reply@ the first From domain of that relay. */
  readonly from: string | null;
  readonly to: readonly string[];
  readonly credential: string | null;
  /** `Name: value` */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

const FIELDS: Readonly<Record<string, string>> = {
  subject: 'subject',
  'reply-to': 'reply_to',
  'x-leadpush-tag': 'tag',
  'x-leadpush-flow': 'flow',
  'x-leadpush-ttl': 'ttl',
  'x-leadpush-priority': 'priority',
  'x-leadpush-collapse-key': 'collapse_key',
};
const METADATA = 'x-leadpush-metadata-';

/** What would become of `mail`; rejects with a `RemoteError` when the relay refuses the question. */
export async function explainRemotely(client: RemoteClient, mail: AskedMail): Promise<Plain<Explanation>> {
  const fields: Record<string, string> = {};
  const headers: Record<string, string> = {};
  const metadata: Record<string, string> = {};
  for (const [name, value] of mail.headers) {
    const key = name.toLowerCase();
    const field = FIELDS[key];
    if (field !== undefined) fields[field] = value;
    else if (key.startsWith(METADATA)) metadata[key.slice(METADATA.length)] = value;
    else headers[name] = value;
  }
  return client.call('v1/rules/explain', explanation, {
    method: 'POST',
    body: {
      from: mail.from ?? `no-reply@${await firstDomain(client)}`,
      to: mail.to,
      text: 'x',
      ...fields,
      ...(Object.keys(headers).length === 0 ? {} : { headers }),
      ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
      ...(mail.credential === null ? {} : { credential: mail.credential }),
    },
  });
}

async function firstDomain(client: RemoteClient): Promise<string> {
  return (await client.call('v1/senders', senderList)).data[0]?.domain ?? 'example.com';
}
