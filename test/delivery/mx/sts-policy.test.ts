/** The texts of MTA-STS. */
import { describe, expect, test } from 'vitest';
import { matchesMxPattern, parseStsPolicy, parseStsRecord } from '../../../src/delivery/mx/sts-policy.ts';
import fc from '../../support/properties.ts';

describe('the TXT record', () => {
  test.each([
    [['v=STSv1; id=20160831085700Z;'], '20160831085700Z'],
    [['v=STSv1;id=1'], '1'],
    [['v=STSv1; \t id=1 ; x=y;'], '1'],
    [['v=STSv1; x=id=2; id=1;'], '1'],
    [['v=spf1 -all', 'v=STSv1; id=1;', 'google-site-verification=x'], '1'],
    [[`v=STSv1; id=${'9'.repeat(32)}`], '9'.repeat(32)],
  ])('%j announces a policy', (texts, id) => {
    expect(parseStsRecord(texts)).toBe(id);
  });

  test.each([
    [[]],
    [['v=STSv1; id=1;', 'v=STSv1; id=1;']],
    [['v=STSv1']],
    [['v=STSv1;']],
    [['v=STSv1; id=;']],
    [['v=STSv1; id=a-b;']],
    [['v=STSv1; id=1; id=2;']],
    [[`v=STSv1; id=${'9'.repeat(33)}`]],
    [['V=STSv1; id=1;']],
    [['v=STSv12; id=1;']],
    [[' v=STSv1; id=1;']],
    [['v=STSv1; ID=1;']],
    [['id=1; v=STSv1;']],
  ])('%j announces none', (texts) => {
    expect(parseStsRecord(texts)).toBeNull();
  });

  test('of any text gives an id of the grammar, or none', () => {
    const piece = fc.constantFrom('v=STSv1;', 'id=', ';', ' ', 'a1', '\t', '=', 'é', '\0', 'id=x;');
    const text = fc.oneof(
      fc.string(),
      fc.array(piece).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(fc.array(text, { maxLength: 3 }), (texts) => {
        expect(parseStsRecord(texts) ?? 'none').toMatch(/^[A-Za-z0-9]{1,32}$/);
      }),
    );
  });

  test('gives back the id that it was written with', () => {
    const id = fc.stringMatching(/^[A-Za-z0-9]{1,32}$/);
    const space = fc.stringMatching(/^[ \t]{0,3}$/);
    fc.assert(
      fc.property(id, space, space, fc.boolean(), (value, before, after, ends) => {
        expect(parseStsRecord([`v=STSv1;${before}id=${value}${after}${ends ? ';' : ''}`])).toBe(value);
      }),
    );
  });
});

describe('a policy', () => {
  const lines = ['version: STSv1', 'mode: enforce', 'mx: mail.example.com', 'mx: *.example.net', 'max_age: 604800'];

  test.each(['\n', '\r\n'])('with lines that end in %j is read', (end) => {
    const expected = { mode: 'enforce', mx: ['mail.example.com', '*.example.net'], maxAgeSeconds: 604_800 };
    expect(parseStsPolicy(lines.join(end))).toEqual({ kind: 'policy', policy: expected });
    expect(parseStsPolicy(lines.join(end) + end)).toEqual({ kind: 'policy', policy: expected });
  });

  test('may have unknown fields, empty lines, spaces, and hosts in capitals', () => {
    const text = 'version:STSv1 \n\nx-new.field: a: b \nmode:\tnone\t\nmax_age: 0\nmx:  MX.Example.COM  \n';
    expect(parseStsPolicy(text)).toEqual({
      kind: 'policy',
      policy: { mode: 'none', mx: ['mx.example.com'], maxAgeSeconds: 0 },
    });
  });

  test('counts the first of a field that is there twice, and each mx once', () => {
    const text =
      'version: STSv1\nmode: enforce\nmode: none\nmax_age: 5\nmax_age: 6\nmx: a.test\nmx: a.test\nversion: x';
    expect(parseStsPolicy(text)).toEqual({
      kind: 'policy',
      policy: { mode: 'enforce', mx: ['a.test'], maxAgeSeconds: 5 },
    });
  });

  test('holds for a year at most', () => {
    const text = 'version: STSv1\nmode: none\nmax_age: 9999999999';
    expect(parseStsPolicy(text)).toMatchObject({ policy: { maxAgeSeconds: 31_557_600 } });
  });

  test('passes over an mx that is no pattern when another is left', () => {
    const text = 'version: STSv1\nmode: enforce\nmax_age: 5\nmx: a.*.test\nmx: *\nmx: 192.0.2.1\nmx: b.test';
    expect(parseStsPolicy(text)).toMatchObject({ policy: { mx: ['b.test'] } });
  });

  test.each([
    ['nothing', ''],
    ['a web page', '<html><body>404</body></html>'],
    ['no version', 'mode: none\nmax_age: 1'],
    ['another version', 'version: STSv2\nmode: none\nmax_age: 1'],
    ['an unknown mode', 'version: STSv1\nmode: Enforce\nmx: a.test\nmax_age: 1'],
    ['no mode', 'version: STSv1\nmx: a.test\nmax_age: 1'],
    ['no max_age', 'version: STSv1\nmode: none'],
    ['a negative max_age', 'version: STSv1\nmode: none\nmax_age: -1'],
    ['a max_age that is no number', 'version: STSv1\nmode: none\nmax_age: 1e3'],
    ['no mx', 'version: STSv1\nmode: enforce\nmax_age: 1'],
    ['no mx that names a host', 'version: STSv1\nmode: testing\nmax_age: 1\nmx: *.*.a.test'],
    ['a line without a colon', 'version: STSv1\nmode: none\nmax_age: 1\nhello'],
    ['bare CR', 'version: STSv1\rmode: none\rmax_age: 1'],
    ['too many mx', `version: STSv1\nmode: enforce\nmax_age: 1\n${'mx: a.test\n'.repeat(257)}`],
  ])('with %s is malformed', (_what, text) => {
    expect(parseStsPolicy(text).kind).toBe('malformed');
  });

  test('of any text is read without a throw, and within its bounds', () => {
    const piece = fc.constantFrom(
      'version: STSv1\n',
      'mode: enforce\n',
      'mx: a.test\n',
      'max_age: ',
      '9',
      '\r',
      '\n',
      ':',
      'é',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(piece, { maxLength: 30 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (given) => {
        const parsed = parseStsPolicy(given);
        if (parsed.kind === 'malformed') return;
        expect(parsed.policy.maxAgeSeconds).toBeLessThanOrEqual(31_557_600);
        expect(parsed.policy.mode === 'none' || parsed.policy.mx.length > 0).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('is read back as it was written, in any order of its fields', () => {
    const host = fc.stringMatching(/^(\*\.)?[a-z]([a-z0-9-]{0,8}[a-z0-9])?\.[a-z]{2,5}$/);
    const policy = fc.record({
      mode: fc.constantFrom('enforce', 'testing'),
      mx: fc.uniqueArray(host, { minLength: 1, maxLength: 5 }),
      maxAgeSeconds: fc.nat(31_557_600),
    });
    fc.assert(
      fc.property(policy, fc.constantFrom('\n', '\r\n'), fc.nat(10), (given, end, turn) => {
        const fields = [
          'version: STSv1',
          `mode: ${given.mode}`,
          ...given.mx.map((mx) => `mx: ${mx}`),
          `max_age: ${given.maxAgeSeconds}`,
        ];
        const at = turn % 2 === 0 ? 0 : fields.length - 1;
        const turned = [...fields.slice(at), ...fields.slice(0, at)];
        expect(parseStsPolicy(turned.join(end))).toEqual({ kind: 'policy', policy: given });
      }),
      { numRuns: 300 },
    );
  });
});

describe('an mx pattern', () => {
  test.each([
    ['mail.example.com', 'mail.example.com', true],
    ['*.example.com', 'mail.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', 'a.b.example.com', false],
    ['*.example.com', '.example.com', false],
    ['*.example.com', 'mail.example.com.evil.test', false],
    ['example.com', 'mail.example.com', false],
    ['mail.example.com', 'xmail.example.com', false],
  ])('%s and %s: %s', (pattern, host, expected) => {
    expect(matchesMxPattern([pattern], host)).toBe(expected);
  });
});
