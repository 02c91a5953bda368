import { simpleParser } from 'mailparser';
import { describe, expect, test } from 'vitest';
import { RelayError } from '../../src/core/errors.ts';
import type { MessageId } from '../../src/core/ids.ts';
import { refuse } from '../../src/core/refusal.ts';
import { testConfig, testCredential, testSender, testTag } from '../support/config.ts';
import { type Answer, type ApiBench, startApi, token } from './support.ts';

const RESET = {
  from: 'Example Security <security@example.com>',
  to: ['ann@example.net'],
  subject: 'Reset your password',
  text: 'Open https://accounts.example.com/reset/abc\n',
  tag: 'password-reset',
};

interface Sent {
  readonly id: MessageId;
  readonly deliveries: readonly { readonly id: string; readonly recipient: string; readonly state: string }[];
}

function post(api: ApiBench, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  return api.call('/v1/messages', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

async function sent(api: ApiBench, body: unknown, headers: Record<string, string> = {}): Promise<Sent> {
  const answer = await post(api, body, headers);
  expect(answer.status, answer.text).toBe(202);
  return answer.json as Sent;
}

/** What was stored of the message. */
async function stored(api: ApiBench, id: MessageId): Promise<string> {
  return Buffer.from((await api.store.history.content(id)) ?? []).toString();
}

describe('sending JSON', () => {
  test('keeps the message with its wishes and answers 202 with a delivery for each recipient', async () => {
    const api = await startApi();
    const body = {
      ...RESET,
      cc: 'Bob <bob@example.net>',
      bcc: [{ address: 'eve@example.net' }],
      flow: 'f-1',
      metadata: { user: '7', note: 'größer' },
      ttl: '10m',
      priority: 'bulk',
      collapse_key: 'reset-7',
    };
    const { id, deliveries } = await sent(api, body);
    const view = await api.store.history.message(id);
    expect(deliveries).toEqual(
      view?.deliveries.map((one) => ({ id: one.id, recipient: one.recipient, state: 'queued' })),
    );
    expect(deliveries.map(({ recipient }) => recipient)).toEqual([
      'ann@example.net',
      'bob@example.net',
      'eve@example.net',
    ]);
    expect(view).toMatchObject({
      tag: 'password-reset',
      tagSource: 'header',
      flow: 'f-1',
      metadata: { user: '7', note: 'größer' },
      priority: 'bulk',
      collapseKey: 'reset-7',
      deadline: api.clock.now() + 600_000,
      mailFrom: 'security@example.com',
      headerFrom: 'security@example.com',
      credential: null,
    });
  });

  test('takes an attachment as large as a message may be', async () => {
    const api = await startApi();
    const octets = Buffer.alloc(17 * 1024 ** 2, 'reset');
    const attachments = [{ filename: 'report.pdf', content: octets.toString('base64') }];
    const { id } = await sent(api, { ...RESET, attachments });
    const mail = await simpleParser(await stored(api, id));
    expect(mail.attachments[0]?.content.equals(octets)).toBe(true);
  });

  test.each(['AAAA', 'AA', 'AA==', 'AAA', 'AAA=', ''])('takes the base64 %j, padded or not', async (content) => {
    const api = await startApi();
    const { id } = await sent(api, { ...RESET, attachments: [{ filename: 'a', content }] });
    const mail = await simpleParser(await stored(api, id));
    expect(mail.attachments[0]?.content.toString('base64').replace(/=+$/, '')).toBe(content.replace(/=+$/, ''));
  });

  test('is answered though the store cannot be read any more once the message is kept', async () => {
    const trouble = new RelayError('busy', { code: 'store-closed', op: 'store.message', hint: '' });
    const api = await startApi({ history: (history) => ({ ...history, message: () => Promise.reject(trouble) }) });
    const { deliveries } = await sent(api, { ...RESET, bcc: 'eve@example.net' });
    expect(deliveries.map(({ recipient }) => recipient)).toEqual(['ann@example.net', 'eve@example.net']);
  });

  test('composes what mail programs read as it was meant', async () => {
    const api = await startApi();
    const png = Buffer.from('89504e470d0a1a0a', 'hex');
    const { id } = await sent(api, {
      ...RESET,
      from: { address: 'security@example.com', name: 'Sicherheit, "Große" Ämter' },
      reply_to: 'Support <help@example.com>',
      subject: 'Zurücksetzen – Ihr Kennwort 🔑',
      text: 'line one\nline two\rline three\r\n.dot\nfünf\u0000',
      html: '<p>Hallo <img src="cid:logo"> größer</p>',
      headers: { 'X-Campaign': 'a b', 'In-Reply-To': '<x@y>' },
      attachments: [
        { filename: 'bericht ü.pdf', content: Buffer.from('%PDF').toString('base64'), content_type: 'application/pdf' },
        { filename: 'logo.png', content: png.toString('base64'), content_type: 'image/png', content_id: 'logo' },
      ],
    });
    const text = await stored(api, id);
    const mail = await simpleParser(text);
    expect(mail.from?.value).toEqual([{ address: 'security@example.com', name: 'Sicherheit, "Große" Ämter' }]);
    expect(mail.replyTo?.value).toEqual([{ address: 'help@example.com', name: 'Support' }]);
    expect(mail.subject).toBe('Zurücksetzen – Ihr Kennwort 🔑');
    expect(mail.text?.split('\n').slice(0, 4)).toEqual(['line one', 'line two', 'line three', '.dot']);
    expect(mail.html).toContain('größer');
    expect(mail.headers.get('x-campaign')).toBe('a b');
    expect(mail.inReplyTo).toBe('<x@y>');
    expect(mail.attachments.map((file) => [file.filename, file.contentType, file.content.toString('hex')])).toEqual([
      ['logo.png', 'image/png', png.toString('hex')],
      ['bericht ü.pdf', 'application/pdf', '25504446'],
    ]);
    expect(mail.messageId).toBe(`<${id}@relay.example.com>`);
    expect(text).toMatch(/^Received: from unknown \(\[127\.0\.0\.1\]\)\r\n\tby relay\.example\.com with HTTP\r\n/);
    expect(text).not.toMatch(/^(?:Bcc|X-Leadpush)/im);
    for (const name of ['Message-ID', 'Date', 'From', 'MIME-Version']) {
      expect(text.match(new RegExp(`^${name}:`, 'gim')), name).toHaveLength(1);
    }
  });

  test('gives one copy to who is named twice', async () => {
    const api = await startApi();
    const { deliveries } = await sent(api, { ...RESET, cc: ['ANN@example.net', 'bob@example.net'] });
    expect(deliveries.map(({ recipient }) => recipient)).toEqual(['ann@example.net', 'bob@example.net']);
  });

  test('keeps an address with letters of other alphabets as it was given', async () => {
    const api = await startApi();
    const { id, deliveries } = await sent(api, { ...RESET, to: ['jörg@müller.example'] });
    expect(deliveries[0]?.recipient).toBe('jörg@müller.example');
    expect((await api.store.history.message(id))?.smtpUtf8).toBe(true);
  });

  test('asks for verified TLS by the one relay header that has no field', async () => {
    const api = await startApi();
    const { id } = await sent(api, { ...RESET, headers: { 'X-Leadpush-Require-TLS': 'true' } });
    expect((await api.store.history.message(id))?.requireTls).toBe(true);
  });

  test.each([
    ['no from', { from: undefined }, '/from'],
    ['a from that is no address', { from: 'security' }, '/from'],
    ['a from with two addresses', { from: 'a@example.com, b@example.com' }, '/from'],
    ['a name that looks like an address', { from: '"ceo@bank.example" <security@example.com>' }, '/from'],
    ['a line break in a name', { from: { address: 'a@example.com', name: 'A\r\nBcc: x@y.example' } }, '/from'],
    ['a line break in an address', { to: ['ann@example.net\r\nBcc: x@y.example'] }, '/to/0'],
    ['several addresses in one', { to: ['ann@example.net', 'a@example.net,b@example.net'] }, '/to/1'],
    ['a routed address', { to: ['a%b@example.net'] }, '/to/0'],
    ['nobody to send to', { to: [] }, '/to'],
    ['a number for a recipient', { cc: [5] }, '/cc/0'],
    ['a line break in the subject', { subject: 'a\nBcc: x@y.example' }, '/subject'],
    ['a Unicode line break in the subject', { subject: 'a\u2028b' }, '/subject'],
    ['half a character in the subject', { subject: 'a\ud800' }, '/subject'],
    ['neither text nor html', { text: '' }, '/text'],
    ['a header of the relay', { headers: { Received: 'x' } }, '/headers/Received'],
    ['a header that has a field', { headers: { 'x-leadpush-tag': 'otp' } }, '/headers/x-leadpush-tag'],
    ['a header about the content', { headers: { 'Content-Type': 'text/html' } }, '/headers/Content-Type'],
    ['a Bcc header', { headers: { bCC: 'x@y.example' } }, '/headers/bCC'],
    ['a signature', { headers: { 'DKIM-Signature': 'v=1' } }, '/headers/DKIM-Signature'],
    ['a header with a line break', { headers: { 'X-A': 'a\r\nBcc: x@y.example' } }, '/headers/X-A'],
    ['a header name with a colon', { headers: { 'X-A: b\r\nX-B': 'c' } }, '/headers/X-A: b\r\nX-B'],
    ['a slash in a header name', { headers: { 'X/~A': 'c' } }, '/headers/X~1~0A'],
    ['the same header twice', { headers: { 'X-A': '1', 'x-a': '2' } }, '/headers/x-a'],
    ['content that is no base64', { attachments: [{ filename: 'a', content: 'a b' }] }, '/attachments/0/content'],
    ['base64 that ends too early', { attachments: [{ filename: 'a', content: 'AAAAA' }] }, '/attachments/0/content'],
    ['base64 with too much padding', { attachments: [{ filename: 'a', content: 'AAA==' }] }, '/attachments/0/content'],
    ['base64 of padding alone', { attachments: [{ filename: 'a', content: '==' }] }, '/attachments/0/content'],
    ['padding within base64', { attachments: [{ filename: 'a', content: 'AA==AAAA' }] }, '/attachments/0/content'],
    ['a key that a record would lose', JSON.parse('{"metadata":{"__proto__":"x"}}'), '/metadata/__proto__'],
    ['a header that a record would lose', JSON.parse('{"headers":{"__proto__":"x"}}'), '/headers/__proto__'],
    [
      'a record of thousands, by its number alone',
      { metadata: Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`k${at}`, 0])) },
      '/metadata',
    ],
    ['a path as a filename', { attachments: [{ filename: '../a', content: '' }] }, '/attachments/0/filename'],
    ['a file to be read', { attachments: [{ filename: 'a', path: '/etc/passwd' }] }, '/attachments/0/content'],
    [
      'a media type with parameters',
      { attachments: [{ filename: 'a', content: '', content_type: 'a/b; c' }] },
      '/attachments/0/content_type',
    ],
    [
      'a message as an attachment',
      { attachments: [{ filename: 'a', content: '', content_type: 'message/rfc822' }] },
      '/attachments/0/content_type',
    ],
    ['a bad tag', { tag: 'Password Reset' }, '/tag'],
    ['a long flow', { flow: 'x'.repeat(129) }, '/flow'],
    ['a metadata key in upper case', { metadata: { User: '1' } }, '/metadata/User'],
    ['long metadata', { metadata: { a: 'x'.repeat(513) } }, '/metadata/a'],
    [
      'too much metadata',
      { metadata: Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`k${i}`, ''])) },
      '/metadata',
    ],
    ['a TTL of nothing', { ttl: 0 }, '/ttl'],
    ['a TTL of 31 days', { ttl: '31d' }, '/ttl'],
    ['an unknown priority', { priority: 'urgent' }, '/priority'],
    ['an unknown field', { tags: ['a'] }, '/tags'],
  ])('refuses %s and points to it', async (_name, change, pointer) => {
    const api = await startApi();
    const answer = await post(api, { ...RESET, ...change });
    expect(answer.status, answer.text).toBe(422);
    expect(answer.json).toMatchObject({ code: 'validation' });
    const { errors } = answer.json as { errors: readonly { pointer: string; in: string }[] };
    expect(errors.map((error) => error.pointer)).toContain(pointer);
    expect(errors.every((error) => error.in === 'body')).toBe(true);
    expect(await api.eventTypes()).toEqual([]);
  });

  test.each([
    ['not JSON', '{', 400, 'bad-request'],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]).toString('latin1'), 400, 'bad-request'],
    ['nothing', '', 422, 'validation'],
    ['a list', '[]', 422, 'validation'],
    ['a prototype', '{"__proto__":{"from":"a@example.com"}}', 422, 'validation'],
  ])('refuses %s', async (_name, body, status, code) => {
    const api = await startApi();
    const raw = Buffer.from(body, 'latin1');
    const answer = await api.call('/v1/messages', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: raw,
    });
    expect([answer.status, answer.json]).toEqual([status, expect.objectContaining({ code })]);
  });

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'message/rfc822',
    '',
  ])('refuses JSON that says to be %j', async (type) => {
    const api = await startApi();
    const answer = await post(api, RESET, { 'content-type': type });
    expect([answer.status, answer.json]).toEqual([415, expect.objectContaining({ code: 'unsupported-media-type' })]);
  });

  test('says in plain words what is missing, or of another kind', async () => {
    const api = await startApi();
    const said = async (body: object): Promise<readonly string[]> => {
      const { errors } = (await post(api, body)).json as { errors: readonly { pointer: string; detail: string }[] };
      return errors.map(({ pointer, detail }) => `${pointer} ${detail}`);
    };
    expect((await said({})).slice(1)).toEqual(['/to is missing', '/subject is missing']);
    expect(await said({ ...RESET, subject: 5, priority: 'high' })).toEqual([
      '/subject is not of the type string',
      '/priority write one of critical, normal, bulk',
    ]);
  });

  test('takes a body of exactly its limit and refuses one octet more, with or without Content-Length', async () => {
    const relay = testConfig({ smtp: { ...testConfig().smtp, maxMessageBytes: 4096 } });
    const api = await startApi({ relay });
    const limit = Math.ceil((4096 * 4) / 3) + 64 * 1024;
    const padded = (octets: number): string => JSON.stringify(RESET).padEnd(octets, ' ');
    expect((await post(api, padded(limit))).status).toBe(202);
    expect((await post(api, padded(limit - 1))).status).toBe(202);
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
      const answer = await post(api, padded(limit + 1), headers);
      expect([answer.status, answer.json]).toEqual([413, expect.objectContaining({ code: 'too-large' })]);
    }
  });

  test('refuses a message that is larger than smtp.max_message_size once it is composed', async () => {
    const relay = testConfig({ smtp: { ...testConfig().smtp, maxMessageBytes: 4096 } });
    const api = await startApi({ relay });
    const answer = await post(api, { ...RESET, text: 'x'.repeat(5000) });
    expect([answer.status, answer.json]).toEqual([413, expect.objectContaining({ code: 'too-large' })]);
  });

  test('refuses more recipients than smtp.max_recipients', async () => {
    const relay = testConfig({ smtp: { ...testConfig().smtp, maxRecipients: 2 } });
    const api = await startApi({ relay });
    const answer = await post(api, { ...RESET, to: ['a@example.net', 'b@example.net'], bcc: ['c@example.net'] });
    expect([answer.status, answer.json]).toEqual([422, expect.objectContaining({ code: 'validation' })]);
  });
});

describe('what policy says', () => {
  test('a sender that is not ours is refused as not allowed, and kept as an event', async () => {
    const api = await startApi();
    const answer = await post(api, { ...RESET, from: 'a@other.example' });
    expect([answer.status, answer.json]).toEqual([
      403,
      expect.objectContaining({ code: 'not-allowed', detail: expect.stringContaining('other.example') }),
    ]);
    expect(await api.eventTypes()).toEqual(['message.rejected']);
  });

  test('a link that breaks the policy of its tag is refused with words for the developer', async () => {
    const links = { hosts: ['accounts.example.com'], schemes: ['https'], action: 'reject' as const };
    const tag = testTag({ name: 'password-reset', links });
    const api = await startApi({ relay: testConfig({ tags: new Map([['password-reset', tag]]) }) });
    expect((await post(api, RESET)).status).toBe(202);
    const answer = await post(api, { ...RESET, text: 'http://evil.example/reset' });
    expect([answer.status, answer.json]).toEqual([
      422,
      expect.objectContaining({ code: 'link-policy', detail: expect.stringContaining('evil.example') }),
    ]);
    expect(answer.text).not.toContain('/reset');
  });

  test('a store that takes no mail is told as unavailable, with a time to come back', async () => {
    const full = refuse(452, '4.3.1', 'Insufficient system storage, try again later', 'disk full at /srv');
    const api = await startApi({
      calls: { intake: { ready: () => full, accept: () => Promise.reject(new Error('asked')) } },
    });
    const answer = await post(api, RESET);
    expect([answer.status, answer.json]).toEqual([503, expect.objectContaining({ code: 'unavailable' })]);
    expect(answer.headers['retry-after']).toBe('10');
    expect(answer.text).not.toContain('/srv');
  });

  test('a store that fails in the middle is told as unavailable', async () => {
    const failed = new RelayError('I/O error at /srv', { code: 'store-io', op: 'store.accept' });
    const api = await startApi({ calls: { intake: { ready: () => null, accept: () => Promise.reject(failed) } } });
    const answer = await post(api, RESET);
    expect([answer.status, answer.headers['retry-after'], answer.text.includes('/srv')]).toEqual([503, '5', false]);
  });

  test('nothing in the answer tells a suppressed recipient from another', async () => {
    const api = await startApi();
    const now = api.clock.now();
    const known = await sent(api, { ...RESET, tag: 'newsletter' });
    const recipient = (await api.store.history.message(known.id))?.deliveries[0]?.recipient;
    if (recipient === undefined) throw new Error('no delivery');
    await api.store.suppressions.put({
      recipient,
      reason: 'manual',
      detail: 'x',
      messageId: null,
      createdAt: now,
      expiresAt: null,
    });
    const second = await sent(api, { ...RESET, tag: 'newsletter' });
    expect((await api.store.history.message(second.id))?.deliveries[0]?.state).toBe('suppressed');
    const shape = ({ deliveries }: Sent): unknown => deliveries.map((one) => ({ ...one, id: '' }));
    expect(shape(second)).toEqual(shape(known));
  });
});

describe('an idempotency key', () => {
  const key = { 'idempotency-key': 'k-1' };

  test('accepts the same content once and answers as the first time, whatever became of it', async () => {
    const api = await startApi();
    const first = await post(api, RESET, key);
    await api.deliver(await api.claimOne('sandbox'));
    const again = await post(api, RESET, key);
    expect([again.status, again.json]).toEqual([202, first.json]);
    expect([first.headers['idempotent-replayed'], again.headers['idempotent-replayed']]).toEqual([undefined, 'true']);
    expect(await api.eventTypes()).toEqual(['message.accepted', 'message.delivered']);
  });

  test.each([
    ['text', { text: 'other' }],
    ['recipient', { to: ['bob@example.net'] }],
    ['metadata', { metadata: { a: '1' } }],
  ])('with another %s is a conflict that names the first message', async (_name, change) => {
    const api = await startApi();
    const { id } = await sent(api, RESET, key);
    const answer = await post(api, { ...RESET, ...change }, key);
    expect([answer.status, answer.json]).toEqual([
      422,
      expect.objectContaining({ code: 'idempotency-conflict', detail: expect.stringContaining(id) }),
    ]);
  });

  test('is one namespace over both calls', async () => {
    const api = await startApi();
    const raw = 'From: security@example.com\r\nSubject: x\r\n\r\nhello\r\n';
    const mime = (headers: Record<string, string>, content = raw): Promise<Answer> =>
      api.call('/v1/messages/mime?from=security@example.com&to=ann@example.net', {
        method: 'POST',
        headers: { 'content-type': 'message/rfc822', ...headers },
        body: content,
      });
    const first = await mime(key);
    const inMessage = await mime({}, `X-Leadpush-Idempotency-Key: k-1\r\n${raw}`);
    expect(inMessage.json).toEqual(first.json);
    expect((await post(api, RESET, key)).json).toMatchObject({ code: 'idempotency-conflict' });
  });

  test.each(['', 'x'.repeat(129), 'ü'])('that is not of its form (%j) is refused', async (value) => {
    const api = await startApi();
    const answer = await post(api, RESET, { 'idempotency-key': Buffer.from(value).toString('latin1') });
    expect([answer.status, answer.json]).toEqual([422, expect.objectContaining({ code: 'validation' })]);
    expect(answer.json).toMatchObject({ errors: [{ in: 'header', pointer: '/idempotency-key' }] });
  });
});

describe('sending a raw message', () => {
  const RAW =
    'From: security@example.com\r\nTo: x@example.net\r\nBcc: y@example.net\r\nX-Leadpush-Tag: otp\r\n\r\n\xe4\r\n';

  function mime(api: ApiBench, query: string, body: string = RAW, type = 'message/rfc822'): Promise<Answer> {
    return api.call(`/v1/messages/mime${query}`, {
      method: 'POST',
      headers: { 'content-type': type },
      body: Buffer.from(body, 'latin1'),
    });
  }

  test('goes to the envelope and not to what its header says, octet by octet', async () => {
    const api = await startApi();
    const answer = await mime(api, '?from=bounce%40example.com&to=ann%40example.net&to=bob%40example.net');
    expect(answer.status, answer.text).toBe(202);
    const { id, deliveries } = answer.json as Sent;
    expect(deliveries.map(({ recipient }) => recipient)).toEqual(['ann@example.net', 'bob@example.net']);
    const view = await api.store.history.message(id);
    expect(view).toMatchObject({ mailFrom: 'bounce@example.com', tag: 'otp', tagSource: 'header', eightBit: true });
    const content = Buffer.from((await api.store.history.content(id)) ?? []).toString('latin1');
    expect(content).toContain('From: security@example.com\r\nTo: x@example.net\r\n\r\n\xe4\r\n');
    expect(content).not.toMatch(/y@example\.net|X-Leadpush/);
  });

  test('takes the null sender and recipients with commas', async () => {
    const api = await startApi();
    const answer = await mime(api, '?from=&to=ann@example.net,bob@example.net');
    const { id, deliveries } = answer.json as Sent;
    expect(deliveries).toHaveLength(2);
    expect((await api.store.history.message(id))?.mailFrom).toBe('');
  });

  test.each([
    ['no recipient', '?from=a@example.com', '/to'],
    ['no sender', '?to=ann@example.net', '/from'],
    ['a bad recipient', '?from=a@example.com&to=ann', '/to/0'],
    ['an unknown parameter', '?from=a@example.com&to=ann@example.net&bcc=x', '/bcc'],
  ])('refuses %s', async (_name, query, pointer) => {
    const answer = await mime(await startApi(), query);
    expect(answer.status).toBe(422);
    expect(answer.json).toMatchObject({ code: 'validation', errors: [{ in: 'query', pointer }] });
  });

  test.each([
    ['bare line feeds', 'From: security@example.com\n\nhello\n'],
    ['no From', 'Subject: x\r\n\r\nhello\r\n'],
    ['two of From', 'From: security@example.com\r\nFrom: a@example.com\r\n\r\nhello\r\n'],
    ['a bad TTL', 'From: security@example.com\r\nX-Leadpush-TTL: soon\r\n\r\nhello\r\n'],
    ['a long line', `From: security@example.com\r\n\r\n${'x'.repeat(999)}\r\n`],
  ])('refuses %s as malformed', async (_name, body) => {
    const answer = await mime(await startApi(), '?from=security@example.com&to=ann@example.net', body);
    expect([answer.status, answer.json]).toEqual([422, expect.objectContaining({ code: 'malformed-message' })]);
  });

  test('folds nothing of the message into the idempotency key', async () => {
    const answer = await (await startApi()).call('/v1/messages/mime?from=security@example.com&to=ann@example.net', {
      method: 'POST',
      headers: { 'content-type': 'message/rfc822', 'idempotency-key': 'k-1' },
      body: ' folded\r\nFrom: security@example.com\r\n\r\nhello\r\n',
    });
    expect([answer.status, answer.json]).toEqual([422, expect.objectContaining({ code: 'malformed-message' })]);
  });

  test('refuses JSON, and an octet over smtp.max_message_size', async () => {
    const relay = testConfig({ smtp: { ...testConfig().smtp, maxMessageBytes: 1024 } });
    const api = await startApi({ relay });
    const query = '?from=security@example.com&to=ann@example.net';
    expect((await mime(api, query, '{}', 'application/json')).status).toBe(415);
    const head = 'From: security@example.com\r\n\r\n';
    const body = (octets: number): string =>
      `${head}${'x\r\n'.repeat(400)}`
        .slice(0, octets - 2)
        .replace(/\r$/, 'x')
        .concat('\r\n');
    expect((await mime(api, query, body(1024))).status).toBe(202);
    expect((await mime(api, query, body(1025))).status).toBe(413);
  });
});

describe('a token', () => {
  const http = (credential: string | null): { host: string; port: number; tokens: ReturnType<typeof token>[] } => ({
    host: '127.0.0.1',
    port: 0,
    tokens: [token('app', 'secret-a', ['send'], credential), token('ops', 'secret-o', ['read'])],
  });
  const bearer = (text: string): Record<string, string> => ({ authorization: `Bearer ${text}` });

  test('without a credential submits under a name of its own, with any sender of the relay', async () => {
    const api = await startApi({ config: http(null) });
    const { id } = await sent(api, RESET, bearer('secret-a'));
    expect((await api.store.history.message(id))?.credential).toBe('token:app');
  });

  test('with a credential is held to its senders, and gets its tag and name', async () => {
    const credential = testCredential({ username: 'keycloak', from: ['security@example.com'], tag: 'otp' });
    const api = await startApi({ config: http('keycloak'), relay: testConfig({ credentials: [credential] }) });
    const { id } = await sent(api, { ...RESET, tag: undefined }, bearer('secret-a'));
    expect(await api.store.history.message(id)).toMatchObject({
      credential: 'keycloak',
      tag: 'otp',
      tagSource: 'credential',
    });
    const answer = await post(api, { ...RESET, from: 'other@example.com' }, bearer('secret-a'));
    expect([answer.status, answer.json]).toEqual([403, expect.objectContaining({ code: 'not-allowed' })]);
  });

  test('may send an idempotency key where its credential may set no such header', async () => {
    const headers = { allow: new Set(['tag']), aliases: new Set<never>() };
    const credential = testCredential({ username: 'keycloak', headers });
    const api = await startApi({ config: http('keycloak'), relay: testConfig({ credentials: [credential] }) });
    const body = { ...RESET, ttl: undefined, flow: undefined };
    const first = await sent(api, body, { ...bearer('secret-a'), 'idempotency-key': 'k-1' });
    expect(await sent(api, body, { ...bearer('secret-a'), 'idempotency-key': 'k-1' })).toEqual(first);
  });

  test('is told from another by rules', async () => {
    const relay = testConfig({
      senders: [testSender()],
      rules: [
        { name: 'api', when: { credential: ['token:app'] }, action: { kind: 'via', routes: ['sandbox'] } },
        { name: 'rest', when: {}, action: { kind: 'reject', reason: 'not here' } },
      ],
    });
    const api = await startApi({ config: http(null), relay });
    const { id } = await sent(api, RESET, bearer('secret-a'));
    expect((await api.store.history.message(id))?.rule).toBe('api');
  });

  test('without the scope send, or without any, sends nothing', async () => {
    const api = await startApi({ config: http(null) });
    expect((await post(api, RESET, bearer('secret-o'))).json).toMatchObject({ code: 'forbidden' });
    expect((await post(api, RESET)).json).toMatchObject({ code: 'unauthorized' });
    expect((await api.call('/v1/messages', { headers: bearer('secret-a') })).json).toMatchObject({ code: 'forbidden' });
    expect(await api.eventTypes()).toEqual([]);
  });
});
