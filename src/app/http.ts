/** Makes the HTTP server: hands its calls the slices of the store, the queue and the webhooks that they may touch. */
import { createHttpServer, type HttpServer } from '../api/server.ts';
import type { Config } from '../config/types.ts';
import { refuse } from '../core/refusal.ts';
import type { Clock } from '../core/time.ts';
import { createDoctorClient } from '../doctor/client.ts';
import { createSenderChecks } from '../doctor/sender-checks.ts';
import type { Intake } from '../intake/submission.ts';
import type { Scheduler } from '../queue/scheduler.ts';
import { readKeyFile } from '../signing/keys.ts';
import type { SignatureCheck } from '../signing/sign.ts';
import type { Store } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Dispatcher } from '../webhooks/dispatcher.ts';
import type { OpenDoor } from './doors.ts';
import { checkReadiness } from './readiness.ts';

/** Functions are asked at each use: a reload changes what they say. */
export interface HttpDeps {
  readonly config: () => Config;
  readonly signatures: () => SignatureCheck;
  /** Where mail is taken over SMTP, as far as it is by now. */
  readonly smtp: () => readonly OpenDoor[];
  readonly stopping: () => boolean;
  readonly intake: () => Pick<Intake, 'ready' | 'accept'>;
  readonly store: Store;
  readonly scheduler: Scheduler;
  readonly webhooks: Pick<Dispatcher, 'wakeAll'>;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Clock;
}

/** Makes it; nothing is bound before its `start()`. */
export function createHttp(deps: HttpDeps): HttpServer {
  const { config, intake, store, scheduler, webhooks, metrics, log, clock } = deps;
  const { http, hostname } = config();
  const senderChecks = createSenderChecks({
    config,
    client: createDoctorClient({ config, named: null, clock }),
    clock,
    readKey: readKeyFile,
  });
  return createHttpServer({
    config: http,
    hostname,
    ready: () =>
      checkReadiness({ health: store.health, queue: store.queue, scheduler, clock, stopping: deps.stopping }),
    metrics,
    smtp: deps.smtp,
    calls: {
      intake: {
        // As over SMTP: what was taken while the relay drains would wait for its next start.
        ready: () => (deps.stopping() ? refuse(421, '4.3.2', 'The relay is shutting down') : intake().ready()),
        accept: (submission) => intake().accept(submission),
      },
      config,
      history: store.history,
      signatures: deps.signatures,
      suppressions: store.suppressions,
      operate: {
        async retryNow(target, now) {
          const result = await store.queue.retryNow(target, now);
          scheduler.wakeAll();
          return result;
        },
        async cancel(target, now, reason) {
          const result = await store.queue.cancel(target, now, reason);
          scheduler.wakeAll();
          return result;
        },
      },
      log,
      onCommitted(listener) {
        store.feed.onEvents(listener);
        store.health.onOutsideChange(listener);
      },
      routes: () => config().routes,
      routeHealth: (route) => scheduler.health(route),
      senders: () => config().senders,
      readKeyFile,
      outbox: store.outbox,
      webhooks: () => config().webhooks,
      wakeWebhooks: webhooks.wakeAll,
      checkSender: (sender, signal) => senderChecks.checkWithHost(sender, signal),
      clock,
    },
    log,
    clock,
  });
}
