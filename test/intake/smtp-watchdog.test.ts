import { describe, expect, test } from 'vitest';
import type { Accepted } from '../../src/intake/submission.ts';
import { createIds } from '../../src/core/ids.ts';
import { createWatchdog, SESSION_TIMES } from '../../src/intake/smtp-watchdog.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';
import type { SmtpClient } from '../support/smtp-client.ts';
import { credentialFor, ENVELOPE, type Rig, type RigOptions, useSmtp } from '../support/smtp-listener.ts';

const smtp = useSmtp();

interface Timed {
  readonly rig: Rig;
  readonly clock: ManualClock;
  readonly client: SmtpClient;
}

async function open(options: RigOptions = {}): Promise<Timed> {
  const clock = createManualClock(1_700_000_000_000);
  const rig = await smtp.open({ clock, ...options });
  return { rig, clock, client: await smtp.dial(rig) };
}

const TIMEOUT = '421 4.4.2 Timeout, closing connection';

async function startContent({ client }: Timed): Promise<void> {
  for (const line of ENVELOPE) await client.command(line);
}

/** Writes and lets the server read. */
async function drip(timed: Timed, octets: string, ms: number): Promise<void> {
  await timed.client.write(octets);
  await timed.clock.advance(ms);
}

describe('createWatchdog', () => {
  test('fires once when the time is over, and not before', async () => {
    const clock = createManualClock(0);
    let fired = 0;
    createWatchdog(clock, () => fired++).start(100);
    await clock.advance(99);
    expect(fired).toBe(0);
    await clock.advance(1);
    expect(fired).toBe(1);
    await clock.advance(1000);
    expect(fired).toBe(1);
  });

  test('a later start moves the end in either direction', async () => {
    for (const ms of [50, 500]) {
      const clock = createManualClock(0);
      let fired = 0;
      const watchdog = createWatchdog(clock, () => fired++);
      watchdog.start(100);
      watchdog.start(ms);
      await clock.advance(ms - 1);
      expect(fired).toBe(0);
      await clock.advance(1);
      expect(fired).toBe(1);
    }
  });

  test('does not fire while paused, nor after a stop', async () => {
    const clock = createManualClock(0);
    let fired = 0;
    const watchdog = createWatchdog(clock, () => fired++);
    watchdog.start(100);
    watchdog.pause();
    await clock.advance(1000);
    expect(fired).toBe(0);
    watchdog.start(100);
    watchdog.stop();
    watchdog.start(10);
    await clock.advance(1000);
    expect([fired, clock.pending()]).toEqual([0, 0]);
  });

  test('needs one timer for very many commands', async () => {
    const clock = createManualClock(0);
    const watchdog = createWatchdog(clock, () => {});
    for (let i = 0; i < 1000; i++) watchdog.start(60_000);
    expect(clock.pending()).toBe(1);
  });
});

describe('a session', () => {
  test('is ended when no command comes for a minute, and not earlier', async () => {
    const { client, clock, rig } = await open();
    await clock.advance(SESSION_TIMES.commandMs - 1);
    expect((await client.command('NOOP')).code).toBe(250);
    await clock.advance(SESSION_TIMES.commandMs);
    expect((await client.reply()).raw).toBe(TIMEOUT);
    await client.closed();
    expect(rig.metrics).toContain('refused timeout');
  });

  test('is ended when a command drips in, octet by octet (slowloris)', async () => {
    const timed = await open();
    for (let i = 0; i < 12; i++) await drip(timed, 'N', 5000);
    expect((await timed.client.reply()).raw).toBe(TIMEOUT);
  });

  test('is ended ten minutes after the last message, however many commands come', async () => {
    const { client, clock } = await open();
    for (let i = 0; i < 19; i++) {
      await clock.advance(30_000);
      expect((await client.command('NOOP')).code).toBe(250);
    }
    await clock.advance(30_000);
    expect((await client.reply()).raw).toBe(TIMEOUT);
  });

  test('goes on for as long as it brings messages', async () => {
    const timed = await open();
    for (let i = 0; i < 30; i++) {
      await timed.clock.advance(50_000);
      await startContent(timed);
      await timed.client.write('x\r\n.\r\n');
      expect((await timed.client.reply()).code).toBe(250);
    }
  });

  test('is ended when an AUTH exchange takes longer than 30 s in all', async () => {
    const { client, clock } = await open({ credentials: [await credentialFor('app', 'secret')] });
    await client.command('AUTH LOGIN');
    await clock.advance(20_000);
    await client.command(Buffer.from('app').toString('base64'));
    await clock.advance(SESSION_TIMES.authMs - 20_001);
    expect(client.received()).not.toContain('421');
    await clock.advance(1);
    expect((await client.reply()).raw).toBe(TIMEOUT);
  });
});

describe('DATA', () => {
  test('is ended when nothing arrives', async () => {
    const timed = await open();
    await startContent(timed);
    await timed.clock.advance(SESSION_TIMES.dataWindowMs);
    expect((await timed.client.reply()).raw).toBe(TIMEOUT);
    expect(timed.rig.submissions).toEqual([]);
  });

  test('is ended when less than the least rate arrives (slowloris)', async () => {
    const timed = await open();
    await startContent(timed);
    const second = `${'x'.repeat(498)}\r\n`;
    for (let i = 0; i < 29; i++) await drip(timed, second, 1000);
    await drip(timed, second.slice(1), 1000);
    expect((await timed.client.reply()).raw).toBe(TIMEOUT);
  });

  test('goes on at the least rate, and is ended after five minutes all the same', async () => {
    const timed = await open();
    await startContent(timed);
    const window = `${'x'.repeat(SESSION_TIMES.dataWindowBytes - 2)}\r\n`;
    for (let i = 1; i < 10; i++) {
      await drip(timed, window, SESSION_TIMES.dataWindowMs);
      expect(timed.client.received()).not.toContain('421');
    }
    await drip(timed, window, SESSION_TIMES.dataWindowMs);
    expect((await timed.client.reply()).raw).toBe(TIMEOUT);
  });

  test('that began before the ten minutes of the session are over may finish after them', async () => {
    const timed = await open();
    for (let i = 0; i < 11; i++) {
      await timed.clock.advance(50_000);
      await timed.client.command('NOOP');
    }
    await timed.clock.advance(49_000);
    await startContent(timed);
    await timed.clock.advance(20_000);
    await timed.client.write('x\r\n.\r\n');
    expect((await timed.client.reply()).code).toBe(250);
  });

  test('has no limit on the time that the relay takes to answer', async () => {
    const { promise, resolve } = Promise.withResolvers<Accepted>();
    const asked = Promise.withResolvers<void>();
    const timed = await open({
      intake: {
        accept: () => {
          asked.resolve();
          return promise;
        },
      },
    });
    await startContent(timed);
    await timed.client.write('x\r\n.\r\n');
    await asked.promise;
    await timed.clock.advance(3_600_000);
    resolve({ kind: 'accepted', id: createIds(timed.clock).message(), deliveries: [] });
    expect((await timed.client.reply()).code).toBe(250);
  });
});
