import { describe, expect, it } from 'vitest';
import { isPlainThanks, strikeEchoes } from '../../src/mail/echo.ts';
import fc from '../support/properties.ts';

const message = (body: string, subject = 'Use code 555123 to reset', headers = ''): Buffer =>
  Buffer.from(`From: a@example.com\r\nSubject: ${subject}\r\n${headers}\r\n${body}\r\n`);
const body = 'Hello Ann,\r\nfollow https://accounts.example.com/reset/AbC-987 soon.\r\nYour code is 98431276.';

describe('echoes in a reply', () => {
  it.each([
    ['rejected Subject: Use code 555123 to reset', 'rejected Subject: \u2026'],
    ['blocked: code 98431276', 'blocked: code \u2026'],
    ['bad link accounts:8080/reset/AbC-987', 'bad link \u2026'],
    ['bad link (reset/abc-987)', 'bad link \u2026'],
    ['refused "follow https://accounts.example.com/reset/AbC-987 soon"', 'refused \u2026'],
  ])('%j becomes %j', (reply, expected) => {
    expect(strikeEchoes(reply, message(body))).toBe(expected);
  });

  it.each([
    '5.1.1 user unknown',
    '2.0.0 Ok: queued as D89B8216035',
    'message size exceeds 10240000',
    'greylisted, come back in 300 seconds',
  ])('are not seen in %j', (reply) => {
    expect(strikeEchoes(reply, message(body))).toBe(reply);
  });

  it('are found in quoted-printable, also over a soft line break', () => {
    const content = message('see https://example.com/reset?token=3DSPLIT=\r\nCANARY77 now');
    expect(strikeEchoes('bad: https://example.com/reset?token=SPLITCANARY77', content)).toBe('bad: \u2026');
  });

  it('are found in base64', () => {
    const encoded = Buffer.from('The secret sign-in code of today is 44556677, use it.').toString('base64');
    expect(strikeEchoes('no: 44556677', message(encoded))).toBe('no: \u2026');
  });

  it('are found in an encoded subject', () => {
    const subject = `=?utf-8?B?${Buffer.from('Dein Code lautet 778899').toString('base64')}?=`;
    expect(strikeEchoes('no: dein Code lautet 778899', message('x', subject))).toBe('no: \u2026');
  });

  it('are not looked for in other headers: a Message-ID may be quoted', () => {
    const content = message('x', 'y', 'Message-ID: <123abc@example.com>\r\n');
    expect(strikeEchoes('queued 123abc@example.com', content)).toBe('queued 123abc@example.com');
  });

  it('never make a reply longer, whatever reply and message are', () => {
    fc.assert(
      fc.property(fc.string(), fc.uint8Array({ maxLength: 400 }), (reply, content) => {
        expect(strikeEchoes(reply, content).length).toBeLessThanOrEqual(reply.length);
      }),
      { numRuns: 300 },
    );
  });

  it('are looked for in time that grows with the message alone, whatever it is made of', () => {
    // A pattern that tries every run of edge characters takes minutes here; the test's own limit is seconds.
    for (const hostile of [`a${'!'.repeat(200_000)}a`, '('.repeat(200_000), `${'.'.repeat(900)}a `.repeat(250)]) {
      expect(strikeEchoes('refused: nothing of this is in it', message(hostile))).toContain('refused');
    }
  });
});

describe('plain thanks', () => {
  it.each(['2.0.0 Ok: queued as D89B8216035', 'OK id=1abcde-0002Fx-Gh', '2.0.0 OK 1767607201 a1-20020a05 - gsmtp'])(
    'are known: %j',
    (reply) => {
      expect(isPlainThanks(reply.replace(' - gsmtp', ''), message(body))).toBe(true);
    },
  );

  it('are not what repeats a code of the message', () => {
    expect(isPlainThanks('2.0.0 Ok 98431276', message(body))).toBe(false);
  });

  it('are not what says more', () => {
    expect(isPlainThanks('2.0.0 Ok, follow the link soon', message(body))).toBe(false);
  });
});
