/**
 * What all listeners share: how many connections there are, from where, and how much unfinished mail is in memory.
 *
 * A quarter of the connections is kept for clients that are known: those in a trusted network, and those that logged in. A flood
 * of strangers can therefore not lock the auth stacks out. IPv6 clients are counted by their /64.
 *
 * Unfinished content (from DATA until the message is answered) comes out of one pot: 256 MB, or four of the largest messages
 * allowed when that is more. A client may hold a quarter of it, which is always enough for one of the largest; it is counted by
 * its username when it logged in and by its address otherwise. The last eighth is for messages of up to 256 KB: while large ones
 * fill the rest, mail to recover a password still gets in.
 *
 * Known limit: four clients together can take the whole pot with small messages; the limits on connections and the least pace of
 * content bound how many they can hold open, and for how long.
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

/** The memory of one message's content. */
export interface ContentMemory {
  /** Takes memory for `bytes` more; false when the client or all of them would hold too much, or after `release`. */
  reserve(bytes: number): boolean;
  /** Gives all of it back; more than once does nothing. */
  release(): void;
}

export interface ConnectionLimits {
  enter(address: string, known: boolean): Slot | EntryRefusal;
  /** The memory, empty yet, for a message of the client that logged in as `username` or, null, of the one at `address`. */
  content(username: string | null, address: string): ContentMemory;
  /** Connections now. */
  open(): number;
}

const STRANGERS_SHARE = 3 / 4;
/** All unfinished messages together: this, or four of the largest allowed, whichever is more. */
const CONTENT_BYTES = 256 * 1024 * 1024;
const CONTENT_MESSAGES = 4;
/** Not less than one of `CONTENT_MESSAGES`, or a client could not send the largest message. */
const CLIENT_SHARE = 1 / 4;
/** What messages over `SMALL_BYTES` may fill. */
const LARGE_SHARE = 7 / 8;
const SMALL_BYTES = 256 * 1024;

/** Makes the counters that the listeners share; `settings` is read at each use. */
export function createConnectionLimits(settings: () => ConnectionSettings): ConnectionLimits {
  const byGroup = new Map<string, number>();
  let open = 0;
  let strangers = 0;
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
    content: createContentPot(settings),
    open: () => open,
  };
}

function createContentPot(settings: () => ConnectionSettings): ConnectionLimits['content'] {
  const byClient = new Map<string, number>();
  let used = 0;
  return (username, address) => {
    // No address holds a space: a username that looks like one is another client.
    const client = username === null ? addressGroup(address) : `login ${username}`;
    let held = 0;
    let released = false;
    return {
      reserve(bytes) {
        const pot = Math.max(CONTENT_BYTES, CONTENT_MESSAGES * settings().maxMessageBytes);
        const most = held + bytes > SMALL_BYTES ? pot * LARGE_SHARE : pot;
        const byThisClient = (byClient.get(client) ?? 0) + bytes;
        if (released || used + bytes > most || byThisClient > pot * CLIENT_SHARE) return false;
        byClient.set(client, byThisClient);
        used += bytes;
        held += bytes;
        return true;
      },
      release() {
        if (released) return;
        released = true;
        used -= held;
        const left = (byClient.get(client) ?? 0) - held;
        if (left === 0) byClient.delete(client);
        else byClient.set(client, left);
      },
    };
  };
}
