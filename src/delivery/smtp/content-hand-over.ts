/**
 * What the SMTP library is given for a message's content: a stream without any. The library asks for it after 354, and that
 * is the moment at which we write the content ourselves.
 *
 * One serves all transactions of a session, because a stream costs more than the rest of a transaction's objects together;
 * so it takes no listeners, and destroying it does nothing.
 */
import { Readable } from 'node:stream';

export class ContentHandOver extends Readable {
  /** Called with the stream that the library would have the content written to. */
  onWanted: (libraryStream: NodeJS.WritableStream) => void = () => {};

  override pipe<T extends NodeJS.WritableStream>(destination: T): T {
    this.onWanted(destination);
    return destination;
  }

  override on(): this {
    return this;
  }

  override destroy(): this {
    return this;
  }
}
