/**
 * The section `webhooks`: endpoints that events are sent to. They come from the config alone: nothing that a client or a
 * call sends can make the relay connect to an address.
 */
import { z } from 'zod';
import { EVENT_TYPES, type EventType } from '../../core/event.ts';
import type { WebhookConfig } from '../types.ts';
import { addIssue, type Kit, list, oneOrMany, type Reading, scalar, section } from './kit.ts';
import { certificateFile, name, tagName } from './scalars.ts';

const MAX_URL_CHARS = 2048;
const SECRET_PREFIX = 'whsec_';
/** Standard Webhooks 1.0.0, "Signature scheme". */
const [MIN_SECRET_BYTES, MAX_SECRET_BYTES] = [24, 64];
const MAX_SECRETS = 2;
/** Each is work for every event: with 1,000 of them a message waited 2.5 s for its answer. */
const MAX_ENDPOINTS = 100;
const FAMILIES: readonly string[] = [...new Set(EVENT_TYPES.map(familyOf))];
/** What stands in `events`. */
const EVENT_WORDS: readonly string[] = [...FAMILIES, ...EVENT_TYPES];

export function webhooksSection(kit: Kit): z.ZodType<readonly WebhookConfig[]> {
  return list(webhook(kit), 0).superRefine((endpoints, context) => {
    if (endpoints.length <= MAX_ENDPOINTS) return;
    addIssue(context, `there are ${endpoints.length} endpoints, more than ${MAX_ENDPOINTS}`, {
      subject: 'key',
      hint: 'let one endpoint of yours pass the events on',
    });
  });
}

function webhook(kit: Kit): z.ZodType<WebhookConfig> {
  return section({
    name: kit.required(name(), {
      type: 'name',
      meaning:
        'Name in commands, the API and metrics. What waits belongs to the name: under another URL it goes there; an endpoint that is taken out loses it.',
      example: 'auth',
    }),
    url: kit.required(url(), {
      type: 'URL',
      meaning:
        'Where events are posted: `https`, or `http` (a warning unless the host is loopback). No user name or password in it.',
      example: '"https://auth.example.com/hooks/mail"',
    }),
    secret: kit.required(secrets(), {
      type: 'secret, or list of two',
      meaning:
        'Signs each event: `whsec_` and base64 of 24 to 64 octets (`echo "whsec_$(openssl rand -base64 32)"`). During a rotation two, the new one first: both sign, so the receiver may check with either.',
      example: '"${AUTH_WEBHOOK_SECRET}"',
    }),
    events: kit.optional(oneOrMany(eventTypes()), {
      type: 'event type or list',
      absent: 'all',
      meaning: `Which events: types, or all of a kind: ${FAMILIES.map((word) => `\`${word}\``).join(', ')}. An endpoint gets no \`webhook.\` event about itself.`,
      example: '["message.*", "route.*"]',
    }),
    tags: kit.optional(oneOrMany(tagName()), {
      type: 'tag or list',
      absent: 'all, and messages without a tag',
      meaning:
        'Only messages with one of these tags. It says nothing of `route.` and `webhook.` events, which have no tag: leave them out with `events`.',
      example: '[password-reset]',
    }),
    ca: kit.optional(certificateFile(kit.files), {
      type: 'path',
      absent: "the system's authorities",
      meaning: 'PEM file with the authorities to trust for this endpoint, instead of the system’s.',
      example: './tls/company-ca.pem',
    }),
  }).transform(({ name: called, url: target, secret, events, tags, ca }) => ({
    name: called,
    url: target,
    secrets: secret,
    events: new Set(events === undefined ? EVENT_TYPES : events.flat()),
    tags: tags === undefined ? null : new Set(tags),
    ca: ca ?? null,
  }));
}

/** Never shown: a password may stand in it, or a token in its path. */
function url(): z.ZodType<string> {
  return scalar({
    secret: true,
    hint: 'write `https://host/path`',
    read(text): Reading<string> {
      if (text.length > MAX_URL_CHARS) return problem(`has more than ${MAX_URL_CHARS} characters`);
      // `URL` would drop them without a word.
      if (/[\s\p{Cc}]/u.test(text)) return problem('holds white space or a control character');
      const parsed = URL.parse(text);
      if (parsed === null) return problem('is not a URL');
      if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') return problem('is neither https nor http');
      if (parsed.username !== '' || parsed.password !== '') {
        return problem('holds a user name or password', 'take it out: the signature tells the receiver who calls');
      }
      if (parsed.hash !== '' || text.endsWith('#'))
        return problem('has a fragment, which is never sent', 'take out `#...`');
      return { kind: 'value', value: parsed.href };
    },
  });
}

function secrets(): z.ZodType<readonly Uint8Array[]> {
  const one = secret();
  // A list or one; a key that is missing is told as one that is.
  const several = z.preprocess((input) => (Array.isArray(input) ? input : [input]), list(one, 1));
  return several.superRefine((all, context) => {
    const hint = 'write the new one, and the old one until the receiver knows the new one';
    if (all.length > MAX_SECRETS) {
      addIssue(context, 'there are more than two secrets', { subject: 'secret', hint });
    }
    const [first, second] = all;
    if (first instanceof Uint8Array && second instanceof Uint8Array && Buffer.from(first).equals(second)) {
      addIssue(context, 'is the same secret twice', { subject: 'secret', hint });
    }
  });
}

function secret(): z.ZodType<Uint8Array> {
  return scalar({
    secret: true,
    hint: 'write `whsec_` and base64 of 24 to 64 octets, best as "${NAME}" or "${file:PATH}"; `echo "whsec_$(openssl rand -base64 32)"` makes one',
    read(text): Reading<Uint8Array> {
      if (!text.startsWith(SECRET_PREFIX)) return problem('does not begin with `whsec_`');
      const base64 = text.slice(SECRET_PREFIX.length);
      const octets = Buffer.from(base64, 'base64');
      if (base64 === '' || octets.toString('base64').replace(/=+$/, '') !== base64.replace(/=+$/, '')) {
        return problem('is not `whsec_` and base64');
      }
      if (octets.length < MIN_SECRET_BYTES || octets.length > MAX_SECRET_BYTES) {
        return problem(`has ${octets.length} octets, not ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES}`);
      }
      return { kind: 'value', value: new Uint8Array(octets) };
    },
  });
}

/** The types that one entry of `events` stands for. */
function eventTypes(): z.ZodType<readonly EventType[]> {
  return scalar({
    hint: `write a type or a kind: ${EVENT_WORDS.join(', ')}`,
    read(text): Reading<readonly EventType[]> {
      const types = EVENT_TYPES.filter((type) => type === text || familyOf(type) === text);
      if (types.length > 0) return { kind: 'value', value: types };
      return { kind: 'problem', problem: 'is not an event type', known: EVENT_WORDS };
    },
  });
}

function familyOf(type: EventType): string {
  return `${type.slice(0, type.indexOf('.'))}.*`;
}

function problem<T>(text: string, hint?: string): Reading<T> {
  return hint === undefined ? { kind: 'problem', problem: text } : { kind: 'problem', problem: text, hint };
}
