/**
 * A load of mail with a ledger kept outside the relay: what was answered with 250, and what is not known because the
 * connection went before an answer to the final dot came.
 */
import net from 'node:net';

export interface Ledger {
  /** Tokens of messages that were answered with 250. */
  readonly accepted: Set<string>;
  /** Tokens of messages whose final dot was sent and never answered. */
  readonly unknown: Set<string>;
}

export interface Load {
  /** Tells all senders to end after the reply they wait for. */
  stop(): Promise<void>;
}

export interface LoadOptions {
  readonly port: number;
  readonly ledger: Ledger;
  readonly senders: number;
  /** The next token; it goes into the message as `Message-ID: <token@load.example.com>`. */
  readonly nextToken: () => string;
  /** Each sender begins a message this often, or at once when it is late; absent: as fast as it can. */
  readonly everyMs?: number;
  /** Called when the final dot of a message was written, and when its 250 was read. */
  readonly on?: (moment: 'dot-written' | 'answered', token: string) => void;
}

/** Starts `senders` clients that send one mail after another until they are stopped or the relay is gone. */
export function startLoad(options: LoadOptions): Load {
  let running = true;
  const all = Array.from({ length: options.senders }, () => send());
  return {
    async stop() {
      running = false;
      await Promise.all(all);
    },
  };

  async function send(): Promise<void> {
    const socket = net.connect({ host: '127.0.0.1', port: options.port, noDelay: true });
    const replies = replyReader(socket);
    try {
      await replies.next();
      socket.write('EHLO load.example.com\r\n');
      await replies.next();
      const startMs = performance.now();
      for (let sent = 0; running; sent++) {
        const waitMs = startMs + sent * (options.everyMs ?? 0) - performance.now();
        if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
        const token = options.nextToken();
        socket.write('MAIL FROM:<app@example.com>\r\nRCPT TO:<ann@example.net>\r\nDATA\r\n');
        for (let i = 0; i < 3; i++) {
          const reply = await replies.next();
          if (!/^[23]/.test(reply)) throw new Error(reply);
        }
        socket.write(
          `From: app@example.com\r\nTo: ann@example.net\r\nMessage-ID: <${token}@load.example.com>\r\nX-Leadpush-Tag: password-reset\r\n` +
            `Subject: load\r\n\r\n${'x'.repeat(70)}\r\n.\r\n`,
        );
        options.ledger.unknown.add(token);
        options.on?.('dot-written', token);
        const reply = await replies.next();
        options.ledger.unknown.delete(token);
        if (!reply.startsWith('250')) continue;
        options.ledger.accepted.add(token);
        options.on?.('answered', token);
      }
      socket.end('QUIT\r\n');
    } catch {
      // The relay is gone: what the ledger holds is what this client knows.
    } finally {
      socket.destroy();
    }
  }
}

/** Replies one after another; rejects when the connection ends. */
function replyReader(socket: net.Socket): { next(): Promise<string> } {
  let buffered = '';
  let ended: Error | null = null;
  let wake: (() => void) | null = null;
  const end = (error: Error): void => {
    ended ??= error;
    wake?.();
  };
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    buffered += text;
    wake?.();
  });
  socket.on('error', end);
  socket.on('close', () => end(new Error('closed')));
  return {
    async next() {
      for (;;) {
        const match = /^(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/.exec(buffered);
        if (match !== null) {
          buffered = buffered.slice(match[0].length);
          return match[0];
        }
        if (ended !== null) throw ended;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = null;
      }
    },
  };
}
