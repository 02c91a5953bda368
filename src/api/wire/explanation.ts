/** What would become of a message: the answer of `rules/explain` and of `explain --json`. `intake/explain.ts` makes it. */
import { z } from 'zod';
import type { Explanation } from '../../intake/explain.ts';
import { type Plain, time } from './json.ts';
import { linkAuditWithLinks } from './link-audit.ts';

const recipient = z.object({
  recipient: z.string(),
  rule: z.string(),
  reason: z.string(),
  via: z.array(z.string()).describe('The routes that may carry it, in order: the first that is not down is used.'),
  route: z.string().describe('The first of them.'),
  left_out: z.array(z.string()).describe('Routes of the rule that may not carry it.'),
  considered: z
    .array(z.object({ rule: z.string(), matches: z.boolean(), reason: z.string() }))
    .describe('Every rule that was looked at, up to the one that matched.'),
});

export const explanation: z.ZodType<Plain<Explanation>> = z
  .object({
    verdict: z.enum(['accept', 'refuse']),
    reply: z.string().nullable().describe('The SMTP reply that the client would get, when it is refused.'),
    reason: z.string().nullable(),
    tag: z.string().nullable(),
    tag_source: z.string().nullable(),
    tag_rules: z.array(z.object({ tag: z.string(), rule: z.string() })).describe('Every tag rule that matches.'),
    priority: z.string().nullable(),
    deadline: time('When it would expire.').nullable(),
    deadline_source: z.string().nullable(),
    from: z.string().nullable().describe('The From that goes out.'),
    from_rewritten: z.boolean(),
    links: linkAuditWithLinks.nullable().describe('What the link audit found; null: the tag has no link policy.'),
    signed_by: z.string().nullable().describe('The domain that would sign; null: it would go unsigned.'),
    collapse: z.enum(['key', 'tag']).nullable().describe('What older undelivered mail it would replace.'),
    collapse_key: z.string().nullable(),
    throttles: z.array(
      z.object({ scope: z.string(), per: z.enum(['recipient', 'scope']), count: z.int(), per_ms: z.int() }),
    ),
    suppression: z.enum(['apply', 'bypass']).nullable(),
    delayed_after_ms: z.int().nullable(),
    return_path: z.string().nullable(),
    warnings: z.array(z.string()),
    recipients: z.array(recipient),
  })
  .meta({
    id: 'Explanation',
    description: 'A dry run: which tag, rule, route and sender a message would get, and why.',
  });
