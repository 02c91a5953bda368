/**
 * A message as a reader opens it: its header, its text, its HTML with the pictures that it brings along, its attachments. For
 * looking at captured mail; nothing of it goes into a log, a list or an event.
 *
 * Read leniently and bounded: so many parts, so deep, so many octets. What is over a limit is left out, and `whole` says so. The HTML
 * comes out as it stands, but for `cid:` addresses of pictures in the message, which become `data:` addresses, and for elements that
 * reach out by themselves (`link`, `base`, `meta`, frames), which lose their names. It is as hostile as before: whoever shows it needs a policy that forbids all else.
 */
import { decodeCharset, decodeOctets } from './decode-part.ts';
import { decodeWords } from './encoded-words.ts';
import { fieldsNamed, fieldValue } from './header.ts';
import { type MimePart, parseContentType, readPart, splitMultipart } from './multipart.ts';

export interface OpenedField {
  readonly name: string;
  /** Unfolded, encoded-words decoded. */
  readonly value: string;
}

export interface OpenedAttachment {
  /** As the message calls it; empty: it has no name. */
  readonly name: string;
  /** In lower case. */
  readonly type: string;
  readonly octets: Uint8Array;
  /** Shown within the HTML. */
  readonly inline: boolean;
}

export interface OpenedMail {
  readonly fields: readonly OpenedField[];
  /** null: it has no such part. */
  readonly text: string | null;
  readonly html: string | null;
  readonly attachments: readonly OpenedAttachment[];
  readonly whole: boolean;
}

const MAX_DEPTH = 8;
const MAX_LEAVES = 100;
const MAX_TEXT_OCTETS = 2 * 1024 * 1024;
const MAX_ATTACHMENT_OCTETS = 32 * 1024 * 1024;
const MAX_PICTURE_OCTETS = 2 * 1024 * 1024;
const MAX_FIELD_CHARACTERS = 8000;

/** Pictures that a browser draws and that hold no program. */
const PICTURES: ReadonlySet<string> = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);

/** Opens `bytes`, a whole message; never throws. */
export function openMail(bytes: Uint8Array): OpenedMail {
  const message = readPart(bytes);
  const leaves: MimePart[] = [];
  const whole = collect(message, 0, leaves);
  const texts: string[] = [];
  const htmls: string[] = [];
  const attachments: OpenedAttachment[] = [];
  const pictures = new Map<string, string>();
  for (const leaf of leaves) {
    const { type, parameters } = leaf.contentType;
    const disposition = valueOf(leaf, 'content-disposition');
    const isAttached = /^\s*attachment\b/i.test(disposition);
    if (!isAttached && (type === 'text/plain' || type === 'text/html')) {
      const { octets } = decodeOctets(bufferOf(leaf.body), leaf.encoding, MAX_TEXT_OCTETS);
      (type === 'text/html' ? htmls : texts).push(decodeCharset(octets, parameters.get('charset') ?? null).text);
      continue;
    }
    const { octets } = decodeOctets(bufferOf(leaf.body), leaf.encoding, MAX_ATTACHMENT_OCTETS);
    const contentId = valueOf(leaf, 'content-id').replace(/^\s*<|>\s*$/g, '');
    const isPicture = contentId !== '' && PICTURES.has(type) && octets.length <= MAX_PICTURE_OCTETS;
    if (isPicture) pictures.set(contentId, `data:${type};base64,${octets.toString('base64')}`);
    attachments.push({ name: nameOf(disposition, parameters.get('name')), type, octets, inline: isPicture });
  }
  return {
    fields: message.fields.map((field) => ({
      name: Buffer.from(bytes.subarray(field.start, field.valueStart - 1))
        .toString('latin1')
        .trim(),
      value: decodeWords(fieldValue(bytes, field)).slice(0, MAX_FIELD_CHARACTERS),
    })),
    text: texts.length === 0 ? null : texts.join('\n'),
    html: htmls.length === 0 ? null : withPictures(htmls.join('\n'), pictures),
    attachments,
    whole,
  };
}

/** The parts without parts of their own, in the order of the message; false: there are more than are looked at. */
function collect(part: MimePart, depth: number, leaves: MimePart[]): boolean {
  if (leaves.length >= MAX_LEAVES) return false;
  const isMultipart = part.contentType.type.startsWith('multipart/');
  const parts = isMultipart ? splitMultipart(part) : [];
  if (parts.length === 0) {
    leaves.push(part);
    return true;
  }
  if (depth === MAX_DEPTH) return false;
  return parts.map((bytes) => collect(readPart(bytes), depth + 1, leaves)).every(Boolean);
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function valueOf(part: MimePart, key: string): string {
  const [field] = fieldsNamed(part.fields, key);
  return field === undefined ? '' : fieldValue(part.bytes, field);
}

function nameOf(disposition: string, name: string | undefined): string {
  // The grammar of parameters is the same in both fields.
  const { parameters } = parseContentType(disposition.replace(/^[^;]*/, 'x/x'));
  const extended = parameters.get('filename*');
  if (extended !== undefined) return percentDecoded(extended.replace(/^[^']*'[^']*'/, ''));
  return decodeWords(parameters.get('filename') ?? name ?? '');
}

function percentDecoded(text: string): string {
  const octets = text.replace(/%([0-9a-f]{2})/gi, (_escape, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return decodeCharset(Buffer.from(octets, 'latin1'), null).text;
}

/**
 * Names of elements that ask for something before any policy is looked at (a browser opens a connection for a frame that it will not
 * load). They get another name, which no browser knows: taking them out could put two halves together to one.
 */
const REACHING_OUT = /<(\/?)(?=(?:link|base|meta|i?frame|frameset|fencedframe|portal|object|embed|applet)[\s/>])/gi;
const CID = /\bcid:([^\s"'<>)]{1,300})/gi;

function withPictures(html: string, pictures: ReadonlyMap<string, string>): string {
  return html.replace(REACHING_OUT, '<$1x-').replace(CID, (address, id: string) => {
    return pictures.get(id) ?? pictures.get(decoded(id)) ?? address;
  });
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    // Not percent-encoded, then.
    return id;
  }
}
