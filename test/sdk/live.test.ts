/** The SDK and the real relay: answers that are lost, a relay that is killed, what events are sure to tell. */
import { createHash } from 'node:crypto';
import { createServer, connect, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LeadpushRelay } from '../../src/sdk/client.ts';
import { leadpushTransport } from '../../src/sdk/nodemailer.ts';
import type { EventType, RelayEvent } from '../../src/sdk/types.ts';
import { type NextHop, reply, startNextHop } from '../support/next-hop.ts';
import { freePort } from '../support/postfix.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig, until } from '../support/relay.ts';

const TOKENS = { all: 'lp_everything', reader: 'lp_reads-only' };
const hashOf = (token: string): string => `sha256:${createHash('sha256').update(token).digest('hex')}`;
const RESET = {
  from: 'Example <no-reply@example.com>',
  subject: 'Reset your password',
  text: 'Follow https://accounts.example.com/reset?token=123 within 15 minutes.',
  html: '<p><a href="https://accounts.example.com/reset?token=123">Follow</a></p>',
  tag: 'password-reset',
} as const;

let home: RelayHome;
let relay: RelayProcess;
let hop: NextHop;
let port: number;

const client = (token: string = TOKENS.all, at: number = port): LeadpushRelay =>
  new LeadpushRelay({ baseUrl: `http://127.0.0.1:${at}`, token });

beforeAll(async () => {
  port = await freePort();
  hop = await startNextHop({
    on: {
      RCPT: ({ line }) =>
        line.includes('gone@')
          ? reply('550 5.1.1 no such mailbox')
          : line.includes('busy@')
            ? reply('450 4.2.1 busy')
            : null,
    },
  });
  home = await createRelayHome(
    sandboxConfig({
      http: {
        host: '127.0.0.1',
        port,
        tokens: [
          { name: 'all', hash: hashOf(TOKENS.all), scopes: ['read', 'send', 'admin'] },
          { name: 'reader', hash: hashOf(TOKENS.reader), scopes: ['read'] },
        ],
      },
      tags: {
        'password-reset': {
          collapse: 'recipient',
          throttle: { per_recipient: '3/1h' },
          suppression: 'apply',
          links: { hosts: ['accounts.example.com'], action: 'reject' },
        },
      },
      routes: {
        sandbox: { type: 'sandbox' },
        hop: { type: 'smtp', host: '127.0.0.1', port: hop.port, tls: 'none' },
        closed: { type: 'smtp', host: '127.0.0.1', port: await freePort(), tls: 'none' },
      },
      rules: [
        { name: 'hop', when: { recipient_domain: ['hop.example.net'] }, via: ['hop'] },
        { name: 'closed', when: { recipient_domain: ['closed.example.net'] }, via: ['closed'] },
        { name: 'default', via: ['sandbox'] },
      ],
    }),
  );
  relay = await home.start();
}, 60_000);

afterAll(async () => {
  await relay?.stop();
  await hop?.close();
  await home?.remove();
});

/** A way to the relay that breaks the first `broken` connections when the relay's answer comes, and passes on the rest. */
async function startBreakingProxy(broken: number): Promise<{ readonly port: number; readonly server: Server }> {
  let seen = 0;
  const server = createServer((inner: Socket) => {
    const breaks = (seen += 1) <= broken;
    const outer = connect(port, '127.0.0.1');
    inner.pipe(outer);
    outer.on('data', (chunk) => (breaks ? inner.destroy() : void inner.write(chunk)));
    for (const [one, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      one.on('close', () => other.destroy()).on('error', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, server };
}

describe('a send whose answer is lost', () => {
  it.each(['send', 'sendMime', 'nodemailer'] as const)('is made again, and queues one message: %s', async (way) => {
    const proxy = await startBreakingProxy(2);
    const to = `${way.toLowerCase()}@example.net`;
    const sdk = client(TOKENS.all, proxy.port);
    const mime = `From: a@example.com\r\nTo: ${to}\r\nSubject: x\r\n\r\nbody\r\n`;
    try {
      switch (way) {
        case 'send':
          await sdk.messages.send({ ...RESET, to: [to] });
          break;
        case 'sendMime':
          await sdk.messages.sendMime(mime, { from: 'a@example.com', to: [to] });
          break;
        case 'nodemailer': {
          const options = { baseUrl: `http://127.0.0.1:${proxy.port}`, token: TOKENS.all };
          await createTransport(leadpushTransport(options)).sendMail({ ...RESET, to });
        }
      }
    } finally {
      proxy.server.close();
    }
    expect((await client().messages.list({ recipient: to }).page()).data).toHaveLength(1);
  });
});

describe('a token', () => {
  it('that is wrong, or has not the scope, is told by its code', async () => {
    await expect(client('lp_wrong').messages.list().page()).rejects.toMatchObject({
      code: 'unauthorized',
      status: 401,
    });
    await expect(client(TOKENS.reader).messages.send({ ...RESET, to: ['ann@example.net'] })).rejects.toMatchObject({
      code: 'forbidden',
      status: 403,
    });
  });

  it('is what verify() of the nodemailer transport asks for', async () => {
    const verify = (token: string): Promise<true> =>
      createTransport(leadpushTransport({ baseUrl: `http://127.0.0.1:${port}`, token })).verify();
    expect(await verify(TOKENS.all)).toBe(true);
    await expect(verify('lp_wrong')).rejects.toMatchObject({ code: 'EAUTH', responseCode: 535 });
  });
});

describe('nodemailer', () => {
  it('sends through the relay: its headers count, and do not leave', async () => {
    const options = { baseUrl: `http://127.0.0.1:${port}`, token: TOKENS.all, tag: 'otp' };
    const transport = createTransport(leadpushTransport(options));
    const info = await transport.sendMail({
      ...RESET,
      to: 'nina@example.net',
      headers: { 'X-Leadpush-TTL': '10m', 'X-Leadpush-Metadata-User': '42' },
    });
    const message = await client().messages.get(info.id);
    expect(message).toMatchObject({ tag: 'otp', metadata: { user: '42' }, message_id: info.messageId });
    expect(Date.parse(message.deadline) - Date.parse(message.accepted_at)).toBe(600_000);
    expect(new TextDecoder().decode(await client().messages.content(info.id))).not.toMatch(/x-leadpush/i);
  });

  it('fails as over SMTP when the relay refuses the mail', async () => {
    const transport = createTransport(leadpushTransport({ baseUrl: `http://127.0.0.1:${port}`, token: TOKENS.all }));
    const sending = transport.sendMail({
      from: 'a@example.com',
      to: 'ann@example.net',
      text: 'http://localhost:3000/reset?token=123',
      headers: { 'X-Leadpush-Tag': 'password-reset' },
    });
    await expect(sending).rejects.toMatchObject({ code: 'EMESSAGE', responseCode: 550, permanent: true });
    await expect(sending).rejects.toThrow(/localhost/);
    await expect(sending).rejects.not.toThrow(/token=123/);
  });
});

describe('events', () => {
  /** What the types of the SDK promise, by type. */
  const SURE: Partial<Record<EventType, readonly string[]>> = {
    'message.accepted': ['message', 'delivery'],
    'message.rejected': ['message', 'refusal'],
    'message.deferred': ['message', 'delivery'],
    'message.delivered': ['message', 'delivery', 'attempt'],
    'message.bounced': ['message', 'delivery', 'bounce'],
    'message.superseded': ['message', 'delivery', 'superseded_by'],
    'message.suppressed': ['message', 'delivery', 'reason'],
    'message.throttled': ['message', 'delivery', 'reason'],
    'message.canceled': ['message', 'delivery'],
    'route.down': ['route'],
  };

  it('tell what their types say', async () => {
    const sdk = client();
    const send = (to: string, over = {}): Promise<{ readonly id: string }> =>
      sdk.messages.send({ ...RESET, to: [to], ...over });
    await send('gone@hop.example.net');
    await until(
      async () => (await sdk.events.list({ type: 'message.bounced' }).page()).data.length > 0,
      'the bounce is told',
    );
    await send('gone@hop.example.net');
    await send('busy@hop.example.net');
    const { id } = await send('busy@hop.example.net');
    await until(
      async () => (await sdk.messages.get(id)).deliveries[0]?.state === 'deferred',
      'the second mail is deferred',
    );
    await sdk.messages.cancel(id);
    for (let i = 0; i < 4; i++) await send('often@example.net');
    await expect(send('ann@example.net', { text: 'https://elsewhere.example.com/' })).rejects.toMatchObject({
      code: 'link-policy',
    });
    for (let i = 0; i < 3; i++) await send(`one-${i}@closed.example.net`);
    await until(
      async () => (await sdk.events.list({ type: 'route.down' }).page()).data.length > 0,
      'the route is down',
    );

    const told = new Map<EventType, RelayEvent[]>();
    for await (const event of sdk.events.list({ after_seq: 0 })) {
      told.set(event.type, [...(told.get(event.type) ?? []), event]);
    }
    for (const [type, parts] of Object.entries(SURE)) {
      const events = told.get(type as EventType) ?? [];
      expect(events, type).not.toEqual([]);
      for (const { data } of events) {
        expect(
          parts.filter((part) => Reflect.get(data, part) === undefined || Reflect.get(data, part) === null),
        ).toEqual([]);
      }
    }
  });

  it('come without a gap and none twice over a relay that is killed and started again', async () => {
    const stop = new AbortController();
    const seqs: number[] = [];
    let lost = 0;
    const first = (await client().events.list().page()).data.at(-1)?.data.seq ?? 0;
    const following = (async () => {
      const options = { signal: stop.signal, onReconnect: () => void (lost += 1) };
      for await (const event of client().events.stream({ after_seq: first }, options)) seqs.push(event.data.seq);
    })();
    const send = (at: number): Promise<unknown> =>
      client().messages.send({ ...RESET, tag: 'otp', to: [`s${at}@example.net`] });
    for (let i = 0; i < 5; i++) await send(i);
    await until(() => seqs.length >= 10, 'the events of five messages');
    await relay.kill9();
    relay = await home.start();
    for (let i = 5; i < 10; i++) await send(i);
    const last = async (): Promise<number> => (await client().events.list().page()).data.at(-1)?.data.seq ?? 0;
    await until(async () => {
      const delivered = await client().events.list({ type: 'message.delivered', after_seq: first }).page();
      return delivered.data.length === 10 && seqs.at(-1) === (await last());
    }, 'the events of ten messages');
    stop.abort();
    await following;
    expect(lost).toBeGreaterThan(0);
    expect(seqs).toEqual(seqs.map((_, at) => first + 1 + at));
  }, 60_000);
});
