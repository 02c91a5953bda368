import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { scanHeader, type HeaderField } from '../../src/mail/header.ts';
import { createBodyHasher, writeRelaxedField } from '../../src/signing/canonical.ts';
import fc from '../support/properties.ts';
import { bytes } from './fixture.ts';

const noYield = (): Promise<void> => Promise.resolve();

function hashOf(canonical: string): string {
  return createHash('sha256').update(canonical, 'latin1').digest('base64');
}

function relaxedField(message: Uint8Array, field: HeaderField): string {
  const target = Buffer.alloc(field.end - field.start);
  return target.toString('latin1', 0, writeRelaxedField(message, field, target, 0));
}

/** RFC 6376, section 3.4.4, word for word. */
function relaxedBody(body: string): string {
  const reduced = body
    .split('\r\n')
    .map((line) => line.replace(/[ \t]+$/, '').replace(/[ \t]+/g, ' '))
    .join('\r\n');
  const text = reduced.replace(/(?:\r\n)*$/, '');
  return text === '' ? '' : `${text}\r\n`;
}

describe('the example of RFC 6376, section 3.4.5', () => {
  test('the header fields come out as "a:X" and "b:Y Z"', () => {
    const message = bytes('A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n');
    // Written out: the scanner refuses the space in front of the colon.
    const a: HeaderField = { key: 'a', start: 0, valueStart: 2, end: 6 };
    const b: HeaderField = { key: 'b', start: 6, valueStart: 9, end: 19 };
    expect(relaxedField(message, a)).toBe('a:X\r\n');
    expect(relaxedField(message, b)).toBe('b:Y Z\r\n');
  });

  test('the body comes out as " C" and "D E"', async () => {
    const hash = createBodyHasher(noYield);
    expect(await hash(bytes(' C \r\nD \t E\r\n\r\n\r\n'), 0)).toBe(hashOf(' C\r\nD E\r\n'));
  });
});

describe('the body', () => {
  test('that is empty hashes as nothing (section 3.4.4)', async () => {
    const hash = createBodyHasher(noYield);
    expect(await hash(bytes(''), 0)).toBe('47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=');
    expect(await hash(bytes('\r\n \t\r\n\r\n'), 0)).toBe('47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=');
  });

  test('without a CRLF at its end gets one', async () => {
    const hash = createBodyHasher(noYield);
    expect(await hash(bytes('a'), 0)).toBe(hashOf('a\r\n'));
    expect(await hash(bytes('a\r\n '), 0)).toBe(hashOf('a\r\n'));
  });

  test('keeps bare CR and bare LF as text', async () => {
    const hash = createBodyHasher(noYield);
    expect(await hash(bytes('a\rb\nc\r'), 0)).toBe(hashOf('a\rb\nc\r\r\n'));
  });

  test('is taken from where it starts', async () => {
    const hash = createBodyHasher(noYield);
    expect(await hash(bytes('From: x\r\n\r\nHi\r\n'), 11)).toBe(hashOf('Hi\r\n'));
  });

  test('gives up its turn between pieces, and two bodies at a time do not mix', async () => {
    let turns = 0;
    const hash = createBodyHasher(() => {
      turns++;
      return Promise.resolve();
    }, 16);
    const [one, two] = await Promise.all([hash(bytes('a '.repeat(100)), 0), hash(bytes('b\t'.repeat(100)), 0)]);
    expect(one).toBe(hashOf(relaxedBody('a '.repeat(100))));
    expect(two).toBe(hashOf(relaxedBody('b\t'.repeat(100))));
    expect(turns).toBe(2 * (Math.ceil(200 / 16) - 1));
  });

  test('in pieces of any size is what the RFC says', async () => {
    const part = fc.constantFrom(
      '\r\n',
      '\r\n\r\n\r\n\r\n\r\n\r\n',
      ' ',
      '\t',
      '   \t',
      'a',
      'bc',
      '\r',
      '\n',
      '\xa0',
      '\f',
      '\0',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { maxLength: 40 }),
        fc.integer({ min: 1, max: 12 }),
        async (parts, pieceOctets) => {
          const body = parts.join('');
          expect(await createBodyHasher(noYield, pieceOctets)(bytes(body), 0)).toBe(hashOf(relaxedBody(body)));
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('header fields', () => {
  test('of any value come out as the RFC says', () => {
    const part = fc.constantFrom(' ', '\t', '\r\n ', '\r\n\t', 'a', 'bc', ':', '\xa0', '\f', '\xff', '\r\n  \r\n ');
    fc.assert(
      fc.property(fc.stringMatching(/^[!-9;-~]{1,8}$/), fc.array(part, { maxLength: 12 }), (name, parts) => {
        const message = bytes(`${name}:${parts.join('')}\r\n\r\n`);
        const scan = scanHeader(message);
        const field = scan.kind === 'header' ? scan.fields[0] : undefined;
        if (field === undefined) throw new Error('not scanned');
        const value = parts
          .join('')
          .replaceAll('\r\n', '')
          .replace(/[ \t]+/g, ' ')
          .replace(/^ | $/g, '');
        expect(relaxedField(message, field)).toBe(`${name.toLowerCase()}:${value}\r\n`);
      }),
      { numRuns: 500 },
    );
  });
});
