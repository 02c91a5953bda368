/**
 * One SMTP session with a next hop: an open connection that has greeted, agreed on TLS and logged in, ready for
 * transactions one after another. The dialogue is nodemailer's (`lib/smtp-connection`); this file keeps the connection's
 * life: who hears of its end, whether it may be used again, how it is closed.
 *
 * Not done here: opening (`open-session`), the message itself (`transaction`), the choice of a session (`pool`).
 */
import type { Socket } from 'node:net';
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import { errorText } from '../../core/errors.ts';
import type { AttemptFacts } from '../../core/outcome.ts';
import type { Clock } from '../../core/time.ts';
import type { Capabilities } from './capabilities.ts';
import type { ReplyTap } from './reply-tap.ts';

/** What is known of a session once it is open. */
export interface SessionFacts {
  readonly nextHop: string;
  readonly tls: AttemptFacts['tls'];
  readonly capabilities: Capabilities;
  /** Whole milliseconds that opening took. */
  readonly timings: { readonly connect: number; readonly tls?: number; readonly session: number };
}

/** What a session was given by the one who opened it. */
export interface SessionParts {
  readonly connection: SMTPConnection;
  /** The socket that commands go over; the TLS socket where there is TLS. */
  readonly socket: Socket;
  readonly tap: ReplyTap;
  readonly facts: SessionFacts;
}

export class SmtpSession {
  readonly facts: SessionFacts;
  readonly connection: SMTPConnection;
  readonly socket: Socket;
  readonly tap: ReplyTap;
  /** Transactions begun so far. */
  transactions = 0;
  /** The last transaction was refused: RSET comes before the next one. */
  needsReset = false;
  /** Monotonic milliseconds at which it was last given back. */
  idleSinceMs = 0;
  #over = false;
  #onOver: (text: string) => void = () => {};
  readonly #closed: Promise<void>;

  constructor(parts: SessionParts) {
    this.facts = parts.facts;
    this.connection = parts.connection;
    this.socket = parts.socket;
    this.tap = parts.tap;
    this.#closed = new Promise((resolve) => {
      if (this.socket.closed) resolve();
      else this.socket.once('close', () => resolve());
    });
    this.connection.on('error', (error: Error) => this.#end(errorText(error)));
    // `end` also comes before the library hands a 421 to whoever waits for a reply: that word goes first.
    this.connection.on('end', () => queueMicrotask(() => this.#end('the connection was closed')));
    // After a half-close by the server nothing more can be sent; the library only notices the end that follows.
    this.socket.once('end', () => queueMicrotask(() => this.#end('the server closed the connection')));
  }

  /** Whether a transaction can begin: the connection stands, and the server has not spoken out of turn. */
  usable(): boolean {
    return !this.#over && !this.connection.destroyed && this.socket.writable && !this.tap.midReply();
  }

  /** `onOver` is told, once and with the reason, when the connection ends; it replaces the listener before it. */
  watch(onOver: (text: string) => void): void {
    this.#onOver = onOver;
  }

  /** Drops the connection at once. */
  destroy(): void {
    this.#onOver = () => {};
    this.#over = true;
    this.tap.detach();
    this.connection.close();
    this.socket.destroy();
  }

  /** Says QUIT, waits for the server's answer for at most `limitMs`, and closes. */
  quit(clock: Clock, limitMs: number): void {
    if (!this.usable()) {
      this.destroy();
      return;
    }
    const cancel = clock.after(limitMs, () => this.destroy());
    void this.#closed.then(cancel);
    this.watch(() => this.destroy());
    this.connection.quit();
  }

  /** Resolves when the connection is gone. */
  closed(): Promise<void> {
    return this.#closed;
  }

  #end(text: string): void {
    if (this.#over) return;
    this.#over = true;
    this.tap.detach();
    this.#onOver(text);
  }
}
