/**
 * Encryption of content: AES-256-GCM (NIST SP 800-38D) under a fresh key for each message, which is wrapped, again with
 * AES-256-GCM, by the content key.
 *
 *   content   format (1 octet) | ciphertext | tag (16)      key: the message's; associated data: the message id
 *   wrapped   nonce (12) | encrypted key (32) | tag (16)    key: the content key; associated data: message id and key id
 *
 * A message key encrypts once, so the nonce of the content is all zeros. Nonces under the content key are random: one content
 * key may wrap 2^32 message keys (SP 800-38D, section 8.3). A wrapped key that was moved to another message opens nothing.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomFillSync,
} from 'node:crypto';
import { RelayError } from '../../core/errors.ts';
import type { MessageId } from '../../core/ids.ts';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_ID_BYTES = 8;
const FORMAT = 1;
const ZERO_NONCE = Buffer.alloc(NONCE_BYTES);
/** Random octets are fetched for so many messages at once: a call of the generator costs more than the encryption. */
const POOL_MESSAGES = 128;
const PER_MESSAGE = KEY_BYTES + NONCE_BYTES;

/** A key that wraps the keys of messages. */
export interface ContentKey {
  /** 8 octets, derived from the key: it shows nothing of it. */
  readonly id: Buffer;
  readonly key: Buffer;
  /** The same for the ciphers: with bare octets each use would cost 8 microseconds more. */
  readonly secret: KeyObject;
}

export interface Sealed {
  readonly wrapped: Buffer;
  readonly bytes: Buffer;
}

/** `key` (32 octets) with its id. */
export function contentKey(key: Uint8Array): ContentKey {
  if (key.length !== KEY_BYTES) throw new RangeError(`a content key has ${KEY_BYTES} octets`);
  const id = createHmac('sha256', key).update('leadpush-relay content key id').digest().subarray(0, KEY_ID_BYTES);
  return { id: Buffer.from(id), key: Buffer.from(key), secret: createSecretKey(key) };
}

/** The key whose base64 is `text`, or null when it is not that of 32 octets. */
export function parseContentKey(text: string): ContentKey | null {
  const octets = Buffer.from(text, 'base64');
  return octets.length === KEY_BYTES && octets.toString('base64') === text ? contentKey(octets) : null;
}

/** Makes a function that encrypts the content of message `id` under a fresh key, and wraps that under `under`. */
export function createSeal(): (content: Uint8Array, id: MessageId, under: ContentKey) => Sealed {
  const pool = Buffer.alloc(POOL_MESSAGES * PER_MESSAGE);
  let used = pool.length;
  return (content, id, under) => {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const fresh = pool.subarray(used, used + PER_MESSAGE);
    used += PER_MESSAGE;
    const messageKey = fresh.subarray(0, KEY_BYTES);
    const cipher = createCipheriv(ALGORITHM, createSecretKey(messageKey), ZERO_NONCE, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(id, 'latin1'));
    const body = cipher.update(content);
    cipher.final();
    const bytes = Buffer.allocUnsafe(1 + body.length + TAG_BYTES);
    bytes[0] = FORMAT;
    body.copy(bytes, 1);
    cipher.getAuthTag().copy(bytes, 1 + body.length);
    const wrapped = wrap(messageKey, fresh.subarray(KEY_BYTES), id, under);
    fresh.fill(0);
    return { wrapped, bytes };
  };
}

/** The content of message `id`; throws a `RelayError` (`key`) when the key or the bytes are not its own. */
export function openSealed(
  sealed: { readonly wrapped: Uint8Array; readonly bytes: Uint8Array },
  id: MessageId,
  under: ContentKey,
): Buffer {
  const { bytes } = sealed;
  const messageKey = unwrap(sealed.wrapped, id, under);
  try {
    if (bytes[0] !== FORMAT) throw new Error(`format ${bytes[0]} is not known`);
    return decrypt(createSecretKey(messageKey), ZERO_NONCE, Buffer.from(id, 'latin1'), bytes.subarray(1));
  } catch (cause) {
    throw damaged(id, cause);
  } finally {
    messageKey.fill(0);
  }
}

/** The key of message `id`, wrapped under `to` instead of `from`; throws a `RelayError` (`key`) when `from` does not open it. */
export function rewrap(wrapped: Uint8Array, id: MessageId, from: ContentKey, to: ContentKey): Buffer {
  const messageKey = unwrap(wrapped, id, from);
  try {
    return wrap(messageKey, randomFillSync(Buffer.alloc(NONCE_BYTES)), id, to);
  } finally {
    messageKey.fill(0);
  }
}

function wrap(messageKey: Buffer, nonce: Buffer, id: MessageId, under: ContentKey): Buffer {
  const cipher = createCipheriv(ALGORITHM, under.secret, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(wrapData(id, under));
  const body = cipher.update(messageKey);
  cipher.final();
  return Buffer.concat([nonce, body, cipher.getAuthTag()]);
}

function unwrap(wrapped: Uint8Array, id: MessageId, under: ContentKey): Buffer {
  try {
    return decrypt(under.secret, wrapped.subarray(0, NONCE_BYTES), wrapData(id, under), wrapped.subarray(NONCE_BYTES));
  } catch (cause) {
    throw damaged(id, cause);
  }
}

function wrapData(id: MessageId, under: ContentKey): Buffer {
  return Buffer.concat([under.id, Buffer.from(id, 'latin1')]);
}

function decrypt(key: KeyObject, nonce: Uint8Array, data: Uint8Array, bytes: Uint8Array): Buffer {
  const end = bytes.length - TAG_BYTES;
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(data);
  decipher.setAuthTag(bytes.subarray(Math.max(end, 0)));
  const body = decipher.update(bytes.subarray(0, Math.max(end, 0)));
  decipher.final();
  return body;
}

function damaged(id: MessageId, cause: unknown): RelayError {
  return new RelayError(`the content of ${id} cannot be decrypted: it or its key was changed outside the relay`, {
    code: 'key',
    op: 'store.content',
    hint: 'Restore the database from a backup.',
    cause,
  });
}
