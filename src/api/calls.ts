/** Every call of `/v1`. A new file of calls is one line here and one in the interface. */
import type { Api } from './api.ts';
import { addEvents, type EventsDeps } from './routes/events.ts';
import { addMessages, type MessagesDeps } from './routes/messages.ts';
import { addSend, type SendDeps } from './routes/send.ts';
import { addRoutes, type RoutesDeps } from './routes/routes.ts';
import { addSenders, type SendersDeps } from './routes/senders.ts';
import { addStats, type StatsDeps } from './routes/stats.ts';
import { addSuppressions, type SuppressionsDeps } from './routes/suppressions.ts';
import { addWebhooks, type WebhooksDeps } from './routes/webhooks.ts';

/** What the calls may touch. */
export interface CallDeps
  extends MessagesDeps,
    SendDeps,
    EventsDeps,
    SuppressionsDeps,
    RoutesDeps,
    StatsDeps,
    SendersDeps,
    WebhooksDeps {
  readonly history: MessagesDeps['history'] & EventsDeps['history'] & StatsDeps['history'];
}

/** Adds the calls to `api`. */
export function addCalls(api: Api, deps: CallDeps): void {
  addSend(api, deps);
  addMessages(api, deps);
  addEvents(api, deps);
  addSuppressions(api, deps);
  addRoutes(api, deps);
  addStats(api, deps);
  addSenders(api, deps);
  addWebhooks(api, deps);
}
