/**
 * The text and HTML parts of a message as people see them (RFC 2045 to 2049), read and never changed. For the link audit.
 *
 * It runs while a client waits, on the thread that serves everybody, for mail of up to 25 MB: one walk over the parts
 * (`walk-parts.ts`), and attachments are stepped over, not decoded. Whatever goes over a limit, or could be read in two
 * ways, is told in `unread`: this never throws and never says of a message that it was read whole when it was not.
 *
 * What counts as shown: `text/html`, XHTML and AMP parts as HTML; every other `text/*` as plain text. What has
 * `Content-Disposition: attachment`, and every other type, is an attachment, known by its type alone. A message in the message
 * (`message/rfc822`) is not descended into; some readers show it in place, so it counts as unread.
 *
 * Known limits: uuencoded and yEnc text, TNEF, and signed or encrypted bodies (S/MIME, PGP) are attachments. Text in front of
 * the first boundary and after the last is not shown by readers, and not read.
 */
import { type DecodedOctets, decodeCharset, decodeOctets } from './decode-part.ts';
import { unflow } from './flowed.ts';
import type { PartHeader } from './part-header.ts';
import { type Unwalked, walkParts } from './walk-parts.ts';

/** Why a message was not read whole. */
export type Unread =
  | Unwalked
  /** More text than `MAX_TEXT_OCTETS`. */
  | 'size'
  /** A transfer encoding that is not known, or not allowed where it stands. */
  | 'encoding'
  | 'charset'
  /** A message in the message. */
  | 'message'
  /** More links or markup than is looked at, or markup that readers see in different ways (found by `links.ts`). */
  | 'links';

export interface TextPart {
  readonly kind: 'text' | 'html';
  /** In lower case: `text/plain`. */
  readonly type: string;
  readonly text: string;
  /** `format=flowed`: as readers show it that know the format; others show `text`. */
  readonly unflowed?: string;
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

/** Decoded octets of text in a message; more than twice what Gmail shows of one. */
export const MAX_TEXT_OCTETS: number = 256 * 1024;

const HTML_TYPES: ReadonlySet<string> = new Set(['text/html', 'application/xhtml+xml', 'text/x-amp-html']);
/** Of a message in the message these are for machines; of the others one may be shown in place, or fetched (`message/external-body`). */
const MACHINE_TYPES: ReadonlySet<string> = new Set(
  'delivery-status disposition-notification feedback-report global-delivery-status global-disposition-notification'
    .split(' ')
    .map((name) => `message/${name}`),
);

/** Reads `bytes`, a whole message with CRLF or LF line ends. */
export function readParts(bytes: Uint8Array): MailParts {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: TextPart[] = [];
  const attachments: string[] = [];
  const unread = new Set<Unread>();
  let octetsLeft = MAX_TEXT_OCTETS;
  const message = walkParts(view, {
    unread: (reason) => unread.add(reason),
    leaf: (header, start, end) => {
      const { type } = header;
      const shown = type.startsWith('text/') || type.startsWith('multipart/') || HTML_TYPES.has(type);
      if (!shown || header.attached) {
        attachments.push(type);
        if (type.startsWith('message/') && !MACHINE_TYPES.has(type)) unread.add('message');
        return;
      }
      const decoded = decodeOctets(view.subarray(start, end), header.encoding, octetsLeft);
      octetsLeft -= decoded.octets.length;
      texts.push(textOf(header, decoded, unread));
    },
  });
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
    ...(header.flow === 'fixed' ? {} : { unflowed: unflow(text, header.flow) }),
    octets: decoded.octets.length,
  };
}
