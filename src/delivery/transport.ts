/**
 * The hinge between the queue and the world: one interface, one implementation per route type.
 *
 * A transport sends one message to one recipient and says what came of it. It never retries, never chooses a route,
 * never touches the store. It keeps its own connections and bounds each network phase by its own wall-clock timeout.
 */
import type { EnvelopeAddress, ReversePath } from '../core/address.ts';
import type { DeliveryId, MessageId } from '../core/ids.ts';
import type { EnvelopeDsn, RecipientDsn } from '../core/message.ts';
import type { Outcome } from '../core/outcome.ts';

export interface DeliveryRequest {
  readonly messageId: MessageId;
  readonly deliveryId: DeliveryId;
  readonly mailFrom: ReversePath;
  /** Goes on the wire byte for byte. */
  readonly recipient: EnvelopeAddress;
  readonly dsn: EnvelopeDsn;
  readonly recipientDsn: RecipientDsn | null;
  readonly smtpUtf8: boolean;
  readonly eightBit: boolean;
  /** The whole message with CRLF line ends, not dot-stuffed. */
  readonly content: Uint8Array;
}

export interface Transport {
  /** Deliveries that it can work on at the same time. */
  readonly capacity: number;
  /** At most `count` attempts in `perMs` milliseconds; null: no limit. The queue keeps to it. */
  readonly rate: { readonly count: number; readonly perMs: number } | null;
  /**
   * Tries once. Never rejects for what a network or a next hop does: that is an `Outcome`. When `signal` aborts, the
   * attempt ends as `deferred` (cause `local`) if the final dot was not written; past it, it waits for the answer.
   */
  deliver(request: DeliveryRequest, signal: AbortSignal): Promise<Outcome>;
  /** Closes idle connections; resolves when every connection is gone. */
  stop(): Promise<void>;
}
