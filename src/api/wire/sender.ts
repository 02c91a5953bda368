/** Senders as the API shows them: the From domains of the config, their DKIM keys and what DNS must say. */
import { z } from 'zod';
import type { CheckFinding } from '../../doctor/finding.ts';
import { time } from './json.ts';

export interface WireSender {
  readonly domain: string;
  readonly return_path: string | null;
  readonly dkim: readonly WireDkimKey[];
  /** What DNS says; null: it has not answered yet, and the next call may have it. */
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
  readonly verdict: 'ok' | 'warning' | 'error' | 'unknown' | 'not-asked';
  readonly text: string;
  /** `spf.missing`, `dkim.ok`: stable. */
  readonly code: string;
  readonly why: string;
  readonly hint: string;
  readonly record: { readonly name: string; readonly type: string; readonly value: string } | null;
}

/** A finding of the doctor as a client sees it. */
export function toWireCheck({ level, code, about, subject, message, why, hint, record }: CheckFinding): WireDnsCheck {
  return {
    check: about,
    name: subject,
    verdict: code.endsWith('.unknown') ? 'unknown' : code.endsWith('.not-asked') ? 'not-asked' : level,
    text: message,
    code,
    why,
    hint,
    record: record === null ? null : { name: record.name, type: record.type, value: record.value },
  };
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
          verdict: z
            .enum(['ok', 'warning', 'error', 'unknown', 'not-asked'])
            .describe(
              '`unknown`: DNS could not be asked; nothing is known to be wrong. `not-asked`: there was no need, for no mail leaves the machine.',
            ),
          text: z.string().describe('What was found.'),
          code: z.string().describe('What was found, stable: `spf.missing`, `dkim.ok`.'),
          why: z.string().describe('Why it matters; empty where all is well.'),
          hint: z.string().describe('What mends it; may be empty.'),
          record: z
            .object({ name: z.string(), type: z.string(), value: z.string() })
            .nullable()
            .describe('The DNS record to publish, where one mends it.'),
        }),
      )
      .nullable()
      .describe('What DNS says, kept for some minutes; null: it has not answered yet, and the next call may have it.'),
    checked_at: time('When DNS was asked.').nullable(),
  })
  .meta({ id: 'Sender', description: 'A From domain of this relay.' });

export const senderList: z.ZodType<{ readonly data: readonly WireSender[] }> = z
  .object({ data: z.array(sender) })
  .meta({ id: 'SenderList' });
