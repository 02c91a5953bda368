/** A raw SMTP client for tests: writes the octets that it is told to, when it is told to, and reads whole replies. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';

export interface SmtpReply {
  readonly code: number;
  /** Without the codes' separators and line ends, enhanced codes included. */
  readonly lines: readonly string[];
  /** As received, without the last line end. */
  readonly raw: string;
}

export interface SmtpClient {
  /** Writes octets as they are and resolves when they are with the system. Strings are Latin-1. */
  write(octets: string | Uint8Array): Promise<void>;
  /** The next reply; rejects when the connection ends first. */
  reply(): Promise<SmtpReply>;
  /** Writes `line` and CR LF, and returns the reply. */
  command(line: string): Promise<SmtpReply>;
  /** STARTTLS command, reply and handshake; the client trusts any certificate. Returns the negotiated version. */
  startTls(): Promise<string | null>;
  /** Everything received since the start of the (TLS) connection. */
  received(): string;
  /** Number of chunks in which it was received. */
  chunks(): number;
  /** Resolves when the server has closed the connection or its side of it. */
  closed(): Promise<void>;
  /** Closes the sending side. */
  end(): void;
  destroy(): void;
  /** Ends the connection with a reset instead of an orderly close. */
  reset(): void;
  readonly localPort: number;
}

export interface SmtpClientOptions {
  readonly port: number;
  readonly host?: string;
  /** Address to connect from. */
  readonly from?: string;
  /** TLS from the first octet. */
  readonly tls?: boolean;
  /** Written in the moment of connecting, before anything is read. */
  readonly early?: string;
}

/** Connects; the greeting is the first `reply()`. */
export async function connectSmtp(options: SmtpClientOptions): Promise<SmtpClient> {
  const { port, host = '127.0.0.1', from, tls = false, early } = options;
  const target = { port, host, ...(from === undefined ? {} : { localAddress: from }) };
  let socket: Socket = tls ? connectTls({ ...target, rejectUnauthorized: false }) : connect(target);
  if (early !== undefined) socket.write(early, 'latin1');

  let text = '';
  let readTo = 0;
  let chunks = 0;
  let ended = false;
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const look of waiting) look();
  };
  const finish = (): void => {
    ended = true;
    wake();
  };
  const listen = (to: Socket): void => {
    to.setNoDelay(true);
    to.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      chunks++;
      wake();
    });
    to.on('end', finish);
    to.on('close', finish);
    to.on('error', finish);
  };
  listen(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once(tls ? 'secureConnect' : 'connect', resolve);
    socket.once('error', reject);
  });
  socket.on('error', finish);

  /** Resolves with the first answer of `look` that is not undefined; it is asked again after everything that happens. */
  const until = <T>(look: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const attempt = (): void => {
        try {
          const answer = look();
          if (answer === undefined) return;
          resolve(answer);
        } catch (error) {
          reject(error);
        }
        waiting.delete(attempt);
      };
      waiting.add(attempt);
      attempt();
    });

  const takeReply = (): SmtpReply | undefined => {
    const match = /^(?:\d{3}-[^\r\n]*\r\n)*(\d{3})(?: [^\r\n]*)?\r\n/.exec(text.slice(readTo));
    if (match === null) {
      if (ended) throw new Error(`the connection ended; unread: ${JSON.stringify(text.slice(readTo))}`);
      return undefined;
    }
    readTo += match[0].length;
    const raw = match[0].slice(0, -2);
    return { code: Number(match[1]), lines: raw.split('\r\n').map((line) => line.slice(4)), raw };
  };

  const client: SmtpClient = {
    write(octets) {
      const bytes = typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets;
      return new Promise((resolve) => socket.write(bytes, () => resolve()));
    },
    reply: () => until(takeReply),
    async command(line) {
      await client.write(`${line}\r\n`);
      return client.reply();
    },
    async startTls() {
      const reply = await client.command('STARTTLS');
      if (reply.code !== 220) throw new Error(`STARTTLS was answered ${reply.raw}`);
      const plain = socket;
      plain.removeAllListeners('data');
      const secured: TLSSocket = connectTls({ socket: plain, rejectUnauthorized: false });
      text = '';
      readTo = 0;
      chunks = 0;
      socket = secured;
      listen(secured);
      await new Promise<void>((resolve, reject) => {
        secured.once('secureConnect', resolve);
        secured.once('error', reject);
        secured.once('close', () => reject(new Error('closed during the handshake')));
      });
      return secured.getProtocol();
    },
    received: () => text,
    chunks: () => chunks,
    closed: () => until(() => (ended ? true : undefined)).then(() => undefined),
    end: () => void socket.end(),
    destroy: () => void socket.destroy(),
    reset: () => void socket.resetAndDestroy(),
    localPort: socket.localPort ?? 0,
  };
  return client;
}
