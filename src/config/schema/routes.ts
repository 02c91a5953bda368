/** The sections `routes` and `rules`: the ways out, and which mail takes which. */
import { z } from 'zod';
import { PRIORITIES } from '../../core/message.ts';
import type { RouteConfig, RuleConfig, SmtpRouteConfig } from '../types.ts';
import { integer, type Kit, list, oneOf, oneOrMany, section } from './kit.ts';
import {
  certificateFile,
  domainPattern,
  duration,
  host,
  mailbox,
  name,
  rate,
  replyText,
  secretText,
  tagName,
  text,
} from './scalars.ts';

/** What each kind of TLS is usually spoken on. */
const DEFAULT_PORTS: Readonly<Record<SmtpRouteConfig['tls'], number>> = { required: 587, implicit: 465, none: 25 };

const OPPORTUNISTIC = new Map([
  ['opportunistic', 'is for routes of type mx alone: to a named host TLS is verified, or switched off by name'],
]);

export function routesSection(kit: Kit): z.ZodType<ReadonlyMap<string, RouteConfig>> {
  const route = z.discriminatedUnion('type', [sandboxRoute(kit), smtpRoute(kit)]);
  return z.record(name(), route).transform((routes) => {
    const result = new Map<string, RouteConfig>();
    for (const [routeName, value] of Object.entries(routes)) {
      if (value.type === 'sandbox') {
        result.set(routeName, { name: routeName, type: value.type });
        continue;
      }
      const { type, host, port, tls, username, password, connections, rate, ca, servername, ehlo } = value;
      result.set(routeName, {
        name: routeName,
        type,
        host,
        port: port ?? DEFAULT_PORTS[tls],
        tls,
        auth: username === undefined || password === undefined ? null : { username, password },
        connections,
        rate: rate ?? null,
        ca: ca ?? null,
        servername: servername ?? null,
        connectTimeoutMs: value.connect_timeout,
        ehlo: ehlo ?? null,
      });
    }
    return result;
  });
}

function sandboxRoute(kit: Kit) {
  return section({
    type: routeType(
      kit,
      'sandbox',
      'Captures every message to be looked at; nothing leaves the machine. It has no other keys.',
    ),
  });
}

function smtpRoute(kit: Kit) {
  return section({
    type: routeType(kit, 'smtp', 'Hands mail to a smarthost or a provider over SMTP.'),
    host: kit.required(host(), {
      type: 'host',
      meaning: 'The smarthost.',
      example: 'email-smtp.eu-west-1.amazonaws.com',
    }),
    port: kit.optional(integer(1, 65_535), {
      type: 'number',
      absent: '587 for `tls: required`, 465 for `implicit`, 25 for `none`',
      meaning: 'Its port.',
      example: '587',
    }),
    tls: kit.defaulted(oneOf(['required', 'implicit', 'none'], OPPORTUNISTIC), 'required', {
      type: '`required`, `implicit`, `none`',
      meaning:
        '`required`: STARTTLS with a verified certificate. `implicit`: TLS from the first octet, verified. `none`: mail goes in clear; a warning tells so unless the host is loopback. It never falls back to plain.',
      example: 'implicit',
    }),
    username: kit.optional(text(512, 'the name to log in with'), {
      type: 'text',
      meaning: 'Name to log in with; together with `password`.',
      example: '"${SES_USER}"',
    }),
    password: kit.optional(secretText(512, 'the password, best as "${NAME}" or "${file:PATH}"'), {
      type: 'text',
      meaning: 'Password, never sent without TLS to another machine.',
      example: '"${file:./secrets/ses-password}"',
    }),
    connections: kit.defaulted(integer(1, 1000), 10, {
      type: 'number',
      meaning: 'Connections at most at the same time. 1 to 1000.',
      example: '20',
    }),
    rate: kit.optional(rate(), {
      type: 'rate',
      meaning: 'Messages at most in any such span of time.',
      example: '14/1s',
    }),
    ca: kit.optional(certificateFile(kit.files), {
      type: 'path',
      absent: "the system's authorities",
      meaning: 'PEM file with the certificate authorities to trust instead; read when the config is loaded.',
      example: './tls/company-ca.pem',
    }),
    servername: kit.optional(host(), {
      type: 'host',
      absent: '`host`',
      meaning: 'Name to ask for (SNI) and to verify in the certificate.',
      example: 'smtp.example.com',
    }),
    connect_timeout: kit.defaulted(duration(100, 300_000), '5s', {
      type: 'duration',
      meaning: 'For the TCP connection. 100ms to 5m.',
      example: '3s',
    }),
    ehlo: kit.optional(host(), {
      type: 'host',
      absent: '`hostname`',
      meaning: 'Name to give in EHLO.',
      example: 'relay.example.com',
    }),
  });
}

function routeType<const T extends string>(kit: Kit, type: T, meaning: string): z.ZodLiteral<T> {
  const literal = z.literal(type);
  kit.docs.add(literal, { type: `\`${type}\``, meaning, example: type, fallback: 'required' });
  return literal;
}

export function rulesSection(kit: Kit): z.ZodType<readonly RuleConfig[]> {
  const rule = section({
    name: kit.required(name(), {
      type: 'name',
      meaning: 'Recorded with every message that it decides on; no two alike.',
      example: 'recovery',
    }),
    when: kit.defaulted(
      condition(kit),
      {},
      {
        type: 'mapping',
        absent: 'matches everything',
        meaning: 'What must hold: all keys that are given, of each at least one entry.',
        example: '{ tag: [password-reset, admin-reset] }',
      },
    ),
    via: kit.optional(oneOrMany(name()), {
      type: 'route or list of routes',
      absent: 'needs `reject`',
      meaning:
        'The routes in order. The first that may carry the message is used, also for retries; moving on to the next when it is down is not available yet.',
      example: '[ses, postmark]',
    }),
    reject: kit.optional(replyText(), {
      type: 'text',
      absent: 'needs `via`',
      meaning: 'Refuses the message with 550 and this text. Printable ASCII.',
      example: '"no test addresses"',
    }),
  }).transform(({ name, when, via, reject }): RuleConfig => {
    // config/checks sees to it that exactly one of the two is there.
    const action =
      via === undefined ? ({ kind: 'reject', reason: reject ?? '' } as const) : ({ kind: 'via', routes: via } as const);
    return { name, when, action };
  });
  return list(rule, 0);
}

function condition(kit: Kit): z.ZodType<RuleConfig['when']> {
  const doc = (type: string, meaning: string, example: string) => ({
    type: `${type} or list`,
    absent: 'not asked',
    meaning,
    example,
  });
  return section({
    tag: kit.optional(oneOrMany(tagName()), doc('tag', 'The tag of the message.', 'password-reset')),
    recipient_domain: kit.optional(
      oneOrMany(domainPattern()),
      doc(
        'domain',
        "The recipient's domain; `*.example.com`: every domain below.",
        '[partner.example, "*.partner.example"]',
      ),
    ),
    recipient: kit.optional(
      oneOrMany(mailbox()),
      doc('address', 'The recipient; letter case does not count.', 'ann@example.net'),
    ),
    sender_domain: kit.optional(
      oneOrMany(domainPattern()),
      doc('domain', 'The domain in From; `*.example.com`: every domain below.', 'example.com'),
    ),
    credential: kit.optional(
      oneOrMany(text(128, 'the username of a credential')),
      doc('username', 'The credential that the client logged in with.', 'keycloak'),
    ),
    priority: kit.optional(oneOrMany(oneOf(PRIORITIES)), doc('priority', 'The lane.', '[normal, bulk]')),
  }).transform(({ tag, recipient_domain, recipient, sender_domain, credential, priority }) => ({
    ...(tag === undefined ? {} : { tag }),
    ...(recipient_domain === undefined ? {} : { recipientDomain: recipient_domain }),
    ...(recipient === undefined ? {} : { recipient }),
    ...(sender_domain === undefined ? {} : { senderDomain: sender_domain }),
    ...(credential === undefined ? {} : { credential }),
    ...(priority === undefined ? {} : { priority }),
  }));
}
