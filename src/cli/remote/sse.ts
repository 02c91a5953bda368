/**
 * Server-sent events (HTML Living Standard, section 9.2.6) out of a stream of octets that comes in any pieces.
 *
 * Lines end in LF, CR or CRLF, also when a piece ends between the two. A frame that the stream breaks off is dropped, as the
 * standard has it: who resumes after the last whole one gets it again.
 */
export interface SseFrame {
  /** The last id that the stream gave, in this frame or before; empty: none yet. */
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

export interface SseParser {
  /** The frames that `bytes` complete; null: one is longer than any of a relay, and nothing more can be read. */
  push(bytes: Uint8Array): readonly SseFrame[] | null;
}

/** No event of a relay is as long. */
export const MAX_FRAME_CHARS: number = 4 * 1024 * 1024;

/** A parser at the beginning of a stream. */
export function createSseParser(): SseParser {
  const decoder = new TextDecoder('utf-8');
  let rest = '';
  let afterCr = false;
  let id = '';
  let event = '';
  let data: string[] = [];
  let held = 0;

  function take(line: string): SseFrame | null {
    if (line === '') {
      const frame = data.length === 0 ? null : { id, event: event === '' ? 'message' : event, data: data.join('\n') };
      event = '';
      data = [];
      held = 0;
      return frame;
    }
    const colon = line.indexOf(':');
    // A comment: the relay says that it is still there.
    if (colon === 0) return null;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') {
      data.push(value);
      held += value.length + 1;
    } else if (field === 'event') event = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
    return null;
  }

  return {
    push(bytes) {
      let text = decoder.decode(bytes, { stream: true });
      if (text === '') return [];
      // The LF of a CRLF whose CR ended the piece before.
      if (afterCr && text.startsWith('\n')) text = text.slice(1);
      afterCr = text === '' ? false : text.endsWith('\r');
      const lines = (rest + text).split(/\r\n|\n|\r/);
      rest = lines.pop() ?? '';
      const frames: SseFrame[] = [];
      for (const line of lines) {
        const frame = take(line);
        if (frame !== null) frames.push(frame);
        if (held > MAX_FRAME_CHARS) return null;
      }
      return held + rest.length > MAX_FRAME_CHARS ? null : frames;
    },
  };
}
