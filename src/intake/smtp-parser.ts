/**
 * The stream of one session cut into command lines and message contents: smtp-server's parser with a data mode of our own,
 * which hands over octets instead of a stream (a PassThrough per message costs as much as the rest of the session).
 *
 * A line without its end at the end of the stream is dropped, not run. While the answer to a message is awaited, nothing
 * that was sent behind it is parsed.
 *
 * It overrides methods that smtp-server names with an underscore: its version is pinned by the lockfile, and the tests of
 * this room go through every one of them.
 */
import { SMTPStream } from 'smtp-server/lib/smtp-stream';
import type { ContentCollector } from './smtp-content.ts';

export interface ParserEvents {
  command(line: Buffer, next: () => void): void;
  /** A line, or a beginning of one, is longer than `maxLineBytes`; nothing more is parsed. */
  overlong(): void;
  /** The first octet is that of a TLS record; nothing more is parsed. */
  tlsRecord(): void;
  /** The client closed its side, and everything before that was answered. */
  end(): void;
}

const TLS_HANDSHAKE_RECORD = 0x16;

export class SmtpParser extends SMTPStream {
  readonly #events: ParserEvents;
  #virgin = true;
  #collector: ContentCollector | null = null;
  #complete: (() => void) | null = null;
  #resume: (() => void) | null = null;

  constructor(maxLineBytes: number, events: ParserEvents) {
    super({ maxCommandLength: maxLineBytes });
    this.#events = events;
    this.oncommand = (line, next) => events.command(line, next ?? ((): void => {}));
    this.on('error', () => events.overlong());
  }

  /** Octets of an unfinished command line. */
  get unfinished(): number {
    return this._remainder.length;
  }

  /** What arrives from now on is content, until its end; then `complete` runs and parsing waits for `continue`. */
  collect(collector: ContentCollector, complete: () => void): void {
    this._dataMode = true;
    this.#collector = collector;
    this.#complete = complete;
  }

  override continue(): void {
    const resume = this.#resume;
    this.#resume = null;
    resume?.();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding | 'buffer', next: (err?: Error | null) => void): void {
    if (this.#virgin) {
      this.#virgin = false;
      if (chunk[0] === TLS_HANDSHAKE_RECORD && !this.isClosed) {
        this.isClosed = true;
        this.#events.tlsRecord();
      }
    }
    super._write(chunk, encoding, next);
  }

  override _feedDataStream(chunk: Buffer, done: (err?: Error | null) => void): void {
    const length = this.#collector?.feed(chunk) ?? -1;
    if (length === -1) {
      done();
      return;
    }
    const complete = this.#complete;
    this._dataMode = false;
    this.#collector = null;
    this.#complete = null;
    this.#resume = () => this._write(chunk.subarray(length), 'buffer', done);
    complete?.();
  }

  override _flushData(): void {
    if (!this.isClosed) this.#events.end();
  }
}
