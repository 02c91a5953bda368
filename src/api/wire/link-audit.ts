/** What the link audit found, as the API and `--json` show it. `policy/links.ts` makes it. */
import { z } from 'zod';
import type { AuditedLink, LinkAudit } from '../../core/link-audit.ts';

/** Links of one kind to one host. */
export type WireLink = AuditedLink;

/** What was said of the message as a whole: its links stand beside it. */
export type WireLinkAudit = Omit<LinkAudit, 'links'>;

const verdict = z.enum(['pass', 'warn', 'reject']);

export const link: z.ZodType<WireLink> = z
  .object({
    scheme: z.string().describe('Empty: the link has none.'),
    host: z.string().nullable(),
    shown: z.string().nullable().describe('The host as people see it, where that is other letters.'),
    kind: z.string(),
    count: z.int(),
    verdict,
    codes: z.array(z.string()),
  })
  .meta({ id: 'Link', description: 'Links of one kind to one host: never a path or a query.' });

const facts = {
  verdict,
  findings: z.array(
    z.object({
      code: z.string(),
      severity: z.enum(['breach', 'warning']),
      part: z.enum(['text', 'html', 'message']),
      host: z.string().nullable(),
      count: z.int(),
      text: z.string(),
    }),
  ),
  omitted: z.object({ links: z.int(), findings: z.int() }).describe('What the two lists leave out.'),
};

export const linkAudit: z.ZodType<WireLinkAudit> = z.object(facts).meta({ id: 'LinkAudit' });

/** The audit with its links, of a message that was not accepted yet. */
export const linkAuditWithLinks: z.ZodType<LinkAudit> = z
  .object({ ...facts, links: z.array(link) })
  .meta({ id: 'LinkAuditWithLinks', description: 'What the link audit found in a message.' });
