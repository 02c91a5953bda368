/**
 * A digest of what an app said, for idempotency keys: equal when the app sends the same thing again, whatever its mail library
 * makes anew for each try.
 *
 * In it: envelope sender and recipients (their order does not count), the header fields in their order with white space evened
 * out, the body. Left out: Message-ID, Date, Received, DKIM-Signature and other fields that a try makes by itself, and
 * `X-Leadpush-Idempotency-Key`, which is what the digest is kept under. Boundaries of multiparts, which libraries draw at random,
 * count as their number, where they stand as boundaries: in the header of their multipart and in the lines between its parts.
 * The same words in a text count as they are.
 *
 * SHA-256; never shown. Known limits: Content-IDs count as they are, so a library that draws them at random makes another message
 * each time; so do boundaries in what is not walked through (`mail/walk-parts.ts`) or written as RFC 2231 allows.
 */
import { createHash } from 'node:crypto';
import type { Envelope } from '../core/message.ts';
import { fieldValue, type MessageLayout } from '../mail/header.ts';
import { walkParts } from '../mail/walk-parts.ts';

const MADE_ANEW: ReadonlySet<string> = new Set([
  'message-id',
  'date',
  'received',
  'resent-date',
  'resent-message-id',
  'dkim-signature',
  'arc-seal',
  'arc-message-signature',
  'arc-authentication-results',
  'authentication-results',
  'x-leadpush-idempotency-key',
]);

/** Up to the boundary: in a header what names it, in a line the dashes. */
const NAMES_BOUNDARY = /^(?:--|[^]*?[;\s]boundary\s*=\s*"?)/i;

/** The digest of `message` as it was submitted under `envelope`: base64url, 43 characters. */
export function submissionDigest(envelope: Envelope, message: MessageLayout): string {
  const hash = createHash('sha256');
  const say = (text: string): void => {
    hash.update(`${Buffer.byteLength(text)}:`).update(text);
  };
  say(envelope.mailFrom);
  for (const address of envelope.recipients.map((recipient) => recipient.address).sort()) say(address);

  const { bytes, fields, bodyStart } = message;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const places = boundaryPlaces(view);
  const own = places[0]?.start === 0 ? places[0] : null;
  for (const field of fields) {
    if (MADE_ANEW.has(field.key)) continue;
    say(field.key);
    const value = fieldValue(bytes, field).replace(/\s+/g, ' ');
    say(own !== null && field.key === 'content-type' ? numbered(value, own) : value);
  }
  say('');
  let at = bodyStart;
  for (const place of places) {
    if (place.start < at) continue;
    hash.update(view.subarray(at, place.start));
    hash.update(numbered(view.toString('latin1', place.start, place.end), place), 'latin1');
    at = place.end;
  }
  hash.update(view.subarray(at));
  return hash.digest('base64url');
}

/** Where a boundary is named, or stands as one. */
interface BoundaryPlace {
  readonly start: number;
  readonly end: number;
  readonly boundary: string;
  /** Which multipart of the message it belongs to. */
  readonly number: number;
}

/** In the order of the message; the message's own header first. */
function boundaryPlaces(view: Buffer): readonly BoundaryPlace[] {
  const places: BoundaryPlace[] = [];
  walkParts(view, {
    unread: () => undefined,
    multipart: ({ boundary, bodyStart }, start, number) => {
      places.push({ start, end: bodyStart, boundary: boundary ?? '', number });
    },
    boundaryLine: (start, end, number) => {
      places.push({ start, end, boundary: view.toString('latin1', start + 2, end), number });
    },
  });
  return places;
}

/** `text`, a header or a boundary line, with the boundary's number in its place. */
function numbered(text: string, { boundary, number }: BoundaryPlace): string {
  const at = NAMES_BOUNDARY.exec(text)?.[0].length ?? 0;
  return text.startsWith(boundary, at) ? `${text.slice(0, at)}\0${number}\0${text.slice(at + boundary.length)}` : text;
}
