import { describe, expect, test } from 'vitest';
import { createNetworks } from '../../src/intake/networks.ts';
import { createConnectionLimits, type Slot } from '../../src/intake/smtp-limits.ts';
import type { SmtpClient } from '../support/smtp-client.ts';
import { credentialFor, type Rig, useSmtp } from '../support/smtp-listener.ts';

const settings = { maxConnections: 8, maxConnectionsPerIp: 3, maxMessageBytes: 1000 };

function slot(entered: Slot | string): Slot {
  if (typeof entered === 'string') throw new Error(entered);
  return entered;
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

  test('content memory is bounded at 256 MB, or four messages when those are larger', () => {
    for (const [maxMessageBytes, most] of [
      [1000, 256 * 1024 * 1024],
      [100_000_000, 400_000_000],
    ] as const) {
      const limits = createConnectionLimits(() => ({ ...settings, maxMessageBytes }));
      expect([limits.reserve(most), limits.reserve(1)]).toEqual([true, false]);
      limits.release(1);
      expect(limits.reserve(1)).toBe(true);
    }
  });
});

describe('over listeners', () => {
  const { open, connect } = useSmtp();

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
});
