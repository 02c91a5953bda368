import { copyFileSync, mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { rememberPlace } from '../../src/store/sqlite/place.ts';

const file = (): string => {
  const made = path.join(mkdtempSync(path.join(os.tmpdir(), 'leadpush-place-')), 'relay.db');
  writeFileSync(made, 'x');
  return made;
};

test('a file that is left alone is in its place', async () => {
  const isInPlace = await rememberPlace(file());
  expect(await isInPlace()).toBe(true);
});

test('a file that was moved away is not', async () => {
  const name = file();
  const isInPlace = await rememberPlace(name);
  renameSync(name, `${name}.old`);
  expect(await isInPlace()).toBe(false);
});

test('a file that was replaced by a copy of it is not', async () => {
  const name = file();
  const isInPlace = await rememberPlace(name);
  renameSync(name, `${name}.old`);
  copyFileSync(`${name}.old`, name);
  expect(await isInPlace()).toBe(false);
});
