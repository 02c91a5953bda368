import { afterEach, describe, expect, test } from 'vitest';
import type { DeliveryState } from '../../src/core/delivery.ts';
import {
  type EventAttempt,
  type EventData,
  type EventType,
  eventAttempt,
  type RelayEvent,
} from '../../src/core/event.ts';
import { createIds } from '../../src/core/ids.ts';
import { RelayError } from '../../src/core/errors.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import { isoTime } from '../../src/core/time.ts';
import { type Log, type LogFields, silentLog } from '../../src/telemetry/log.ts';
import { METRICS } from '../../src/telemetry/metric-names.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';
import { providerOf } from '../../src/telemetry/provider.ts';
import type { Sources } from '../../src/telemetry/readings.ts';
import { REJECTION_REASONS, rejectionReason } from '../../src/telemetry/rejection-reason.ts';
import { createManualClock } from '../support/clock.ts';

const START = Date.UTC(2026, 0, 5, 10, 0, 0);
const NOTHING_WAITS = { byState: {}, oldestAcceptedAt: {}, lastSeq: 0, contentKeys: { used: 0, free: 0 } } as const;
const NAMES = {
  tags: ['receipt'],
  routes: new Map([
    ['ses', { type: 'smtp' }],
    ['postmark', { type: 'smtp' }],
    ['direct', { type: 'mx' }],
    ['sandbox', { type: 'sandbox' }],
  ]),
};
const DISK_TROUBLE = new RelayError('the disk is gone', { code: 'store-io', op: 'store.figures' });
const open: Metrics[] = [];
afterEach(() => {
  for (const metrics of open.splice(0)) metrics.stop();
});

function create(over: Partial<Sources> = {}, log: Log = silentLog): Metrics {
  const metrics = createMetrics({
    sources: {
      queue: async () => NOTHING_WAITS,
      sizes: async () => ({ databaseBytes: 4096, walBytes: 0, freeBytes: 1e9 }),
      webhooks: async () => [],
      accepting: () => true,
      routes: () => [['ses', true]],
      ...over,
    },
    clock: createManualClock(START),
    log,
    version: '1.2.3',
    names: NAMES,
  });
  open.push(metrics);
  return metrics;
}

const lines = async (metrics: Metrics): Promise<readonly string[]> => (await metrics.scrape()).text.split('\n');
/** The series of a metric that counted something. */
const counted = async (metrics: Metrics, name: string): Promise<readonly string[]> =>
  (await lines(metrics)).filter((line) => line.startsWith(`${name}{`) && !line.endsWith(' 0'));

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
const delivered: Outcome = {
  ...deferred,
  kind: 'delivered',
  stage: 'dot',
  nextHop: 'gmail-smtp-in.l.google.com[192.0.2.1]:25',
  tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
  timings: { connect: 10, transaction: 40 },
};
const try_ = (route: string, outcome: Outcome): EventAttempt => eventAttempt(1, route, outcome);

interface About {
  readonly type?: EventType;
  readonly afterMs?: number;
  readonly data?: Partial<EventData>;
}

/** An event about a delivery of a reset that is in `state` so long after acceptance. */
function eventOf(
  state: DeliveryState,
  { type = `message.delivered`, afterMs = 100, data = {} }: About = {},
): RelayEvent {
  const ids = createIds(createManualClock(START));
  return {
    type,
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
      ...data,
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
    metrics.event(eventOf('deferred', { data: { attempt: try_('gone', deferred) } }));
    const text = await lines(metrics);
    expect(text).toContain('leadpush_messages_accepted_total{tag="password-reset"} 1');
    expect(text).toContain('leadpush_messages_accepted_total{tag="receipt"} 1');
    expect(text).toContain('leadpush_messages_accepted_total{tag="other"} 2');
    expect(text).toContain('leadpush_messages_accepted_total{tag="none"} 1');
    expect(text).toContain('leadpush_delivery_attempts_total{route="other",outcome="deferred"} 1');
  });

  test('names of a new config may stand in labels, and begin at 0', async () => {
    const metrics = create();
    metrics.configReloaded({ tags: ['welcome'], routes: new Map([['mailgun', { type: 'smtp' }]]) });
    metrics.accepted('welcome');
    metrics.accepted('receipt');
    const text = await lines(metrics);
    expect(text).toContain('leadpush_messages_accepted_total{tag="welcome"} 1');
    expect(text).toContain('leadpush_messages_accepted_total{tag="other"} 1');
    expect(text).toContain('leadpush_deliveries_total{tag="welcome",route="mailgun",outcome="expired"} 0');
  });

  test('a new config takes nothing from what was counted', async () => {
    const metrics = create();
    metrics.accepted('password-reset');
    metrics.event(eventOf('delivered', { data: { attempt: try_('ses', delivered) } }));
    const counts = async (): Promise<readonly string[]> =>
      (await lines(metrics)).filter((line) => !line.startsWith('#') && !line.endsWith(' 0') && /tag="/.test(line));
    const before = await counts();
    expect(before).toContain('leadpush_time_to_delivered_seconds_count{tag="password-reset"} 1');
    metrics.configReloaded(NAMES);
    expect(await counts()).toEqual(before);
  });

  test('an attempt counts by route and outcome, and its phases in seconds by type of route', async () => {
    const metrics = create();
    metrics.event(eventOf('deferred', { data: { attempt: try_('ses', deferred) } }));
    const text = await lines(metrics);
    expect(text).toContain('leadpush_delivery_attempts_total{route="ses",outcome="deferred"} 1');
    expect(text).toContain('leadpush_attempt_phase_seconds_sum{type="smtp",phase="connect"} 1.5');
    expect(text).toContain('leadpush_attempt_phase_seconds_sum{type="smtp",phase="queue"} 0.002');
  });

  test('each try of an attempt counts, and each move to another route', async () => {
    const metrics = create();
    const data = {
      failed_over: [try_('ses', deferred), try_('postmark', deferred)],
      attempt: try_('direct', delivered),
    };
    metrics.event(eventOf('delivered', { data }));
    expect(await counted(metrics, 'leadpush_delivery_attempts_total')).toEqual([
      'leadpush_delivery_attempts_total{route="ses",outcome="deferred"} 1',
      'leadpush_delivery_attempts_total{route="postmark",outcome="deferred"} 1',
      'leadpush_delivery_attempts_total{route="direct",outcome="delivered"} 1',
    ]);
    expect(await counted(metrics, 'leadpush_failovers_total')).toEqual([
      'leadpush_failovers_total{from="ses",to="postmark"} 1',
      'leadpush_failovers_total{from="postmark",to="direct"} 1',
    ]);
  });

  test('the TLS version counts for attempts that came as far as MAIL, and never for the sandbox', async () => {
    const metrics = create();
    metrics.event(eventOf('deferred', { data: { attempt: try_('ses', deferred) } }));
    metrics.event(eventOf('delivered', { data: { attempt: try_('ses', delivered) } }));
    metrics.event(eventOf('delivered', { data: { attempt: try_('ses', { ...delivered, tls: null }) } }));
    metrics.event(eventOf('delivered', { data: { attempt: try_('sandbox', { ...delivered, tls: null }) } }));
    expect(await counted(metrics, 'leadpush_attempt_tls_total')).toEqual([
      'leadpush_attempt_tls_total{route="ses",version="TLSv1.3"} 1',
      'leadpush_attempt_tls_total{route="ses",version="none"} 1',
    ]);
  });

  test('attempts of direct delivery, and of no other, count by provider', async () => {
    const metrics = create();
    metrics.event(eventOf('delivered', { data: { attempt: try_('direct', delivered) } }));
    metrics.event(eventOf('delivered', { data: { attempt: try_('ses', delivered) } }));
    expect(await counted(metrics, 'leadpush_mx_attempts_total')).toEqual([
      'leadpush_mx_attempts_total{provider="google",outcome="delivered"} 1',
    ]);
  });

  test('a delivery counts once it is final, and its time only when it was delivered', async () => {
    const metrics = create();
    metrics.event(eventOf('deferred', { data: { attempt: try_('ses', deferred) } }));
    metrics.event(eventOf('bounced', { data: { attempt: try_('ses', deferred) } }));
    metrics.event(eventOf('delivered', { afterMs: 240, data: { attempt: try_('ses', delivered) } }));
    metrics.event(eventOf('expired', { afterMs: 900 }));
    metrics.event(eventOf('superseded', { afterMs: 900 }));
    expect([...(await counted(metrics, 'leadpush_deliveries_total'))].sort()).toEqual([
      'leadpush_deliveries_total{tag="password-reset",route="none",outcome="expired"} 1',
      'leadpush_deliveries_total{tag="password-reset",route="none",outcome="superseded"} 1',
      'leadpush_deliveries_total{tag="password-reset",route="ses",outcome="bounced"} 1',
      'leadpush_deliveries_total{tag="password-reset",route="ses",outcome="delivered"} 1',
    ]);
    const text = await lines(metrics);
    expect(text).toContain('leadpush_time_to_delivered_seconds_count{tag="password-reset"} 1');
    expect(text).toContain('leadpush_time_to_delivered_seconds_bucket{le="0.25",tag="password-reset"} 1');
    expect(text).toContain('leadpush_time_to_delivered_seconds_bucket{le="0.1",tag="password-reset"} 0');
  });

  test('what is reported by mail about a delivered message counts as bounce or complaint, not as another delivery', async () => {
    const metrics = create();
    const report = { kind: 'dsn', reporter: null, status: '5.1.1', diagnostic: 'no such user' } as const;
    const bounce = { class: 'recipient', why: 'code', explanation: 'gone' } as const;
    metrics.event(eventOf('delivered', { type: 'message.bounced', data: { report, bounce } }));
    metrics.event(eventOf('delivered', { type: 'message.complained', data: { report: { ...report, kind: 'arf' } } }));
    metrics.event(eventOf('delivered', { type: 'message.delayed', data: { report } }));
    const text = await lines(metrics);
    expect(text).toContain('leadpush_bounces_total{class="recipient",source="report"} 1');
    expect(text).toContain('leadpush_complaints_total{tag="password-reset"} 1');
    expect(text).toContain('leadpush_delayed_total{tag="password-reset"} 0');
    expect(await counted(metrics, 'leadpush_deliveries_total')).toEqual([]);
    expect(text).toContain('leadpush_time_to_delivered_seconds_count{tag="password-reset"} 0');
  });

  test('delays, and ups and downs of routes, count', async () => {
    const metrics = create();
    metrics.event(eventOf('deferred', { type: 'message.delayed' }));
    const { event_id } = eventOf('queued').data;
    for (const type of ['route.down', 'route.up', 'route.down'] as const) {
      const data = { event_id, seq: 1, route: { name: 'ses', reason: 'connect' } };
      metrics.event({ type, timestamp: isoTime(START), data });
    }
    const text = await lines(metrics);
    expect(text).toContain('leadpush_delayed_total{tag="password-reset"} 1');
    expect(text).toContain('leadpush_route_changes_total{route="ses",to="down"} 2');
    expect(text).toContain('leadpush_route_changes_total{route="ses",to="up"} 1');
  });

  test('what alerts count on is there before it happened', async () => {
    const text = await lines(create());
    for (const series of [
      'leadpush_deliveries_total{tag="password-reset",route="none",outcome="expired"} 0',
      'leadpush_deliveries_total{tag="password-reset",route="ses",outcome="expired"} 0',
      'leadpush_deliveries_total{tag="receipt",route="ses",outcome="bounced"} 0',
      'leadpush_messages_rejected_total{reason="storage"} 0',
      'leadpush_messages_accepted_total{tag="none"} 0',
      'leadpush_complaints_total{tag="password-reset"} 0',
      'leadpush_route_changes_total{route="ses",to="down"} 0',
      'leadpush_bounces_total{class="reputation",source="reply"} 0',
    ]) {
      expect(text).toContain(series);
    }
  });

  test('duplicates, link audits and signatures count', async () => {
    const metrics = create();
    metrics.duplicate('password-reset');
    metrics.linksAudited('password-reset', 'reject');
    metrics.signed(['rsa-sha256', 'ed25519-sha256']);
    metrics.signingFailed();
    const text = await lines(metrics);
    expect(text).toContain('leadpush_messages_duplicate_total{tag="password-reset"} 1');
    expect(text).toContain('leadpush_link_audits_total{tag="password-reset",verdict="reject"} 1');
    expect(text).toContain('leadpush_dkim_signatures_total{algorithm="ed25519-sha256"} 1');
    expect(text).toContain('leadpush_dkim_failures_total 1');
  });

  test('the queue is shown as the store tells it, empty states as 0', async () => {
    const text = await lines(
      create({
        queue: async () => ({
          byState: { deferred: 7, quarantined: 1 },
          oldestAcceptedAt: { critical: START - 2500 },
          lastSeq: 42,
          contentKeys: { used: 8, free: 3 },
        }),
      }),
    );
    expect(text).toContain('leadpush_queue_deliveries{state="deferred"} 7');
    expect(text).toContain('leadpush_queue_deliveries{state="queued"} 0');
    expect(text).toContain('leadpush_queue_deliveries{state="quarantined"} 1');
    expect(text).toContain('leadpush_queue_oldest_age_seconds{priority="critical"} 2.5');
    expect(text).toContain('leadpush_queue_oldest_age_seconds{priority="bulk"} 0');
    expect(text).toContain('leadpush_event_seq 42');
    expect(text).toContain('leadpush_content_keys{state="used"} 8');
    expect(text).toContain('leadpush_content_keys{state="free"} 3');
  });

  test('a store that fails leaves out its own series and nothing else, and they come back', async () => {
    let failing = false;
    const metrics = create({
      queue: async () => {
        if (failing) throw DISK_TROUBLE;
        return { ...NOTHING_WAITS, lastSeq: 7 };
      },
      sizes: async () => {
        if (failing) throw DISK_TROUBLE;
        return { databaseBytes: 4096, walBytes: 0, freeBytes: 1e9 };
      },
    });
    const own = /^leadpush_(?:queue|event_seq|content_keys|database|wal|disk)/;
    const before = (await lines(metrics)).filter((line) => own.test(line));
    failing = true;
    const text = await lines(metrics);
    expect(text.filter((line) => own.test(line))).toEqual([]);
    expect(text).toContain(`leadpush_build_info{version="1.2.3",node="${process.version}"} 1`);
    failing = false;
    expect((await lines(metrics)).filter((line) => own.test(line))).toEqual(before);
    expect(before).toContain('leadpush_event_seq 7');
    expect(before).toContain('leadpush_disk_free_bytes 1000000000');
  });

  const bug = (): never => {
    throw new TypeError("Cannot read properties of null (reading 'recipient')");
  };
  test.each([
    ['queue', 'leadpush_event_seq', { queue: async () => bug() }],
    ['sizes', 'leadpush_disk_free_bytes', { sizes: async () => bug() }],
    ['webhooks', 'leadpush_webhook_backlog', { webhooks: async () => bug() }],
    ['accepting', 'leadpush_store_accepting', { accepting: bug }],
    ['routes', 'leadpush_route_up', { routes: bug }],
  ] as const)('a bug in %s is logged, and costs its own series alone', async (_source, series, sources) => {
    const logged: LogFields[] = [];
    const metrics = create(sources, { ...silentLog, error: (fields) => void logged.push(fields) });
    const text = await lines(metrics);
    expect(text.filter((line) => new RegExp(`^${series}\\b`).test(line))).toEqual([]);
    expect(text).toContain(`leadpush_build_info{version="1.2.3",node="${process.version}"} 1`);
    expect(logged).toEqual([
      {
        event: 'metrics.failed',
        reason: expect.stringContaining("TypeError: Cannot read properties of null (reading 'recipient')"),
      },
    ]);
  });

  test('trouble of the store is left to the store to log', async () => {
    const logged: LogFields[] = [];
    const fail = () => Promise.reject(DISK_TROUBLE);
    const metrics = create(
      { queue: fail, sizes: fail, webhooks: fail },
      { ...silentLog, error: (fields) => void logged.push(fields) },
    );
    await metrics.scrape();
    expect(logged).toEqual([]);
  });

  test('a route that is down, and a store that takes nothing, show as 0', async () => {
    const text = await lines(
      create({
        accepting: () => false,
        routes: () => [
          ['ses', false],
          ['postmark', true],
        ],
      }),
    );
    expect(text).toContain('leadpush_route_up{route="ses"} 0');
    expect(text).toContain('leadpush_route_up{route="postmark"} 1');
    expect(text).toContain('leadpush_store_accepting 0');
  });

  test('commits, connections, failed logins and clients turned away count', async () => {
    const metrics = create();
    metrics.commit({ ms: 4, operations: 12 });
    metrics.smtpConnection('127.0.0.1:2525', 'starttls');
    metrics.smtpConnection('127.0.0.1:2525', 'starttls');
    metrics.smtpDisconnection('127.0.0.1:2525');
    metrics.smtpAuthFailure('denied');
    metrics.smtpRefused('early-talker');
    metrics.smtpRefused('early-talker');
    const text = await lines(metrics);
    expect(text).toContain('leadpush_commit_seconds_bucket{le="0.005"} 1');
    expect(text).toContain('leadpush_commit_seconds_bucket{le="0.0025"} 0');
    expect(text).toContain('leadpush_commit_operations_sum 12');
    expect(text).toContain('leadpush_smtp_connections_total{listener="127.0.0.1:2525",tls="starttls"} 2');
    expect(text).toContain('leadpush_smtp_connections_active{listener="127.0.0.1:2525"} 1');
    expect(text).toContain('leadpush_smtp_auth_failures_total{reason="denied"} 1');
    expect(text).toContain('leadpush_smtp_refused_total{reason="early-talker"} 2');
  });

  test('an HTTP request counts by its route, and a method that is made up as other', async () => {
    const metrics = create();
    metrics.httpRequest({ method: 'GET', route: '/v1/messages/:id', status: 200, ms: 12 });
    metrics.httpRequest({ method: 'BREW', route: null, status: 404, ms: 1 });
    const text = await lines(metrics);
    expect(text).toContain('leadpush_http_requests_total{method="GET",route="/v1/messages/:id",status="200"} 1');
    expect(text).toContain('leadpush_http_requests_total{method="other",route="none",status="404"} 1');
    expect(text).toContain('leadpush_http_request_seconds_sum{route="/v1/messages/:id"} 0.012');
  });

  test('a config that was refused shows until one is read again', async () => {
    const metrics = create();
    metrics.configRefused();
    const refused = await lines(metrics);
    expect(refused).toContain('leadpush_config_last_reload_successful 0');
    expect(refused).toContain(`leadpush_config_last_reload_success_timestamp_seconds ${START / 1000}`);
    metrics.configReloaded(NAMES);
    expect(await lines(metrics)).toContain('leadpush_config_last_reload_successful 1');
  });

  test('the end of the certificate and the last clean-up are shown once there are any', async () => {
    const metrics = create();
    const before = await lines(metrics);
    expect(before.some((line) => line.startsWith('leadpush_tls_certificate_expiry'))).toBe(false);
    expect(before).toContain('leadpush_upkeep_last_success_timestamp_seconds 0');
    metrics.certificate(START + 1000);
    metrics.upkeepDone();
    const text = await lines(metrics);
    expect(text).toContain(`leadpush_tls_certificate_expiry_timestamp_seconds ${START / 1000 + 1}`);
    expect(text).toContain(`leadpush_upkeep_last_success_timestamp_seconds ${START / 1000}`);
  });

  test('the process tells of its memory, files and time', async () => {
    const metrics = create();
    const text = await lines(metrics);
    const valueOf = (name: string): number => Number(text.find((line) => line.startsWith(`${name} `))?.split(' ')[1]);
    expect(valueOf('process_resident_memory_bytes')).toBeGreaterThan(10e6);
    expect(valueOf('process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(valueOf('nodejs_heap_size_used_bytes')).toBeGreaterThan(1e6);
    if (process.platform === 'linux') {
      expect(valueOf('process_open_fds')).toBeGreaterThan(2);
      expect(valueOf('process_max_fds')).toBeGreaterThan(valueOf('process_open_fds'));
    }
  });

  test('two sets of metrics in one process do not mix', async () => {
    const one = create();
    const two = create();
    one.accepted('receipt');
    expect((await two.scrape()).text).not.toContain('leadpush_messages_accepted_total{tag="receipt"} 1');
  });

  test('the event loop lag has its percentiles', async () => {
    const text = await lines(create());
    for (const percentile of ['50', '99', '100']) {
      expect(text.some((line) => line.startsWith(`leadpush_event_loop_lag_seconds{percentile="${percentile}"} `))).toBe(
        true,
      );
    }
  });
});

test.each([
  [550, '5.7.1', 'not-allowed'],
  [550, '5.7.0', 'links'],
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

test.each([
  ['gmail-smtp-in.l.google.com[2001:db8::1]:25', 'google'],
  ['ALT1.ASPMX.L.GOOGLE.COM:25', 'google'],
  ['example-net.mail.protection.outlook.com[192.0.2.1]:25', 'microsoft'],
  ['mta5.am0.yahoodns.net[192.0.2.1]:25', 'yahoo'],
  ['mx01.mail.icloud.com[192.0.2.1]:25', 'apple'],
  ['mx.example.net[192.0.2.1]:25', 'other'],
  ['mx.google.com.example.net:25', 'other'],
  ['notgoogle.com:25', 'other'],
  [null, 'other'],
] as const)('the provider of %s is %s', (nextHop, provider) => {
  expect(providerOf(nextHop)).toBe(provider);
});

test('webhooks show by endpoint what was tried and what waits, and nothing while the store cannot answer', async () => {
  const numbers = { name: 'auth', backlog: 3, oldestPendingAt: START - 5000, dead: 2, disabledAt: null };
  let source = async (): Promise<readonly (typeof numbers)[]> => [numbers];
  const metrics = create({ webhooks: () => source() });
  metrics.webhook('auth', 'delivered', 20);
  metrics.webhook('auth', 'failed', 15_000);
  const shown = (await lines(metrics)).filter((line) => /^leadpush_webhook_(?!seconds_bucket)/.test(line));
  expect(shown).toEqual([
    'leadpush_webhook_backlog{endpoint="auth"} 3',
    'leadpush_webhook_oldest_age_seconds{endpoint="auth"} 5',
    'leadpush_webhook_dead_letters{endpoint="auth"} 2',
    'leadpush_webhook_disabled{endpoint="auth"} 0',
    'leadpush_webhook_attempts_total{endpoint="auth",outcome="delivered"} 1',
    'leadpush_webhook_attempts_total{endpoint="auth",outcome="failed"} 1',
    'leadpush_webhook_seconds_sum{endpoint="auth"} 15.02',
    'leadpush_webhook_seconds_count{endpoint="auth"} 2',
  ]);
  source = () => Promise.reject(DISK_TROUBLE);
  expect(await counted(metrics, 'leadpush_webhook_backlog')).toEqual([]);
});
