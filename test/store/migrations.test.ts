/** A migration that was released is never edited: databases out there have run it as it was. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { MIGRATIONS } from '../../src/store/sqlite/migrations.ts';

/** One line a released migration. To change the schema, add a migration and its line; never change a line. */
const RELEASED: readonly string[] = ['237590acfa0ad14e24f30939582c7a9715b63651410b4a1f39d653070ebf4ccb'];

test('every migration is the one that was released', () => {
  expect(MIGRATIONS.map((sql) => createHash('sha256').update(sql).digest('hex'))).toEqual(RELEASED);
});
