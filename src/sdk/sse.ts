/**
 * Server-sent events, from bytes to messages (WHATWG HTML, section 9.2.6).
 *
 * Chunks may end anywhere: inside a line end, a UTF-8 sequence, a field's name. An unfinished message at the end of a stream
 * is dropped, as the standard says. What is kept between chunks never grows beyond `maxChars`: beyond it `push` throws.
 */

export interface SseMessage {
  /** `id` as it stands at this message; the empty string when none was ever given. */
  readonly lastEventId: string;
  /** `event`, or `message`. */
  readonly event: string;
  /** The lines of `data`, joined by line feeds; the empty string when there was none. */
  readonly data: string;
}

export interface SseParser {
  /** The messages that `chunk` completes, in order, those without data too: they may carry an id. */
  push(chunk: Uint8Array): readonly SseMessage[];
  /** The server's wish how long to wait before the next connection, in milliseconds; null when it has none. */
  retryMs(): number | null;
}

/** The longest wait that a server can wish for. */
const MAX_RETRY_MS = 60_000;

/** The longest message, in characters. */
const MAX_CHARS = 1_000_000;

/** Makes a parser for one connection. `lastEventId` is what the connection was opened with. */
export function createSseParser(lastEventId: string, maxChars: number = MAX_CHARS): SseParser {
  // Takes a byte order mark away by itself.
  const decoder = new TextDecoder();
  let rest = '';
  /** The last chunk ended with a carriage return: a line feed that comes next belongs to it. */
  let skipLineFeed = false;
  let id = lastEventId;
  let retry: number | null = null;
  let event = '';
  let data: string[] = [];
  let dataChars = 0;
  /** Any field of the message at hand. */
  let begun = false;

  const field = (line: string): void => {
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    switch (name) {
      case 'data':
        data.push(value);
        dataChars += value.length + 1;
        if (dataChars > maxChars) throw tooLong(maxChars);
        break;
      case 'event':
        event = value;
        break;
      case 'id':
        if (!value.includes('\0')) id = value;
        break;
      case 'retry':
        if (/^\d{1,9}$/.test(value)) retry = Math.min(Number(value), MAX_RETRY_MS);
        return;
      default:
        return;
    }
    begun = true;
  };

  const finish = (): SseMessage => {
    const message = { lastEventId: id, event: event === '' ? 'message' : event, data: data.join('\n') };
    event = '';
    data = [];
    dataChars = 0;
    begun = false;
    return message;
  };

  return {
    push(chunk) {
      const text = decoder.decode(chunk, { stream: true });
      if (text === '') return [];
      rest += skipLineFeed && text.startsWith('\n') ? text.slice(1) : text;
      skipLineFeed = text.endsWith('\r');
      const lines = rest.split(/\r\n|\r|\n/);
      rest = lines.pop() ?? '';
      const messages: SseMessage[] = [];
      for (const line of lines) {
        if (line !== '') field(line);
        else if (begun) messages.push(finish());
      }
      if (rest.length > maxChars) throw tooLong(maxChars);
      return messages;
    },
    retryMs: () => retry,
  };
}

function tooLong(maxChars: number): RangeError {
  return new RangeError(`a message of the event stream is longer than ${maxChars} characters`);
}
