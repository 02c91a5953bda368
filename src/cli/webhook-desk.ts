/** What `webhooks` asks of a relay, wherever it is: over the database of this machine, beside the relay or without one, or over HTTP. */
import { type WireWebhook, type WireWebhookDelivery, wireWebhook, wireWebhookDelivery } from '../api/wire/webhook.ts';
import { loadConfig } from '../config/load.ts';
import type { OutboxState, ReplayResult, ReplaySelection } from '../store/outbox.ts';
import { type DatabaseOptions, openDatabase, openOperator } from './database.ts';
import type { CliIo } from './io.ts';
import { openRemote } from './remote/open.ts';
import { createRemoteDesk } from './remote/webhook-desk.ts';
import { configFile } from './settings.ts';

export interface DeliveryFilter {
  readonly state?: OutboxState;
  readonly limit: number;
}

/** Null: there is no such endpoint. */
export interface WebhookDesk {
  list(): Promise<readonly WireWebhook[]>;
  deliveries(name: string, filter: DeliveryFilter): Promise<readonly WireWebhookDelivery[] | null>;
  replay(name: string, selection: ReplaySelection): Promise<ReplayResult | null>;
  /** False: there is no such endpoint. */
  enable(name: string): Promise<boolean>;
}

/** The desk of the relay that `options` name. */
export async function openDesk(io: CliIo, options: DatabaseOptions): Promise<WebhookDesk> {
  const remote = await openRemote(io, options);
  return remote === null ? openLocalDesk(io, options) : createRemoteDesk(remote.client);
}

/** The desk over the database that `options` name; each call opens it and closes it. */
function openLocalDesk(io: CliIo, options: DatabaseOptions): WebhookDesk {
  return {
    async list() {
      const { outbox, close } = await openDatabase(io, options);
      try {
        const urls = urlsOf(io, options);
        return (await outbox.figures()).map((figures) => wireWebhook(urls.get(figures.name) ?? null, figures));
      } finally {
        await close();
      }
    },
    async deliveries(name, filter) {
      const { outbox, close } = await openDatabase(io, options);
      try {
        const found = await outbox.deliveries(name, filter);
        return found?.map((delivery) => wireWebhookDelivery(name, delivery)) ?? null;
      } finally {
        await close();
      }
    },
    async replay(name, selection) {
      const operator = await openOperator(io, options);
      try {
        return await operator.outbox.replay(name, selection, io.clock.now());
      } finally {
        await operator.stop();
      }
    },
    async enable(name) {
      const operator = await openOperator(io, options);
      try {
        return await operator.outbox.enable(name, io.clock.now());
      } finally {
        await operator.stop();
      }
    },
  };
}

/** As far as the config can be read: a secret that only the service has must not keep anybody from looking. */
function urlsOf(io: CliIo, options: DatabaseOptions): ReadonlyMap<string, string> {
  if (options.data !== undefined) return new Map();
  const loaded = loadConfig(configFile(io, options), io.env);
  return new Map(loaded.kind === 'config' ? loaded.config.webhooks.map(({ name, url }) => [name, url]) : []);
}
