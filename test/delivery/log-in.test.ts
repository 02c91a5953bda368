import net from 'node:net';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/core/time.ts';
import { parseCapabilities } from '../../src/delivery/smtp/capabilities.ts';
import { logIn } from '../../src/delivery/smtp/log-in.ts';
import { createReplyTap } from '../../src/delivery/smtp/reply-tap.ts';
import { SMTP_TIMEOUTS } from '../../src/delivery/smtp/timeouts.ts';
import { hangUp, raw, replyAndHangUp, reply, stall } from '../support/next-hop.ts';
import { bench, benchFor, hopWith, manualBench, routeTo } from './fixture.ts';

const auth = { username: 'relay', password: 'correct horse' };

test.each([[['PLAIN', 'LOGIN']], [['LOGIN']], [['PLAIN']]])('logs in where %s is offered', async (mechanisms) => {
  const { hop, deliver } = await bench({ auth: { ...auth, mechanisms } }, { auth });
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.messages[0]?.username).toBe('relay');
});

test('logs in over TLS after STARTTLS, and not before', async () => {
  const hop = await hopWith({ tls: 'starttls', auth });
  const { deliver } = benchFor(routeTo(hop.port, { tls: 'required', ca: hop.ca, auth }));
  expect((await deliver()).kind).toBe('delivered');
  const verbs = hop.lines.map(({ line }) => line.split(' ')[0]);
  expect(verbs.slice(0, 4)).toEqual(['EHLO', 'STARTTLS', 'EHLO', 'AUTH']);
});

test('logs in once for all messages of a connection', async () => {
  const { hop, deliver } = await bench({ auth }, { auth });
  await deliver();
  await deliver();
  expect(hop.messages).toHaveLength(2);
  expect(hop.reached('AUTH')).toBe(1);
});

test('a wrong password defers with cause auth, and nothing is sent', async () => {
  const { hop, deliver } = await bench({ auth }, { auth: { username: 'relay', password: 'wrong' } });
  expect(await deliver()).toMatchObject({
    kind: 'deferred',
    cause: 'auth',
    stage: 'auth',
    code: 535,
    enhanced: '5.7.8',
  });
  expect(hop.reached('MAIL')).toBe(0);
  await hop.until(() => hop.openConnections() === 0);
});

test('a temporary failure of AUTH defers with cause auth', async () => {
  const { deliver } = await bench({ auth, on: { AUTH: reply('454 4.7.0 try later') } }, { auth });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'auth', stage: 'auth', code: 454 });
});

test('a server that closes at AUTH with 421 is in trouble itself', async () => {
  const { deliver } = await bench({ auth, on: { AUTH: replyAndHangUp('421 4.3.2 closing') } }, { auth });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'auth', code: 421 });
});

test('a server that hangs up at AUTH defers', async () => {
  const { deliver } = await bench({ auth, on: { AUTH: hangUp } }, { auth });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'auth' });
});

test('with a username configured, nothing is sent to a server that offers no AUTH', async () => {
  const { hop, deliver } = await bench({}, { auth });
  const outcome = await deliver();
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'auth', stage: 'auth', code: null });
  expect(outcome.response).toMatch(/offers no AUTH/);
  expect(hop.reached('AUTH') + hop.reached('MAIL')).toBe(0);
});

test('nor to one that knows only HELO', async () => {
  const { hop, deliver } = await bench({ on: { EHLO: reply('502 5.5.1 unknown') } }, { auth });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'auth', stage: 'auth' });
  expect(hop.reached('AUTH') + hop.reached('MAIL')).toBe(0);
});

test('nor to one that offers only mechanisms that we do not speak', async () => {
  const { hop, deliver } = await bench({ auth: { ...auth, mechanisms: ['GSSAPI', 'XOAUTH2'] } }, { auth });
  const outcome = await deliver();
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'auth', stage: 'auth' });
  expect(outcome.response).toMatch(/GSSAPI XOAUTH2/);
  expect(hop.reached('AUTH')).toBe(0);
});

test('the password is not in what is recorded, even when the server repeats it', async () => {
  const plain = btoa(`\0${auth.username}\0${auth.password}`);
  const { deliver } = await bench(
    { auth, on: { AUTH: reply(`535 5.7.8 bad "${auth.password}" in "AUTH PLAIN ${plain}"`) } },
    { auth },
  );
  const { response } = await deliver();
  expect(response).not.toContain(auth.password);
  expect(response).not.toContain(plain);
});

test('AUTH that is not answered is given up', async () => {
  const { hop, clock, deliver } = await manualBench({ auth, on: { AUTH: stall } }, { auth });
  const outcome = deliver();
  await hop.until(() => hop.reached('AUTH') === 1);
  await clock.advance(15_000);
  expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'auth' });
  await hop.until(() => hop.openConnections() === 0);
});

test('a server that asks for ever during AUTH is given up', async () => {
  const { hop, clock, deliver } = await manualBench({ auth, on: { AUTH: raw('334 \r\n'.repeat(20_000)) } }, { auth });
  const outcome = deliver();
  await hop.until(() => hop.openConnections() === 0 && hop.connections() === 1);
  await clock.advance(15_000);
  expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'auth' });
});

test('the password does not go over a plain connection that leaves the machine, whatever the config says', async () => {
  // A socket without a peer has no address, so it is no loopback connection.
  const socket = new net.Socket();
  const connection = new SMTPConnection({ connection: socket });
  const deps = {
    endpoint: {
      nextHop: 'mail.example.net:25',
      host: 'mail.example.net',
      address: null,
      port: 25,
      tls: 'none',
      tlsOptions: {},
      judge: null,
      tlsReason: '',
      tlsAdvice: '',
      auth,
      localAddress: null,
    } as const,
    ehlo: 'relay.example.com',
    connectTimeoutMs: 1_000,
    timeouts: SMTP_TIMEOUTS,
    clock: systemClock,
  };
  const capabilities = parseCapabilities('250-mail.example.net\n250 AUTH PLAIN');
  const tap = createReplyTap(1_000);
  const greeted = { kind: 'greeted', connection, socket, tap, capabilities, tlsMs: null } as const;
  expect(await logIn(deps, greeted, new AbortController().signal)).toMatchObject({
    kind: 'failure',
    reason: 'auth',
    text: 'the connection to mail.example.net:25 is not encrypted: the password was not sent',
  });
  expect(socket.destroyed).toBe(true);
});
