/**
 * The kinds of single values that a config has, beyond words and whole numbers: how each is read, and what to write
 * instead of a wrong one.
 */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { z } from 'zod';
import { addressKey, domainOf, type EnvelopeAddress, parseEnvelopeAddress } from '../../core/address.ts';
import { TAG_GRAMMAR } from '../../core/message.ts';
import type { ConfigFiles } from '../files.ts';
import { parseDomain, parseDomainPattern, parseHost, parseNetwork, parseServer } from '../network.ts';
import { parseScryptHash } from '../scrypt-hash.ts';
import type { ScryptHash } from '../types.ts';
import { durationText, parseDuration, parseRate, parseSize, type Rate } from '../units.ts';
import { type Reading, scalar } from './kit.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const CONTROL = /\p{Cc}/u;
const TOKEN_HASH = /^sha256:([0-9a-fA-F]{64})$/;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const MAX_PATH_CHARS = 4096;
const MAX_NAME_CHARS = 200;
const MAX_CA_BYTES = 1024 * 1024;

const NAME_HINT = 'write 1 to 64 letters, digits, `.`, `_` or `-`, the first a letter or digit';

/** A duration from `minMs` to `maxMs`, in milliseconds. */
export function duration(minMs: number, maxMs: number): z.ZodType<number> {
  return scalar({
    hint: 'write a whole number with a unit: `500ms`, `10s`, `15m`, `2h` or `7d`',
    read: (text) => {
      const ms = parseDuration(text);
      if (ms === null) return problem('is not a duration');
      if (ms >= minMs && ms <= maxMs) return value(ms);
      return problem('is out of range', `write a duration from ${durationText(minMs)} to ${durationText(maxMs)}`);
    },
  });
}

/** A size from `minBytes` to `maxBytes`; `range` says the same in words. */
export function size(minBytes: number, maxBytes: number, range: string): z.ZodType<number> {
  return scalar({
    hint: 'write a whole number with a unit: `64KB`, `10MB` or `1GB` (1 KB is 1024 octets)',
    read: (text) => {
      const bytes = parseSize(text);
      if (bytes === null) return problem('is not a size');
      return bytes >= minBytes && bytes <= maxBytes
        ? value(bytes)
        : problem('is out of range', `write a size ${range}`);
    },
  });
}

/** A rate such as `14/1s`, over at most `maxMs`. */
export function rate(maxMs: number): z.ZodType<Rate> {
  return scalar({
    hint: 'write a number, a slash and a duration: `14/1s` is at most 14 in any second',
    read: (text) => {
      const parsed = parseRate(text);
      if (parsed === null) return problem('is not a rate');
      if (parsed.perMs <= maxMs) return value(parsed);
      return problem('counts over too long a time', `write a time of at most ${durationText(maxMs)} after the slash`);
    },
  });
}

/** Free text without control characters, of 1 to `maxChars` characters. */
export function text(maxChars: number, what: string): z.ZodType<string> {
  return scalar({ hint: `write ${what}`, read: (input) => readText(input, maxChars) });
}

/** A secret in clear; never shown. */
export function secretText(maxChars: number, what: string): z.ZodType<string> {
  return scalar({ secret: true, hint: `write ${what}`, read: (input) => readText(input, maxChars) });
}

function readText(input: string, maxChars: number): Reading<string> {
  if (input === '') return problem('is empty');
  if (input.length > maxChars) return problem(`has more than ${maxChars} characters`);
  if (CONTROL.test(input)) return problem('holds a line break or another control character');
  return value(input);
}

/** A text that goes into an SMTP reply: printable ASCII on one line (RFC 5321, section 4.2). */
export function replyText(): z.ZodType<string> {
  return scalar({
    hint: 'write 1 to 200 printable ASCII characters: senders see it in an SMTP reply',
    read: (input) => (/^[\x20-\x7e]{1,200}$/.test(input) ? value(input) : problem('cannot stand in an SMTP reply')),
  });
}

/** The name of a tag, in the grammar that `X-Leadpush-Tag` has too. */
export function tagName(): z.ZodType<string> {
  return scalar({
    hint: 'write 1 to 64 of a-z, 0-9, `.`, `_` and `-`, the first a letter or digit',
    read: (input) => (TAG_GRAMMAR.test(input) ? value(input) : problem('is not the name of a tag')),
  });
}

/** The name of a route, rule or token. */
export function name(): z.ZodType<string> {
  return scalar({ hint: NAME_HINT, read: (input) => (NAME.test(input) ? value(input) : problem('is not a name')) });
}

/** A domain in lower case as A-labels. */
export function domain(): z.ZodType<string> {
  return scalar({
    hint: 'write a domain such as `example.com`',
    read: (input) => orProblem(parseDomain(input), 'is not a domain name'),
  });
}

/** A domain, or `*.example.com` for every domain below it. */
export function domainPattern(): z.ZodType<string> {
  return scalar({
    hint: 'write a domain such as `example.com`, or `*.example.com` for every domain below it',
    read: (input) => orProblem(parseDomainPattern(input), 'is not a domain name'),
  });
}

/** A host name or an IP address. */
export function host(): z.ZodType<string> {
  return scalar({
    hint: 'write a host name such as `smtp.example.com` or an IP address without brackets; the port has a key of its own',
    read: (input) => orProblem(parseHost(input), 'is not a host name or IP address'),
  });
}

/** An IP address in lower case, without brackets. */
export function ipAddress(): z.ZodType<string> {
  return scalar({
    hint: 'write an IP address without brackets such as `192.0.2.7` or `"2001:db8::7"`',
    read: (input) => orProblem(isIP(input) === 0 ? null : parseHost(input), 'is not an IP address'),
  });
}

/** A server by its address, with or without a port, as `address:port`; IPv6 in brackets. */
export function server(defaultPort: number): z.ZodType<string> {
  return scalar({
    hint: 'write an IP address, IPv6 in brackets, with or without a port: `127.0.0.1:5353`, `9.9.9.9` or `"[2001:db8::1]:53"`',
    read: (input) => orProblem(parseServer(input, defaultPort)?.text ?? null, 'is not the address of a server'),
  });
}

/** A network in CIDR form. With `trusted`, networks too large to be anybody's own are refused. */
export function network(trusted: boolean): z.ZodType<string> {
  return scalar({
    hint: 'write a network such as `10.0.0.0/8` or `::1/128`',
    read: (input) => {
      const parsed = parseNetwork(input);
      if (parsed.kind === 'malformed') return problem('is not a network in CIDR form');
      if (parsed.kind === 'host-bits') {
        const hint = 'all bits after the prefix must be 0: `10.0.0.0/8`, or `10.0.0.1/32` for one machine';
        return problem('has address bits set after its prefix', hint);
      }
      if (!trusted || !parsed.isPublic) return value(parsed.cidr);
      const hint = 'write networks of your own, at most a /8 (IPv4) or /7 (IPv6); everybody else needs a credential';
      return problem('would make this an open relay', hint);
    },
  });
}

/** A pattern for senders: `a@example.com`, `*@example.com`, `*@*.example.com` or `*`. */
export function senderPattern(): z.ZodType<string> {
  return scalar({
    hint: 'write `a@example.com`, `*@example.com`, `*@*.example.com` or `*`',
    read: (input) => {
      if (input === '*') return value(input);
      const at = input.lastIndexOf('@');
      const pattern = at === -1 ? null : parseDomainPattern(input.slice(at + 1));
      if (pattern === null) return problem('is not a sender pattern');
      const local = input.slice(0, at).toLowerCase();
      // Behind the pattern's domain stands a plain one: what the grammar of addresses says of the local part is asked.
      const parsed = parseEnvelopeAddress(`${local}@example.com`, { smtpUtf8: true });
      if (local !== '*' && (local.includes('*') || parsed.kind === 'malformed')) {
        return problem('is not a sender pattern');
      }
      return value(`${local}@${pattern}`);
    },
  });
}

/** A mail address in the form under which equal mailboxes compare equal. */
export function mailbox(): z.ZodType<string> {
  return scalar({
    hint: 'write an address such as `ann@example.net`',
    read: (input) => {
      const parsed = parseEnvelopeAddress(input, { smtpUtf8: true });
      if (parsed.kind === 'malformed') return problem(`is not a mail address (${parsed.reason})`);
      return value(addressKey(parsed.address));
    },
  });
}

/** A mailbox with or without a name: `Name <a@example.com>`; the address in ASCII, its domain as A-labels. */
export function namedMailbox(): z.ZodType<{ readonly address: EnvelopeAddress; readonly name: string }> {
  return scalar({
    hint: 'write `security@example.com` or `Example Security <security@example.com>`',
    read: (input) => {
      const [, quotedName, plainName, between] =
        /^(?:"([^"\\<>]*)"\s*|([^"\\<>]*))<([^<>]*)>$/.exec(input.trim()) ?? [];
      const parsed = parseEnvelopeAddress(between ?? input.trim(), { smtpUtf8: true });
      if (parsed.kind === 'malformed') return problem(`is not a mailbox (${parsed.reason})`);
      const local = parsed.address.slice(0, parsed.address.lastIndexOf('@'));
      const ascii = parseEnvelopeAddress(`${local}@${domainOf(parsed.address)}`, { smtpUtf8: false });
      if (ascii.kind === 'malformed') return problem('has a local part that is not ASCII: not every server takes it');
      const name = (quotedName ?? plainName ?? '').replace(/\s+/g, ' ').trim();
      if (CONTROL.test(name) || name.length > MAX_NAME_CHARS) return problem('has a name that cannot stand in From');
      // Some mail programs show the first thing that looks like an address.
      if (/[@\uff20\ufe6b]/.test(name)) return problem('has an address in its name');
      return value({ address: ascii.address, name });
    },
  });
}

/** A content key: base64 of 32 octets; never shown. */
export function contentKey(): z.ZodType<string> {
  return scalar({
    secret: true,
    hint: 'write base64 of 32 octets, as `openssl rand -base64 32` prints it, best as "${NAME}" or "${file:PATH}"',
    read: (input) => {
      const text = input.trim();
      const octets = Buffer.from(text, 'base64');
      const isBase64 = /^[A-Za-z0-9+/]{43}=$/.test(text) && octets.toString('base64') === text;
      return isBase64 ? value(text) : problem('is not base64 of 32 octets');
    },
  });
}

/** A path, made absolute from the config file's folder. */
export function path(files: ConfigFiles): z.ZodType<string> {
  return scalar({
    hint: "write a path; a relative one starts at the config file's folder",
    read: (input) => readPath(files, input),
  });
}

/** The text of a PEM file with one or more certificates. */
export function certificateFile(files: ConfigFiles): z.ZodType<string> {
  return scalar({
    hint: 'write the path of a PEM file with certificates',
    read: (input) => {
      const where = readPath(files, input);
      if (where.kind === 'problem') return where;
      const read = files.read(where.value, MAX_CA_BYTES);
      if (read.kind === 'unreadable') return problem(`cannot be read: ${read.reason}`);
      const certificates = read.text.match(CERTIFICATE) ?? [];
      if (certificates.length === 0) return problem('holds no PEM certificate');
      return certificates.every(isCertificate) ? value(read.text) : problem('holds a broken certificate');
    },
  });
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    // OpenSSL's reason (an ASN.1 error number) helps nobody; that it does not parse is the finding.
    return false;
  }
}

function readPath(files: ConfigFiles, input: string): Reading<string> {
  if (input === '') return problem('is empty');
  if (input.length > MAX_PATH_CHARS || CONTROL.test(input)) return problem('is not a path');
  if (/^~(?:\/|$)/.test(input)) return problem('starts with `~`, which only a shell replaces', 'write the whole path');
  return value(files.resolve(input));
}

/** `scrypt:N:r:p:salt:hash`; never shown. */
export function scryptHash(): z.ZodType<ScryptHash> {
  return scalar({
    secret: true,
    hint: 'make one with `leadpush-relay credential hash`: `scrypt:16384:8:1:<base64 salt>:<base64 hash>`',
    read: (input) => {
      const parsed = parseScryptHash(input);
      return parsed.kind === 'hash' ? value(parsed.hash) : problem(parsed.reason);
    },
  });
}

/** `sha256:` and 64 hex digits, as the digits alone in lower case; never shown. */
export function tokenHash(): z.ZodType<string> {
  return scalar({
    secret: true,
    hint: 'write `sha256:` and the 64 hex digits that `printf %s "$TOKEN" | sha256sum` prints',
    read: (input) =>
      orProblem(TOKEN_HASH.exec(input)?.[1]?.toLowerCase() ?? null, 'is not of the form sha256:<64 hex digits>'),
  });
}

function value<T>(read: T): Reading<T> {
  return { kind: 'value', value: read };
}

function problem<T>(text: string, hint?: string): Reading<T> {
  return hint === undefined ? { kind: 'problem', problem: text } : { kind: 'problem', problem: text, hint };
}

function orProblem<T>(read: T | null, text: string): Reading<T> {
  return read === null ? problem(text) : value(read);
}
