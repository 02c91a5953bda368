/**
 * Whether a webhook came from the relay: Standard Webhooks 1.0.0.
 *
 * The signature is over the bytes as they came: hand over the raw body, before any JSON parser had it. Signatures are compared
 * in constant time (`hmac.ts`); every secret is tried against every signature.
 * Nothing about the body is believed before that.
 */
import { fromBase64 } from './bytes.ts';
import { createHmac } from './hmac.ts';
import { systemRuntime, type WebCrypto, webCrypto } from './runtime.ts';
import type { RelayEvent } from './types.ts';

export type WebhookErrorCode =
  /** A secret is missing or not `whsec_` and base64. */
  | 'secret-invalid'
  /** `webhook-id`, `webhook-timestamp` or `webhook-signature` is not there. */
  | 'header-missing'
  /** One of them is there, but several times or not in the form it has to have. */
  | 'header-invalid'
  /** Sent longer ago than is tolerated: a copy of an old request, or a clock that is wrong. */
  | 'timestamp-too-old'
  | 'timestamp-too-new'
  /** The payload is no text and no bytes. */
  | 'payload-not-raw'
  /** No signature fits: another secret, or the body was changed on the way. */
  | 'signature-mismatch'
  /** Signed, but no event. */
  | 'payload-invalid';

/** A webhook that must not be believed, and why. Answer it with 400; the relay tries again. */
export class WebhookVerificationError extends Error {
  override readonly name: string = 'WebhookVerificationError';
  readonly code: WebhookErrorCode;

  constructor(code: WebhookErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The request's headers: a `Headers`, Node's `request.headers`, or any plain object. */
export type WebhookHeaders =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>;

export interface VerifyOptions {
  /** How far `webhook-timestamp` may lie from this machine's time, either way, in seconds; default: 300. */
  readonly toleranceSeconds?: number;
  /** This machine's time in milliseconds since the epoch; default: Date.now. */
  readonly now?: () => number;
  /** Another Web Crypto; null: none. Default: the global one, where there is one. */
  readonly crypto?: WebCrypto | null;
}

const TOLERANCE_SECONDS = 300;
/** Each signature costs one HMAC over the body for each secret; during a rotation there are two. */
const MAX_SIGNATURES = 8;
/** A SHA-256 in base64: 32 bytes, 43 characters and one `=`; of the last character two bits stand for nothing and are 0. */
const SIGNATURE = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
const SECRET = /^(?:whsec_)?((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/;

/**
 * The event in `payload`, when one of `secrets` signed it within the tolerance; else a `WebhookVerificationError`.
 *
 * `payload` is the raw body. During a rotation, give both secrets.
 */
export async function verifyWebhook(
  payload: string | Uint8Array | ArrayBuffer,
  headers: WebhookHeaders,
  secrets: string | readonly string[],
  options: VerifyOptions = {},
): Promise<RelayEvent> {
  const { crypto = webCrypto() } = options;
  const keys = await Promise.all(readSecrets(secrets).map((secret) => createHmac(secret, crypto)));
  const id = readHeader(headers, 'webhook-id');
  const timestamp = readHeader(headers, 'webhook-timestamp');
  const signatures = readSignatures(readHeader(headers, 'webhook-signature'));
  checkTimestamp(timestamp, options);
  const body = readPayload(payload);
  const signed = concat(new TextEncoder().encode(`${id}.${timestamp}.`), body);
  const verdicts = await Promise.all(keys.flatMap((key) => signatures.map((signature) => key.fits(signature, signed))));
  if (!verdicts.includes(true)) {
    throw new WebhookVerificationError(
      'signature-mismatch',
      'No signature fits: the secret is another one, or the body is not, byte for byte, what was sent',
    );
  }
  return readEvent(body);
}

function readSecrets(secrets: string | readonly string[]): readonly Uint8Array<ArrayBuffer>[] {
  const list: readonly unknown[] = Array.isArray(secrets) ? secrets : [secrets];
  if (list.length === 0) throw new WebhookVerificationError('secret-invalid', 'No secret was given');
  return list.map((secret) => {
    const encoded = typeof secret === 'string' ? SECRET.exec(secret)?.[1] : undefined;
    if (encoded === undefined || encoded === '') {
      throw new WebhookVerificationError(
        'secret-invalid',
        secret === undefined || secret === ''
          ? 'The secret is not set'
          : 'The secret must be whsec_ followed by base64, as in the config of the relay',
      );
    }
    return fromBase64(encoded);
  });
}

/** The one value of a header, whatever the letter case of its name. */
function readHeader(headers: WebhookHeaders, name: string): string {
  const values = typeof headers.get === 'function' ? [headers.get(name)] : valuesOf(headers, name);
  const given = values.filter((value) => value !== null && value !== undefined && value !== '');
  const [value] = given;
  if (value === undefined) throw new WebhookVerificationError('header-missing', `The header ${name} is missing`);
  if (given.length > 1 || typeof value !== 'string') {
    throw new WebhookVerificationError('header-invalid', `The header ${name} is there more than once`);
  }
  return value;
}

function valuesOf(headers: object, name: string): readonly unknown[] {
  return Object.entries(headers).flatMap(([key, value]): unknown => (key.toLowerCase() === name ? value : []));
}

/** The signatures of version 1; those of other versions are passed over, as the standard wants. */
function readSignatures(header: string): readonly Uint8Array<ArrayBuffer>[] {
  const ours = header.split(' ').filter((entry) => entry.startsWith('v1,'));
  const texts = ours.map((entry) => entry.slice('v1,'.length));
  if (texts.length === 0 || texts.length > MAX_SIGNATURES || !texts.every((text) => SIGNATURE.test(text))) {
    throw new WebhookVerificationError(
      'header-invalid',
      'The header webhook-signature holds no signature of version v1',
    );
  }
  return texts.map(fromBase64);
}

function checkTimestamp(text: string, options: VerifyOptions): void {
  if (!/^\d{1,12}$/.test(text)) {
    throw new WebhookVerificationError('header-invalid', 'The header webhook-timestamp is no number of seconds');
  }
  const { toleranceSeconds = TOLERANCE_SECONDS, now = systemRuntime.now } = options;
  const ageSeconds = Math.floor(now() / 1000) - Number(text);
  if (ageSeconds > toleranceSeconds) {
    throw new WebhookVerificationError(
      'timestamp-too-old',
      `The webhook was sent ${ageSeconds} s ago: too old to be believed`,
    );
  }
  if (-ageSeconds > toleranceSeconds) {
    throw new WebhookVerificationError(
      'timestamp-too-new',
      `The webhook is from ${-ageSeconds} s in the future: see the clocks`,
    );
  }
}

function readPayload(payload: unknown): Uint8Array<ArrayBuffer> {
  if (typeof payload === 'string') return new TextEncoder().encode(payload);
  if (payload instanceof ArrayBuffer) return new Uint8Array(payload);
  if (payload instanceof Uint8Array) return new Uint8Array(payload);
  throw new WebhookVerificationError(
    'payload-not-raw',
    'The payload must be the raw body, text or bytes: take it before a JSON parser does',
  );
}

function readEvent(body: Uint8Array): RelayEvent {
  let value: RelayEvent | null = null;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    // Said below: what the parser says would repeat parts of the body.
  }
  if (typeof value?.type === 'string' && typeof value.data === 'object' && value.data !== null) return value;
  throw new WebhookVerificationError('payload-invalid', 'The signature fits, but the body is no event');
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}
