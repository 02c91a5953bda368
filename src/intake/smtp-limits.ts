/**
 * What all listeners share: how many connections there are, from where, and how much unfinished mail is in memory.
 *
 * A quarter of the connections is kept for clients that are known: those in a trusted network, and those that logged in. A flood
 * of strangers can therefore not lock the auth stacks out. IPv6 clients are counted by their /64.
 */
import { addressGroup } from './networks.ts';

export interface ConnectionSettings {
  readonly maxConnections: number;
  readonly maxConnectionsPerIp: number;
  readonly maxMessageBytes: number;
}

export type EntryRefusal = 'too-many' | 'too-many-from-address';

/** One connection's place. */
export interface Slot {
  /** The client logged in: it no longer counts as a stranger. */
  known(): void;
  /** Gives the place back; more than once does nothing. */
  leave(): void;
}

export interface ConnectionLimits {
  enter(address: string, known: boolean): Slot | EntryRefusal;
  /** Takes memory for `bytes` of unfinished content; false when all sessions together would hold too much. */
  reserve(bytes: number): boolean;
  release(bytes: number): void;
  /** Connections now. */
  open(): number;
}

const STRANGERS_SHARE = 3 / 4;
/** All unfinished messages together: this, or four of the largest allowed, whichever is more. */
const CONTENT_BYTES = 256 * 1024 * 1024;
const CONTENT_MESSAGES = 4;

/** Makes the counters that the listeners share; `settings` is read at each use. */
export function createConnectionLimits(settings: () => ConnectionSettings): ConnectionLimits {
  const byGroup = new Map<string, number>();
  let open = 0;
  let strangers = 0;
  let contentBytes = 0;
  return {
    enter(address, known) {
      const { maxConnections, maxConnectionsPerIp } = settings();
      const group = addressGroup(address);
      const fromGroup = byGroup.get(group) ?? 0;
      if (fromGroup >= maxConnectionsPerIp) return 'too-many-from-address';
      const strangersMax = Math.max(1, Math.floor(maxConnections * STRANGERS_SHARE));
      if (open >= maxConnections || (!known && strangers >= strangersMax)) return 'too-many';
      byGroup.set(group, fromGroup + 1);
      open++;
      let stranger = !known;
      let here = true;
      if (stranger) strangers++;
      return {
        known() {
          if (stranger && here) strangers--;
          stranger = false;
        },
        leave() {
          if (!here) return;
          here = false;
          open--;
          if (stranger) strangers--;
          const left = (byGroup.get(group) ?? 1) - 1;
          if (left === 0) byGroup.delete(group);
          else byGroup.set(group, left);
        },
      };
    },
    reserve(bytes) {
      const most = Math.max(CONTENT_BYTES, CONTENT_MESSAGES * settings().maxMessageBytes);
      if (contentBytes + bytes > most) return false;
      contentBytes += bytes;
      return true;
    },
    release(bytes) {
      contentBytes -= bytes;
    },
    open: () => open,
  };
}
