import { describe, expect, test } from 'vitest';
import { BOUNCED, BUSY, DELIVERED, HOSTILE, NO_USER, REFUSED, seed } from './seed.ts';
import { NOW, type Ran, run, tempFolder, type TestIoOptions } from './support.ts';

const queue = (folder: string, argv: readonly string[], options: TestIoOptions = {}): Promise<Ran> =>
  run(['queue', ...argv, '--data', folder], { now: NOW + 1000, ...options });

describe('queue', () => {
  test('lists what waits, most urgent first, with and without the word list', async () => {
    const folder = tempFolder();
    const { accept, attempt } = await seed(folder);
    await accept({ priority: 'bulk', recipient: 'bo@example.net' });
    const { delivery } = await accept();
    await attempt(BUSY, { state: 'deferred', dueAt: NOW + 5000, route: 'ses', byDestination: false });
    await accept({ recipient: 'done@example.net' });
    await attempt(DELIVERED, { state: 'delivered', captured: false });
    for (const argv of [[], ['list']]) {
      const { code, json } = await queue(folder, argv);
      expect(code).toBe(0);
      expect(json.map((row) => row['recipient'])).toEqual(['ann@example.net', 'bo@example.net']);
      expect(json[0]).toMatchObject({
        delivery_id: delivery,
        state: 'deferred',
        next_attempt_at: '2026-01-05T10:00:05.000Z',
      });
    }
  });

  test('shows ages and the last answer on a terminal, without escapes of others', async () => {
    const folder = tempFolder();
    const { accept, attempt } = await seed(folder);
    const { delivery } = await accept();
    await attempt(
      { ...HOSTILE, kind: 'deferred', cause: 'recipient' },
      { state: 'deferred', dueAt: NOW + 5000, route: 'ses', byDestination: false },
    );
    const { out } = await queue(folder, [], { tty: true });
    expect(out).toMatch(
      new RegExp(`${delivery} +ann@example\\.net +password-reset +deferred +ses +1 s +4 s +14 min 59 s +1 +`),
    );
    expect(out).toContain('such user');
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });

  test('says so when nothing waits', async () => {
    const folder = tempFolder();
    await seed(folder);
    expect(await queue(folder, [], { tty: true })).toMatchObject({ code: 0, out: 'Nothing waits.\n' });
  });

  test('cancel takes a delivery off beside a running relay, and the event says who did it', async () => {
    const folder = tempFolder();
    const { accept, store } = await seed(folder);
    const { id, delivery } = await accept();
    const { code, json } = await queue(folder, ['cancel', id]);
    expect(code).toBe(0);
    expect(json).toEqual([{ target: id, changed: [delivery], unchanged: [] }]);
    expect((await store.history.message(id))?.deliveries[0]?.state).toBe('canceled');
    expect((await store.history.eventsOf(id)).at(-1)).toMatchObject({
      type: 'message.canceled',
      data: { reason: expect.stringContaining('operator') },
    });
  });

  test('retry makes a deferred delivery due now', async () => {
    const folder = tempFolder();
    const { accept, attempt, store } = await seed(folder);
    const { id, delivery } = await accept();
    await attempt(BUSY, { state: 'deferred', dueAt: NOW + 500_000, route: 'ses', byDestination: false });
    const { code, out } = await queue(folder, ['retry', delivery], { tty: true });
    expect([code, out]).toEqual([0, `${delivery} is due now\n`]);
    expect((await store.history.message(id))?.deliveries[0]?.nextAttemptAt).toBe(NOW + 1000);
  });

  test('says why a delivery is left as it is, and ends with 1 when nothing changed', async () => {
    const folder = tempFolder();
    const { accept, attempt } = await seed(folder);
    const { delivery } = await accept();
    await attempt(NO_USER, BOUNCED);
    const ran = await queue(folder, ['cancel', delivery], { tty: true });
    expect(ran.code).toBe(1);
    expect(ran.out).toMatch(new RegExp(`^${delivery} is left as it is \\(bounced\\): `));
  });

  test('an id that nothing has ends with 1', async () => {
    const folder = tempFolder();
    await seed(folder);
    const ran = await queue(folder, ['retry', `dlv_${'0'.repeat(26)}`], { tty: true });
    expect([ran.code, ran.out]).toEqual([1, expect.stringContaining('no such')]);
  });

  test.each([[['retry']], [['cancel', 'ann@example.net']], [['retry', 'msg_1']], [['list', '--limit', '0']]])(
    'refuses %j as wrong use',
    async (argv) => {
      expect((await queue(tempFolder(), argv)).code).toBe(2);
    },
  );
});

describe('queue with a word that is none of its commands', () => {
  test('says so, and names the ones it has', async () => {
    const { code, err } = await queue(tempFolder(), ['foo']);
    expect(code).toBe(2);
    expect(err).toContain('unknown command "foo"');
    expect(err).toContain('list, retry, cancel');
  });

  test('suggests the one that was meant', async () => {
    expect((await queue(tempFolder(), ['retyr', 'msg_1'])).err).toContain('did you mean `retry`?');
  });

  test('list takes no words of its own', async () => {
    const { code, err } = await queue(tempFolder(), ['list', 'foo']);
    expect(code).toBe(2);
    expect(err).toContain('too many arguments');
  });
});

describe('stats', () => {
  test('counts by tag what was accepted and what became of it', async () => {
    const folder = tempFolder();
    const { accept, attempt, clock } = await seed(folder);
    await accept();
    await clock.advance(240);
    await attempt(DELIVERED, { state: 'delivered', captured: false });
    await accept();
    await attempt(NO_USER, BOUNCED);
    await accept({ tag: null, tagSource: 'none' });
    const { code, json } = await run(['stats', '--data', folder], { now: NOW + 1000 });
    expect(code).toBe(0);
    expect(json).toContainEqual({
      tag: 'password-reset',
      accepted: 2,
      states: expect.objectContaining({ delivered: 1, bounced: 1 }),
      delivered_ms: { p50: 240, p95: 240, p99: 240 },
    });
    const { out } = await run(['stats', '--data', folder], { now: NOW + 1000, tty: true });
    expect(out).toMatch(/^tag +accepted +delivered +share +waiting +bounced +p50 +p95 +p99$/m);
    expect(out).toMatch(/password-reset +2 +1 +50\.0% +0 +1 +240 ms/);
    expect(out).toMatch(/^- +1 +0 +- +1 +0 +-/m);
    expect(out).toMatch(/What stood in the way\n.*\n +1 +ses +rejected +rcpt +550 5\.1\.1 +no such user\n/);
  });

  test('tells what stood in the way, the most frequent first, also on routes that were passed over', async () => {
    const folder = tempFolder();
    const { accept, attempt, attempts } = await seed(folder);
    for (let i = 0; i < 2; i++) {
      await accept();
      await attempts(
        [
          ['ses', REFUSED],
          ['postmark', DELIVERED],
        ],
        { state: 'delivered', captured: false },
      );
    }
    await accept();
    await attempt(BUSY, { state: 'deferred', dueAt: NOW + 5000, route: 'ses', byDestination: false });
    const { json } = await run(['stats', '--faults', '--data', folder], { now: NOW + 1000 });
    expect(json).toMatchObject([
      { route: 'ses', stage: 'connect', cause: 'connect', code: null, count: 2, response: 'connection refused' },
      { route: 'ses', code: BUSY.code, enhanced: BUSY.enhanced, count: 1, response: BUSY.response },
    ]);
    expect((await run(['stats', '--faults', '--top', '1', '--data', folder], { now: NOW + 1000 })).json).toHaveLength(
      1,
    );
    const { out } = await run(['stats', '--data', folder], { now: NOW + 1000, tty: true });
    expect(out).toMatch(
      /What stood in the way\n *tries +route +outcome +at +answer +the newest\n +2 +ses +deferred +connect +connect +connection refused\n/,
    );
    const later = await run(['stats', '--faults', '--since', '1h', '--data', folder], {
      now: NOW + 7_200_000,
      tty: true,
    });
    expect(later.out).toContain('Nothing stood in the way since');
  });

  test('leaves out what is older than --since', async () => {
    const folder = tempFolder();
    await (await seed(folder)).accept();
    const { out } = await run(['stats', '--since', '1h', '--data', folder], { now: NOW + 7_200_000, tty: true });
    expect(out).toContain('No mail was accepted.');
  });
});
