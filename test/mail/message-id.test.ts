import { describe, expect, test } from 'vitest';
import { parseMessageId } from '../../src/core/ids.ts';
import { scanHeader } from '../../src/mail/header.ts';
import { generateMessageId, readMessageId } from '../../src/mail/message-id.ts';

function read(field: string): ReturnType<typeof readMessageId> {
  const bytes = Buffer.from(`From: a@example.com\r\n${field}\r\n`);
  const scan = scanHeader(bytes);
  if (scan.kind === 'malformed') throw new Error(scan.reason);
  return readMessageId({ bytes, fields: scan.fields });
}

describe('reading', () => {
  test.each([
    ['Message-ID: <1.abc@example.com>\r\n', '<1.abc@example.com>'],
    ['MESSAGE-ID:<x>\r\n', '<x>'],
    ['Message-Id:\r\n <folded@example.com>\r\n', '<folded@example.com>'],
    ['Message-ID: 1.abc@example.com\r\n', '1.abc@example.com'],
  ])('%j gives %s', (field, value) => {
    expect(read(field)).toEqual({ kind: 'message-id', value });
  });

  test('a message without one is told apart from one with a bad one', () => {
    expect(read('')).toEqual({ kind: 'absent' });
  });

  test.each([
    '',
    ' ',
    '<>',
    '<a b@example.com>',
    '<a><b>',
    '<a',
    'a>',
    '<a\u001b[31m>',
    '<a\u200b>',
    `<${'a'.repeat(899)}>`,
  ])('%j is malformed', (value) => {
    expect(read(`Message-ID: ${value}\r\n`).kind).toBe('malformed');
  });
});

test('a new one is made of the message id and the domain, and reads back', () => {
  const id = parseMessageId('msg_01jgzkp8r0abcdefghjkmnpqrs');
  if (id === null) throw new Error('not an id');
  const value = generateMessageId(id, 'relay.example.com');
  expect(value).toBe('<msg_01jgzkp8r0abcdefghjkmnpqrs@relay.example.com>');
  expect(read(`Message-ID: ${value}\r\n`)).toEqual({ kind: 'message-id', value });
});
