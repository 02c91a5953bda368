import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { RelayError } from '../../src/core/errors.ts';
import { createIds } from '../../src/core/ids.ts';
import { systemClock } from '../../src/core/time.ts';
import { createSmtpListener } from '../../src/intake/smtp-listener.ts';
import { createSmtpSettings } from '../../src/intake/smtp-settings.ts';
import type { Accepted } from '../../src/intake/submission.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createManualClock } from '../support/clock.ts';
import { credentialFor, ENVELOPE, useSmtp } from '../support/smtp-listener.ts';

const smtp = useSmtp();
const { open, dial } = smtp;
const SHUTDOWN = '421 4.3.2 relay.test Service shutting down';

async function refused(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('error', () => resolve(true));
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
  });
}

describe('start', () => {
  test('tells the port that the system chose', async () => {
    const rig = await open();
    expect(rig.listener.address).toEqual({ host: '127.0.0.1', port: rig.port });
    expect(rig.port).toBeGreaterThan(0);
  });

  test('rejects with a hint when the port is taken', async () => {
    const taken = await open();
    const { settings, limits } = taken;
    const second = createSmtpListener({
      listener: { host: '127.0.0.1', port: taken.port, tls: 'none' },
      settings: () => settings,
      credentials: { verify: async () => 'denied', refresh: () => null },
      intake: { ready: () => null, checkSender: () => null, accept: () => Promise.reject(new Error('not used')) },
      tls: null,
      clock: systemClock,
      log: silentLog,
      limits,
    });
    const error = await second.start().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RelayError);
    expect(error).toMatchObject({ code: 'listen', hint: expect.stringContaining('another port') });
    expect(String(error)).toContain(`127.0.0.1:${taken.port}`);
  });

  test.each(['starttls', 'starttls-required', 'implicit'] as const)(
    'tls: %s without a certificate is an error',
    (tls) => {
      const make = (): unknown =>
        createSmtpListener({
          listener: { host: '127.0.0.1', port: 0, tls },
          settings: () => createSmtpSettings({ hostname: 'relay.test', smtp: SMTP, credentials: [] }),
          credentials: { verify: async () => 'denied', refresh: () => null },
          intake: { ready: () => null, checkSender: () => null, accept: () => Promise.reject(new Error('not used')) },
          tls: null,
          clock: systemClock,
          log: silentLog,
          limits: { enter: () => 'too-many', content: () => ({ reserve: () => false, release() {} }), open: () => 0 },
        });
      expect(make).toThrow(/certificate/);
    },
  );

  test('listens on IPv6 too, and finds an IPv4 client in the trusted networks of a dual-stack socket', async () => {
    const rig = await open({ host: '::' });
    for (const host of ['127.0.0.1', '::1']) {
      const client = await dial(rig, { host });
      for (const line of ENVELOPE) await client.command(line);
      await client.write('x\r\n.\r\n');
      expect((await client.reply()).code).toBe(250);
    }
    expect(rig.submissions.map((s) => s.submitter.address)).toEqual(['127.0.0.1', '::1']);
  });
});

describe('settings', () => {
  test('come from the config, networks prepared', async () => {
    const settings = createSmtpSettings({
      hostname: 'relay.test',
      smtp: { ...SMTP, trustedNetworks: ['10.0.0.0/8'] },
      credentials: [await credentialFor('app', 'secret')],
    });
    expect(settings).toMatchObject({ hostname: 'relay.test', maxRecipients: 7, hasCredentials: true });
    expect([settings.trusted.contains('10.1.2.3'), settings.trusted.contains('11.1.2.3')]).toEqual([true, false]);
  });

  test('that change hold for open connections from the next command on', async () => {
    const rig = await open();
    const client = await dial(rig);
    Object.assign(rig.settings, { hostname: 'new.test', maxMessageBytes: 10, maxRecipients: 1 });
    expect((await client.command('EHLO client.example')).lines.slice(0, 3)).toEqual([
      'new.test',
      'PIPELINING',
      'SIZE 10',
    ]);
    await client.command('MAIL FROM:<a@example.com>');
    await client.command('RCPT TO:<a@example.net>');
    expect((await client.command('RCPT TO:<b@example.net>')).code).toBe(452);
  });
});

describe('stop', () => {
  test('refuses new connections, and sends idle clients away with 421', async () => {
    const rig = await open();
    const client = await dial(rig);
    await client.command('MAIL FROM:<app@example.com>');
    const stopped = rig.listener.stop();
    expect(await refused(rig.port)).toBe(true);
    expect((await client.reply()).raw).toBe(SHUTDOWN);
    await client.closed();
    client.destroy();
    await stopped;
  });

  test('lets a message that is arriving finish, answers it, and then closes', async () => {
    const rig = await open();
    const client = await dial(rig);
    for (const line of ENVELOPE) await client.command(line);
    await client.write('first half\r\n');
    const stopped = rig.listener.stop();
    await client.write('second half\r\n.\r\nNOOP\r\n');
    expect((await client.reply()).raw).toMatch(/^250 2\.0\.0 Ok: queued as /);
    expect((await client.reply()).raw).toBe(SHUTDOWN);
    await client.closed();
    client.destroy();
    await stopped;
    expect(Buffer.from(rig.submissions[0]?.content ?? []).toString()).toBe('first half\r\nsecond half\r\n');
    expect(client.received()).not.toContain('250 2.0.0 Ok\r\n');
  });

  test('waits for the answer of a message that is being committed', async () => {
    const commit = Promise.withResolvers<Accepted>();
    const asked = Promise.withResolvers<void>();
    const rig = await open({
      intake: {
        accept() {
          asked.resolve();
          return commit.promise;
        },
      },
    });
    const client = await dial(rig);
    for (const line of ENVELOPE) await client.command(line);
    await client.write('x\r\n.\r\n');
    await asked.promise;
    let done = false;
    const stopped = rig.listener.stop().then(() => {
      done = true;
    });
    expect(await refused(rig.port)).toBe(true);
    expect(done).toBe(false);
    commit.resolve({ kind: 'accepted', id: createIds(systemClock).message(), deliveries: [] });
    expect((await client.reply()).code).toBe(250);
    await client.closed();
    client.destroy();
    await stopped;
  });

  test('cuts off what is still arriving when its bound is over', async () => {
    const clock = createManualClock(0);
    const rig = await open({ clock });
    const client = await dial(rig);
    for (const line of ENVELOPE) await client.command(line);
    const stopped = rig.listener.stop(5000);
    await clock.advance(4999);
    expect(client.received()).not.toContain('421');
    await clock.advance(1);
    await stopped;
    await client.closed();
    expect(client.received()).toContain(SHUTDOWN);
    expect(rig.submissions).toEqual([]);
  });

  test('cuts off handshakes that are under way', async () => {
    const rig = await open({ tls: 'implicit' });
    const socket = connect(rig.port, '127.0.0.1');
    socket.on('error', () => {}).resume();
    await once(socket, 'connect');
    await expect.poll(() => rig.limits.open()).toBe(1);
    await rig.listener.stop();
    await expect.poll(() => rig.limits.open()).toBe(0);
  });

  test('resolves for everybody who asks, and without a start', async () => {
    const rig = await open();
    await Promise.all([rig.listener.stop(), rig.listener.stop()]);
    expect(await refused(rig.port)).toBe(true);
  });
});

const SMTP = {
  listeners: [],
  tls: null,
  trustedNetworks: [],
  maxMessageBytes: 1000,
  maxRecipients: 7,
  maxConnections: 10,
  maxConnectionsPerIp: 5,
};
