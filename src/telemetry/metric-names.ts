/**
 * Every metric the relay shows, with its type, labels and meaning: the list that `README.md` in this folder repeats and
 * a test compares with it. A name or label here is public: people's dashboards and alerts use it.
 *
 * No label ever holds a recipient, a sender, a message id or any other text that a client chooses freely.
 */

export const METRICS = {
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
  deliveries: {
    name: 'leadpush_deliveries_total',
    type: 'counter',
    labels: ['tag', 'route', 'outcome'],
    help: 'Deliveries that came to a final state',
  },
  deliveryAttempts: {
    name: 'leadpush_delivery_attempts_total',
    type: 'counter',
    labels: ['route', 'outcome'],
    help: 'Delivery attempts by what came of them',
  },
  timeToDelivered: {
    name: 'leadpush_time_to_delivered_seconds',
    type: 'histogram',
    labels: ['tag'],
    help: 'From acceptance to the 250 of the next hop',
  },
  attemptPhase: {
    name: 'leadpush_attempt_phase_seconds',
    type: 'histogram',
    labels: ['phase'],
    help: 'Duration of the phases of a delivery attempt',
  },
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
  eventLoopLag: {
    name: 'leadpush_event_loop_lag_seconds',
    type: 'gauge',
    labels: ['quantile'],
    help: 'How late the event loop was, since the last scrape',
  },
  smtpConnections: {
    name: 'leadpush_smtp_connections_total',
    type: 'counter',
    labels: ['listener', 'tls'],
    help: 'SMTP connections that clients made',
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
  buildInfo: {
    name: 'leadpush_build_info',
    type: 'gauge',
    labels: ['version', 'node'],
    help: 'Always 1; the labels tell the version of the relay and of Node',
  },
} as const;
