/** Everything that the package gives; the transport for nodemailer is under `@leadpush/relay/nodemailer`. */
import { verifyWebhook } from './verify.ts';

export { LeadpushRelay } from './client.ts';
export {
  LeadpushAnswerError,
  LeadpushConnectionError,
  LeadpushError,
  type LeadpushErrorCode,
  LeadpushProblem,
  LeadpushTimeoutError,
} from './errors.ts';
export type { EventListQuery, EventQuery, Events, EventTypePattern } from './events.ts';
export type { List, Page } from './list.ts';
export type { Envelope, MessageQuery, Messages, NewAttachment, NewMessage, SendOptions } from './messages.ts';
export type { Operations } from './operations.ts';
export type { StreamOptions } from './stream.ts';
export type { Suppressions } from './suppressions.ts';
export type { CallOptions, LeadpushOptions } from './transport.ts';
export type {
  Accepted,
  Attempt,
  BounceClass,
  Change,
  Delivery,
  DeliveryDetail,
  DeliveryState,
  EventOf,
  EventType,
  Explanation,
  Flow,
  Message,
  MessageDetail,
  Preview,
  Problem,
  ProblemCode,
  QueueList,
  QueueRow,
  RelayEvent,
  Route,
  Sender,
  Stats,
  Suppression,
  Trace,
  Webhook,
  WebhookDelivery,
} from './types.ts';
export {
  type VerifyOptions,
  type WebhookErrorCode,
  type WebhookHeaders,
  WebhookVerificationError,
  verifyWebhook,
} from './verify.ts';
export type { Webhooks } from './webhooks.ts';

/** Checks webhooks without a client: `webhooks.verify(payload, headers, secret)`. */
export const webhooks: { readonly verify: typeof verifyWebhook } = { verify: verifyWebhook };
