import { describe, expect, it } from 'vitest';
import type { RouteConfig, RuleConfig } from '../../src/config/types.ts';
import { chooseRoute, judgeRule, type RoutingFacts } from '../../src/routing/choose.ts';
import { address } from '../support/address.ts';
import { testSmtpRoute } from '../support/config.ts';

const facts: RoutingFacts = {
  tag: 'password-reset',
  priority: 'critical',
  credential: 'keycloak',
  recipient: address('Ann@Partner.example'),
  senderDomain: 'example.com',
  requireTls: false,
};
const routes = new Map<string, RouteConfig>(
  [
    testSmtpRoute({ name: 'first' }),
    testSmtpRoute({ name: 'second' }),
    testSmtpRoute({ name: 'plain', tls: 'none' }),
    { name: 'sandbox', type: 'sandbox' } as const,
  ].map((route) => [route.name, route]),
);
const via = (name: string, when: RuleConfig['when'], ...names: string[]): RuleConfig => ({
  name,
  when,
  action: { kind: 'via', routes: names },
});

describe('choosing a route', () => {
  it('takes the first rule that matches, and its first route', () => {
    const rules = [
      via('other', { tag: ['otp'] }, 'first'),
      via('recovery', { tag: ['password-reset'] }, 'second', 'first'),
    ];
    expect(chooseRoute(rules, routes, facts)).toEqual({
      kind: 'via',
      rule: 'recovery',
      reason: 'tag is password-reset',
      via: ['second', 'first'],
      leftOut: [],
    });
  });

  it('wants every field of a rule to match', () => {
    const rules = [
      via('both', { tag: ['password-reset'], credential: ['django'] }, 'first'),
      via('rest', {}, 'second'),
    ];
    expect(chooseRoute(rules, routes, facts)).toMatchObject({ rule: 'rest', reason: 'matches everything' });
  });

  it.each([
    ['recipient domain in other letter case', { recipientDomain: ['PARTNER.example'] }, true],
    ['a recipient', { recipient: ['ann@partner.example'] }, true],
    ['domains below a starred one', { recipientDomain: ['*.example'] }, true],
    ['a starred domain does not stand for itself', { recipientDomain: ['*.partner.example'] }, false],
    ['sender domain', { senderDomain: ['example.com'] }, true],
    ['priority', { priority: ['bulk' as const] }, false],
  ])('matches %s', (_what, when, expected) => {
    expect(judgeRule(via('r', when, 'first'), facts).matches).toBe(expected);
  });

  it('says why a rule does not match', () => {
    expect(judgeRule(via('r', { tag: ['otp', 'magic-link'] }, 'first'), facts).reason).toBe(
      'tag password-reset is not otp or magic-link',
    );
  });

  it('hands out the text of a reject rule', () => {
    const rules: RuleConfig[] = [
      { name: 'no-test', when: {}, action: { kind: 'reject', reason: 'no test addresses' } },
    ];
    expect(chooseRoute(rules, routes, facts)).toMatchObject({
      kind: 'reject',
      rule: 'no-test',
      text: 'no test addresses',
    });
  });

  it('skips a plain route when TLS is required', () => {
    const choice = chooseRoute([via('r', {}, 'plain', 'second')], routes, { ...facts, requireTls: true });
    expect(choice).toMatchObject({ kind: 'via', via: ['second'], leftOut: ['plain'] });
  });

  it('is unusable when TLS is required and every route of the rule is plain', () => {
    expect(chooseRoute([via('r', {}, 'plain')], routes, { ...facts, requireTls: true })).toMatchObject({
      kind: 'unusable',
      rule: 'r',
    });
  });

  it('is unmatched when no rule takes the mail', () => {
    expect(chooseRoute([via('r', { tag: ['otp'] }, 'first')], routes, facts).kind).toBe('unmatched');
  });
});
