/** What we sign is what others verify: the `standardwebhooks` package is the verifier. */
import { expect, test } from 'vitest';
import { Webhook } from 'standardwebhooks';
import { signatureHeaders } from '../../src/webhooks/signature.ts';
import fc from '../support/properties.ts';
import { secretText } from '../support/webhook-receiver.ts';

const secret = fc.uint8Array({ minLength: 24, maxLength: 64 });
const json = fc.json();
const id = fc.stringMatching(/^evt_[0-9a-z]{26}$/);

test('any body signed with any secret verifies, and not with another secret, body or id', () => {
  fc.assert(
    fc.property(secret, secret, id, json, (own, other, eventId, body) => {
      fc.pre(Buffer.compare(own, other) !== 0);
      const headers = { ...signatureHeaders([own], eventId, Date.now(), body) };
      expect(new Webhook(secretText(own)).verify(body, headers)).toEqual(JSON.parse(body));
      expect(() => new Webhook(secretText(other)).verify(body, headers)).toThrow('No matching signature');
      expect(() => new Webhook(secretText(own)).verify(`${body} `, headers)).toThrow('No matching signature');
      const stolen = { ...headers, 'webhook-id': `${eventId}x` };
      expect(() => new Webhook(secretText(own)).verify(body, stolen)).toThrow('No matching signature');
    }),
  );
});

test('during a rotation a receiver that knows either secret verifies', () => {
  fc.assert(
    fc.property(secret, secret, id, json, (fresh, old, eventId, body) => {
      const headers = { ...signatureHeaders([fresh, old], eventId, Date.now(), body) };
      expect(headers['webhook-signature'].split(' ')).toHaveLength(2);
      for (const known of [fresh, old]) new Webhook(secretText(known)).verify(body, headers);
    }),
  );
});

test('the headers are those of the specification, octet by octet', () => {
  // The example of Standard Webhooks 1.0.0.
  const known = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64');
  expect(signatureHeaders([known], 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330_987, '{"test": 2432232314}')).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
});
