/**
 * Writes a message's content to a socket: transparency (RFC 5321, section 4.5.2), then the final dot.
 *
 * The octets go out as they are, with a dot put before each dot that begins a line. Nothing else is changed: the message is
 * signed. A line is taken to begin after any LF or CR, not only after CRLF, so that no content can show an end of data to a
 * server that is lax about line ends. (Content with bare CR or LF is refused at submission; this is the second lock.)
 */
import type { Writable } from 'node:stream';

/** A piece is written when the one before it has left: enough to fill a round trip, small beside any memory limit. */
const PIECE_BYTES = 128 * 1024;

const CR = 13;
const LF = 10;
const DOT = 46;

/** `piece` with a dot before each dot that begins a line; `piece` itself when there is none. */
export function stuffDots(piece: Uint8Array, atLineStart: boolean): Uint8Array {
  const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
  // The common case, natively: no line begins with a dot.
  const first = atLineStart && bytes[0] === DOT;
  if (!first && !bytes.includes('\n.', 0, 'latin1') && !bytes.includes('\r.', 0, 'latin1')) return piece;
  const parts: Uint8Array[] = [];
  let from = 0;
  for (let at = bytes.indexOf(DOT); at !== -1; at = bytes.indexOf(DOT, at + 1)) {
    const before = at === 0 ? null : bytes[at - 1];
    if (before === null ? !atLineStart : before !== LF && before !== CR) continue;
    parts.push(bytes.subarray(from, at + 1));
    from = at;
  }
  parts.push(bytes.subarray(from));
  return Buffer.concat(parts);
}

/** What ends the data after `content`: the final dot, with a CRLF in front when the content does not end in one. */
export function endOfData(content: Uint8Array): string {
  const endsInCrlf = content.length === 0 || (content.at(-2) === CR && content.at(-1) === LF);
  return endsInCrlf ? '.\r\n' : '\r\n.\r\n';
}

/** How the writer asks and tells its owner. */
export interface ContentWatch {
  /** False stops the writing: the connection is gone, or the attempt is over. Asked before each piece. */
  mayGoOn(): boolean;
  /** Called once, immediately before the write that holds the final dot; false stops the writing before it. */
  beforeDot(): boolean;
}

/** Writes `content` and the final dot, in pieces that wait for each other; small content is one write with its dot. */
export function writeContent(socket: Writable, content: Uint8Array, watch: ContentWatch): void {
  let offset = 0;
  let atLineStart = true;
  const next = (): void => {
    while (watch.mayGoOn()) {
      const raw = content.subarray(offset, offset + PIECE_BYTES);
      const piece = stuffDots(raw, atLineStart);
      offset += raw.length;
      const last = raw.at(-1);
      atLineStart = last === LF || last === CR;
      if (offset >= content.length) {
        if (!watch.beforeDot()) return;
        socket.cork();
        socket.write(piece);
        socket.write(endOfData(content));
        socket.uncork();
        return;
      }
      if (!socket.write(piece)) {
        socket.once('drain', next);
        return;
      }
    }
  };
  next();
}
