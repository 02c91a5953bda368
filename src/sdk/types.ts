/**
 * Names for what goes over the wire. The shapes are those of the relay's OpenAPI document (`wire.ts`, generated); what is written here by
 * hand is only which parts an event of each type is sure to have.
 */
import type { components, paths } from './wire.ts';

type Schemas = components['schemas'];

export type Problem = Schemas['Problem'];
export type ProblemCode = Problem['code'];

export type SendMessage = paths['/v1/messages']['post']['requestBody']['content']['application/json'];
export type Attachment = NonNullable<SendMessage['attachments']>[number];
/** The relay has the message. */
export type Accepted = Schemas['Sent'];

/** A message in a list. */
export type Message = Schemas['Message'];
/** One message alone: with every attempt. */
export type MessageDetail = Schemas['MessageDetail'];
export type Preview = Schemas['Preview'];
export type Delivery = Schemas['Delivery'];
export type DeliveryDetail = Schemas['DeliveryDetail'];
export type DeliveryState = Delivery['state'];
export type Attempt = Schemas['Attempt'];
export type Change = Schemas['Change'];
export type QueueRow = Schemas['QueueRow'];
export type QueueList = Schemas['QueueList'];
export type Suppression = Schemas['Suppression'];
export type Route = Schemas['Route'];
export type Sender = Schemas['Sender'];
export type Stats = Schemas['Stats'];
export type Explanation = Schemas['Explanation'];
export type Flow = Schemas['Flow'];
export type Webhook = Schemas['Webhook'];
export type WebhookDelivery = Schemas['WebhookDelivery'];

export type EventType = Schemas['Event']['type'];
type AnyData = Schemas['Event']['data'];
export type BounceClass = NonNullable<AnyData['bounce']>['class'];

/** An event's data in which the parts `Sure` are there. */
type Data<Sure extends keyof AnyData> = AnyData & { readonly [Part in Sure]-?: NonNullable<AnyData[Part]> };

/** What each type of event is sure to tell; all else may be there. */
interface DataByType extends Record<EventType, AnyData> {
  'message.accepted': Data<'message' | 'delivery'>;
  'message.rejected': Data<'message' | 'refusal'>;
  'message.deferred': Data<'message' | 'delivery'>;
  'message.delayed': Data<'message' | 'delivery' | 'reason'>;
  'message.delivered': Data<'message' | 'delivery' | 'attempt'>;
  'message.bounced': Data<'message' | 'delivery' | 'bounce'>;
  'message.expired': Data<'message' | 'delivery'>;
  'message.superseded': Data<'message' | 'delivery' | 'superseded_by'>;
  'message.suppressed': Data<'message' | 'delivery' | 'reason'>;
  'message.throttled': Data<'message' | 'delivery' | 'reason'>;
  'message.canceled': Data<'message' | 'delivery'>;
  'message.quarantined': Data<'message' | 'delivery'>;
  'message.complained': Data<'message' | 'delivery' | 'report'>;
  'route.down': Data<'route'>;
  'route.up': Data<'route'>;
  'webhook.disabled': Data<'webhook'>;
}

/** The event of one type. */
export type EventOf<Type extends EventType> = {
  readonly type: Type;
  /** When it happened (RFC 3339). */
  readonly timestamp: string;
  readonly data: DataByType[Type];
};

type AnyTrace = paths['/v1/messages/{id}/trace']['get']['responses'][200]['content']['application/json'];
/** The whole story of a message. */
export type Trace = Omit<AnyTrace, 'events' | 'route_events'> & {
  readonly events: readonly RelayEvent[];
  readonly route_events: readonly EventOf<'route.down' | 'route.up'>[];
};

/** An event: look at `type`, and the compiler knows what is in `data`. A newer relay may send types that are not listed here. */
export type RelayEvent = { readonly [Type in EventType]: EventOf<Type> }[EventType];
