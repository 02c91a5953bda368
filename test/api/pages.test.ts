/** The dashboard's pages as the server gives them; `test/dashboard` looks at them in a browser. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fastify, type FastifyInstance } from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import { addPages } from '../../src/api/pages.ts';
import { tempFolder } from '../store/fixture.ts';

async function serve(files: Readonly<Record<string, string>>): Promise<FastifyInstance> {
  const folder = `${await tempFolder()}/`;
  mkdirSync(path.join(folder, 'assets'));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  const server = fastify();
  onTestFinished(() => server.close());
  const answerPerson = addPages(server, folder);
  server.setNotFoundHandler((_request, reply) => {
    if (!answerPerson(reply)) void reply.code(404).send('for programs');
  });
  return server;
}

test('every address of a view answers with the page and a policy without inline scripts and styles', async () => {
  const server = await serve({ 'index.html': '<!doctype html>page' });
  for (const url of ['/', '/messages/msg_x', '/flows/a%20b', '/queue', '/statistics?span=7d', '/webhooks/auth']) {
    const answer = await server.inject(url);
    expect(answer.statusCode).toBe(200);
    expect(answer.payload).toBe('<!doctype html>page');
    const policy = String(answer.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).not.toContain('unsafe');
  }
  expect((await server.inject('/nothing')).statusCode).toBe(404);
});

test('an address without a view shows a person the page, as not found, and tells a program in its own way', async () => {
  const server = await serve({ 'index.html': '<!doctype html>page' });
  const accept = 'text/html,application/xhtml+xml,*/*;q=0.8';
  const shown = await server.inject({ url: '/nonsense?a=1', headers: { accept } });
  expect(shown.statusCode).toBe(404);
  expect(shown.payload).toBe('<!doctype html>page');
  expect(shown.headers).toMatchObject({ 'content-type': 'text/html; charset=utf-8', vary: 'accept' });
  expect(String(shown.headers['content-security-policy'])).toContain("default-src 'none'");
  for (const request of [
    { url: '/nonsense' },
    { url: '/nonsense', headers: { accept: 'application/json' } },
    { url: '/v1/nonsense', headers: { accept } },
    { url: '/v1', headers: { accept } },
    { url: '/nonsense', method: 'POST', headers: { accept } },
  ] as const) {
    const told = await server.inject(request);
    expect(told.statusCode).toBe(404);
    expect(told.payload).toBe('for programs');
  }
  expect((await (await serve({})).inject({ url: '/nonsense', headers: { accept } })).payload).toBe('for programs');
});

test('files with a hash in their name are kept by the browser, others are asked for again', async () => {
  const server = await serve({ 'assets/index-C7cETWnR.js': '1', 'assets/theme.js': '2' });
  expect((await server.inject('/assets/index-C7cETWnR.js')).headers['cache-control']).toContain('immutable');
  expect((await server.inject('/assets/theme.js')).headers['cache-control']).toBe('no-cache');
  expect((await server.inject('/assets/../index.html')).statusCode).toBe(404);
});

test('without pages the address says why, and what there is instead', async () => {
  const missing = await (await serve({})).inject('/');
  expect(missing.statusCode).toBe(503);
  expect(missing.payload).toContain('They were not built');
  expect(missing.payload).toContain('leadpush-relay trace');
  const failed = await (await serve({ 'build-error.txt': 'disk full' })).inject('/queue');
  expect(failed.payload).toContain('Building them failed:\n\ndisk full');
});
