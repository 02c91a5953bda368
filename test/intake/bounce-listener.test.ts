import { afterEach, describe, expect, test } from 'vitest';
import type { ListenerTls } from '../../src/config/types.ts';
import { RelayError } from '../../src/core/errors.ts';
import { type DeliveryId, parseDeliveryId } from '../../src/core/ids.ts';
import { systemClock } from '../../src/core/time.ts';
import { createReturnPaths } from '../../src/feedback/return-path.ts';
import { createBounceListener } from '../../src/intake/bounce-listener.ts';
import { createBounceSettings, MAX_REPORT_BYTES, MAX_REPORT_RECIPIENTS } from '../../src/intake/bounce-settings.ts';
import { createConnectionLimits } from '../../src/intake/smtp-limits.ts';
import type { SmtpListener } from '../../src/intake/smtp-listener.ts';
import type { Feedback, FeedbackStore, StoreHealth } from '../../src/store/store.ts';
import { complaint, eximBounce, OUT_OF_OFFICE, postfixBounce } from '../mail/bounces.ts';
import { connectSmtp, type SmtpClient } from '../support/smtp-client.ts';
import { createMemoryLog, testCertificate } from '../support/smtp-listener.ts';

const known = parseDeliveryId(`dlv_${'1'.repeat(26)}`) ?? fail();
const gone = parseDeliveryId(`dlv_${'2'.repeat(26)}`) ?? fail();
const paths = createReturnPaths(new Uint8Array(32).fill(9));
const RETURN_PATH = paths.make(known, 'bounces.example.com');

function fail(): never {
  throw new Error('bad id in a test');
}

const listeners: SmtpListener[] = [];
const clients: SmtpClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await Promise.all(listeners.splice(0).map((listener) => listener.stop(0)));
});

interface BounceRigOptions {
  readonly tls?: ListenerTls;
  readonly store?: Partial<FeedbackStore>;
  readonly health?: StoreHealth;
}

async function open(options: BounceRigOptions = {}) {
  const recorded: Feedback[] = [];
  const log = createMemoryLog();
  const seen = new Set<DeliveryId>();
  const settings = createBounceSettings({
    hostname: 'relay.test',
    senders: [
      { domain: 'example.com', dkim: [], returnPath: 'bounces.example.com' },
      { domain: 'example.org', dkim: [], returnPath: null },
    ],
    bounces: { dsn: false, listeners: [], suppressForMs: 86_400_000 },
  });
  const feedback: FeedbackStore = {
    secret: () => Promise.resolve(new Uint8Array(32)),
    knows: (id) => Promise.resolve(id === known),
    byMessageId: () => Promise.resolve([]),
    record(item) {
      if (seen.has(item.deliveryId)) return Promise.resolve('duplicate');
      seen.add(item.deliveryId);
      recorded.push(item);
      return Promise.resolve('recorded');
    },
    ...options.store,
  };
  const tls = options.tls ?? 'none';
  const listener = createBounceListener({
    listener: { host: '127.0.0.1', port: 0, tls },
    settings: () => settings,
    feedback,
    health: { current: () => options.health ?? { accepting: true, kind: 'ok', reason: '' } },
    paths,
    tls: tls === 'none' ? null : await testCertificate(),
    clock: systemClock,
    log,
    limits: createConnectionLimits(() => settings.smtp),
  });
  listeners.push(listener);
  await listener.start();
  const client = await connectSmtp({ port: listener.address.port });
  clients.push(client);
  await client.reply();
  const hello = await client.command('EHLO mx.example.net');
  return { client, hello, recorded, lines: log.lines, listener };
}

/** A transaction from `<>` to `recipients`; returns the reply to the dot. */
async function send(client: SmtpClient, text: string, recipients: readonly string[] = [RETURN_PATH]) {
  await client.command('MAIL FROM:<>');
  for (const recipient of recipients) await client.command(`RCPT TO:<${recipient}>`);
  await client.command('DATA');
  return client.command(`${text}.`);
}

describe('a bounce at the return path of a delivery', () => {
  test('is recorded before its 250', async () => {
    const { client, recorded } = await open();
    expect((await send(client, postfixBounce())).raw).toBe('250 2.0.0 Ok: report taken');
    expect(recorded).toMatchObject([{ deliveryId: known, kind: { type: 'bounced', bounce: { class: 'recipient' } } }]);
  });

  test('is taken whatever letter case its address came back in', async () => {
    const { client, recorded } = await open();
    expect((await send(client, postfixBounce(), [RETURN_PATH.toUpperCase()])).code).toBe(250);
    expect(recorded).toHaveLength(1);
  });

  test('is taken a second time and recorded once', async () => {
    const { client, recorded, lines } = await open();
    await send(client, postfixBounce());
    expect((await send(client, postfixBounce())).code).toBe(250);
    expect(recorded).toHaveLength(1);
    expect(lines.map((line) => line.fields.reason)).toContain('the same was reported before');
  });

  test('may have a sender', async () => {
    const { client } = await open();
    expect((await client.command('MAIL FROM:<postmaster@mx.example.net> SIZE=1000 BODY=8BITMIME')).code).toBe(250);
    expect((await client.command(`RCPT TO:<${RETURN_PATH}> NOTIFY=NEVER`)).code).toBe(250);
  });

  test.each([
    ['store-io', 451],
    ['store-closed', 451],
    ['store-full', 452],
  ] as const)('gets a 4xx when the store fails with %s', async (code, reply) => {
    const { client } = await open({
      store: { record: () => Promise.reject(new RelayError('no', { code, op: 'store.record' })) },
    });
    expect((await send(client, postfixBounce())).code).toBe(reply);
  });
});

describe('at a return path', () => {
  test.each([
    ['an automatic reply', OUT_OF_OFFICE],
    ['a report of success', eximBounce({ action: 'delivered' })],
  ])('%s is taken, dropped and logged', async (_name, text) => {
    const { client, recorded, lines } = await open();
    expect((await send(client, text)).code).toBe(250);
    expect(recorded).toEqual([]);
    expect(lines).toMatchObject([{ level: 'info', fields: { event: 'feedback.ignored', delivery: known } }]);
  });
});

describe('RCPT', () => {
  test.each([
    ['another domain', 'ann@elsewhere.example'],
    ['a return path at another domain', RETURN_PATH.replace('bounces.example.com', 'elsewhere.example')],
    ['the domain of a sender', 'postmaster@example.com'],
    ['a local part of its own', 'info@bounces.example.com'],
    ['a forged return path', RETURN_PATH.replace(/.@/, (end) => (end === '0@' ? '1@' : '0@'))],
    ['a delivery that is gone', paths.make(gone, 'bounces.example.com')],
  ])('to %s is refused before any content', async (_name, recipient) => {
    const { client } = await open();
    await client.command('MAIL FROM:<>');
    expect((await client.command(`RCPT TO:<${recipient}>`)).raw).toMatch(/^550 5\.1\.1 No such address here/);
    expect((await client.command('DATA')).code).toBe(503);
  });

  test.each(['fbl', 'abuse', 'Postmaster'])('to %s@ a return path domain is taken', async (local) => {
    const { client } = await open();
    await client.command('MAIL FROM:<feedback@provider.example>');
    expect((await client.command(`RCPT TO:<${local}@bounces.example.com>`)).code).toBe(250);
  });

  test('gets 451 while the store cannot be asked', async () => {
    const trouble = new RelayError('no', { code: 'store-io', op: 'store.knows' });
    const { client } = await open({ store: { knows: () => Promise.reject(trouble) } });
    await client.command('MAIL FROM:<>');
    expect((await client.command(`RCPT TO:<${RETURN_PATH}>`)).code).toBe(451);
  });

  test('beyond the limit of recipients gets 452', async () => {
    const { client } = await open({ store: { knows: () => Promise.resolve(true) } });
    await client.command('MAIL FROM:<>');
    const digits = '0123456789abcdef'.slice(0, MAX_REPORT_RECIPIENTS + 1);
    const codes: number[] = [];
    for (const digit of digits) {
      const id = parseDeliveryId(`dlv_${digit.repeat(26)}`) ?? fail();
      codes.push((await client.command(`RCPT TO:<${paths.make(id, 'bounces.example.com')}>`)).code);
    }
    expect(codes).toEqual([...Array.from({ length: MAX_REPORT_RECIPIENTS }, () => 250), 452]);
  });

  test('is answered in order when commands are pipelined', async () => {
    const { client } = await open();
    await client.write(`MAIL FROM:<>\r\nRCPT TO:<${RETURN_PATH}>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n`);
    const codes = [await client.reply(), await client.reply(), await client.reply(), await client.reply()];
    expect(codes.map((reply) => reply.code)).toEqual([250, 250, 550, 354]);
  });

  test('of many addresses that are none ends the session', async () => {
    const { client } = await open();
    await client.command('MAIL FROM:<>');
    let code = 550;
    for (let i = 0; i < 20 && code === 550; i++)
      code = (await client.command(`RCPT TO:<u${i}@bounces.example.com>`)).code;
    await client.closed();
    expect(client.received()).toMatch(/421 4\.7\.0 Too many errors\r\n$/);
  });
});

describe('at a fixed address', () => {
  test('a complaint about mail of ours is recorded', async () => {
    const { client, recorded } = await open();
    const text = complaint({ returnPath: RETURN_PATH });
    expect((await send(client, text, ['fbl@bounces.example.com'])).code).toBe(250);
    expect(recorded).toMatchObject([{ deliveryId: known, kind: { type: 'complained' } }]);
  });

  test.each([
    ['a complaint about other mail', complaint()],
    ['a bounce', postfixBounce()],
    ['a message of a person', OUT_OF_OFFICE],
  ])('%s is refused at the dot', async (_name, text) => {
    const { client, recorded } = await open();
    expect((await send(client, text, ['abuse@bounces.example.com'])).raw).toMatch(/^550 5\.1\.1 /);
    expect(recorded).toEqual([]);
  });
});

describe('the session', () => {
  test('offers neither AUTH nor DSN, and takes no AUTH', async () => {
    const { client, hello } = await open({ tls: 'starttls' });
    expect(hello.lines.slice(1)).toEqual([
      'PIPELINING',
      `SIZE ${MAX_REPORT_BYTES}`,
      '8BITMIME',
      'SMTPUTF8',
      'ENHANCEDSTATUSCODES',
      'STARTTLS',
    ]);
    expect((await client.command('AUTH PLAIN AGEAYg==')).code).toBe(502);
  });

  test('goes on over TLS after STARTTLS', async () => {
    const { client, recorded } = await open({ tls: 'starttls' });
    await client.startTls();
    await client.command('EHLO mx.example.net');
    expect((await send(client, postfixBounce())).code).toBe(250);
    expect(recorded).toHaveLength(1);
  });

  test('refuses what is over its size, declared or sent', async () => {
    const { client, recorded } = await open();
    expect((await client.command(`MAIL FROM:<> SIZE=${MAX_REPORT_BYTES + 1}`)).raw).toMatch(/^552 5\.3\.4 /);
    const filler = `${'x'.repeat(998)}\r\n`.repeat(Math.ceil(MAX_REPORT_BYTES / 1000) + 1);
    expect((await send(client, postfixBounce() + filler)).raw).toMatch(/^552 5\.3\.4 /);
    expect(recorded).toEqual([]);
  });

  test('closes on line ends that smuggling is made of', async () => {
    const { client, recorded } = await open();
    const reply = await send(client, `${postfixBounce()}\n.\nMAIL FROM:<>\r\n`);
    expect(reply.raw).toMatch(/^550 5\.6\.0 /);
    await client.closed();
    expect(recorded).toEqual([]);
  });

  test.each([
    ['full', 452],
    ['io', 451],
  ] as const)('answers MAIL with a 4xx while the store is unwell (%s)', async (kind, code) => {
    const { client } = await open({ health: { accepting: false, kind, reason: 'test' } });
    expect((await client.command('MAIL FROM:<>')).code).toBe(code);
  });
});
