/** The shapes of the relay's HTTP API that the pages use, by the names of its description. */
import type { components } from './openapi.gen.ts';

type Schemas = components['schemas'];

export type Message = Schemas['Message'];
export type MessageDetail = Schemas['MessageDetail'];
export type Attempt = Schemas['Attempt'];
export type RelayEvent = Schemas['Event'];
export type QueueRow = Schemas['QueueRow'];
export type QueueList = Schemas['QueueList'];
export type Change = Schemas['Change'];
export type Suppression = Schemas['Suppression'];
export type Webhook = Schemas['Webhook'];
export type WebhookDelivery = Schemas['WebhookDelivery'];
export type Route = Schemas['Route'];
export type Sender = Schemas['Sender'];
export type Preview = Schemas['Preview'];
export type Stats = Schemas['Stats'];
export type Trace = Schemas['Trace'];
export type TagStats = Schemas['TagStats'];
export type Fault = Schemas['Fault'];

export interface Page<T> {
  readonly data: readonly T[];
  readonly has_more: boolean;
  readonly next_cursor: string | null;
}

export interface List<T> {
  readonly data: readonly T[];
}
