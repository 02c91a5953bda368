/**
 * A dry run of `decide`: which tag, lane, deadline, rule and route a message would get, and why. Changes nothing.
 */
import type { Config } from '../config/types.ts';
import { domainOf } from '../core/address.ts';
import { refuse } from '../core/refusal.ts';
import { isoTime } from '../core/time.ts';
import { auditMessage } from '../policy/audit-message.ts';
import type { LinkAudit } from '../core/link-audit.ts';
import { refusalOfAudit } from '../policy/links.ts';
import { judgeRule, type RuleVerdict } from '../routing/choose.ts';
import { decide, type DecisionInput, senderOf } from './decide.ts';

export interface Explanation {
  /** `accept`, or `refuse` with the reply that the client would get. */
  readonly verdict: 'accept' | 'refuse';
  readonly reply: string | null;
  readonly reason: string | null;
  readonly tag: string | null;
  readonly tag_source: string | null;
  /** Every tag rule that matches, in the order of the config; the first one counts where no header gives a tag. */
  readonly tag_rules: readonly { readonly tag: string; readonly rule: string }[];
  readonly priority: string | null;
  readonly deadline: string | null;
  readonly deadline_source: string | null;
  /** The From that goes out. */
  readonly from: string | null;
  /** True when the tag's `from` takes the place of the app's. */
  readonly from_rewritten: boolean;
  /** What the link audit found; null: the tag has no link policy. */
  readonly links: LinkAudit | null;
  /** How it would be signed: the domain, or null when it would go unsigned. */
  readonly signed_by: string | null;
  /** What older undelivered mail to the same recipient it replaces: that of the same key, of the same tag, or none. */
  readonly collapse: 'key' | 'tag' | null;
  readonly collapse_key: string | null;
  /** At most `count` deliveries of `scope` in `per_ms`, to each recipient or in all. */
  readonly throttles: readonly {
    readonly scope: string;
    readonly per: 'recipient' | 'scope';
    readonly count: number;
    readonly per_ms: number;
  }[];
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
  const links = decision.kind === 'decided' ? auditMessage(input.bytes, decision) : null;
  const refusal =
    decision.kind === 'refused'
      ? decision.refusal
      : links?.verdict === 'reject'
        ? refuse(550, '5.7.0', refusalOfAudit(links))
        : null;
  if (decision.kind === 'refused' || refusal !== null) {
    return {
      verdict: 'refuse',
      reply: refusal === null ? null : `${refusal.code} ${refusal.enhanced} ${refusal.text}`,
      reason: refusal?.reason ?? null,
      tag: decision.tag,
      tag_source: decision.kind === 'decided' ? decision.tagSource : null,
      tag_rules: decision.kind === 'decided' ? decision.tagRules : [],
      priority: null,
      deadline: null,
      deadline_source: null,
      from: null,
      from_rewritten: false,
      links,
      signed_by: null,
      collapse: null,
      collapse_key: null,
      throttles: [],
      suppression: null,
      delayed_after_ms: null,
      return_path: null,
      warnings: [],
      recipients: [],
    };
  }
  const senderDomain = domainOf(decision.headerFrom);
  const sender = senderOf(config, decision.headerFrom);
  return {
    verdict: 'accept',
    reply: null,
    reason: null,
    tag: decision.tag,
    tag_source: decision.tagSource,
    tag_rules: decision.tagRules,
    priority: decision.priority,
    deadline: isoTime(decision.deadline),
    deadline_source: decision.deadlineSource,
    from: decision.headerFrom,
    from_rewritten: decision.newFrom !== null,
    links,
    signed_by: sender !== undefined && sender.dkim.length > 0 ? senderDomain : null,
    collapse: decision.collapseBy,
    collapse_key: decision.collapseBy === 'key' ? decision.wishes.collapseKey : null,
    throttles: decision.throttles.map(({ scope, per, count, perMs }) => ({ scope, per, count, per_ms: perMs })),
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
