/**
 * Every metric the relay shows, with its type, labels and meaning: the list that `README.md` in this folder repeats and
 * a test compares with it. A name or label here is public: people's dashboards and alerts use it.
 *
 * No label ever holds a recipient, a sender, a domain, a message id or any other text that a client chooses freely.
 */

export const METRICS = {
  // Mail in.
  messagesAccepted: {
    name: 'leadpush_messages_accepted_total',
    type: 'counter',
    labels: ['tag'],
    help: 'Messages answered with 250, duplicates not counted',
  },
  messagesRejected: {
    name: 'leadpush_messages_rejected_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Messages refused at submission',
  },
  messagesDuplicate: {
    name: 'leadpush_messages_duplicate_total',
    type: 'counter',
    labels: ['tag'],
    help: 'Submissions that repeated an idempotency key and queued nothing',
  },
  linkAudits: {
    name: 'leadpush_link_audits_total',
    type: 'counter',
    labels: ['tag', 'verdict'],
    help: 'Messages whose links were held against the policy of their tag',
  },
  dkimSignatures: {
    name: 'leadpush_dkim_signatures_total',
    type: 'counter',
    labels: ['algorithm'],
    help: 'DKIM signatures made',
  },
  dkimFailures: {
    name: 'leadpush_dkim_failures_total',
    type: 'counter',
    labels: [],
    help: 'Messages refused with 451 because a DKIM key could not sign them',
  },
  // Mail out.
  deliveries: {
    name: 'leadpush_deliveries_total',
    type: 'counter',
    labels: ['tag', 'route', 'outcome'],
    help: 'Deliveries that came to a final state',
  },
  timeToDelivered: {
    name: 'leadpush_time_to_delivered_seconds',
    type: 'histogram',
    labels: ['tag'],
    help: 'From acceptance to the 250 of the next hop',
  },
  delayed: {
    name: 'leadpush_delayed_total',
    type: 'counter',
    labels: ['tag'],
    help: 'Deliveries not accepted by the next hop within delayed_after of their tag',
  },
  bounces: {
    name: 'leadpush_bounces_total',
    type: 'counter',
    labels: ['class', 'source'],
    help: 'Bounces: in reply to an attempt, or reported by mail after the next hop had accepted',
  },
  complaints: {
    name: 'leadpush_complaints_total',
    type: 'counter',
    labels: ['tag'],
    help: 'Complaints about delivered mail (ARF)',
  },
  deliveryAttempts: {
    name: 'leadpush_delivery_attempts_total',
    type: 'counter',
    labels: ['route', 'outcome'],
    help: 'Delivery attempts by what came of them',
  },
  attemptPhase: {
    name: 'leadpush_attempt_phase_seconds',
    type: 'histogram',
    labels: ['type', 'phase'],
    help: 'Duration of the phases of a delivery attempt, by type of route',
  },
  attemptTls: {
    name: 'leadpush_attempt_tls_total',
    type: 'counter',
    labels: ['route', 'version'],
    help: 'Attempts that came as far as MAIL, by TLS version',
  },
  mxAttempts: {
    name: 'leadpush_mx_attempts_total',
    type: 'counter',
    labels: ['provider', 'outcome'],
    help: 'Attempts of direct delivery by who runs the MX host',
  },
  failovers: {
    name: 'leadpush_failovers_total',
    type: 'counter',
    labels: ['from', 'to'],
    help: 'Attempts that moved on to another route at once',
  },
  routeUp: {
    name: 'leadpush_route_up',
    type: 'gauge',
    labels: ['route'],
    help: '1 while mail goes over the route; 0 while its breaker is open or lets one message at a time through',
  },
  routeChanges: {
    name: 'leadpush_route_changes_total',
    type: 'counter',
    labels: ['route', 'to'],
    help: 'Times that a route went down or came up',
  },
  // What waits.
  queueDeliveries: {
    name: 'leadpush_queue_deliveries',
    type: 'gauge',
    labels: ['state'],
    help: 'Deliveries that are not settled, and quarantined ones',
  },
  queueOldestAge: {
    name: 'leadpush_queue_oldest_age_seconds',
    type: 'gauge',
    labels: ['priority'],
    help: 'Age of the oldest undelivered delivery; 0 when there is none',
  },
  // The store.
  storeAccepting: {
    name: 'leadpush_store_accepting',
    type: 'gauge',
    labels: [],
    help: '1 while the store takes mail, 0 while the relay answers 451 or 452',
  },
  commitSeconds: {
    name: 'leadpush_commit_seconds',
    type: 'histogram',
    labels: [],
    help: 'Duration of a commit to the store, fsync included',
  },
  commitOperations: {
    name: 'leadpush_commit_operations',
    type: 'histogram',
    labels: [],
    help: 'Operations that shared one commit',
  },
  eventSeq: {
    name: 'leadpush_event_seq',
    type: 'gauge',
    labels: [],
    help: 'Number of the newest event',
  },
  contentKeys: {
    name: 'leadpush_content_keys',
    type: 'gauge',
    labels: ['state'],
    help: 'Keys of message contents: in use (so many contents are kept), or destroyed, their place free',
  },
  databaseBytes: {
    name: 'leadpush_database_bytes',
    type: 'gauge',
    labels: [],
    help: 'Size of the database file',
  },
  walBytes: {
    name: 'leadpush_wal_bytes',
    type: 'gauge',
    labels: [],
    help: 'Size of the write-ahead log of the database',
  },
  diskFree: {
    name: 'leadpush_disk_free_bytes',
    type: 'gauge',
    labels: [],
    help: 'Octets free on the disk of the database',
  },
  upkeepAt: {
    name: 'leadpush_upkeep_last_success_timestamp_seconds',
    type: 'gauge',
    labels: [],
    help: 'When the clean-up of old content and history last succeeded; 0: not yet',
  },
  // The ways in.
  smtpConnections: {
    name: 'leadpush_smtp_connections_total',
    type: 'counter',
    labels: ['listener', 'tls'],
    help: 'SMTP connections that clients made',
  },
  smtpConnectionsActive: {
    name: 'leadpush_smtp_connections_active',
    type: 'gauge',
    labels: ['listener'],
    help: 'SMTP connections open now',
  },
  smtpAuthFailures: {
    name: 'leadpush_smtp_auth_failures_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Failed SMTP logins',
  },
  smtpRefused: {
    name: 'leadpush_smtp_refused_total',
    type: 'counter',
    labels: ['reason'],
    help: 'SMTP clients turned away, and mail refused before it was looked at',
  },
  certificateExpiry: {
    name: 'leadpush_tls_certificate_expiry_timestamp_seconds',
    type: 'gauge',
    labels: [],
    help: 'When the certificate of the SMTP listeners ends',
  },
  httpRequests: {
    name: 'leadpush_http_requests_total',
    type: 'counter',
    labels: ['method', 'route', 'status'],
    help: 'HTTP requests answered',
  },
  httpSeconds: {
    name: 'leadpush_http_request_seconds',
    type: 'histogram',
    labels: ['route'],
    help: 'From an HTTP request to the end of its answer',
  },
  // Webhooks.
  webhookAttempts: {
    name: 'leadpush_webhook_attempts_total',
    type: 'counter',
    labels: ['endpoint', 'outcome'],
    help: 'Tries to send an event to a webhook endpoint, by what came of them',
  },
  webhookSeconds: {
    name: 'leadpush_webhook_seconds',
    type: 'histogram',
    labels: ['endpoint'],
    help: 'Duration of such a try, up to the answer',
  },
  webhookBacklog: {
    name: 'leadpush_webhook_backlog',
    type: 'gauge',
    labels: ['endpoint'],
    help: 'Events that a webhook endpoint has yet to get',
  },
  webhookOldestAge: {
    name: 'leadpush_webhook_oldest_age_seconds',
    type: 'gauge',
    labels: ['endpoint'],
    help: 'Age of the oldest of them; 0 when there is none',
  },
  webhookDeadLetters: {
    name: 'leadpush_webhook_dead_letters',
    type: 'gauge',
    labels: ['endpoint'],
    help: 'Events that were given up, and can be replayed',
  },
  webhookDisabled: {
    name: 'leadpush_webhook_disabled',
    type: 'gauge',
    labels: ['endpoint'],
    help: '1: the endpoint answered 410 and gets nothing; else 0',
  },
  // The process.
  configReloadOk: {
    name: 'leadpush_config_last_reload_successful',
    type: 'gauge',
    labels: [],
    help: '1 when the last reading of the config, at start or SIGHUP, succeeded; 0: the old one is still in use',
  },
  configReloadAt: {
    name: 'leadpush_config_last_reload_success_timestamp_seconds',
    type: 'gauge',
    labels: [],
    help: 'When the config in use was read',
  },
  eventLoopLag: {
    name: 'leadpush_event_loop_lag_seconds',
    type: 'gauge',
    labels: ['percentile'],
    help: 'How late the event loop was, since the last scrape',
  },
  buildInfo: {
    name: 'leadpush_build_info',
    type: 'gauge',
    labels: ['version', 'node'],
    help: 'Always 1; the labels tell the version of the relay and of Node',
  },
  processCpu: {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    labels: [],
    help: 'CPU time of the process in user and system mode',
  },
  processStart: {
    name: 'process_start_time_seconds',
    type: 'gauge',
    labels: [],
    help: 'When the process started',
  },
  processMemory: {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    labels: [],
    help: 'Memory of the process, all threads, as the system counts it',
  },
  processFds: {
    name: 'process_open_fds',
    type: 'gauge',
    labels: [],
    help: 'Open file descriptors; Linux alone',
  },
  processMaxFds: {
    name: 'process_max_fds',
    type: 'gauge',
    labels: [],
    help: 'Most file descriptors that may be open; Linux alone',
  },
  heapUsed: {
    name: 'nodejs_heap_size_used_bytes',
    type: 'gauge',
    labels: [],
    help: 'JavaScript heap in use, main thread',
  },
  externalMemory: {
    name: 'nodejs_external_memory_bytes',
    type: 'gauge',
    labels: [],
    help: 'Memory of buffers outside the JavaScript heap, main thread',
  },
} as const;

export type MetricKey = keyof typeof METRICS;
