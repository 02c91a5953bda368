import { describe, expect, test } from 'vitest';
import { type ApiBench, startApi, token } from './support.ts';
import { DELIVERED } from '../store/fixture.ts';

const MAIL = Buffer.from(
  [
    'From: app@example.com',
    'To: ann@example.net',
    'Subject: Reset',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    'Content-Type: text/plain',
    '',
    'Go to https://accounts.example.com/reset?t=abc.',
    '--b',
    'Content-Type: text/html',
    '',
    '<script>alert(1)</script><a href="https://accounts.example.com/reset?t=abc">reset</a>',
    '--b',
    'Content-Type: text/html; name="x.html"',
    'Content-Disposition: attachment; filename="x.html"',
    '',
    '<script>alert(2)</script>',
    '--b--',
    '',
  ].join('\r\n'),
);

async function captured(b: ApiBench): Promise<string> {
  const { id } = await b.accept({ content: MAIL });
  const lease = await b.claimOne();
  const outcome = { ...DELIVERED, nextHop: 'sandbox' };
  await b.settle(lease, outcome, { state: 'delivered', captured: true });
  return id;
}

describe('the preview of a captured message', () => {
  test('tells subject, text, links, attachments and what became of its signatures', async () => {
    const b = await startApi();
    const { status, json } = await b.call(`/v1/messages/${await captured(b)}/preview`);
    expect(status).toBe(200);
    expect(json).toMatchObject({
      subject: 'Reset',
      has_html: true,
      text: expect.stringContaining('Go to'),
      links: [
        { part: 'html', kind: 'a', address: 'https://accounts.example.com/reset?t=abc', text: 'reset' },
        { part: 'text', address: 'https://accounts.example.com/reset?t=abc' },
      ],
      attachments: [{ number: 0, name: 'x.html', type: 'text/html' }],
      signatures: [],
    });
  });

  test('gives the HTML as a document that may do nothing, wherever it is opened', async () => {
    const b = await startApi();
    const { headers, text } = await b.call(`/v1/messages/${await captured(b)}/preview/html`);
    expect(text).toContain('<a href=');
    const policy = String(headers['content-security-policy']);
    expect(policy.split('; ')).toEqual([
      "default-src 'none'",
      'img-src data:',
      "style-src 'unsafe-inline'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'self'",
      'sandbox',
    ]);
    expect(headers).toMatchObject({
      'x-frame-options': 'SAMEORIGIN',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    });
  });

  test('gives an attachment to save, never to show', async () => {
    const b = await startApi();
    const id = await captured(b);
    const { headers, text } = await b.call(`/v1/messages/${id}/preview/attachments/0`);
    expect(headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-disposition': "attachment; filename*=UTF-8''x.html",
      'x-content-type-options': 'nosniff',
    });
    expect(text).toContain('alert(2)');
    expect((await b.call(`/v1/messages/${id}/preview/attachments/1`)).status).toBe(404);
  });

  test('is not given for mail that a real next hop took, or still may', async () => {
    const b = await startApi();
    const waiting = await b.accept({ content: MAIL });
    expect((await b.call(`/v1/messages/${waiting.id}/preview`)).status).toBe(404);
    await b.deliver(await b.claimOne());
    for (const path of ['preview', 'preview/html', 'preview/attachments/0']) {
      expect((await b.call(`/v1/messages/${waiting.id}/${path}`)).status).toBe(404);
    }
  });

  test('needs the scope admin', async () => {
    const b = await startApi({
      config: { host: '127.0.0.1', port: 0, tokens: [token('wall', 'reads', ['read', 'send'])] },
    });
    const id = await captured(b);
    const headers = { authorization: 'Bearer reads' };
    for (const path of ['preview', 'preview/html', 'preview/attachments/0']) {
      expect((await b.call(`/v1/messages/${id}/${path}`, { headers })).status).toBe(403);
    }
  });
});
