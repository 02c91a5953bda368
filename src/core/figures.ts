/** What the store tells of itself in numbers: made there, shown as metrics. */
import type { DeliveryState } from './delivery.ts';
import type { Priority } from './message.ts';

export interface QueueFigures {
  /** Deliveries by state, of the states that are not final, and quarantined. */
  readonly byState: Readonly<Partial<Record<DeliveryState, number>>>;
  /** Acceptance time (epoch milliseconds) of the oldest undelivered delivery by priority. */
  readonly oldestAcceptedAt: Readonly<Partial<Record<Priority, number>>>;
  /** Number of the newest event; 0: there is none. */
  readonly lastSeq: number;
  /** Keys of contents that are kept, and places of destroyed ones that can be used again. */
  readonly contentKeys: { readonly used: number; readonly free: number };
}

/** Octets; null: the store has no such file. */
export interface StoreSizes {
  readonly databaseBytes: number | null;
  readonly walBytes: number | null;
  /** Free on its disk. */
  readonly freeBytes: number | null;
}
