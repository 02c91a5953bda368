/** A captured message as it reads, as the API shows it to who may see content. */
import { z } from 'zod';

export interface WireHeaderField {
  readonly name: string;
  readonly value: string;
}

export interface WirePreview {
  readonly subject: string | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly date: string | null;
  readonly fields: readonly WireHeaderField[];
  readonly text: string | null;
  readonly has_html: boolean;
  readonly links: readonly {
    readonly part: 'text' | 'html';
    readonly kind: string;
    readonly address: string;
    readonly text: string;
  }[];
  readonly attachments: readonly {
    readonly number: number;
    readonly name: string;
    readonly type: string;
    readonly size: number;
    readonly inline: boolean;
  }[];
  readonly signatures: readonly {
    readonly domain: string;
    readonly selector: string;
    readonly algorithm: string;
    readonly result: 'pass' | 'fail' | 'unknown-key' | 'unsupported';
    readonly reason: string;
  }[];
  readonly whole: boolean;
}

export const preview: z.ZodType<WirePreview> = z
  .object({
    subject: z.string().nullable(),
    from: z.string().nullable(),
    to: z.string().nullable(),
    date: z.string().nullable(),
    fields: z.array(z.object({ name: z.string(), value: z.string() })).describe('The header, decoded.'),
    text: z.string().nullable().describe('The plain text; null: it has none.'),
    has_html: z.boolean().describe('Whether there is an HTML part, to be had at `preview/html`.'),
    links: z
      .array(
        z.object({
          part: z.enum(['text', 'html']),
          kind: z.string(),
          address: z.string().describe('Whole, with path and query.'),
          text: z.string().describe('What people see on it.'),
        }),
      )
      .describe('Every address in it, bounded in number.'),
    attachments: z.array(
      z.object({
        number: z.int().describe('For `preview/attachments/{number}`.'),
        name: z.string(),
        type: z.string(),
        size: z.int(),
        inline: z.boolean().describe('Shown within the HTML.'),
      }),
    ),
    signatures: z
      .array(
        z.object({
          domain: z.string(),
          selector: z.string(),
          algorithm: z.string(),
          result: z.enum(['pass', 'fail', 'unknown-key', 'unsupported']),
          reason: z.string(),
        }),
      )
      .describe('Each DKIM signature, checked against the keys of the config; DNS is not asked.'),
    whole: z.boolean().describe('False: it has more parts than are looked at.'),
  })
  .meta({ id: 'Preview', description: 'A captured message as it reads.' });
