import { describe, expect, test } from 'vitest';
import { createSseParser, MAX_FRAME_CHARS, type SseFrame } from '../../../src/cli/remote/sse.ts';
import fc from '../../support/properties.ts';

/** The frames of `text`, which comes in the pieces between `cuts`. */
function parse(bytes: Uint8Array, cuts: readonly number[] = []): readonly SseFrame[] {
  const parser = createSseParser();
  const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return edges.flatMap((from, index) => parser.push(bytes.subarray(from, edges[index + 1])) ?? []);
}

const octets = (text: string): Uint8Array => Buffer.from(text);

const lineEnd = fc.constantFrom('\n', '\r', '\r\n');
const value = fc.string({ unit: 'binary', maxLength: 12 }).map((text) => text.replace(/[\r\n]/g, ''));
const frame = fc.record({
  id: fc.option(
    value.filter((text) => !text.includes('\0')),
    { nil: null },
  ),
  event: fc.option(
    value.filter((text) => text !== ''),
    { nil: null },
  ),
  data: fc.array(value, { minLength: 1, maxLength: 3 }),
  comment: fc.boolean(),
  end: lineEnd,
  space: fc.constantFrom('', ' '),
});

describe('server-sent events', () => {
  test('are what was sent, with every line end, wherever the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 4 }), fc.array(fc.nat(), { maxLength: 6 }), (frames, cuts) => {
        let text = '';
        let id = '';
        const expected: SseFrame[] = [];
        for (const one of frames) {
          const lines = [
            ...(one.comment ? [': still here'] : []),
            ...(one.id === null ? [] : [`id: ${one.id}`]),
            ...(one.event === null ? [] : [`event: ${one.event}`]),
            ...one.data.map((data) => (data.startsWith(' ') ? `data: ${data}` : `data:${one.space}${data}`)),
          ];
          text += `${lines.join(one.end)}${one.end}${one.end}`;
          id = one.id ?? id;
          expected.push({ id, event: one.event ?? 'message', data: one.data.join('\n') });
        }
        expect(parse(octets(text), cuts)).toEqual(expected.map((each) => ({ ...each })));
      }),
      { numRuns: 500 },
    );
  });

  test('of any octets are the same in one piece and octet by octet', () => {
    const alphabet = fc.constantFrom('d', 'data', ':', ' ', '\r', '\n', 'id', 'event', 'é', '\u{1f600}', '\0');
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 40 }), (parts) => {
        const bytes = octets(parts.join(''));
        expect(parse(bytes, [...bytes.keys()])).toEqual(parse(bytes));
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ['a mark at the very beginning', '\ufeffdata: x\n\n', [{ id: '', event: 'message', data: 'x' }]],
    [
      'an id that stays',
      'id: 7\ndata: x\n\ndata: y\n\n',
      [
        { id: '7', event: 'message', data: 'x' },
        { id: '7', event: 'message', data: 'y' },
      ],
    ],
    [
      'an id with NUL, which does not count',
      'id: 7\n\nid: 8\0\ndata: x\n\n',
      [{ id: '7', event: 'message', data: 'x' }],
    ],
    ['a field without a colon', 'data\n\n', [{ id: '', event: 'message', data: '' }]],
    ['comments, unknown fields and retry', ': x\nretry: 5\nfoo: y\n\n', []],
    ['a frame that breaks off', 'data: x\n', []],
  ])('know %s', (_name, text, expected) => {
    expect(parse(octets(text))).toEqual(expected);
  });

  test.each([
    ['one line without an end', ['data: ', 'x'.repeat(MAX_FRAME_CHARS)]],
    ['lines without an end', Array.from({ length: 50 }, () => `data: ${'x'.repeat(MAX_FRAME_CHARS / 40)}\n`)],
  ])('refuse %s', (_name, pieces) => {
    const parser = createSseParser();
    expect(pieces.map((piece) => parser.push(octets(piece))).at(-1)).toBeNull();
  });
});
