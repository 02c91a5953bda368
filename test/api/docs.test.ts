import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { codes, PROBLEMS } from '../../src/api/problem.ts';
import { startApi } from './support.ts';

const root = path.join(import.meta.dirname, '..', '..');

describe('/docs', () => {
  test('shows every call, every object and every problem code, and links lead to what is there', async () => {
    const api = await startApi();
    const document = (await api.call('/openapi.json')).json as {
      readonly paths: Record<string, Record<string, { readonly operationId: string }>>;
      readonly components: { readonly schemas: object };
    };
    const { text, headers } = await api.call('/docs');
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    const ids = new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
    for (const methods of Object.values(document.paths)) {
      for (const { operationId } of Object.values(methods)) expect(ids).toContain(operationId);
    }
    for (const name of Object.keys(document.components.schemas)) expect(ids).toContain(`object-${name}`);
    for (const code of codes()) expect(ids).toContain(`problem-${code}`);
    for (const [, target] of text.matchAll(/ href="#([^"]+)"/g)) expect(ids).toContain(target);
  });

  test('runs no script, asks no other site, and brings its own style', async () => {
    const api = await startApi();
    const { text, headers } = await api.call('/docs');
    expect(text).not.toMatch(/<script|<style|\sstyle=|\son\w+=|https?:\/\/|src=/);
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; .*; style-src 'self'$/);
    expect((await api.call('/docs/style.css')).headers['content-type']).toBe('text/css; charset=utf-8');
  });

  test('is where the type of a problem leads', async () => {
    const api = await startApi();
    const { type } = (await api.call('/v1/messages/x')).json as { readonly type: string };
    const [page = '', anchor = ''] = type.split('#');
    expect((await api.call(page)).text).toContain(`id="${anchor}"`);
  });
});

test('the README lists every problem code with its status and meaning', async () => {
  const readme = await readFile(path.join(root, 'src', 'api', 'README.md'), 'utf8');
  const rows = [...readme.matchAll(/^\| `([a-z-]+)` +\| (\d{3}) +\| (.+?) +\|$/gm)].map(([, code, status, meaning]) => [
    code,
    Number(status),
    meaning,
  ]);
  expect(rows).toEqual(codes().map((code) => [code, PROBLEMS[code].status, PROBLEMS[code].meaning]));
});
