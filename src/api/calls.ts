/** Every call of `/v1`. A new file of calls is one line here and one in the interface. */
import type { Config } from '../config/types.ts';
import type { HistoryStore } from '../store/history.ts';
import type { Api } from './api.ts';
import { addContent, type ContentDeps } from './routes/content.ts';
import { addEvents, type EventsDeps } from './routes/events.ts';
import { addExplain, type ExplainDeps } from './routes/explain.ts';
import { addMessages, type MessagesDeps } from './routes/messages.ts';
import { addOperate, type OperateDeps } from './routes/operate.ts';
import { addPreview, type PreviewDeps } from './routes/preview.ts';
import { addRoutes, type RoutesDeps } from './routes/routes.ts';
import { addSend, type SendDeps } from './routes/send.ts';
import { addSenders, type SendersDeps } from './routes/senders.ts';
import { addStats, type StatsDeps } from './routes/stats.ts';
import { addStream, type StreamDeps } from './routes/stream.ts';
import { addTrace, type TraceDeps } from './routes/trace.ts';
import { addSuppressions, type SuppressionsDeps } from './routes/suppressions.ts';
import { addWebhooks, type WebhooksDeps } from './routes/webhooks.ts';

/** What the calls may touch. */
export interface CallDeps
  extends MessagesDeps,
    SendDeps,
    ContentDeps,
    OperateDeps,
    EventsDeps,
    StreamDeps,
    SuppressionsDeps,
    RoutesDeps,
    StatsDeps,
    SendersDeps,
    ExplainDeps,
    PreviewDeps,
    TraceDeps,
    WebhooksDeps {
  readonly history: HistoryStore;
  readonly config: () => Config;
}

/** Adds the calls to `api`. */
export function addCalls(api: Api, deps: CallDeps): void {
  addSend(api, deps);
  addMessages(api, deps);
  addContent(api, deps);
  addOperate(api, deps);
  addTrace(api, deps);
  addPreview(api, deps);
  addEvents(api, deps);
  addStream(api, deps);
  addSuppressions(api, deps);
  addRoutes(api, deps);
  addStats(api, deps);
  addSenders(api, deps);
  addExplain(api, deps);
  addWebhooks(api, deps);
}
