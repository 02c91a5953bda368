import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { startApi, type ApiBench, token } from './support.ts';

interface Stream {
  readonly socket: Socket;
  /** All that came, without chunk sizes. */
  text(): string;
  /** The `seq` of each event that came. */
  seqs(): readonly number[];
  closed(): boolean;
}

/** Opens a stream over a bare socket: what is not read stays in the socket. */
async function follow(api: ApiBench, query = '', headers: Record<string, string> = {}): Promise<Stream> {
  const socket = connect(api.port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let text = '';
  let closed = false;
  socket.setEncoding('utf8');
  socket.on('data', (part: string) => (text += part));
  socket.on('close', () => (closed = true));
  socket.on('error', () => {});
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET /v1/events/stream${query} HTTP/1.1\r\nHost: localhost\r\n${lines.join('')}\r\n`);
  const stream: Stream = {
    socket,
    text: () => text,
    seqs: () => [...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1])),
    closed: () => closed,
  };
  await until(() => text.includes('retry:') || / 4\d\d /.test(text));
  return stream;
}

const until = (check: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(check()).toBe(true), { timeout: 5_000, interval: 2 });

/** Lets the gathered commit be told. */
async function told(api: ApiBench, check: () => boolean): Promise<void> {
  await vi.waitFor(
    async () => {
      await api.clock.advance(20);
      expect(check()).toBe(true);
    },
    { timeout: 5_000, interval: 2 },
  );
}

test('begins with what comes from now on, and shows the events as the list does', async () => {
  const api = await startApi();
  await api.accept();
  const stream = await follow(api);
  expect(stream.text()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*content-type: text\/event-stream; charset=utf-8\r\n/i);
  const { id } = await api.accept();
  await told(api, () => stream.seqs().length > 0);
  expect(stream.seqs()).toEqual([2]);
  const [event] = await api.store.history.events({ afterSeq: 1, limit: 1 });
  expect(stream.text()).toContain(`id: 2\ndata: ${JSON.stringify(event)}\n\n`);
  expect(event?.data.message?.id).toBe(id);
});

test('resumes after the seq that it is given, the header before the query', async () => {
  const api = await startApi();
  for (let i = 0; i < 4; i++) await api.accept();
  const byQuery = await follow(api, '?after_seq=2');
  const byHeader = await follow(api, '?after_seq=0', { 'Last-Event-ID': '3' });
  await until(() => byQuery.seqs().length === 2 && byHeader.seqs().length === 1);
  expect([byQuery.seqs(), byHeader.seqs()]).toEqual([[3, 4], [4]]);
});

test('is narrowed like the list', async () => {
  const api = await startApi();
  const stream = await follow(api, '?after_seq=0&type=message.delivered&tag=otp');
  await api.accept();
  await api.accept({ record: { tag: 'otp' } });
  for (const lease of await api.claim()) await api.deliver(lease);
  await told(api, () => stream.seqs().length > 0);
  expect(stream.seqs()).toHaveLength(1);
  expect(stream.text()).toContain('"tag":"otp"');
});

test('gives a long backlog whole and in order', async () => {
  const api = await startApi();
  for (let i = 0; i < 250; i++) await api.accept();
  const stream = await follow(api, '?after_seq=0');
  await until(() => stream.seqs().length === 250);
  expect(stream.seqs()).toEqual(Array.from({ length: 250 }, (_, index) => index + 1));
});

test('says that it is there when nothing happens', async () => {
  const api = await startApi();
  const stream = await follow(api);
  await vi.waitFor(
    async () => {
      await api.clock.advance(15_000);
      expect(stream.text()).toContain(': still here\n\n');
    },
    { timeout: 5_000, interval: 2 },
  );
});

test('reads the log no further while its client takes nothing, and loses nothing', async () => {
  const reads: number[] = [];
  const api = await startApi({
    history: (history) => ({
      ...history,
      events: (filter) => {
        reads.push(filter.afterSeq ?? -1);
        return history.events(filter);
      },
    }),
  });
  const warnings = ['x'.repeat(20_000)];
  const stream = await follow(api, '?after_seq=0');
  stream.socket.pause();
  for (let i = 0; i < 600; i++) await api.accept({ record: { warnings } });
  await vi.waitFor(
    async () => {
      const before = reads.length;
      for (let i = 0; i < 20; i++) await api.clock.advance(20);
      expect(reads.length).toBe(before);
    },
    { timeout: 10_000, interval: 5 },
  );
  expect(reads.at(-1)).toBeLessThan(600);
  stream.socket.resume();
  await told(api, () => stream.seqs().length === 600);
  expect(stream.seqs()).toEqual(Array.from({ length: 600 }, (_, index) => index + 1));
});

test('streams read the log one after the other', async () => {
  let [reading, most] = [0, 0];
  const api = await startApi({
    history: (history) => ({
      ...history,
      async events(filter) {
        if (filter.afterSeq === undefined) return history.events(filter);
        reading++;
        most = Math.max(most, reading);
        return history.events(filter).finally(() => reading--);
      },
    }),
  });
  await api.accept();
  const streams = await Promise.all(Array.from({ length: 10 }, () => follow(api, '?after_seq=0')));
  await api.accept();
  await told(api, () => streams.every((stream) => stream.seqs().length === 2));
  expect(most).toBe(1);
});

test('cuts off a client that takes nothing for two minutes', async () => {
  const api = await startApi();
  const stream = await follow(api, '?after_seq=0');
  stream.socket.pause();
  const warnings = ['x'.repeat(60_000)];
  for (let i = 0; i < 300; i++) await api.accept({ record: { warnings } });
  for (let i = 0; i < 20; i++) await api.clock.advance(20);
  await vi.waitFor(
    async () => {
      await api.clock.advance(120_000);
      stream.socket.resume();
      expect(stream.closed()).toBe(true);
    },
    { timeout: 10_000, interval: 50 },
  );
});

test('there are at most 64 at the same time, and one that ends makes room', async () => {
  const api = await startApi();
  const streams = [];
  for (let i = 0; i < 64; i++) streams.push(await follow(api));
  const over = await follow(api);
  expect(over.text()).toMatch(/^HTTP\/1\.1 429 [^]*"code":"too-many-requests"/);
  streams[0]?.socket.destroy();
  await vi.waitFor(async () => expect((await follow(api)).text()).toMatch(/^HTTP\/1\.1 200 /), { timeout: 5_000 });
});

/** A server whose log cannot be read before `open`. */
async function startClosed() {
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  const api = await startApi({
    history: (history) => ({
      ...history,
      async events(filter) {
        waiting++;
        await gate.promise;
        return history.events(filter);
      },
    }),
  });
  return { api, open: gate.resolve, waiting: () => waiting };
}

test('there are no more when all ask at the same moment', async () => {
  const { api, open, waiting } = await startClosed();
  let answered = 0;
  const streams = Array.from({ length: 80 }, async () => {
    const stream = await follow(api);
    answered++;
    return stream;
  });
  await until(() => waiting() + answered === 80);
  open();
  const texts = (await Promise.all(streams)).map((stream) => stream.text());
  expect(texts.filter((text) => text.startsWith('HTTP/1.1 200 '))).toHaveLength(64);
});

test('a client that goes before its stream begins leaves its place to others', async () => {
  const { api, open, waiting } = await startClosed();
  const sockets = Array.from({ length: 64 }, () => connect(api.port, '127.0.0.1').on('error', () => {}));
  for (const socket of sockets) socket.write('GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until(() => waiting() === 64);
  for (const socket of sockets) socket.destroy();
  // The server has seen them go when it answers somebody who came later.
  await api.call('/healthz');
  await api.call('/healthz');
  open();
  await vi.waitFor(async () => expect((await follow(api)).text()).toMatch(/^HTTP\/1\.1 200 /), { timeout: 5_000 });
});

test('ends with the session that it was asked for in', async () => {
  const config = { host: '127.0.0.1', port: 0, tokens: [token('ann', 's', ['read'])] };
  const api = await startApi({ config });
  const signIn = await api.call('/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"token":"s"}',
  });
  const cookie = String(signIn.headers['set-cookie']).split(';')[0] ?? '';
  const stream = await follow(api, '', { cookie });
  expect(stream.text()).toMatch(/^HTTP\/1\.1 200 /);
  await api.call('/session', { method: 'DELETE', headers: { cookie } });
  await api.accept();
  await told(api, () => stream.closed());
  expect(stream.seqs()).toEqual([]);
});

test('the stop of the server ends it', async () => {
  const api = await startApi();
  const stream = await follow(api);
  await api.stop();
  await until(() => stream.closed());
});

test.each([
  ['a Last-Event-ID that is no number', '', { 'Last-Event-ID': 'x' }, 422],
  ['an unknown type', '?type=message.lost', {}, 422],
  ['a limit, which is none of its parameters', '?limit=5', {}, 422],
])('refuses %s', async (_name, query, headers, status) => {
  const stream = await follow(await startApi(), query, headers);
  expect(stream.text()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
});

test('needs the scope read', async () => {
  const config = { host: '127.0.0.1', port: 0, tokens: [token('app', 's', ['send'])] };
  const api = await startApi({ config });
  expect((await follow(api)).text()).toMatch(/^HTTP\/1\.1 401 /);
  expect((await follow(api, '', { Authorization: 'Bearer s' })).text()).toMatch(/^HTTP\/1\.1 403 /);
});

test('goes on at the end when it is given a number from beyond it, as after a database was put back', async () => {
  const api = await startApi();
  await api.accept();
  const stream = await follow(api, '', { 'last-event-id': '100000' });
  await api.accept();
  await told(api, () => stream.seqs().length > 0);
  expect(stream.seqs()).toEqual([2]);
});
