/**
 * Which routing rule a recipient's mail falls under. Pure; the first rule that matches wins.
 *
 * Every answer names the rule and the reason in words, so that `explain` and `trace` can show why. Rules are data: a new
 * condition is a field of `RuleCondition` and a line in `CONDITIONS`.
 */
import type { RouteConfig, RuleCondition, RuleConfig } from '../config/types.ts';
import { addressKey, domainOf, type EnvelopeAddress } from '../core/address.ts';
import type { Priority } from '../core/message.ts';

/** What rules may ask of a message and one of its recipients. */
export interface RoutingFacts {
  readonly tag: string | null;
  readonly priority: Priority;
  readonly credential: string | null;
  readonly recipient: EnvelopeAddress;
  readonly senderDomain: string;
  readonly requireTls: boolean;
}

export type RouteChoice =
  | {
      readonly kind: 'via';
      readonly rule: string;
      readonly reason: string;
      /** The routes of the rule that may carry this message, in order; at least one. */
      readonly via: readonly string[];
      /** The routes of the rule that may not: the message asks for verified TLS, and they have none. */
      readonly leftOut: readonly string[];
    }
  | { readonly kind: 'reject'; readonly rule: string; readonly reason: string; readonly text: string }
  /** The rule's routes cannot carry it: `X-Leadpush-Require-TLS` and no route with verified TLS. */
  | { readonly kind: 'unusable'; readonly rule: string; readonly reason: string }
  | { readonly kind: 'unmatched'; readonly reason: string };

interface Condition {
  readonly name: string;
  /** null: the rule does not ask. Else what it wants, what the message has, and whether they fit. */
  readonly test: (
    when: RuleCondition,
    facts: RoutingFacts,
  ) => { readonly wanted: readonly string[]; readonly has: string; readonly fits: boolean } | null;
}

const CONDITIONS: readonly Condition[] = [
  { name: 'tag', test: (when, facts) => oneOf(when.tag, facts.tag ?? '(none)') },
  { name: 'recipient_domain', test: (when, facts) => domainOneOf(when.recipientDomain, domainOf(facts.recipient)) },
  { name: 'recipient', test: (when, facts) => oneOf(when.recipient, addressKey(facts.recipient)) },
  { name: 'sender_domain', test: (when, facts) => domainOneOf(when.senderDomain, facts.senderDomain) },
  { name: 'credential', test: (when, facts) => oneOf(when.credential, facts.credential ?? '(none)') },
  { name: 'priority', test: (when, facts) => oneOf(when.priority, facts.priority) },
];

/** One rule looked at, for `explain`. */
export interface RuleVerdict {
  readonly rule: string;
  readonly matches: boolean;
  readonly reason: string;
}

/** Whether `rule` applies, and why or why not. */
export function judgeRule(rule: RuleConfig, facts: RoutingFacts): RuleVerdict {
  const met: string[] = [];
  for (const condition of CONDITIONS) {
    const result = condition.test(rule.when, facts);
    if (result === null) continue;
    if (!result.fits) {
      const reason = `${condition.name} ${result.has} is not ${result.wanted.join(' or ')}`;
      return { rule: rule.name, matches: false, reason };
    }
    met.push(`${condition.name} is ${result.has}`);
  }
  return { rule: rule.name, matches: true, reason: met.length === 0 ? 'matches everything' : met.join(', ') };
}

/** Chooses rule and routes for one recipient; which of them is used depends on which is up at that moment. */
export function chooseRoute(
  rules: readonly RuleConfig[],
  routes: ReadonlyMap<string, RouteConfig>,
  facts: RoutingFacts,
): RouteChoice {
  for (const rule of rules) {
    const verdict = judgeRule(rule, facts);
    if (!verdict.matches) continue;
    if (rule.action.kind === 'reject') {
      return { kind: 'reject', rule: rule.name, reason: verdict.reason, text: rule.action.reason };
    }
    const all = rule.action.routes;
    const via = all.filter((name) => mayCarry(routes.get(name), facts));
    if (via.length === 0) {
      return { kind: 'unusable', rule: rule.name, reason: `no route of ${all.join(', ')} gives verified TLS` };
    }
    const leftOut = all.filter((name) => !via.includes(name));
    return { kind: 'via', rule: rule.name, reason: verdict.reason, via, leftOut };
  }
  return { kind: 'unmatched', reason: 'no routing rule matches' };
}

/**
 * Whether a message that asks for verified TLS may go over `route`: a sandbox captures, and nothing crosses a wire at all;
 * direct delivery holds each message to its own wish.
 */
export function isProtected(route: RouteConfig): boolean {
  return route.type !== 'smtp' || route.tls !== 'none';
}

function mayCarry(route: RouteConfig | undefined, facts: RoutingFacts): boolean {
  return route !== undefined && (!facts.requireTls || isProtected(route));
}

function oneOf(wanted: readonly string[] | undefined, has: string): ReturnType<Condition['test']> {
  if (wanted === undefined) return null;
  return { wanted, has, fits: wanted.some((entry) => entry.toLowerCase() === has.toLowerCase()) };
}

/** As `oneOf`, and `*.example.com` stands for every domain below example.com. */
function domainOneOf(wanted: readonly string[] | undefined, has: string): ReturnType<Condition['test']> {
  if (wanted === undefined) return null;
  const fits = wanted.some((entry) => {
    const pattern = entry.toLowerCase();
    return pattern.startsWith('*.') ? has.endsWith(pattern.slice(1)) : pattern === has;
  });
  return { wanted, has, fits };
}
