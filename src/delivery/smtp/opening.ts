/**
 * A conversation while it opens: it ends once, handed on or given up, and what comes after that is not heard.
 *
 * The library's events cannot all be unsubscribed, so that each handler must ask `isOver()` before it ends anything: a late
 * one would close a connection that is in use by then.
 */
import type net from 'node:net';
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { Answer, Failure } from './ending.ts';
import type { ReplyTap } from './reply-tap.ts';

export interface Conversation {
  readonly connection: SMTPConnection;
  readonly socket: net.Socket;
  readonly tap: ReplyTap;
}

export interface Opening {
  isOver(): boolean;
  /** The conversation goes on elsewhere, and the tap is free for whoever has it next. */
  handOn(): void;
  /** Closes everything and returns `ending`. */
  giveUp<E extends Answer | Failure>(ending: E): E;
}

/** Watches over `conversation` for the step that opens it. */
export function createOpening({ connection, socket, tap }: Conversation): Opening {
  let over = false;
  return {
    isOver: () => over,
    handOn() {
      over = true;
      tap.listen(null);
    },
    giveUp(ending) {
      over = true;
      tap.detach();
      connection.close();
      socket.destroy();
      return ending;
    },
  };
}
