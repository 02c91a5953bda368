/**
 * The `X-Leadpush-*` headers, and other services' names for them (`aliases.ts`): what an app may wish for its mail.
 *
 * Every one is validated and removed before signing. A bad value is a refusal that names the header, never a silent
 * default; an unknown name is removed and becomes a warning. Pure: bytes and fields in, wishes out.
 */
import type { Identity } from '../config/types.ts';
import { parseDuration } from '../config/units.ts';
import { MAX_TTL_MS, MIN_TTL_MS, PRIORITIES, type Priority, TAG_GRAMMAR } from '../core/message.ts';
import { type Refusal, refuse } from '../core/refusal.ts';
import { fieldValue, type HeaderField } from '../mail/header.ts';
import { readAliases } from './aliases.ts';

export interface Wishes {
  readonly tag: string | null;
  readonly flow: string | null;
  /** Keys in lower case, in the order of their headers. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly ttlMs: number | null;
  readonly collapseKey: string | null;
  readonly idempotencyKey: string | null;
  readonly priority: Priority | null;
  readonly requireTls: boolean;
}

export type RelayHeaders =
  | {
      readonly kind: 'wishes';
      readonly wishes: Wishes;
      /** The tag that another service's header gives (`headers.aliases` of the credential). */
      readonly aliasTag: string | null;
      readonly warnings: readonly string[];
    }
  | Refusal;

export const RELAY_HEADER_PREFIX = 'x-leadpush-';
const METADATA_PREFIX = 'x-leadpush-metadata-';

const PRINTABLE_128 = /^[\x20-\x7e]{1,128}$/;
const METADATA_KEY = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const MAX_METADATA = 20;
const MAX_METADATA_CHARS = 512;
/** A duration of the config in whole seconds at least, with two liberties: the unit may be left out, or stand apart. */
const TTL_GRAMMAR = /^(\d{1,9})\s*([smhd]?)$/;

interface Draft {
  tag: string | null;
  flow: string | null;
  ttlMs: number | null;
  collapseKey: string | null;
  idempotencyKey: string | null;
  priority: Priority | null;
  requireTls: boolean;
}

/** One header's rule: takes a value into the draft, or tells what would have been right. */
type Take = (value: string, draft: Draft) => string | null;

const TAKES: Readonly<Record<string, Take>> = {
  tag: (value, draft) => {
    if (!TAG_GRAMMAR.test(value)) return 'must be 1 to 64 of a-z 0-9 . _ - and start with a letter or digit';
    draft.tag = value;
    return null;
  },
  flow: (value, draft) => {
    if (!PRINTABLE_128.test(value)) return 'must be 1 to 128 printable ASCII characters';
    draft.flow = value;
    return null;
  },
  ttl: (value, draft) => {
    const ttlMs = parseTtl(value);
    if (ttlMs === null) return 'must be seconds or a duration such as 900, 15m or 2h, from 1 second to 30 days';
    draft.ttlMs = ttlMs;
    return null;
  },
  'collapse-key': (value, draft) => {
    if (!PRINTABLE_128.test(value)) return 'must be 1 to 128 printable ASCII characters';
    draft.collapseKey = value;
    return null;
  },
  'idempotency-key': (value, draft) => {
    if (!PRINTABLE_128.test(value)) return 'must be 1 to 128 printable ASCII characters';
    draft.idempotencyKey = value;
    return null;
  },
  priority: (value, draft) => {
    const priority = PRIORITIES.find((known) => known === value.toLowerCase());
    if (priority === undefined) return `must be one of ${PRIORITIES.join(', ')}`;
    draft.priority = priority;
    return null;
  },
  'require-tls': (value, draft) => {
    if (value.toLowerCase() !== 'true') return 'must be true';
    draft.requireTls = true;
    return null;
  },
};

/** `900`, `15m`, `2h` in milliseconds; null when it is not of that form or not within 1 second to 30 days. */
export function parseTtl(text: string): number | null {
  const match = TTL_GRAMMAR.exec(text);
  if (match === null) return null;
  const [, count = '', unit = ''] = match;
  const ms = parseDuration(`${count}${unit === '' ? 's' : unit}`);
  return ms !== null && ms >= MIN_TTL_MS && ms <= MAX_TTL_MS ? ms : null;
}

/** True for a field that the relay takes out of every message. */
export function isRelayHeader(field: HeaderField): boolean {
  return field.key.startsWith(RELAY_HEADER_PREFIX);
}

/** Reads the `X-Leadpush-*` fields among `fields`, and their aliases; `credential` limits which ones may be used. */
export function readRelayHeaders(
  bytes: Uint8Array,
  fields: readonly HeaderField[],
  credential: Identity | null,
): RelayHeaders {
  const draft: Draft = {
    tag: null,
    flow: null,
    ttlMs: null,
    collapseKey: null,
    idempotencyKey: null,
    priority: null,
    requireTls: false,
  };
  // A null prototype: a key such as `__proto__` is an ordinary key here, should the grammar ever let it in.
  const metadata: Record<string, string> = Object.create(null);
  let metadataCount = 0;
  const warnings: string[] = [];
  const seen = new Set<string>();

  for (const field of fields) {
    if (!isRelayHeader(field)) continue;
    const title = titleCase(field.key);
    if (seen.has(field.key)) return bad(title, 'appears more than once');
    seen.add(field.key);
    const value = fieldValue(bytes, field);

    if (field.key.startsWith(METADATA_PREFIX)) {
      if (!isAllowed(credential, 'metadata')) return notAllowed(title);
      const key = field.key.slice(METADATA_PREFIX.length);
      if (++metadataCount > MAX_METADATA)
        return bad(title, `is one too many: at most ${MAX_METADATA} metadata headers`);
      const fault = metadataFault(key, value);
      if (fault !== null) return bad(title, fault);
      metadata[key] = value;
      continue;
    }

    const name = field.key.slice(RELAY_HEADER_PREFIX.length);
    const take = Object.hasOwn(TAKES, name) ? TAKES[name] : undefined;
    if (take === undefined) {
      warnings.push(`unknown header ${title} was removed`);
      continue;
    }
    if (!isAllowed(credential, name)) return notAllowed(title);
    const expectation = take(value, draft);
    if (expectation !== null) return bad(title, expectation);
  }
  const aliases = readAliases(bytes, fields, credential);
  if (aliases.kind === 'bad') return bad(aliases.title, aliases.expectation);
  for (const { title, key, value } of aliases.metadata) {
    // Our own header goes first, and the first of several.
    if (metadata[key] !== undefined) continue;
    if (++metadataCount > MAX_METADATA) return bad(title, `is one too many: at most ${MAX_METADATA} metadata values`);
    const fault = metadataFault(key, value);
    if (fault !== null) return bad(title, fault);
    metadata[key] = value;
  }
  return {
    kind: 'wishes',
    wishes: { ...draft, metadata: { ...metadata } },
    aliasTag: aliases.tag,
    warnings: [...warnings, ...aliases.warnings],
  };
}

function metadataFault(key: string, value: string): string | null {
  if (!METADATA_KEY.test(key)) return 'has a key that is not 1 to 64 of a-z 0-9 . _ -';
  return value.length > MAX_METADATA_CHARS || hasControl(value)
    ? `must be at most ${MAX_METADATA_CHARS} characters without control characters`
    : null;
}

function isAllowed(credential: Identity | null, name: string): boolean {
  return credential === null || credential.headers.allow === 'all' || credential.headers.allow.has(name);
}

function bad(title: string, expectation: string): Refusal {
  return refuse(550, '5.6.0', `Bad header ${title}: it ${expectation}`);
}

function notAllowed(title: string): Refusal {
  return refuse(550, '5.7.1', `Header ${title} is not allowed for this credential (credentials[].headers.allow)`);
}

/** `x-leadpush-ttl` -> `X-Leadpush-TTL`, cut: the name comes from the client. */
function titleCase(key: string): string {
  return key
    .slice(0, 80)
    .split('-')
    .map((word) =>
      word === 'ttl' || word === 'tls' ? word.toUpperCase() : word.charAt(0).toUpperCase() + word.slice(1),
    )
    .join('-');
}

function hasControl(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}
