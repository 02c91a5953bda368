/** What an operator may do about deliveries: take them off the queue, or put them back to work. */
import { z } from 'zod';
import { type DeliveryId, type MessageId, parseDeliveryId, parseMessageId } from '../../core/ids.ts';
import type { Clock } from '../../core/time.ts';
import type { HistoryStore } from '../../store/history.ts';
import type { OperatorResult } from '../../store/store.ts';
import { refuse } from '../answer.ts';
import { type Api, problems } from '../api.ts';
import { change, wireChange } from '../wire/queue.ts';

export interface OperateDeps {
  readonly history: Pick<HistoryStore, 'find'>;
  /** Changes the store and lets the queue know. */
  readonly operate: {
    retryNow(target: MessageId | DeliveryId, now: number): Promise<OperatorResult>;
    cancel(target: MessageId | DeliveryId, now: number, reason: string): Promise<OperatorResult>;
  };
  readonly clock: Clock;
}

const params = z.object({
  id: z.string().max(512).describe('Id of a message (`msg_...`), or of one delivery of it (`dlv_...`).'),
});

/** Adds `POST /v1/messages/{id}/cancel` and `/retry`. */
export function addOperate(api: Api, { history, operate, clock }: OperateDeps): void {
  add(
    'cancel',
    'cancelMessage',
    'Never send what is not delivered yet',
    'A delivery that is being sent just now is left as it is.',
    (id, by) => operate.cancel(id, clock.now(), `canceled over the API by ${by}`),
  );
  add(
    'retry',
    'retryMessage',
    'Try again at once',
    'Bounced, expired and canceled deliveries too, while their content is kept.',
    (id) => operate.retryNow(id, clock.now()),
  );

  function add(
    verb: 'cancel' | 'retry',
    operationId: string,
    summary: string,
    description: string,
    run: (id: MessageId | DeliveryId, by: string) => Promise<OperatorResult>,
  ): void {
    api.post(
      `/v1/messages/:id/${verb}`,
      {
        config: { scope: 'admin' },
        schema: {
          operationId,
          tags: ['messages'],
          summary,
          description,
          params,
          response: { 200: change, ...problems('not-found') },
        },
      },
      async (request, reply) => {
        const id = parseMessageId(request.params.id) ?? parseDeliveryId(request.params.id);
        if (id === null || (await history.find(id, 'any', 1)).length === 0) {
          return refuse(reply, 'not-found', 'There is no such message.');
        }
        return wireChange(id, await run(id, request.caller?.name ?? 'nobody'));
      },
    );
  }
}
