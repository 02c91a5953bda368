/**
 * The From domains of the config, with their DKIM keys, the records that DNS must have, and what DNS says.
 *
 * DNS is asked by the doctor, which keeps what it learnt for some minutes. A call waits a few seconds for it at most: where DNS
 * is slow, `checks` is null, and a later call has them.
 */
import type { SenderConfig } from '../../config/types.ts';
import { type Clock, isoTime } from '../../core/time.ts';
import type { SenderReport } from '../../doctor/sender-checks.ts';
import { dnsRecord } from '../../signing/generate.ts';
import { parseSigningKey, type ReadKeyFile } from '../../signing/keys.ts';
import type { Api } from '../api.ts';
import { senderList, toWireCheck, type WireDkimKey, type WireSender } from '../wire/sender.ts';

export interface SendersDeps {
  /** As configured now. */
  readonly senders: () => readonly SenderConfig[];
  readonly readKeyFile: ReadKeyFile;
  /** What DNS says of a sender; rejects when the signal aborts. */
  readonly checkSender: (sender: SenderConfig, signal: AbortSignal) => Promise<SenderReport>;
  readonly clock: Clock;
}

/** A page that is being loaded waits no longer. */
const WAIT_MS = 4000;

/** Adds `GET /v1/senders`. */
export function addSenders(api: Api, { senders, readKeyFile, checkSender, clock }: SendersDeps): void {
  api.get(
    '/v1/senders',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listSenders',
        tags: ['relay'],
        summary: 'The From domains of the config, their DKIM keys and records, and what DNS says',
        response: { 200: senderList },
      },
    },
    async () => {
      const end = new AbortController();
      const cancel = clock.after(WAIT_MS, () => end.abort());
      try {
        return { data: await Promise.all(senders().map((sender) => describe(sender, end.signal))) };
      } finally {
        cancel();
      }
    },
  );

  async function describe(sender: SenderConfig, signal: AbortSignal): Promise<WireSender> {
    const { domain, returnPath, dkim } = sender;
    const [keys, report] = await Promise.all([
      Promise.all(dkim.map(({ selector, key }) => dkimKey(domain, selector, key))),
      checkSender(sender, signal).catch((error: unknown) => {
        if (signal.aborted) return null;
        throw error;
      }),
    ]);
    return {
      domain,
      return_path: returnPath,
      dkim: keys,
      checks: report?.findings.map(toWireCheck) ?? null,
      checked_at: report === null ? null : isoTime(report.checkedAt),
    };
  }

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
