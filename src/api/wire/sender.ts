/** Senders as the API shows them: the From domains of the config, their DKIM keys and what DNS must say. */
import { z } from 'zod';
import { time } from './json.ts';

export interface WireSender {
  readonly domain: string;
  readonly return_path: string | null;
  readonly dkim: readonly WireDkimKey[];
  /** What DNS says; null: it was not asked. */
  readonly checks: readonly WireDnsCheck[] | null;
  readonly checked_at: string | null;
}

export interface WireDkimKey {
  readonly selector: string;
  /** null, like `record`: the key file cannot be read. */
  readonly algorithm: string | null;
  /** Where the record must stand, and its text. */
  readonly record_name: string;
  readonly record: string | null;
}

export interface WireDnsCheck {
  /** `spf`, `dkim`, `dmarc`, `mx`, `ptr` ... */
  readonly check: string;
  readonly name: string;
  readonly verdict: 'ok' | 'warning' | 'error' | 'unknown';
  readonly text: string;
}

export const sender: z.ZodType<WireSender> = z
  .object({
    domain: z.string(),
    return_path: z.string().nullable().describe('Domain of the return path; null: the envelope sender is kept.'),
    dkim: z.array(
      z.object({
        selector: z.string(),
        algorithm: z.string().nullable().describe('null, like `record`: the key file cannot be read.'),
        record_name: z.string().describe('Where the TXT record must stand.'),
        record: z.string().nullable().describe('Its text.'),
      }),
    ),
    checks: z
      .array(
        z.object({
          check: z.string().describe('`spf`, `dkim`, `dmarc`, `mx`, `ptr` ...'),
          name: z.string().describe('The name that was asked for.'),
          verdict: z.enum(['ok', 'warning', 'error', 'unknown']),
          text: z.string(),
        }),
      )
      .nullable()
      .describe('What DNS says; null: it was not asked.'),
    checked_at: time('When DNS was asked.').nullable(),
  })
  .meta({ id: 'Sender', description: 'A From domain of this relay.' });

export const senderList: z.ZodType<{ readonly data: readonly WireSender[] }> = z
  .object({ data: z.array(sender) })
  .meta({ id: 'SenderList' });
