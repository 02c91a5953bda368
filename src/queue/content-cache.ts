/**
 * The bytes of freshly accepted messages, so that the first attempts need not read them back from the store.
 *
 * Bounded in octets: the oldest make room for the newest, and come from the store then. Losing content here loses nothing;
 * it is forgotten when the last delivery of its message is final.
 */
import type { MessageId } from '../core/ids.ts';

export interface ContentCache {
  /** Keeps `content` for a message with so many `deliveries`. */
  put(id: MessageId, content: Uint8Array, deliveries: number): void;
  get(id: MessageId): Uint8Array | null;
  /** One delivery of the message is final. */
  settled(id: MessageId): void;
  /** The message was not accepted after all. */
  forget(id: MessageId): void;
}

/** A cache of at most `maxBytes` octets. */
export function createContentCache(maxBytes: number): ContentCache {
  const entries = new Map<MessageId, { readonly content: Uint8Array; open: number }>();
  let held = 0;
  const forget = (id: MessageId): void => {
    const entry = entries.get(id);
    if (entry === undefined) return;
    entries.delete(id);
    held -= entry.content.length;
  };
  return {
    put(id, content, deliveries) {
      if (content.length > maxBytes) return;
      entries.set(id, { content, open: deliveries });
      held += content.length;
      for (const oldest of entries.keys()) {
        if (held <= maxBytes) break;
        forget(oldest);
      }
    },
    get: (id) => entries.get(id)?.content ?? null,
    settled(id) {
      const entry = entries.get(id);
      if (entry !== undefined && --entry.open <= 0) forget(id);
    },
    forget,
  };
}
