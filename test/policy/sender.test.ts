import { describe, expect, it } from 'vitest';
import { checkEnvelopeSender, checkHeaderFrom, matchesSenderPattern } from '../../src/policy/sender.ts';
import { address } from '../support/address.ts';
import { testConfig, testCredential } from '../support/config.ts';

describe('sender patterns', () => {
  it.each([
    ['security@example.com', 'security@example.com', true],
    ['Security@Example.com', 'security@EXAMPLE.com', true],
    ['*@example.com', 'anyone@example.com', true],
    ['*@example.com', 'anyone@sub.example.com', false],
    ['*@*.example.com', 'anyone@sub.example.com', true],
    ['*@*.example.com', 'anyone@example.com', false],
    ['*@*.example.com', 'anyone@notexample.com', false],
    ['security@*.example.com', 'other@a.example.com', false],
    ['*', 'anyone@anywhere.example', true],
    ['*@bücher.example', 'a@xn--bcher-kva.example', false],
    ['*@xn--bcher-kva.example', 'a@bücher.example', true],
  ])('%s against %s: %s', (pattern, sender, expected) => {
    expect(matchesSenderPattern(pattern, address(sender))).toBe(expected);
  });
});

describe('envelope sender', () => {
  it('is free for a client without a credential', () => {
    expect(checkEnvelopeSender(null, address('a@elsewhere.example'))).toBeNull();
  });

  it('is refused with 550 5.7.1 when it matches none of the credential patterns', () => {
    const refusal = checkEnvelopeSender(testCredential({ from: ['*@example.com'] }), address('a@elsewhere.example'));
    expect(refusal).toMatchObject({ code: 550, enhanced: '5.7.1' });
    expect(refusal?.text).toContain('a@elsewhere.example');
  });

  it('may always be the null sender', () => {
    expect(checkEnvelopeSender(testCredential({ from: ['*@example.com'] }), '')).toBeNull();
  });
});

describe('From header', () => {
  it('of a domain that is not configured is refused', () => {
    const refusal = checkHeaderFrom(testConfig(), null, address('a@elsewhere.example'));
    expect(refusal).toMatchObject({ code: 550, enhanced: '5.7.1' });
    expect(refusal?.text).toContain('elsewhere.example');
  });

  it('of a domain that is not configured passes where unknown senders go unsigned', () => {
    expect(checkHeaderFrom(testConfig({ unknownSenders: 'unsigned' }), null, address('a@b.example'))).toBeNull();
  });

  it('outside the credential patterns is refused even for a configured domain', () => {
    const credential = testCredential({ from: ['security@example.com'] });
    expect(checkHeaderFrom(testConfig(), credential, address('ceo@example.com'))).toMatchObject({ enhanced: '5.7.1' });
  });

  it('with other letters than ASCII is shown without them in the reply', () => {
    const refusal = checkHeaderFrom(testConfig(), testCredential({ from: ['a@b.example'] }), address('ü@example.com'));
    expect(refusal?.text).toContain('<?@example.com>');
  });
});
