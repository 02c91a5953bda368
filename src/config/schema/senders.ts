/** The sections `credentials` and `senders`: who sends, and for which domains. */
import { z } from 'zod';
import { ALIAS_FAMILIES, type CredentialConfig, type SenderConfig } from '../types.ts';
import { type Kit, list, oneOf, oneOrMany, type Reading, scalar, section } from './kit.ts';
import { domain, network, path, rate, scryptHash, senderPattern, tagName, text } from './scalars.ts';

/** Deliveries are counted in the log, which is kept no longer by default. */
const MAX_RATE_MS = 30 * 86_400_000;

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
        meaning: "Which `X-Leadpush-*` headers it may set, and which other services' header names are read.",
        example: '{ allow: [tag, ttl, flow], aliases: [postmark] }',
      },
    ),
    rate: kit.optional(rate(MAX_RATE_MS), {
      type: 'rate',
      absent: 'no limit',
      meaning:
        'Deliveries of its mail at most in any such span of time, all recipients together. What is over it is accepted, and ends as `throttled`: the client sees no difference. At most over 30d.',
      example: '200/1m',
    }),
  }).transform((value) => ({ ...value, tag: value.tag ?? null, rate: value.rate ?? null }));
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
  const aliases = z
    .preprocess(
      (input) => (Array.isArray(input) && input.length === 0 ? undefined : input),
      oneOrMany(oneOf(ALIAS_FAMILIES)).optional(),
    )
    .transform((families) => new Set(families ?? []));
  return section({
    allow: kit.defaulted(allow, 'all', {
      type: '`all` or a list of names',
      meaning: `The headers that it may set, without \`X-Leadpush-\`: ${RELAY_HEADER_NAMES.map((header) => `\`${header}\``).join(', ')}. Another one in its mail is refused with 550.`,
      example: '[tag, ttl, flow]',
    }),
    aliases: kit.defaulted(aliases, [], {
      type: `list of ${ALIAS_FAMILIES.map((family) => `\`${family}\``).join(', ')}`,
      absent: '`[]`: none is read, all are passed on as they are',
      meaning: ALIASES_MEANING,
      example: '[postmark]',
    }),
  });
}

const ALIASES_MEANING = [
  'Header names of other services that stand for ours, and are taken out before signing.',
  '`postmark`: `X-PM-Tag`, `X-PM-Metadata-*`.',
  '`ses`: `X-SES-MESSAGE-TAGS` (the pair `tag=...` is the tag, the others are metadata), else `X-SES-Configuration-Set`.',
  '`mailgun`: `X-Mailgun-Tag`.',
  '`symfony` (Laravel too): `X-Tag`, `X-Metadata-*`.',
  '`postal`: `X-Postal-Tag`.',
  'Tags become lower case with `-` for spaces; one that is no tag even then is refused with 550.',
].join(' ');

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
