/**
 * The structure of a MIME message (RFC 2046, section 5.1): its parts and the lines between them, in the order of the message.
 *
 * One pass over the lines with two dashes, with a stack of the boundaries that are open. Nothing is decoded. Whatever goes over a
 * limit, or could be read in two ways, is told (`unread`); it never throws, and reads on as well as it can.
 *
 * Known limits: text in front of the first boundary and after the last is not shown by readers, and belongs to no part.
 */
import { type PartHeader, readPartHeader } from './part-header.ts';

/** Why a message was not walked whole. */
export type Unwalked =
  | 'parts'
  | 'depth'
  /** More lines with two dashes, as boundaries have them, than `MAX_DASHED_LINES`. */
  | 'lines'
  /** A part's header that is too long or can be read in two ways. */
  | 'header'
  /** A multipart without boundary, or whose boundary never comes. */
  | 'boundary'
  /** A multipart under a transfer encoding. */
  | 'encoding';

export interface PartVisitor {
  unread(reason: Unwalked): void;
  /** A part that is no multipart, or one that cannot be taken apart; its body is from `start` to `end`. */
  leaf?(header: PartHeader, start: number, end: number): void;
  /** A multipart that is taken apart, the `number`th of the message from 0; its header begins at `start`. */
  multipart?(header: PartHeader, start: number, number: number): void;
  /** A boundary line of the `number`th multipart; its delimiter (`--` and the boundary) is from `start` to `end`. */
  boundaryLine?(start: number, end: number, number: number): void;
}

/** Multiparts in one another. */
export const MAX_DEPTH = 8;
/** Parts of a message, multiparts included. */
export const MAX_PARTS = 100;
/** Lines with two dashes in a multipart message. */
export const MAX_DASHED_LINES = 50_000;
const MAX_MESSAGE_HEADER_OCTETS = 262_144;
const MAX_PART_HEADER_OCTETS = 16_384;
const MAX_BOUNDARY_OCTETS = 200;

const PLAIN_ENCODINGS: ReadonlySet<string> = new Set(['7bit', '8bit', 'binary']);

const LF = 10;
const CR = 13;
const SPACE = 32;
const TAB = 9;
const DASHES: Buffer = Buffer.from('--');

/** An open multipart. */
interface Level {
  readonly delimiter: Buffer;
  readonly number: number;
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

/** Walks through `view`, a whole message with CRLF or LF line ends, and tells `visitor`; returns the message's own header. */
export function walkParts(view: Buffer, visitor: PartVisitor): PartHeader {
  const levels: Level[] = [];
  let dashedLines = 0;
  let partCount = 0;
  let multiparts = 0;
  let leaf: Leaf | null = null;
  const unread = visitor.unread;

  const isBoundary = (lineStart: number): boolean => boundaryAt(view, lineStart, levels) !== null;

  const open = (start: number, maxHeaderOctets: number): PartHeader => {
    partCount++;
    const header = readPartHeader(view, start, maxHeaderOctets, isBoundary);
    if (header.faulty) unread('header');
    leaf = { header, start: header.bodyStart };
    if (!header.type.startsWith('multipart/')) return header;
    if (!PLAIN_ENCODINGS.has(header.encoding)) unread('encoding');
    const delimiter = Buffer.from(`--${header.boundary ?? ''}`);
    // Without a boundary the parts cannot be told apart: it stays a leaf, and is read as plain text.
    if (delimiter.length === 2 || delimiter.length > MAX_BOUNDARY_OCTETS) unread('boundary');
    else if (levels.length === MAX_DEPTH) {
      unread('depth');
      leaf = null;
    } else {
      if (levels.some((level) => level.delimiter.equals(delimiter))) unread('boundary');
      visitor.multipart?.(header, start, multiparts);
      levels.push({ delimiter, number: multiparts++, opened: false });
      leaf = null;
    }
    return header;
  };

  const close = (end: number): void => {
    if (leaf === null) return;
    const { header, start } = leaf;
    leaf = null;
    visitor.leaf?.(header, start, Math.max(start, end));
  };

  const leave = (depth: number): void => {
    for (const level of levels.splice(depth)) if (!level.opened) unread('boundary');
  };

  const nextBoundary = (from: number): BoundaryLine | null => {
    if (levels.length === 0) return null;
    for (let at = from; ; ) {
      const found = view.indexOf(DASHES, at);
      if (found === -1) return null;
      if (++dashedLines > MAX_DASHED_LINES) {
        unread('lines');
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
    if (level !== undefined) {
      if (!line.last) level.opened = true;
      visitor.boundaryLine?.(line.start, line.start + level.delimiter.length, level.number);
    }
    leave(line.last ? line.level : line.level + 1);
    position = line.end;
    if (line.last) continue;
    if (partCount >= MAX_PARTS) {
      unread('parts');
      levels.length = 0;
      break;
    }
    position = open(line.end, MAX_PART_HEADER_OCTETS).bodyStart;
  }
  close(view.length);
  leave(0);
  return message;
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
