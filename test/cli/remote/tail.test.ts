import type { ServerResponse } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';
import { DELIVERED } from '../seed.ts';
import { createTestIo, type TestIo } from '../support.ts';
import { type Elsewhere, READ, startElsewhere, startServer } from './support.ts';

/** Follows in-process; ended with the test. */
function follow(url: string, ...more: readonly string[]): { readonly io: TestIo; readonly ended: Promise<unknown> } {
  const io = createTestIo({ env: { LEADPUSH_TOKEN: READ } });
  const ended = runCli(['tail', '-f', '--url', url, ...more], io);
  onTestFinished(async () => {
    io.interrupt();
    await ended;
  });
  return { io, ended };
}

const seqs = (io: TestIo): readonly unknown[] => io.json().map(({ data }) => (data as { readonly seq: number }).seq);

/** Lets what was asked for arrive, then lets time pass, until `check` holds. */
async function untilTold(io: TestIo, check: () => boolean, stepMs = 1000): Promise<void> {
  await expect
    .poll(
      async () => {
        if (!check()) await io.clock.advance(stepMs);
        return check();
      },
      { timeout: 10_000, interval: 20 },
    )
    .toBe(true);
}

/** A relay whose log is that of `relay`, with a stream that the test writes, or none; answers nothing while `isDown`. */
async function withStream(relay: Elsewhere, onStream: (response: ServerResponse, lastId: string) => void) {
  const state = { isDown: false, relay, served: 0 };
  const url = await startServer((request, response) => {
    if (state.isDown) {
      request.socket.destroy();
      return;
    }
    if (request.url?.startsWith('/v1/events/stream') === true) {
      state.served++;
      onStream(response, String(request.headers['last-event-id']));
      return;
    }
    state.served++;
    void fetch(`${state.relay.url}${request.url ?? ''}`, { headers: { authorization: `Bearer ${READ}` } }).then(
      async (got) => {
        response.writeHead(got.status, { 'content-type': 'application/json' }).end(await got.text());
      },
    );
  });
  return { url, state };
}

async function frameAfter(relay: Elsewhere, lastId: string): Promise<string> {
  const events = await relay.store.history.events({ afterSeq: Number(lastId), limit: 100 });
  return events.map((event) => `id: ${event.data.seq}\ndata: ${JSON.stringify(event)}\n\n`).join('');
}

const noStream = (response: ServerResponse): void => {
  response.writeHead(404, { 'content-type': 'application/problem+json' });
  response.end('{"code":"not-found","title":"x","detail":"x"}');
};

describe('tail -f of a relay elsewhere', () => {
  test('without a stream asks for pages, each event once', async () => {
    const relay = await startElsewhere();
    await relay.accept();
    const { url } = await withStream(relay, noStream);
    const { io, ended } = follow(url);
    await untilTold(io, () => seqs(io).length === 1);
    for (let i = 0; i < 120; i++) await relay.accept();
    await untilTold(io, () => seqs(io).length === 121);
    await relay.attempt(DELIVERED, { state: 'delivered', captured: false });
    await untilTold(io, () => seqs(io).length === 122);
    expect(seqs(io)).toEqual(Array.from({ length: 122 }, (_, index) => index + 1));
    io.interrupt();
    expect(await ended).toBe(0);
  });

  test('goes on with the stream after the last event that was shown', async () => {
    const relay = await startElsewhere();
    await relay.accept();
    await relay.accept();
    const streams: string[] = [];
    const { url } = await withStream(relay, (response, lastId) => {
      streams.push(lastId);
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      void relay.accept().then(async () => void response.write(await frameAfter(relay, lastId)));
    });
    const { io } = follow(url, '-n', '1');
    await untilTold(io, () => seqs(io).length === 2, 0);
    expect(streams).toEqual(['2']);
    expect(seqs(io)).toEqual([2, 3]);
  });

  test('misses nothing and shows nothing twice when the connection is lost, again and again', async () => {
    const relay = await startElsewhere();
    await relay.accept();
    let streams = 0;
    const { url, state } = await withStream(relay, (response, lastId) => {
      streams++;
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      // The last one of each connection breaks off in its middle; and what was seen comes once more.
      void frameAfter(relay, String(Math.max(0, Number(lastId) - 1))).then((text) => {
        response.write(text.slice(0, -20), () => response.destroy());
      });
    });
    const { io } = follow(url, '-n', '0');
    await untilTold(io, () => streams > 1);
    for (let i = 0; i < 5; i++) await relay.accept();
    await untilTold(io, () => seqs(io).length === 4);
    state.isDown = true;
    await relay.accept();
    await relay.accept();
    await untilTold(io, () => io.err().includes('Lost: '));
    state.isDown = false;
    await untilTold(io, () => seqs(io).length === 6);
    expect(seqs(io)).toEqual([2, 3, 4, 5, 6, 7]);
  });

  test.each(['stream', 'pages'])('goes on with a relay that was set back to an older database, by %s', async (way) => {
    const [relay, older] = [await startElsewhere(), await startElsewhere()];
    for (let i = 0; i < 5; i++) await relay.accept();
    await older.accept();
    const { url, state } = await withStream(relay, (response, lastId) => {
      if (way === 'pages') noStream(response);
      else {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
        void frameAfter(state.relay, lastId).then((text) => response.end(text));
      }
    });
    const { io } = follow(url);
    await untilTold(io, () => seqs(io).length === 5);
    state.relay = older;
    const before = state.served;
    await untilTold(io, () => state.served > before + 3);
    await older.accept();
    await untilTold(io, () => seqs(io).length === 6);
    expect(seqs(io)).toEqual([1, 2, 3, 4, 5, 2]);
  });

  test('makes a connection again that has been silent for too long', async () => {
    const relay = await startElsewhere();
    let streams = 0;
    const { url } = await withStream(relay, (response) => {
      streams++;
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    });
    const { io } = follow(url);
    await expect.poll(() => streams).toBe(1);
    await untilTold(io, () => streams === 2, 30_000);
    expect(io.err()).toContain('Trying again until it is back; nothing is missed.');
  });

  test.each([
    ['what is no event', 'data: {"type":"x"}\n\n', 'has another form'],
    ['what is not JSON', 'data: x\n\n', 'is not JSON'],
    ['an event without an end', `data: ${'x'.repeat(5_000_000)}`, 'is too long'],
  ])('ends when its stream has %s', async (_name, text, said) => {
    const relay = await startElsewhere();
    const { url } = await withStream(relay, (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(text);
    });
    const { io, ended } = follow(url);
    expect(await ended).toBe(1);
    expect(io.err()).toContain(said);
  });

  test('ends when its token is not good any more', async () => {
    const relay = await startElsewhere();
    const { url } = await withStream(relay, (response) => {
      response.writeHead(401).end('{"code":"unauthorized","title":"x","detail":"The token is not known."}');
    });
    const { io, ended } = follow(url);
    expect(await ended).toBe(1);
    expect(io.err()).toContain('The token is not known.');
  });
});
