import { describe, expect, test } from 'vitest';
import { BUSY, CAPTURED, DELIVERED, HOSTILE, LOGIN_REFUSED, NO_USER, seed } from './seed.ts';
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
    await attempt(BUSY, { state: 'deferred', dueAt: NOW + 5000, route: 'postmark' });
    await clock.advance(5000);
    await attempt(DELIVERED, { state: 'delivered', captured: false }, 'postmark');
    const ran = await trace(folder, [id], { now: NOW + 60_000 });
    expect(ran.code).toBe(0);
    expect(firstLine(ran)).toMatch(
      /^Delivered to ann@example\.net: postmark \(mx\.example\.net:587\) took it on 2026-01-05 10:00:05Z, 5 s after it was accepted/,
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
    await attempt(NO_USER, { state: 'bounced' });
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
    await attempt(HOSTILE, { state: 'bounced' });
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
    await attempt(LOGIN_REFUSED, { state: 'deferred', dueAt: NOW + 5000, route: 'ses' });
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
});
