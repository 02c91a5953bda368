import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { apiDocument } from '../../src/api/document.ts';
import { codes, PROBLEMS } from '../../src/api/problem.ts';
import { tempFolder } from '../store/fixture.ts';

const run = promisify(execFile);
const root = path.join(import.meta.dirname, '..', '..');
const committed = path.join(root, 'src', 'api', 'openapi.json');

test('src/api/openapi.json is what the code says; `npm run docs:api` writes it', async () => {
  expect(await readFile(committed, 'utf8')).toBe(await apiDocument());
});

test('a generator of clients and a compiler take the document', async () => {
  const folder = await tempFolder();
  const types = path.join(folder, 'api.d.ts');
  const bin = (name: string): string => path.join(root, 'src', 'sdk', 'node_modules', '.bin', name);
  await run(bin('openapi-typescript'), [committed, '--output', types]);
  const { stdout } = await run(bin('tsc'), ['--noEmit', '--strict', types]);
  expect(stdout).toBe('');
  const text = await readFile(types, 'utf8');
  for (const name of ['Message', 'MessageDetail', 'Event', 'Problem'])
    expect(text).toMatch(new RegExp(`^ +${name}: `, 'm'));
}, 90_000);

test('every call names itself, its scope, and the problems that it answers with', async () => {
  const document = JSON.parse(await apiDocument());
  const operations = Object.values<Record<string, { operationId: string; security: unknown; responses: object }>>(
    document.paths,
  ).flatMap((methods) => Object.values(methods));
  expect(operations.length).toBeGreaterThan(5);
  const known = new Set(codes().map((code) => String(PROBLEMS[code].status)));
  for (const { operationId, security, responses } of operations) {
    expect(operationId).toMatch(/^[a-z][A-Za-z]+$/);
    expect(security).toEqual([{ token: [expect.stringMatching(/^(?:read|send|admin)$/)] }]);
    expect(Object.keys(responses)).toEqual(expect.arrayContaining(['401', '403', '422', '429', '503']));
    for (const status of Object.keys(responses)) if (Number(status) >= 400) expect(known).toContain(status);
  }
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
});
