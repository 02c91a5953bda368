import { expect, test } from 'vitest';
import { createRedactor } from '../../src/delivery/smtp/redact.ts';

const redact = createRedactor({ username: 'user', password: 's3cret!' });

test.each([
  ['the password', 'user with s3cret! unknown'],
  ['its base64 form', `${btoa('s3cret!')} is wrong`],
  ['the answer of AUTH PLAIN', `AUTH PLAIN ${btoa('\0user\0s3cret!')} failed`],
  ['the answer of AUTH PLAIN with an authorization identity', `no ${btoa('user\0user\0s3cret!')}`],
])('%s is taken out of a text', (_what, text) => {
  const cleaned = redact(text);
  expect(cleaned).toContain('[password]');
  expect(cleaned).not.toContain('s3cret');
  expect(cleaned).not.toContain(btoa('s3cret!').slice(0, 6));
});

test('without a password nothing is changed', () => {
  expect(createRedactor(null)('250 ok')).toBe('250 ok');
  expect(createRedactor({ username: 'user', password: '' })('250 ok')).toBe('250 ok');
});
