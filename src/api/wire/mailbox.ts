/**
 * Mailboxes in requests: `ann@example.net`, `Ann <ann@example.net>`, or `{ "address": ..., "name": ... }`.
 *
 * The address goes through the strict grammar of envelopes and is never read again by anybody else: what a client gave is what
 * stands on the wire.
 */
import { z } from 'zod';
import { type EnvelopeAddress, parseEnvelopeAddress } from '../../core/address.ts';

export interface Mailbox {
  readonly address: EnvelopeAddress;
  /** Empty: none. */
  readonly name: string;
}

const MAX_TEXT = 640;
const MAX_NAME = 256;
/** Quoted, or without any character that could be taken for the end of a name. */
const WITH_NAME = /^(?:"((?:[^"\\]|\\["\\])*)"|([^"\\<>()[\]:;@,]*))\s*<([^<>]*)>$/;
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]/u;
/** Some mail programs show the first thing that looks like an address. */
const LOOKS_LIKE_ADDRESS = /[@\uff20\ufe6b<]/;

const FORMS = 'write `ann@example.net`, `Ann <ann@example.net>`, or an object with `address` and `name`';

export const mailbox: z.ZodType<Mailbox, unknown> = z
  .union(
    [
      z.string().max(MAX_TEXT),
      z.strictObject({ address: z.string().max(MAX_TEXT), name: z.string().max(MAX_NAME).optional() }),
    ],
    { error: FORMS },
  )
  .transform((input, context): Mailbox => {
    const parts = typeof input === 'string' ? split(input) : { address: input.address, name: input.name ?? '' };
    const problem = parts === null ? FORMS : nameFault(parts.name);
    const parsed = parseEnvelopeAddress(parts?.address ?? '', { smtpUtf8: true });
    if (parts !== null && problem === null && parsed.kind === 'address') {
      return { address: parsed.address, name: parts.name };
    }
    const fault = parsed.kind === 'malformed' && parts !== null ? `not an address: ${parsed.reason}` : problem;
    context.addIssue({ code: 'custom', message: fault ?? FORMS });
    return z.NEVER;
  })
  .meta({
    id: 'Mailbox',
    description: '`ann@example.net`, `Ann <ann@example.net>`, or an object.',
    examples: ['Example Security <security@example.com>'],
  });

/** One mailbox or a list of them; `errors` point into the list. */
export function mailboxes(min: number, max: number): z.ZodType<readonly Mailbox[], unknown> {
  return z.preprocess(
    (input) => (input === undefined || Array.isArray(input) ? input : [input]),
    z.array(mailbox).min(min, 'give at least one').max(max),
  );
}

/** `text` as a mailbox; throws when it is none. */
export function readMailbox(text: string): Mailbox {
  return mailbox.parse(text);
}

function split(text: string): { readonly address: string; readonly name: string } | null {
  if (!text.includes('<')) return { address: text, name: '' };
  const [, quoted, plain, address] = WITH_NAME.exec(text) ?? [];
  if (address === undefined) return null;
  return { address, name: (quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '').trim() };
}

function nameFault(name: string): string | null {
  if (name.length > MAX_NAME) return `the name has more than ${MAX_NAME} characters`;
  if (!name.isWellFormed() || CONTROL.test(name)) return 'control characters in the name';
  return LOOKS_LIKE_ADDRESS.test(name) ? 'the name looks like an address' : null;
}
