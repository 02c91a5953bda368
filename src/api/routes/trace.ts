/** The stories: of one message, refused ones too, and of a recovery flow. */
import { z } from 'zod';
import { parseMessageId } from '../../core/ids.ts';
import type { Clock } from '../../core/time.ts';
import type { HistoryStore } from '../../store/history.ts';
import { refuse } from '../answer.ts';
import { type Api, problems } from '../api.ts';
import { flowReport } from '../story/flow.ts';
import type { Story } from '../story/moments.ts';
import { readStory } from '../story/read-story.ts';
import { flow, trace, wireFlow, wireTrace } from '../wire/trace.ts';

export interface TraceDeps {
  readonly history: Pick<HistoryStore, 'message' | 'attempts' | 'eventsOf' | 'events' | 'find'>;
  readonly clock: Clock;
}

/** The newest messages of a flow that are told. */
const MAX_FLOW_MESSAGES = 100;

/** Adds `GET /v1/messages/{id}/trace` and `GET /v1/flows/{id}`. */
export function addTrace(api: Api, { history, clock }: TraceDeps): void {
  api.get(
    '/v1/messages/:id/trace',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'traceMessage',
        tags: ['messages'],
        summary: 'Everything about one message, in time order',
        description: 'Of mail that was refused at submission too.',
        params: z.object({ id: z.string().max(512).describe('Id of a message (`msg_...`).') }),
        querystring: z.strictObject({
          recipient: z.string().max(512).optional().describe('The verdict is about the copy of this recipient.'),
        }),
        response: { 200: trace, ...problems('not-found') },
      },
    },
    async ({ params, query }, reply) => {
      const id = parseMessageId(params.id);
      const question = { now: clock.now(), key: query.recipient ?? '', placeOptions: '' };
      const story = id === null ? null : await readStory(history, id, question);
      return story === null ? refuse(reply, 'not-found', 'There is no such message.') : wireTrace(story);
    },
  );

  api.get(
    '/v1/flows/:id',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getFlow',
        tags: ['messages'],
        summary: 'A recovery flow as one story, and whether its reset was ever delivered',
        description: `Its newest ${MAX_FLOW_MESSAGES} messages, oldest first. Mail that was refused at submission has no flow in the log.`,
        params: z.object({ id: z.string().max(512).describe('The flow, as the app named it.') }),
        response: { 200: flow, ...problems('not-found') },
      },
    },
    async ({ params: { id: name } }, reply) => {
      const ids = await history.find(name, 'flow', MAX_FLOW_MESSAGES);
      const stories: Story[] = [];
      for (const id of ids.toReversed()) {
        const story = await readStory(history, id, { now: clock.now(), key: '', placeOptions: '' });
        if (story !== null) stories.push(story);
      }
      if (stories.length === 0) return refuse(reply, 'not-found', 'There is no message of such a flow.');
      const report = await flowReport(name, stories, (text) => {
        const id = parseMessageId(text);
        return id === null ? Promise.resolve(null) : history.message(id);
      });
      return wireFlow(report, stories);
    },
  );
}
