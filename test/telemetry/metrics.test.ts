import { afterEach, describe, expect, test } from 'vitest';
import type { DeliveryState } from '../../src/core/delivery.ts';
import { eventAttempt, type RelayEvent } from '../../src/core/event.ts';
import { createIds } from '../../src/core/ids.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import { isoTime } from '../../src/core/time.ts';
import { METRICS } from '../../src/telemetry/metric-names.ts';
import { createMetrics, type Metrics, type QueueNumbers } from '../../src/telemetry/metrics.ts';
import { REJECTION_REASONS, rejectionReason } from '../../src/telemetry/rejection-reason.ts';
import { createManualClock } from '../support/clock.ts';

const START = Date.UTC(2026, 0, 5, 10, 0, 0);
const open: Metrics[] = [];
afterEach(() => {
  for (const metrics of open.splice(0)) metrics.stop();
});

function create(
  queueFigures: () => Promise<QueueNumbers> = async () => ({ byState: {}, oldestAcceptedAt: {} }),
): Metrics {
  const metrics = createMetrics({
    queueFigures,
    clock: createManualClock(START),
    version: '1.2.3',
    names: { tags: ['receipt'], routes: ['ses'] },
  });
  open.push(metrics);
  return metrics;
}

const lines = async (metrics: Metrics): Promise<readonly string[]> => (await metrics.scrape()).text.split('\n');

const deferred: Outcome = {
  kind: 'deferred',
  cause: 'connect',
  stage: 'connect',
  nextHop: 'mx.example.net:25',
  tls: null,
  code: null,
  enhanced: null,
  response: 'connection refused',
  timings: { queue: 2, connect: 1500 },
};

/** An event about a delivery that came to `state` so many milliseconds after acceptance, by an attempt or without one. */
function settledEvent(state: DeliveryState, afterMs: number, byAttempt: boolean): RelayEvent {
  const ids = createIds(createManualClock(START));
  return {
    type: 'message.delivered',
    timestamp: isoTime(START + afterMs),
    data: {
      event_id: ids.event(),
      seq: 1,
      message: {
        id: ids.message(),
        message_id: null,
        tag: 'password-reset',
        tag_source: 'header',
        flow: null,
        metadata: {},
        priority: 'critical',
        credential: null,
        rule: 'default',
        accepted_at: isoTime(START),
        deadline: isoTime(START + 900_000),
      },
      delivery: { id: ids.delivery(), recipient: 'ann@example.net', state, attempts: 1 },
      ...(byAttempt ? { attempt: eventAttempt(1, 'ses', deferred) } : {}),
    },
  };
}

describe('metrics', () => {
  test('the metrics shown are those of the list, with its types', async () => {
    const text = (await create().scrape()).text;
    const shown = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`);
    expect(shown.sort()).toEqual(
      Object.values(METRICS)
        .map((metric) => `${metric.name} ${metric.type}`)
        .sort(),
    );
  });

  test('a tag or route that is not in the config counts as other', async () => {
    const metrics = create();
    metrics.accepted('password-reset');
    metrics.accepted('receipt');
    metrics.accepted('made-up-1');
    metrics.accepted('made-up-2');
    metrics.accepted(null);
    metrics.attempt('gone', deferred);
    const text = await lines(metrics);
    expect(text).toContain('leadpush_messages_accepted_total{tag="password-reset"} 1');
    expect(text).toContain('leadpush_messages_accepted_total{tag="receipt"} 1');
    expect(text).toContain('leadpush_messages_accepted_total{tag="other"} 2');
    expect(text).toContain('leadpush_messages_accepted_total{tag="none"} 1');
    expect(text).toContain('leadpush_delivery_attempts_total{route="other",outcome="deferred"} 1');
  });

  test('names of a new config may stand in labels', async () => {
    const metrics = create();
    metrics.setNames({ tags: ['welcome'], routes: ['postmark'] });
    metrics.accepted('welcome');
    metrics.accepted('receipt');
    const text = await lines(metrics);
    expect(text).toContain('leadpush_messages_accepted_total{tag="welcome"} 1');
    expect(text).toContain('leadpush_messages_accepted_total{tag="other"} 1');
  });

  test('an attempt counts by route and outcome, and its phases in seconds', async () => {
    const metrics = create();
    metrics.attempt('ses', deferred);
    const text = await lines(metrics);
    expect(text).toContain('leadpush_delivery_attempts_total{route="ses",outcome="deferred"} 1');
    expect(text).toContain('leadpush_attempt_phase_seconds_sum{phase="connect"} 1.5');
    expect(text).toContain('leadpush_attempt_phase_seconds_sum{phase="queue"} 0.002');
  });

  test('a delivery counts once it is final, and its time only when it was delivered', async () => {
    const metrics = create();
    metrics.settled(settledEvent('deferred', 100, true));
    metrics.settled(settledEvent('bounced', 100, true));
    metrics.settled(settledEvent('delivered', 240, true));
    metrics.settled(settledEvent('expired', 900, false));
    const text = await lines(metrics);
    expect(text.filter((line) => line.startsWith('leadpush_deliveries_total'))).toEqual([
      'leadpush_deliveries_total{tag="password-reset",route="ses",outcome="bounced"} 1',
      'leadpush_deliveries_total{tag="password-reset",route="ses",outcome="delivered"} 1',
      'leadpush_deliveries_total{tag="password-reset",route="none",outcome="expired"} 1',
    ]);
    expect(text).toContain('leadpush_time_to_delivered_seconds_count{tag="password-reset"} 1');
    expect(text).toContain('leadpush_time_to_delivered_seconds_bucket{le="0.25",tag="password-reset"} 1');
    expect(text).toContain('leadpush_time_to_delivered_seconds_bucket{le="0.1",tag="password-reset"} 0');
  });

  test('the queue is shown as the store tells it, empty states as 0', async () => {
    const text = await lines(
      create(async () => ({ byState: { deferred: 7, quarantined: 1 }, oldestAcceptedAt: { critical: START - 2500 } })),
    );
    expect(text).toContain('leadpush_queue_deliveries{state="deferred"} 7');
    expect(text).toContain('leadpush_queue_deliveries{state="queued"} 0');
    expect(text).toContain('leadpush_queue_deliveries{state="quarantined"} 1');
    expect(text).toContain('leadpush_queue_oldest_age_seconds{priority="critical"} 2.5');
    expect(text).toContain('leadpush_queue_oldest_age_seconds{priority="bulk"} 0');
  });

  test('a store that fails leaves out the queue and nothing else', async () => {
    let failing = false;
    const metrics = create(async () => {
      if (failing) throw new Error('disk');
      return { byState: { queued: 3 }, oldestAcceptedAt: {} };
    });
    await metrics.scrape();
    failing = true;
    const text = await lines(metrics);
    expect(text.filter((line) => line.startsWith('leadpush_queue'))).toEqual([]);
    expect(text).toContain(`leadpush_build_info{version="1.2.3",node="${process.version}"} 1`);
  });

  test('commits, connections, failed logins and clients turned away count', async () => {
    const metrics = create();
    metrics.commit({ ms: 4, operations: 12 });
    metrics.smtpConnection('127.0.0.1:2525', 'starttls');
    metrics.smtpAuthFailure('denied');
    metrics.smtpRefused('early-talker');
    metrics.smtpRefused('early-talker');
    const text = await lines(metrics);
    expect(text).toContain('leadpush_commit_seconds_bucket{le="0.005"} 1');
    expect(text).toContain('leadpush_commit_seconds_bucket{le="0.0025"} 0');
    expect(text).toContain('leadpush_commit_operations_sum 12');
    expect(text).toContain('leadpush_smtp_connections_total{listener="127.0.0.1:2525",tls="starttls"} 1');
    expect(text).toContain('leadpush_smtp_auth_failures_total{reason="denied"} 1');
    expect(text).toContain('leadpush_smtp_refused_total{reason="early-talker"} 2');
  });

  test('two sets of metrics in one process do not mix', async () => {
    const one = create();
    const two = create();
    one.accepted('receipt');
    expect((await two.scrape()).text).not.toContain('leadpush_messages_accepted_total{tag="receipt"}');
  });

  test('the event loop lag has its quantiles', async () => {
    const text = await lines(create());
    for (const quantile of ['0.5', '0.99', '1']) {
      expect(text.some((line) => line.startsWith(`leadpush_event_loop_lag_seconds{quantile="${quantile}"} `))).toBe(
        true,
      );
    }
  });
});

test.each([
  [550, '5.7.1', 'not-allowed'],
  [550, '5.6.0', 'malformed'],
  [501, '5.1.3', 'malformed'],
  [550, '5.7.10', 'tls'],
  [452, '4.3.1', 'storage'],
  [451, '4.3.0', 'unavailable'],
  [554, '5.4.6', 'other'],
] as const)('a refusal %i %s counts as %s', (code, enhanced, reason) => {
  expect(rejectionReason({ code, enhanced })).toBe(reason);
  expect(REJECTION_REASONS).toContain(reason);
});
