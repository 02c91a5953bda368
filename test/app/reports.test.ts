import { describe, expect, test } from 'vitest';
import { createReports, type ReportsDeps } from '../../src/app/reports.ts';
import { RelayError } from '../../src/core/errors.ts';
import { parseDeliveryId, parseMessageId } from '../../src/core/ids.ts';
import { type Refusal, refuse } from '../../src/core/refusal.ts';
import { reportSubmission } from '../../src/intake/accept-report.ts';
import type { PendingReport } from '../../src/store/store.ts';
import { address } from '../support/address.ts';
import { createManualClock } from '../support/clock.ts';
import { createMemoryLog } from '../support/smtp-listener.ts';

const NOW = 1_767_607_200_000;
const deliveryId = parseDeliveryId(`dlv_${'1'.repeat(26)}`) ?? fail();

function fail(): never {
  throw new Error('bad id in a test');
}

function pending(number: number, over: Partial<PendingReport> = {}): PendingReport {
  return {
    number,
    action: 'failed',
    at: NOW,
    record: {
      id: parseMessageId(`msg_${'1'.repeat(26)}`) ?? fail(),
      headerMessageId: '<m1@app.example.com>',
      mailFrom: address('app@example.com'),
      headerFrom: 'app@example.com',
      dsn: { ret: null, envid: null },
      smtpUtf8: false,
      tag: null,
      tagSource: 'none',
      flow: null,
      metadata: {},
      priority: 'normal',
      collapseKey: null,
      requireTls: false,
      credential: 'app',
      rule: 'default',
      acceptedAt: NOW,
      deadline: NOW + 1000,
      deadlineSource: 'give-up',
      size: 100,
      eightBit: false,
      signatures: [],
      warnings: [],
      links: null,
      client: { address: '127.0.0.1', helo: 'app', tls: null },
    },
    deliveryId,
    recipient: address('bob@example.net'),
    recipientDsn: null,
    state: 'bounced',
    attempt: null,
    bounce: null,
    reason: 'canceled',
    ...over,
  };
}

type Answer = Awaited<ReturnType<ReportsDeps['submit']>>;

function rig(
  owed: PendingReport[],
  answer: (number: number) => Answer | Promise<Answer> = () => ({ kind: 'accepted' }),
) {
  const clock = createManualClock(NOW);
  const log = createMemoryLog();
  const submitted: number[] = [];
  const dropped: number[] = [];
  const contents: string[] = [];
  const strike = (number: number): void => {
    const at = owed.findIndex((report) => report.number === number);
    if (at !== -1) owed.splice(at, 1);
  };
  let trouble: RelayError | null = null;
  const reports = createReports({
    reports: {
      pending: (limit) => (trouble === null ? Promise.resolve(owed.slice(0, limit)) : Promise.reject(trouble)),
      drop(number) {
        dropped.push(number);
        strike(number);
        return Promise.resolve();
      },
    },
    content: () => Promise.resolve(null),
    async submit({ content, paysReport }) {
      submitted.push(paysReport);
      contents.push(Buffer.from(content).toString());
      const result = await answer(paysReport);
      if (result.kind !== 'refused') strike(paysReport);
      return result;
    },
    clock,
    log,
    hostname: () => 'relay.example.com',
    isRecovery: () => false,
  });
  return {
    clock,
    reports,
    submitted,
    dropped,
    contents,
    lines: log.lines,
    break(error: RelayError | null) {
      trouble = error;
    },
  };
}

const busy: Refusal = refuse(451, '4.3.0', 'later');

describe('reports', () => {
  test('are sent oldest first, each once', async () => {
    const { reports, clock, submitted, contents } = rig(Array.from({ length: 45 }, (_, i) => pending(i)));
    reports.wake();
    for (let i = 0; i < 40; i++) await clock.advance(0);
    expect(submitted).toEqual(Array.from({ length: 45 }, (_, i) => i));
    expect(contents[0]).toContain('Final-Recipient: rfc822; bob@example.net');
  });

  test('that come while others are sent are sent too', async () => {
    const owed = [pending(1)];
    const { reports, clock, submitted } = rig(owed);
    reports.wake();
    owed.push(pending(2));
    reports.wake();
    await clock.advance(0);
    await clock.advance(0);
    expect(submitted).toEqual([1, 2]);
  });

  test('that no rule routes are dropped with a log line, and the others go on', async () => {
    const { reports, clock, submitted, dropped, lines } = rig([pending(1), pending(2)], (number) =>
      number === 1 ? refuse(550, '5.7.1', 'no rule') : { kind: 'accepted' },
    );
    reports.wake();
    await clock.advance(0);
    expect(dropped).toEqual([1]);
    expect(submitted).toEqual([1, 2]);
    expect(lines).toMatchObject([{ level: 'warn', fields: { event: 'report.dropped', reason: 'no rule' } }, {}]);
  });

  test('to the null sender are dropped and never sent', async () => {
    const report = pending(1);
    const { reports, clock, submitted, dropped } = rig([{ ...report, record: { ...report.record, mailFrom: '' } }]);
    reports.wake();
    await clock.advance(0);
    expect([submitted, dropped]).toEqual([[], [1]]);
  });

  test('that cannot be accepted now are tried again, after waits that grow', async () => {
    let refusals = 2;
    const { reports, clock, submitted } = rig([pending(1)], () => (refusals-- > 0 ? busy : { kind: 'accepted' }));
    reports.wake();
    await clock.advance(4_999);
    expect(submitted).toEqual([1]);
    await clock.advance(1);
    expect(submitted).toEqual([1, 1]);
    await clock.advance(14_999);
    expect(submitted).toEqual([1, 1]);
    await clock.advance(1);
    expect(submitted).toEqual([1, 1, 1]);
  });

  test('do not wait for another that cannot be accepted now', async () => {
    const { reports, clock, submitted } = rig([pending(1), pending(2)], (number) =>
      number === 1 ? busy : { kind: 'accepted' },
    );
    reports.wake();
    await clock.advance(0);
    expect(submitted).toEqual([1, 2]);
  });

  test('that could not be accepted for days are dropped', async () => {
    const { reports, clock, dropped } = rig([pending(1, { at: NOW - 6 * 86_400_000 })], () => busy);
    reports.wake();
    await clock.advance(0);
    expect(dropped).toEqual([1]);
  });

  test('wait for a store in trouble, and go when it is well', async () => {
    const { reports, clock, submitted, break: breakStore } = rig([pending(1)]);
    breakStore(new RelayError('disk', { code: 'store-io', op: 'store.pending' }));
    reports.wake();
    await clock.advance(0);
    breakStore(null);
    await clock.advance(5_000);
    expect(submitted).toEqual([1]);
  });

  test('that stay owed although they were accepted do not go out in a loop', async () => {
    const stuck = Array.from({ length: 20 }, (_, i) => pending(i));
    const { reports, clock, submitted } = rig(stuck, (number) => {
      stuck.push(pending(number));
      // Ends the loop that this test is about.
      return submitted.length > 60 ? busy : { kind: 'accepted' };
    });
    reports.wake();
    for (let i = 0; i < 20; i++) await clock.advance(0);
    expect(submitted).toHaveLength(20);
  });

  test('stop with the one at hand', async () => {
    const gate = Promise.withResolvers<Answer>();
    const { reports, clock, submitted } = rig([pending(1), pending(2)], () => gate.promise);
    reports.wake();
    await clock.advance(0);
    const stopped = reports.stop();
    gate.resolve({ kind: 'accepted' });
    await stopped;
    reports.wake();
    await clock.advance(100_000);
    expect(submitted).toEqual([1]);
  });
});

test('a report goes in from the null sender, without a credential, and asks for no report itself', () => {
  const submission = reportSubmission(
    { to: address('jörg@example.com'), content: new Uint8Array(1), paysReport: 7 },
    'relay.example.com',
  );
  expect(submission).toMatchObject({
    submitter: { credential: null, address: '' },
    envelope: {
      mailFrom: '',
      smtpUtf8: true,
      recipients: [{ address: 'jörg@example.com', dsn: { notify: ['NEVER'] } }],
    },
    paysReport: 7,
  });
});
