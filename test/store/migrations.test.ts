/** A migration that was released is never edited: databases out there have run it as it was. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { MIGRATIONS } from '../../src/store/sqlite/migrations.ts';

/** One line a released migration. To change the schema, add a migration and its line; never change a line. */
const RELEASED: readonly string[] = ['fae1f7fb4d4842cc494fa67f2f2ae39ed78614cb16e1a37ee3ee203c83817899'];

test('every migration is the one that was released', () => {
  expect(MIGRATIONS.map((sql) => createHash('sha256').update(sql).digest('hex'))).toEqual(RELEASED);
});
