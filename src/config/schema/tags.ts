/** The section `tags`: what kinds of mail there are, how each is recognised, and what holds for it. */
import { z } from 'zod';
import { MAX_TTL_MS, MIN_TTL_MS, PRIORITIES, type Priority, RECOVERY_TAGS } from '../../core/message.ts';
import { parseDomainPattern } from '../network.ts';
import { parsePattern, type Pattern } from '../pattern.ts';
import { PRESET_NAMES, type PresetName, PRESETS, type PresetValues } from '../presets.ts';
import type { LinksConfig, SubjectMatch, TagConfig, TagFrom, TagMatch, ThrottleConfig } from '../types.ts';
import { addIssue, type Kit, list, oneOf, oneOrMany, scalar, section, trueOrFalse } from './kit.ts';
import { duration, namedMailbox, rate, senderPattern, tagName, text } from './scalars.ts';

/** Longer than any guard against floods; deliveries are counted in the log, which is kept no longer by default. */
const MAX_THROTTLE_MS = 30 * 86_400_000;
const MAX_SUBJECT_CHARS = 500;

export function tagsSection(kit: Kit): z.ZodType<ReadonlyMap<string, TagConfig>> {
  const tag = section({
    preset: kit.optional(oneOf(PRESET_NAMES), {
      type: PRESET_NAMES.map((name) => `\`${name}\``).join(', '),
      meaning: 'Ready values for a kind of mail (table below); each of them can be written beside it, and counts then.',
      example: 'password-reset',
    }),
    match: kit.optional(list(match(kit), 1), {
      type: 'list',
      meaning:
        'For apps that can set no header: mail without a tag of its own gets this tag when one entry matches, all its keys. Headers and aliases go first, the default tag of the credential last. When several tags match, the first in this file is taken.',
      example: '[{ credential: keycloak, subject: "Reset password" }]',
    }),
    from: kit.optional(from(kit), {
      type: 'mapping',
      absent: 'none: any sender that the credential may use',
      meaning: 'The sender of such mail.',
      example: '{ address: "Example Security <security@example.com>", mode: rewrite }',
    }),
    priority: kit.optional(oneOf(PRIORITIES), {
      type: '`critical`, `normal`, `bulk`',
      absent: `\`critical\` with a preset, and for the tags ${PRESET_NAMES.map((name) => `\`${name}\``).join(', ')}; else \`normal\``,
      meaning: 'The lane. Critical mail never waits behind the others.',
      example: 'critical',
    }),
    ttl: kit.optional(durationOrNone(MIN_TTL_MS, MAX_TTL_MS), {
      type: 'duration or `none`',
      absent: 'none: `retry.give_up_after` counts',
      meaning:
        'How long the link in such a mail lives: after it the message is never delivered. The header `X-Leadpush-TTL` goes first. 1s to 30d.',
      example: '15m',
    }),
    delayed_after: kit.optional(durationOrNone(MIN_TTL_MS, MAX_TTL_MS), {
      type: 'duration or `none`',
      absent: 'none: never',
      meaning: 'Not accepted by the next hop by then: the event `message.delayed`, once. 1s to 30d.',
      example: '30s',
    }),
    collapse: kit.optional(oneOf(['recipient', 'key', 'none']), {
      type: '`recipient`, `key`, `none`',
      absent: '`key`',
      meaning:
        'Which older undelivered messages to the same recipient, from the same credential, a newer one replaces. `key`: those with the same `X-Leadpush-Collapse-Key`. `recipient`: for mail without that header, all with this tag. `none`: the header is kept and does nothing.',
      example: 'recipient',
    }),
    throttle: kit.optional(orNone(throttle(kit)), {
      type: 'mapping or `none`',
      meaning: 'A flood guard. What is over it is accepted, and ends as `throttled`: the client sees no difference.',
      example: '{ per_recipient: 5/1h }',
    }),
    links: kit.optional(orNone(links(kit)), {
      type: 'mapping or `none`',
      absent: 'none: links are not looked at',
      meaning:
        'What links such mail may hold. The text and HTML parts are read at acceptance and never changed; what is found is kept as host names and verdicts. Written beside a preset it takes the place of all of its `links`.',
      example: '{ hosts: [accounts.example.com], action: reject }',
    }),
    suppression: kit.optional(oneOf(['apply', 'bypass']), {
      type: '`apply`, `bypass`',
      absent: `as the preset says; without one \`bypass\` for the tags ${[...RECOVERY_TAGS].map((name) => `\`${name}\``).join(', ')}; else \`apply\``,
      meaning:
        'Whether a recipient on the suppression list gets this mail. `bypass`: it is tried all the same, for mail that a person waits for: of recovery mail a wrong entry locks somebody out, and a bounce costs little.',
      example: 'bypass',
    }),
  });
  return z.record(tagName(), tag).transform((tags) => {
    const result = new Map<string, TagConfig>();
    for (const [name, written] of Object.entries(tags)) result.set(name, tagConfig(name, written));
    for (const name of CRITICAL_TAGS) if (!result.has(name)) result.set(name, tagConfig(name, {}));
    return result;
  });
}

/** Tags that are critical by their name alone. */
const CRITICAL_TAGS: ReadonlySet<string> = new Set([...RECOVERY_TAGS, ...PRESET_NAMES]);

interface WrittenTag {
  readonly preset?: PresetName | undefined;
  readonly match?: readonly TagMatch[] | undefined;
  readonly from?: TagFrom | undefined;
  readonly priority?: Priority | undefined;
  readonly ttl?: number | null | undefined;
  readonly delayed_after?: number | null | undefined;
  readonly collapse?: TagConfig['collapse'] | undefined;
  readonly throttle?: ThrottleConfig | null | undefined;
  readonly links?: LinksConfig | null | undefined;
  readonly suppression?: TagConfig['suppression'] | undefined;
}

/** Of a tag without a preset. */
const PLAIN: Omit<PresetValues, 'priority' | 'suppression'> = {
  ttlMs: null,
  delayedAfterMs: null,
  collapse: 'key',
  throttle: null,
  links: null,
};

function tagConfig(name: string, written: WrittenTag): TagConfig {
  const preset: PresetValues =
    written.preset === undefined
      ? {
          ...PLAIN,
          priority: CRITICAL_TAGS.has(name) ? 'critical' : 'normal',
          suppression: RECOVERY_TAGS.has(name) ? 'bypass' : 'apply',
        }
      : PRESETS[written.preset];
  // `undefined` is a key that is not written; `null` is a written `none`.
  const or = <T>(value: T | undefined, otherwise: T): T => (value === undefined ? otherwise : value);
  return {
    name,
    priority: or(written.priority, preset.priority),
    ttlMs: or(written.ttl, preset.ttlMs),
    delayedAfterMs: or(written.delayed_after, preset.delayedAfterMs),
    collapse: or(written.collapse, preset.collapse),
    throttle: or(written.throttle, preset.throttle),
    suppression: or(written.suppression, preset.suppression),
    links: or(written.links, preset.links),
    recovery: RECOVERY_TAGS.has(name) || (written.preset !== undefined && RECOVERY_TAGS.has(written.preset)),
    match: written.match ?? [],
    from: written.from ?? null,
  };
}

/** A duration, or `none` as null. */
function durationOrNone(minMs: number, maxMs: number): z.ZodType<number | null> {
  return orNone(duration(minMs, maxMs));
}

/** `schema`, or `none` as null. An empty value is a mistake as everywhere: as text it is told as one. */
function orNone<T>(schema: z.ZodType<T>): z.ZodType<T | null> {
  return z.preprocess((input) => (input === 'none' ? null : (input ?? '')), schema.nullable());
}

function throttle(kit: Kit): z.ZodType<ThrottleConfig> {
  return section({
    per_recipient: kit.required(rate(MAX_THROTTLE_MS), {
      type: 'rate',
      meaning: 'Messages with this tag to one recipient at most in any such span of time. At most over 30d.',
      example: '5/1h',
    }),
  }).transform(({ per_recipient }) => ({ perRecipient: per_recipient }));
}

function links(kit: Kit): z.ZodType<LinksConfig> {
  return section({
    hosts: kit.optional(oneOrMany(linkHost()), {
      type: 'domain or list',
      absent: 'any public host',
      meaning:
        'Hosts that links may lead to; `*.example.com`: every host below; `"*"`: any public host beside those that are named.',
      example: '[accounts.example.com]',
    }),
    schemes: kit.defaulted(oneOrMany(linkScheme()), ['https'], {
      type: 'scheme or list',
      meaning: 'Schemes that links may have, without the colon.',
      example: '[https]',
    }),
    action: kit.defaulted(oneOf(['reject', 'warn']), 'reject', {
      type: '`reject`, `warn`',
      meaning:
        '`reject`: a message that breaks the policy is refused with 550 5.7.0, and the text says why. `warn`: it is sent, and the finding is kept with it.',
      example: 'warn',
    }),
  }).transform(({ hosts, schemes, action }) => ({ hosts: hosts ?? [], schemes, action }));
}

function linkHost(): z.ZodType<string> {
  return scalar({
    hint: 'write a host such as `accounts.example.com`, `*.example.com` for every host below, or `"*"` for any public host',
    read: (input) => {
      const value = input === '*' ? '*' : parseDomainPattern(input);
      return value === null ? { kind: 'problem', problem: 'is not a host name' } : { kind: 'value', value };
    },
  });
}

/** Schemes that run code, or carry the content themselves, are never a link that a person follows. */
const NEVER_ALLOWED: ReadonlySet<string> = new Set(['javascript', 'vbscript', 'data', 'file']);

function linkScheme(): z.ZodType<string> {
  return scalar({
    hint: 'write a scheme without the colon, such as `https`',
    read: (input) => {
      const scheme = input.toLowerCase();
      if (!/^[a-z][a-z0-9+.-]{0,31}$/.test(scheme)) return { kind: 'problem', problem: 'is not a scheme' };
      if (NEVER_ALLOWED.has(scheme)) return { kind: 'problem', problem: 'is never allowed in a mail' };
      return { kind: 'value', value: scheme };
    },
  });
}

function from(kit: Kit): z.ZodType<TagFrom> {
  return section({
    address: kit.required(namedMailbox(), {
      type: 'mailbox',
      meaning: 'The sender, with or without a name. Its domain must be in `senders` (or `unknown_senders: unsigned`).',
      example: '"Example Security <security@example.com>"',
    }),
    mode: kit.defaulted(oneOf(['require', 'rewrite']), 'require', {
      type: '`require`, `rewrite`',
      meaning:
        "`require`: mail with another address in From is refused with 550. `rewrite`: From is replaced, before signing. Either way `credentials[].from` must allow the address that goes out, so that no app takes another's name by setting a tag.",
      example: 'rewrite',
    }),
    keep_reply_to: kit.defaulted(trueOrFalse(), false, {
      type: '`true`, `false`',
      meaning: "With `rewrite`: whether the app's own From becomes `Reply-To` where the message has none.",
      example: 'true',
    }),
  }).transform(({ address, mode, keep_reply_to }) => ({ ...address, mode, keepReplyTo: keep_reply_to }));
}

function match(kit: Kit): z.ZodType<TagMatch> {
  return section({
    credential: kit.optional(oneOrMany(text(128, 'the username of a credential')), {
      type: 'username or list',
      absent: 'not asked',
      meaning: 'The credential that the client logged in with.',
      example: 'keycloak',
    }),
    from: kit.optional(oneOrMany(senderPattern()), {
      type: 'pattern or list',
      absent: 'not asked',
      meaning: 'The address in From, as the app wrote it: `a@example.com`, `*@example.com`, `*@*.example.com`.',
      example: 'no-reply@example.com',
    }),
    subject: kit.optional(subject(kit), {
      type: 'text or mapping',
      absent: 'not asked',
      meaning:
        'The subject, decoded, with each run of white space taken for one space. A text is the whole subject; else a mapping with one of the keys below. Letter case never counts. A subject of more than 500 characters matches nothing.',
      example: '"Reset password"',
    }),
  }).transform((value, context): TagMatch => {
    const { credential = null, from = null, subject = null } = value;
    if (credential === null && from === null && subject === null) {
      addIssue(context, 'asks for nothing, and would match all mail', {
        // The place is a number in a list: it has no name to begin with.
        subject: 'secret',
        hint: 'write `credential`, `from` or `subject`; for all mail of a credential, `credentials[].tag`',
      });
      return z.NEVER;
    }
    return { credential, from, subject };
  });
}

function subject(kit: Kit): z.ZodType<SubjectMatch> {
  const words = section({
    exact: kit.optional(text(MAX_SUBJECT_CHARS, 'a subject'), {
      type: 'text',
      meaning: 'The whole subject; the same as a text in place of the mapping.',
      example: '"Reset password"',
    }),
    contains: kit.optional(text(MAX_SUBJECT_CHARS, 'a part of a subject'), {
      type: 'text',
      meaning: 'A part of the subject.',
      example: '"password reset"',
    }),
    pattern: kit.optional(subjectPattern(), {
      type: 'pattern',
      meaning: 'A pattern (below) that some part of the subject fits; `^` and `$` tie it to the ends.',
      example: String.raw`'^Use code \S{4,12} to recover'`,
    }),
  }).transform((value, context): SubjectMatch => {
    const { exact, contains, pattern } = value;
    const given = [exact, contains, pattern].filter((one) => one !== undefined);
    if (given.length === 1) {
      if (exact !== undefined) return { kind: 'exact', text: exact };
      if (contains !== undefined) return { kind: 'contains', text: contains };
      if (pattern !== undefined) return { kind: 'pattern', pattern };
    }
    addIssue(context, given.length === 0 ? 'says nothing of the subject' : 'says several things of the subject', {
      subject: 'key',
      hint: 'write a text, or one of `exact`, `contains`, `pattern`; each further one in an entry of its own',
    });
    return z.NEVER;
  });
  return z.preprocess((input) => (typeof input === 'string' ? { exact: input } : input), words);
}

function subjectPattern(): z.ZodType<Pattern> {
  return scalar({
    hint: 'see "Patterns" in config/README.md for what a pattern may hold',
    read: (input) => {
      const parsed = parsePattern(input);
      return parsed.kind === 'pattern'
        ? { kind: 'value', value: parsed.pattern }
        : { kind: 'problem', problem: parsed.reason };
    },
  });
}
