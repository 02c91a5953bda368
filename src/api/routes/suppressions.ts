/** The suppression list: recipients that get no mail. */
import { z } from 'zod';
import type { Clock } from '../../core/time.ts';
import type { SuppressionStore } from '../../store/store.ts';
import type { Api } from '../api.ts';
import { limitQuery, page } from '../wire/json.ts';
import { suppressionPage, wireSuppression } from '../wire/suppression.ts';

export interface SuppressionsDeps {
  readonly suppressions: SuppressionStore;
  readonly clock: Clock;
}

const MAX_ADDRESS = 254;

const listQuery = z.strictObject({
  cursor: z.string().max(MAX_ADDRESS).optional(),
  limit: limitQuery(),
});

/** Adds `GET /v1/suppressions`. */
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
}
