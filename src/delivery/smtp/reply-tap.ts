/**
 * Watches the octets that come from a server beside the SMTP library, and counts its replies (RFC 5321, section 4.2).
 *
 * The library matches replies to commands in the order in which they come and does not ask whether a command had been
 * sent. A server that says `250` too often would so have its spare reply taken for the answer to the final dot, and a
 * message would count as delivered that was never sent. The count tells: when DATA was answered, exactly three replies
 * came. The tap also bounds what a server may say in all, blank lines included, which the library queues without a limit.
 *
 * A reply ends with a line that is not of the form `250-text`. Blank lines between replies do not count.
 */
import type { Socket } from 'node:net';

const LF = 10;
const HYPHEN = 45;
const ZERO = 48;
const NINE = 57;
const SPACE = 32;

export interface ReplyTap {
  /** Complete replies since the last `mark`. */
  replies(): number;
  /** The code of the last complete reply; 0 when it did not begin with a number. */
  lastCode(): number;
  /** True when octets of a further reply have come that are not a complete reply yet. */
  midReply(): boolean;
  /** Starts counting anew. */
  mark(): void;
  /** Replaces the listener; null: none. */
  listen(listener: ReplyTapListener | null): void;
  attach(socket: Socket): void;
  detach(): void;
}

export interface ReplyTapListener {
  /** A chunk was read that completed `completed` replies (may be 0). */
  onChunk(completed: number): void;
  /** More than `maxBytes` octets came since the last `mark`. */
  onFlood(): void;
}

/** Makes a tap that allows `maxBytes` octets between two marks. */
export function createReplyTap(maxBytes: number): ReplyTap {
  let attachedTo: Socket | null = null;
  let listener: ReplyTapListener | null = null;
  let replies = 0;
  let bytes = 0;
  let lastCode = 0;
  let inMultiline = false;
  // Of the line being read: whether it holds more than white space, the number at its start, whether that number still
  // goes on, and whether a hyphen followed it.
  let text = false;
  let code = 0;
  let inCode = true;
  let hyphen = false;

  const endOfLine = (): void => {
    const continues = text && hyphen;
    if (text || inMultiline) {
      if (!continues) {
        replies++;
        lastCode = code;
      }
      inMultiline = continues;
    }
    text = false;
    code = 0;
    inCode = true;
    hyphen = false;
  };

  const onData = (chunk: Uint8Array): void => {
    const before = replies;
    bytes += chunk.length;
    for (const byte of chunk) {
      if (byte === LF) {
        endOfLine();
        continue;
      }
      if (byte > SPACE) text = true;
      if (!inCode) continue;
      if (byte >= ZERO && byte <= NINE) {
        code = Math.min(code * 10 + byte - ZERO, 100_000);
      } else {
        inCode = false;
        hyphen = byte === HYPHEN && code > 0;
      }
    }
    if (bytes > maxBytes) listener?.onFlood();
    else listener?.onChunk(replies - before);
  };

  return {
    replies: () => replies,
    lastCode: () => lastCode,
    midReply: () => text || inMultiline,
    mark() {
      replies = 0;
      bytes = 0;
      lastCode = 0;
    },
    listen(next) {
      listener = next;
    },
    attach(socket) {
      attachedTo?.removeListener('data', onData);
      attachedTo = socket;
      // Unlike `on`, this neither starts the flow nor puts us behind the library: each chunk is counted first, then used.
      socket.prependListener('data', onData);
    },
    detach() {
      attachedTo?.removeListener('data', onData);
      attachedTo = null;
    },
  };
}
