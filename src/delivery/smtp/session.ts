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
import { MAX_SAID_BYTES } from './greet.ts';
import type { Capabilities } from './capabilities.ts';
import { ContentHandOver } from './content-hand-over.ts';
import type { ReplyTap } from './reply-tap.ts';

/** What is known of a session once it is open. */
export interface SessionFacts {
  readonly nextHop: string;
  /** The endpoint's address, when it named one. */
  readonly address: string | null;
  readonly tls: AttemptFacts['tls'];
  /** The certificate is of a trusted authority and for the endpoint's name (RFC 6125). */
  readonly verified: boolean;
  readonly capabilities: Capabilities;
  /** Whole milliseconds that opening took. */
  readonly timings: { readonly connect: number; readonly tls?: number; readonly session: number };
}

export class SmtpSession {
  readonly facts: SessionFacts;
  readonly connection: SMTPConnection;
  readonly socket: Socket;
  readonly tap: ReplyTap;
  readonly content: ContentHandOver = new ContentHandOver();
  /** Transactions begun so far. */
  transactions = 0;
  /** The last transaction was refused: RSET comes before the next one. */
  needsReset = false;
  /** MAIL was sent and the server's last word to it is not known: no other transaction can follow. */
  inTransaction = false;
  /** Monotonic milliseconds at which it was last given back. */
  idleSinceMs = 0;
  #over = false;
  #onOver: (text: string) => void = () => {};
  readonly #closed: Promise<void>;

  constructor(connection: SMTPConnection, socket: Socket, tap: ReplyTap, facts: SessionFacts) {
    this.connection = connection;
    this.socket = socket;
    this.tap = tap;
    this.facts = facts;
    this.#closed = new Promise((resolve) => {
      if (this.socket.closed) resolve();
      else this.socket.once('close', () => resolve());
    });
    // A server that has closed its side takes nothing more; what is still to be written would keep the socket open for ever.
    // A reply that came just before goes first.
    this.socket.once('end', () => setImmediate(() => this.socket.writableLength > 0 && this.socket.destroy()));
    this.connection.on('error', (error: Error) => this.#end(errorText(error)));
    // `end` also comes before the library hands a 421 to whoever waits for a reply: that word goes first.
    this.connection.on('end', () => queueMicrotask(() => this.#end('the connection was closed')));
    this.tap.listen({ onChunk: () => {}, onFlood: () => this.#flood() });
  }

  /** Whether a transaction can begin: the connection stands, and the server has not spoken out of turn. */
  usable(): boolean {
    return (
      !this.#over && !this.inTransaction && !this.connection.destroyed && this.socket.writable && !this.tap.midReply()
    );
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

  #flood(): void {
    this.connection.close();
    this.#end(`the server said more than ${MAX_SAID_BYTES} octets`);
  }

  #end(text: string): void {
    if (this.#over) return;
    this.#over = true;
    this.tap.detach();
    this.#onOver(text);
  }
}
