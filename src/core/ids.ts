/**
 * Identifiers: `msg_…`, `dlv_…`, `evt_…`.
 *
 * 26 characters of lower-case Crockford base32 after the prefix: 48 bits of milliseconds, then 80 random bits (the ULID
 * layout). Ids therefore sort by time of making, which keeps inserts at the right edge of every index.
 */
import { randomFillSync } from 'node:crypto';
import type { Clock } from './time.ts';

declare const brand: unique symbol;

export type MessageId = string & { readonly [brand]: 'MessageId' };
export type DeliveryId = string & { readonly [brand]: 'DeliveryId' };
export type EventId = string & { readonly [brand]: 'EventId' };

export interface Ids {
  message(): MessageId;
  delivery(): DeliveryId;
  event(): EventId;
}

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const ID_BODY = /^[0-9a-hjkmnp-tv-z]{26}$/;
const RANDOM_BYTES_PER_ID = 16;
const POOL_IDS = 128;

/** Makes ids from `clock` and `fillRandom` (the system's generator unless a test passes its own). */
export function createIds(
  clock: Clock,
  fillRandom: (target: Uint8Array) => void = (target) => void randomFillSync(target),
): Ids {
  const pool = new Uint8Array(RANDOM_BYTES_PER_ID * POOL_IDS);
  let used = pool.length;
  const body = (): string => {
    if (used >= pool.length) {
      fillRandom(pool);
      used = 0;
    }
    let time = clock.now();
    let text = '';
    for (let i = 0; i < 10; i++) {
      text = ALPHABET.charAt(time % 32) + text;
      time = Math.floor(time / 32);
    }
    for (let i = 0; i < RANDOM_BYTES_PER_ID; i++) text += ALPHABET.charAt((pool[used + i] ?? 0) & 31);
    used += RANDOM_BYTES_PER_ID;
    return text;
  };
  return {
    message: () => `msg_${body()}` as MessageId,
    delivery: () => `dlv_${body()}` as DeliveryId,
    event: () => `evt_${body()}` as EventId,
  };
}

/** The time in an event id (epoch milliseconds), or null when `text` does not have the form of one. */
export function timeOfEventId(text: string): number | null {
  if (!text.startsWith('evt_') || !ID_BODY.test(text.slice(4))) return null;
  return Array.from(text.slice(4, 14)).reduce((time, digit) => time * 32 + ALPHABET.indexOf(digit), 0);
}

/** `text` as a message id, or null when it does not have the form of one. */
export function parseMessageId(text: string): MessageId | null {
  return text.startsWith('msg_') && ID_BODY.test(text.slice(4)) ? (text as MessageId) : null;
}

/** `text` as a delivery id, or null when it does not have the form of one. */
export function parseDeliveryId(text: string): DeliveryId | null {
  return text.startsWith('dlv_') && ID_BODY.test(text.slice(4)) ? (text as DeliveryId) : null;
}
