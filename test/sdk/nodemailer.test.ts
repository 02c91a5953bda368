/** nodemailer with the transport of the SDK: what the relay gets, what the app gets back, what it catches. */
import { createTransport, type NodemailerError, type SentMessageInfo, type Transporter } from 'nodemailer';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LeadpushInfo, leadpushTransport, type LeadpushTransportOptions } from '../../src/sdk/nodemailer.ts';
import { type Answer, type FakeRelay, hangUp, json, problem, silence, startFakeRelay } from './server.ts';

const ID = 'msg_01m84nvb6rsy8y1na26z7rxvn8';
const MAIL = {
  from: 'Example <no-reply@example.com>',
  to: ['ann@example.net', 'Ben <ben@example.net>'],
  bcc: 'audit@example.com',
  subject: 'Reset',
  text: 'Follow https://accounts.example.com/reset?token=123\n.\nBye',
};

let relay: FakeRelay;

beforeEach(async () => {
  relay = await startFakeRelay();
  relay.answer(json({ id: ID, deliveries: [] }, 202));
});
afterEach(() => relay.close());

function open(over: Partial<LeadpushTransportOptions> = {}): Transporter<LeadpushInfo> {
  return createTransport(leadpushTransport({ baseUrl: relay.baseUrl, token: 'tok', maxRetries: 0, ...over }));
}

function sent(at = 0): { url: URL; headers: FakeRelay['asked'][number]['headers']; mime: string } {
  const asked = relay.asked[at];
  if (asked === undefined) throw new Error('nothing was sent');
  return { url: new URL(asked.url, relay.baseUrl), headers: asked.headers, mime: asked.body.toString('utf8') };
}

async function failureOf(sending: Promise<unknown>): Promise<NodemailerError> {
  return sending.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: NodemailerError) => error,
  );
}

describe('a message', () => {
  it('goes to /v1/messages/mime as nodemailer built it, with its envelope', async () => {
    await open().sendMail(MAIL);
    const { url, headers, mime } = sent();
    expect(url.pathname).toBe('/v1/messages/mime');
    expect(url.searchParams.get('from')).toBe('no-reply@example.com');
    expect(url.searchParams.get('to')).toBe('ann@example.net,ben@example.net,audit@example.com');
    expect(headers).toMatchObject({ authorization: 'Bearer tok', 'content-type': 'message/rfc822' });
    expect(mime).toContain('\r\nTo: ann@example.net, Ben <ben@example.net>\r\n');
    expect(mime).not.toMatch(/^bcc:/im);
    expect(mime).toContain('\r\n.\r\nBye');
    expect(mime).not.toMatch(/(?<!\r)\n/);
  });

  it('gives back what nodemailer users look at', async () => {
    const info = await open().sendMail({ ...MAIL, messageId: '<one@example.com>' });
    const to = ['ann@example.net', 'ben@example.net', 'audit@example.com'];
    expect(info).toEqual({
      envelope: { from: 'no-reply@example.com', to },
      messageId: '<one@example.com>',
      accepted: to,
      rejected: [],
      pending: [],
      response: `250 2.0.0 Ok: queued as ${ID}`,
      id: ID,
    });
    expect(sent().mime).toContain('Message-ID: <one@example.com>');
  });

  it('tells the Message-ID that nodemailer made', async () => {
    const info = await open().sendMail(MAIL);
    expect(info.messageId).toMatch(/^<.+@.+>$/);
    expect(sent().mime).toContain(`Message-ID: ${info.messageId}`);
  });

  it('has the tag of the transport, unless it has one itself', async () => {
    const transport = open({ tag: 'password-reset' });
    await transport.sendMail(MAIL);
    await transport.sendMail({ ...MAIL, headers: { 'x-leadpush-tag': 'otp', 'X-Leadpush-TTL': '900' } });
    expect(sent(0).mime.match(/^X-Leadpush-Tag: .*$/gim)).toEqual(['X-Leadpush-Tag: password-reset']);
    expect(
      sent(1)
        .mime.match(/^X-Leadpush-.*$/gim)
        ?.sort(),
    ).toEqual(['X-Leadpush-Tag: otp', 'X-Leadpush-Ttl: 900']);
  });

  it('has an idempotency key: its own header, also in a whole message, or a new one', async () => {
    const raw = 'From: a@example.com\nx-leadpush-idempotency-key: reset-8\n\nX-Leadpush-Tag: body\n';
    await open().sendMail({ ...MAIL, headers: { 'X-Leadpush-Idempotency-Key': 'reset-7' } });
    await open().sendMail({ raw, envelope: { from: 'a@example.com', to: ['b@example.net'] } });
    await open().sendMail({ ...MAIL, text: 'X-Leadpush-Idempotency-Key: none' });
    await open().sendMail(MAIL);
    expect(sent(0).mime).toContain('X-Leadpush-Idempotency-Key: reset-7\r\n');
    expect(sent(0).headers['idempotency-key']).toBeUndefined();
    expect(sent(1).headers['idempotency-key']).toBeUndefined();
    expect(sent(2).headers['idempotency-key']).toMatch(/^[0-9a-f]{32}$/);
    expect(sent(3).headers['idempotency-key']).toMatch(/^[0-9a-f]{32}$/);
    expect(sent(3).headers['idempotency-key']).not.toBe(sent(2).headers['idempotency-key']);
  });

  it('is sent again with the same key and the same bytes when its answer was lost', async () => {
    relay.answer(hangUp, json({ id: ID, deliveries: [] }, 202));
    expect((await open({ maxRetries: 1 }).sendMail(MAIL)).id).toBe(ID);
    expect(sent(1).headers['idempotency-key']).toBe(sent(0).headers['idempotency-key']);
    expect(sent(1).mime).toBe(sent(0).mime);
  });

  it('keeps an envelope that the app gave, and the null sender', async () => {
    await open().sendMail({ ...MAIL, envelope: { from: false, to: 'only@example.net' } });
    expect(sent().url.search).toBe('?from=&to=only%40example.net');
  });

  it('gets CRLF line ends when the app brings a whole message with others', async () => {
    const raw = 'From: a@example.com\nTo: b@example.net\nSubject: x\n\nbody\n';
    await open().sendMail({ raw, envelope: { from: 'a@example.com', to: ['b@example.net'] } });
    expect(sent().mime).toMatch(/^From: a@example\.com\r\nTo: /);
    expect(sent().mime).not.toMatch(/(?<!\r)\n/);
  });

  it('goes through a transporter of the general type, with a callback', async () => {
    const transporter: Transporter = open();
    const info = await new Promise<SentMessageInfo>((resolve, reject) => {
      transporter.sendMail(MAIL, (error, result) => (error === null ? resolve(result) : reject(error)));
    });
    expect(info['id']).toBe(ID);
    transporter.close();
  });
});

describe('a failure', () => {
  it.each<[string, Answer, object]>([
    ['a wrong token', problem(401, 'unauthorized'), { code: 'EAUTH', responseCode: 535, permanent: true }],
    ['a missing scope', problem(403, 'forbidden'), { code: 'EAUTH', responseCode: 535, permanent: true }],
    ['trouble of the relay', problem(503, 'unavailable'), { code: 'EMESSAGE', responseCode: 451, permanent: false }],
    ['too many requests', problem(429, 'too-many-requests'), { code: 'EMESSAGE', responseCode: 451, permanent: false }],
    ['a message too large', problem(413, 'too-large'), { code: 'EMESSAGE', responseCode: 552, permanent: true }],
    ['something else than the relay', json({ hello: 1 }, 404), { code: 'EPROTOCOL', permanent: true }],
  ])('from %s looks as over SMTP', async (_what, answer, expected) => {
    relay.answer(answer);
    const error = await failureOf(open().sendMail(MAIL));
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ command: 'API', ...expected });
    expect(error.response).toMatch(new RegExp(`^${error.responseCode} `));
  });

  it('of an address is one of the envelope', async () => {
    const errors = [{ pointer: '/to', in: 'query', detail: 'is no address' }];
    const body = {
      type: '',
      title: 'Values not accepted',
      status: 422,
      detail: 'See.',
      code: 'validation',
      request_id: 'r',
      errors,
    };
    relay.answer(json(body, 422));
    expect(await failureOf(open().sendMail(MAIL))).toMatchObject({
      code: 'EENVELOPE',
      responseCode: 553,
      response: '553 messages.sendMime: 422 Values not accepted: See. query /to: is no address.',
    });
  });

  it('without an answer has a code, and no reply', async () => {
    relay.answer(hangUp);
    const lost = await failureOf(open().sendMail(MAIL));
    expect(lost).toMatchObject({ code: 'ECONNECTION', command: 'API' });
    expect(lost).not.toHaveProperty('responseCode');
    relay.answer(silence);
    expect(await failureOf(open({ timeoutMs: 100 }).sendMail(MAIL))).toMatchObject({ code: 'ETIMEDOUT' });
  });

  it('of nodemailer itself stays what it is', async () => {
    const error = await failureOf(
      open().sendMail({ ...MAIL, disableFileAccess: true, attachments: [{ path: '/etc/hostname' }] }),
    );
    expect(error.code).toBe('EFILEACCESS');
    expect(relay.asked).toEqual([]);
  });

  it('shows nothing of the message', async () => {
    relay.answer(problem(422, 'validation'));
    const error = await failureOf(open().sendMail(MAIL));
    expect(`${error.message} ${error.stack} ${error.response}`).not.toMatch(/token=123|Follow|Subject/);
  });

  it('by the signal of the app ends the call', async () => {
    const controller = new AbortController();
    relay.answer((_response) => controller.abort());
    expect(await failureOf(open().sendMail({ ...MAIL, signal: controller.signal }))).toMatchObject({
      name: 'AbortError',
      code: 'EABORT',
    });
  });
});
