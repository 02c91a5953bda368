/**
 * The whole config: its sections, and the small ones themselves.
 *
 * The schema knows one value at a time. What depends on several (references, duplicates, what is reachable from where)
 * is in config/checks, so that it is told even when a value beside it is wrong.
 */
import { z } from 'zod';
import { hostname } from 'node:os';
import type { BouncesConfig, Config, LogConfig, RetentionConfig, RetryConfig } from '../types.ts';
import { type Kit, list, oneOf, oneOrMany, section, trueOrFalse } from './kit.ts';
import { routesSection, rulesSection } from './routes.ts';
import { contentKey, domain, duration, path } from './scalars.ts';
import { credentialsSection, sendersSection } from './senders.ts';
import { httpSection, listener, smtpSection } from './smtp.ts';
import { tagsSection } from './tags.ts';
import { webhooksSection } from './webhooks.ts';

const DAY_MS = 86_400_000;
const MAX_RETENTION_MS = 3650 * DAY_MS;

/** The schema of a config file; what it gives is a `Config` but for the file's own name. */
export function configSchema(kit: Kit): z.ZodType<Omit<Config, 'file'>> {
  return section({
    hostname: kit.defaulted(domain(), kit.machineName, {
      type: 'domain',
      absent: "the machine's name; `localhost` when that is no domain name",
      meaning: 'Name of this relay: in the greeting, EHLO, `Received` and message ids.',
      example: 'relay.example.com',
    }),
    data: kit.defaulted(path(kit.files), './data', {
      type: 'path',
      meaning:
        'Folder of the database, the content key and certificates that the relay makes. Made at the first start.',
      example: '/var/lib/leadpush-relay',
    }),
    store: kit.defaulted(oneOf(['sqlite']), 'sqlite', {
      type: '`sqlite`',
      meaning: 'Where queue and log are kept.',
      example: 'sqlite',
    }),
    content_key: kit.optional(oneOrMany(contentKey()), {
      type: 'key or list of keys',
      absent: 'the file `content.key` in `data`, made at the first start',
      meaning:
        'The key that stored content is encrypted under: base64 of 32 octets (`openssl rand -base64 32`). The first one encrypts; those after it still open what is older, during a rotation.',
      example: '"${LEADPUSH_CONTENT_KEY}"',
    }),
    retention: kit.defaulted(
      retentionSection(kit),
      {},
      {
        type: 'mapping',
        meaning: 'How long what is kept.',
        example: '{ content: until-settled, sandbox: 7d, events: 30d }',
      },
    ),
    smtp: kit.defaulted(
      smtpSection(kit),
      {},
      { type: 'mapping', meaning: 'Mail coming in.', example: '{ max_message_size: 10MB }' },
    ),
    http: kit.defaulted(
      httpSection(kit),
      {},
      {
        type: 'mapping',
        meaning: 'The HTTP API under `/v1`, the dashboard at `/`, health and metrics.',
        example: '{ port: 8025 }',
      },
    ),
    credentials: kit.defaulted(credentialsSection(kit), [], {
      type: 'list',
      meaning: 'Who may log in to submit mail.',
      example: '[{ username: keycloak, password: "scrypt:..." }]',
    }),
    senders: kit.defaulted(sendersSection(kit), [], {
      type: 'list',
      meaning: 'The From domains that this relay sends for.',
      example: '[{ domain: example.com }]',
    }),
    unknown_senders: kit.defaulted(oneOf(['reject', 'unsigned']), 'reject', {
      type: '`reject`, `unsigned`',
      meaning: 'What becomes of mail whose From domain is not in `senders`.',
      example: 'reject',
    }),
    tags: kit.defaulted(
      tagsSection(kit),
      {},
      {
        type: 'mapping by tag',
        absent:
          'the tags that presets are named after, critical; of these the recovery tags with `suppression: bypass`',
        meaning:
          'Kinds of mail, in the order in which their `match` is asked. `password-reset`, `admin-reset`, `compromised-account`, `otp` and `magic-link` always exist. A tag needs no entry here to be used.',
        example: '{ password-reset: { preset: password-reset } }',
      },
    ),
    routes: kit.defaulted(
      routesSection(kit),
      {},
      {
        type: 'mapping by name',
        absent: 'required: at least one',
        meaning: 'The ways out.',
        example: '{ sandbox: { type: sandbox } }',
      },
    ),
    rules: kit.defaulted(rulesSection(kit), [], {
      type: 'list',
      absent: 'required: at least one',
      meaning:
        'Which route a message takes, recipient by recipient. The first rule that matches wins; mail that none matches is refused.',
      example: '[{ name: default, via: [sandbox] }]',
    }),
    retry: kit.defaulted(
      retrySection(kit),
      {},
      {
        type: 'mapping',
        meaning: 'When to try again.',
        example: '{ critical: [5s, 15s, 30s, 1m, 2m, 5m] }',
      },
    ),
    webhooks: kit.defaulted(webhooksSection(kit), [], {
      type: 'list',
      meaning: 'Endpoints that events are sent to, signed (Standard Webhooks 1.0.0); 100 at most.',
      example: '[{ name: auth, url: "https://auth.example.com/hooks/mail", secret: "..." }]',
    }),
    bounces: kit.defaulted(
      bouncesSection(kit),
      {},
      {
        type: 'mapping',
        meaning: 'What is done about mail that failed, and where reports about it come in.',
        example: '{ dsn: true, suppress_for: 30d }',
      },
    ),
    log: kit.defaulted(
      logSection(kit),
      {},
      {
        type: 'mapping',
        meaning: "The relay's own log: one line a fact, on standard output.",
        example: '{ level: info, format: json, file: ./data/relay.log }',
      },
    ),
  }).transform((value) => ({
    hostname: value.hostname,
    dataDir: value.data,
    store: { kind: value.store },
    contentKeys: value.content_key ?? [],
    retention: value.retention,
    smtp: value.smtp,
    http: value.http,
    credentials: value.credentials,
    senders: value.senders,
    unknownSenders: value.unknown_senders,
    tags: value.tags,
    routes: value.routes,
    rules: value.rules,
    retry: value.retry,
    webhooks: value.webhooks,
    bounces: value.bounces,
    log: value.log,
  }));
}

/** The machine's own name for use as the default `hostname`; `localhost` when it is not a domain name. */
export function machineName(): string {
  const name = hostname();
  return domain().safeParse(name).success ? name.toLowerCase() : 'localhost';
}

function retentionSection(kit: Kit): z.ZodType<RetentionConfig> {
  const kept = duration(0, MAX_RETENTION_MS);
  const content = z.preprocess((input) => (input === 'until-settled' ? '0ms' : input), kept);
  return section({
    content: kit.defaulted(content, 'until-settled', {
      type: '`until-settled` or duration',
      meaning:
        'Content of a message, counted from the final state of its last recipient. `until-settled`: it goes at once.',
      example: '1h',
    }),
    sandbox: kit.defaulted(kept, '7d', {
      type: 'duration',
      meaning: 'Content that a sandbox route captured.',
      example: '1d',
    }),
    events: kit.defaulted(kept, '30d', {
      type: 'duration',
      meaning:
        'Messages without their content, attempts and events, counted from the last final state. At most 3650d. Events that a webhook has yet to get stay until it has them, or four days at most.',
      example: '90d',
    }),
  }).transform((value) => ({ contentMs: value.content, sandboxMs: value.sandbox, eventsMs: value.events }));
}

function retrySection(kit: Kit): z.ZodType<RetryConfig> {
  const ladder = list(duration(10, 7 * DAY_MS), 1);
  const type = 'list of durations';
  const steps = 'Waits between attempts; the last one repeats until the TTL or `give_up_after`. 10ms to 7d each.';
  return section({
    critical: kit.defaulted(ladder, ['5s', '15s', '30s', '1m', '2m', '5m'], {
      type,
      meaning: steps,
      example: '[5s, 15s, 1m]',
    }),
    normal: kit.defaulted(ladder, ['30s', '1m', '5m', '15m', '30m', '1h'], {
      type,
      meaning: steps,
      example: '[1m, 5m, 30m]',
    }),
    bulk: kit.defaulted(ladder, ['5m', '15m', '1h', '2h'], { type, meaning: steps, example: '[15m, 1h, 4h]' }),
    give_up_after: kit.defaulted(duration(10, 30 * DAY_MS), '2d', {
      type: 'duration',
      meaning: 'A message without a TTL expires after this. 10ms to 30d.',
      example: '1d',
    }),
  }).transform(({ critical, normal, bulk, give_up_after }) => ({
    ladders: { critical, normal, bulk },
    giveUpAfterMs: give_up_after,
  }));
}

function bouncesSection(kit: Kit): z.ZodType<BouncesConfig> {
  return section({
    dsn: kit.defaulted(trueOrFalse(), false, {
      type: '`true`, `false`',
      meaning:
        'Whether a report (RFC 3464) goes to the envelope sender of SMTP mail that failed, as far as its NOTIFY asks for it. None goes to the null sender.',
      example: 'true',
    }),
    listeners: kit.defaulted(list(listener(kit, 25), 0), [], {
      type: 'list',
      absent: '`[]`: no reports come in',
      meaning:
        'Where other servers deliver reports to the return paths of `senders`. They take mail for addresses that the relay made, and for nobody else. The MX record of each `return_path` leads here. Certificate: `smtp.tls`.',
      example: '[{ host: 0.0.0.0, port: 25, tls: starttls }]',
    }),
    suppress_for: kit.defaulted(duration(1000, MAX_RETENTION_MS), '30d', {
      type: 'duration',
      meaning:
        'How long a recipient stays suppressed whose mailbox does not exist (bounce class `recipient`) or who complained. 1s to 3650d.',
      example: '14d',
    }),
  }).transform(({ dsn, listeners, suppress_for }) => ({ dsn, listeners, suppressForMs: suppress_for }));
}

function logSection(kit: Kit): z.ZodType<LogConfig> {
  return section({
    level: kit.defaulted(oneOf(['trace', 'debug', 'info', 'warn', 'error', 'silent']), 'info', {
      type: '`trace`, `debug`, `info`, `warn`, `error`, `silent`',
      meaning: 'The least level that is logged. No level shows content, subjects or links.',
      example: 'warn',
    }),
    format: kit.defaulted(oneOf(['json', 'logfmt', 'pretty']), 'json', {
      type: '`json`, `logfmt`, `pretty`',
      meaning:
        'Of standard output. `json`: one object a line, `logfmt`: `key=value`, both for tools. `pretty`: for eyes.',
      example: 'pretty',
    }),
    file: kit.optional(path(kit.files), {
      type: 'path',
      absent: 'none: standard output alone',
      meaning: 'A file that gets the same lines, always as JSON. SIGUSR2 opens it anew after it was moved away.',
      example: './data/relay.log',
    }),
  }).transform((value) => ({ ...value, file: value.file ?? null }));
}
