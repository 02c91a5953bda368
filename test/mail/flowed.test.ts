import { describe, expect, test } from 'vitest';
import { unflow } from '../../src/mail/flowed.ts';
import { readLinks } from '../../src/mail/links.ts';
import { readParts } from '../../src/mail/parts.ts';

const hostsOf = (type: string, text: string): readonly (string | null)[] =>
  readLinks(readParts(Buffer.from(`Content-Type: ${type}\r\n\r\n${text}`)).texts).links.map(
    ({ target }) => target.host,
  );

describe('flowed text', () => {
  test.each([
    ['one \r\ntwo\r\nthree', 'one two\nthree', 'onetwo\nthree'],
    ['> one \r\n> two\r\n>> three \r\n> four', 'one two\nthree \nfour', 'onetwo\nthree\nfour'],
    [' From me \n  there', 'From me  there', 'From me there'],
    ['so long \r\n-- \r\nAnn', 'so long \n-- \nAnn', 'so long\n-- \nAnn'],
    ['', '', ''],
    ['ends in \r\n', 'ends in ', 'ends in'],
  ])('%j is %j, and without the spaces %j', (text, kept, deleted) => {
    expect(unflow(text, 'keep')).toBe(kept);
    expect(unflow(text, 'delete')).toBe(deleted);
  });

  test('a link that is cut into lines is the one that readers put together, and the one that others see', () => {
    const text = 'Go to https://accounts.exa \r\nmple.net/reset\r\n';
    expect(hostsOf('text/plain; format=flowed; delsp=yes', text)).toEqual([
      'accounts.example.net',
      'accounts.exa',
      'mple.net',
    ]);
    expect(hostsOf('text/plain; format="Flowed"; DelSp=Yes', text)).toContain('accounts.example.net');
    expect(hostsOf('text/plain; format=flowed', text)).not.toContain('accounts.example.net');
    expect(hostsOf('text/plain; delsp=yes', text)).not.toContain('accounts.example.net');
  });

  test('a link that is cut behind its host is one link', () => {
    const text = 'https://accounts.example.net/reset?token= \r\nabc\r\n';
    expect(hostsOf('text/plain; format=flowed; delsp=yes', text)).toEqual(['accounts.example.net']);
  });
});
