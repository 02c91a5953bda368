/**
 * The bytes of freshly accepted messages, so that the first attempt need not read them back from the store.
 *
 * Bounded in octets; when it is full, new content is simply not kept and comes from the store. Losing it loses nothing.
 */
import type { MessageId } from '../core/ids.ts';

export interface ContentCache {
  /** Keeps `content` for `uses` deliveries, when there is room. */
  put(id: MessageId, content: Uint8Array, uses: number): void;
  /** The bytes, or null; each call counts as one use, and the last one forgets them. */
  take(id: MessageId): Uint8Array | null;
}

/** A cache of at most `maxBytes` octets. */
export function createContentCache(maxBytes: number): ContentCache {
  const entries = new Map<MessageId, { readonly content: Uint8Array; uses: number }>();
  let held = 0;
  return {
    put(id, content, uses) {
      if (held + content.length > maxBytes) return;
      entries.set(id, { content, uses });
      held += content.length;
    },
    take(id) {
      const entry = entries.get(id);
      if (entry === undefined) return null;
      entry.uses--;
      if (entry.uses <= 0) {
        entries.delete(id);
        held -= entry.content.length;
      }
      return entry.content;
    },
  };
}
