/**
 * A dry run of `decide`: which tag, lane, deadline, rule and route a message would get, and why. Changes nothing.
 */
import type { Config } from '../config/types.ts';
import { domainOf } from '../core/address.ts';
import { isoTime } from '../core/time.ts';
import { judgeRule, type RuleVerdict } from '../routing/choose.ts';
import { decide, type DecisionInput, senderOf } from './decide.ts';

export interface Explanation {
  /** `accept`, or `refuse` with the reply that the client would get. */
  readonly verdict: 'accept' | 'refuse';
  readonly reply: string | null;
  readonly reason: string | null;
  readonly tag: string | null;
  readonly tag_source: string | null;
  readonly priority: string | null;
  readonly deadline: string | null;
  readonly deadline_source: string | null;
  /** How it would be signed: the domain, or null when it would go unsigned. */
  readonly signed_by: string | null;
  /** What older undelivered mail to the same recipient it replaces: that of the same key, of the same tag, or none. */
  readonly collapse: 'key' | 'tag' | null;
  readonly collapse_key: string | null;
  /** At most `count` messages with this tag to one recipient in `per_ms`; null: no limit. */
  readonly throttle: { readonly count: number; readonly per_ms: number } | null;
  /** Whether the suppression list counts. */
  readonly suppression: 'apply' | 'bypass' | null;
  readonly delayed_after_ms: number | null;
  /** Domain of the return path; null: the envelope sender stays as it is. */
  readonly return_path: string | null;
  readonly warnings: readonly string[];
  readonly recipients: readonly ExplainedRecipient[];
}

export interface ExplainedRecipient {
  readonly recipient: string;
  readonly rule: string;
  readonly reason: string;
  /** The routes that may carry it, in order: the first that is not down is used. */
  readonly via: readonly string[];
  /** The first of them. */
  readonly route: string;
  /** Routes of the rule that may not carry it. */
  readonly left_out: readonly string[];
  /** Every rule that was looked at before and including the one that matched. */
  readonly considered: readonly RuleVerdict[];
}

/** Explains what would become of the message in `input`. */
export function explain(config: Config, input: DecisionInput): Explanation {
  const decision = decide(config, input);
  if (decision.kind === 'refused') {
    const { refusal } = decision;
    return {
      verdict: 'refuse',
      reply: `${refusal.code} ${refusal.enhanced} ${refusal.text}`,
      reason: refusal.reason,
      tag: decision.tag,
      tag_source: null,
      priority: null,
      deadline: null,
      deadline_source: null,
      signed_by: null,
      collapse: null,
      collapse_key: null,
      throttle: null,
      suppression: null,
      delayed_after_ms: null,
      return_path: null,
      warnings: [],
      recipients: [],
    };
  }
  const senderDomain = domainOf(decision.headerFrom);
  const sender = senderOf(config, decision.headerFrom);
  const { throttle } = decision;
  return {
    verdict: 'accept',
    reply: null,
    reason: null,
    tag: decision.tag,
    tag_source: decision.tagSource,
    priority: decision.priority,
    deadline: isoTime(decision.deadline),
    deadline_source: decision.deadlineSource,
    signed_by: sender !== undefined && sender.dkim.length > 0 ? senderDomain : null,
    collapse: decision.collapseBy,
    collapse_key: decision.collapseBy === 'key' ? decision.wishes.collapseKey : null,
    throttle: throttle === null ? null : { count: throttle.count, per_ms: throttle.perMs },
    suppression: decision.suppression,
    delayed_after_ms: decision.delayedAfterMs,
    return_path: decision.returnPathDomain,
    warnings: decision.warnings,
    recipients: decision.recipients.map((routed) => {
      const considered: RuleVerdict[] = [];
      for (const rule of config.rules) {
        const verdict = judgeRule(rule, {
          tag: decision.tag,
          priority: decision.priority,
          credential: input.submitter.credential?.username ?? null,
          recipient: routed.recipient,
          senderDomain,
          requireTls: decision.wishes.requireTls,
        });
        considered.push(verdict);
        if (verdict.matches) break;
      }
      return {
        recipient: routed.recipient,
        rule: routed.rule,
        reason: routed.reason,
        via: routed.via,
        route: routed.via[0] ?? '',
        left_out: routed.leftOut,
        considered,
      };
    }),
  };
}
