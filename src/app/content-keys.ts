/**
 * Where a relay's content keys come from: the config, when it names any, else `content.key` in the data folder.
 *
 * The file is made by the store at the first start, once it knows that the database has nothing encrypted under a lost one.
 */
import path from 'node:path';
import type { Config } from '../config/types.ts';
import type { ContentKeySource } from '../store/sqlite/key-ring.ts';

/** The source of the content keys of `config`. */
export function contentKeysOf(config: Pick<Config, 'contentKeys' | 'dataDir'>): ContentKeySource {
  if (config.contentKeys.length > 0) return { kind: 'given', keys: config.contentKeys };
  return { kind: 'file', file: path.join(config.dataDir, 'content.key') };
}
