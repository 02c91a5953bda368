/**
 * The client: what the relay's API offers, call by call.
 *
 * Names in requests and answers are those of the API (`collapse_key`, `next_cursor`), so that events, webhooks and its documentation read the
 * same. A client holds no connection and needs no closing.
 */
import { createEvents, type Events } from './events.ts';
import { createMessages, type Messages } from './messages.ts';
import { createOperations, type Operations } from './operations.ts';
import { type Runtime, systemRuntime } from './runtime.ts';
import { createSuppressions, type Suppressions } from './suppressions.ts';
import { createTransport, type LeadpushOptions } from './transport.ts';
import { verifyWebhook } from './verify.ts';
import { createWebhooks, type Webhooks } from './webhooks.ts';

/** A client of one relay. Throws a TypeError when the options cannot work; nothing is asked before the first call. */
export class LeadpushRelay {
  /** Checks webhooks; needs no client. */
  static readonly webhooks: { readonly verify: typeof verifyWebhook } = { verify: verifyWebhook };

  /** Send mail, and see what became of it. */
  readonly messages: Messages;
  /** The log of events, and its stream. */
  readonly events: Events;
  /** Recipients that get no mail for a time. */
  readonly suppressions: Suppressions;
  /** The endpoints that the relay calls, and what it sent them. */
  readonly webhooks: Webhooks;
  readonly flows: Operations['flows'];
  readonly routes: Operations['routes'];
  readonly senders: Operations['senders'];
  readonly stats: Operations['stats'];
  readonly queue: Operations['queue'];
  readonly rules: Operations['rules'];

  /** `runtime` is for tests: time, chance and keys. */
  constructor(options: LeadpushOptions, runtime: Runtime = systemRuntime) {
    const transport = createTransport(options, runtime);
    this.messages = createMessages(transport);
    this.events = createEvents(transport);
    this.suppressions = createSuppressions(transport);
    this.webhooks = createWebhooks(transport);
    const { flows, routes, senders, stats, queue, rules } = createOperations(transport);
    this.flows = flows;
    this.routes = routes;
    this.senders = senders;
    this.stats = stats;
    this.queue = queue;
    this.rules = rules;
  }
}
