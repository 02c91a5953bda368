/** The From domains of the config, with their DKIM keys and the records that DNS must have. */
import type { SenderConfig } from '../../config/types.ts';
import { dnsRecord } from '../../signing/generate.ts';
import { parseSigningKey, type ReadKeyFile } from '../../signing/keys.ts';
import type { Api } from '../api.ts';
import { senderList, type WireDkimKey } from '../wire/sender.ts';

export interface SendersDeps {
  /** As configured now. */
  readonly senders: () => readonly SenderConfig[];
  readonly readKeyFile: ReadKeyFile;
}

/** Adds `GET /v1/senders`. */
export function addSenders(api: Api, { senders, readKeyFile }: SendersDeps): void {
  api.get(
    '/v1/senders',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listSenders',
        tags: ['relay'],
        summary: 'The From domains of the config, their DKIM keys and records',
        response: { 200: senderList },
      },
    },
    async () => ({
      data: await Promise.all(
        senders().map(async ({ domain, returnPath, dkim }) => ({
          domain,
          return_path: returnPath,
          dkim: await Promise.all(dkim.map(({ selector, key }) => dkimKey(domain, selector, key))),
          checks: null,
          checked_at: null,
        })),
      ),
    }),
  );

  /** A file that cannot be read any more has no record here; mail is signed with what was read at the start. */
  async function dkimKey(domain: string, selector: string, file: string): Promise<WireDkimKey> {
    const pem = await readKeyFile(file).catch(() => '');
    const parsed = parseSigningKey(pem);
    if (parsed.kind === 'unusable') {
      return { selector, algorithm: null, record_name: `${selector}._domainkey.${domain}`, record: null };
    }
    const { name, value } = dnsRecord(pem, domain, selector);
    return { selector, algorithm: parsed.algorithm, record_name: name, record: value };
  }
}
