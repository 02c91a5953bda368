import { describe, expect, test } from 'vitest';
import type { DeliveryId } from '../../src/core/ids.ts';
import { parseDeliveryId } from '../../src/core/ids.ts';
import { matchAtFixedAddress, matchAtReturnPath } from '../../src/feedback/match.ts';
import { createReturnPaths } from '../../src/feedback/return-path.ts';
import { type MailReport, readReport } from '../../src/mail/report.ts';
import { complaint, eximBounce, exchangeBounce, OUT_OF_OFFICE, postfixBounce } from '../mail/bounces.ts';
import { address } from '../support/address.ts';

const delivery = (digit: string): DeliveryId => {
  const id = parseDeliveryId(`dlv_${digit.repeat(26)}`);
  if (id === null) throw new Error('bad id');
  return id;
};
const ONE = delivery('1');
const TWO = delivery('2');
const NOW = 1_767_607_200_000;
const paths = createReturnPaths(new Uint8Array(32).fill(3));
const times = { suppressForMs: 1000, now: NOW };

const report = (text: string): MailReport => {
  const found = readReport(Buffer.from(text));
  if (found === null) throw new Error('no report');
  return found;
};
const atReturnPath = (text: string) => matchAtReturnPath(readReport(Buffer.from(text)), ONE, times);

describe('at a return path', () => {
  test('a bounce for an unknown user is a late bounce that suppresses for a time', () => {
    expect(atReturnPath(postfixBounce())).toMatchObject({
      kind: 'matched',
      feedback: [
        {
          deliveryId: ONE,
          at: NOW,
          report: { kind: 'dsn', reporter: 'mx.example.net', status: '5.1.1' },
          kind: { type: 'bounced', bounce: { class: 'recipient' }, suppressUntil: NOW + 1000 },
        },
      ],
    });
  });

  test('a full mailbox suppresses nobody', () => {
    expect(atReturnPath(exchangeBounce())).toMatchObject({
      feedback: [{ kind: { type: 'bounced', bounce: { class: 'mailbox-full' }, suppressUntil: null } }],
    });
  });

  test('a bounce for one target of an alias suppresses nobody', () => {
    const relayed = '\r\n\r\nFinal-Recipient: rfc822; other@example.org\r\nAction: relayed\r\nStatus: 2.0.0\r\n';
    const alias = eximBounce().replace('550 No such mailbox: bob\r\n', `550 No such mailbox: bob${relayed}`);
    expect(atReturnPath(alias)).toMatchObject({
      feedback: [{ kind: { type: 'bounced', bounce: { class: 'recipient' }, suppressUntil: null } }],
    });
  });

  test('a delay is a delay', () => {
    expect(atReturnPath(eximBounce({ action: 'delayed' }))).toMatchObject({
      feedback: [{ kind: { type: 'delayed' } }],
    });
  });

  test.each(['delivered', 'relayed', 'expanded', 'nonsense'])('action %s is passed over', (action) => {
    expect(atReturnPath(eximBounce({ action })).kind).toBe('ignored');
  });

  test('an automatic reply is passed over', () => {
    expect(atReturnPath(OUT_OF_OFFICE).kind).toBe('ignored');
  });

  test('a complaint is one', () => {
    expect(atReturnPath(complaint())).toMatchObject({
      feedback: [{ deliveryId: ONE, kind: { type: 'complained', suppressUntil: NOW + 1000 } }],
    });
  });

  test('texts of the reporter are cleaned', () => {
    const dirty = eximBounce().replace('No such mailbox: bob', 'see https://x.example/reset?token=abc \u001b[31m');
    const match = atReturnPath(dirty);
    if (match.kind !== 'matched') throw new Error('not matched');
    expect(match.feedback[0]?.report.diagnostic).toBe('smtp; 550 see https://x.example/\u2026');
  });
});

describe('at a fixed address', () => {
  const known = [
    { id: ONE, recipient: address('bob@provider.example') },
    { id: TWO, recipient: address('eve@provider.example') },
  ];
  const match = (text: string, deliveries: typeof known = []) => {
    const feedback = { byMessageId: (id: string) => Promise.resolve(id === '<m1@app.example.com>' ? deliveries : []) };
    return matchAtFixedAddress(report(text), { ...times, feedback, paths });
  };

  test('a complaint is matched by the return path in the returned message', async () => {
    const returnPath = paths.make(TWO, 'bounces.example.com');
    expect(await match(complaint({ returnPath }))).toMatchObject({ feedback: [{ deliveryId: TWO }] });
  });

  test('a complaint is matched by Original-Mail-From', async () => {
    const fields = `Original-Mail-From: <${paths.make(TWO, 'bounces.example.com')}>\n`;
    expect(await match(complaint({ fields }))).toMatchObject({ feedback: [{ deliveryId: TWO }] });
  });

  test('a complaint is matched by Message-ID when the message had one recipient', async () => {
    expect(await match(complaint(), known.slice(0, 1))).toMatchObject({ feedback: [{ deliveryId: ONE }] });
  });

  test('a complaint that rests on a Message-ID alone suppresses nobody', async () => {
    expect(await match(complaint(), known.slice(0, 1))).toMatchObject({
      feedback: [{ kind: { type: 'complained', suppressUntil: null } }],
    });
  });

  test('a complaint that names somebody else than the one recipient is refused', async () => {
    const fields = 'Original-Rcpt-To: <mallory@provider.example>\n';
    expect((await match(complaint({ fields }), known.slice(0, 1))).kind).toBe('unmatched');
  });

  test('a complaint about a message with several recipients is matched by the one that it names', async () => {
    const fields = 'Original-Rcpt-To: <EVE@provider.example>\n';
    expect(await match(complaint({ fields }), known)).toMatchObject({ feedback: [{ deliveryId: TWO }] });
  });

  test('a complaint that does not say which recipient is refused', async () => {
    expect((await match(complaint(), known)).kind).toBe('unmatched');
  });

  test('a complaint about mail that is not ours is refused', async () => {
    expect((await match(complaint({ messageId: '<other@x.example>' }), known)).kind).toBe('unmatched');
  });

  test.each(['not-spam', 'auth-failure', 'other'])('feedback of type %s is passed over', async (type) => {
    expect((await match(complaint({ type }), known.slice(0, 1))).kind).toBe('ignored');
  });

  test('a bounce is refused', async () => {
    expect((await match(postfixBounce(), known.slice(0, 1))).kind).toBe('unmatched');
  });
});
