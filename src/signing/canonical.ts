/**
 * Relaxed canonicalisation of header fields and body (RFC 6376, sections 3.4.2 and 3.4.4), on octets.
 *
 * White space is SP and HTAB alone; a no-break space, form feed or vertical tab is text. Only CRLF ends a line. The body
 * goes through one pass over its octets into a scratch buffer and from there into the hash: it is never a string, and a
 * large one is taken in pieces so that other work gets its turn.
 */
import { createHash } from 'node:crypto';
import type { HeaderField } from '../mail/header.ts';

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;

/** Octets of body that are canonicalised in one go: less than half a millisecond of work. */
const BODY_PIECE_OCTETS = 131_072;

/**
 * Makes a function that returns the SHA-256 of a body in relaxed form, in base64. `yieldTurn` runs between two pieces of
 * `pieceOctets`.
 */
export function createBodyHasher(
  yieldTurn: () => Promise<void>,
  pieceOctets: number = BODY_PIECE_OCTETS,
): (message: Uint8Array, start: number) => Promise<string> {
  // Filled and emptied within one piece, hence shared by all messages. A piece grows only by the white space that the one
  // before it left pending.
  const scratch = Buffer.allocUnsafeSlow(pieceOctets + 4);
  return async (message, start) => {
    const hash = createHash('sha256');
    const state: BodyState = { space: false, lineEnds: 0, text: false };
    const write = (octets: Uint8Array): void => void hash.update(octets);
    for (let position = start; position < message.length; ) {
      if (position > start) await yieldTurn();
      const end = Math.min(position + pieceOctets, message.length);
      position = canonicalizePiece(message, position, end, state, scratch, write);
    }
    // Every line that holds text ends in CRLF, the last one too; empty lines after it are gone with `lineEnds`.
    if (state.text) hash.update(CRLF);
    return hash.digest('base64');
  };
}

const CRLF: Uint8Array = Buffer.from('\r\n');

interface BodyState {
  /** White space was seen in this line that counts only if text follows. */
  space: boolean;
  /** Line ends that count only if text follows. */
  lineEnds: number;
  /** Any text was written. */
  text: boolean;
}

/** Canonicalises the piece from `from` to `end`; returns where the next one begins, past a CRLF that stands at the joint. */
function canonicalizePiece(
  message: Uint8Array,
  from: number,
  end: number,
  state: BodyState,
  scratch: Uint8Array,
  write: (octets: Uint8Array) => void,
): number {
  let { space, lineEnds } = state;
  let length = 0;
  let i = from;
  while (i < end) {
    let octet = message[i] ?? 0;
    if (octet === SPACE || octet === TAB) {
      space = true;
      i++;
      continue;
    }
    if (octet === CR && i + 1 < message.length && message[i + 1] === LF) {
      space = false;
      lineEnds++;
      i += 2;
      continue;
    }
    for (; lineEnds > 0; lineEnds--) {
      // Only line ends that earlier pieces left pending can be more than there is room for.
      if (length + 4 + (end - i) > scratch.length) length = flush(scratch, length, write);
      scratch[length++] = CR;
      scratch[length++] = LF;
    }
    if (space) scratch[length++] = SPACE;
    space = false;
    state.text = true;
    // The bulk of every body: text with single spaces. Reads stay inside the message: one past its end costs threefold.
    for (;;) {
      scratch[length++] = octet;
      if (++i === end) break;
      octet = message[i] ?? 0;
      if (octet > SPACE) continue;
      if (octet !== SPACE || i + 1 === end || (message[i + 1] ?? 0) <= SPACE) break;
    }
  }
  flush(scratch, length, write);
  state.space = space;
  state.lineEnds = lineEnds;
  return i;
}

function flush(scratch: Uint8Array, length: number, write: (octets: Uint8Array) => void): number {
  if (length > 0) write(scratch.subarray(0, length));
  return 0;
}

/**
 * Writes `field` in relaxed form with its CRLF to `target` at `offset`; returns the offset after it. The relaxed form is
 * never longer than the field.
 */
export function writeRelaxedField(message: Uint8Array, field: HeaderField, target: Uint8Array, offset: number): number {
  let length = offset;
  for (let i = 0; i < field.key.length; i++) target[length++] = field.key.charCodeAt(i);
  target[length++] = COLON;
  const valueAt = length;
  let space = false;
  for (let i = field.valueStart; i < field.end; i++) {
    const octet = message[i] ?? 0;
    if (octet === SPACE || octet === TAB) {
      space = true;
      continue;
    }
    if (octet === CR && message[i + 1] === LF) {
      i++;
      continue;
    }
    if (space && length > valueAt) target[length++] = SPACE;
    space = false;
    target[length++] = octet;
  }
  target[length++] = CR;
  target[length++] = LF;
  return length;
}
