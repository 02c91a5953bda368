import { describe, expect, it } from 'vitest';
import { type Decision, decide, type RefusedDecision } from '../../src/intake/decide.ts';
import type { Config, CredentialConfig, RuleConfig } from '../../src/config/types.ts';
import { scanHeader } from '../../src/mail/header.ts';
import { address } from '../support/address.ts';
import { testConfig, testCredential, testMxRoute, testSender, testSmtpRoute, testTag } from '../support/config.ts';

interface Given {
  readonly config?: Config;
  readonly credential?: CredentialConfig | null;
  readonly header?: string;
  readonly mailFrom?: string;
  readonly recipients?: readonly string[];
  readonly deliverBySeconds?: number;
  readonly protocol?: string;
  readonly isOwnReport?: boolean;
}

function decided(given: Given): Decision | RefusedDecision {
  const header = given.header ?? 'From: no-reply@example.com';
  const bytes = Buffer.from(`${header}\r\n\r\nhello\r\n`);
  const scan = scanHeader(bytes);
  if (scan.kind === 'malformed') throw new Error(scan.reason);
  return decide(given.config ?? testConfig(), {
    submitter: {
      credential: given.credential ?? null,
      address: '127.0.0.1',
      helo: 'app',
      tls: null,
      protocol: given.protocol ?? 'ESMTP',
    },
    envelope: {
      mailFrom: given.mailFrom === '' ? '' : address(given.mailFrom ?? 'no-reply@example.com'),
      recipients: (given.recipients ?? ['ann@example.net']).map((text) => ({ address: address(text), dsn: null })),
      dsn: { ret: null, envid: null },
      smtpUtf8: false,
      deliverBySeconds: given.deliverBySeconds ?? null,
    },
    bytes,
    fields: scan.fields,
    now: 1_000_000,
    isOwnReport: given.isOwnReport ?? false,
  });
}

const FROM = 'From: no-reply@example.com';

describe('the tag', () => {
  it('of the header beats the credential default', () => {
    const credential = testCredential({ tag: 'welcome' });
    expect(decided({ credential, header: `${FROM}\r\nX-Leadpush-Tag: otp` })).toMatchObject({
      tag: 'otp',
      tagSource: 'header',
    });
  });

  it('is the credential default where no header gives one', () => {
    expect(decided({ credential: testCredential({ tag: 'welcome' }) })).toMatchObject({
      tag: 'welcome',
      tagSource: 'credential',
    });
  });

  it('is none where nobody gives one', () => {
    expect(decided({})).toMatchObject({ tag: null, tagSource: 'none' });
  });
});

describe('a tag rule', () => {
  const config = testConfig({
    tags: new Map([
      [
        'password-reset',
        testTag({
          name: 'password-reset',
          match: [
            { credential: ['keycloak'], from: null, subject: { kind: 'exact', text: 'Reset password' } },
            { credential: null, from: ['*@auth.example.com'], subject: { kind: 'contains', text: 'zurücksetzen' } },
          ],
        }),
      ],
      ['notice', testTag({ name: 'notice', match: [{ credential: ['keycloak'], from: null, subject: null }] })],
    ]),
    senders: [testSender(), testSender({ domain: 'auth.example.com' })],
  });
  const keycloak = testCredential({ username: 'keycloak', tag: 'other' });
  const tagOf = (header: string, credential: CredentialConfig | null = keycloak): unknown => {
    const result = decided({ config, credential, header });
    return result.kind === 'decided' ? [result.tag, result.tagSource] : result.refusal.text;
  };

  it('counts when all of an entry holds', () => {
    expect(tagOf(`${FROM}\r\nSubject: Reset password`)).toEqual(['password-reset', 'rule']);
    expect(tagOf(`${FROM}\r\nSubject: Reset password`, testCredential())).toEqual([null, 'none']);
  });

  it('compares the decoded subject, white space evened out, whatever its letter case', () => {
    expect(tagOf(`${FROM}\r\nSubject: =?utf-8?B?UmVzZXQgcGFzc3dvcmQ=?=`)).toEqual(['password-reset', 'rule']);
    expect(tagOf(`${FROM}\r\nSubject: RESET\r\n   password `)).toEqual(['password-reset', 'rule']);
    const umlaut = 'Subject: =?iso-8859-1?Q?Passwort_zur=FCcksetzen?=';
    expect(tagOf(`From: a@auth.example.com\r\n${umlaut}`, null)).toEqual(['password-reset', 'rule']);
  });

  it('gives way to a header, and goes before the credential’s default', () => {
    expect(tagOf(`${FROM}\r\nSubject: Reset password\r\nX-Leadpush-Tag: otp`)).toEqual(['otp', 'header']);
    expect(tagOf(`${FROM}\r\nSubject: Welcome`)).toEqual(['notice', 'rule']);
  });

  it('of the first tag in the config counts, and the others are told', () => {
    const result = decided({ config, credential: keycloak, header: `${FROM}\r\nSubject: Reset password` });
    expect(result).toMatchObject({
      tag: 'password-reset',
      tagRules: [{ rule: 'tags.password-reset.match[0]' }, { rule: 'tags.notice.match[0]' }],
    });
  });

  it('gives way to an accepted alias', () => {
    const credential = testCredential({
      username: 'keycloak',
      headers: { allow: 'all', aliases: new Set(['postmark'] as const) },
    });
    expect(tagOf(`${FROM}\r\nSubject: Reset password\r\nX-PM-Tag: Otp`, credential)).toEqual(['otp', 'alias']);
  });

  it('does not match a subject of endless length', () => {
    expect(tagOf(`${FROM}\r\nSubject: Reset password${' x'.repeat(3000)}`)).toEqual(['notice', 'rule']);
  });
});

describe('the sender of a tag', () => {
  const withFrom = (mode: 'require' | 'rewrite', keepReplyTo = false): Config =>
    testConfig({
      tags: new Map([
        [
          'otp',
          testTag({
            name: 'otp',
            from: { address: address('security@example.com'), name: 'Example', mode, keepReplyTo },
          }),
        ],
      ]),
    });
  const otp = 'X-Leadpush-Tag: otp';

  it('is required: another From is refused, by name', () => {
    expect(decided({ config: withFrom('require'), header: `${FROM}\r\n${otp}` })).toMatchObject({
      kind: 'refused',
      refusal: { code: 550, enhanced: '5.7.1', text: expect.stringContaining('From must be <security@example.com>') },
    });
    const header = `From: Whoever <Security@Example.com>\r\n${otp}`;
    expect(decided({ config: withFrom('require'), header })).toMatchObject({ kind: 'decided', newFrom: null });
  });

  it('is put in the place of another one, which may become Reply-To', () => {
    const header = `From: App <app@elsewhere.example>\r\n${otp}`;
    expect(decided({ config: withFrom('rewrite'), header })).toMatchObject({
      headerFrom: 'security@example.com',
      newFrom: { address: 'security@example.com', name: 'Example' },
      replyTo: null,
      warnings: ['From <app@elsewhere.example> was replaced by <security@example.com> (tags.otp.from)'],
    });
    expect(decided({ config: withFrom('rewrite', true), header })).toMatchObject({
      replyTo: { address: 'app@elsewhere.example', name: 'App' },
    });
  });

  it('is said to have got another name alone where the address was right already', () => {
    const header = `From: App <Security@example.com>\r\n${otp}`;
    expect(decided({ config: withFrom('rewrite'), header })).toMatchObject({
      newFrom: { address: 'security@example.com', name: 'Example' },
      warnings: ['The name in From <Security@example.com> was replaced (tags.otp.from)'],
    });
  });

  it('is given to no credential that may not use it', () => {
    const credential = testCredential({ from: ['news@example.com'] });
    const header = `From: news@example.com\r\n${otp}`;
    expect(decided({ config: withFrom('rewrite'), header, credential, mailFrom: 'news@example.com' })).toMatchObject({
      kind: 'refused',
      refusal: { text: 'From address <security@example.com> is not allowed for this credential' },
    });
  });
});

describe('other fields that name a sender', () => {
  const credential = testCredential({ from: ['no-reply@example.com'] });
  it.each([
    ['Sender: ceo@example.com', 'Sender address <ceo@example.com> is not allowed'],
    ['Resent-From: ceo@example.com', 'Resent-From address <ceo@example.com> is not allowed'],
    ['Sender: a@example.com, b@example.com', 'several addresses in the Sender header field'],
  ])('are held to the rules of From: %s', (line, text) => {
    const result = decided({ credential, header: `${FROM}\r\n${line}` });
    expect(result.kind === 'refused' && result.refusal.text).toContain(text);
  });

  it('leave Reply-To to the app', () => {
    expect(decided({ credential, header: `${FROM}\r\nReply-To: help@elsewhere.example` })).toMatchObject({
      kind: 'decided',
    });
  });

  it.each([
    ['xn--xample-9ua.com', 'looks like example.com'],
    ['xn--pple-43d.com', 'letters that pass for others'],
  ])('and From domains that look like others are refused even where unknown senders may: %s', (domain, text) => {
    const config = testConfig({ unknownSenders: 'unsigned' });
    const result = decided({ config, header: `From: a@${domain}` });
    expect(result.kind === 'refused' && result.refusal.text).toContain(text);
  });
});

describe('the flood guards', () => {
  it('are those of the tag for each recipient, and of the credential for all of its mail', () => {
    const config = testConfig({
      tags: new Map([['otp', testTag({ name: 'otp', throttle: { perRecipient: { count: 5, perMs: 3_600_000 } } })]]),
    });
    const credential = testCredential({ rate: { count: 200, perMs: 60_000 } });
    expect(decided({ config, credential, header: `${FROM}\r\nX-Leadpush-Tag: otp` })).toMatchObject({
      throttles: [
        { scope: 'tag:otp', per: 'recipient', count: 5, perMs: 3_600_000 },
        { scope: 'credential:app', per: 'scope', count: 200, perMs: 60_000 },
      ],
    });
  });
});

describe('the lane', () => {
  it('is that of the tag', () => {
    expect(decided({ header: `${FROM}\r\nX-Leadpush-Tag: newsletter` })).toMatchObject({ priority: 'bulk' });
  });

  it('is that of the header when it names one', () => {
    const header = `${FROM}\r\nX-Leadpush-Tag: newsletter\r\nX-Leadpush-Priority: critical`;
    expect(decided({ header })).toMatchObject({ priority: 'critical' });
  });

  it('is normal for untagged mail', () => {
    expect(decided({})).toMatchObject({ priority: 'normal' });
  });
});

describe('the deadline', () => {
  it('comes from the TTL header before the tag', () => {
    const header = `${FROM}\r\nX-Leadpush-Tag: password-reset\r\nX-Leadpush-TTL: 60`;
    expect(decided({ header })).toMatchObject({ deadline: 1_060_000, deadlineSource: 'header' });
  });

  it('may be longer by header than by tag', () => {
    const header = `${FROM}\r\nX-Leadpush-Tag: password-reset\r\nX-Leadpush-TTL: 2h`;
    expect(decided({ header })).toMatchObject({ deadline: 8_200_000, deadlineSource: 'header' });
  });

  it('comes from BY= like from a TTL', () => {
    expect(decided({ deliverBySeconds: 30 })).toMatchObject({ deadline: 1_030_000, deadlineSource: 'deliverby' });
  });

  it('comes from the tag', () => {
    expect(decided({ header: `${FROM}\r\nX-Leadpush-Tag: password-reset` })).toMatchObject({
      deadline: 1_900_000,
      deadlineSource: 'tag',
    });
  });

  it('is give_up_after when nothing sets one', () => {
    expect(decided({})).toMatchObject({ deadline: 1_000_000 + 172_800_000, deadlineSource: 'give-up' });
  });

  it('is never later than give_up_after', () => {
    expect(decided({ header: `${FROM}\r\nX-Leadpush-TTL: 7d` })).toMatchObject({ deadlineSource: 'give-up' });
  });
});

describe('the sender', () => {
  it('is refused when the envelope is outside the credential patterns', () => {
    const credential = testCredential({ from: ['no-reply@example.com'] });
    expect(decided({ credential, mailFrom: 'x@elsewhere.example' })).toMatchObject({
      kind: 'refused',
      refusal: { code: 550, enhanced: '5.7.1' },
    });
  });

  it('is refused when the From domain is unknown', () => {
    expect(decided({ header: 'From: a@elsewhere.example' })).toMatchObject({
      kind: 'refused',
      refusal: { code: 550, enhanced: '5.7.1' },
    });
  });

  it('is refused when From names two people', () => {
    expect(decided({ header: 'From: a@example.com, b@example.com' })).toMatchObject({
      kind: 'refused',
      refusal: { code: 550 },
    });
  });
});

describe('the route', () => {
  const rules: readonly RuleConfig[] = [
    { name: 'partner', when: { recipientDomain: ['partner.example'] }, action: { kind: 'via', routes: ['sandbox'] } },
    {
      name: 'no-test',
      when: { recipientDomain: ['test.example'] },
      action: { kind: 'reject', reason: 'no test addresses' },
    },
    { name: 'default', when: {}, action: { kind: 'via', routes: ['sandbox'] } },
  ];

  it('is chosen for each recipient alone', () => {
    const result = decided({ config: testConfig({ rules }), recipients: ['a@partner.example', 'b@other.example'] });
    expect(result.kind === 'decided' && result.recipients.map((r) => r.rule)).toEqual(['partner', 'default']);
  });

  it('refuses the message when a rule rejects one of its recipients, with the rule’s text', () => {
    const result = decided({ config: testConfig({ rules }), recipients: ['a@other.example', 'b@test.example'] });
    expect(result).toMatchObject({
      kind: 'refused',
      rule: 'no-test',
      refusal: { code: 550, text: 'no test addresses' },
    });
  });

  it('refuses mail that no rule takes', () => {
    expect(decided({ config: testConfig({ rules: rules.slice(0, 1) }) })).toMatchObject({
      kind: 'refused',
      refusal: { code: 550, text: 'No routing rule takes this message' },
    });
  });
});

describe('what a message replaces', () => {
  const tags = (collapse: 'recipient' | 'key' | 'none'): Config =>
    testConfig({ tags: new Map([['otp', testTag({ name: 'otp', collapse })]]) });
  const scope = (given: Given): string | null | undefined => {
    const decision = decided(given);
    return decision.kind === 'decided' ? decision.collapseScope : undefined;
  };
  const otp = `${FROM}\r\nX-Leadpush-Tag: otp`;
  const keyed = `${otp}\r\nX-Leadpush-Collapse-Key: k`;

  it('is nothing without a key, unless the tag says recipient', () => {
    expect(scope({})).toBeNull();
    expect(scope({ config: tags('key'), header: otp })).toBeNull();
    expect(scope({ config: tags('recipient'), header: otp })).toBe('tag\n\notp');
  });

  it('goes by the key of the header before the tag', () => {
    expect(scope({ config: tags('recipient'), header: keyed })).toBe('key\n\nk');
    expect(scope({ header: `${FROM}\r\nX-Leadpush-Collapse-Key: k` })).toBe('key\n\nk');
  });

  it('is nothing for a tag with collapse: none, whatever the header says', () => {
    expect(scope({ config: tags('none'), header: keyed })).toBeNull();
  });

  it('is never the mail of another credential', () => {
    const [a, b] = ['a', 'b'].map((username) => scope({ header: keyed, credential: testCredential({ username }) }));
    expect(a).not.toBe(b);
  });

  it('cannot be made the same for a key and a tag', () => {
    const header = `${FROM}\r\nX-Leadpush-Collapse-Key: otp`;
    expect(scope({ header })).not.toBe(scope({ config: tags('recipient'), header: otp }));
  });
});

describe('guards and moments', () => {
  const tag = testTag({
    name: 'otp',
    delayedAfterMs: 30_000,
    suppression: 'bypass',
    throttle: { perRecipient: { count: 5, perMs: 3_600_000 } },
  });
  const config = testConfig({
    tags: new Map([['otp', tag]]),
    senders: [testSender({ returnPath: 'bounces.example.com' })],
    bounces: { dsn: true, listeners: [], suppressForMs: 1 },
  });
  const header = `${FROM}\r\nX-Leadpush-Tag: otp`;

  it('come from the tag', () => {
    expect(decided({ config, header })).toMatchObject({
      suppression: 'bypass',
      throttles: [{ scope: 'tag:otp', per: 'recipient', count: 5, perMs: 3_600_000 }],
      delayedAfterMs: 30_000,
    });
  });

  it('are none for mail without a tag, to which the suppression list applies', () => {
    expect(decided({ config })).toMatchObject({ suppression: 'apply', throttles: [], delayedAfterMs: null });
  });

  it('give a return path at the domain of the sender, but not to mail with the null sender', () => {
    expect(decided({ config })).toMatchObject({ returnPathDomain: 'bounces.example.com' });
    expect(decided({ config, mailFrom: '' })).toMatchObject({ returnPathDomain: null });
    expect(decided({})).toMatchObject({ returnPathDomain: null });
  });

  it('owe reports for SMTP mail with a sender, where the config says so', () => {
    expect(decided({ config })).toMatchObject({ wantsReports: true });
    expect(decided({ config, mailFrom: '' })).toMatchObject({ wantsReports: false });
    expect(decided({ config, protocol: 'HTTP' })).toMatchObject({ wantsReports: false });
    expect(decided({})).toMatchObject({ wantsReports: false });
  });
});

describe('the relay’s own report', () => {
  const own = {
    header: 'From: Mail Delivery System <postmaster@relay.other.example>',
    mailFrom: '',
    isOwnReport: true,
  };

  it('needs no sender, is held back by no list and has no report of its own', () => {
    const config = testConfig({ bounces: { dsn: true, listeners: [], suppressForMs: 1 } });
    expect(decided({ config, ...own })).toMatchObject({
      kind: 'decided',
      suppression: 'bypass',
      throttles: [],
      wantsReports: false,
      returnPathDomain: null,
    });
  });

  it('is never reported about, whatever its sender', () => {
    const config = testConfig({ bounces: { dsn: true, listeners: [], suppressForMs: 1 } });
    expect(decided({ config, isOwnReport: true })).toMatchObject({ kind: 'decided', wantsReports: false });
  });

  it('is refused from anybody else', () => {
    expect(decided({ ...own, isOwnReport: false })).toMatchObject({ kind: 'refused' });
  });
});

describe('the routes of a message that asks for verified TLS', () => {
  it('are those of its rule that have it, in order', () => {
    const routes = [testSmtpRoute({ name: 'plain', tls: 'none' }), testMxRoute(), testSmtpRoute()];
    const config = testConfig({
      routes: new Map(routes.map((route) => [route.name, route])),
      rules: [{ name: 'all', when: {}, action: { kind: 'via', routes: ['plain', 'direct', 'provider'] } }],
    });
    expect(decided({ config, header: `${FROM}\r\nX-Leadpush-Require-TLS: true` })).toMatchObject({
      recipients: [{ via: ['direct', 'provider'], leftOut: ['plain'] }],
    });
    expect(decided({ config })).toMatchObject({ recipients: [{ via: ['plain', 'direct', 'provider'], leftOut: [] }] });
  });
});
