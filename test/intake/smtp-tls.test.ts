import { once } from 'node:events';
import { connect as connectTcp, createServer } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { createNetworks } from '../../src/intake/networks.ts';
import { SESSION_TIMES } from '../../src/intake/smtp-watchdog.ts';
import { createManualClock } from '../support/clock.ts';
import type { SmtpClient } from '../support/smtp-client.ts';
import { credentialFor, useSmtp } from '../support/smtp-listener.ts';

const { open, connect, greeted } = useSmtp();

async function offers(client: SmtpClient): Promise<string[]> {
  const { lines } = await client.command('EHLO client.example');
  return lines.filter((line) => line === 'STARTTLS' || line.startsWith('AUTH'));
}

async function submit(client: SmtpClient): Promise<number> {
  for (const line of ['MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.net>', 'DATA']) await client.command(line);
  await client.write('Hello\r\n.\r\n');
  return (await client.reply()).code;
}

describe('what EHLO offers', () => {
  test('tls: none offers AUTH to loopback alone and no STARTTLS', async () => {
    const rig = await open({ tls: 'none', credentials: [await credentialFor('app', 'secret')] });
    const client = await greeted(rig);
    expect(await offers(client)).toEqual(['AUTH PLAIN LOGIN']);
    expect((await client.command('STARTTLS')).raw).toMatch(/^502 5\.5\.1 /);
  });

  test('tls: starttls offers STARTTLS, and after it no second one', async () => {
    const rig = await open({ tls: 'starttls', credentials: [await credentialFor('app', 'secret')] });
    const client = await greeted(rig);
    expect(await offers(client)).toEqual(['STARTTLS', 'AUTH PLAIN LOGIN']);
    expect(await client.startTls()).toBe('TLSv1.3');
    expect(await offers(client)).toEqual(['AUTH PLAIN LOGIN']);
    expect((await client.command('STARTTLS')).raw).toMatch(/^503 5\.5\.1 /);
  });

  test('tls: implicit offers no STARTTLS', async () => {
    const rig = await open({ tls: 'implicit', credentials: [await credentialFor('app', 'secret')] });
    expect(await offers(await greeted(rig, { tls: true }))).toEqual(['AUTH PLAIN LOGIN']);
  });

  test('without any credential there is no AUTH', async () => {
    const rig = await open({ tls: 'implicit' });
    expect(await offers(await greeted(rig, { tls: true }))).toEqual([]);
  });
});

describe('STARTTLS', () => {
  test('a message over it is recorded as ESMTPS with the TLS version', async () => {
    const rig = await open({ tls: 'starttls' });
    const client = await greeted(rig);
    await offers(client);
    await client.startTls();
    await offers(client);
    expect(await submit(client)).toBe(250);
    expect(rig.submissions[0]?.submitter).toMatchObject({ protocol: 'ESMTPS', tls: 'TLSv1.3' });
  });

  test.each(['MAIL FROM:<a@example.com>', 'AUTH PLAIN AAA=', 'HELO x', 'VRFY x', 'DATA', 'HELP', 'NONSENSE'])(
    'where it is required, %s is answered 530 5.7.0 before it',
    async (line) => {
      const rig = await open({ tls: 'starttls-required', credentials: [await credentialFor('app', 'secret')] });
      const client = await greeted(rig);
      await offers(client);
      expect((await client.command(line)).raw).toBe('530 5.7.0 Must issue a STARTTLS command first');
    },
  );

  test('where it is required, AUTH is offered after it alone, on loopback too', async () => {
    const rig = await open({ tls: 'starttls-required', credentials: [await credentialFor('app', 'secret')] });
    const client = await greeted(rig);
    expect(await offers(client)).toEqual(['STARTTLS']);
    await client.startTls();
    expect(await offers(client)).toEqual(['AUTH PLAIN LOGIN']);
  });

  test('where it is required, EHLO, NOOP, RSET and QUIT work before it, and mail after it', async () => {
    const rig = await open({ tls: 'starttls-required' });
    const client = await greeted(rig);
    expect(await offers(client)).toEqual(['STARTTLS']);
    for (const line of ['NOOP', 'RSET']) expect((await client.command(line)).code).toBe(250);
    await client.startTls();
    await offers(client);
    expect(await submit(client)).toBe(250);
    expect((await client.command('QUIT')).code).toBe(221);
  });

  test('what was said before it is forgotten: EHLO, the sender, the login', async () => {
    const rig = await open({
      tls: 'starttls',
      credentials: [await credentialFor('app', 'secret')],
      settings: { trusted: createNetworks([]) },
    });
    const client = await greeted(rig);
    await offers(client);
    const token = Buffer.from('\0app\0secret').toString('base64');
    expect((await client.command(`AUTH PLAIN ${token}`)).code).toBe(235);
    expect((await client.command('MAIL FROM:<a@example.com>')).code).toBe(250);
    await client.startTls();
    expect((await client.command('RCPT TO:<b@example.net>')).raw).toBe('503 5.5.1 Send EHLO first');
    await offers(client);
    expect((await client.command('RCPT TO:<b@example.net>')).raw).toBe('503 5.5.1 Send MAIL first');
    expect((await client.command('MAIL FROM:<a@example.com>')).raw).toBe('530 5.7.0 Authentication required');
  });

  test.each([
    ['in the same packet', true],
    ['in a packet of its own', false],
  ])('commands in plain text behind it, %s, are not run inside TLS (CVE-2011-0411)', async (_how, together) => {
    const rig = await open({ tls: 'starttls' });
    const socket = connectTcp(rig.port, '127.0.0.1');
    await once(socket, 'data');
    socket.write('EHLO client.example\r\n');
    await once(socket, 'data');
    const injected = 'EHLO evil.example\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.net>\r\n';
    socket.write(together ? `STARTTLS\r\n${injected}` : 'STARTTLS\r\n');
    const [reply] = await once(socket, 'data');
    expect(String(reply)).toBe('220 2.0.0 Ready to start TLS\r\n');
    if (!together) {
      // The handshake cannot succeed with plain text in front of it; what matters is that nothing of it is run.
      socket.write(injected);
      await new Promise((resolve) => socket.on('close', resolve).resume());
      expect(rig.submissions).toEqual([]);
      return;
    }
    const secured = connectTls({ socket, rejectUnauthorized: false });
    await once(secured, 'secureConnect');
    secured.write('NOOP\r\nRCPT TO:<x@example.net>\r\nQUIT\r\n');
    expect(await readAll(secured)).toBe('250 2.0.0 Ok\r\n503 5.5.1 Send EHLO first\r\n221 2.0.0 Bye\r\n');
  });

  test('no reply of ours crosses into TLS from before it', async () => {
    const rig = await open({ tls: 'starttls' });
    const socket = connectTcp(rig.port, '127.0.0.1');
    await once(socket, 'data');
    // A hundred replies are under way when the handshake starts.
    socket.write(`EHLO client.example\r\n${'NOOP\r\n'.repeat(90)}STARTTLS\r\n`);
    let plain = '';
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      plain += String(chunk);
      if (plain.endsWith('220 2.0.0 Ready to start TLS\r\n')) break;
    }
    const secured = connectTls({ socket, rejectUnauthorized: false });
    await once(secured, 'secureConnect');
    secured.write('QUIT\r\n');
    expect(await readAll(secured)).toBe('221 2.0.0 Bye\r\n');
  });

  test('a connection gives its place back when the client leaves after the upgrade', async () => {
    const rig = await open({ tls: 'starttls' });
    const client = await greeted(rig);
    await client.startTls();
    await offers(client);
    expect(rig.limits.open()).toBe(1);
    client.destroy();
    await expect.poll(() => rig.limits.open()).toBe(0);
  });

  test.each(['starttls', 'implicit'] as const)(
    'a client that leaves during the handshake (%s) gives its place back at once',
    async (tls) => {
      const rig = await open({ tls });
      const socket = connectTcp(rig.port, '127.0.0.1');
      if (tls === 'starttls') {
        await once(socket, 'data');
        socket.write('STARTTLS\r\n');
        await once(socket, 'data');
      }
      await expect.poll(() => rig.limits.open()).toBe(1);
      socket.end();
      await expect.poll(() => rig.limits.open()).toBe(0);
      socket.destroy();
    },
  );

  test('a client that never finishes the handshake is cut off after its time', async () => {
    const clock = createManualClock(0);
    const rig = await open({ tls: 'starttls', clock });
    const client = await greeted(rig);
    await offers(client);
    expect((await client.command('STARTTLS')).code).toBe(220);
    await clock.advance(SESSION_TIMES.handshakeMs - 1);
    expect(rig.metrics).not.toContain('refused tls-handshake');
    await clock.advance(1);
    await client.closed();
    expect(rig.metrics).toContain('refused tls-handshake');
  });
});

describe('implicit TLS', () => {
  test('a message over it is recorded as ESMTPS', async () => {
    const rig = await open({ tls: 'implicit' });
    const client = await greeted(rig, { tls: true });
    await offers(client);
    expect(await submit(client)).toBe(250);
    expect(rig.submissions[0]?.submitter.protocol).toBe('ESMTPS');
  });

  test('a client that speaks plain SMTP is cut off, and the log says what is wrong', async () => {
    const rig = await open({ tls: 'implicit' });
    const socket = connectTcp(rig.port, '127.0.0.1');
    socket.write('EHLO client.example\r\n');
    socket.on('error', () => {}).resume();
    await once(socket, 'close');
    await expect
      .poll(() => rig.lines.map((line) => [line.fields['client'], line.fields['hint']]))
      .toEqual([['127.0.0.1', 'the client speaks plain SMTP to a listener with tls: implicit']]);
    expect(rig.limits.open()).toBe(0);
  });

  test('a client that connects and says nothing is cut off after its time', async () => {
    const clock = createManualClock(0);
    const rig = await open({ tls: 'implicit', clock });
    const socket = connectTcp(rig.port, '127.0.0.1');
    socket.on('error', () => {}).resume();
    await once(socket, 'connect');
    await expect.poll(() => rig.limits.open()).toBe(1);
    const closed = once(socket, 'close');
    await clock.advance(SESSION_TIMES.handshakeMs);
    await closed;
    await expect.poll(() => rig.limits.open()).toBe(0);
  });
});

describe('versions and certificates', () => {
  test.each([
    ['TLSv1.1', null],
    ['TLSv1.2', 'TLSv1.2'],
    ['TLSv1.3', 'TLSv1.3'],
  ] as const)('a client that speaks %s at most gets %s', async (maxVersion, negotiated) => {
    const rig = await open({ tls: 'implicit' });
    const socket = connectTls({
      port: rig.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      minVersion: 'TLSv1',
      maxVersion,
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    const version = await new Promise((resolve) => {
      socket.once('secureConnect', () => resolve(socket.getProtocol()));
      socket.once('error', () => resolve(null));
    });
    socket.destroy();
    expect(version).toBe(negotiated);
  });

  test.each(['starttls', 'implicit'] as const)('a TLS 1.2 client cannot renegotiate (%s)', async (tls) => {
    const rig = await open({ tls });
    const plain = connectTcp(rig.port, '127.0.0.1');
    if (tls === 'starttls') {
      await once(plain, 'data');
      plain.write('STARTTLS\r\n');
      await once(plain, 'data');
    }
    const socket = connectTls({ socket: plain, rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
    await once(socket, 'secureConnect');
    socket.write('NOOP\r\n');
    while (!String(await once(socket, 'data')).includes('250 ')) continue;
    socket.renegotiate({}, () => {
      if (socket.writable) socket.write('NOOP\r\nQUIT\r\n');
    });
    expect(await readAll(socket).catch(() => '')).toBe('');
  });

  test.each(['starttls', 'implicit'] as const)(
    'octets that are not TLS inside a TLS session end it (%s)',
    async (tls) => {
      const rig = await open({ tls });
      const upstream = connectTcp(rig.port, '127.0.0.1').on('error', () => {});
      // Somebody on the way, who can add octets and not read.
      const middle = createServer(
        (socket) =>
          void socket
            .on('error', () => {})
            .pipe(upstream)
            .pipe(socket),
      );
      await once(middle.listen(0, '127.0.0.1'), 'listening');
      const address = middle.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const client = await connect({ port }, { tls: tls === 'implicit' });
      await client.reply();
      if (tls === 'starttls') await client.startTls();
      await offers(client);
      upstream.write('MAIL FROM:<evil@example.com>\r\n');
      await expect.poll(() => rig.limits.open()).toBe(0);
      middle.close();
    },
  );

  test('a TLS client on a plain listener is cut off at once, and the log says what is wrong', async () => {
    const rig = await open({ tls: 'starttls' });
    const socket = connectTls({ port: rig.port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'error');
    expect(rig.metrics).toContain('refused tls-on-plain-port');
    expect(rig.lines[0]?.text).toContain('tls: implicit');
  });

  test('a new certificate is shown to connections after updateTls, and a broken one changes nothing', async () => {
    const rig = await open({ tls: 'implicit' });
    const { ensureSelfSigned } = await import('../../src/intake/certificate.ts');
    const { mkdtemp } = await import('node:fs/promises');
    const { tmpdir } = await import('node:os');
    const { join } = await import('node:path');
    const clock = createManualClock(1_800_000_000_000);
    const made = await ensureSelfSigned(await mkdtemp(join(tmpdir(), 'relay-tls-')), 'new.test', clock);
    rig.listener.updateTls(made);
    expect(() => rig.listener.updateTls({ cert: made.cert, key: 'no key' })).toThrow('cannot be used');
    const socket = connectTls({ port: rig.port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    expect(socket.getPeerCertificate().subject.CN).toBe('new.test');
    socket.destroy();
  });
});

async function readAll(socket: TLSSocket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}
