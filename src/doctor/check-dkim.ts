/**
 * The DKIM key records of a sender against the private keys that sign (RFC 6376, section 3.6).
 *
 * Whatever is wrong, the record to publish is made from the key file, so that one copy mends it. Of the private key nothing is
 * shown. A key file that cannot be read is told by the checks of keys, not again here.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { DkimKeyConfig, SenderConfig } from '../config/types.ts';
import { fileTrouble } from '../core/file-trouble.ts';
import { dnsRecord } from '../signing/generate.ts';
import { parseSigningKey, type ReadKeyFile } from '../signing/keys.ts';
import { generateCommand } from './check-keys.ts';
import { parseDkimRecord, type DkimRecord } from './dkim-record.ts';
import type { DoctorDns, None, Texts } from './dns.ts';
import { type CheckFinding, createFindings, type Findings, type RecordToPublish } from './finding.ts';

const WHY_FAILS = 'Every signature with this key fails: DMARC is left to SPF, and forwarded mail is refused.';
const PUBLISH = 'Publish the record; mail is signed with this key already.';

/** Checks the record of each key of `sender`. */
export async function checkDkim(
  sender: SenderConfig,
  dns: DoctorDns,
  read: ReadKeyFile,
): Promise<readonly CheckFinding[]> {
  if (sender.dkim.length === 0) return unsigned(sender.domain);
  const each = await Promise.all(sender.dkim.map((key) => checkKey(sender.domain, key, dns, read)));
  return each.flat();
}

function unsigned(domain: string): readonly CheckFinding[] {
  const found = createFindings('dkim', domain);
  found.warning('unsigned', {
    message: `mail from ${domain} goes out unsigned: it has no key`,
    why: 'Large receivers want a signature of the From domain; forwarded mail has nothing else to pass DMARC with.',
    hint: `leadpush-relay dkim generate --domain ${domain} --selector lp1 --out FILE`,
  });
  return found.list;
}

async function checkKey(
  domain: string,
  { selector, key: file }: DkimKeyConfig,
  dns: DoctorDns,
  read: ReadKeyFile,
): Promise<readonly CheckFinding[]> {
  const name = `${selector.toLowerCase()}._domainkey.${domain}`;
  const found = createFindings('dkim', name);
  const own = await loadKey(file, read);
  if (typeof own === 'string') {
    found.error('key', {
      message: `the record of ${name} cannot be compared: ${file}: ${own}`,
      why: 'Without its key the relay does not start.',
      hint: generateCommand(domain, selector, file),
    });
    return found.list;
  }
  const { value, zoneLine } = dnsRecord(own.pem, domain, selector.toLowerCase());
  const record: RecordToPublish = { name, type: 'TXT', value, zone: zoneLine };
  const answer = await dns.texts(name);
  switch (answer.kind) {
    case 'failed':
      found.unknown(answer.text);
      break;
    case 'none':
      found.error('missing', { message: missingText(name, answer), why: WHY_FAILS, hint: PUBLISH, record });
      break;
    case 'texts':
      judgeTexts(name, answer, own.key, record, found);
  }
  return found.list;
}

function missingText(name: string, { alias }: None): string {
  if (alias === null) return `${name} has no TXT record`;
  return `${name} is an alias (CNAME) of ${alias}, which has no TXT record`;
}

async function loadKey(
  file: string,
  read: ReadKeyFile,
): Promise<{ readonly pem: string; readonly key: KeyObject } | string> {
  try {
    const pem = await read(file);
    const parsed = parseSigningKey(pem);
    return parsed.kind === 'unusable' ? parsed.reason : { pem, key: createPublicKey(parsed.key) };
  } catch (error) {
    return fileTrouble(error);
  }
}

function judgeTexts(
  name: string,
  { texts, alias }: Texts,
  own: KeyObject,
  record: RecordToPublish,
  found: Findings,
): void {
  const where = alias === null ? name : `${name}, an alias (CNAME) of ${alias},`;
  const publish = alias === null ? PUBLISH : `Publish the record at ${alias}, or in place of the alias.`;
  if (texts.length > 1 && isTorn(texts, record.value)) {
    found.error('torn', {
      message: `${where} has its key torn into ${texts.length} TXT records`,
      why: `A long key is several strings in one record; several records cannot be put together again. ${WHY_FAILS}`,
      hint: 'Publish it as one record with several strings.',
      record,
    });
    return;
  }
  const records = texts.flatMap((text) => parseDkimRecord(text) ?? []);
  const [first, ...others] = records;
  if (first === undefined) {
    found.error('foreign', {
      message: `${where} has a TXT record, but none of DKIM (v=DKIM1)`,
      why: WHY_FAILS,
      hint: publish,
      record,
    });
    return;
  }
  if (others.length > 0) {
    found.error('several', {
      message: `${where} has ${records.length} key records`,
      why: 'Which of them a verifier takes is chance (RFC 6376, section 3.6.2.2): signatures fail now and then.',
      hint: 'Leave one record, this one, and delete the others. Two keys have two selectors.',
      record,
    });
    return;
  }
  judgeRecord(where, first, own, { record, publish }, found);
}

/** Whether the pieces of our own record stand there as records of their own: the first alone begins with a tag. */
function isTorn(texts: readonly string[], value: string): boolean {
  const squeeze = (text: string): string => text.replace(/\s+/g, '');
  const whole = squeeze(value);
  const pieces = texts.map(squeeze).filter((piece) => piece !== '');
  return (
    pieces.every((piece) => whole.includes(piece) && piece !== whole) &&
    pieces.reduce((sum, piece) => sum + piece.length, 0) === whole.length
  );
}

function judgeRecord(
  where: string,
  parsed: DkimRecord,
  own: KeyObject,
  mend: { readonly record: RecordToPublish; readonly publish: string },
  found: Findings,
): void {
  const { record, publish: hint } = mend;
  const { type, key } = parsed;
  const ownType = own.asymmetricKeyType ?? 'unknown';
  if (key.kind === 'revoked') {
    found.error('revoked', {
      message: `${where} has an empty p=: the key was revoked`,
      why: `Verifiers must fail every signature with it. ${WHY_FAILS}`,
      hint: `${hint} If it was revoked on purpose, take the key out of senders[].dkim.`,
      record,
    });
  } else if (type !== ownType) {
    found.error('type', {
      message: `${where} says k=${type}; the key file holds a key of type ${ownType}`,
      why: WHY_FAILS,
      hint,
      record,
    });
  } else if (key.kind === 'unusable') {
    found.error('broken', { message: `${where} cannot be used: ${key.reason}`, why: WHY_FAILS, hint, record });
  } else if (!key.key.equals(own)) {
    found.error('mismatch', {
      message: `${where} has another public key than the key file`,
      why: WHY_FAILS,
      hint: `${hint} Or name the file that belongs to the published key.`,
      record,
    });
  }
  if (parsed.limits.length > 0) {
    found.error('limits', { message: `${where}: ${parsed.limits.join('; ')}`, why: WHY_FAILS, hint, record });
  }
  if (parsed.problems.length > 0) {
    found.warning('syntax', {
      message: `${where} is not written as it should be: ${parsed.problems.join('; ')}`,
      why: 'Some verifiers read such a record, others do not.',
      hint,
      record,
    });
  }
  if (parsed.isTest) {
    found.warning('test', {
      message: `${where} is in test mode (t=y)`,
      why: 'Verifiers may treat signed mail as if it had no signature.',
      hint: 'Publish the record without t=y.',
      record,
    });
  }
  if (found.list.length === 0) found.ok(`${where} has the public key of the key file (${sizeText(own)})`);
}

function sizeText(key: KeyObject): string {
  if (key.asymmetricKeyType === 'ed25519') return 'Ed25519';
  return `RSA, ${key.asymmetricKeyDetails?.modulusLength ?? 0} bits`;
}
