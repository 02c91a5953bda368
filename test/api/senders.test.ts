/** `GET /v1/senders`: what the config and DNS say, over HTTP. */
import { describe, expect, test } from 'vitest';
import { createFindings, txtRecord } from '../../src/doctor/finding.ts';
import type { SenderReport } from '../../src/doctor/sender-checks.ts';
import { testSender } from '../support/config.ts';
import { startApi } from './support.ts';

function report(domain: string): SenderReport {
  const found = createFindings('spf', domain);
  found.error('missing', {
    message: `${domain} has no SPF record`,
    why: 'It matters.',
    hint: 'Publish the record.',
    record: txtRecord(domain, 'v=spf1 -all'),
  });
  found.unknown('TXT of it: SERVFAIL');
  return { domain, level: 'error', checkedAt: Date.UTC(2026, 0, 5, 10, 0, 0), findings: found.list };
}

describe('GET /v1/senders', () => {
  test('shows what DNS says of each sender, why it matters, and the record that mends it', async () => {
    const api = await startApi({
      calls: { senders: () => [testSender()], checkSender: async ({ domain }) => report(domain) },
    });
    const { status, json } = await api.call('/v1/senders');
    expect(status).toBe(200);
    expect(json).toMatchObject({
      data: [
        {
          domain: 'example.com',
          checked_at: '2026-01-05T10:00:00.000Z',
          checks: [
            {
              check: 'spf',
              name: 'example.com',
              verdict: 'error',
              code: 'spf.missing',
              text: 'example.com has no SPF record',
              why: 'It matters.',
              hint: 'Publish the record.',
              record: { name: 'example.com', type: 'TXT', value: 'v=spf1 -all' },
            },
            { check: 'spf', verdict: 'unknown', code: 'spf.unknown', record: null },
          ],
        },
      ],
    });
  });

  test('says of a sender about whom DNS was not asked that it was not', async () => {
    const found = createFindings('dns', 'example.com');
    found.notAsked('captured: DNS was not asked', 'With a route it is.');
    const api = await startApi({
      calls: {
        senders: () => [testSender()],
        checkSender: async ({ domain }) => ({ domain, level: 'ok', checkedAt: 0, findings: found.list }),
      },
    });
    expect((await api.call('/v1/senders')).json).toMatchObject({
      data: [{ checks: [{ check: 'dns', verdict: 'not-asked', code: 'dns.not-asked', hint: 'With a route it is.' }] }],
    });
  });

  test('does not wait for DNS longer than a page may', async () => {
    const asked = Promise.withResolvers<void>();
    const api = await startApi({
      calls: {
        senders: () => [testSender()],
        checkSender: (_sender, signal) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason));
            asked.resolve();
          }),
      },
    });
    const answer = api.call('/v1/senders');
    await asked.promise;
    await api.clock.advance(4000);
    expect((await answer).json).toMatchObject({ data: [{ domain: 'example.com', checks: null, checked_at: null }] });
  });
});
