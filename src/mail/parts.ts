/**
 * The text and HTML parts of a message as people see them (RFC 2045 to 2049), read and never changed. For the link audit.
 *
 * It runs while a client waits, on the thread that serves everybody, for mail of up to 25 MB. So it is one pass over the
 * lines with two dashes, with a stack of the boundaries that are open, and attachments are stepped over, not
 * decoded. Whatever goes over a limit, or could be read in two ways, is told in `unread`: this never throws and never says
 * of a message that it was read whole when it was not.
 *
 * What counts as shown: `text/html`, XHTML and AMP parts as HTML; every other `text/*` as plain text. What has
 * `Content-Disposition: attachment`, and every other type, is an attachment, known by its type alone. A message in the message
 * (`message/rfc822`) is not descended into; some readers show it in place, so it counts as unread.
 *
 * Known limits: uuencoded and yEnc text, TNEF, and signed or encrypted bodies (S/MIME, PGP) are attachments. Text in front of
 * the first boundary and after the last is not shown by readers, and not read.
 */
import { type DecodedOctets, decodeCharset, decodeOctets } from './decode-part.ts';
import { type PartHeader, readPartHeader } from './part-header.ts';

/** Why a message was not read whole. */
export type Unread =
  /** More text than `MAX_TEXT_OCTETS`. */
  | 'size'
  | 'parts'
  | 'depth'
  /** More lines with two dashes, as boundaries have them, than `MAX_DASHED_LINES`. */
  | 'lines'
  /** A part's header that is too long or can be read in two ways. */
  | 'header'
  /** A multipart without boundary, or whose boundary never comes. */
  | 'boundary'
  /** A transfer encoding that is not known, or not allowed where it stands. */
  | 'encoding'
  | 'charset'
  /** A message in the message. */
  | 'message'
  /** More links or attributes, or HTML nested deeper in comments, than are looked at (found by `links.ts`). */
  | 'links';

export interface TextPart {
  readonly kind: 'text' | 'html';
  /** In lower case: `text/plain`. */
  readonly type: string;
  readonly text: string;
  /** Octets with the transfer encoding undone; those that were read when the part is longer. */
  readonly octets: number;
}

export interface MailParts {
  /** In the order of the message. */
  readonly texts: readonly TextPart[];
  /** Types of the other parts, in lower case, in the order of the message. */
  readonly attachments: readonly string[];
  /** Names of the message's header fields, in lower case. */
  readonly fieldNames: ReadonlySet<string>;
  /** Empty: the message was read whole. */
  readonly unread: ReadonlySet<Unread>;
}

/** Multiparts in one another. */
export const MAX_DEPTH = 8;
/** Parts of a message, multiparts included. */
export const MAX_PARTS = 100;
/** Decoded octets of text in a message. */
export const MAX_TEXT_OCTETS: number = 512 * 1024;
/** Lines with two dashes in a multipart message. */
export const MAX_DASHED_LINES = 50_000;
const MAX_MESSAGE_HEADER_OCTETS = 262_144;
const MAX_PART_HEADER_OCTETS = 16_384;
const MAX_BOUNDARY_OCTETS = 200;

const HTML_TYPES: ReadonlySet<string> = new Set(['text/html', 'application/xhtml+xml', 'text/x-amp-html']);
const MESSAGE_TYPES: ReadonlySet<string> = new Set(['message/rfc822', 'message/global', 'message/partial']);
const PLAIN_ENCODINGS: ReadonlySet<string> = new Set(['7bit', '8bit', 'binary']);

const LF = 10;
const CR = 13;
const SPACE = 32;
const TAB = 9;
const DASHES: Buffer = Buffer.from('--');

/** An open multipart. */
interface Level {
  readonly delimiter: Buffer;
  /** A part of it was seen. */
  opened: boolean;
}

interface Leaf {
  readonly header: PartHeader;
  readonly start: number;
}

interface BoundaryLine {
  readonly start: number;
  readonly end: number;
  /** Index of its multipart in the stack. */
  readonly level: number;
  readonly last: boolean;
}

/** Reads `bytes`, a whole message with CRLF or LF line ends. */
export function readParts(bytes: Uint8Array): MailParts {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: TextPart[] = [];
  const attachments: string[] = [];
  const unread = new Set<Unread>();
  const levels: Level[] = [];
  let octetsLeft = MAX_TEXT_OCTETS;
  let dashedLines = 0;
  let partCount = 0;
  let leaf: Leaf | null = null;

  const isBoundary = (lineStart: number): boolean => boundaryAt(view, lineStart, levels) !== null;

  const open = (start: number, maxHeaderOctets: number): PartHeader => {
    partCount++;
    const header = readPartHeader(view, start, maxHeaderOctets, isBoundary);
    if (header.faulty) unread.add('header');
    leaf = { header, start: header.bodyStart };
    if (!header.type.startsWith('multipart/')) return header;
    if (!PLAIN_ENCODINGS.has(header.encoding)) unread.add('encoding');
    const delimiter = Buffer.from(`--${header.boundary ?? ''}`);
    // Without a boundary the parts cannot be told apart: it stays a leaf, and is read as plain text.
    if (delimiter.length === 2 || delimiter.length > MAX_BOUNDARY_OCTETS) unread.add('boundary');
    else if (levels.length === MAX_DEPTH) {
      unread.add('depth');
      leaf = null;
    } else {
      if (levels.some((level) => level.delimiter.equals(delimiter))) unread.add('boundary');
      levels.push({ delimiter, opened: false });
      leaf = null;
    }
    return header;
  };

  const close = (end: number): void => {
    if (leaf === null) return;
    const { header, start } = leaf;
    leaf = null;
    const { type } = header;
    const shown = type.startsWith('text/') || type.startsWith('multipart/') || HTML_TYPES.has(type);
    if (!shown || header.attached) {
      attachments.push(type);
      if (MESSAGE_TYPES.has(type)) unread.add('message');
      return;
    }
    const decoded = decodeOctets(view.subarray(start, Math.max(start, end)), header.encoding, octetsLeft);
    octetsLeft -= decoded.octets.length;
    texts.push(textOf(header, decoded, unread));
  };

  const leave = (depth: number): void => {
    for (const level of levels.splice(depth)) if (!level.opened) unread.add('boundary');
  };

  const nextBoundary = (from: number): BoundaryLine | null => {
    if (levels.length === 0) return null;
    for (let at = from; ; ) {
      const found = view.indexOf(DASHES, at);
      if (found === -1) return null;
      if (++dashedLines > MAX_DASHED_LINES) {
        unread.add('lines');
        return null;
      }
      const atLineStart = found === from || view[found - 1] === LF;
      const line = atLineStart ? boundaryAt(view, found, levels) : null;
      if (line !== null) return line;
      const lf = view.indexOf(LF, found);
      if (lf === -1) return null;
      at = lf + 1;
    }
  };

  const message = open(0, MAX_MESSAGE_HEADER_OCTETS);
  let position = message.bodyStart;
  for (;;) {
    const line = nextBoundary(position);
    if (line === null) break;
    close(withoutLineEnd(view, line.start));
    const level = levels[line.level];
    if (level !== undefined && !line.last) level.opened = true;
    leave(line.last ? line.level : line.level + 1);
    position = line.end;
    if (line.last) continue;
    if (partCount >= MAX_PARTS) {
      unread.add('parts');
      levels.length = 0;
      break;
    }
    position = open(line.end, MAX_PART_HEADER_OCTETS).bodyStart;
  }
  close(view.length);
  leave(0);
  return { texts, attachments, fieldNames: new Set(message.names), unread };
}

function textOf(header: PartHeader, decoded: DecodedOctets, unread: Set<Unread>): TextPart {
  if (!decoded.whole) unread.add('size');
  if (decoded.fault !== null) unread.add(decoded.fault);
  const { text, fault } = decodeCharset(decoded.octets, header.charset);
  if (fault !== null) unread.add(fault);
  return {
    kind: HTML_TYPES.has(header.type) ? 'html' : 'text',
    type: header.type,
    text,
    octets: decoded.octets.length,
  };
}

/** The boundary line that starts at `at`, of the innermost multipart that it fits; null when it is none. */
function boundaryAt(view: Buffer, at: number, levels: readonly Level[]): BoundaryLine | null {
  for (let level = levels.length - 1; level >= 0; level--) {
    const delimiter = levels[level]?.delimiter;
    if (delimiter === undefined || at + delimiter.length > view.length) continue;
    if (view.compare(delimiter, 0, delimiter.length, at, at + delimiter.length) !== 0) continue;
    let end = at + delimiter.length;
    const last = view[end] === DASHES[0] && view[end + 1] === DASHES[1];
    if (last) end += 2;
    while (view[end] === SPACE || view[end] === TAB) end++;
    if (view[end] === CR) end++;
    if (end >= view.length) return { start: at, end: view.length, level, last };
    if (view[end] === LF) return { start: at, end: end + 1, level, last };
  }
  return null;
}

/** The line end in front of a boundary belongs to the boundary. */
function withoutLineEnd(view: Buffer, at: number): number {
  if (view[at - 1] !== LF) return at;
  return view[at - 2] === CR ? at - 2 : at - 1;
}
