import { expect, test } from 'vitest';
import fc from '../support/properties.ts';
import { bench, CONTENT } from './fixture.ts';

const ODD_ADDRESSES = [
  "o'brien@example.net",
  'ann+reset=2026@example.net',
  'Ann.Mixed-CASE_99@EXAMPLE.Net',
  '#!$&*/?^`{|}~@example.net'.replace('!', ''),
  'a@xn--bcher-kva.example',
  'müller@example.net',
  '用户@例子.example',
  'пётр@пример.example',
];

test.each(ODD_ADDRESSES)('%s goes on the wire octet for octet, as recipient and as sender', async (address) => {
  const { hop, deliver } = await bench();
  expect((await deliver({ recipient: address, mailFrom: address, smtpUtf8: true })).kind).toBe('delivered');
  const sent = hop.lines.filter(({ line }) => /^(?:MAIL|RCPT)/.test(line)).map(({ line }) => line);
  expect(sent[0]).toMatch(/^MAIL FROM:</);
  expect(sent[0]?.slice('MAIL FROM:<'.length).startsWith(`${address}>`)).toBe(true);
  expect(sent[1]).toBe(`RCPT TO:<${address}>`);
});

test('any address of legal characters goes on the wire as it is', async () => {
  const { hop, deliver } = await bench();
  const local = fc.stringMatching(/^[A-Za-z0-9#$&'*+/=?^_`{|}~-]{1,20}$/);
  await fc.assert(
    fc.asyncProperty(local, async (name) => {
      await deliver({ recipient: `${name}@Example.net` });
      expect(hop.messages.at(-1)?.recipients).toEqual([{ address: `${name}@Example.net`, parameters: '' }]);
    }),
    { numRuns: 50 },
  );
});

test('the null sender goes out as <>', async () => {
  const { hop, deliver } = await bench();
  await deliver({ mailFrom: '' });
  expect(hop.messages[0]?.mailFrom).toBe('');
});

test('a message has one recipient', async () => {
  const { hop, deliver } = await bench();
  await deliver();
  expect(hop.messages[0]?.recipients).toHaveLength(1);
});

// ------------------------------------------------------------- parameters

test('SIZE is declared where it is offered, in octets of the content', async () => {
  const { hop, deliver } = await bench({ extensions: ['SIZE 100000'] });
  await deliver();
  expect(hop.messages[0]?.mailParameters).toBe(`SIZE=${CONTENT.length}`);
});

test('a message of just the size that the server takes is sent', async () => {
  const { deliver } = await bench({ extensions: [`SIZE ${CONTENT.length}`] });
  expect((await deliver()).kind).toBe('delivered');
});

test('a message larger than the server takes is rejected without being sent', async () => {
  const { hop, deliver } = await bench({ extensions: [`SIZE ${CONTENT.length - 1}`] });
  expect(await deliver()).toMatchObject({ kind: 'rejected', cause: 'content', code: null, enhanced: '5.3.4' });
  expect(hop.reached('MAIL')).toBe(0);
});

test('8-bit content is declared where 8BITMIME is offered, and sent as it is where it is not', async () => {
  const content = Buffer.from('A: b\r\n\r\ngrün\r\n');
  const offered = await bench({ extensions: ['8BITMIME'] });
  await offered.deliver({ content, eightBit: true });
  expect(offered.hop.messages[0]?.mailParameters).toBe('BODY=8BITMIME');
  const absent = await bench({ extensions: [] });
  await absent.deliver({ content, eightBit: true });
  expect(absent.hop.messages[0]?.mailParameters).toBe('');
  expect(absent.hop.messages[0]?.content.equals(content)).toBe(true);
});

test('7-bit content is not declared as 8-bit', async () => {
  const { hop, deliver } = await bench({ extensions: ['8BITMIME'] });
  await deliver();
  expect(hop.messages[0]?.mailParameters).toBe('');
});

test('SMTPUTF8 is declared for an address beyond ASCII', async () => {
  const { hop, deliver } = await bench({ extensions: ['SMTPUTF8'] });
  await deliver({ recipient: 'müller@example.net', smtpUtf8: true });
  expect(hop.messages[0]?.mailParameters).toBe('SMTPUTF8');
});

test.each([[['PIPELINING', 'SMTPUTF8', 'SIZE']], [['SMTPUTF8', 'SIZE']]])(
  'SMTPUTF8 is declared, once, for a UTF-8 header with ASCII addresses (%s)',
  async (extensions) => {
    const { hop, deliver } = await bench({ extensions });
    const content = Buffer.from('Subject: Grüße\r\n\r\nbody\r\n');
    const over = { content, eightBit: true, smtpUtf8: true };
    expect((await deliver(over)).kind).toBe('delivered');
    expect((await deliver()).kind).toBe('delivered');
    expect(hop.messages.map((message) => message.mailParameters)).toEqual([
      `SIZE=${content.length} SMTPUTF8`,
      `SIZE=${CONTENT.length}`,
    ]);
  },
);

test('SMTPUTF8 is not declared for a message that only its client wished to be so', async () => {
  const { hop, deliver } = await bench({ extensions: ['SMTPUTF8'] });
  await deliver({ smtpUtf8: true });
  await deliver({ smtpUtf8: true, eightBit: true, content: 'A: b\r\n\r\ngrün\r\n' });
  expect(hop.messages.map((message) => message.mailParameters)).toEqual(['', '']);
});

test('an address beyond ASCII is rejected, unsent, by a server without SMTPUTF8', async () => {
  const { hop, deliver } = await bench({ extensions: ['PIPELINING'] });
  expect(await deliver({ recipient: 'müller@example.net', smtpUtf8: true })).toMatchObject({
    kind: 'rejected',
    cause: 'content',
    enhanced: '5.6.7',
  });
  expect(hop.reached('MAIL')).toBe(0);
});

test('a connection on which nothing was sent is kept', async () => {
  const { hop, deliver } = await bench({ extensions: [] });
  await deliver({ recipient: 'müller@example.net', smtpUtf8: true });
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.connections()).toBe(1);
  expect(hop.reached('RSET')).toBe(0);
});

// ------------------------------------------------------------- DSN

test('DSN parameters are passed on where DSN is offered, in xtext, encoded once', async () => {
  const { hop, deliver } = await bench({ extensions: ['DSN'] });
  await deliver({
    dsn: { ret: 'HDRS', envid: 'id+1=a b' },
    recipientDsn: { notify: ['SUCCESS', 'FAILURE'], orcpt: 'rfc822;ann+x=y@example.net' },
  });
  expect(hop.messages[0]?.mailParameters).toBe('RET=HDRS ENVID=id+2B1+3Da+20b');
  expect(hop.messages[0]?.recipients[0]?.parameters).toBe(
    'NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;ann+2Bx+3Dy@example.net',
  );
});

test('NOTIFY=NEVER is passed on', async () => {
  const { hop, deliver } = await bench({ extensions: ['DSN'] });
  await deliver({ recipientDsn: { notify: ['NEVER'], orcpt: null } });
  expect(hop.messages[0]?.recipients[0]?.parameters).toBe('NOTIFY=NEVER');
});

test('the outcome says that a wish for reports was passed on', async () => {
  const { deliver } = await bench({ extensions: ['DSN'] });
  const outcome = await deliver({ recipientDsn: { notify: ['SUCCESS'], orcpt: null } });
  expect(outcome.dsnPassedOn).toBe(true);
});

test('the outcome does not say so where DSN is not offered', async () => {
  const { deliver } = await bench({ extensions: [] });
  const outcome = await deliver({ recipientDsn: { notify: ['SUCCESS'], orcpt: null } });
  expect(outcome.dsnPassedOn).toBeUndefined();
});

test('DSN parameters are left out where DSN is not offered', async () => {
  const { hop, deliver } = await bench({ extensions: [] });
  await deliver({
    dsn: { ret: 'FULL', envid: 'x' },
    recipientDsn: { notify: ['DELAY'], orcpt: 'rfc822;ann@example.net' },
  });
  expect(hop.messages[0]?.mailParameters).toBe('');
  expect(hop.messages[0]?.recipients[0]?.parameters).toBe('');
});
