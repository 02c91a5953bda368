import { PassThrough } from 'node:stream';
import { describe, expect, test, vi } from 'vitest';
import { createOutput } from '../../src/cli/process-io.ts';
import { runCli } from '../../src/cli/program.ts';
import { BOUNCED, BUSY, DELIVERED, HOSTILE, REFUSED, seed } from './seed.ts';
import { createTestIo, NOW, run, tempFolder, type TestIo, type TestIoOptions } from './support.ts';

const tail = (folder: string, ...more: readonly string[]) => run(['tail', '--data', folder, ...more]);
const types = (json: readonly Record<string, unknown>[]): readonly unknown[] => json.map((event) => event['type']);

/** The keys of an object and of the objects in it, as `a`, `a.b`. */
function keysOf(value: unknown, prefix = ''): readonly string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => [`${prefix}${key}`, ...keysOf(inner, `${prefix}${key}.`)]);
}

/** The event body as it is published. */
const PUBLISHED = {
  type: 'message.delivered',
  timestamp: '2026-01-05T10:00:00.123Z',
  data: {
    event_id: 'evt_...',
    seq: 42,
    message: {
      id: 'msg_...',
      message_id: '<...@...>',
      tag: 'password-reset',
      tag_source: 'header',
      flow: 'f-1',
      metadata: {},
      priority: 'critical',
      credential: 'keycloak',
      rule: 'recovery',
      accepted_at: '...',
      deadline: '...',
    },
    delivery: { id: 'dlv_...', recipient: 'ann@example.net', state: 'delivered', attempts: 1 },
    attempt: {
      number: 1,
      route: 'ses',
      next_hop: 'email-smtp...:587',
      tls: 'TLSv1.3',
      stage: 'dot',
      code: 250,
      enhanced: '2.0.0',
      response: 'Ok ...',
      timings_ms: { queue: 1, connect: 12, tls: 20, transaction: 30 },
    },
  },
} as const;

describe('tail', () => {
  test('prints the newest events as the published bodies, one a line', async () => {
    const folder = tempFolder();
    const { accept, attempt, store } = await seed(folder);
    const { id } = await accept();
    await attempt(DELIVERED, { state: 'delivered', captured: false });
    const { code, json } = await tail(folder);
    expect(code).toBe(0);
    expect(json).toEqual(await store.history.eventsOf(id));
    expect(types(json)).toEqual(['message.accepted', 'message.delivered']);
    expect(keysOf(json[1])).toEqual(expect.arrayContaining([...keysOf(PUBLISHED)]));
  });

  test('on a terminal shows recipient, tag, route and answer, without escapes of others', async () => {
    const folder = tempFolder();
    const { accept, attempt } = await seed(folder);
    await accept();
    await attempt(HOSTILE, BOUNCED);
    const { out } = await run(['tail', '--data', folder], { tty: true });
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect(out.trimEnd().split('\n')).toHaveLength(3);
    expect(out).toContain('2026-01-05, times in UTC');
    expect(out).toMatch(
      /10:00:00\.000 {2}bounced +ann@example\.net +password-reset +ses \(mx\.example\.net:587, TLSv1\.3\) at rcpt: 550 5\.1\.1 no such user/,
    );
  });

  test('tells on one line the ways that a message took, and of routes that went down', async () => {
    const folder = tempFolder();
    const { accept, attempts, store } = await seed(folder);
    await accept();
    await attempts(
      [
        ['ses', REFUSED],
        ['postmark', DELIVERED],
      ],
      { state: 'delivered', captured: false },
    );
    await store.queue.routeChanged({ type: 'route.down', route: 'ses', reason: 'connection refused', at: NOW + 200 });
    const { out } = await run(['tail', '--data', folder], { tty: true });
    expect(out).toContain(
      'ses (smtp.ses.example:587) at connect: connection refused, on at once to postmark (mx.example.net:587, TLSv1.3): 250 2.0.0 Ok',
    );
    expect(out).toMatch(/10:00:00\.200 {2}route\.down +- +- +route ses: connection refused/);
  });

  test('colours on a terminal that has colours, and nowhere else', async () => {
    const folder = tempFolder();
    await (await seed(folder)).accept();
    expect((await run(['tail', '--data', folder], { tty: true, color: true })).out).toContain('\u001b[');
    expect((await run(['tail', '--data', folder], { tty: true })).out).not.toContain('\u001b[');
  });

  test('shows as many as asked for, the newest', async () => {
    const folder = tempFolder();
    const { accept } = await seed(folder);
    for (let i = 0; i < 25; i++) await accept();
    expect((await tail(folder)).json).toHaveLength(20);
    expect((await tail(folder, '-n', '0')).out).toBe('');
    const three = (await tail(folder, '-n', '3')).json.map((event) => (event['data'] as { seq: number }).seq);
    expect(three).toEqual([23, 24, 25]);
  });

  test('filters by tag, state and recipient', async () => {
    const folder = tempFolder();
    const { accept, attempt, reject } = await seed(folder);
    await accept();
    await attempt(DELIVERED, { state: 'delivered', captured: false });
    await accept({ tag: 'receipt', recipient: 'bo@example.net' });
    await reject('cy@example.net');
    expect(types((await tail(folder, '--tag', 'receipt')).json)).toEqual(['message.accepted']);
    expect(types((await tail(folder, '--state', 'delivered')).json)).toEqual(['message.delivered']);
    expect(types((await tail(folder, '--state', 'rejected')).json)).toEqual(['message.rejected']);
    expect(types((await tail(folder, '--recipient', 'BO@example.net')).json)).toEqual(['message.accepted']);
  });

  test('with --since shows everything from then on', async () => {
    const folder = tempFolder();
    const { accept, clock } = await seed(folder);
    await accept();
    await clock.advance(3_600_000);
    for (let i = 0; i < 30; i++) await accept();
    const now = NOW + 3_600_000;
    expect((await run(['tail', '--data', folder, '--since', '10m'], { now })).json).toHaveLength(30);
    expect((await run(['tail', '--data', folder, '--since', '2h'], { now })).json).toHaveLength(31);
  });

  test('without a database says so and ends with 1', async () => {
    const folder = tempFolder();
    const { code, err } = await tail(folder);
    expect(code).toBe(1);
    expect(err).toContain(folder);
  });

  test.each([
    ['--state', 'happy'],
    ['--since', 'yesterday'],
    ['-n', '-1'],
    ['--colour', 'red'],
  ])('refuses %s %s as wrong use', async (option, value) => {
    expect((await tail(tempFolder(), option, value)).code).toBe(2);
  });
});

describe('tail -f', () => {
  interface Following {
    readonly io: TestIo;
    readonly ended: Promise<number>;
    /** Moves time on until `done` holds. */
    readonly until: (done: () => boolean) => Promise<void>;
  }

  function follow(folder: string, more: readonly string[] = [], options: TestIoOptions = {}): Following {
    const io = createTestIo(options);
    const ended = runCli(['tail', '-f', '--data', folder, ...more], io);
    const until = (done: () => boolean): Promise<void> =>
      vi.waitFor(
        async () => {
          await io.clock.advance(200);
          expect(done()).toBe(true);
        },
        { interval: 1, timeout: 10_000 },
      );
    return { io, ended, until };
  }

  test('shows each event once, those from before and those that come', async () => {
    const folder = tempFolder();
    const { accept, attempt } = await seed(folder);
    await accept();
    const { io, ended, until } = follow(folder);
    await until(() => io.json().length === 1);
    await attempt(BUSY, { state: 'deferred', dueAt: NOW + 5000, route: 'ses', byDestination: false });
    await until(() => io.json().length === 2);
    for (let i = 0; i < 1200; i++) await accept();
    await until(() => io.json().length === 1202);
    io.interrupt();
    expect(await ended).toBe(0);
    expect(io.json().map((event) => (event['data'] as { seq: number }).seq)).toEqual(
      Array.from({ length: 1202 }, (_, index) => index + 1),
    );
  });

  test('goes on filtering', async () => {
    const folder = tempFolder();
    const { accept } = await seed(folder);
    const { io, ended, until } = follow(folder, ['--tag', 'receipt']);
    await accept();
    await accept({ tag: 'receipt' });
    await until(() => io.json().length === 1);
    io.interrupt();
    await ended;
    expect(io.json()).toEqual([expect.objectContaining({ data: expect.objectContaining({ seq: 2 }) })]);
  });

  test('waits for a database that is not there yet, and says so once', async () => {
    const folder = tempFolder();
    const { io, ended, until } = follow(folder);
    await until(() => io.err() !== '');
    await io.clock.advance(1000);
    await (await seed(folder)).accept();
    await until(() => io.json().length === 1);
    io.interrupt();
    expect(await ended).toBe(0);
    expect(io.err().match(/no database/g)).toHaveLength(1);
  });

  test('ends with 0 when the user ends it while it waits', async () => {
    const { io, ended, until } = follow(tempFolder());
    await until(() => io.err() !== '');
    io.interrupt();
    expect(await ended).toBe(0);
  });
});

test('a reader that goes away ends the following and is no error', async () => {
  const stream = new PassThrough();
  let gone = 0;
  const output = createOutput(stream, false, () => (gone += 1));
  await output.write('one\n');
  const closed = new Promise((resolve) => stream.on('close', resolve));
  stream.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
  await closed;
  await output.write('two\n');
  expect(gone).toBe(1);
});

test('any other trouble with the output is not swallowed', () => {
  const stream = new PassThrough();
  createOutput(stream, false, () => {});
  expect(() => stream.emit('error', Object.assign(new Error('disk'), { code: 'ENOSPC' }))).toThrow('disk');
});
