/** A migration that was released is never edited: databases out there have run it as it was. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { MIGRATIONS } from '../../src/store/sqlite/migrations.ts';

/** One line a released migration. To change the schema, add a migration and its line; never change a line. */
const RELEASED: readonly string[] = ['79f6ae139c7e353519c06337a17d1674c36d3ca11a1a10f22570aee53cda098c'];

test('every migration is the one that was released', () => {
  expect(MIGRATIONS.map((sql) => createHash('sha256').update(sql).digest('hex'))).toEqual(RELEASED);
});
