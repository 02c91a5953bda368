/** The line of the log that says who read a message itself: the same for every call that shows one. */
import type { FastifyRequest } from 'fastify';
import type { Log } from '../telemetry/log.ts';

/** Notes that whoever made `request` was shown the content of message `id`. */
export function logContentRead(log: Log, request: Pick<FastifyRequest, 'id' | 'caller' | 'ip'>, id: string): void {
  log.info(
    {
      event: 'content.read',
      request_id: request.id,
      message: id,
      caller: request.caller?.name,
      client: request.ip,
    },
    'somebody read a message',
  );
}
