/** The sections `credentials`, `senders` and `tags`: who sends, for which domains, and what kinds of mail. */
import { z } from 'zod';
import { MAX_TTL_MS, MIN_TTL_MS, PRIORITIES, RECOVERY_TAGS } from '../../core/message.ts';
import type { CredentialConfig, SenderConfig, TagConfig, ThrottleConfig } from '../types.ts';
import { type Kit, list, oneOf, type Reading, scalar, section } from './kit.ts';
import { domain, duration, network, path, rate, scryptHash, senderPattern, tagName, text } from './scalars.ts';

/** `X-Leadpush-*` headers without that prefix; `metadata` stands for the whole family `X-Leadpush-Metadata-*`. */
const RELAY_HEADER_NAMES = [
  'tag',
  'flow',
  'metadata',
  'ttl',
  'collapse-key',
  'idempotency-key',
  'priority',
  'require-tls',
] as const;

export function credentialsSection(kit: Kit): z.ZodType<readonly CredentialConfig[]> {
  const credential = section({
    username: kit.required(text(128, 'the name that the app logs in with'), {
      type: 'text',
      meaning: 'The name that the app logs in with; in the log and with every message.',
      example: 'keycloak',
    }),
    password: kit.required(scryptHash(), {
      type: 'hash',
      meaning:
        'A scrypt hash, made by `leadpush-relay credential hash`. At most 128 MiB of memory and N * r * p of 1048576.',
      example: '"scrypt:16384:8:1:ZXhhbXBsZS1zYWx0IQ==:WQ2qYJtRlVWAyVYcYV3VxGTIP9KpKzTPVc1ywcdDLdE="',
    }),
    from: kit.defaulted(list(senderPattern(), 0), [], {
      type: 'list of patterns',
      absent: '`[]`: any of `senders`',
      meaning: 'Which From and envelope senders it may use: `a@example.com`, `*@example.com`, `*@*.example.com`, `*`.',
      example: '["*@example.com"]',
    }),
    networks: kit.defaulted(list(network(false), 0), [], {
      type: 'list of networks',
      absent: '`[]`: any',
      meaning: 'Client networks from which it may log in.',
      example: '[10.0.0.0/8]',
    }),
    tag: kit.optional(tagName(), {
      type: 'tag',
      meaning: 'Tag of its mail when the message itself has none.',
      example: 'password-reset',
    }),
    headers: kit.defaulted(
      headers(kit),
      {},
      {
        type: 'mapping',
        meaning: 'Which `X-Leadpush-*` headers it may set.',
        example: '{ allow: [tag, ttl, flow] }',
      },
    ),
  }).transform((value) => ({ ...value, tag: value.tag ?? null }));
  return list(credential, 0);
}

function headers(kit: Kit): z.ZodType<CredentialConfig['headers']> {
  const header = scalar({ hint: `write \`all\`, or some of ${RELAY_HEADER_NAMES.join(', ')}`, read: readHeaderName });
  // `all` becomes undefined on the way, so that a list is all that is left to read.
  const names = z.preprocess((input) => {
    if (typeof input !== 'string') return input;
    return input === 'all' ? undefined : [input];
  }, z.array(header).optional());
  const allow = names.transform((allowed): CredentialConfig['headers']['allow'] =>
    allowed === undefined ? 'all' : new Set(allowed),
  );
  return section({
    allow: kit.defaulted(allow, 'all', {
      type: '`all` or a list of names',
      meaning: `The headers that it may set, without \`X-Leadpush-\`: ${RELAY_HEADER_NAMES.map((header) => `\`${header}\``).join(', ')}. Another one in its mail is refused with 550.`,
      example: '[tag, ttl, flow]',
    }),
  });
}

function readHeaderName(text: string): Reading<string> {
  const short = text.toLowerCase().replace(/^x-leadpush-/, '');
  const known = RELAY_HEADER_NAMES.find((header) => header === short);
  if (known !== undefined) return { kind: 'value', value: known };
  return { kind: 'problem', problem: 'is not the name of a relay header', known: ['all', ...RELAY_HEADER_NAMES] };
}

export function sendersSection(kit: Kit): z.ZodType<readonly SenderConfig[]> {
  const key = section({
    selector: kit.required(domain(), {
      type: 'selector',
      meaning: 'DKIM selector: the public key is published at `<selector>._domainkey.<domain>`.',
      example: 'lp1',
    }),
    key: kit.required(path(kit.files), {
      type: 'path',
      meaning:
        'Private key, PEM: RSA of 2048 bits or more, or Ed25519. When every route is a sandbox, the relay makes missing keys itself.',
      example: './dkim/example.com.lp1.pem',
    }),
  });
  const sender = section({
    domain: kit.required(domain(), {
      type: 'domain',
      meaning: 'A From domain that this relay sends for. Each domain below it is a sender of its own.',
      example: 'example.com',
    }),
    dkim: kit.defaulted(list(key, 0), [], {
      type: 'list',
      absent: '`[]`: its mail goes out unsigned',
      meaning: 'Every key signs: list an RSA and an Ed25519 key side by side.',
      example: '[{ selector: lp1, key: ./dkim/example.com.lp1.pem }]',
    }),
    return_path: kit.optional(domain(), {
      type: 'domain',
      absent: "the app's own envelope sender is kept",
      meaning:
        'Each delivery gets an envelope sender of its own in this domain (VERP), so that a report about it finds its delivery. Reports come to `bounces.listeners`. Mail with the null sender keeps it.',
      example: 'bounces.example.com',
    }),
  }).transform(({ domain, dkim, return_path }) => ({ domain, dkim, returnPath: return_path ?? null }));
  return list(sender, 0);
}

export function tagsSection(kit: Kit): z.ZodType<ReadonlyMap<string, TagConfig>> {
  const tag = section({
    priority: kit.optional(oneOf(PRIORITIES), {
      type: '`critical`, `normal`, `bulk`',
      absent: '`critical` for `password-reset`, `admin-reset` and `compromised-account`, else `normal`',
      meaning: 'The lane. Critical mail never waits behind the others.',
      example: 'critical',
    }),
    ttl: kit.optional(duration(MIN_TTL_MS, MAX_TTL_MS), {
      type: 'duration',
      absent: 'none: `retry.give_up_after` counts',
      meaning:
        'How long the link in such a mail lives: after it the message is never delivered. The header `X-Leadpush-TTL` goes first. 1s to 30d.',
      example: '15m',
    }),
    delayed_after: kit.optional(duration(MIN_TTL_MS, MAX_TTL_MS), {
      type: 'duration',
      absent: 'never',
      meaning: 'Not accepted by the next hop by then: the event `message.delayed`, once. 1s to 30d.',
      example: '30s',
    }),
    collapse: kit.defaulted(oneOf(['recipient', 'key', 'none']), 'key', {
      type: '`recipient`, `key`, `none`',
      meaning:
        'Which older undelivered messages to the same recipient, from the same credential, a newer one replaces. `key`: those with the same `X-Leadpush-Collapse-Key`. `recipient`: for mail without that header, all with this tag. `none`: the header is kept and does nothing.',
      example: 'recipient',
    }),
    throttle: kit.optional(throttle(kit), {
      type: 'mapping',
      meaning: 'A flood guard. What is over it is accepted, and ends as `throttled`: the client sees no difference.',
      example: '{ per_recipient: 5/1h }',
    }),
    suppression: kit.defaulted(oneOf(['apply', 'bypass']), 'apply', {
      type: '`apply`, `bypass`',
      meaning:
        'Whether a recipient on the suppression list gets this mail. `bypass`: it is tried all the same, for mail that a person waits for.',
      example: 'bypass',
    }),
  });
  return z.record(tagName(), tag).transform((tags) => {
    const result = new Map<string, TagConfig>();
    for (const name of RECOVERY_TAGS) result.set(name, { ...UNWRITTEN, name, priority: 'critical' });
    for (const [name, { priority, ttl, delayed_after, collapse, throttle, suppression }] of Object.entries(tags)) {
      result.set(name, {
        name,
        priority: priority ?? (RECOVERY_TAGS.has(name) ? 'critical' : 'normal'),
        ttlMs: ttl ?? null,
        delayedAfterMs: delayed_after ?? null,
        collapse,
        throttle: throttle ?? null,
        suppression,
      });
    }
    return result;
  });
}

/** A tag of which the config says nothing. */
const UNWRITTEN: Omit<TagConfig, 'name' | 'priority'> = {
  ttlMs: null,
  delayedAfterMs: null,
  collapse: 'key',
  throttle: null,
  suppression: 'apply',
};

/** Longer than any guard against floods; the messages are counted in the log, which is kept no longer by default. */
const MAX_THROTTLE_MS = 30 * 86_400_000;

function throttle(kit: Kit): z.ZodType<ThrottleConfig> {
  return section({
    per_recipient: kit.required(rate(MAX_THROTTLE_MS), {
      type: 'rate',
      meaning: 'Messages with this tag to one recipient at most in any such span of time. At most over 30d.',
      example: '5/1h',
    }),
  }).transform(({ per_recipient }) => ({ perRecipient: per_recipient }));
}
