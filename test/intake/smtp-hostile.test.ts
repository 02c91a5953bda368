import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createNetworks } from '../../src/intake/networks.ts';
import { credentialFor, ENVELOPE, useSmtp } from '../support/smtp-listener.ts';

const smtp = useSmtp();
const { open, dial } = smtp;
const SMUGGLED = 'MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nsmuggled\r\n.\r\n';

describe('SMTP smuggling (CVE-2023-51764, CVE-2024-27938 and kin)', () => {
  const endings: readonly (readonly [string, string])[] = [
    ['LF.LF', '\n.\n'],
    ['LF.CRLF', '\n.\r\n'],
    ['CRLF.LF', '\r\n.\n'],
    ['CR.CR', '\r.\r'],
    ['CR.CRLF', '\r.\r\n'],
    ['CRLF.CR', '\r\n.\r'],
    ['LF.CR', '\n.\r'],
    ['CRLF NUL.CRLF', '\r\n\0.\r\n'],
    ['CRLF.NUL CRLF', '\r\n.\0\r\n'],
    ['CRCRLF.CRCRLF', '\r\r\n.\r\r\n'],
    ['LFCR.LFCR', '\n\r.\n\r'],
  ];

  test.each(endings)('%s never makes two messages: one 5xx, and the connection is closed', async (_name, ending) => {
    const rig = await open();
    const stream = `Subject: a\r\n\r\nHello${ending}${SMUGGLED}\r\n.\r\n${SMUGGLED}`;
    const from = stream.indexOf('Hello');
    // Cut at every position around the ending, each on a connection of its own.
    for (let cut = from + 4; cut <= from + 6 + ending.length; cut++) {
      rig.submissions.length = 0;
      const client = await dial(rig);
      for (const line of ENVELOPE) await client.command(line);
      await client.write(stream.slice(0, cut));
      // One turn of the event loop, so that the server reads the pieces apart.
      await new Promise((resolve) => setImmediate(resolve));
      await client.write(stream.slice(cut));
      expect((await client.reply()).raw).toBe('550 5.6.0 Bare CR, LF or NUL in the message');
      await client.closed();
      expect(
        client
          .received()
          .split('\r\n')
          .filter((line) => line.startsWith('250 2.0.0')),
      ).toEqual([]);
      expect(rig.submissions).toHaveLength(1);
      expect(Buffer.from(rig.submissions[0]?.content ?? []).toString()).toContain('MAIL FROM:<evil@example.com>');
    }
    expect(rig.metrics).toContain('refused bad-line-ends');
  });
});

describe('clients that do not speak SMTP', () => {
  test('one that talks before the greeting gets 421 and none of its commands is run', async () => {
    const rig = await open();
    const client = await smtp.connect(rig, {
      early: `EHLO evil.example\r\n${ENVELOPE.join('\r\n')}\r\nx\r\n.\r\n`,
    });
    expect((await client.reply()).raw).toBe('421 4.7.0 relay.test You talk too soon');
    await client.closed();
    expect(client.received()).not.toContain('220');
    expect(rig.metrics).toContain('refused early-talker');
    expect(rig.submissions).toEqual([]);
  });

  test('half a line before the greeting is enough', async () => {
    const rig = await open();
    const client = await smtp.connect(rig, { early: 'EHL' });
    expect((await client.reply()).code).toBe(421);
    await client.closed();
  });

  test.each(['GET / HTTP/1.1', 'POST /x HTTP/1.0', 'CONNECT relay:25 HTTP/1.1', 'PROPFIND / HTTP/2'])(
    'an HTTP request (%s) is cut off before its body can hold commands',
    async (line) => {
      for (const tls of ['none', 'starttls-required'] as const) {
        const rig = await open({ tls });
        const client = await smtp.greeted(rig);
        await client.write(`${line}\r\nHost: relay\r\n\r\nEHLO evil.example\r\n${ENVELOPE.join('\r\n')}\r\nx\r\n.\r\n`);
        expect((await client.reply()).raw).toBe('421 4.7.0 This is an SMTP port, not HTTP');
        await client.closed();
        expect(rig.submissions).toEqual([]);
      }
    },
  );

  test('4 MB without a line end are cut off early, and memory stays flat (CVE-2026-67445)', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage: unknown = runInNewContext('gc');
    const rig = await open();
    const flood = Buffer.alloc(4 * 1024 * 1024, 'A');
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 4; i++) {
      const client = await smtp.greeted(rig);
      void client.write(flood);
      expect((await client.reply()).raw).toBe('421 4.7.0 Command line too long');
      await client.closed();
    }
    // Buffers that were collected are freed on a thread of their own, and on a busy machine later.
    const held = (): number => {
      if (typeof collectGarbage === 'function') collectGarbage();
      return process.memoryUsage().arrayBuffers - before;
    };
    await expect.poll(held, { timeout: 4000 }).toBeLessThan(1024 * 1024);
    expect(rig.metrics.filter((line) => line === 'refused line-too-long')).toHaveLength(4);
  });

  test('thousands of junk commands in one packet end in a 421 after a few replies', async () => {
    const client = await dial(await open());
    void client.write('JUNK\r\n'.repeat(10_000));
    await client.closed();
    const replies = client.received().match(/^\d{3} .*$/gm) ?? [];
    expect(replies.at(-1)).toBe('421 4.7.0 Too many errors');
    expect(replies.length).toBeLessThan(40);
  });

  test('binary noise is answered or cut off, and the listener lives on', async () => {
    const rig = await open();
    for (let seed = 1; seed < 6; seed++) {
      const client = await smtp.greeted(rig);
      void client.write(Buffer.from(Array.from({ length: 20_000 }, (_, i) => (i * seed * 7919 + (i >> 3)) & 0xff)));
      await client.closed();
    }
    expect((await (await dial(rig)).command('NOOP')).code).toBe(250);
  });

  test('a client that pipelines and never reads does not make the server collect replies without end', async () => {
    const rig = await open();
    const socket = connect(rig.port, '127.0.0.1');
    await once(socket, 'data');
    socket.pause();
    socket.write('NOOP\r\n'.repeat(5000));
    await expect.poll(() => rig.metrics.includes('refused too-many-idle-commands')).toBe(true);
    socket.destroy();
  });

  test('a client that resets the connection at any moment leaves no place taken', async () => {
    const rig = await open();
    for (const lines of [[], ['EHLO x'], ['EHLO x', ...ENVELOPE], ['EHLO x', ...ENVELOPE, 'text\r\n.']]) {
      const socket = connect(rig.port, '127.0.0.1');
      await once(socket, 'data');
      for (const line of lines) {
        socket.write(`${line}\r\n`);
        await once(socket, 'data');
      }
      socket.resetAndDestroy();
    }
    await expect.poll(() => rig.limits.open()).toBe(0);
  });
});

describe('relaying', () => {
  test.each([
    'user%victim.example@relay.test',
    'victim.example!user@relay.test',
    '@relay.test:user@victim.example',
    '"user@victim.example"@relay.test',
    'user@[127.0.0.1]',
    'a@example.net,b@example.net',
    'a@example.net>,<b@example.net',
    'a(x)@example.net',
    'g:a@example.net;',
    'postmaster',
    'a@example.net\0',
    '\xffa@example.net',
    `${Buffer.from('аnn').toString('latin1')}@example.net`,
  ])('<%s> is refused with 501 or 553 and nothing is submitted', async (address) => {
    const rig = await open();
    const client = await dial(rig);
    await client.command('MAIL FROM:<app@example.com>');
    expect((await client.command(`RCPT TO:<${address}>`)).raw).toMatch(/^(501 5\.1\.3|553 5\.6\.7|501 5\.5\.4) /);
    expect((await client.command('DATA')).code).toBe(503);
  });

  test('CR, LF and encoded line ends in parameters do not reach the envelope', async () => {
    const client = await dial(await open());
    for (const parameter of ['ENVID=a+0D+0Ab', 'ENVID=a+0Ab', 'AUTH=x+0Dy', 'ENVID=a\rb']) {
      expect((await client.command(`MAIL FROM:<a@example.com> ${parameter}`)).code).toBe(501);
    }
  });

  test('a stranger can do nothing: MAIL is 530, and RCPT and DATA have nothing to go on', async () => {
    const rig = await open({ settings: { trusted: createNetworks(['192.0.2.0/24']) } });
    const client = await dial(rig);
    const codes = [];
    for (const line of ENVELOPE) codes.push((await client.command(line)).code);
    expect(codes).toEqual([530, 503, 503]);
  });

  test('a stranger on a plain connection is offered no AUTH and cannot use it', async () => {
    // Sockets of this process take their peer for another machine; on loopback there is no other way to be a stranger.
    const real = Object.getOwnPropertyDescriptor(Socket.prototype, '_getpeername') ?? {};
    const peer = { address: '192.0.2.9', port: 1, family: 'IPv4' };
    Object.defineProperty(Socket.prototype, '_getpeername', { ...real, value: () => peer });
    onTestFinished(() => void Object.defineProperty(Socket.prototype, '_getpeername', real));
    const rig = await open({ tls: 'none', credentials: [await credentialFor('app', 'secret')] });
    const client = await smtp.greeted(rig);
    expect((await client.command('EHLO client.example')).raw).not.toContain('AUTH');
    const token = Buffer.from('\0app\0secret').toString('base64');
    expect((await client.command(`AUTH PLAIN ${token}`)).raw).toMatch(/^538 5\.7\.11 /);
    expect((await client.command('MAIL FROM:<a@example.com>')).raw).toBe('530 5.7.0 Authentication required');
  });
});

describe('the log', () => {
  test('a flood of refused clients leaves a few lines and a count', async () => {
    const rig = await open({ settings: { maxConnectionsPerIp: 1 } });
    await dial(rig);
    for (let i = 0; i < 50; i++) {
      const client = await smtp.connect(rig);
      expect((await client.reply()).raw).toMatch(/^421 4\.7\.0 /);
    }
    expect(rig.lines.length).toBeLessThanOrEqual(10);
    expect(rig.metrics.filter((line) => line === 'refused too-many-from-address')).toHaveLength(50);
  });

  test('an ordinary session leaves no line', async () => {
    const rig = await open();
    const client = await dial(rig);
    for (const line of ENVELOPE) await client.command(line);
    await client.write('x\r\n.\r\n');
    await client.reply();
    await client.command('QUIT');
    await client.closed();
    expect(rig.lines).toEqual([]);
  });
});
