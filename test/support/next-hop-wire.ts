/** The receiving end of one SMTP connection in tests: lines and messages in the order in which they came. */
import type net from 'node:net';

const LINE_END = Buffer.from('\r\n');
const END_OF_DATA = Buffer.from('\r\n.\r\n');
const FINAL_DOT = Buffer.from('.\r\n');

export class Wire {
  socket: net.Socket;
  #chunks: Buffer[] = [];
  #ended = false;
  #wake: () => void = () => {};
  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#wake();
  };

  /** `onOctets` is told how many came, each time. */
  constructor(socket: net.Socket, onOctets: (count: number) => void) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => onOctets(chunk.length));
    this.#listen();
  }

  #listen(): void {
    this.socket.on('data', this.#onData);
    this.socket.on('error', () => this.socket.destroy());
    this.socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** Goes on over what `secure` makes of the socket; whatever had come in the clear is thrown away. */
  upgrade(secure: (plain: net.Socket) => net.Socket): void {
    this.socket.off('data', this.#onData);
    this.#chunks = [];
    this.socket = secure(this.socket);
    this.#listen();
  }

  /** Waits for more to come; false at the end of the connection. */
  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return true;
  }

  /** Resolves with true as soon as there is something to read, with false at the end of the connection. */
  async readable(): Promise<boolean> {
    while (this.#chunks.length === 0) if (!(await this.#more())) return false;
    return true;
  }

  /** Resolves when the connection is gone; what was not read by then is thrown away. */
  async closed(): Promise<void> {
    while (await this.#more()) this.#chunks = [];
    this.#chunks = [];
  }

  /** One command line without its CRLF; null at the end of the connection. */
  async line(): Promise<Buffer | null> {
    const line = await this.#through(LINE_END, Buffer.alloc(0));
    return line === null ? null : line.subarray(0, -LINE_END.length);
  }

  /** A message without the final dot, dots unstuffed; null when the connection ended before it was complete. */
  async message(): Promise<Buffer | null> {
    // The line end of the DATA command belongs to the mark, so that an empty message ends like any other.
    const data = await this.#through(END_OF_DATA, LINE_END);
    if (data === null) return null;
    const stuffed = data.subarray(LINE_END.length, -FINAL_DOT.length).toString('latin1');
    return Buffer.from(stuffed.replace(/(^|\r\n)\./g, '$1'), 'latin1');
  }

  /** Sends `octets` one a millisecond, again and again, until the connection is gone. */
  drip(octets: string): void {
    const { socket } = this;
    let at = 0;
    const timer = setInterval(() => socket.write(octets.charAt(at++ % octets.length)), 1);
    socket.once('close', () => clearInterval(timer));
  }

  /** Sends `octets` as fast as they are taken, again and again, until the connection is gone. */
  flood(octets: string): void {
    const { socket } = this;
    const piece = octets.repeat(Math.ceil(16_384 / octets.length));
    const pour = (): void => {
      if (socket.destroyed) return;
      if (socket.write(piece)) setImmediate(pour);
      else socket.once('drain', () => setImmediate(pour));
    };
    pour();
  }

  /** `before` and everything up to and with `mark`. */
  async #through(mark: Buffer, before: Buffer): Promise<Buffer | null> {
    const taken = [before];
    let tail = before;
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk === undefined) {
        if (!(await this.#more())) return null;
        continue;
      }
      // The mark may lie across two chunks.
      const window = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
      const at = window.indexOf(mark);
      if (at === -1) {
        taken.push(chunk);
        tail = window.subarray(Math.max(window.length - mark.length + 1, 0));
        continue;
      }
      const rest = window.subarray(at + mark.length);
      taken.push(chunk.subarray(0, chunk.length - rest.length));
      if (rest.length > 0) this.#chunks.unshift(rest);
      return Buffer.concat(taken);
    }
  }
}
