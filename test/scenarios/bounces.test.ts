/**
 * What becomes of mail that a next hop refuses for good, and of the mail after it: classes, suppression and its end, the
 * throttle; and that whoever submits mail can tell none of it from the relay's answers.
 */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RelayEvent } from '../../src/core/event.ts';
import { parseMessageId } from '../../src/core/ids.ts';
import { openSqliteReader, type SqliteReader } from '../../src/store/sqlite/open-reader.ts';
import { openDeliveries } from '../support/ledger.ts';
import { type NextHop, reply, startNextHop, type Step } from '../support/next-hop.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig, until } from '../support/relay.ts';
import { submit, type Submitted, type SubmitOptions } from '../support/submit.ts';

const HOUR_MS = 3_600_000;
const UNKNOWN = '550 5.1.1 <gone@example.net>: no such user here';

let hop: NextHop;
let home: RelayHome;
let relay: RelayProcess;
let reader: SqliteReader;
/** What the hop answers to RCPT, or to the dot, by recipient. */
const refusals = new Map<string, { readonly at: Extract<Step, 'RCPT' | 'dot'>; readonly text: string }>();

const configOf = (suppressFor: string): Record<string, unknown> =>
  sandboxConfig({
    tags: {
      'password-reset': { suppression: 'bypass', collapse: 'none' },
      otp: { throttle: { per_recipient: '2/1h' }, collapse: 'none' },
    },
    routes: { hop: { type: 'smtp', host: '127.0.0.1', port: hop.port, tls: 'none' } },
    rules: [{ name: 'default', via: ['hop'] }],
    bounces: { suppress_for: suppressFor },
    log: { level: 'debug' },
  });

beforeAll(async () => {
  hop = await startNextHop();
  let current = '';
  const refusalAt = (step: Step): ReturnType<typeof reply> | null => {
    const refusal = refusals.get(current);
    return refusal?.at === step ? reply(refusal.text) : null;
  };
  hop.on('RCPT', ({ line }) => {
    current = /<(.*)>/.exec(line)?.[1] ?? '';
    return refusalAt('RCPT');
  });
  hop.on('dot', () => refusalAt('dot'));
  home = await createRelayHome();
  await home.configure(configOf('1h'));
  relay = await home.start();
  reader = await openSqliteReader(home.database);
});

afterAll(async () => {
  await reader?.stop();
  await relay?.kill9();
  await hop?.close();
  await home?.remove();
});

/** Submits, and waits until each delivery is final; the events of the message. */
async function send(options: SubmitOptions): Promise<Submitted & { readonly events: readonly RelayEvent[] }> {
  const submitted = await submit(relay.smtpPort, options);
  await until(() => openDeliveries(home) === 0, `the end of the mail to ${options.to.toString()}`);
  const id = parseMessageId(submitted.id);
  return { ...submitted, events: id === null ? [] : await reader.eventsOf(id) };
}

/** The last event about `recipient` among `events`. */
function endOf({ events }: { readonly events: readonly RelayEvent[] }, recipient?: string): RelayEvent | undefined {
  return events.findLast(({ data }) => recipient === undefined || data.delivery?.recipient === recipient);
}

/** How often the hop was asked to take mail for `recipient`, in whatever letter case. */
function asked(recipient: string): number {
  return hop.lines.filter(({ line }) => line.toLowerCase().startsWith(`rcpt to:<${recipient}>`)).length;
}

/** The entry of `recipient` as the command shows it. */
async function listed(recipient: string): Promise<Record<string, unknown> | undefined> {
  const { code, stdout, stderr } = await home.cli(['suppressions', 'list', '--json']);
  expect(code, stderr).toBe(0);
  const entries = stdout.split('\n').filter((line) => line !== '');
  return entries
    .map((line): Record<string, unknown> => JSON.parse(line))
    .find((entry) => entry['recipient'] === recipient);
}

async function suppressions(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await home.cli(['suppressions', ...args]);
  expect(code, stderr).toBe(0);
  return stdout;
}

describe('a recipient that does not exist', () => {
  let first: Submitted & { readonly events: readonly RelayEvent[] };

  beforeAll(async () => {
    refusals.set('gone@example.net', { at: 'RCPT', text: UNKNOWN });
    first = await send({ to: 'gone@example.net' });
  });

  it('bounces at the first attempt, with class, meaning, and the time for which it gets no mail', () => {
    const bounced = endOf(first);
    expect(bounced).toMatchObject({
      type: 'message.bounced',
      data: {
        delivery: { state: 'bounced', attempts: 1 },
        attempt: { outcome: 'rejected', cause: 'recipient', stage: 'rcpt', code: 550, enhanced: '5.1.1' },
        bounce: {
          class: 'recipient',
          why: expect.stringContaining('5.1.1'),
          explanation: expect.stringContaining('does not exist'),
        },
      },
    });
    const until = Date.parse(bounced?.data.bounce?.suppressed_until ?? '');
    const forMs = until - Date.parse(bounced?.timestamp ?? '');
    expect(forMs).toBeGreaterThan(HOUR_MS - 10_000);
    expect(forMs).toBeLessThanOrEqual(HOUR_MS);
  });

  it('is on the list, with the reason, the message and the end', async () => {
    expect(await listed('gone@example.net')).toEqual({
      recipient: 'gone@example.net',
      reason: 'bounce',
      detail: expect.stringContaining('no such user here'),
      message_id: first.id,
      created_at: expect.any(String),
      expires_at: endOf(first)?.data.bounce?.suppressed_until,
    });
  });

  it('gets no other mail, in whatever letter case it is written, and the client cannot tell', async () => {
    const second = await send({ to: 'Gone@Example.NET' });
    const other = await send({ to: 'ann@example.net' });
    expect(second.replies).toEqual(first.replies);
    expect(second.replies).toEqual(other.replies);
    expect(second.replies.at(-1)).toBe('250 2.0.0 Ok: queued as msg_*');
    expect(endOf(second)).toMatchObject({
      type: 'message.suppressed',
      data: { delivery: { state: 'suppressed', attempts: 0 }, reason: expect.stringContaining('no such user here') },
    });
    expect(endOf(other)?.type).toBe('message.delivered');
    expect(asked('gone@example.net')).toBe(1);
  });

  it('does not keep the mail from the other recipients of one message', async () => {
    const both = await send({ to: ['gone@example.net', 'bob@example.net'] });
    expect(endOf(both, 'gone@example.net')?.type).toBe('message.suppressed');
    expect(endOf(both, 'bob@example.net')?.type).toBe('message.delivered');
    expect(asked('gone@example.net')).toBe(1);
  });

  it('is explained by `trace`', async () => {
    const { stdout } = await home.cli(['trace', 'gone@example.net']);
    expect(stdout).toContain('message.suppressed');
    expect(stdout).toContain('on the suppression list since');
  });

  it('is tried all the same for a tag with `suppression: bypass`, and stays on the list', async () => {
    refusals.delete('gone@example.net');
    const reset = await send({ to: 'gone@example.net', tag: 'password-reset' });
    expect(endOf(reset)?.type).toBe('message.delivered');
    expect(asked('gone@example.net')).toBe(2);
    expect(await listed('gone@example.net')).toBeDefined();
    expect(endOf(await send({ to: 'gone@example.net' }))?.type).toBe('message.suppressed');
  });

  it('gets mail again after `suppressions remove`, from the relay that runs', async () => {
    await suppressions('remove', 'GONE@example.net');
    expect(await listed('gone@example.net')).toBeUndefined();
    expect(endOf(await send({ to: 'gone@example.net' }))?.type).toBe('message.delivered');
  });

  it('leaves no content behind', async () => {
    expect(await contentsKept()).toBe(0);
  });
});

describe('an operator', () => {
  it('suppresses a recipient with `suppressions add` until it is removed', async () => {
    await suppressions('add', 'leaver@example.net', '--reason', 'left the company');
    expect(await listed('leaver@example.net')).toMatchObject({ reason: 'manual', expires_at: null });
    const mail = await send({ to: 'leaver@example.net' });
    expect(endOf(mail)).toMatchObject({
      type: 'message.suppressed',
      data: { reason: expect.stringContaining('left the company') },
    });
    expect(asked('leaver@example.net')).toBe(0);
  });

  it('suppresses for a time with `--for`', async () => {
    await suppressions('add', 'away@example.net', '--for', '2h');
    const entry = await listed('away@example.net');
    expect(Date.parse(String(entry?.['expires_at'])) - Date.parse(String(entry?.['created_at']))).toBe(2 * HOUR_MS);
    expect(endOf(await send({ to: 'away@example.net' }))?.type).toBe('message.suppressed');

    // Replaces the entry; as soon as the list does not show it any more, mail goes out.
    await suppressions('add', 'away@example.net', '--for', '1s');
    await until(async () => (await listed('away@example.net')) === undefined, 'the end of the suppression');
    expect(endOf(await send({ to: 'away@example.net' }))?.type).toBe('message.delivered');
  });
});

describe('a refusal that is not about the address', () => {
  it.each([
    ['mailbox-full', 'RCPT', '552 5.2.2 mailbox full, try later'],
    ['mailbox-full', 'RCPT', '552 requested action aborted: exceeded storage allocation'],
    ['content', 'dot', '554 5.7.1 message rejected as spam'],
    ['content', 'dot', '552 5.3.4 message too big for system'],
    ['policy', 'dot', '550 5.7.26 this mail is unauthenticated: DMARC policy of example.com'],
    ['reputation', 'RCPT', '554 5.7.1 Service unavailable; client host [192.0.2.1] blocked using zen.spamhaus.org'],
    ['reputation', 'RCPT', '550 5.1.1 your address is blocked: listed by spamhaus'],
    ['infrastructure', 'RCPT', '550 5.4.6 routing loop detected'],
    ['undetermined', 'RCPT', '550 no'],
  ] as const)('is of class %s and suppresses nobody (at %s: %s)', async (bounceClass, at, text) => {
    const recipient = `${createHash('sha256').update(text).digest('hex').slice(0, 12)}@example.net`;
    refusals.set(recipient, { at, text });
    const refused = await send({ to: recipient });
    expect(endOf(refused)).toMatchObject({ type: 'message.bounced', data: { bounce: { class: bounceClass } } });
    expect(endOf(refused)?.data.bounce).not.toHaveProperty('suppressed_until');
    refusals.delete(recipient);
    expect(endOf(await send({ to: recipient }))?.type).toBe('message.delivered');
  });

  it('puts nobody on the list', async () => {
    const { stdout } = await home.cli(['suppressions', 'list', '--json']);
    expect(stdout).not.toContain('"bounce"');
  });
});

describe('a throttle of 2 an hour for each recipient', () => {
  it('lets two through and holds the third back, and the client cannot tell', async () => {
    const mail = { to: 'flooded@example.net', tag: 'otp' };
    const [first, second, third] = [
      await send(mail),
      await send(mail),
      await send({ ...mail, to: 'Flooded@example.net' }),
    ];
    expect(endOf(first)?.type).toBe('message.delivered');
    expect(endOf(second)?.type).toBe('message.delivered');
    expect(endOf(third)).toMatchObject({
      type: 'message.throttled',
      data: { delivery: { state: 'throttled', attempts: 0 }, reason: expect.stringContaining('throttle') },
    });
    expect(third.replies).toEqual(first.replies);
    expect(asked('flooded@example.net')).toBe(2);
    expect(await contentsKept()).toBe(0);
  });

  it('counts for its own tag and recipient alone', async () => {
    const both = await send({ to: ['flooded@example.net', 'calm@example.net'], tag: 'otp' });
    expect(endOf(both, 'flooded@example.net')?.type).toBe('message.throttled');
    expect(endOf(both, 'calm@example.net')?.type).toBe('message.delivered');
    expect(endOf(await send({ to: 'flooded@example.net' }))?.type).toBe('message.delivered');
    expect(endOf(await send({ to: 'flooded@example.net', tag: 'password-reset' }))?.type).toBe('message.delivered');
  });

  it('lets as many through as it says when they come at the same moment', async () => {
    const mails = Array.from({ length: 8 }, () => submit(relay.smtpPort, { to: 'burst@example.net', tag: 'otp' }));
    const all = await Promise.all(mails);
    await until(() => openDeliveries(home) === 0, 'the end of the burst');
    expect(new Set(all.map(({ replies }) => replies.join('\n'))).size).toBe(1);
    expect(asked('burst@example.net')).toBe(2);
  });

  it('still counts after kill -9', async () => {
    await relay.kill9();
    relay = await home.start();
    const after = await send({ to: 'flooded@example.net', tag: 'otp' });
    expect(endOf(after)?.type).toBe('message.throttled');
    expect(after.replies.at(-1)).toBe('250 2.0.0 Ok: queued as msg_*');
  });
});

describe('a suppression', () => {
  it('survives kill -9', async () => {
    refusals.set('kept@example.net', { at: 'RCPT', text: UNKNOWN });
    await send({ to: 'kept@example.net' });
    await relay.kill9();
    relay = await home.start();
    expect(endOf(await send({ to: 'kept@example.net' }))?.type).toBe('message.suppressed');
  });

  it('ends by itself after `bounces.suppress_for`, as a reload sets it', async () => {
    await home.configure(configOf('1s'));
    relay.signal('SIGHUP');
    await relay.line(({ event }) => event === 'config.reloaded');
    refusals.set('back@example.net', { at: 'RCPT', text: UNKNOWN });
    const bounced = endOf(await send({ to: 'back@example.net' }));
    const end = Date.parse(bounced?.data.bounce?.suppressed_until ?? '');
    expect(end - Date.parse(bounced?.timestamp ?? '')).toBeLessThanOrEqual(1000);

    refusals.delete('back@example.net');
    await until(() => Date.now() > end, 'the end of the suppression');
    expect(endOf(await send({ to: 'back@example.net' }))?.type).toBe('message.delivered');
    // The one that was made before keeps its own end.
    expect(endOf(await send({ to: 'kept@example.net' }))?.type).toBe('message.suppressed');
  });
});

async function contentsKept(): Promise<number> {
  const messages = await reader.messages({ limit: 1000 });
  return messages.filter(({ contentKept }) => contentKept).length;
}
