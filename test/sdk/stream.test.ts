/** The event stream over connections that break, stay silent, lie, or never come. */
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  LeadpushAnswerError,
  LeadpushConnectionError,
  type LeadpushError,
  LeadpushProblem,
} from '../../src/sdk/errors.ts';
import { type StreamOptions, streamEvents } from '../../src/sdk/stream.ts';
import { createTransport } from '../../src/sdk/transport.ts';
import type { RelayEvent } from '../../src/sdk/types.ts';
import {
  type Answer,
  createTestRuntime,
  driving,
  type FakeRelay,
  hangUp,
  json,
  problem,
  silence,
  startFakeRelay,
  type TestRuntime,
} from './server.ts';

let relay: FakeRelay;
let runtime: TestRuntime;

beforeEach(async () => {
  relay = await startFakeRelay();
  runtime = createTestRuntime();
});
afterEach(() => relay.close());

const text = (...seqs: readonly number[]): string =>
  seqs.map((seq) => `id: ${seq}\ndata: ${JSON.stringify({ type: 'route.up', data: { seq } })}\n\n`).join('');

/** As long as the SDK waits for a chunk at most. */
const SILENCE_MS = 60_000;

/** Opens a stream, writes `chunk`, and does what `then` says once the client has taken it all and waits for more. */
function stream(chunk: string, then: (response: ServerResponse) => void = () => {}): Answer {
  return (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    if (chunk !== '') response.write(chunk);
    void (async () => {
      await runtime.timerSet(SILENCE_MS);
      if (chunk !== '') await runtime.timerSet(SILENCE_MS);
      then(response);
    })();
  };
}
const breaking = (...seqs: readonly number[]): Answer => stream(text(...seqs), (response) => response.destroy());
const ending = (...seqs: readonly number[]): Answer => stream(text(...seqs), (response) => void response.end());

function open(options: StreamOptions = {}, afterSeq: number | null = 0): AsyncGenerator<RelayEvent, void, undefined> {
  const transport = createTransport({ baseUrl: relay.baseUrl, token: 't' }, runtime);
  return streamEvents(transport, { tag: 'otp' }, afterSeq, options);
}

/** The sequence numbers of the first `count` events. */
async function take(count: number, options: StreamOptions = {}, afterSeq: number | null = 0): Promise<number[]> {
  const seqs: number[] = [];
  for await (const event of open(options, afterSeq)) {
    seqs.push(event.data.seq);
    if (seqs.length === count) break;
  }
  return seqs;
}

const ids = (): readonly unknown[] => relay.asked.map(({ headers }) => headers['last-event-id']);

describe('the stream', () => {
  it('gives events as they come, and asks for an event stream with the token', async () => {
    relay.answer(stream(text(1, 2)));
    expect(await take(2)).toEqual([1, 2]);
    expect(relay.asked[0]).toMatchObject({
      url: '/v1/events/stream?tag=otp',
      headers: { accept: 'text/event-stream', authorization: 'Bearer t' },
    });
    expect(ids()).toEqual(['0']);
  });

  it('ends the connection when the caller has enough', async () => {
    const closed = Promise.withResolvers<void>();
    relay.answer((response, asked) => {
      response.on('close', closed.resolve);
      stream(text(1))(response, asked);
    });
    await take(1);
    await closed.promise;
  });

  it.each([
    ['breaks', breaking],
    ['is ended by the relay', ending],
  ])('goes on after the last event when its connection %s', async (_what, answer) => {
    relay.answer(answer(1, 2), answer(3), hangUp, problem(503, 'unavailable'), answer(4, 5));
    const lost: LeadpushError[] = [];
    expect(await driving(runtime.clock, take(5, { onReconnect: ({ error }) => void lost.push(error) }))).toEqual([
      1, 2, 3, 4, 5,
    ]);
    expect(ids()).toEqual(['0', '2', '3', '3', '3']);
    expect(lost.map(({ code }) => code)).toEqual([
      'connection-failed',
      'connection-failed',
      'connection-failed',
      'unavailable',
    ]);
  });

  it('begins after the event that it is told', async () => {
    relay.answer(stream(text(8)));
    expect(await take(1, {}, 7)).toEqual([8]);
    expect(ids()).toEqual(['7']);
  });

  it('begins now when it is told nothing, and leaves nothing out when its first connections break', async () => {
    const newest = { data: [{ type: 'route.up', data: { seq: 7 } }], has_more: false, next_cursor: '7' };
    relay.answer(hangUp, json(newest), breaking(), stream(text(8)));
    expect(await driving(runtime.clock, take(1, {}, null))).toEqual([8]);
    expect(relay.asked.map(({ url }) => url)).toEqual([
      '/v1/events?limit=1',
      '/v1/events?limit=1',
      '/v1/events/stream?tag=otp',
      '/v1/events/stream?tag=otp',
    ]);
    expect(ids()).toEqual([undefined, undefined, '7', '7']);
  });

  it('begins with the first event of a log that is empty', async () => {
    relay.answer(json({ data: [], has_more: false, next_cursor: null }), stream(text(1)));
    expect(await take(1, {}, null)).toEqual([1]);
    expect(ids()).toEqual([undefined, '0']);
  });

  it('goes on from an id that came without an event', async () => {
    relay.answer(
      stream('id: 40\n\n: heartbeat\n\n', (response) => response.destroy()),
      stream(text(41)),
    );
    expect(await driving(runtime.clock, take(1))).toEqual([41]);
    expect(ids()).toEqual(['0', '40']);
  });

  it('asks again for an event that broke off in the middle', async () => {
    relay.answer(
      stream(`${text(1)}id: 2\ndata: {"type":"rou`, (response) => response.destroy()),
      stream(text(2)),
    );
    expect(await driving(runtime.clock, take(2))).toEqual([1, 2]);
    expect(ids()).toEqual(['0', '1']);
  });

  it('waits longer each time, as long as nothing comes, and anew after an event', async () => {
    relay.answer(breaking(1), hangUp, hangUp, hangUp, breaking(2), hangUp, stream(text(3)));
    const delays: number[] = [];
    await driving(runtime.clock, take(3, { onReconnect: ({ delayMs }) => void delays.push(delayMs) }));
    expect(delays).toEqual([375, 750, 1500, 3000, 375, 750]);
  });

  it('waits as long as the relay wishes: retry in the stream, Retry-After on a refusal', async () => {
    relay.answer(
      stream(`retry: 5000\n${text(1)}`, (response) => response.destroy()),
      problem(429, 'too-many-requests', { 'retry-after': '9' }),
      stream(text(2)),
    );
    const delays: number[] = [];
    await driving(runtime.clock, take(2, { onReconnect: ({ delayMs }) => void delays.push(delayMs) }));
    expect(delays).toEqual([5000, 9000]);
  });

  it('takes a connection that stays silent for dead', async () => {
    relay.answer(stream(text(1)), stream(text(2)));
    const began = runtime.now();
    expect(await driving(runtime.clock, take(2))).toEqual([1, 2]);
    expect(runtime.now() - began).toBeGreaterThanOrEqual(60_000);
  });

  it('does not count the time that the caller takes for an event', async () => {
    relay.answer(stream(text(1, 2)));
    const events = open();
    await events.next();
    await runtime.clock.advance(600_000);
    expect((await events.next()).value).toMatchObject({ data: { seq: 2 } });
    expect(relay.asked).toHaveLength(1);
    await events.return();
  });

  it('reads no further than the caller takes', async () => {
    let written = 0;
    relay.answer((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const line = `: ${'x'.repeat(60_000)}\n`;
      const write = (): void => {
        while (written < 200e6 && response.write(line)) written += line.length;
        if (written < 200e6) response.once('drain', write);
      };
      response.write(text(1), write);
    });
    const events = open();
    await events.next();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(written).toBeLessThan(20e6);
    await events.return();
  });
});

describe('an aborted signal', () => {
  it('ends the stream without an error: before it begins', async () => {
    expect(await take(1, { signal: AbortSignal.abort() })).toEqual([]);
    expect(relay.asked).toEqual([]);
  });

  it.each([
    ['while the connection is made', silence, 10_000],
    ['while it waits for an event', stream(''), SILENCE_MS],
    ['while it waits for the next connection', breaking(), 375],
  ])('ends it %s, and leaves nothing behind', async (_what, answer, waitMs) => {
    const controller = new AbortController();
    relay.answer(answer);
    void runtime.timerSet(waitMs).then(() => controller.abort());
    expect(await take(1, { signal: controller.signal })).toEqual([]);
    expect(runtime.clock.pending()).toBe(0);
  });

  it('ends it between two events of one chunk', async () => {
    const controller = new AbortController();
    relay.answer(stream(text(1, 2, 3)));
    const seqs: number[] = [];
    for await (const event of open({ signal: controller.signal })) {
      seqs.push(event.data.seq);
      controller.abort();
    }
    expect(seqs).toEqual([1]);
  });

  it('holds no listener of connections that are over', async () => {
    let listeners = 0;
    const { signal } = new AbortController();
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners += 1;
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners -= 1;
      removeEventListener.apply(signal, args);
    };
    relay.answer(breaking(1), breaking(2), breaking(3), stream(text(4)));
    await driving(runtime.clock, take(4, { signal }));
    expect(listeners).toBe(0);
  });
});

describe('the stream is given up', () => {
  it('when the first connection cannot be had', async () => {
    relay.answer(hangUp);
    await expect(driving(runtime.clock, take(1))).rejects.toThrow(LeadpushConnectionError);
    expect(relay.asked).toHaveLength(4);
  });

  it.each([401, 403, 400, 404])('when the relay refuses it for good: %d', async (status) => {
    relay.answer(breaking(1), problem(status, 'some-code'));
    await expect(driving(runtime.clock, take(2))).rejects.toThrow(LeadpushProblem);
    expect(relay.asked).toHaveLength(2);
  });

  it.each<[string, Answer]>([
    ['an answer of another type', json({})],
    ['something that is no event', stream('data: {"secret":\n\n')],
    ['a message without an end', stream(`data: ${'x'.repeat(1_100_000)}`)],
  ])('when there is %s, which is not repeated', async (_what, answer) => {
    relay.answer(answer);
    const ended = take(1);
    await expect(ended).rejects.toThrow(LeadpushAnswerError);
    await expect(ended).rejects.not.toThrow(/secret/);
    expect(relay.asked).toHaveLength(1);
  });
});
