/**
 * The content keys that one connection works with, by their ids.
 *
 * Nothing is read before it is needed. An id that is not known sends it to the file again: so a running relay learns a new
 * key at the moment when it first meets it, in the database's own order.
 */
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { RelayError } from '../../core/errors.ts';
import { type ContentKey, contentKey, parseContentKey } from './content-cipher.ts';
import { readKeyFile } from './key-file.ts';

/** Where the content keys come from. */
export type ContentKeySource =
  | { readonly kind: 'file'; readonly file: string }
  /** Base64 of 32 octets each; the first encrypts. */
  | { readonly kind: 'given'; readonly keys: readonly string[] };

export interface KeyRing {
  readonly source: ContentKeySource;
  /** The key with this id; throws a `RelayError` (`key`) when there is none. */
  get(id: Uint8Array): ContentKey;
  has(id: Uint8Array): boolean;
  /** All of them, the newest first; null: the file is not there. Throws a `RelayError` (`key`) when they cannot be read. */
  all(): readonly ContentKey[] | null;
}

/** `content.key` in the folder of the database `file`. */
export function keyFileBeside(file: string): ContentKeySource {
  return { kind: 'file', file: join(dirname(file), 'content.key') };
}

/** A key that nobody keeps: for a database in memory. */
export function passingKey(): ContentKeySource {
  return { kind: 'given', keys: [randomBytes(32).toString('base64')] };
}

/** Makes the ring of `source`. */
export function createKeyRing(source: ContentKeySource): KeyRing {
  let known = new Map<string, ContentKey>();

  function all(): readonly ContentKey[] | null {
    const keys = source.kind === 'file' ? readKeyFile(source.file) : givenKeys(source.keys);
    known = new Map((keys ?? []).map((key) => [key.id.toString('hex'), key]));
    return keys;
  }

  function find(id: Uint8Array): ContentKey | null {
    const name = keyName(id);
    const found = known.get(name);
    if (found !== undefined) return found;
    all();
    return known.get(name) ?? null;
  }

  return {
    source,
    all,
    has: (id) => find(id) !== null,
    get(id) {
      const key = find(id);
      if (key !== null) return key;
      throw new RelayError(`content is encrypted under key ${keyName(id)}, which is not in ${placeOf(source)}`, {
        code: 'key',
        op: 'store.content',
        hint: 'Put the key back from a backup.',
      });
    },
  };
}

/** A key's id as people see it. */
export function keyName(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString('hex');
}

/** Where keys of `source` stand, for messages. */
export function placeOf(source: ContentKeySource): string {
  return source.kind === 'file'
    ? `${basename(dirname(source.file))}/${basename(source.file)}`
    : '`content_key` in the config';
}

function givenKeys(texts: readonly string[]): readonly ContentKey[] {
  return texts.map((text, index) => {
    const key = parseContentKey(text);
    if (key !== null) return key;
    throw new RelayError(`key ${index + 1} of \`content_key\` is not the base64 of 32 octets`, {
      code: 'key',
      op: 'store.content-key',
      hint: 'Make one with: openssl rand -base64 32',
    });
  });
}

/** A key for the config. */
export function newGivenKey(): { readonly id: string; readonly text: string } {
  const made = contentKey(randomBytes(32));
  return { id: keyName(made.id), text: made.key.toString('base64') };
}
