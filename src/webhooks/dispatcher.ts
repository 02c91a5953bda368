/**
 * All webhooks: one lane an endpoint, kept in line with the config, woken by the events that it wants.
 *
 * Endpoints come from the config alone. What waits is in the store (`OutboxStore`); nothing here survives a crash, and nothing
 * needs to.
 */
import { createHash } from 'node:crypto';
import type { WebhookConfig } from '../config/types.ts';
import type { RelayEvent } from '../core/event.ts';
import type { OutboxEndpoint, OutboxStore } from '../store/outbox.ts';
import { createLane, type Lane, type LaneDeps } from './lane.ts';

export interface Dispatcher {
  /** Takes up the endpoints of a config; rejects with a `RelayError`, and changes nothing, when the store cannot. */
  apply(webhooks: readonly WebhookConfig[]): Promise<void>;
  /** Events were committed. */
  notice(events: readonly RelayEvent[]): void;
  /** The clock jumped, or another process changed the database. */
  wakeAll(): void;
  /** Sends nothing new, waits for what is under way for a few seconds, and breaks off the rest. */
  stop(): Promise<void>;
}

export interface DispatcherDeps extends LaneDeps {
  readonly outbox: LaneDeps['outbox'] & Pick<OutboxStore, 'sync'>;
}

interface Entry {
  readonly config: WebhookConfig;
  readonly lane: Lane;
}

/** Makes the dispatcher; it has no endpoint before the first `apply`. */
export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  let entries: ReadonlyMap<string, Entry> = new Map();
  const leaving = new Set<Promise<void>>();

  return {
    async apply(webhooks) {
      const standings = await deps.outbox.sync(webhooks.map(endpointOf), deps.clock.now());
      const before = entries;
      const after = new Map<string, Entry>();
      for (const config of webhooks) {
        const standing = standings.find(({ name }) => name === config.name);
        if (standing === undefined) throw new Error(`the store does not know webhook ${config.name}`);
        const known = before.get(config.name);
        const lane = known?.lane ?? createLane(config, standing, deps);
        if (known !== undefined && !isSame(known.config, config)) lane.update(config, standing);
        after.set(config.name, { config, lane });
        lane.wake();
      }
      entries = after;
      for (const [name, { lane }] of before) {
        if (after.has(name)) continue;
        const stopping = lane.stop().finally(() => leaving.delete(stopping));
        leaving.add(stopping);
      }
    },
    notice(events) {
      for (const { config, lane } of entries.values()) {
        if (events.some(({ type }) => config.events.has(type))) lane.wake();
      }
    },
    wakeAll() {
      for (const { lane } of entries.values()) lane.wake();
    },
    async stop() {
      await Promise.all([...leaving, ...Array.from(entries.values(), ({ lane }) => lane.stop())]);
    },
  };
}

function endpointOf({ name, url, events, tags }: WebhookConfig): OutboxEndpoint {
  const types = [...events].sort();
  const wanted = tags === null ? null : [...tags].sort();
  // The secrets are left out: another one does not bring back an endpoint that is gone, and no trace of them is stored.
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([url, types, wanted]))
    .digest('hex');
  return { name, types, tags: wanted, fingerprint };
}

function isSame(a: WebhookConfig, b: WebhookConfig): boolean {
  const text = ({ url, secrets, ca }: WebhookConfig): string =>
    JSON.stringify([url, ca, secrets.map((secret) => Buffer.from(secret).toString('base64'))]);
  const { fingerprint: before } = endpointOf(a);
  return text(a) === text(b) && before === endpointOf(b).fingerprint;
}
