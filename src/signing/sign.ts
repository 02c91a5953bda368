/**
 * Signs messages with DKIM (RFC 6376, RFC 8301, RFC 8463): relaxed/relaxed, SHA-256, every key of the sender's domain.
 *
 * Header fields that tell who, what and when are oversigned: their name is listed once more than the field occurs, so that
 * a field added later breaks the signature. The message is never changed; the signature fields are returned apart.
 * RSA runs in the thread pool with a key object made once, one a core at a time; Ed25519 is quicker than the way there and back.
 */
import { hash, type KeyObject, sign as cryptoSign } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { SenderConfig } from '../config/types.ts';
import { createAtMost } from '../core/at-most.ts';
import { RelayError } from '../core/errors.ts';
import type { HeaderField } from '../mail/header.ts';
import { createBodyHasher, writeRelaxedField } from './canonical.ts';
import { loadSigningKeys, type ReadKeyFile, readKeyFile, type SigningKey } from './keys.ts';
import { signedField, unsignedField } from './signature-field.ts';
import { type CheckedSignature, checkSignatures } from './verify.ts';

export interface Signature {
  /** DKIM-Signature fields with CRLF, to put in front of the message. */
  readonly header: Uint8Array;
  /** `selector._domainkey.domain (algorithm)` of each. */
  readonly signatures: readonly string[];
  /** `rsa-sha256` or `ed25519-sha256`, of each. */
  readonly algorithms: readonly string[];
}

export interface Signer {
  /** Domains (lower case, A-labels) that have a key. */
  readonly domains: ReadonlySet<string>;
  /** Signs `message`, whose header was scanned; rejects with a `RelayError` (`signing`) when it cannot. */
  sign(
    domain: string,
    message: Uint8Array,
    fields: readonly HeaderField[],
    bodyStart: number,
    nowMs: number,
  ): Promise<Signature>;
}

export interface SignatureCheck {
  /** Checks the signatures of a message that was signed before, against the keys of now. */
  check(message: Uint8Array): Promise<readonly CheckedSignature[]>;
}

export interface SignerOptions {
  readonly readKeyFile?: ReadKeyFile;
}

/** Listed once per occurrence and once more. */
export const OVERSIGNED_FIELDS: readonly string[] = [
  'from',
  'to',
  'cc',
  'subject',
  'date',
  'message-id',
  'reply-to',
  'content-type',
  'mime-version',
];

/** Listed once per occurrence (RFC 6376, section 5.4.1; RFC 8058, section 4). */
export const SIGNED_FIELDS: readonly string[] = [
  'sender',
  'in-reply-to',
  'references',
  'content-transfer-encoding',
  'list-id',
  'list-unsubscribe',
  'list-unsubscribe-post',
];

/** Reads every key of `senders`; rejects with a `RelayError` (`key`) that lists all that is wrong with them. */
export async function createSigner(
  senders: readonly SenderConfig[],
  options: SignerOptions = {},
): Promise<Signer & SignatureCheck> {
  const keysByDomain = await loadSigningKeys(senders, options.readKeyFile ?? readKeyFile);
  const hashBody = createBodyHasher(() => new Promise((resolve) => setImmediate(resolve)));

  return {
    domains: new Set(keysByDomain.keys()),

    async sign(domain, message, fields, bodyStart, nowMs) {
      const keys = keysByDomain.get(domain);
      if (keys === undefined) throw signingError(`no DKIM key for the domain ${domain}`);
      const bodyHash = await hashBody(message, bodyStart);
      const { names, octets } = canonicalizeHeader(message, fields);
      const timestamp = Math.floor(nowMs / 1000);
      const signed = await Promise.all(
        keys.map(async (key) => {
          const unsigned = unsignedField({ ...key, timestamp, signedNames: names, bodyHash });
          return signedField(unsigned, await signOctets(key, withSignatureField(octets, unsigned)));
        }),
      );
      return {
        header: Buffer.from(signed.join(''), 'latin1'),
        signatures: keys.map(describeKey),
        algorithms: keys.map(({ algorithm }) => algorithm),
      };
    },

    check: (message) =>
      checkSignatures(
        message,
        (domain, selector) => keysByDomain.get(domain)?.find((key) => key.selector === selector) ?? null,
      ),
  };
}

/** The `h=` names and the octets that they stand for; occurrences are taken from the bottom up (RFC 6376, section 5.4.2). */
function canonicalizeHeader(
  message: Uint8Array,
  fields: readonly HeaderField[],
): { readonly names: readonly string[]; readonly octets: Uint8Array } {
  const names: string[] = [];
  const target = Buffer.allocUnsafe(fields.at(-1)?.end ?? 0);
  let length = 0;
  const take = (name: string): void => {
    for (let i = fields.length - 1; i >= 0; i--) {
      const field = fields[i];
      if (field?.key !== name) continue;
      names.push(name);
      length = writeRelaxedField(message, field, target, length);
    }
  };
  for (const name of OVERSIGNED_FIELDS) {
    take(name);
    names.push(name);
  }
  for (const name of SIGNED_FIELDS) take(name);
  return { names, octets: target.subarray(0, length) };
}

/** The signature field itself comes last, in relaxed form, with an empty `b=` and without its CRLF (section 3.7). */
function withSignatureField(header: Uint8Array, unsigned: string): Uint8Array {
  const line = Buffer.from(`${unsigned}\r\n`, 'latin1');
  const octets = Buffer.allocUnsafe(header.length + line.length);
  octets.set(header);
  const field = { key: 'dkim-signature', start: 0, valueStart: line.indexOf(':') + 1, end: line.length };
  const length = writeRelaxedField(line, field, octets, header.length);
  return octets.subarray(0, length - 2);
}

async function signOctets({ algorithm, key, ...name }: SigningKey, octets: Uint8Array): Promise<string> {
  try {
    switch (algorithm) {
      case 'rsa-sha256':
        return (await oneACore(() => signRsa(octets, key))).toString('base64');
      case 'ed25519-sha256':
        // RFC 8463, section 3: pure Ed25519 over the SHA-256 hash.
        return cryptoSign(null, hash('sha256', octets, 'buffer'), key).toString('base64');
    }
  } catch (error) {
    throw signingError(`signing with ${name.selector}._domainkey.${name.domain} failed`, error);
  }
}

/** The pool has more threads than the machine has cores, for what waits in it: signing in all of them is slower. */
const oneACore = createAtMost(Math.max(2, availableParallelism()));

function signRsa(octets: Uint8Array, key: KeyObject): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    cryptoSign('sha256', octets, key, (error, signature) => (error === null ? resolve(signature) : reject(error)));
  });
}

function describeKey({ selector, domain, algorithm }: SigningKey): string {
  return `${selector}._domainkey.${domain} (${algorithm})`;
}

function signingError(message: string, cause?: unknown): RelayError {
  return new RelayError(message, {
    code: 'signing',
    op: 'signing.sign',
    hint: 'Look at the DKIM keys of this sender with `leadpush-relay check`',
    cause,
  });
}
