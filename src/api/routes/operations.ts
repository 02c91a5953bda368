/**
 * What a supervisor, a load balancer and Prometheus ask for: `/healthz`, `/readyz`, `/metrics`.
 *
 * `/healthz` answers from memory alone: it says that the process serves, not that mail can be taken. `/readyz` asks the
 * store. Both are open to everyone who reaches the listener and tell nothing about mail.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../core/time.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { refuse } from '../answer.ts';

export interface OperationsDeps {
  /** Whether mail can be taken now, and if not, why. */
  readonly ready: () => Promise<Readiness>;
  readonly metrics: Pick<Metrics, 'scrape'>;
  readonly clock: Clock;
  /** Answers the request itself and returns false when the client may not read. */
  readonly mayRead: (request: FastifyRequest, reply: FastifyReply) => boolean;
}

export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** A store that hangs must not make the answer hang. */
const ANSWER_TIMEOUT_MS = 3_000;

/** Adds the operations' routes to `server`. */
export function addOperations(server: FastifyInstance, deps: OperationsDeps): void {
  const { clock } = deps;

  server.get('/healthz', (_request, reply) => reply.send({ status: 'ok' }));

  server.get('/readyz', async (_request, reply) => {
    const answer = (await within(clock, deps.ready())) ?? {
      ready: false,
      reasons: ['the store does not answer'],
    };
    const status = answer.ready ? 'ready' : 'not-ready';
    return reply.code(answer.ready ? 200 : 503).send({ status, reasons: answer.reasons });
  });

  server.get('/metrics', async (request, reply) => {
    if (!deps.mayRead(request, reply)) return reply;
    const scrape = await within(clock, deps.metrics.scrape());
    if (scrape === null) {
      void reply.header('retry-after', '5');
      return refuse(reply, 'unavailable', 'The figures could not be read in time.');
    }
    return reply.type(scrape.contentType).send(scrape.text);
  });
}

/** What `promise` resolves to, or null when that takes longer than an asker waits. */
function within<T>(clock: Clock, promise: Promise<T>): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ANSWER_TIMEOUT_MS, () => resolve(null));
    promise.then(resolve, reject).finally(cancel);
  });
}
