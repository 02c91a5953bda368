/** Webhook verification: what the package of Standard Webhooks signs is believed, everything else is refused with its reason. */
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import {
  type VerifyOptions,
  verifyWebhook,
  type WebhookErrorCode,
  type WebhookHeaders,
  WebhookVerificationError,
} from '../../src/sdk/verify.ts';
import fc from '../support/properties.ts';

const NOW = Date.UTC(2026, 0, 5, 10);
const SECRET = `whsec_${Buffer.from('the secret of the webhook tests!').toString('base64')}`;
const OTHER = `whsec_${Buffer.from('another secret, of the same size').toString('base64')}`;
const EVENT = { type: 'message.bounced', timestamp: '2026-01-05T10:00:00.000Z', data: { event_id: 'evt_1', seq: 7 } };
const BODY = JSON.stringify(EVENT);

type Signed = {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
};

/** Headers for `body` as the outside package signs it. */
function sign(body: string = BODY, secret: string = SECRET, atMs: number = NOW, id: string = 'evt_1'): Signed {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(atMs / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, new Date(atMs), body),
  };
}

const verify = (
  payload: Parameters<typeof verifyWebhook>[0],
  headers: WebhookHeaders,
  secrets: string | readonly string[] = SECRET,
  options: VerifyOptions = {},
): ReturnType<typeof verifyWebhook> => verifyWebhook(payload, headers, secrets, { now: () => NOW, ...options });

async function codeOf(verdict: Promise<unknown>): Promise<WebhookErrorCode> {
  const thrown = await verdict.then(
    () => null,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(WebhookVerificationError);
  return (thrown as WebhookVerificationError).code;
}

describe('a webhook that the relay signed', () => {
  it.each([
    ['text', BODY],
    ['bytes', Buffer.from(BODY)],
    ['a buffer', new TextEncoder().encode(BODY).buffer],
    ['a view into more bytes', Buffer.from(`<<${BODY}>>`).subarray(2, -2)],
  ])('gives its event, from %s', async (_what, payload) => {
    expect(await verify(payload, sign())).toEqual(EVENT);
  });

  it.each<[string, (headers: Signed) => WebhookHeaders]>([
    ['a Headers', (headers) => new Headers({ ...headers })],
    ['a plain object', (headers) => headers],
    ["Node's headers", (headers) => ({ ...headers, host: 'a.example', 'set-cookie': ['a', 'b'], cookie: undefined })],
    ['lists of one', (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]))],
    [
      'other letter case',
      (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value])),
    ],
  ])('is believed with its headers in %s', async (_what, as) => {
    expect(await verify(BODY, as(sign()))).toEqual(EVENT);
  });

  it('is believed when one of several secrets signed it, and one of several signatures fits', async () => {
    expect(await verify(BODY, sign(), [OTHER, SECRET])).toEqual(EVENT);
    const both = `${sign(BODY, OTHER)['webhook-signature']} ${sign()['webhook-signature']}`;
    expect(await verify(BODY, { ...sign(), 'webhook-signature': both })).toEqual(EVENT);
  });

  it('is believed beside signatures of other versions', async () => {
    const signature = `v1a,not-ours ${sign()['webhook-signature']} v2,whatever`;
    expect(await verify(BODY, { ...sign(), 'webhook-signature': signature })).toEqual(EVENT);
  });

  it('is believed with a secret that is written without its prefix', async () => {
    expect(await verify(BODY, sign(), SECRET.slice('whsec_'.length))).toEqual(EVENT);
  });

  it.each([-300, 0, 300])('is believed %d s away from its time', async (seconds) => {
    expect(await verify(BODY, sign(BODY, SECRET, NOW + seconds * 1000))).toEqual(EVENT);
  });

  it('is believed without Web Crypto too', async () => {
    expect(await verify(BODY, sign(), SECRET, { crypto: null })).toEqual(EVENT);
    expect(await codeOf(verify(`${BODY} `, sign(), SECRET, { crypto: null }))).toBe('signature-mismatch');
  });

  it('is believed as long as one wishes', async () => {
    const old = sign(BODY, SECRET, NOW - 3_600_000);
    expect(await verify(BODY, old, SECRET, { toleranceSeconds: 3600 })).toEqual(EVENT);
  });

  it('is believed whatever body, id and secret are, as the outside package signs them', async () => {
    const event = fc.record({ type: fc.string(), data: fc.dictionary(fc.string(), fc.jsonValue()) });
    const secret = fc
      .uint8Array({ minLength: 24, maxLength: 64 })
      .map((key) => `whsec_${Buffer.from(key).toString('base64')}`);
    const id = fc.stringMatching(/^[\x21-\x7e]{1,60}$/);
    await fc.assert(
      fc.asyncProperty(event, secret, id, async (value, key, webhookId) => {
        const body = JSON.stringify(value);
        expect(await verify(body, sign(body, key, NOW, webhookId), key)).toEqual(JSON.parse(body));
      }),
    );
  });
});

describe('a webhook that must not be believed', () => {
  it('is one whose body, id, time or signature differs in one character', async () => {
    const parts = fc.constantFrom('body', 'webhook-id', 'webhook-timestamp', 'webhook-signature' as const);
    await fc.assert(
      fc.asyncProperty(parts, fc.nat(), fc.nat(), async (part, at, by) => {
        const change = (text: string): string => {
          const place = at % text.length;
          const old = text.charCodeAt(place);
          const letter = String.fromCharCode(0x21 + ((old - 0x21 + 1 + (by % 92)) % 94));
          return text.slice(0, place) + letter + text.slice(place + 1);
        };
        const headers = sign();
        const verdict =
          part === 'body'
            ? verify(change(BODY), headers)
            : verify(BODY, { ...headers, [part]: change(headers[part as keyof Signed]) });
        expect(await codeOf(verdict)).not.toBe('payload-invalid');
      }),
      { numRuns: 500 },
    );
  });

  it('is one that another secret signed', async () => {
    expect(await codeOf(verify(BODY, sign(BODY, OTHER)))).toBe('signature-mismatch');
    expect(await codeOf(verify(BODY, sign(), [OTHER, OTHER]))).toBe('signature-mismatch');
  });

  it.each<[WebhookErrorCode, string, WebhookHeaders]>([
    ['header-missing', 'no id', { ...sign(), 'webhook-id': undefined }],
    ['header-missing', 'no time', { ...sign(), 'webhook-timestamp': '' }],
    ['header-missing', 'no signature', new Headers({ 'webhook-id': 'evt_1', 'webhook-timestamp': '1' })],
    ['header-missing', 'no headers', {}],
    ['header-invalid', 'two ids', { ...sign(), 'webhook-id': ['evt_1', 'evt_2'] }],
    ['header-invalid', 'two ids by letter case', { ...sign(), 'Webhook-Id': 'evt_2' }],
    ['header-invalid', 'a time in words', { ...sign(), 'webhook-timestamp': 'now' }],
    ['header-invalid', 'a time with a sign', { ...sign(), 'webhook-timestamp': '-1767607200' }],
    ['header-invalid', 'a signature of another version', { ...sign(), 'webhook-signature': 'v1a,AAAA' }],
    ['header-invalid', 'a short signature', { ...sign(), 'webhook-signature': 'v1,AAAA' }],
    ['header-invalid', 'bits that stand for nothing', { ...sign(), 'webhook-signature': `v1,${'A'.repeat(42)}B=` }],
    ['header-invalid', 'no base64', { ...sign(), 'webhook-signature': `v1,${'!'.repeat(43)}=` }],
    [
      'header-invalid',
      'hundreds of signatures',
      { ...sign(), 'webhook-signature': `v1,${'A'.repeat(43)}= `.repeat(500) },
    ],
    ['timestamp-too-old', 'six minutes old', sign(BODY, SECRET, NOW - 301_000)],
    ['timestamp-too-new', 'from the future', sign(BODY, SECRET, NOW + 301_000)],
  ])('says %s: %s', async (code, _what, headers) => {
    expect(await codeOf(verify(BODY, headers))).toBe(code);
  });

  it.each<[string, unknown]>([
    ['the parsed body', EVENT],
    ['nothing', undefined],
    ['a list of numbers', [1, 2]],
  ])('says payload-not-raw for %s', async (_what, payload) => {
    expect(await codeOf(verify(payload as string, sign()))).toBe('payload-not-raw');
  });

  it.each<[string, unknown]>([
    ['a variable that is not set', undefined],
    ['nothing', ''],
    ['an empty list', []],
    ['only the prefix', 'whsec_'],
    ['no base64', 'whsec_not base64'],
    ['base64 that is cut', 'whsec_abcde'],
    ['one good and one bad', [SECRET, 'x']],
  ])('says secret-invalid for %s, without repeating it', async (_what, secret) => {
    const verdict = verifyWebhook(BODY, sign(), secret as string);
    expect(await codeOf(verdict)).toBe('secret-invalid');
    await expect(verdict).rejects.toThrow(
      /^(?:No secret was given|The secret (?:is not set|must be whsec_ followed by .*))$/,
    );
  });

  it.each(['{"type":', '[]', 'null', '"text"', '{"type":1,"data":{}}', '{"type":"x","data":null}', '\ufffd'])(
    'says payload-invalid for a signed body that is no event: %s',
    async (body) => {
      expect(await codeOf(verify(body, sign(body)))).toBe('payload-invalid');
    },
  );

  it('says signature-mismatch, not payload-invalid, for what is neither signed nor an event', async () => {
    expect(await codeOf(verify('{', sign()))).toBe('signature-mismatch');
  });
});
