import { describe, expect, test } from 'vitest';
import { createIds } from '../../src/core/ids.ts';
import { systemClock } from '../../src/core/time.ts';
import { createNetworks } from '../../src/intake/networks.ts';
import { type ConnectionLimits, createConnectionLimits, type Slot } from '../../src/intake/smtp-limits.ts';
import type { Accepted } from '../../src/intake/submission.ts';
import type { SmtpClient } from '../support/smtp-client.ts';
import { credentialFor, ENVELOPE, type Rig, useSmtp } from '../support/smtp-listener.ts';

const settings = { maxConnections: 8, maxConnectionsPerIp: 3, maxMessageBytes: 1000 };

const KB = 1024;
const POT = 256 * KB * KB;
const QUARTER = POT / 4;
const SMALL = 256 * KB;
/** What messages over 256 KB may fill. */
const LARGE = (POT / 8) * 7;

/** Its username, and its address. */
type Client = readonly [string | null, string];

function slot(entered: Slot | string): Slot {
  if (typeof entered === 'string') throw new Error(entered);
  return entered;
}

/** Fills `bytes` of the pot with messages of up to 256 KB of eight clients; says whether there was room. */
function fill(limits: ConnectionLimits, bytes: number): { readonly fits: boolean; readonly release: () => void } {
  const messages = Array.from({ length: Math.ceil(bytes / SMALL) }, (_, i) => limits.content(`filler ${i % 8}`, ''));
  const fits = messages.every((message, i) => message.reserve(Math.min(SMALL, bytes - i * SMALL)));
  return {
    fits,
    release() {
      for (const message of messages) message.release();
    },
  };
}

/** Whether nothing of the pot is taken. */
function isEmpty(limits: ConnectionLimits): boolean {
  const { fits, release } = fill(limits, POT);
  release();
  return fits;
}

/** Content of `bytes` octets (a multiple of 64) in lines. */
function lines(bytes: number): string {
  return `${'x'.repeat(62)}\r\n`.repeat(bytes / 64);
}

describe('createConnectionLimits', () => {
  test.each([
    [2, true],
    [3, true],
    [4, false],
  ])('of 3 connections per address, number %d is let in: %s', (count, admitted) => {
    const limits = createConnectionLimits(() => settings);
    const answers = Array.from({ length: count }, () => limits.enter('192.0.2.1', true));
    expect(typeof answers.at(-1) !== 'string').toBe(admitted);
    expect(typeof limits.enter('192.0.2.2', true)).not.toBe('string');
  });

  test.each([
    [7, true],
    [8, true],
    [9, false],
  ])('of 8 connections, number %d is let in: %s', (count, admitted) => {
    const limits = createConnectionLimits(() => settings);
    const answers = Array.from({ length: count }, (_, i) => limits.enter(`192.0.2.${i}`, true));
    expect(typeof answers.at(-1) !== 'string').toBe(admitted);
  });

  test('strangers get three quarters of them, and the known still come in', () => {
    const limits = createConnectionLimits(() => settings);
    const strangers = Array.from({ length: 7 }, (_, i) => limits.enter(`192.0.2.${i}`, false));
    expect(strangers.map((answer) => typeof answer === 'string')).toEqual([...Array(6).fill(false), true]);
    expect(typeof limits.enter('10.0.0.1', true)).not.toBe('string');
  });

  test('a stranger that logs in makes room for another', () => {
    const limits = createConnectionLimits(() => settings);
    const strangers = Array.from({ length: 6 }, (_, i) => limits.enter(`192.0.2.${i}`, false));
    expect(limits.enter('192.0.2.9', false)).toBe('too-many');
    slot(strangers[0] ?? '').known();
    slot(strangers[0] ?? '').known();
    expect(typeof limits.enter('192.0.2.9', false)).not.toBe('string');
    expect(limits.enter('192.0.2.10', false)).toBe('too-many');
  });

  test('with one connection in all, a stranger may have it', () => {
    const limits = createConnectionLimits(() => ({ ...settings, maxConnections: 1 }));
    expect(typeof limits.enter('192.0.2.1', false)).not.toBe('string');
  });

  test('a place that is given back twice is given back once', () => {
    const limits = createConnectionLimits(() => settings);
    const [a] = [slot(limits.enter('192.0.2.1', false)), slot(limits.enter('192.0.2.1', true))];
    a.leave();
    a.leave();
    a.known();
    expect(limits.open()).toBe(1);
  });

  test('an IPv6 /64 counts as one address', () => {
    const limits = createConnectionLimits(() => settings);
    for (let i = 1; i <= 3; i++) limits.enter(`2001:db8::${i}`, true);
    expect(limits.enter('2001:db8::99', true)).toBe('too-many-from-address');
  });
});

describe('the memory for unfinished content', () => {
  test.each([
    [1000, POT],
    [100_000_000, 400_000_000],
  ])('is 256 MB, or four of the largest messages: with messages of up to %d octets, %d', (maxMessageBytes, pot) => {
    const limits = createConnectionLimits(() => ({ ...settings, maxMessageBytes }));
    expect(fill(limits, pot - 1).fits).toBe(true);
    const [last, late] = [limits.content('last', ''), limits.content('late', '')];
    expect([last.reserve(1), late.reserve(1)]).toEqual([true, false]);
    last.release();
    expect([late.reserve(1), late.reserve(1)]).toEqual([true, false]);
  });

  test.each([
    [QUARTER - 1, true],
    [QUARTER, true],
    [QUARTER + 1, false],
  ])('gives a client a quarter over all its messages: %d octets are granted: %s', (bytes, granted) => {
    const limits = createConnectionLimits(() => settings);
    const first = limits.content('app', '');
    expect(first.reserve(SMALL)).toBe(true);
    expect(limits.content('app', '').reserve(bytes - SMALL)).toBe(granted);
    expect(limits.content('other', '').reserve(QUARTER)).toBe(true);
  });

  test.each([
    [99_999_999, true],
    [100_000_000, true],
    [100_000_001, false],
  ])(
    'always has room for one of the largest messages in that quarter: %d octets of 100000000: %s',
    (bytes, granted) => {
      const limits = createConnectionLimits(() => ({ ...settings, maxMessageBytes: 100_000_000 }));
      expect(limits.content('app', '').reserve(bytes)).toBe(granted);
    },
  );

  test.each<readonly [string, Client, Client, boolean]>([
    ['a username, wherever it comes from', ['app', '192.0.2.1'], ['app', '192.0.2.2'], false],
    ['two usernames at one address', ['app', '192.0.2.1'], ['other', '192.0.2.1'], true],
    ['an address without a login', [null, '192.0.2.1'], [null, '192.0.2.1'], false],
    ['two addresses of an IPv6 /64', [null, '2001:db8::1'], [null, '2001:db8::2'], false],
    ['two addresses', [null, '192.0.2.1'], [null, '192.0.2.2'], true],
    ['an address and a username spelled like it', [null, '192.0.2.1'], ['192.0.2.1', '192.0.2.1'], true],
  ])('counts clients: for %s, %j and %j have a quarter each: %s', (_, one, two, separate) => {
    const limits = createConnectionLimits(() => settings);
    expect(limits.content(...one).reserve(QUARTER)).toBe(true);
    expect(limits.content(...two).reserve(1)).toBe(separate);
  });

  test.each([
    [SMALL - 1, true],
    [SMALL, true],
    [SMALL + 1, false],
  ])('keeps its last eighth for messages of up to 256 KB: one of %d octets gets in: %s', (bytes, granted) => {
    const limits = createConnectionLimits(() => settings);
    expect(fill(limits, LARGE).fits).toBe(true);
    const message = limits.content('app', '');
    expect([message.reserve(SMALL - 1), message.reserve(bytes - SMALL + 1)]).toEqual([true, granted]);
  });

  test.each([
    [LARGE - 1, true],
    [LARGE, true],
    [LARGE + 1, false],
  ])('lets a message over 256 KB grow until %d octets are taken: %s', (bytes, granted) => {
    const limits = createConnectionLimits(() => settings);
    expect(fill(limits, bytes - SMALL - 1).fits).toBe(true);
    const message = limits.content('app', '');
    expect([message.reserve(SMALL), message.reserve(1)]).toEqual([true, granted]);
  });

  test('is given back once, and a message that gave it back gets no more', () => {
    const limits = createConnectionLimits(() => settings);
    const [gone, stays] = [limits.content('app', ''), limits.content('app', '')];
    expect([gone.reserve(QUARTER - 1), stays.reserve(1)]).toEqual([true, true]);
    gone.release();
    gone.release();
    expect(gone.reserve(1)).toBe(false);
    expect([stays.reserve(QUARTER - 1), stays.reserve(1)]).toEqual([true, false]);
    stays.release();
    expect(isEmpty(limits)).toBe(true);
  });
});

describe('over listeners', () => {
  const { open, connect, dial } = useSmtp();

  /** Connects to `rig` and returns the first reply. */
  async function knock(rig: Rig, from = '127.0.0.1'): Promise<{ client: SmtpClient; raw: string }> {
    const client = await connect(rig, { from });
    return { client, raw: (await client.reply()).raw };
  }

  test('connections are counted together, per address and in all', async () => {
    const limits = createConnectionLimits(() => ({ ...settings, maxConnections: 4, maxConnectionsPerIp: 2 }));
    const [a, b] = [await open({ limits }), await open({ limits })];
    await knock(a);
    await knock(b);
    expect((await knock(a)).raw).toBe('421 4.7.0 Too many connections from your address, try again later');
    await knock(a, '127.0.0.2');
    const { client } = await knock(b, '127.0.0.2');
    expect((await knock(b, '127.0.0.3')).raw).toBe('421 4.7.0 Too many connections, try again later');
    client.destroy();
    await expect.poll(() => limits.open()).toBe(3);
    expect((await knock(b, '127.0.0.3')).raw).toMatch(/^220 /);
  });

  test('while strangers fill their share, a client that has logged in keeps its place and a trusted one comes in', async () => {
    const limits = createConnectionLimits(() => ({ ...settings, maxConnections: 4, maxConnectionsPerIp: 4 }));
    const rig = await open({
      limits,
      credentials: [await credentialFor('app', 'secret')],
      settings: { trusted: createNetworks(['127.0.0.9/32']) },
    });
    const { client } = await knock(rig);
    const { client: stranger } = await knock(rig, '127.0.0.2');
    await knock(rig, '127.0.0.2');
    expect((await knock(rig, '127.0.0.3')).raw).toMatch(/^421 /);
    await client.command('EHLO client.example');
    expect((await client.command(`AUTH PLAIN ${Buffer.from('\0app\0secret').toString('base64')}`)).code).toBe(235);
    expect((await knock(rig, '127.0.0.3')).raw).toMatch(/^220 /);
    expect((await knock(rig, '127.0.0.9')).raw).toMatch(/^421 /);
    stranger.destroy();
    await expect.poll(() => limits.open()).toBe(3);
    expect((await knock(rig, '127.0.0.9')).raw).toMatch(/^220 /);
  });

  test('limits that a reload changes hold for the next connection', async () => {
    const rig = await open({ settings: { maxConnectionsPerIp: 1 } });
    await knock(rig);
    expect((await knock(rig)).raw).toMatch(/^421 /);
    rig.settings.maxConnectionsPerIp = 2;
    expect((await knock(rig)).raw).toMatch(/^220 /);
  });

  /** Sends one message whose content has `bytes` octets in lines, and returns the last reply. */
  async function submit(client: SmtpClient, bytes: number): Promise<string> {
    for (const line of ENVELOPE) await client.command(line);
    await client.write(lines(bytes));
    return (await client.command('.')).raw;
  }

  test('while large messages fill the memory, a message of 20 KB gets in and one of 300 KB is told to come later', async () => {
    const rig = await open();
    expect(fill(rig.limits, LARGE).fits).toBe(true);
    const client = await dial(rig);
    expect(await submit(client, 20 * KB)).toMatch(/^250 /);
    expect(await submit(client, 300 * KB)).toBe('452 4.3.1 Too much mail is arriving at once, try again later');
    expect(await submit(client, 20 * KB)).toMatch(/^250 /);
  });

  test('a client that logged in is counted by its username, any other by its address', async () => {
    const rig = await open({ credentials: [await credentialFor('app', 'secret')] });
    rig.limits.content('app', '').reserve(QUARTER);
    const [app, other] = [await dial(rig), await dial(rig)];
    expect((await app.command(`AUTH PLAIN ${Buffer.from('\0app\0secret').toString('base64')}`)).code).toBe(235);
    expect(await submit(app, KB)).toMatch(/^452 /);
    expect(await submit(other, KB)).toMatch(/^250 /);
    rig.limits.content(null, '127.0.0.1').reserve(QUARTER);
    expect(await submit(other, KB)).toMatch(/^452 /);
  });

  test('a message that grew too big gives its memory back before its final dot', async () => {
    const rig = await open();
    const client = await dial(rig);
    for (const line of ENVELOPE) await client.command(line);
    await client.write(lines(900 * KB));
    await expect.poll(() => isEmpty(rig.limits)).toBe(false);
    await client.write(lines(200 * KB));
    await expect.poll(() => isEmpty(rig.limits)).toBe(true);
    expect((await client.command('.')).code).toBe(552);
  });

  test('memory comes back with the answer, and when the client leaves before its final dot', async () => {
    const rig = await open();
    const client = await dial(rig);
    expect(await submit(client, KB)).toMatch(/^250 /);
    expect(isEmpty(rig.limits)).toBe(true);
    for (const line of ENVELOPE) await client.command(line);
    await client.write(lines(KB));
    await expect.poll(() => isEmpty(rig.limits)).toBe(false);
    client.destroy();
    await expect.poll(() => isEmpty(rig.limits)).toBe(true);
  });

  test('memory of a message that is being committed stays taken when its client leaves, and comes back with the answer', async () => {
    const commit = Promise.withResolvers<Accepted>();
    const rig = await open({ intake: { accept: () => commit.promise } });
    const client = await dial(rig);
    for (const line of ENVELOPE) await client.command(line);
    await client.write('x\r\n.\r\n');
    client.reset();
    await expect.poll(() => rig.limits.open()).toBe(0);
    expect(isEmpty(rig.limits)).toBe(false);
    commit.resolve({ kind: 'accepted', id: createIds(systemClock).message(), deliveries: [] });
    await expect.poll(() => isEmpty(rig.limits)).toBe(true);
  });
});
