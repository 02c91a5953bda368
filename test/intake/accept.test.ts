import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/types.ts';
import { RelayError } from '../../src/core/errors.ts';
import { createIds } from '../../src/core/ids.ts';
import type { Refusal } from '../../src/core/refusal.ts';
import { createIntake, type IntakeDeps } from '../../src/intake/accept.ts';
import type { Accepted, Intake, Submission } from '../../src/intake/submission.ts';
import type { Signer } from '../../src/signing/sign.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { MessageView } from '../../src/store/history.ts';
import type { Arrival, HeadStart, HealthStore, IntakeStore, Lease, NewMessage, Store } from '../../src/store/store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { address } from '../support/address.ts';
import { createManualClock } from '../support/clock.ts';
import { testConfig, testCredential, testMxRoute, testSender, testSmtpRoute, testTag } from '../support/config.ts';
import { until } from '../support/relay.ts';

const clock = createManualClock(Date.UTC(2026, 0, 5, 10));
const signer: Signer = {
  domains: new Set(['example.com']),
  sign: () =>
    Promise.resolve({
      header: Buffer.from('DKIM-Signature: v=1\r\n'),
      signatures: ['lp1._domainkey.example.com'],
      algorithms: ['rsa-sha256'],
    }),
};

describe('accepting a message', () => {
  let store: Store;
  let woken: string[];

  beforeEach(async () => {
    store = await openSqliteStore({ file: ':memory:', clock, dropContentWhenSettled: true, exclusive: false });
    woken = [];
  });

  afterEach(() => store.stop());

  interface Given {
    readonly config?: Config;
    readonly signer?: Signer;
    readonly intake?: IntakeStore;
    readonly health?: Pick<HealthStore, 'current'>;
    readonly headStart?: (arrival: Arrival) => HeadStart | null;
    readonly chooseRoute?: IntakeDeps['chooseRoute'];
    readonly interrupt?: IntakeDeps['interrupt'];
  }

  const intake = (given: Given = {}): Intake =>
    createIntake({
      settings: () => ({ config: given.config ?? testConfig(), signer: given.signer ?? signer }),
      store: given.intake ?? store.intake,
      health: given.health ?? store.health,
      ids: createIds(clock),
      clock,
      log: silentLog,
      contents: { put() {}, forget() {} },
      headStart: given.headStart ?? (() => null),
      chooseRoute: given.chooseRoute ?? ((via) => via[0] ?? ''),
      returnPath: (delivery, domain) => address(`${delivery}@${domain}`),
      interrupt: given.interrupt ?? (() => {}),
      onAccepted: ({ deliveries }) => woken.push(...deliveries.map((delivery) => delivery.route)),
      onRejected() {},
      onDuplicate() {},
      onAudited() {},
    });

  const submission = (content: string, recipients: readonly string[] = ['ann@example.net']): Submission => ({
    submitter: { credential: null, address: '192.0.2.7', helo: 'app.example.com', tls: 'TLSv1.3', protocol: 'ESMTPS' },
    envelope: {
      mailFrom: address('app@example.com'),
      recipients: recipients.map((text) => ({ address: address(text), dsn: null })),
      dsn: { ret: null, envid: null },
      smtpUtf8: false,
      deliverBySeconds: null,
    },
    content: Buffer.from(content, 'latin1'),
    paysReport: null,
  });

  /** Accepts `content`, and returns what was stored. */
  const stored = async (content: string, given?: Given): Promise<{ view: MessageView; text: string }> => {
    const result = await intake(given).accept(submission(content));
    if (result.kind === 'refused') throw new Error(`${result.code} ${result.text}`);
    const view = await store.history.message(result.id);
    const bytes = await store.history.content(result.id);
    if (view === null || bytes === null) throw new Error('nothing stored');
    return { view, text: Buffer.from(bytes).toString('latin1') };
  };

  const FULL = [
    'From: Example <app@example.com>',
    'To: ann@example.net',
    'Subject:  two  spaces\t and a tab',
    'Message-ID: <own@example.com>',
    'Date: Mon, 5 Jan 2026 09:59:00 +0000',
    'X-Other: kept\r\n\tand its fold',
    '',
    'body with trailing space \r\n\r\n.leading dot\r\n\xe4\xff\r\n',
  ].join('\r\n');

  it('puts signature and Received in front and leaves every other octet as it came', async () => {
    const { text } = await stored(FULL);
    expect(text.startsWith('DKIM-Signature: v=1\r\nReceived: from app.example.com ([192.0.2.7])\r\n')).toBe(true);
    expect(text.endsWith(FULL)).toBe(true);
  });

  it('removes relay headers and Bcc, and nothing else', async () => {
    const { text } = await stored(
      `Bcc: secret@example.net\r\nResent-Bcc: other@example.net\r\nX-LEADPUSH-tag: otp\r\nX-Leadpush-Unknown:\r\n folded\r\n${FULL}`,
    );
    expect(text.endsWith(FULL)).toBe(true);
    expect(text).not.toMatch(/bcc|leadpush-/i);
  });

  it('takes out accepted aliases before signing, and passes on those that are not accepted', async () => {
    const credential = testCredential({ headers: { allow: 'all', aliases: new Set(['postmark'] as const) } });
    const given = submission(`X-PM-Tag: otp\r\nX-Mailgun-Tag: news\r\n${FULL}`);
    const result = await intake().accept({ ...given, submitter: { ...given.submitter, credential } });
    if (result.kind !== 'accepted') throw new Error('not accepted');
    const text = Buffer.from((await store.history.content(result.id)) ?? []).toString('latin1');
    expect(text).not.toContain('X-PM-Tag');
    expect(text).toContain('X-Mailgun-Tag: news');
  });

  it('replaces From and adds Reply-To where the tag says so, and touches no other octet', async () => {
    const from = {
      address: address('security@example.com'),
      name: 'Jörg',
      mode: 'rewrite',
      keepReplyTo: true,
    } as const;
    const given = { config: testConfig({ tags: new Map([['otp', testTag({ name: 'otp', from })]]) }) };
    const { text, view } = await stored(`X-Leadpush-Tag: otp\r\n${FULL}`, given);
    expect(view.headerFrom).toBe('security@example.com');
    expect(text.match(/^From:.*$/gm)).toEqual(['From: =?UTF-8?B?SsO2cmc=?= <security@example.com>']);
    expect(text).toMatch(/^Reply-To: .*app@example\.com/m);
    const rest = FULL.split('\r\n')
      .filter((line) => !line.startsWith('From:'))
      .join('\r\n');
    expect(text.endsWith(rest)).toBe(true);
  });

  it('refuses a breach of the link policy with the reason, and keeps the audit of what it takes', async () => {
    const links = { hosts: ['accounts.example.com'], schemes: ['https'], action: 'reject' } as const;
    const given = { config: testConfig({ tags: new Map([['otp', testTag({ name: 'otp', links })]]) }) };
    const mail = (link: string): string => `From: app@example.com\r\nX-Leadpush-Tag: otp\r\n\r\nGo to ${link}\r\n`;
    expect(await intake(given).accept(submission(mail('https://evil.example/secret-path')))).toMatchObject({
      kind: 'refused',
      code: 550,
      enhanced: '5.7.0',
      text: expect.not.stringContaining('secret-path'),
    });
    const { view } = await stored(mail('https://accounts.example.com/secret-path'), given);
    expect(view.links).toMatchObject({ verdict: 'pass', links: [{ host: 'accounts.example.com' }] });
    expect(JSON.stringify(view)).not.toContain('secret-path');
  });

  it('refuses an idempotency key that comes again with other content, and names the first message', async () => {
    const mail = (body: string): string => `From: app@example.com\r\nX-Leadpush-Idempotency-Key: k\r\n\r\n${body}\r\n`;
    const first = await intake().accept(submission(mail('one')));
    const id = 'id' in first ? first.id : 'none';
    expect(await intake().accept(submission(mail('one')))).toEqual({ kind: 'duplicate', id });
    expect(await intake().accept(submission(mail('two')))).toMatchObject({
      kind: 'refused',
      code: 550,
      enhanced: '5.6.0',
      text: expect.stringContaining(id),
    });
  });

  it('adds Message-ID and Date where they are missing', async () => {
    const { text, view } = await stored('From: app@example.com\r\n\r\nx\r\n');
    expect(text).toContain('Date: Mon, 05 Jan 2026 10:00:00 +0000\r\n');
    expect(text).toContain(`Message-ID: ${view.headerMessageId}\r\n`);
    expect(view.headerMessageId).toMatch(/^<.+@relay\.example\.com>$/);
  });

  it('adds Auto-Submitted to recovery mail', async () => {
    const { text } = await stored(`X-Leadpush-Tag: password-reset\r\n${FULL}`);
    expect(text).toContain('Auto-Submitted: auto-generated\r\n');
  });

  it('adds no Auto-Submitted to other mail', async () => {
    expect((await stored(`X-Leadpush-Tag: newsletter\r\n${FULL}`)).text).not.toContain('Auto-Submitted');
  });

  it('leaves an Auto-Submitted alone that is there', async () => {
    const { text } = await stored(`Auto-Submitted: auto-replied\r\nX-Leadpush-Tag: password-reset\r\n${FULL}`);
    expect(text.match(/Auto-Submitted/g)).toHaveLength(1);
  });

  it('sends unsigned what has no key, where unknown senders may', async () => {
    const given = { config: testConfig({ unknownSenders: 'unsigned' }) };
    const { text, view } = await stored(FULL.replace('app@example.com', 'app@other.example'), given);
    expect(text).not.toContain('DKIM-Signature');
    expect(view.signatures).toEqual([]);
  });

  it('wakes the route of every recipient', async () => {
    await intake().accept(submission(FULL, ['ann@example.net', 'bob@example.net']));
    expect(woken).toEqual(['sandbox', 'sandbox']);
  });

  it('keeps what the app wished', async () => {
    const wishes =
      'X-Leadpush-Tag: otp\r\nX-Leadpush-Flow: f-1\r\nX-Leadpush-Collapse-Key: c\r\nX-Leadpush-Metadata-User: 42\r\n';
    const { view } = await stored(wishes + FULL);
    expect(view).toMatchObject({
      tag: 'otp',
      tagSource: 'header',
      flow: 'f-1',
      collapseKey: 'c',
      metadata: { user: '42' },
    });
  });

  const refusal = async (content: string, given?: Given): Promise<Accepted | Refusal> =>
    intake(given).accept(submission(content));

  it('answers 451 when signing fails, and stores nothing', async () => {
    const broken: Signer = {
      ...signer,
      sign: () => Promise.reject(new RelayError('no entropy', { code: 'signing', op: 'signing.sign' })),
    };
    expect(await refusal(FULL, { signer: broken })).toMatchObject({ kind: 'refused', code: 451, enhanced: '4.3.0' });
    expect(await store.history.messages({ limit: 10 })).toEqual([]);
  });

  it.each([
    ['store-io', 451],
    ['store-full', 452],
  ] as const)('answers %s with %i', async (code, reply) => {
    const failing: IntakeStore = {
      ...store.intake,
      accept: () => Promise.reject(new RelayError('trouble', { code, op: 'store.accept' })),
    };
    expect(await refusal(FULL, { intake: failing })).toMatchObject({ kind: 'refused', code: reply });
    expect(woken).toEqual([]);
  });

  it('does not hide a bug of the store behind a reply', async () => {
    const failing: IntakeStore = { ...store.intake, accept: () => Promise.reject(new TypeError('bug')) };
    await expect(refusal(FULL, { intake: failing })).rejects.toThrow('bug');
  });

  it('is not ready while the store takes nothing, and says 452 for a full disk', () => {
    const health = { current: () => ({ accepting: false, kind: 'full', reason: 'disk' }) as const };
    expect(intake({ health }).ready()).toMatchObject({ code: 452, enhanced: '4.3.1' });
  });

  it('keeps a refusal as an event of each recipient, with the reason', async () => {
    const result = await intake().accept(
      submission(`X-Leadpush-Priority: urgent\r\n${FULL}`, ['ann@example.net', 'bob@example.net']),
    );
    expect(result).toMatchObject({ kind: 'refused', code: 550 });
    const events = await store.history.events({ limit: 10 });
    expect(events.map((event) => [event.type, event.data.delivery?.recipient])).toEqual([
      ['message.rejected', 'ann@example.net'],
      ['message.rejected', 'bob@example.net'],
    ]);
    expect(events[0]?.data.reason).toContain('X-Leadpush-Priority');
  });

  it('names the Message-ID of a message that a rule refused', async () => {
    const rules = [{ name: 'no', when: {}, action: { kind: 'reject', reason: 'not here' } }] as const;
    await refusal(FULL, { config: testConfig({ rules }) });
    const [event] = await store.history.events({ limit: 1 });
    expect(event?.data.message?.message_id).toBe('<own@example.com>');
  });

  describe('with a head start', () => {
    let begun: Lease[];
    let canceled: number;
    const headStart = (): HeadStart => ({
      leaseMs: 1000,
      begin: (lease) => void begun.push(lease),
      cancel: () => void canceled++,
    });

    beforeEach(() => {
      begun = [];
      canceled = 0;
    });

    it('commits the delivery under its lease and begins the attempt', async () => {
      const { view } = await stored(FULL, { headStart });
      expect(view.deliveries[0]?.state).toBe('sending');
      expect(begun).toMatchObject([
        { messageId: view.id, recipient: 'ann@example.net', leaseUntil: clock.now() + 1000 },
      ]);
    });

    it('gives it back when the store fails', async () => {
      const failing: IntakeStore = {
        ...store.intake,
        accept: () => Promise.reject(new RelayError('trouble', { code: 'store-io', op: 'store.accept' })),
      };
      await refusal(FULL, { intake: failing, headStart });
      expect([begun.length, canceled]).toEqual([0, 1]);
    });

    it('gives it back for a duplicate', async () => {
      const once = `X-Leadpush-Idempotency-Key: k\r\n${FULL}`;
      await stored(once);
      expect(await intake({ headStart }).accept(submission(once))).toMatchObject({ kind: 'duplicate' });
      expect([begun.length, canceled]).toEqual([0, 1]);
    });

    it('is not asked for when there are several recipients', async () => {
      await intake({ headStart }).accept(submission(FULL, ['ann@example.net', 'bob@example.net']));
      expect([begun.length, canceled]).toEqual([0, 0]);
    });
  });

  describe('over several routes', () => {
    const routes = [testSmtpRoute(), testMxRoute()];
    const config = testConfig({
      routes: new Map(routes.map((route) => [route.name, route])),
      rules: [{ name: 'all', when: {}, action: { kind: 'via', routes: ['provider', 'direct'] } }],
      senders: [testSender({ returnPath: 'bounces.example.com' })],
    });
    /** What the store was given. */
    const given = async (over: Partial<Given> = {}, from = submission(FULL)): Promise<NewMessage | undefined> => {
      const seen: NewMessage[] = [];
      const watching: IntakeStore = {
        ...store.intake,
        accept(message) {
          seen.push(message);
          return store.intake.accept(message);
        },
      };
      await intake({ config, intake: watching, ...over }).accept(from);
      return seen[0];
    };

    it('begins with the one that is up, and keeps all of them for later', async () => {
      const message = await given({ chooseRoute: (via) => via[1] ?? '' });
      expect(message?.deliveries).toMatchObject([
        { via: ['provider', 'direct'], route: 'direct', byDestination: true },
      ]);
      expect((await given())?.deliveries).toMatchObject([{ route: 'provider', byDestination: false }]);
    });

    it('asks for a head start on the route, in the lane and for the recipient that it will have', async () => {
      const asked: Arrival[] = [];
      await given({
        chooseRoute: () => 'direct',
        headStart: (arrival) => {
          asked.push(arrival);
          return null;
        },
      });
      expect(asked).toEqual([{ route: 'direct', priority: 'normal', recipient: 'ann@example.net' }]);
    });

    it('gives each delivery a return path of its own at the domain of the sender', async () => {
      const message = await given({}, submission(FULL, ['ann@example.net', 'bob@example.net']));
      expect(message?.deliveries.map(({ returnPath }) => returnPath)).toEqual(
        message?.deliveries.map(({ id }) => `${id}@bounces.example.com`),
      );
      const bounce = submission(FULL);
      const nullSender = { ...bounce, envelope: { ...bounce.envelope, mailFrom: '' as const } };
      expect((await given({}, nullSender))?.deliveries).toMatchObject([{ returnPath: null }]);
    });
  });

  describe('of which a newer one comes', () => {
    const config = testConfig({ tags: new Map([['otp', testTag({ name: 'otp', collapse: 'recipient' })]]) });
    const otp = `X-Leadpush-Tag: otp\r\n${FULL}`;

    it('replaces the older one for the same recipient', async () => {
      const { view: older } = await stored(otp, { config });
      const { view: newer } = await stored(otp, { config });
      expect((await store.history.message(older.id))?.deliveries).toMatchObject([
        { state: 'superseded', supersededBy: newer.id },
      ]);
    });

    it('breaks off the older one’s attempt', async () => {
      const headStart = (): HeadStart => ({ leaseMs: 1000, begin() {}, cancel() {} });
      const { view: older } = await stored(otp, { config, headStart });
      const interrupted: string[] = [];
      await stored(otp, { config, interrupt: (ids) => void interrupted.push(...ids) });
      expect(interrupted).toEqual(older.deliveries.map(({ id }) => id));
    });
  });

  describe('that the recipient is not to get', () => {
    const config = testConfig({
      tags: new Map([['otp', testTag({ name: 'otp', throttle: { perRecipient: { count: 1, perMs: 60_000 } } })]]),
    });
    const otp = `X-Leadpush-Tag: otp\r\n${FULL}`;
    const answer = async (): Promise<unknown> => {
      const canceled: number[] = [];
      const headStart = (): HeadStart => ({ leaseMs: 1000, begin() {}, cancel: () => void canceled.push(1) });
      const result = await intake({ config, headStart }).accept(submission(otp));
      if (result.kind !== 'accepted') throw new Error(result.kind);
      const [delivery] = (await store.history.message(result.id))?.deliveries ?? [];
      return { state: delivery?.state, canceled: canceled.length };
    };

    it('is accepted all the same, and nothing begins, when it is one too many', async () => {
      expect(await answer()).toEqual({ state: 'sending', canceled: 0 });
      expect(await answer()).toEqual({ state: 'throttled', canceled: 1 });
    });

    it('is accepted all the same, and nothing begins, when the recipient is suppressed', async () => {
      await store.suppressions.put({
        recipient: address('Ann@example.net'),
        reason: 'manual',
        detail: 'asked for it',
        messageId: null,
        createdAt: clock.now(),
        expiresAt: null,
      });
      expect(await answer()).toEqual({ state: 'suppressed', canceled: 1 });
    });
  });

  it('takes the relay’s own report without a sender rule, as paid', async () => {
    const seen: NewMessage[] = [];
    const watching: IntakeStore = {
      ...store.intake,
      accept(message) {
        seen.push(message);
        return Promise.resolve({ kind: 'accepted', lease: null, interrupt: [] });
      },
    };
    const report = submission(FULL.replace('app@example.com', 'postmaster@relay.other.example'));
    const result = await intake({ intake: watching }).accept({
      ...report,
      envelope: { ...report.envelope, mailFrom: '' },
      paysReport: 7,
    });
    expect(result.kind).toBe('accepted');
    expect(seen).toMatchObject([{ paysReport: 7, wantsReports: false, suppression: 'bypass', throttles: [] }]);
  });

  it('refuses an envelope sender outside the credential at MAIL, and keeps the refusal', async () => {
    const { submitter } = submission(FULL);
    const credential = {
      username: 'app',
      password: { n: 2, r: 1, p: 1, salt: new Uint8Array(), hash: new Uint8Array() },
      from: ['*@example.com'],
      networks: [],
      tag: null,
      headers: { allow: 'all', aliases: new Set<never>() },
      rate: null,
    } as const;
    const result = intake().checkSender({ ...submitter, credential }, address('a@elsewhere.example'));
    expect(result).toMatchObject({ code: 550, enhanced: '5.7.1' });
    // The client has its answer before the event is written.
    await until(async () => (await store.history.events({ limit: 1 })).length === 1, 'the event', 5000);
    const [event] = await store.history.events({ limit: 1 });
    expect(event?.type).toBe('message.rejected');
  });
});
