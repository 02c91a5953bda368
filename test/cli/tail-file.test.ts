import { appendFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test, vi } from 'vitest';
import { logEvent } from '../../src/app/event-log.ts';
import { createLineSplitter, MAX_LINE_BYTES } from '../../src/cli/line-splitter.ts';
import { readLogLine } from '../../src/cli/log-line.ts';
import { describeEvent } from '../../src/api/story/describe-event.ts';
import { runCli } from '../../src/cli/program.ts';
import type { RelayEvent } from '../../src/core/event.ts';
import { isoTime } from '../../src/core/time.ts';
import type { LogFields } from '../../src/telemetry/log.ts';
import fc from '../support/properties.ts';
import { BOUNCED, BUSY, DELIVERED, HOSTILE, REFUSED, seed } from './seed.ts';
import { createTestIo, NOW, run, tempFolder, type TestIo, type TestIoOptions } from './support.ts';

type Line = Readonly<Record<string, unknown>>;

const line = (fields: Line, at = NOW): string =>
  `${JSON.stringify({ level: 'info', time: isoTime(at), ...fields, msg: 'words' })}\n`;
const delivered = (recipient: string, more: Line = {}, at = NOW): string =>
  line(
    {
      event: 'message.delivered',
      seq: 2,
      message: 'msg_1',
      delivery: 'dlv_1',
      recipient,
      tag: 'password-reset',
      flow: 'f-1',
      state: 'delivered',
      attempts: 1,
      route: 'ses',
      next_hop: 'mx.example.net:587',
      outcome: 'delivered',
      stage: 'dot',
      tls: 'TLSv1.3',
      code: 250,
      enhanced: '2.0.0',
      response: 'Ok',
      timings_ms: { connect: 12 },
      ...more,
    },
    at,
  );

function logFile(text: string | Uint8Array, name = 'relay.log'): string {
  const file = path.join(tempFolder(), name);
  writeFileSync(file, text);
  return file;
}
const recipients = (json: readonly Record<string, unknown>[]): readonly unknown[] =>
  json.map((event) => (event['data'] as { delivery?: { recipient: string } }).delivery?.recipient);
const tail = (...args: readonly string[]) => run(['tail', ...args]);

/** The line that the relay logs of an event. */
function logged(event: RelayEvent): string {
  let kept: LogFields = { event: '' };
  const keep = (fields: LogFields): void => void (kept = fields);
  logEvent({ debug: keep, info: keep, warn: keep, error: keep }, event);
  return line(kept, Date.parse(event.timestamp)).trimEnd();
}

describe('tail --file', () => {
  test('prints what the log has of the event, in the shape of its body', async () => {
    const { code, json } = await tail('--file', logFile(delivered('ann@example.net')));
    expect(code).toBe(0);
    expect(json).toEqual([
      {
        type: 'message.delivered',
        timestamp: '2026-01-05T10:00:00.000Z',
        data: {
          seq: 2,
          message: { id: 'msg_1', flow: 'f-1', tag: 'password-reset' },
          delivery: { id: 'dlv_1', recipient: 'ann@example.net', state: 'delivered', attempts: 1 },
          attempt: {
            number: 1,
            route: 'ses',
            outcome: 'delivered',
            cause: null,
            next_hop: 'mx.example.net:587',
            tls: 'TLSv1.3',
            cipher: null,
            stage: 'dot',
            code: 250,
            enhanced: '2.0.0',
            response: 'Ok',
            timings_ms: { connect: 12 },
          },
        },
      },
    ]);
  });

  test('tells on a terminal the same as the database does', async () => {
    const folder = tempFolder();
    const { accept, attempt, attempts, store } = await seed(folder);
    await store.outbox.sync([{ name: 'auth', types: ['message.accepted'], tags: null, fingerprint: 'a' }], NOW);
    await accept();
    await store.outbox.work('auth', NOW, 1, []);
    const gone = { seq: 1, at: NOW, ms: 1, status: 410, text: 'gone', disable: 'it answered 410: gone' };
    await store.outbox.record('auth', { ...gone, verdict: { kind: 'again', dueAt: NOW } });
    await attempt(BUSY, { state: 'deferred', dueAt: NOW + 5000, route: 'ses', byDestination: false });
    await accept();
    await attempts([['ses', DELIVERED]], { state: 'delivered', captured: false });
    await accept();
    await attempt(REFUSED, BOUNCED);
    await store.queue.routeChanged({ type: 'route.down', route: 'ses', reason: 'connection refused', at: NOW + 200 });
    const events = (await store.history.events({ limit: 100 })).filter(({ type }) => type !== 'message.accepted');
    expect(events.length).toBeGreaterThan(3);
    const words = events.map((event) => describeEvent(event).replace(/, suppressed until .*/, ''));
    const read = events.map((event) => readLogLine(logged(event)));
    expect(
      read.flatMap((one) => (one.kind === 'events' ? one.events.map((event) => describeEvent(event)) : [])),
    ).toEqual(words);
  });

  test('filters by tag, state, type, recipient, flow, route and time', async () => {
    const file = logFile(
      delivered('ann@example.net') +
        delivered('bo@example.net', { tag: 'receipt', flow: 'f-2', route: 'postmark' }, NOW + 1000) +
        delivered('cy@example.net', { event: 'message.deferred', state: 'deferred', outcome: 'deferred' }, NOW + 2000) +
        line({ event: 'route.down', route: 'ses', reason: 'connect' }, NOW + 3000) +
        line({ event: 'message.accepted', message: 'msg_2', recipient: 'di@example.net', tag: 'otp' }, NOW + 4000),
    );
    const shown = async (...args: readonly string[]) => recipients((await tail('--file', file, ...args)).json);
    expect(await shown('--tag', 'receipt')).toEqual(['bo@example.net']);
    expect(await shown('--state', 'deferred')).toEqual(['cy@example.net']);
    expect(await shown('--state', 'queued')).toEqual(['di@example.net']);
    expect(await shown('--type', 'deferred,route.down')).toEqual(['cy@example.net', undefined]);
    expect(await shown('--recipient', 'BO@Example.net')).toEqual(['bo@example.net']);
    expect(await shown('--recipient', 'no address')).toEqual([]);
    expect(await shown('--flow', 'f-2')).toEqual(['bo@example.net']);
    expect(await shown('--route', 'ses')).toEqual(['ann@example.net', 'cy@example.net', undefined]);
    expect(await shown('--since', isoTime(NOW + 2500))).toEqual([undefined, 'di@example.net']);
    expect(await shown('--until', isoTime(NOW + 1000))).toEqual(['ann@example.net', 'bo@example.net']);
  });

  test('shows the newest of several files in their order, gzipped ones too', async () => {
    const old = logFile(gzipSync(delivered('ann@example.net') + delivered('bo@example.net')), 'relay.log.2.gz');
    const young = logFile(delivered('cy@example.net'));
    const { json } = await tail('--file', old, '--file', young);
    expect(recipients(json)).toEqual(['ann@example.net', 'bo@example.net', 'cy@example.net']);
    expect(recipients((await tail('--file', old, '--file', young, '-n', '2')).json)).toEqual([
      'bo@example.net',
      'cy@example.net',
    ]);
    expect(recipients((await tail('--file', old)).json)).toHaveLength(2);
  });

  test('reads standard input to its end', async () => {
    const many = Array.from({ length: 50 }, (_, index) => delivered(`r${index}@example.net`)).join('');
    const { json, code } = await run(['tail', '--file', '-'], { stdin: many });
    expect(code).toBe(0);
    expect(json).toHaveLength(50);
  });

  test('leaves out broken lines and says how many, and passes over lines about other things', async () => {
    const file = logFile(
      `${delivered('ann@example.net').slice(0, 40)}\nnot JSON\n{"a":1}\n[]\n\n${line({ event: 'smtp.listening' })}${delivered('bo@example.net')}`,
    );
    const { json, err, code } = await tail('--file', file);
    expect(code).toBe(0);
    expect(recipients(json)).toEqual(['bo@example.net']);
    expect(err).toBe("Left out: 4 lines that are not of the relay's JSON log.\n");
  });

  test('a refusal that names several recipients is an event for each', async () => {
    const refused = {
      event: 'message.rejected',
      message: 'msg_3',
      code: 550,
      enhanced: '5.7.1',
      reason: 'no',
      tag: null,
    };
    const file = logFile(line({ ...refused, recipients: ['a@example.net', 'b@example.net'] }));
    const { json } = await tail('--file', file, '--state', 'rejected');
    expect(recipients(json)).toEqual(['a@example.net', 'b@example.net']);
    expect(json[0]?.['data']).toMatchObject({ refusal: { code: 550, enhanced: '5.7.1', text: 'no' } });
  });

  test('shows nothing on a terminal that it would obey', async () => {
    const evil = '\u001b[31mred\u009b2J\u202e\r\n';
    const file = logFile(
      delivered(`ann${evil}@example.net`, {
        tag: evil,
        response: `${HOSTILE.response}${evil}`,
        bounce: evil,
        message: evil,
        superseded_by: evil,
        next_attempt_at: `2026-01-05T10:${evil}`,
      }),
    );
    const { out } = await run(['tail', '--file', file], { tty: true });
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(out.trimEnd().split('\n')).toHaveLength(2);
  });

  test.each([
    [['--file', '/nonexistent/relay.log'], 'cannot read /nonexistent/relay.log'],
    [['--file', 'relay.log', '--data', '.'], 'two places'],
    [['-f', '--until', '1h'], '--until'],
    [['--type', 'happy'], 'message.accepted'],
  ])('refuses %s as wrong use', async (args, says) => {
    const { code, err } = await tail(...args);
    expect(code).toBe(2);
    expect(err).toContain(says);
  });
});

describe('tail -f --file', () => {
  function follow(file: string, more: readonly string[] = [], options: TestIoOptions = {}) {
    const io: TestIo = createTestIo(options);
    const ended = runCli(['tail', '-f', '--file', file, ...more], io);
    const until = (count: number): Promise<void> =>
      vi.waitFor(
        async () => {
          await io.clock.advance(200);
          expect(io.json()).toHaveLength(count);
        },
        { interval: 1, timeout: 10_000 },
      );
    return { io, ended, until };
  }

  test('shows each line once when its end is there', async () => {
    const file = logFile(delivered('ann@example.net'));
    const { io, ended, until } = follow(file);
    await until(1);
    const next = delivered('bo@example.net');
    appendFileSync(file, next.slice(0, 50));
    await io.clock.advance(1000);
    expect(io.json()).toHaveLength(1);
    appendFileSync(file, next.slice(50));
    await until(2);
    io.interrupt();
    expect(await ended).toBe(0);
    expect(recipients(io.json())).toEqual(['ann@example.net', 'bo@example.net']);
  });

  test('goes on over a rotation, with lines that still come to the old file', async () => {
    const file = logFile(delivered('ann@example.net'));
    const { io, ended, until } = follow(file);
    await until(1);
    renameSync(file, `${file}.1`);
    appendFileSync(`${file}.1`, delivered('bo@example.net'));
    await until(2);
    writeFileSync(file, delivered('cy@example.net'));
    await until(3);
    appendFileSync(`${file}.1`, delivered('late@example.net'));
    await until(4);
    appendFileSync(file, delivered('di@example.net'));
    await until(5);
    io.interrupt();
    await ended;
    expect(recipients(io.json())).toEqual(['ann', 'bo', 'cy', 'late', 'di'].map((name) => `${name}@example.net`));
  });

  test('begins anew in a file that was cut to nothing', async () => {
    const file = logFile(delivered('ann@example.net') + delivered('bo@example.net'));
    const { io, ended, until } = follow(file);
    await until(2);
    truncateSync(file);
    await io.clock.advance(400);
    appendFileSync(file, delivered('cy@example.net'));
    await until(3);
    io.interrupt();
    await ended;
  });

  test('goes on filtering', async () => {
    const file = logFile('');
    const { io, ended, until } = follow(file, ['--tag', 'receipt']);
    appendFileSync(file, delivered('ann@example.net') + delivered('bo@example.net', { tag: 'receipt' }));
    await until(1);
    io.interrupt();
    await ended;
    expect(recipients(io.json())).toEqual(['bo@example.net']);
  });
});

describe('a line of the log', () => {
  test('of any text is read without an error', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), (text) => {
        expect(['events', 'other', 'broken']).toContain(readLogLine(text).kind);
      }),
    );
  });

  test('with any values in its fields is told without an error', () => {
    const fields = [
      'recipient',
      'recipients',
      'route',
      'outcome',
      'code',
      'failed_over',
      'timings_ms',
      'reason',
      'bounce',
    ];
    fc.assert(
      fc.property(
        fc.constantFrom('message.delivered', 'message.rejected', 'message.bounced', 'route.down', 'message.accepted'),
        fc.dictionary(fc.constantFrom(...fields), fc.jsonValue()),
        (event, values) => {
          const read = readLogLine(JSON.stringify({ time: isoTime(NOW), ...values, event }));
          if (read.kind !== 'events') throw new Error(read.kind);
          for (const one of read.events) expect(typeof describeEvent(one)).toBe('string');
        },
      ),
    );
  });
});

describe('octets in pieces', () => {
  test('make the same lines however they are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), fc.array(fc.nat(40)), (texts, cuts) => {
        const lines = texts.map((text) => text.replace(/[\r\n\ud800-\udfff]/g, ''));
        let bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
        const splitter = createLineSplitter();
        const found: (string | null)[] = [];
        for (const cut of cuts) {
          found.push(...splitter.push(bytes.subarray(0, cut)));
          bytes = bytes.subarray(cut);
        }
        found.push(...splitter.push(bytes));
        expect(found).toEqual(lines);
        expect(splitter.rest()).toBe('');
      }),
    );
  });

  test('give null for a line without an end in sight, and go on after it', () => {
    const splitter = createLineSplitter();
    expect(splitter.push(Buffer.alloc(MAX_LINE_BYTES + 1, 0x61))).toEqual([]);
    expect(splitter.push(Buffer.from('more\nnext\r\nrest'))).toEqual([null, 'next']);
    expect(splitter.rest()).toBe('rest');
  });
});
