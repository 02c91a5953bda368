/** What a thief finds of messages in the files of a database, with the content keys in hand. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { RelayError } from '../../src/core/errors.ts';
import type { MessageId } from '../../src/core/ids.ts';
import { type ContentKey, contentKey, rewrap } from '../../src/store/sqlite/content-cipher.ts';

/** The octets of each file in `folder`, by name. */
export function filesIn(folder: string): ReadonlyMap<string, Buffer> {
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(files.map(({ name }) => [name, readFileSync(path.join(folder, name))]));
}

/** In how many places of database, log and shared memory one of `keys` opens the key of message `id`. */
export function openableKeys(folder: string, keys: readonly ContentKey[], id: MessageId): number {
  const other = contentKey(Buffer.alloc(32, 1));
  let found = 0;
  for (const [name, octets] of filesIn(folder)) {
    if (!name.startsWith('relay.db')) continue;
    for (const key of keys) {
      // In the stored row a wrapped key follows the id of the key that wraps it.
      for (let at = octets.indexOf(key.id); at >= 0; at = octets.indexOf(key.id, at + 1)) {
        try {
          rewrap(octets.subarray(at + 8, at + 68), id, key, other);
          found++;
        } catch (thrown) {
          // Not a key of this message.
          if (!(thrown instanceof RelayError)) throw thrown;
        }
      }
    }
  }
  return found;
}
