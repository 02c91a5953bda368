import { describe, expect, it } from 'vitest';
import { bugText } from '../../src/core/bug-text.ts';
import { RelayError } from '../../src/core/errors.ts';
import fc from '../support/properties.ts';

const SECRET = 'https://accounts.example.com/reset?token=s3cret';

function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (thrown) {
    return thrown;
  }
  throw new Error('it did not throw');
}

describe('what is told of a bug', () => {
  it('has its name and the places in the program, and a message that the language made', () => {
    const nothing: { readonly length: number } | undefined = JSON.parse('[]')[0];
    const text = bugText(caught(() => (nothing as { length: number }).length));
    expect(text).toMatch(
      /^TypeError: Cannot read properties of undefined \(reading 'length'\) at .*bug-text\.test\.ts:\d+:\d+/,
    );
    expect(text).not.toContain('\n');
  });

  it.each([
    ['a message that quotes', () => caught(() => JSON.parse(SECRET))],
    ['an address that cannot be read', () => caught(() => new URL(`${SECRET}:x:y`.replace('https', 'https://[')))],
    ['a message of ours', () => new Error(`unexpected value ${SECRET}`)],
    [
      'a message that looks like places',
      () => new Error(`x\n    at ${SECRET} (file:///x/s3cret:1:1)\n    at s3cret (/s3cret:1:1)`),
    ],
    ['a changed message', () => Object.assign(new Error('x'), { message: SECRET })],
    ['a stack of its own', () => Object.assign(new Error('x'), { stack: `Error: x\n${SECRET}\n    at ${SECRET}` })],
    ['a name', () => Object.assign(new Error('x'), { name: SECRET })],
    ['a code', () => Object.assign(new Error('x'), { code: SECRET })],
    ['a wrong argument', () => caught(() => Buffer.from(Number(1) as unknown as string, SECRET as 'utf8'))],
    ['no error', () => SECRET],
    ['an object', () => ({ message: SECRET })],
  ])('has nothing of mail: %s', (_what, thrown) => {
    expect(bugText(thrown())).not.toMatch(/s3cret|accounts/);
  });

  it('keeps what the system and the operator’s own errors say', () => {
    const system = Object.assign(new Error("ENOSPC: no space left on device, write '/data/x'"), {
      code: 'ENOSPC',
      syscall: 'write',
    });
    expect(bugText(system)).toContain('no space left on device');
    expect(bugText(new RelayError('the disk\nis full', { code: 'store-full', op: 'x' }))).toBe('the disk is full');
  });

  it('never has a word of the message, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.boolean(), (noise, cut) => {
        const error = new Error(`${noise}SECRETWORD${noise}`);
        if (cut) error.message = noise;
        expect(bugText(error)).not.toContain('SECRETWORD');
      }),
    );
  });
});
