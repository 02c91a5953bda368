/**
 * A digest of what an app said, for idempotency keys: equal when the app sends the same thing again, whatever its mail library
 * makes anew for each try.
 *
 * In it: envelope sender and recipients (their order does not count), the header fields in their order with white space evened
 * out, the body. Left out: Message-ID, Date, Received, DKIM-Signature and other fields that a try makes by itself, and
 * `X-Leadpush-Idempotency-Key`, which is what the digest is kept under. Boundaries of multiparts, which libraries draw at random,
 * count as their number.
 *
 * SHA-256; never shown. Known limits: Content-IDs count as they are, so a library that draws them at random makes another message
 * each time; boundaries beyond the first 8 count as they are.
 */
import { createHash } from 'node:crypto';
import type { Envelope } from '../core/message.ts';
import { fieldValue, type MessageLayout } from '../mail/header.ts';

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

const BOUNDARY = /\bboundary\s*=\s*(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))/gi;
const MAX_BOUNDARIES = 8;
/** Shorter ones are words that an app may well have written in its text. */
const MIN_BOUNDARY_CHARS = 6;

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
  const boundaries = boundariesIn(view.toString('latin1'));
  for (const field of fields) {
    if (MADE_ANEW.has(field.key)) continue;
    say(field.key);
    say(numbered(fieldValue(bytes, field), boundaries).replace(/\s+/g, ' '));
  }
  say('');
  if (boundaries.length === 0) hash.update(view.subarray(bodyStart));
  else hash.update(numbered(view.toString('latin1', bodyStart), boundaries), 'latin1');
  return hash.digest('base64url');
}

interface Boundary {
  readonly text: string;
  /** Which one it is, in the order of the message. */
  readonly number: number;
}

/** The boundaries that a message names, longest first, so that none is cut by one that it begins with. */
function boundariesIn(text: string): readonly Boundary[] {
  const found = new Set<string>();
  for (const match of text.matchAll(BOUNDARY)) {
    const boundary = match[1] ?? match[2] ?? '';
    if (boundary.length >= MIN_BOUNDARY_CHARS) found.add(boundary);
    if (found.size === MAX_BOUNDARIES) break;
  }
  return [...found]
    .map((boundary, number) => ({ text: boundary, number }))
    .sort((a, b) => b.text.length - a.text.length);
}

function numbered(text: string, boundaries: readonly Boundary[]): string {
  return boundaries.reduce((whole, boundary) => whole.replaceAll(boundary.text, `boundary-${boundary.number}`), text);
}
