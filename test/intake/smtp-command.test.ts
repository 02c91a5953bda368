import { describe, expect, test } from 'vitest';
import { parseMailCommand, parseRcptCommand } from '../../src/intake/smtp-command.ts';
import fc from '../support/properties.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const mail = (text: string) => parseMailCommand(bytes(text));
const rcpt = (text: string, smtpUtf8 = false) => parseRcptCommand(bytes(text), smtpUtf8);
const codes = (answer: ReturnType<typeof mail | typeof rcpt>): string =>
  answer.kind === 'refused' ? `${answer.code} ${answer.enhanced}` : answer.kind;

describe('parseMailCommand', () => {
  test('keeps the address byte for byte', () => {
    expect(mail('MAIL FROM:<Ann.O+x=y@Example.COM>')).toMatchObject({
      kind: 'mail',
      mailFrom: 'Ann.O+x=y@Example.COM',
    });
  });

  test.each([
    'mail from:<a@b.example>',
    'Mail From: <a@b.example>',
    'MAIL FROM:<a@b.example> ',
    'MAIL FROM:<a@b.example>  SIZE=1',
  ])('accepts %j, as real clients write it', (line) => {
    expect(mail(line)).toMatchObject({ kind: 'mail', mailFrom: 'a@b.example' });
  });

  test('takes the null sender', () => {
    expect(mail('MAIL FROM:<>')).toMatchObject({ kind: 'mail', mailFrom: '' });
  });

  test('reads every parameter it knows', () => {
    const line = 'MAIL FROM:<a@b.example> size=1024 body=8bitmime SMTPUTF8 ret=hdrs ENVID=QQ+2B1+20x AUTH=<> BY=900;R';
    expect(mail(line)).toEqual({
      kind: 'mail',
      mailFrom: 'a@b.example',
      size: 1024,
      smtpUtf8: true,
      dsn: { ret: 'HDRS', envid: 'QQ+1 x' },
      deliverBySeconds: 900,
    });
  });

  test.each([
    ['MAIL FROM:a@b.example', '501 5.1.7'],
    ['MAIL FROM:<a@b.example', '501 5.1.7'],
    ['MAIL FROM:<a@b.example>x', '501 5.1.7'],
    ['MAIL FROM:<a@b.example>\tSIZE=1', '501 5.1.7'],
    ['MAIL FROM:<a@b.example>\rRCPT TO:<x@y.example>', '501 5.1.7'],
    ['MAIL FROM:<a@b.example> <c@d.example>', '501 5.5.4'],
    ['MAIL FROM:  <a@b.example>', '501 5.1.7'],
    ['MAIL FROM <a@b.example>', '501 5.5.4'],
    ['MAIL TO:<a@b.example>', '501 5.5.4'],
    ['MAIL', '501 5.5.4'],
    ['MAIL FROM:<"a b"@c.example>', '501 5.1.7'],
    ['MAIL FROM:<"a>b"@c.example>', '501 5.1.7'],
    ['MAIL FROM:<@relay.example:a@b.example>', '501 5.1.7'],
    ['MAIL FROM:<a\0@b.example>', '501 5.1.7'],
    ['MAIL FROM:<a@b.example,c@d.example>', '501 5.1.7'],
  ])('refuses %j with %s', (line, expected) => {
    expect(codes(mail(line))).toBe(expected);
  });

  test.each([
    'SIZE',
    'SIZE=',
    'SIZE=-1',
    'SIZE=1x',
    `SIZE=${'1'.repeat(21)}`,
    'SIZE=1 SIZE=1',
    'size=1 SIZE=2',
    'BODY=BINARYMIME',
    'BODY',
    'SMTPUTF8=1',
    'RET=ALL',
    'RET',
    'ENVID=a+0D+0Ab',
    'ENVID=a+0',
    'ENVID=+C3+A9',
    `ENVID=${'x'.repeat(101)}`,
    'AUTH=a+zz',
    'AUTH=+00',
    'BY=0;R',
    'BY=-5;R',
    'BY=1.5;R',
    'BY=;N',
    'BY=10',
    'BY=10;X',
    'BY=1234567890;R',
    '=1',
    'X=a=b',
  ])('refuses the parameter %j with 501 5.5.4', (parameter) => {
    expect(codes(mail(`MAIL FROM:<a@b.example> ${parameter}`))).toBe('501 5.5.4');
  });

  test.each(['REQUIRETLS', 'XVERP', 'HOLDFOR=10', 'SIZES=1', '__proto__=1'])(
    'answers 555 or 501 to the unknown parameter %s',
    (parameter) => {
      expect(codes(mail(`MAIL FROM:<a@b.example> ${parameter}`))).toMatch(/^(555|501) 5\.5\.4$/);
    },
  );

  test.each([
    ['BY=1;R', 1],
    ['BY=+60;rt', 60],
    ['BY=999999999;R', 999_999_999],
  ])('reads %s as %d seconds', (parameter, seconds) => {
    expect(mail(`MAIL FROM:<a@b.example> ${parameter}`)).toMatchObject({ deliverBySeconds: seconds });
  });

  test.each(['BY=120;N', 'BY=0;N', 'BY=-30;NT'])(
    'takes %s for no deadline: the message goes on past it',
    (parameter) => {
      expect(mail(`MAIL FROM:<a@b.example> ${parameter}`)).toMatchObject({ kind: 'mail', deliverBySeconds: null });
    },
  );

  test('accepts an ENVID of 100 characters', () => {
    expect(mail(`MAIL FROM:<a@b.example> ENVID=${'x'.repeat(100)}`)).toMatchObject({ dsn: { envid: 'x'.repeat(100) } });
  });

  test('accepts a UTF-8 sender with SMTPUTF8 and refuses it without', () => {
    expect(mail('MAIL FROM:<jörg@bücher.example> SMTPUTF8')).toMatchObject({ mailFrom: 'jörg@bücher.example' });
    expect(codes(mail('MAIL FROM:<jörg@bücher.example>'))).toBe('553 5.6.7');
  });

  test('refuses octets that are not UTF-8', () => {
    for (const bad of [[0xff], [0xc3, 0x28], [0xc0, 0xaf], [0xed, 0xa0, 0x80]]) {
      const line = Buffer.concat([Buffer.from('MAIL FROM:<a'), Buffer.from(bad), Buffer.from('@b.example> SMTPUTF8')]);
      expect(codes(parseMailCommand(line))).toBe('501 5.1.7');
    }
  });
});

describe('parseRcptCommand', () => {
  test('keeps the address byte for byte and has no DSN wishes unless given', () => {
    expect(rcpt('RCPT TO:<Bob@Example.NET>')).toEqual({
      kind: 'rcpt',
      recipient: { address: 'Bob@Example.NET', dsn: null },
    });
  });

  test('reads NOTIFY and ORCPT', () => {
    expect(rcpt('rcpt to:<b@c.example> NOTIFY=success,DELAY ORCPT=rfc822;Bob+2B1@c.example')).toEqual({
      kind: 'rcpt',
      recipient: { address: 'b@c.example', dsn: { notify: ['SUCCESS', 'DELAY'], orcpt: 'rfc822;Bob+1@c.example' } },
    });
  });

  test.each([
    ['RCPT TO:<>', '501 5.1.3'],
    ['RCPT TO:<postmaster>', '501 5.1.3'],
    ['RCPT TO:<Postmaster>', '501 5.1.3'],
    ['RCPT FROM:<b@c.example>', '501 5.5.4'],
    ['RCPT TO:<b@c.example> SIZE=1', '555 5.5.4'],
    ['RCPT TO:<b@c.example> NOTIFY=NEVER,SUCCESS', '501 5.5.4'],
    ['RCPT TO:<b@c.example> NOTIFY=SUCCESS,SUCCESS', '501 5.5.4'],
    ['RCPT TO:<b@c.example> NOTIFY=SOMETIMES', '501 5.5.4'],
    ['RCPT TO:<b@c.example> NOTIFY', '501 5.5.4'],
    ['RCPT TO:<b@c.example> NOTIFY=NEVER NOTIFY=NEVER', '501 5.5.4'],
    ['RCPT TO:<b@c.example> ORCPT=b@c.example', '501 5.5.4'],
    ['RCPT TO:<b@c.example> ORCPT=rfc822;', '501 5.5.4'],
    ['RCPT TO:<b@c.example> ORCPT=rfc822;a+0Ab', '501 5.5.4'],
    [`RCPT TO:<b@c.example> ORCPT=rfc822;${'x'.repeat(494)}`, '501 5.5.4'],
    ['RCPT TO:<jörg@c.example>', '553 5.6.7'],
  ])('refuses %j with %s', (line, expected) => {
    expect(codes(rcpt(line))).toBe(expected);
  });

  test('accepts an ORCPT of 500 characters', () => {
    expect(codes(rcpt(`RCPT TO:<b@c.example> ORCPT=rfc822;${'x'.repeat(493)}`))).toBe('rcpt');
  });

  test.each([
    'user%victim.example@relay.example',
    'victim.example!user@relay.example',
    '@relay.example:user@victim.example',
    '@a.example,@b.example:user@victim.example',
    '"user@victim.example"@relay.example',
    'user@[192.0.2.1]',
    'user@[IPv6:::1]',
    'a,b@relay.example',
    'a(comment)@relay.example',
    'group:user@victim.example;',
    'user@victim.example@relay.example',
    'user@relay.example\r\nRCPT TO:<x@victim.example',
    'us er@relay.example',
  ])('refuses the relay form %j as a recipient with 501 5.1.3', (address) => {
    expect(codes(rcpt(`RCPT TO:<${address}>`, true))).toBe('501 5.1.3');
  });
});

describe('both', () => {
  const line = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc
      .tuple(
        fc.constantFrom('MAIL FROM:', 'RCPT TO:', 'mail from: ', 'RCPT TO: '),
        fc.string({ unit: 'binary', maxLength: 60 }),
      )
      .map(([head, tail]) => bytes(head + tail)),
    fc
      .tuple(
        fc.constantFrom('MAIL FROM:<a@b.example> ', 'RCPT TO:<a@b.example> '),
        fc.array(
          fc.tuple(
            fc.constantFrom('SIZE', 'BODY', 'SMTPUTF8', 'RET', 'ENVID', 'AUTH', 'BY', 'NOTIFY', 'ORCPT', 'X'),
            fc.string({ maxLength: 20 }),
          ),
          { maxLength: 4 },
        ),
      )
      .map(([head, parameters]) => bytes(head + parameters.map(([name, value]) => `${name}=${value}`).join(' '))),
  );

  test('answer anything with a value or a refusal that is safe to send: 5xx, printable, short', () => {
    fc.assert(
      fc.property(line, fc.boolean(), (input, smtpUtf8) => {
        for (const answer of [parseMailCommand(input), parseRcptCommand(input, smtpUtf8)]) {
          if (answer.kind !== 'refused') continue;
          expect(answer.code).toBeGreaterThanOrEqual(500);
          expect(answer.text).toMatch(/^[\x20-\x7e]{1,200}$/);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('accept only addresses that stand in the line as they come out', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 30 }), (text) => {
        const answer = rcpt(`RCPT TO:<${text}@example.net>`, true);
        if (answer.kind === 'rcpt') expect(answer.recipient.address).toBe(`${text}@example.net`);
      }),
      { numRuns: 500 },
    );
  });

  test('decode xtext to what was encoded', () => {
    const printable = fc.string({
      unit: fc.integer({ min: 0x20, max: 0x7e }).map((c) => String.fromCharCode(c)),
      minLength: 1,
      maxLength: 30,
    });
    fc.assert(
      fc.property(printable, (envid) => {
        const xtext = envid.replace(
          /[^!-*,-<>-~]/g,
          (c) => `+${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
        );
        expect(mail(`MAIL FROM:<a@b.example> ENVID=${xtext}`)).toMatchObject({ dsn: { envid } });
      }),
      { numRuns: 300 },
    );
  });
});
