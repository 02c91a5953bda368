import { request as httpRequest } from 'node:http';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer as createTlsServer } from 'node:https';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';
import { makeTestCertificate } from '../../support/next-hop-certificate.ts';
import { createTestIo, run, tempFolder, writeConfig } from '../support.ts';
import { READ, SEND, startElsewhere, startServer } from './support.ts';

const TOKEN = 'a-token-that-nobody-should-see-anywhere';
const ENTRY = {
  recipient: 'ann@example.net',
  reason: 'manual',
  detail: 'left',
  message_id: null,
  created_at: '2026-01-05T10:00:00.000Z',
  expires_at: null,
};

describe('which relay is asked', () => {
  test.each([
    [['stats', '--url', 'https://relay.example.com', '--config', 'relay.yaml'], '--url and --config are two relays'],
    [['stats', '--url', 'https://relay.example.com', '--data', 'data'], '--url and --data are two relays'],
    [['tail', '--url', 'https://relay.example.com', '--file', 'relay.log'], '--file and --url are two places'],
    [['stats', '--token', TOKEN], 'a token was given without --url'],
    [['stats', '--url', 'relay.example.com'], 'is not the address of a relay'],
    [['stats', '--url', 'ftp://relay.example.com'], 'is not the address of a relay'],
    [['stats', '--url', `https://ops:${TOKEN}@relay.example.com`], 'has a user or a password in it'],
    [['stats', '--url', `https://relay.example.com/?token=${TOKEN}`], 'has a query or a fragment'],
    [['stats', '--url', 'http://127.0.0.1:1', '--token', `${TOKEN} and more`], '--token is not a token'],
    [['stats', '--url', 'http://127.0.0.1:1', '--token', 'sha256:00'], 'That is the hash'],
    [['stats', '--url', 'http://127.0.0.1:1', '--token', TOKEN, '--token-file', 'x'], 'give one'],
    [['stats', '--url', 'http://127.0.0.1:1', '--token-file', '/nowhere/token'], 'cannot read --token-file'],
    [['keys', 'rotate', '--url', 'https://relay.example.com'], 'keys rotate works with the files of this machine'],
    [['serve', '--url', 'https://relay.example.com'], 'serve works with the files of this machine'],
    [['audit', 'x.eml', '--url', 'https://relay.example.com'], 'audit works with the files of this machine'],
    [
      ['credential', 'hash', '--url', 'https://relay.example.com'],
      'credential hash works with the files of this machine',
    ],
    [['dkim', 'dns', '--url', 'https://relay.example.com'], 'dkim dns works with the files of this machine'],
  ])('%j is wrong use, and says so without the token', async (argv, text) => {
    const { code, out, err } = await run(argv);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(text);
    expect(err).not.toContain(TOKEN);
  });

  test('a token comes from the command line, a file or the environment, in that order', async () => {
    const relay = await startElsewhere();
    const file = join(tempFolder(), 'token');
    writeFileSync(file, `${READ}\n`);
    const ask = async (argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number> =>
      (await run(['stats', ...argv], { env })).code;
    expect(await ask(['--url', relay.url, '--token', READ], { LEADPUSH_TOKEN: 'wrong' })).toBe(0);
    expect(await ask(['--url', relay.url, '--token-file', file], { LEADPUSH_TOKEN: 'wrong' })).toBe(0);
    expect(await ask([], { LEADPUSH_URL: relay.url, LEADPUSH_TOKEN: READ })).toBe(0);
    expect(await ask(['--token-file', file], { LEADPUSH_URL: relay.url })).toBe(0);
    expect(await ask([], { LEADPUSH_URL: relay.url })).toBe(1);
  });

  test('the command line goes before LEADPUSH_URL', async () => {
    const relay = await startElsewhere();
    const env = { LEADPUSH_URL: 'http://127.0.0.1:1' };
    expect(await run(['stats', '--data', relay.folder], { env })).toMatchObject({ code: 0, err: '' });
    const config = writeConfig(relay.folder, { data: relay.folder });
    expect(await run(['stats', '--config', config], { env })).toMatchObject({ code: 0, err: '' });
  });

  test('a path before the API is kept, and /v1 at its end is not asked for twice', async () => {
    const asked: string[] = [];
    const url = await startServer((request, response) => {
      asked.push(request.url ?? '');
      response.writeHead(404, { 'content-type': 'text/plain' }).end();
    });
    for (const path of ['/relay', '/relay/', '/relay/v1', '/v1/', '']) {
      await run(['suppressions', '--limit', '1', '--url', `${url}${path}`]);
    }
    expect(asked).toEqual(['/relay', '/relay', '/relay', '', ''].map((path) => `${path}/v1/suppressions?limit=1`));
  });

  test('a token that would travel in clear is warned of', async () => {
    const io = createTestIo({ env: { LEADPUSH_TOKEN: TOKEN } });
    const ended = runCli(['stats', '--url', 'http://192.0.2.1:8025'], io);
    await expect.poll(() => io.err()).toContain('has no TLS: the token, and all that is shown, can be read on the way');
    await io.clock.advance(60_000);
    expect(await ended).toBe(1);
    expect(io.err()).toContain('no answer from http://192.0.2.1:8025');
    expect(io.err()).not.toContain(TOKEN);
  });
});

describe('a relay that refuses', () => {
  test('a wrong token, and says where it is from', async () => {
    const relay = await startElsewhere();
    const { code, err } = await relay.remote(['stats'], { token: TOKEN });
    expect(code).toBe(1);
    expect(err).toContain('The token is from LEADPUSH_TOKEN. http.tokens in the config of that relay');
    expect(err).not.toContain(TOKEN);
  });

  test('no token, and says how to give one', async () => {
    const relay = await startElsewhere();
    const { code, err } = await run(['stats', '--url', relay.url]);
    expect(code).toBe(1);
    expect(err).toContain('--token-file FILE or LEADPUSH_TOKEN');
  });

  test('a token without the scope, and names the scope', async () => {
    const relay = await startElsewhere();
    const { code, err } = await relay.remote(['stats'], { token: SEND });
    expect(code).toBe(1);
    expect(err).toMatch(/refused: .*read/);
    expect(err).toContain('http.tokens[].scopes');
  });

  test('a host name that is not its own', async () => {
    const relay = await startElsewhere();
    const url = await startServer((request, response) => {
      // As a proxy that sends on the name that it was called by.
      const { port } = new URL(relay.url);
      const asked = httpRequest({ port, path: request.url, headers: { host: 'mail.example.org' } }, (got) => {
        response.writeHead(got.statusCode ?? 500, got.headers);
        got.pipe(response);
      });
      asked.end();
    });
    const { code, err } = await run(['stats', '--url', url]);
    expect(code).toBe(1);
    expect(err).toContain('Call it by its own name, or have the proxy before it send that name as Host.');
  });

  test('values that are not accepted, and says which', async () => {
    const relay = await startElsewhere();
    const { code, err } = await relay.remote(['tail', '--tag', 'NOT A TAG']);
    expect(code).toBe(1);
    expect(err).toMatch(/query tag: /);
  });
});

describe('a relay that is none', () => {
  test('is down: nothing listens there', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => void server.close(resolve));
    const { code, err } = await run(['stats', '--url', `http://127.0.0.1:${port}`]);
    expect(code).toBe(1);
    expect(err).toContain(`no answer from http://127.0.0.1:${port}: nothing listens there`);
  });

  test('speaks no TLS where TLS is asked for', async () => {
    const url = await startServer((_request, response) => void response.end());
    const { code, err } = await run(['stats', '--url', url.replace('http:', 'https:')]);
    expect(code).toBe(1);
    expect(err).toContain('does not speak TLS as it should');
  });

  test('has a certificate that nobody here knows, and gets no token', async () => {
    const { cert, key } = await makeTestCertificate();
    let asked = 0;
    const server = createTlsServer({ cert, key }, (_request, response) => {
      asked++;
      response.end();
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const env = { LEADPUSH_TOKEN: TOKEN };
    const { code, err } = await run(['stats', '--url', `https://127.0.0.1:${port}`], { env });
    expect([code, asked]).toEqual([1, 0]);
    expect(err).toMatch(
      /the certificate of https:\/\/127\.0\.0\.1:\d+ is not accepted: its authority is not known here/,
    );
    expect(err).toContain('NODE_EXTRA_CA_CERTS');
  });

  test('never answers', async () => {
    const asked = Promise.withResolvers<void>();
    const url = await startServer(() => asked.resolve());
    const io = createTestIo();
    const ended = runCli(['stats', '--url', url], io);
    await asked.promise;
    await io.clock.advance(15_000);
    expect(await ended).toBe(1);
    expect(io.err()).toContain('within 15 s');
  });

  test('begins an answer that never ends', async () => {
    const headCame = Promise.withResolvers<void>();
    const onHead = (): void => headCame.resolve();
    subscribe('undici:request:headers', onHead);
    onTestFinished(() => void unsubscribe('undici:request:headers', onHead));
    const url = await startServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"data":[');
    });
    const io = createTestIo();
    const ended = runCli(['stats', '--url', url], io);
    await headCame.promise;
    await io.clock.advance(60_000);
    expect(await ended).toBe(1);
    expect(io.err()).toContain('within 60 s');
  });

  test('sends without an end', async () => {
    const url = await startServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const piece = Buffer.alloc(1024 * 1024, 0x20);
      const more = (): void => {
        while (!response.destroyed && response.write(piece));
        response.once('drain', more);
      };
      more();
    });
    const { code, err } = await run(['stats', '--url', url]);
    expect(code).toBe(1);
    expect(err).toContain('it has more than 33554432 octets');
  });

  test.each([
    [
      'redirects',
      302,
      { location: 'https://evil.example/v1/stats?x=1' },
      '',
      'sends us elsewhere, to https://evil.example',
    ],
    ['answers what is not JSON', 200, {}, '<html>', 'it is not JSON'],
    ['answers JSON of another form', 200, {}, '{"since":1}', 'at since'],
    ['answers an error without a problem', 502, {}, '<html>Bad gateway', 'answered 502 without saying why'],
    ['answers 404 as any web server', 404, {}, 'not here', 'Is that the address of a relay'],
    [
      'answers 404 as a relay without that call',
      404,
      {},
      '{"code":"not-found","title":"x","detail":"x"}',
      'does not know the call GET v1/stats',
    ],
    [
      'asks for patience',
      429,
      { 'retry-after': '7' },
      '{"code":"too-many-requests","title":"x","detail":"slow"}',
      'Try again in 7 s.',
    ],
  ])('%s', async (_name, status, headers, body, text) => {
    const url = await startServer((_request, response) => void response.writeHead(status, headers).end(body));
    const { code, out, err } = await run(['stats', '--url', url], { env: { LEADPUSH_TOKEN: TOKEN } });
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain(text);
    expect(err).not.toContain(TOKEN);
  });

  test.each([
    ['a moment that is none', [{ ...ENTRY, created_at: 'yesterday' }], 'at data.0.created_at'],
    ['a moment of no calendar', [{ ...ENTRY, created_at: '+275760-09-13T00:00:00.001Z' }], 'at data.0.created_at'],
    [
      'more entries than were asked for',
      Array.from({ length: 200_000 }, () => ENTRY),
      '200000 entries came, and 100 were asked for',
    ],
  ])('answers with %s', async (_name, data, text) => {
    const url = await startServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ data, has_more: false, next_cursor: null }));
    });
    const { code, out, err } = await run(['suppressions', 'list', '--url', url]);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain(text);
  });

  test('a redirect is not followed, so the token goes nowhere', async () => {
    let visits = 0;
    const other = await startServer((_request, response) => {
      visits++;
      response.end();
    });
    const url = await startServer((_request, response) => void response.writeHead(307, { location: other }).end());
    await run(['stats', '--url', url], { env: { LEADPUSH_TOKEN: TOKEN } });
    expect(visits).toBe(0);
  });

  test('cannot write on the terminal', async () => {
    const detail = 'no \u001b]0;owned\u0007\u001b[31msuch\u009b2J scope\r\nforged: line';
    const url = await startServer((_request, response) => {
      response.writeHead(403).end(JSON.stringify({ code: 'forbidden', title: 'x', detail }));
    });
    const { err } = await run(['stats', '--url', url], { tty: true });
    expect(err).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect(err.split('\n').some((line) => line.startsWith('forged'))).toBe(false);
  });

  test('is left when the user wants an end', async () => {
    const asked = Promise.withResolvers<void>();
    const url = await startServer(() => asked.resolve());
    const io = createTestIo();
    onTestFinished(() => io.interrupt());
    const ended = runCli(['tail', '-f', '--url', url], io);
    await asked.promise;
    io.interrupt();
    expect(await ended).toBe(0);
  });
});
