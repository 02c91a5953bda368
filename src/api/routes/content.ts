/**
 * The octets of a message while they are kept: a sandbox keeps them for a while, other routes until the last delivery has ended.
 *
 * The one call that shows what a message says. It needs the scope `admin`, and each use of it is in the log.
 */
import { z } from 'zod';
import { parseMessageId } from '../../core/ids.ts';
import type { HistoryStore } from '../../store/history.ts';
import type { Log } from '../../telemetry/log.ts';
import { refuse } from '../answer.ts';
import { logContentRead } from '../content-read.ts';
import { type Api, problems } from '../api.ts';

export interface ContentDeps {
  readonly history: Pick<HistoryStore, 'message' | 'content'>;
  readonly log: Log;
}

const octets = z.custom<Uint8Array>((value) => value instanceof Uint8Array).meta({ type: 'string', format: 'binary' });

/** Adds `GET /v1/messages/{id}/content`. */
export function addContent(api: Api, { history, log }: ContentDeps): void {
  api.get(
    '/v1/messages/:id/content',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'getMessageContent',
        tags: ['messages'],
        summary: 'The message itself, octet by octet',
        description: 'As it was sent, or will be, with its signatures. Shows links and codes: every use is in the log.',
        params: z.object({ id: z.string().max(512).describe('Id of a message (`msg_...`).') }),
        response: {
          200: {
            description: 'The message.',
            content: { 'message/rfc822': { schema: octets } },
          },
          ...problems('not-found', 'content-gone'),
        },
      },
    },
    async (request, reply) => {
      const id = parseMessageId(request.params.id);
      const message = id === null ? null : await history.message(id);
      if (id === null || message === null) return refuse(reply, 'not-found', 'There is no such message.');
      const content = message.contentKept ? await history.content(id) : null;
      if (content === null) {
        return refuse(
          reply,
          'content-gone',
          'Content goes with the last delivery; captured content with retention.sandbox.',
        );
      }
      logContentRead(log, request, id);
      return reply
        .header('content-disposition', `attachment; filename="${id}.eml"`)
        .type('message/rfc822')
        .send(Buffer.from(content.buffer, content.byteOffset, content.byteLength));
    },
  );
}
