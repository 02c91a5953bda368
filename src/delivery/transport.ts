/**
 * The hinge between the queue and the world: one interface, one implementation per route type.
 *
 * A transport sends one message to one recipient and says what came of it. It never retries, never chooses a route,
 * never touches the store. It keeps its own connections and bounds each network phase by its own wall-clock timeout.
 */
import type { EnvelopeAddress, ReversePath } from '../core/address.ts';
import type { DeliveryId, MessageId } from '../core/ids.ts';
import type { EnvelopeDsn, Priority, RecipientDsn } from '../core/message.ts';
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
  readonly priority: Priority;
  /** It can go over another route at once when this one fails before the final dot. */
  readonly hasAlternative: boolean;
  /** Only over TLS with a certificate that was verified for the next hop's name. */
  readonly requireTls: boolean;
  /** Epoch milliseconds up to which the message is worth something, for DELIVERBY (RFC 2852); null: no TTL was asked for. */
  readonly deliverBy: number | null;
  /** The whole message with CRLF line ends, not dot-stuffed. */
  readonly content: Uint8Array;
}

export interface Transport {
  /** Deliveries that it can work on at the same time. */
  readonly capacity: number;
  /** At most `count` attempts in `perMs` milliseconds; null: no limit. The queue keeps to it. */
  readonly rate: { readonly count: number; readonly perMs: number } | null;
  /** Deliveries at the same time to one recipient domain; null: the route has one next hop for all. The queue keeps to it. */
  readonly perDestination: number | null;
  /**
   * Looks whether the next hop is there and would take mail: connects, agrees on TLS, logs in, leaves. `delivered`: it is;
   * else the outcome that a delivery would have had. null: the route has no next hop of its own, and is never down as a
   * whole.
   */
  readonly probe: ((signal: AbortSignal) => Promise<Outcome>) | null;
  /**
   * Tries once. Never rejects for what a network or a next hop does: that is an `Outcome`. When `signal` aborts, the
   * attempt ends as `deferred` (cause `local`) if the final dot was not written; past it, it waits for the answer.
   */
  deliver(request: DeliveryRequest, signal: AbortSignal): Promise<Outcome>;
  /** Closes idle connections; resolves when every connection is gone. */
  stop(): Promise<void>;
}
