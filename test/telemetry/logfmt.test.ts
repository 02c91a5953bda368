import { expect, test } from 'vitest';
import { logfmtOf } from '../../src/telemetry/logfmt.ts';
import fc from '../support/properties.ts';

test('values that a reader could take for two stand in quotes, the others plain', () => {
  expect(
    logfmtOf({
      level: 'info',
      event: 'message.delivered',
      recipient: 'ann@example.net',
      code: 250,
      response: 'Ok "queued" as=1',
      next_hop: 'mx.example.net[192.0.2.1]:25',
      flow: '',
    }),
  ).toBe(
    'level=info event=message.delivered recipient=ann@example.net code=250 response="Ok \\"queued\\" as=1" next_hop=mx.example.net[192.0.2.1]:25 flow=""',
  );
});

test('objects become keys with dots, lists one value, and nothing is nothing', () => {
  expect(
    logfmtOf({ timings_ms: { connect: 12, tls: 3 }, recipients: ['a@b.c', 'd@e.f'], tag: null, rule: undefined }),
  ).toBe('timings_ms.connect=12 timings_ms.tls=3 recipients=a@b.c,d@e.f');
});

test('every value can be read back, and none holds a control character', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[a-z_]{1,12}$/), fc.string({ unit: 'binary' })), (fields) => {
      const line = logfmtOf(fields);
      expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/);
      const read = [...line.matchAll(/([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "]*)(?: |$)/g)].map(
        ([, key = '', value = '']) => [key, value.startsWith('"') ? JSON.parse(value) : value],
      );
      expect(read).toEqual(
        Object.entries(fields).map(([key, value]) => [
          key,
          String(value).toWellFormed() === value ? value : JSON.parse(JSON.stringify(value)),
        ]),
      );
    }),
  );
});
