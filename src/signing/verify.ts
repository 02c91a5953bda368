/**
 * Checks the DKIM signatures of a message against keys at hand (RFC 6376, section 6): whether what is stored still is what was signed.
 *
 * For looking at captured mail, where no DNS record has to exist yet. It takes what this relay makes: relaxed/relaxed, SHA-256,
 * without `l=`; anything else is `unsupported`, a key that is not ours `unknown-key`. Never throws for what stands in the message.
 */
import { createPublicKey, hash, type KeyObject, verify as cryptoVerify } from 'node:crypto';
import { fieldsNamed, type HeaderField, scanHeader } from '../mail/header.ts';
import { createBodyHasher, writeRelaxedField } from './canonical.ts';
import type { SigningKey } from './keys.ts';

export interface CheckedSignature {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: string;
  readonly result: 'pass' | 'fail' | 'unknown-key' | 'unsupported';
  /** What is wrong, in words; empty when nothing is. */
  readonly reason: string;
}

/** More are not looked at. */
const MAX_SIGNATURES = 10;

/** Checks the signatures of `message`, topmost first; `keyOf` finds a key of ours. */
export async function checkSignatures(
  message: Uint8Array,
  keyOf: (domain: string, selector: string) => Pick<SigningKey, 'key' | 'algorithm'> | null,
): Promise<readonly CheckedSignature[]> {
  const scan = scanHeader(message);
  if (scan.kind === 'malformed') return [];
  const { fields, bodyStart } = scan;
  const signatures = fieldsNamed(fields, 'dkim-signature').slice(0, MAX_SIGNATURES);
  if (signatures.length === 0) return [];
  const hashBody = createBodyHasher(() => new Promise((resolve) => setImmediate(resolve)));
  const bodyHash = await hashBody(message, bodyStart);
  return signatures.map((field) => {
    const tags = tagsOf(message, field);
    const tag = (name: string): string => tags.get(name) ?? '';
    const facts = { domain: tag('d').toLowerCase(), selector: tag('s'), algorithm: tag('a').toLowerCase() };
    const judge = (result: CheckedSignature['result'], reason: string): CheckedSignature => ({
      ...facts,
      result,
      reason,
    });
    const [header, body = 'simple'] = tag('c').toLowerCase().split('/');
    if (header !== 'relaxed' || body !== 'relaxed' || tags.has('l')) {
      return judge('unsupported', 'not canonicalised the way that this relay signs');
    }
    const key = keyOf(facts.domain, facts.selector);
    if (key === null) return judge('unknown-key', 'signed with a key that is not in the config');
    if (key.algorithm !== facts.algorithm) return judge('fail', `the key under this selector is for ${key.algorithm}`);
    if (tag('bh') !== bodyHash) return judge('fail', 'the body is not the one that was signed');
    const octets = signedOctets(message, fields, field, tag('h').split(':'));
    return isSigned(key, octets, Buffer.from(tag('b'), 'base64'))
      ? judge('pass', '')
      : judge('fail', 'the header is not the one that was signed, or the key was changed since');
  });
}

/** Tags with all white space taken out, which none that is needed here may hold (section 3.2). */
function tagsOf(message: Uint8Array, field: HeaderField): ReadonlyMap<string, string> {
  const text = Buffer.from(message.subarray(field.valueStart, field.end)).toString('latin1').replace(/\s+/g, '');
  return new Map(
    text.split(';').flatMap((part) => {
      const equals = part.indexOf('=');
      return equals < 1 ? [] : [[part.slice(0, equals), part.slice(equals + 1)]];
    }),
  );
}

/** The header as it was signed: each name in `names` takes the next field from the bottom; the signature comes last, without `b=`. */
function signedOctets(
  message: Uint8Array,
  fields: readonly HeaderField[],
  own: HeaderField,
  names: readonly string[],
): Uint8Array {
  const octets = Buffer.alloc((fields.at(-1)?.end ?? 0) + own.end - own.start);
  const used = new Set<HeaderField>([own]);
  let length = 0;
  for (const name of names) {
    const field = fields.findLast((candidate) => candidate.key === name.toLowerCase() && !used.has(candidate));
    if (field === undefined) continue;
    used.add(field);
    length = writeRelaxedField(message, field, octets, length);
  }
  const text = Buffer.from(message.subarray(own.start, own.end)).toString('latin1');
  const unsigned = Buffer.from(text.replace(/([;:\s]b[ \t\r\n]*=)[^;]*/, '$1').replace(/\s*$/, '\r\n'), 'latin1');
  const field = { key: 'dkim-signature', start: 0, valueStart: unsigned.indexOf(':') + 1, end: unsigned.length };
  length = writeRelaxedField(unsigned, field, octets, length);
  return octets.subarray(0, length - 2);
}

function isSigned(
  { key, algorithm }: Pick<SigningKey, 'key' | 'algorithm'>,
  octets: Uint8Array,
  signature: Buffer,
): boolean {
  const publicKey: KeyObject = createPublicKey(key);
  switch (algorithm) {
    case 'rsa-sha256':
      return cryptoVerify('sha256', octets, publicKey, signature);
    case 'ed25519-sha256':
      return cryptoVerify(null, hash('sha256', octets, 'buffer'), publicKey, signature);
  }
}
