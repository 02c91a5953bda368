/**
 * The header section of a message as offsets into its bytes (RFC 5322, section 2.2), in one linear pass.
 *
 * Nothing is decoded, repaired or copied while scanning: bytes are relayed as they came and a signature is over bytes. A
 * line that some mail program might take for the end of the header, or for a field that we do not see, is malformed: no
 * colon, space in front of the colon, a name with other than printable ASCII, a line end other than CRLF.
 *
 * Decided: a message of header fields alone, without the empty line, is legal; `bodyStart` is then the length.
 * Limits: 1,000 fields and 256 KB of header.
 */
import { isUtf8 } from 'node:buffer';

/** One header field; all offsets are into the message's bytes. */
export interface HeaderField {
  /** The name in lower case. */
  readonly key: string;
  readonly start: number;
  /** The octet after the colon. */
  readonly valueStart: number;
  /** Past the CRLF of its last line, folded lines included. */
  readonly end: number;
}

/** A message and where its parts are. */
export interface MessageLayout {
  readonly bytes: Uint8Array;
  readonly fields: readonly HeaderField[];
  /** The first octet after the empty line; the length of `bytes` when there is no body. */
  readonly bodyStart: number;
}

export type HeaderScan =
  | { readonly kind: 'header'; readonly fields: readonly HeaderField[]; readonly bodyStart: number }
  | { readonly kind: 'malformed'; readonly reason: string };

/** What `assemble` changes. */
export interface HeaderEdit {
  /** Whole header fields in wire form, each ending in CRLF, to put in front; empty for none. */
  readonly prepend: string;
  /** True for the fields to leave out. */
  readonly drop: (field: HeaderField) => boolean;
}

export const MAX_HEADER_FIELDS = 1000;
export const MAX_HEADER_OCTETS = 262_144;

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;
const DELETE = 127;

/** Finds the header fields of `bytes`; `reason` names what is wrong and repeats nothing of the message. */
export function scanHeader(bytes: Uint8Array): HeaderScan {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: HeaderField[] = [];
  const length = view.length;
  let position = 0;
  while (position < length) {
    const first = view[position];
    if (first === CR && view[position + 1] === LF) return { kind: 'header', fields, bodyStart: position + 2 };
    if (first === SPACE || first === TAB) return malformed('the first header line is a continuation');
    if (fields.length === MAX_HEADER_FIELDS) return malformed(`more than ${MAX_HEADER_FIELDS} header fields`);

    const colon = endOfName(view, position);
    if (view[colon] !== COLON) return malformed(nameFault(view, colon));
    if (colon === position) return malformed('header line without a field name');

    const end = endOfField(view, colon + 1);
    if (end === -1) return malformed('header line that does not end in CRLF');
    if (end > MAX_HEADER_OCTETS) return malformed(`header of more than ${MAX_HEADER_OCTETS} octets`);
    const key = view.toString('latin1', position, colon).toLowerCase();
    fields.push({ key, start: position, valueStart: colon + 1, end });
    position = end;
  }
  return { kind: 'header', fields, bodyStart: length };
}

/** The fields named `key` (lower case) in the order of the message. */
export function fieldsNamed(fields: readonly HeaderField[], key: string): readonly HeaderField[] {
  return fields.filter((field) => field.key === key);
}

/** The value of `field` unfolded and trimmed: as UTF-8 where its octets are valid UTF-8, else as ISO-8859-1. */
export function fieldValue(bytes: Uint8Array, field: HeaderField): string {
  const raw = Buffer.from(bytes.buffer, bytes.byteOffset + field.valueStart, field.end - field.valueStart);
  const text = isUtf8(raw) ? raw.toString('utf8') : raw.toString('latin1');
  return trimWhitespace(text.replaceAll('\r\n', ''));
}

/** `message` with the edit made: one new allocation, the body and the kept fields byte for byte as they were. */
export function assemble(message: MessageLayout, edit: HeaderEdit): MessageLayout {
  const added = scanHeader(Buffer.from(edit.prepend));
  const addedLength = Buffer.byteLength(edit.prepend);
  if (
    added.kind !== 'header' ||
    added.bodyStart !== addedLength ||
    added.fields.at(-1)?.end !== (addedLength || undefined)
  ) {
    throw new Error('header text to prepend is not whole header fields');
  }
  const kept = message.fields.filter((field) => !edit.drop(field));
  const headerEnd = message.fields.at(-1)?.end ?? 0;
  const restLength = message.bytes.length - headerEnd;
  const keptLength = kept.reduce((sum, field) => sum + field.end - field.start, 0);

  const bytes = Buffer.allocUnsafeSlow(addedLength + keptLength + restLength);
  bytes.write(edit.prepend);
  let position = addedLength;
  const fields = [...added.fields];
  for (const field of kept) {
    bytes.set(message.bytes.subarray(field.start, field.end), position);
    const shift = position - field.start;
    fields.push({ key: field.key, start: position, valueStart: field.valueStart + shift, end: field.end + shift });
    position += field.end - field.start;
  }
  bytes.set(message.bytes.subarray(headerEnd), position);
  return { bytes, fields, bodyStart: position + message.bodyStart - headerEnd };
}

/** SP and HTAB alone: a no-break space is part of a value. */
function trimWhitespace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isWhitespace(text.charCodeAt(start))) start++;
  while (end > start && isWhitespace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isWhitespace(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** The first octet that cannot be part of a field name. */
function endOfName(view: Buffer, start: number): number {
  let position = start;
  for (;;) {
    const octet = view[position] ?? 0;
    if (octet <= SPACE || octet >= DELETE || octet === COLON) return position;
    position++;
  }
}

function nameFault(view: Buffer, position: number): string {
  let colon = position;
  while (view[colon] === SPACE || view[colon] === TAB) colon++;
  if (view[colon] === COLON) return 'space in front of the colon of a header field';
  return 'header line that is not a field (name, colon, value)';
}

/** Past the last line of the field whose value starts at `start`, or -1 when a line does not end in CRLF. */
function endOfField(view: Buffer, start: number): number {
  let position = start;
  for (;;) {
    const lf = view.indexOf(LF, position);
    if (lf === -1 || view[lf - 1] !== CR) return -1;
    position = lf + 1;
    const next = view[position];
    if (next !== SPACE && next !== TAB) return position;
  }
}

function malformed(reason: string): HeaderScan {
  return { kind: 'malformed', reason };
}
