/** The sections `smtp` and `http`: where mail and requests come in. */
import type { z } from 'zod';
import type { HttpConfig, ListenerConfig, SmtpConfig, TokenConfig } from '../types.ts';
import { integer, type Kit, list, oneOf, section } from './kit.ts';
import { host, name, network, path, size, text, tokenHash } from './scalars.ts';

const MAX_PORT = 65_535;
const MAX_MESSAGE_BYTES = 256 * 1024 ** 2;

export function smtpSection(kit: Kit): z.ZodType<SmtpConfig> {
  const tls = section({
    cert: kit.required(path(kit.files), {
      type: 'path',
      meaning: 'Certificate chain, PEM.',
      example: '/etc/leadpush-relay/tls/cert.pem',
    }),
    key: kit.required(path(kit.files), {
      type: 'path',
      meaning: 'Its private key, PEM. A warning tells when others than the owner may read it.',
      example: '/etc/leadpush-relay/tls/key.pem',
    }),
  });
  return section({
    listeners: kit.defaulted(list(listener(kit, 2525), 1), [{ host: '127.0.0.1', port: 2525, tls: 'starttls' }], {
      type: 'list',
      meaning: 'Where SMTP is spoken.',
      example: '[{ host: 127.0.0.1, port: 2525, tls: starttls }]',
    }),
    tls: kit.optional(tls, {
      type: 'mapping',
      absent: 'a self-signed certificate is made in the data folder; on loopback listeners only',
      meaning:
        'The certificate of the listeners. A listener that other machines can reach and that offers TLS needs one.',
      example: '{ cert: ./tls/cert.pem, key: ./tls/key.pem }',
    }),
    trusted_networks: kit.defaulted(list(network(true), 0), [], {
      type: 'list of networks',
      meaning:
        'Clients from these networks may submit without AUTH. At most a /8 (IPv4) or /7 (IPv6) each: the relay is never open to everybody.',
      example: '[127.0.0.0/8, "::1/128"]',
    }),
    max_message_size: kit.defaulted(size(1024, MAX_MESSAGE_BYTES, 'from 1KB to 256MB'), '25MB', {
      type: 'size',
      meaning: 'Larger messages are refused with 552. 1KB to 256MB.',
      example: '10MB',
    }),
    max_recipients: kit.defaulted(integer(1, 10_000), 100, {
      type: 'number',
      meaning: 'Recipients of one message; more are refused with 452. 1 to 10000; RFC 5321 asks for 100 at least.',
      example: '100',
    }),
    max_connections: kit.defaulted(integer(1, 100_000), 1000, {
      type: 'number',
      meaning: 'SMTP connections at the same time.',
      example: '1000',
    }),
    max_connections_per_ip: kit.defaulted(integer(1, 100_000), 100, {
      type: 'number',
      meaning: 'SMTP connections at the same time from one address.',
      example: '100',
    }),
  }).transform((value) => ({
    listeners: value.listeners,
    tls: value.tls ?? null,
    trustedNetworks: value.trusted_networks,
    maxMessageBytes: value.max_message_size,
    maxRecipients: value.max_recipients,
    maxConnections: value.max_connections,
    maxConnectionsPerIp: value.max_connections_per_ip,
  }));
}

/** Where SMTP is spoken; `defaultPort` when none is written. */
export function listener(kit: Kit, defaultPort: number): z.ZodType<ListenerConfig> {
  return section({
    host: kit.defaulted(host(), '127.0.0.1', {
      type: 'host',
      meaning: 'Address to listen on. `0.0.0.0` or `"::"`: every interface.',
      example: '0.0.0.0',
    }),
    port: kit.defaulted(integer(0, MAX_PORT), defaultPort, {
      type: 'number',
      meaning: 'Port to listen on; 0 lets the system choose.',
      example: '587',
    }),
    tls: kit.defaulted(oneOf(['none', 'starttls', 'starttls-required', 'implicit']), 'starttls', {
      type: '`none`, `starttls`, `starttls-required`, `implicit`',
      meaning:
        '`starttls`: TLS is offered, and AUTH only under it (or on loopback). `starttls-required`: no mail without TLS. `implicit`: TLS from the first octet, as on port 465. `none`: no TLS, and no AUTH unless the listener is on loopback.',
      example: 'implicit',
    }),
  });
}

export function httpSection(kit: Kit): z.ZodType<HttpConfig> {
  return section({
    host: kit.defaulted(host(), '127.0.0.1', {
      type: 'host',
      meaning: 'Address to listen on. Other than loopback it needs `tokens`.',
      example: '0.0.0.0',
    }),
    port: kit.defaulted(integer(0, MAX_PORT), 8025, {
      type: 'number',
      meaning: 'Port to listen on; 0 lets the system choose.',
      example: '8025',
    }),
    tokens: kit.defaulted(list(token(kit), 0), [], {
      type: 'list',
      meaning: 'Bearer tokens. With none, HTTP is for loopback only: the relay refuses to start on another address.',
      example: '[{ name: ops, hash: "sha256:...", scopes: [read] }]',
    }),
  });
}

function token(kit: Kit): z.ZodType<TokenConfig> {
  return section({
    name: kit.required(name(), { type: 'name', meaning: 'Who the token is for; in the log.', example: 'ops' }),
    hash: kit.required(tokenHash(), {
      type: 'hash',
      meaning:
        '`sha256:` and the SHA-256 of the token in hex; `leadpush-relay credential token` makes both. Your own: `printf %s "$TOKEN" | sha256sum`, of 32 random characters or more.',
      example: '"sha256:0b1f0f0f5f4a7f1f8f3b1d6a7c2e4d5b6a798897a6b5c4d3e2f1a0b9c8d7e6f5"',
    }),
    scopes: kit.required(list(oneOf(['read', 'send', 'admin']), 1), {
      type: 'list of `read`, `send`, `admin`',
      meaning: 'What the token may do.',
      example: '[read, send]',
    }),
    credential: kit.optional(text(128, 'the username of one of `credentials`'), {
      type: 'text',
      absent: 'none: it submits as `token:` and its name, with any of `senders`',
      meaning:
        'The credential that it submits mail as, with its `from`, `tag`, `headers` and `rate`. Its mail is told by that username, or by `token:NAME`, in the log, in events and to `rules[].when.credential`.',
      example: 'keycloak',
    }),
  }).transform(({ name, hash, scopes, credential }) => ({
    name,
    sha256: hash,
    scopes: new Set(scopes),
    credential: credential ?? null,
  }));
}
