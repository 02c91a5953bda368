import { describe, expect, test } from 'vitest';
import type { EnvelopeAddress } from '../../src/core/address.ts';
import { BOUNCED, BUSY, CAPTURED, DELIVERED, HOSTILE, LOGIN_REFUSED, NO_USER, REFUSED, seed } from './seed.ts';
import { NOW, type Ran, run, tempFolder, type TestIoOptions, writeConfig } from './support.ts';

const trace = (folder: string, argv: readonly string[], options: TestIoOptions = {}): Promise<Ran> =>
  run(['trace', '--data', folder, ...argv], { tty: true, now: NOW + 2000, ...options });
const firstLine = (ran: Ran): string => ran.out.split('\n')[0] ?? '';
const ids = (ran: Ran): readonly unknown[] => ran.json.map((story) => story['id']);

describe('trace', () => {
  test('answers first what became of the mail, then tells its story in time order', async () => {
    const folder = tempFolder();
    const { accept, attempt, clock } = await seed(folder);
    const { id } = await accept({ warnings: ['X-Leadpush-Colour is not known'] });
    await attempt(BUSY, { state: 'deferred', dueAt: NOW + 5000, route: 'postmark', byDestination: false });
    await clock.advance(5000);
    await attempt(DELIVERED, { state: 'delivered', captured: false }, 'postmark');
    const ran = await trace(folder, [id], { now: NOW + 60_000 });
    expect(ran.code).toBe(0);
    expect(firstLine(ran)).toMatch(
      /^Delivered to ann@example\.net on 2026-01-05 10:00:05Z, 5 s after it was accepted: postmark \(mx\.example\.net:587\) took it/,
    );
    for (const fact of [
      id,
      'password-reset (from header), critical',
      'f-1',
      'user=42',
      'keycloak, 10.0.0.3, helo app, TLSv1.3',
      'lp1._domainkey.example.com (rsa-sha256)',
      '2026-01-05 10:15:00Z, 15 min (ttl of the tag)',
      'rule recovery (tag is password-reset) via ses, postmark',
      'X-Leadpush-Colour is not known',
      'connect 12 ms, tls 20 ms',
    ]) {
      expect(ran.out).toContain(fact);
    }
    const story = ran.out.split('\n').filter((line) => /^ {2}\d\d:\d\d:/.test(line));
    expect(story.map((line) => line.trim().split(/ {2,}/).slice(0, 3))).toEqual([
      ['10:00:00.000', '+0 ms', 'accepted'],
      ['10:00:00.000', '+0 ms', 'deferred'],
      ['10:00:05.000', '+5 s', 'delivered'],
    ]);
    expect(story[1]).toContain('attempt 1 over ses (mx.example.net:587, TLSv1.3) at rcpt: 451 4.2.1 mailbox busy');
  });

  test('finds a message by id, Message-ID with and without brackets, recipient and flow', async () => {
    const folder = tempFolder();
    const { accept } = await seed(folder);
    const { id, delivery } = await accept({ headerMessageId: '<abc@example.com>', flow: 'flow-7' });
    await accept({ recipient: 'bo@example.net', flow: 'other' });
    for (const argv of [
      [id],
      [delivery],
      ['<abc@example.com>'],
      ['abc@example.com'],
      ['ANN@example.net'],
      ['flow-7'],
      ['--flow', 'flow-7'],
    ]) {
      const ran = await trace(folder, argv, { tty: false });
      expect([argv, ids(ran)]).toEqual([argv, [id]]);
    }
  });

  test('--flow finds flows alone', async () => {
    const folder = tempFolder();
    await (await seed(folder)).accept();
    expect((await trace(folder, ['--flow', 'ann@example.net'])).code).toBe(1);
  });

  test('shows the newest messages of a recipient first, refused ones too, up to the limit', async () => {
    const folder = tempFolder();
    const { accept, reject, clock } = await seed(folder);
    const all: unknown[] = [];
    for (let i = 0; i < 6; i++) {
      all.unshift((await accept()).id);
      await clock.advance(1000);
    }
    const refused = await reject('ann@example.net');
    expect(ids(await trace(folder, ['ann@example.net'], { tty: false }))).toEqual([refused, ...all.slice(0, 4)]);
    const two = await trace(folder, ['ann@example.net', '--limit', '2'], { tty: false });
    expect(ids(two)).toEqual([refused, all[0]]);
    expect((await trace(folder, ['ann@example.net'])).out).toContain('--limit 20');
  });

  test('tells of a refused message what the app was told and why', async () => {
    const folder = tempFolder();
    const id = await (await seed(folder)).reject('ann@example.net');
    const ran = await trace(folder, [id]);
    expect(ran.code).toBe(0);
    expect(firstLine(ran)).toBe(
      'Refused at submission on 2026-01-05 10:00:00Z: 550 5.7.1 Sender not allowed (the From domain is not among senders). ' +
        'The app was told; nothing was queued.',
    );
    expect(ran.out).toContain('keycloak');
  });

  test('gives one JSON object per message, with its events as they are published', async () => {
    const folder = tempFolder();
    const { accept, attempt, store } = await seed(folder);
    const { id } = await accept();
    await attempt(NO_USER, BOUNCED);
    const { json } = await trace(folder, [id], { tty: false });
    expect(json).toHaveLength(1);
    expect(json[0]).toMatchObject({
      id,
      verdict: expect.stringContaining('Bounced for ann@example.net'),
      message: {
        id,
        tag: 'password-reset',
        rule: 'recovery',
        accepted_at: '2026-01-05T10:00:00.000Z',
        deliveries: [{ recipient: 'ann@example.net', state: 'bounced', attempts: 1 }],
      },
      attempts: [{ number: 1, route: 'ses', outcome: 'rejected', code: 550, timings_ms: { connect: 12 } }],
      events: await store.history.eventsOf(id),
    });
  });

  test('shows no escapes of others', async () => {
    const folder = tempFolder();
    const { accept, attempt } = await seed(folder);
    const { id } = await accept({
      client: { address: '10.0.0.3', helo: 'app\u001b[2J', tls: null },
      metadata: { 'na\u001b[1mme': 'va\u009b1mlue' },
      warnings: ['odd \u202e warning\r\nforged'],
    });
    await attempt(HOSTILE, BOUNCED);
    const { out } = await trace(folder, [id]);
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(out).not.toMatch(/^forged/m);
    const json = await trace(folder, [id], { tty: false });
    expect(json.out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  test('says of a captured mail that nothing left', async () => {
    const folder = tempFolder();
    const { accept, attempt } = await seed(`${folder}/data`);
    const { id } = await accept({ route: 'catch' });
    await attempt(CAPTURED, { state: 'delivered', captured: true }, 'catch');
    const ran = await run(['trace', id, '--config', writeConfig(folder)], { tty: true });
    expect(firstLine(ran)).toContain('nothing left this machine');
    expect(firstLine(ran)).toContain(`leadpush-relay show ${id} --config `);
  });

  test('says of a login that a next hop refused which settings it is about', async () => {
    const folder = tempFolder();
    const { accept, attempt } = await seed(folder);
    const { id } = await accept();
    await attempt(LOGIN_REFUSED, { state: 'deferred', dueAt: NOW + 5000, route: 'ses', byDestination: false });
    expect(firstLine(await trace(folder, [id]))).toContain(
      '535 5.7.8 authentication failed (the username or password of route ses was refused)',
    );
  });

  test('says what one message more needs in the words for one', async () => {
    const folder = tempFolder();
    await (await seed(folder)).accept();
    const { out } = await trace(folder, ['ann@example.net', '--limit', '1']);
    expect(out).toContain('The newest one is shown; there may be more: --limit 4');
  });

  test('ends with 1 and a next step when nothing is known', async () => {
    const folder = tempFolder();
    await (await seed(folder)).accept();
    for (const key of ['nobody@example.net', `msg_${'0'.repeat(26)}`, 'no-such-flow']) {
      const ran = await trace(folder, [key], { tty: false });
      expect([ran.code, ran.out]).toEqual([1, '']);
      expect(ran.err).toContain('leadpush-relay tail -f');
    }
  });

  test.each([[[]], [['']], [['a', '--flow', 'b']], [['a', '--limit', '0']], [['a', 'b']]])(
    'refuses %j as wrong use',
    async (argv) => {
      expect((await trace(tempFolder(), argv)).code).toBe(2);
    },
  );

  describe('of mail that took more than one way', () => {
    const story = (ran: Ran): readonly string[] => ran.out.split('\n').filter((line) => /^ {2}\d\d:\d\d:/.test(line));

    test('shows each try with its route, and that it moved on at once', async () => {
      const folder = tempFolder();
      const { accept, attempts } = await seed(folder);
      const { id } = await accept();
      await attempts(
        [
          ['ses', REFUSED],
          ['postmark', DELIVERED],
        ],
        { state: 'delivered', captured: false },
      );
      const lines = story(await trace(folder, [id]));
      expect(lines.map((line) => line.trim().split(/ {2,}/).slice(0, 3))).toEqual([
        ['10:00:00.000', '+0 ms', 'accepted'],
        ['10:00:00.000', '+0 ms', 'moved on'],
        ['10:00:00.100', '+100 ms', 'delivered'],
      ]);
      expect(lines[1]).toContain(
        'attempt 1 over ses (smtp.ses.example:587) at connect: connection refused, on at once to postmark',
      );
      expect(lines[2]).toContain('attempt 2 over postmark (mx.example.net:587, TLSv1.3): 250 2.0.0 Ok');
    });

    test('shows when its routes went down and came back, and nothing of other routes', async () => {
      const folder = tempFolder();
      const { accept, attempt, clock, store } = await seed(folder);
      const change = (route: string, type: 'route.down' | 'route.up', reason: string): Promise<void> =>
        store.queue.routeChanged({ type, route, reason, at: clock.now() });
      await change('other', 'route.down', 'not ours');
      await change('postmark', 'route.down', 'over before');
      await change('postmark', 'route.up', 'over before');
      await change('ses', 'route.down', 'connection refused');
      await clock.advance(1000);
      const { id } = await accept();
      await clock.advance(1000);
      await change('ses', 'route.up', 'the probe got through');
      await attempt(DELIVERED, { state: 'delivered', captured: false });
      await clock.advance(1000);
      await change('ses', 'route.down', 'later');
      const lines = story(await trace(folder, [id]));
      expect(lines[0]).toContain('route ses: connection refused');
      expect(lines.map((line) => line.trim().split(/ {2,}/).slice(1, 3))).toEqual([
        ['-1 s', 'route.down'],
        ['+0 ms', 'accepted'],
        ['+1 s', 'route.up'],
        ['+1 s', 'delivered'],
      ]);
    });
  });

  test('--flow begins with its first message, although a route was down before', async () => {
    const folder = tempFolder();
    const { accept, clock, store } = await seed(folder);
    await store.queue.routeChanged({ type: 'route.down', route: 'ses', reason: 'refused', at: clock.now() });
    await clock.advance(60_000);
    await accept({ flow: 'f-7', tag: 'compromised-account' });
    await clock.advance(1000);
    await accept({ flow: 'f-7' });
    const { out } = await trace(folder, ['--flow', 'f-7']);
    const steps = out.split('\n').filter((line) => /^ {2}\d\d:/.test(line));
    expect(steps.map((line) => line.trim().split(/ {2,}/).slice(1, 4).join(' '))).toEqual([
      '-1 min #1 route.down',
      'begins #1 accepted',
      '+1 s #2 accepted',
    ]);
  });

  describe('of mail that a newer one came for', () => {
    test('names the newer one, and at the newer one the older', async () => {
      const folder = tempFolder();
      const { accept, clock } = await seed(folder);
      const older = await accept({ asks: { collapseScope: 's' } });
      await clock.advance(1000);
      const newer = await accept({ asks: { collapseScope: 's' } });
      const ran = await trace(folder, [older.id]);
      expect(firstLine(ran)).toContain(`a newer message took its place (${newer.id})`);
      expect(ran.out).toMatch(new RegExp(`superseded .*newer message ${newer.id}`));
      expect((await trace(folder, [newer.id])).out).toContain(`replaces ${older.id} as far as it has not gone out`);
      expect((await trace(folder, [older.id], { tty: false })).json[0]).toMatchObject({
        message: { deliveries: [{ state: 'superseded', superseded_by: newer.id }] },
      });
    });

    test('says that it came too late to be replaced', async () => {
      const folder = tempFolder();
      const { accept, store, clock } = await seed(folder);
      const older = await accept({ asks: { collapseScope: 's' } });
      const requests = [{ route: 'ses', room: [1, 1, 1] as const, destinations: null }];
      const [lease] = await store.queue.claim(requests, clock.now(), 60_000);
      if (lease === undefined) throw new Error('nothing due');
      const newer = await accept({ asks: { collapseScope: 's' } });
      const tries = [{ route: 'ses', startedAt: clock.now(), outcome: DELIVERED }];
      await store.queue.settle(lease, tries, { state: 'delivered', captured: false }, clock.now());
      const ran = await trace(folder, [older.id]);
      expect(firstLine(ran)).toContain(`It could not be held back for the newer one (${newer.id}).`);
      expect(ran.out).toMatch(new RegExp(`delivered .*could not be held back any more, newer message ${newer.id}`));
    });
  });

  describe('of mail that was not wanted', () => {
    test('explains the class of a bounce and until when the address is suppressed', async () => {
      const folder = tempFolder();
      const { accept, attempt } = await seed(folder);
      const { id } = await accept();
      await attempt(NO_USER, { ...BOUNCED, suppressUntil: NOW + 86_400_000 });
      const first = firstLine(await trace(folder, [id]));
      expect(first).toContain('Class recipient (enhanced code 5.1.1: bad destination mailbox address)');
      expect(first).toContain('ask the person for another address');
      expect(first).toContain('The address is suppressed until 2026-01-06 10:00:00Z');
    });

    test('says when it came back, or was complained about, after it was delivered', async () => {
      const folder = tempFolder();
      const { accept, attempt, store, clock } = await seed(folder);
      const { id, delivery } = await accept();
      await attempt(DELIVERED, { state: 'delivered', captured: false });
      await clock.advance(60_000);
      const report = {
        reporter: 'dns; mx.example.net',
        status: '5.1.1',
        diagnostic: 'smtp; 550 \u001b[31mno such user',
      };
      await store.feedback.record({
        deliveryId: delivery,
        at: clock.now(),
        report: { kind: 'dsn', ...report },
        kind: { type: 'bounced', bounce: BOUNCED.bounce, suppressUntil: null },
      });
      const ran = await trace(folder, [id]);
      expect(firstLine(ran)).toContain(
        'But on 2026-01-05 10:01:00Z it came back after all: report of dns; mx.example.net: 5.1.1 smtp; 550 no such user.',
      );
      expect(ran.out).toMatch(/\+1 min {2}bounced +report of dns; mx\.example\.net/);
      await store.feedback.record({
        deliveryId: delivery,
        at: clock.now() + 1,
        report: { kind: 'arf', reporter: null, status: null, diagnostic: 'abuse' },
        kind: { type: 'complained', suppressUntil: null },
      });
      expect(firstLine(await trace(folder, [id]))).toContain('the recipient complained about it: complaint: abuse.');
    });

    test('says why nothing was sent to a suppressed recipient, and how to let mail through again', async () => {
      const folder = tempFolder();
      const { accept, store, clock } = await seed(folder);
      await store.suppressions.put({
        recipient: 'ann@example.net' as EnvelopeAddress,
        reason: 'manual',
        detail: 'left the company',
        messageId: null,
        createdAt: clock.now(),
        expiresAt: null,
      });
      const { id } = await accept();
      const ran = await trace(folder, [id]);
      expect(firstLine(ran)).toContain('the address is suppressed: on the suppression list since');
      expect(firstLine(ran)).toContain('left the company');
      expect(firstLine(ran)).toContain(`leadpush-relay suppressions remove ann@example.net --data ${folder}`);
      expect(ran.out).toMatch(/suppressed +on the suppression list/);
    });

    test('says why a throttled mail was not sent', async () => {
      const folder = tempFolder();
      const { accept } = await seed(folder);
      const asks = {
        throttles: [{ scope: 'tag:password-reset', per: 'recipient' as const, count: 1, perMs: 3_600_000 }],
      };
      await accept({ asks });
      const { id } = await accept({ asks });
      const first = firstLine(await trace(folder, [id]));
      expect(first).toContain('over a flood guard: ');
      expect(first).toContain('tags.password-reset.throttle');
    });

    test('shows that it was delayed', async () => {
      const folder = tempFolder();
      const { accept, store, clock } = await seed(folder);
      const { id } = await accept({ asks: { delayedAfterMs: 1000 } });
      await clock.advance(1000);
      await store.queue.markDelayed(clock.now(), 10);
      expect((await trace(folder, [id])).out).toMatch(/\+1 s {2}delayed +not delivered 1 s after its acceptance/);
    });
  });
});
