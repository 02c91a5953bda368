/** The relay's life as an operator drives it: drain, reload, restart, deadlines, a clock that stands still. */
import { createTransport } from 'nodemailer';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Ledger, startLoad } from '../support/load.ts';
import { type NextHop, reply, stall, startNextHop } from '../support/next-hop.ts';
import {
  createRelayHome,
  type LogLine,
  type RelayHome,
  type RelayProcess,
  sandboxConfig,
  until,
} from '../support/relay.ts';

let hop: NextHop;
let home: RelayHome;
let relay: RelayProcess | null = null;

const config = (over: Readonly<Record<string, unknown>> = {}): Record<string, unknown> =>
  sandboxConfig({
    routes: { hop: { type: 'smtp', host: '127.0.0.1', port: hop.port, tls: 'none', connections: 4 } },
    rules: [{ name: 'default', via: ['hop'] }],
    retry: { critical: ['200ms'], normal: ['200ms'] },
    ...over,
  });

beforeEach(async () => {
  hop = await startNextHop();
  home = await createRelayHome(config());
});

afterEach(async () => {
  await relay?.kill9();
  relay = null;
  await hop.close();
  await home.remove();
});

async function send(to: RelayProcess, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const transport = createTransport({ host: '127.0.0.1', port: to.smtpPort, ignoreTLS: true });
  const info = await transport.sendMail({
    from: 'app@example.com',
    to: 'ann@example.net',
    subject: 'x',
    text: 'x',
    headers,
  });
  return /msg_[0-9a-z]{26}/.exec(info.response)?.[0] ?? '';
}

const about =
  (event: string, id?: string) =>
  (line: LogLine): boolean =>
    line['event'] === event && (id === undefined || line['message'] === id);

describe('SIGTERM', () => {
  it('under load loses nothing, sends nothing twice, and ends with 0', async () => {
    relay = await home.start();
    const ledger: Ledger = { accepted: new Set(), unknown: new Set() };
    let number = 0;
    const load = startLoad({ port: relay.smtpPort, ledger, senders: 5, nextToken: () => `drain-${number++}` });
    await until(() => ledger.accepted.size > 100, 'a hundred messages');
    expect(await relay.stop()).toBe(0);
    await load.stop();
    expect(ledger.unknown.size).toBe(0);

    relay = await home.start();
    await until(() => hop.accepted().length >= ledger.accepted.size, 'the rest after the restart');
    const tokens = hop.messages.map((message) => /<(drain-\d+)@/.exec(message.content.toString('latin1'))?.[1] ?? '');
    expect(new Set(tokens)).toEqual(ledger.accepted);
    expect(tokens).toHaveLength(ledger.accepted.size);
  });

  it('waits for the answer to a final dot that is out', async () => {
    let answer: () => void = () => {};
    hop.on('dot', async () => {
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return null;
    });
    relay = await home.start();
    const id = await send(relay);
    await hop.until(() => hop.messages.length === 1);
    const stopped = relay.stop();
    await relay.line(about('relay.stopping'));
    answer();
    expect(await stopped).toBe(0);
    expect(relay.log.some(about('message.delivered', id))).toBe(true);
  });

  it('gives an attempt back that has not come to its final dot, without counting it', async () => {
    hop.on('DATA', stall);
    relay = await home.start();
    const id = await send(relay);
    await hop.until(() => hop.reached('DATA') === 1);
    expect(await relay.stop()).toBe(0);
    hop.on('DATA', null);
    relay = await home.start();
    const delivered = await relay.line(about('message.delivered', id));
    expect(delivered['attempts']).toBe(1);
    expect(hop.messages).toHaveLength(1);
  });
});

describe('SIGHUP', () => {
  it('applies a new config without closing the listener', async () => {
    relay = await home.start();
    await home.configure(config({ rules: [{ name: 'closed', reject: 'closed for maintenance' }] }));
    relay.signal('SIGHUP');
    await relay.line(about('config.reloaded'));
    await expect(send(relay)).rejects.toThrow(/550 5\.7\.1 .*closed for maintenance/);
  });

  it('changes nothing when the new config is broken, and says why', async () => {
    relay = await home.start();
    await home.configure({ ...config(), rulez: [] });
    relay.signal('SIGHUP');
    const refused = await relay.line(about('config.refused'));
    expect(String(refused['reason'])).toContain('rulez');
    expect(await send(relay)).toMatch(/^msg_/);
  });

  it('moves waiting mail to a route that its rule has when the old one is gone', async () => {
    // The recipient's own 4xx: no reason to try another route while there is this one.
    hop.on('RCPT', reply('450 4.2.1 later'));
    await home.configure(
      config({
        routes: {
          hop: { type: 'smtp', host: '127.0.0.1', port: hop.port, tls: 'none' },
          spare: { type: 'sandbox' },
        },
        rules: [{ name: 'default', via: ['hop', 'spare'] }],
      }),
    );
    relay = await home.start();
    const id = await send(relay);
    await relay.line(about('message.deferred', id));
    await home.configure(
      config({ routes: { spare: { type: 'sandbox' } }, rules: [{ name: 'default', via: ['spare'] }] }),
    );
    relay.signal('SIGHUP');
    const delivered = await relay.line(about('message.delivered', id));
    expect(delivered['route']).toBe('spare');
  });
});

describe('a deadline', () => {
  it('ends mail as expired that the next hop would not take in time, and never sends it later', async () => {
    hop.on('MAIL', reply('451 4.3.0 later'));
    relay = await home.start();
    const id = await send(relay, { 'X-Leadpush-TTL': '1' });
    await relay.line(about('message.expired', id));
    hop.on('MAIL', null);
    await send(relay);
    await hop.until(() => hop.accepted().length === 1);
    expect(hop.messages).toHaveLength(1);
  });

  it('holds across a restart', async () => {
    hop.on('MAIL', reply('451 4.3.0 later'));
    relay = await home.start();
    const id = await send(relay, { 'X-Leadpush-TTL': '2' });
    await relay.line(about('message.deferred', id));
    await relay.kill9();
    await new Promise((resolve) => setTimeout(resolve, 2100));
    hop.on('MAIL', null);
    relay = await home.start();
    await relay.line(about('message.expired', id));
    expect(hop.accepted()).toHaveLength(0);
  });
});

describe('a process that was stopped and continued', () => {
  it('sends nothing twice', async () => {
    relay = await home.start();
    let paused = false;
    hop.on('dot', async () => {
      if (!paused && relay !== null) {
        paused = true;
        relay.signal('SIGSTOP');
        await new Promise((resolve) => setTimeout(resolve, 300));
        relay.signal('SIGCONT');
      }
      return null;
    });
    const id = await send(relay);
    await relay.line(about('message.delivered', id));
    expect(hop.messages).toHaveLength(1);
  });
});

describe('an answer to the final dot that never comes', () => {
  it('is recorded as uncertain and the message sent again with the same bytes', async () => {
    let first = true;
    hop.on('dot', () => {
      const behaviour = first ? ({ kind: 'hang-up' } as const) : null;
      first = false;
      return behaviour;
    });
    relay = await home.start();
    const id = await send(relay);
    const deferred = await relay.line(about('message.deferred', id));
    expect(deferred['outcome']).toBe('uncertain');
    await relay.line(about('message.delivered', id));
    const [one, two] = hop.messages;
    expect(two?.content.equals(one?.content ?? Buffer.alloc(0))).toBe(true);
  });
});

describe('a message that the relay dies with again and again', () => {
  it('is quarantined after three times, and an operator can release it', async () => {
    hop.on('DATA', stall);
    relay = await home.start();
    const id = await send(relay);
    for (let crash = 1; crash <= 3; crash++) {
      await hop.until(() => hop.reached('DATA') === crash);
      await relay.kill9();
      relay = await home.start();
    }
    await relay.line(about('message.quarantined', id));
    expect(hop.reached('DATA')).toBe(3);

    hop.on('DATA', null);
    expect((await home.cli(['queue', 'retry', id])).code).toBe(0);
    await relay.line(about('message.delivered', id));
    expect(hop.accepted()).toHaveLength(1);
    // Four starts, and the rest of ten seconds before the third try.
  }, 60_000);

  it('does not hold up the mail beside it', async () => {
    hop.on('DATA', (context) => (context.hop.reached('DATA') === 1 ? stall : null));
    relay = await home.start();
    await send(relay);
    await hop.until(() => hop.reached('DATA') === 1);
    const other = await send(relay);
    await relay.line(about('message.delivered', other));
  });
});

describe('the lanes', () => {
  it('let critical mail pass bulk mail that waits for the same next hop', async () => {
    await home.configure(
      config({ routes: { hop: { type: 'smtp', host: '127.0.0.1', port: hop.port, tls: 'none', connections: 1 } } }),
    );
    let release: () => void = () => {};
    hop.on('MAIL', async () => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return null;
    });
    relay = await home.start();
    for (let i = 0; i < 5; i++) await send(relay, { 'X-Leadpush-Priority': 'bulk', 'X-Leadpush-Tag': `bulk-${i}` });
    const reset = await send(relay, { 'X-Leadpush-Tag': 'password-reset' });
    await hop.until(() => hop.reached('MAIL') === 1);
    hop.on('MAIL', null);
    release();
    await hop.until(() => hop.accepted().length === 6);
    await until(() => relay?.log.filter(about('message.delivered')).length === 6, 'six deliveries in the log');
    expect(relay.log.filter(about('message.delivered'))[1]?.['message']).toBe(reset);
  });
});
