/**
 * The header of a MIME part (RFC 2045, RFC 2183): what it is, how it is encoded, whether it is shown. Read leniently, because
 * mail readers do: a line end may be a bare LF, a line that is no field is passed over.
 *
 * Whatever two readers may see differently is a fault: two Content-Type fields, a type that cannot be read, a header that
 * does not end. A caller that must know what people see then knows that it does not.
 *
 * One pass over at most `maxOctets`. A boundary line ends a header that has no empty line.
 */
import { isUtf8 } from 'node:buffer';
import type { Flow } from './flowed.ts';
import { parseContentType } from './multipart.ts';

export interface PartHeader {
  /** `text/html`, in lower case. */
  readonly type: string;
  /** null: it does not say, or not in a way that can be used. */
  readonly boundary: string | null;
  readonly charset: string | null;
  /** Of plain text: `format` and `delsp` (RFC 3676). */
  readonly flow: Flow;
  /** In lower case; `7bit` when it does not say. */
  readonly encoding: string;
  /** `Content-Disposition: attachment`. */
  readonly attached: boolean;
  readonly faulty: boolean;
  /** Field names, in lower case, in the order of the message. */
  readonly names: readonly string[];
  /** The first octet of the body. */
  readonly bodyStart: number;
}

const LF = 10;
const CR = 13;
const SPACE = 32;
const TAB = 9;
const DASH = 0x2d;
const COLON = 58;

/** Characters of a value that are read. */
const MAX_VALUE_CHARACTERS = 2000;
const MAX_NAMES = 1000;
/** Pieces of one parameter (RFC 2231, section 3) that are joined. */
const MAX_CONTINUATIONS = 20;
const READ_FIELDS: ReadonlySet<string> = new Set(['content-type', 'content-transfer-encoding', 'content-disposition']);
const WHOLE_TYPE = /^[\s]*[a-z0-9!#$&^_.+-]{1,100}\/[a-z0-9!#$&^_.+-]{1,100}[\s]*(?:;|$)/i;

/** Reads the header that starts at `start`; `isBoundary` says whether the line at an offset is a boundary line. */
export function readPartHeader(
  view: Buffer,
  start: number,
  maxOctets: number,
  isBoundary: (lineStart: number) => boolean,
): PartHeader {
  const values = new Map<string, string>();
  const names: string[] = [];
  let faulty = false;
  let at = start;
  let field: { readonly key: string; readonly from: number } | null = null;
  const finish = (end: number): void => {
    if (field === null || !READ_FIELDS.has(field.key)) return;
    if (values.has(field.key) || end - field.from > MAX_VALUE_CHARACTERS) faulty = true;
    if (!values.has(field.key)) values.set(field.key, unfold(view, field.from, end));
  };
  for (;;) {
    const first = view[at];
    if (at >= view.length || (first === DASH && isBoundary(at))) break;
    if (first === LF || (first === CR && view[at + 1] === LF)) {
      finish(at);
      return { ...understand(values, faulty), names, bodyStart: at + (first === LF ? 1 : 2) };
    }
    if (at - start > maxOctets) {
      faulty = true;
      break;
    }
    const lf = view.indexOf(LF, at);
    const end = lf === -1 ? view.length : lf + 1;
    if (first !== SPACE && first !== TAB) {
      finish(at);
      field = startOfField(view, at, end);
      if (field === null) faulty = true;
      else if (names.length < MAX_NAMES) names.push(field.key);
    }
    at = end;
  }
  finish(at);
  return { ...understand(values, faulty), names, bodyStart: at };
}

function startOfField(
  view: Buffer,
  start: number,
  end: number,
): { readonly key: string; readonly from: number } | null {
  const line = view.subarray(start, Math.min(end, start + 200));
  const colon = line.indexOf(COLON);
  if (colon < 1) return null;
  const key = line.toString('latin1', 0, colon).trim().toLowerCase();
  return /^[!-9;-~]+$/.test(key) ? { key, from: start + colon + 1 } : null;
}

function unfold(view: Buffer, from: number, end: number): string {
  const raw = view.subarray(from, Math.min(end, from + MAX_VALUE_CHARACTERS));
  const text = isUtf8(raw) ? raw.toString('utf8') : raw.toString('latin1');
  return text.replace(/[\r\n]+/g, '').trim();
}

function understand(
  values: ReadonlyMap<string, string>,
  faultyBefore: boolean,
): Omit<PartHeader, 'names' | 'bodyStart'> {
  const typeValue = withoutComments(values.get('content-type') ?? 'text/plain');
  const { type, parameters } = parseContentType(typeValue);
  const disposition = withoutComments(values.get('content-disposition') ?? '').toLowerCase();
  return {
    type,
    boundary: parameter(parameters, 'boundary'),
    charset: parameter(parameters, 'charset'),
    flow: type === 'text/plain' ? flowOf(parameters) : 'fixed',
    encoding:
      withoutComments(values.get('content-transfer-encoding') ?? '7bit')
        .trim()
        .toLowerCase() || '7bit',
    attached: /^\s*attachment\b/.test(disposition),
    // A type that is only a word, as some programs write it, is read as text/plain by some and not shown by others.
    faulty: faultyBefore || !WHOLE_TYPE.test(typeValue),
  };
}

function flowOf(parameters: ReadonlyMap<string, string>): Flow {
  if (parameter(parameters, 'format')?.trim().toLowerCase() !== 'flowed') return 'fixed';
  return parameter(parameters, 'delsp')?.trim().toLowerCase() === 'yes' ? 'delete' : 'keep';
}

/** A parameter, its continuations joined and its percent-encoding undone (RFC 2231). */
function parameter(parameters: ReadonlyMap<string, string>, name: string): string | null {
  const plain = parameters.get(name);
  if (plain !== undefined) return plain;
  const extended = parameters.get(`${name}*`);
  if (extended !== undefined) return percentDecoded(extended.replace(/^[^']*'[^']*'/, ''));
  let joined: string | null = null;
  for (let piece = 0; piece < MAX_CONTINUATIONS; piece++) {
    const raw = parameters.get(`${name}*${piece}`);
    const encoded = parameters.get(`${name}*${piece}*`);
    if (raw === undefined && encoded === undefined) break;
    const text = raw ?? percentDecoded(piece === 0 ? (encoded ?? '').replace(/^[^']*'[^']*'/, '') : (encoded ?? ''));
    joined = (joined ?? '') + text;
  }
  return joined;
}

function percentDecoded(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_octet, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** `value` without its comments (RFC 5322, section 3.2.2); parentheses in quotes stay. */
function withoutComments(value: string): string {
  if (!value.includes('(')) return value;
  let kept = '';
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < value.length; at++) {
    const character = value.charAt(at);
    if (character === '\\') {
      if (depth === 0) kept += character + value.charAt(at + 1);
      at++;
    } else if (quoted || (character === '"' && depth === 0)) {
      if (character === '"') quoted = !quoted;
      kept += character;
    } else if (character === '(') depth++;
    else if (character === ')' && depth > 0) depth--;
    else if (depth === 0) kept += character;
  }
  return kept;
}
