/**
 * MIME just deep enough for reports: Content-Type, the parts of a multipart body, and the transfer encodings (RFC 2045, 2046).
 *
 * Over bytes, in linear time, and bounded: so many parts, so many levels, so many octets of decoded text. It repairs nothing
 * and keeps nothing: a part is a view into the message. A part whose header cannot be read counts as one without a header
 * field that we know, and is passed over by callers.
 *
 * Known limit: parameters continued by RFC 2231 are not joined; no report uses them.
 */
import { isUtf8 } from 'node:buffer';
import { fieldsNamed, fieldValue, type HeaderField, scanHeader } from './header.ts';

export interface ContentType {
  /** `multipart/report`, in lower case. */
  readonly type: string;
  /** Names in lower case; values as they stand, without quotes. */
  readonly parameters: ReadonlyMap<string, string>;
}

export interface MimePart {
  readonly contentType: ContentType;
  /** In lower case; `7bit` when the part does not say. */
  readonly encoding: string;
  readonly fields: readonly HeaderField[];
  /** The whole part: offsets of `fields` are into it. */
  readonly bytes: Uint8Array;
  readonly body: Uint8Array;
}

/** Parts of one multipart body that are looked at. */
export const MAX_PARTS = 32;
const MAX_BOUNDARY_CHARACTERS = 70;
const MAX_CONTENT_TYPE_CHARACTERS = 2000;

const LF = 10;
const CR = 13;
const DASH = 0x2d;
const SPACE = 32;
const TAB = 9;
const TYPE = /^([a-z0-9!#$&^_.+-]{1,100}\/[a-z0-9!#$&^_.+-]{1,100})$/i;
const PARAMETER_NAME = /^[a-z0-9!#$&^_.+*-]{1,60}$/i;
const PLAIN: ContentType = { type: 'text/plain', parameters: new Map() };

/** Reads `bytes` as one part, or as a whole message. */
export function readPart(bytes: Uint8Array): MimePart {
  const header = scanHeader(bytes);
  if (header.kind === 'malformed') {
    return { contentType: PLAIN, encoding: '7bit', fields: [], bytes, body: bytes.subarray(bytes.length) };
  }
  const { fields, bodyStart } = header;
  const value = (key: string): string | null => {
    const field = fieldsNamed(fields, key)[0];
    return field === undefined ? null : fieldValue(bytes, field);
  };
  const type = value('content-type');
  return {
    contentType: type === null ? PLAIN : parseContentType(type),
    encoding: (value('content-transfer-encoding') ?? '7bit').toLowerCase(),
    fields,
    bytes,
    body: bytes.subarray(bodyStart),
  };
}

/** The type and parameters of a Content-Type value; `text/plain` when it has no type that can be read. */
export function parseContentType(value: string): ContentType {
  const pieces = splitParameters(value.slice(0, MAX_CONTENT_TYPE_CHARACTERS));
  const type = TYPE.exec((pieces[0] ?? '').trim())?.[1];
  if (type === undefined) return PLAIN;
  const parameters = new Map<string, string>();
  for (const piece of pieces.slice(1)) {
    const equals = piece.indexOf('=');
    const name = piece.slice(0, Math.max(equals, 0)).trim().toLowerCase();
    if (equals === -1 || !PARAMETER_NAME.test(name) || parameters.has(name)) continue;
    parameters.set(name, unquote(piece.slice(equals + 1).trim()));
  }
  return { type: type.toLowerCase(), parameters };
}

/** The parts of a multipart body, each as it stands between two boundary lines; at most `MAX_PARTS`. */
export function splitMultipart(part: MimePart): readonly Uint8Array[] {
  const boundary = part.contentType.parameters.get('boundary') ?? '';
  if (boundary === '' || boundary.length > MAX_BOUNDARY_CHARACTERS) return [];
  const body = Buffer.from(part.body.buffer, part.body.byteOffset, part.body.byteLength);
  const delimiter = Buffer.from(`--${boundary}`);
  const parts: Uint8Array[] = [];
  let start = -1;
  for (let at = body.indexOf(delimiter); at !== -1 && parts.length < MAX_PARTS; ) {
    const line = boundaryLine(body, at, delimiter.length);
    if (line === null) {
      at = body.indexOf(delimiter, at + 1);
      continue;
    }
    // The line end in front of a boundary belongs to the boundary.
    if (start !== -1) parts.push(body.subarray(start, Math.max(start, withoutLineEnd(body, at))));
    start = line.end;
    if (line.last) return parts;
    at = body.indexOf(delimiter, Math.max(line.end, at + 1));
  }
  // A message that was cut off: what is there of the last part.
  if (start !== -1 && parts.length < MAX_PARTS) parts.push(body.subarray(start));
  return parts;
}

/** The octets of `part` with its transfer encoding undone, at most `maxBytes` of them. */
export function decodeBody(part: MimePart, maxBytes: number): Buffer {
  const body = Buffer.from(part.body.buffer, part.body.byteOffset, part.body.byteLength);
  switch (part.encoding) {
    case 'base64':
      // Four octets stand for three; line ends come on top.
      return Buffer.from(body.toString('latin1', 0, maxBytes * 2), 'base64').subarray(0, maxBytes);
    case 'quoted-printable': {
      const text = body
        .toString('latin1', 0, maxBytes * 3)
        .replace(/=\r?\n/g, '')
        .replace(/=([0-9A-F]{2})/gi, (_octet, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
      return Buffer.from(text.slice(0, maxBytes), 'latin1');
    }
    default:
      return body.subarray(0, maxBytes);
  }
}

/** The decoded octets of `part` as text: UTF-8 where they are valid UTF-8, else ISO-8859-1. */
export function decodeText(part: MimePart, maxBytes: number): string {
  const bytes = decodeBody(part, maxBytes);
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes.toString('latin1');
}

/** Where the line of a delimiter at `at` ends, and whether it is the last; null when it is no boundary line. */
function boundaryLine(
  body: Buffer,
  at: number,
  length: number,
): { readonly end: number; readonly last: boolean } | null {
  if (at > 0 && body[at - 1] !== LF) return null;
  let position = at + length;
  const last = body[position] === DASH && body[position + 1] === DASH;
  if (last) position += 2;
  while (body[position] === SPACE || body[position] === TAB) position++;
  if (position >= body.length) return { end: body.length, last };
  if (body[position] === CR && body[position + 1] === LF) return { end: position + 2, last };
  return body[position] === LF ? { end: position + 1, last } : null;
}

function withoutLineEnd(body: Buffer, at: number): number {
  if (body[at - 1] !== LF) return at;
  return body[at - 2] === CR ? at - 2 : at - 1;
}

/** Splits at the semicolons outside of quotes; comments are not used in this field by anybody. */
function splitParameters(value: string): readonly string[] {
  const pieces: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at < value.length; at++) {
    const character = value[at];
    if (quoted && character === '\\') at++;
    else if (character === '"') quoted = !quoted;
    else if (character === ';' && !quoted) {
      pieces.push(value.slice(start, at));
      start = at + 1;
    }
  }
  pieces.push(value.slice(start));
  return pieces;
}

function unquote(value: string): string {
  if (!value.startsWith('"')) return value.split(/[\s(]/, 1)[0] ?? '';
  const end = value.endsWith('"') && value.length > 1 ? value.length - 1 : value.length;
  return value.slice(1, end).replace(/\\(.)/g, '$1');
}
