/** The parser of server-sent events: the standard's rules, and the same answer wherever the chunks end. */
import { describe, expect, it } from 'vitest';
import { createSseParser, type SseMessage } from '../../src/sdk/sse.ts';
import fc from '../support/properties.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What a parser makes of `chunks`. */
function parse(...chunks: readonly (string | Uint8Array)[]): readonly SseMessage[] {
  const parser = createSseParser('');
  return chunks.flatMap((chunk) => parser.push(typeof chunk === 'string' ? bytes(chunk) : chunk));
}

describe('an event stream', () => {
  it('gives a message with id, event and data', () => {
    expect(parse('id: 7\nevent: message.delivered\ndata: {"a":1}\n\n')).toEqual([
      { lastEventId: '7', event: 'message.delivered', data: '{"a":1}' },
    ]);
  });

  it('joins the lines of data by line feeds', () => {
    expect(parse('data: a\ndata\ndata:b\n\n').map(({ data }) => data)).toEqual(['a\n\nb']);
  });

  it('takes one space after the colon away, no more', () => {
    expect(parse('data:  a \n\n')[0]?.data).toBe(' a ');
  });

  it.each([
    ['comments', ': heartbeat\n\ndata: a\n\n'],
    ['fields it does not know', 'time: 5\ndata: a\n\n'],
    ['a byte order mark', '\ufeffdata: a\n\n'],
    ['blank lines', '\n\n\ndata: a\n\n\n'],
  ])('passes over %s', (_what, text) => {
    expect(parse(text)).toEqual([{ lastEventId: '', event: 'message', data: 'a' }]);
  });

  it.each(['\n', '\r\n', '\r'])('ends lines with %j', (end) => {
    expect(parse(['id: 1', 'data: a', '', 'data: b', '', ''].join(end)).map(({ data }) => data)).toEqual(['a', 'b']);
  });

  it('gives a message that ends with a carriage return at once, and takes the line feed after it along', () => {
    const parser = createSseParser('');
    expect(parser.push(bytes('data: a\r\n\r'))).toHaveLength(1);
    expect(parser.push(bytes('\ndata: b\r\n\r\n'))).toEqual([{ lastEventId: '', event: 'message', data: 'b' }]);
  });

  it('keeps the id for messages that bring none, and gives up an id that holds NUL', () => {
    expect(parse('id: 1\ndata: a\n\ndata: b\n\nid: x\0y\ndata: c\n\n').map(({ lastEventId }) => lastEventId)).toEqual([
      '1',
      '1',
      '1',
    ]);
  });

  it('begins with the id that the connection was opened with', () => {
    expect(createSseParser('41').push(bytes('data: a\n\n'))[0]?.lastEventId).toBe('41');
  });

  it('tells an id that comes without data', () => {
    expect(parse('id: 9\n\n')).toEqual([{ lastEventId: '9', event: 'message', data: '' }]);
  });

  it('keeps back a message that is not finished', () => {
    expect(parse('data: a\n')).toEqual([]);
  });

  it.each([
    ['retry: 3000\n\n', 3000],
    ['retry: 999999999\n\n', 60_000],
    ['retry: soon\n\n', null],
    ['retry: -1\n\n', null],
  ])('reads the wish of %j', (text, expected) => {
    const parser = createSseParser('');
    parser.push(bytes(text));
    expect(parser.retryMs()).toBe(expected);
  });

  it.each([
    ['one endless line', 'data: xxxxxxxxxx'],
    ['endless lines', 'data: x\n'],
  ])('is given up when a message has no end: %s', (_what, chunk) => {
    const parser = createSseParser('', 1000);
    expect(() => {
      for (let i = 0; i < 2000; i++) parser.push(bytes(chunk));
    }).toThrow(/longer than 1000 characters/);
  });

  it('reads the same wherever the chunks end', () => {
    const line = fc.oneof(
      fc.constantFrom('data: a', 'data', 'id: 5', 'id', 'event: x', ': c', '', '', 'retry: 10', '\ufeffdata: y'),
      fc.string({ unit: 'binary', maxLength: 12 }),
    );
    const text = fc
      .array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 30 })
      .map((lines) => lines.flat().join(''));
    fc.assert(
      fc.property(text, (whole) => {
        const all = bytes(whole);
        const expected = parse(all);
        expect(parse(...Array.from(all, (byte) => Uint8Array.of(byte)))).toEqual(expected);
        for (let at = 1; at < all.length; at++) {
          expect(parse(all.subarray(0, at), all.subarray(at))).toEqual(expected);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('reads what a server writes', () => {
    const message = fc.record({
      id: fc.integer({ min: 1, max: 1e9 }).map(String),
      data: fc.json(),
    });
    fc.assert(
      fc.property(fc.array(message), (messages) => {
        const text = messages.map(({ id, data }) => `id: ${id}\ndata: ${data}\n\n`).join('');
        expect(parse(text)).toEqual(messages.map(({ id, data }) => ({ lastEventId: id, event: 'message', data })));
      }),
    );
  });
});
