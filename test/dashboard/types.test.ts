import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { tempFolder } from '../store/fixture.ts';

test('the types that the pages use are those of the API; `npm run docs:api` writes them', async () => {
  const root = path.join(import.meta.dirname, '..', '..');
  const made = path.join(await tempFolder(), 'types.ts');
  const generator = path.join(root, 'src', 'sdk', 'node_modules', '.bin', 'openapi-typescript');
  await promisify(execFile)(generator, [path.join(root, 'src', 'api', 'openapi.json'), '--output', made]);
  const committed = path.join(root, 'src', 'dashboard', 'api', 'openapi.gen.ts');
  expect(await readFile(committed, 'utf8')).toBe(await readFile(made, 'utf8'));
});
