/**
 * The open sessions of one route, or of one MX host: the ones that wait for the next message, and the ones that are on their way out.
 *
 * The last one used is the first one taken, so that with little traffic one connection stays warm and the rest go. A session
 * is closed after `idleMs` without use, and after `MAX_TRANSACTIONS`: servers close or throttle connections that send for
 * ever. How many are open is bounded by how many deliveries begin: for a smarthost at most the route's `connections`; for
 * the moment that QUIT takes, a closing one may come on top.
 */
import type { Clock } from '../../core/time.ts';
import type { SmtpSession } from './session.ts';
import type { SmtpTimeouts } from './timeouts.ts';

/** Postfix, for comparison, renews a connection after 300 s; Amazon SES and others close it after some 100 to 1,000 messages. */
const MAX_TRANSACTIONS = 100;

export interface SessionPool {
  /** Takes a session that waits and that `fits` (absent: any does), or null when there is none. */
  take(fits?: (session: SmtpSession) => boolean): SmtpSession | null;
  /** Makes the pool answerable for a new session: `stop` waits for its end. */
  admit(session: SmtpSession): void;
  /** Takes a session back: to wait for the next message, or, when it cannot be used again, to be dropped. */
  giveBack(session: SmtpSession): void;
  /** Sessions in all, and those that wait and that `fits` (absent: all). */
  open(): number;
  idle(fits?: (session: SmtpSession) => boolean): number;
  /** Closes the one that has waited longest of those that `fits` (absent: of all); false: there is none. */
  closeOldest(fits?: (session: SmtpSession) => boolean): boolean;
  /** Closes what waits; resolves when every session is gone. Sessions that are given back later are closed too. */
  stop(): Promise<void>;
}

/** Makes an empty pool; `onEmpty` is called whenever its last session is gone. */
export function createSessionPool(clock: Clock, timeouts: SmtpTimeouts, onEmpty: () => void = () => {}): SessionPool {
  /** In the order in which they were given back: the longest idle first. */
  const idle: SmtpSession[] = [];
  const open = new Set<SmtpSession>();
  let sweeping = false;
  let stopped = false;

  const forget = (session: SmtpSession): void => {
    const index = idle.indexOf(session);
    if (index !== -1) idle.splice(index, 1);
  };

  /** One timer for all: it is set for the longest idle one, and costs nothing while sessions come and go. */
  const sweepLater = (): void => {
    const oldest = idle[0];
    if (sweeping || oldest === undefined) return;
    sweeping = true;
    clock.after(oldest.idleSinceMs + timeouts.idleMs - clock.monotonicMs(), () => {
      sweeping = false;
      const limitMs = clock.monotonicMs() - timeouts.idleMs;
      for (let session = idle[0]; session !== undefined && session.idleSinceMs <= limitMs; session = idle[0]) {
        idle.shift();
        session.quit(clock, timeouts.quitMs);
      }
      sweepLater();
    });
  };

  return {
    take(fits = () => true) {
      for (let index = idle.length - 1; index >= 0; index--) {
        const session = idle[index];
        if (session === undefined) continue;
        if (!session.usable()) {
          idle.splice(index, 1);
          session.destroy();
        } else if (fits(session)) {
          idle.splice(index, 1);
          return session;
        }
      }
      return null;
    },
    admit(session) {
      open.add(session);
      void session.closed().then(() => {
        open.delete(session);
        if (open.size === 0) onEmpty();
      });
    },
    giveBack(session) {
      if (!session.usable()) {
        session.destroy();
      } else if (stopped || session.transactions >= MAX_TRANSACTIONS) {
        session.quit(clock, timeouts.quitMs);
      } else {
        session.idleSinceMs = clock.monotonicMs();
        session.watch(() => {
          forget(session);
          session.destroy();
        });
        idle.push(session);
        sweepLater();
      }
    },
    open: () => open.size,
    idle: (fits) => (fits === undefined ? idle.length : idle.filter(fits).length),
    closeOldest(fits = () => true) {
      const index = idle.findIndex(fits);
      const [session] = index === -1 ? [] : idle.splice(index, 1);
      session?.quit(clock, timeouts.quitMs);
      return session !== undefined;
    },
    async stop() {
      stopped = true;
      for (const session of idle.splice(0)) session.quit(clock, timeouts.quitMs);
      while (open.size > 0) await Promise.all([...open].map((session) => session.closed()));
    },
  };
}
