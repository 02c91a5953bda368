/** The suppression list: recipients that get no mail. A change counts for what is accepted from then on. */
import { z } from 'zod';
import { type EnvelopeAddress, parseEnvelopeAddress } from '../../core/address.ts';
import type { Clock } from '../../core/time.ts';
import { parseDuration } from '../../config/units.ts';
import type { SuppressionStore } from '../../store/store.ts';
import { refuse } from '../answer.ts';
import { type Api, problems } from '../api.ts';
import { limitQuery, page } from '../wire/json.ts';
import { suppression, suppressionPage, wireSuppression } from '../wire/suppression.ts';

export interface SuppressionsDeps {
  readonly suppressions: SuppressionStore;
  readonly clock: Clock;
}

const MAX_ADDRESS = 254;
const MAX_DETAIL = 200;
const MAX_SPAN_MS = 3650 * 86_400_000;

const listQuery = z.strictObject({
  cursor: z.string().max(MAX_ADDRESS).optional(),
  limit: limitQuery(),
});

const params = z.object({
  address: z.string().transform((text, context): EnvelopeAddress => {
    const parsed = parseEnvelopeAddress(text, { smtpUtf8: true });
    if (parsed.kind === 'address') return parsed.address;
    context.addIssue({ code: 'custom', message: `not an address: ${parsed.reason}` });
    return z.NEVER;
  }),
});

const putBody = z
  .strictObject({
    reason: z
      .string()
      .max(MAX_DETAIL)
      .refine((text) => text.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text), 'control characters or line breaks')
      .optional()
      .describe('Why, in words.'),
    expires_at: z.iso
      .datetime({ offset: true })
      .optional()
      .describe('Until when it stands; for ever when it and `for` are absent.'),
    for: z
      .string()
      .refine((text) => isSpan(text), 'write a span such as 12h or 30d, 3650d at most')
      .optional()
      .describe('How long it stands, in place of `expires_at`: `12h`, `30d`.'),
  })
  .refine((body) => body.expires_at === undefined || body.for === undefined, {
    error: 'give `expires_at` or `for`, not both',
    path: ['for'],
  })
  .meta({ id: 'SuppressionChange' });

/** Adds the calls of `/v1/suppressions`. */
export function addSuppressions(api: Api, { suppressions, clock }: SuppressionsDeps): void {
  api.get(
    '/v1/suppressions',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listSuppressions',
        tags: ['suppressions'],
        summary: 'List suppressed recipients, in the order of addresses',
        querystring: listQuery,
        response: { 200: suppressionPage },
      },
    },
    async ({ query: { cursor, limit } }) => {
      const found = await suppressions.list(clock.now(), limit + 1, cursor ?? null);
      return page(found.map(wireSuppression), limit, ({ recipient }) => recipient);
    },
  );

  api.get(
    '/v1/suppressions/:address',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getSuppression',
        tags: ['suppressions'],
        summary: 'Whether a recipient is suppressed, and why',
        params,
        response: { 200: suppression, ...problems('not-found') },
      },
    },
    async ({ params: { address } }, reply) => {
      const found = await suppressions.get(address, clock.now());
      return found === null ? refuse(reply, 'not-found', 'The address is not suppressed.') : wireSuppression(found);
    },
  );

  api.put(
    '/v1/suppressions/:address',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'putSuppression',
        tags: ['suppressions'],
        summary: 'Suppress a recipient, or change why and for how long',
        params,
        body: z.preprocess((body) => body ?? {}, putBody),
        response: { 200: suppression },
      },
    },
    async ({ params: { address }, body, caller }, reply) => {
      const now = clock.now();
      const expiresAt = expiryOf(body, now);
      if (expiresAt !== null && (expiresAt <= now || expiresAt > now + MAX_SPAN_MS)) {
        return refuse(reply, 'validation', 'Some values are not accepted: see errors.', [
          { pointer: '/expires_at', in: 'body', detail: 'must be in the future, within 3650 days' },
        ]);
      }
      const entry = {
        recipient: address,
        reason: 'manual' as const,
        detail: body.reason ?? `added over the API by ${caller?.name ?? 'nobody'}`,
        messageId: null,
        createdAt: now,
        expiresAt,
      };
      await suppressions.put(entry);
      return wireSuppression(entry);
    },
  );

  api.delete(
    '/v1/suppressions/:address',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'deleteSuppression',
        tags: ['suppressions'],
        summary: 'Let mail to a recipient through again',
        params,
        response: { 204: z.undefined().describe('It is not suppressed any more.'), ...problems('not-found') },
      },
    },
    async ({ params: { address } }, reply) => {
      const was = await suppressions.remove(address, clock.now());
      return was ? reply.code(204).send() : refuse(reply, 'not-found', 'The address is not suppressed.');
    },
  );
}

function isSpan(text: string): boolean {
  const ms = parseDuration(text);
  return ms !== null && ms >= 1000 && ms <= MAX_SPAN_MS;
}

function expiryOf(
  body: { readonly expires_at?: string | undefined; readonly for?: string | undefined },
  now: number,
): number | null {
  if (body.for !== undefined) return now + (parseDuration(body.for) ?? 0);
  return body.expires_at === undefined ? null : Date.parse(body.expires_at);
}
