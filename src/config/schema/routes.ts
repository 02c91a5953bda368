/** The sections `routes` and `rules`: the ways out, and which mail takes which. */
import { z } from 'zod';
import { PRIORITIES } from '../../core/message.ts';
import type { ConnectTimeouts, MxRouteConfig, RouteConfig, RuleConfig, SmtpRouteConfig } from '../types.ts';
import { integer, type Kit, list, oneOf, oneOrMany, section, trueOrFalse } from './kit.ts';
import {
  certificateFile,
  domainPattern,
  duration,
  host,
  ipAddress,
  mailbox,
  name,
  rate,
  replyText,
  secretText,
  server,
  tagName,
  text,
} from './scalars.ts';

/** What each kind of TLS is usually spoken on. */
const DEFAULT_PORTS: Readonly<Record<SmtpRouteConfig['tls'], number>> = { required: 587, implicit: 465, none: 25 };

const OPPORTUNISTIC = new Map([
  ['opportunistic', 'is for routes of type mx alone: to a named host TLS is verified, or switched off by name'],
]);

const NAMED_HOSTS_ONLY = new Map([
  ['implicit', 'is for routes of type smtp alone: MX hosts speak SMTP on port 25, and TLS after STARTTLS'],
  ['none', 'is for routes of type smtp alone: an MX host that offers TLS gets it'],
]);

/** Where a second route waits, critical mail must not stand long before a host that does not answer. */
const CONNECT_TIMEOUTS: ConnectTimeouts = { critical: 2000, normal: 5000, bulk: 5000 };
const MAX_RATE_MS = 30 * 86_400_000;

export function routesSection(kit: Kit): z.ZodType<ReadonlyMap<string, RouteConfig>> {
  const route = z.discriminatedUnion('type', [sandboxRoute(kit), smtpRoute(kit), mxRoute(kit)]);
  return z.record(name(), route).transform((routes) => {
    const result = new Map<string, RouteConfig>();
    for (const [routeName, value] of Object.entries(routes)) {
      if (value.type === 'sandbox') {
        result.set(routeName, { name: routeName, type: value.type });
        continue;
      }
      if (value.type === 'mx') {
        result.set(routeName, mxConfig(routeName, value));
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
        connectTimeoutMs: connectTimeouts(value.connect_timeout),
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
      meaning: 'Connections at most at the same time. 1 to 1000. About a fifth is kept free for critical mail.',
      example: '20',
    }),
    ...anyHopKeys(kit),
    servername: kit.optional(host(), {
      type: 'host',
      absent: '`host`',
      meaning: 'Name to ask for (SNI) and to verify in the certificate.',
      example: 'smtp.example.com',
    }),
  });
}

function mxRoute(kit: Kit) {
  return section({
    type: routeType(
      kit,
      'mx',
      "Delivers to the servers of each recipient's domain, as DNS names them (MX). The host needs a fixed address with a PTR record, and port 25 open to the outside.",
    ),
    tls: kit.defaulted(oneOf(['opportunistic', 'required'], NAMED_HOSTS_ONLY), 'opportunistic', {
      type: '`opportunistic`, `required`',
      meaning:
        '`opportunistic`: TLS wherever it is offered, and verified where MTA-STS, DANE or `X-Leadpush-Require-TLS` ask for it. `required`: always TLS, with a certificate for the name of the MX host; many domains cannot be reached then.',
      example: 'required',
    }),
    port: kit.defaulted(integer(1, 65_535), 25, {
      type: 'number',
      meaning: 'Port of the MX hosts; other than 25 only for tests.',
      example: '25',
    }),
    dns: kit.optional(oneOrMany(server(53)), {
      type: 'server or list',
      absent: "the system's",
      meaning: 'DNS servers to ask, by address, port 53 when none is written. A name server on this machine is best.',
      example: '["127.0.0.1:5353", "[::1]:53"]',
    }),
    allow_private: kit.defaulted(trueOrFalse(), false, {
      type: '`true`, `false`',
      meaning:
        'Whether MX hosts with private, loopback and other special addresses may be connected to. Whoever controls the DNS of a recipient domain chooses these addresses.',
      example: 'true',
    }),
    source_ip: kit.optional(oneOrMany(ipAddress()), {
      type: 'address or list',
      absent: 'the system chooses',
      meaning:
        'Local address to connect from; one IPv4 and one IPv6 address at most. A family without one is not used.',
      example: '[192.0.2.7, "2001:db8::7"]',
    }),
    connections: kit.defaulted(integer(1, 10_000), 100, {
      type: 'number',
      meaning:
        'Connections at most at the same time, in all. 1 to 10000. About a fifth is kept free for critical mail.',
      example: '200',
    }),
    connections_per_domain: kit.defaulted(integer(1, 1000), 10, {
      type: 'number',
      meaning: 'Of them to one recipient domain. 1 to 1000. Here too a part is kept free for critical mail.',
      example: '5',
    }),
    connections_per_host: kit.defaulted(integer(1, 1000), 20, {
      type: 'number',
      meaning:
        'Of them to the MX hosts of one network (IPv4 /24, IPv6 /64), which may serve many domains under many names. 1 to 1000. When all are busy, a quarter as many messages wait (2 at least), of each lane; more are tried again later.',
      example: '10',
    }),
    dane: kit.defaulted(trueOrFalse(), false, {
      type: '`true`, `false`',
      meaning:
        'Whether TLSA records are used (RFC 7672). Needs `dns`: servers that validate DNSSEC, and a way to them that nobody can change, best on this machine.',
      example: 'true',
    }),
    mta_sts: kit.defaulted(trueOrFalse(), true, {
      type: '`true`, `false`',
      meaning: 'Whether the policies of recipient domains are fetched and kept to (RFC 8461).',
      example: 'false',
    }),
    ...anyHopKeys(kit),
  });
}

/** Keys of every route that speaks SMTP. */
function anyHopKeys(kit: Kit) {
  return {
    rate: kit.optional(rate(MAX_RATE_MS), {
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
    connect_timeout: kit.optional(duration(100, 300_000), {
      type: 'duration',
      absent: '2s for critical mail, 5s for the rest',
      meaning: 'For the TCP connection. 100ms to 5m. A written one counts for all mail.',
      example: '3s',
    }),
    ehlo: kit.optional(host(), {
      type: 'host',
      absent: '`hostname`',
      meaning: 'Name to give in EHLO.',
      example: 'relay.example.com',
    }),
  };
}

function mxConfig(name: string, value: z.output<ReturnType<typeof mxRoute>>): MxRouteConfig {
  return {
    name,
    type: 'mx',
    tls: value.tls,
    port: value.port,
    dns: value.dns ?? null,
    allowPrivate: value.allow_private,
    sourceIps: value.source_ip ?? [],
    dane: value.dane,
    mtaSts: value.mta_sts,
    connections: value.connections,
    connectionsPerDomain: value.connections_per_domain,
    connectionsPerHost: value.connections_per_host,
    rate: value.rate ?? null,
    ca: value.ca ?? null,
    connectTimeoutMs: connectTimeouts(value.connect_timeout),
    ehlo: value.ehlo ?? null,
  };
}

function connectTimeouts(written: number | undefined): ConnectTimeouts {
  return written === undefined ? CONNECT_TIMEOUTS : { critical: written, normal: written, bulk: written };
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
        'The routes in order. A message goes over the first that may carry it and is not down; when that one fails before the message was handed over, it moves on to the next within the same attempt.',
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
