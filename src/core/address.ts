/**
 * Envelope addresses: the strict grammar for what stands between the angle brackets of MAIL and RCPT (RFC 5321, section
 * 4.1.2, less its quoted, literal and routed forms; RFC 6531 for UTF-8).
 *
 * Nothing is repaired or normalised: an accepted address is the text that came in, and goes on the wire as it is. What one
 * mail server might read as another mailbox than we do (quotes, `%` and `!` routes, literals, look-alike letters) is refused.
 *
 * `text` comes from a fatal UTF-8 decoder; a replacement character (from a lenient one) is refused as invalid UTF-8.
 * Decided beyond the RFC: a domain of one label is refused unless it is `localhost`; a domain that ends in a number is
 * refused (it reads as an IPv4 address); a local part does not start with a hyphen (it reads as an option of a command).
 * UTF-8 atoms and labels follow Unicode UTS 39 (section 3.3, email profile): NFKC, letters, marks and digits only, scripts
 * mixed only as Japanese, Chinese and Korean mix them.
 *
 * Known limits: an A-label (`xn--...`) is taken as it is, whatever it decodes to; a look-alike written in one script
 * alone passes; joiners inside words (Persian, Sinhala) and the Catalan middle dot are refused.
 */
import { domainToASCII, domainToUnicode } from 'node:url';

declare const brand: unique symbol;

/** A mailbox as it stood between the angle brackets of MAIL or RCPT, byte for byte, proven to match our grammar. */
export type EnvelopeAddress = string & { readonly [brand]: 'EnvelopeAddress' };

/** A sender: a mailbox, or the empty string for the null sender `<>`. */
export type ReversePath = EnvelopeAddress | '';

export type ParsedAddress =
  | { readonly kind: 'address'; readonly address: EnvelopeAddress }
  | { readonly kind: 'malformed'; readonly reason: string };

/** 256 for the path (RFC 5321, section 4.5.3.1.3) less the angle brackets. */
const MAX_ADDRESS_OCTETS = 254;
const MAX_LOCAL_OCTETS = 64;
const MAX_LABEL_OCTETS = 63;
const MAX_DOMAIN_OCTETS = 253;

/** Characters that have a reason of their own; the rest of what is not allowed gets a general one. */
const REFUSED_CHARACTERS: ReadonlyMap<string, string> = new Map([
  ['"', 'quoted local parts are not accepted'],
  ['\\', 'backslashes are not accepted'],
  ['(', 'comments are not accepted'],
  [')', 'comments are not accepted'],
  ['<', 'angle brackets inside the address'],
  ['>', 'angle brackets inside the address'],
  ['[', 'address literals are not accepted'],
  [']', 'address literals are not accepted'],
  [',', 'more than one address'],
  [';', 'groups are not accepted'],
  [':', 'groups and source routes are not accepted'],
  ['%', 'routing with % is not accepted'],
  ['!', 'routing with ! is not accepted'],
]);

const NON_ASCII = /[\u0080-\uffff]/;
const REFUSED = /["\\()<>[\],;:%!\s\p{Cc}]/u;
const CONTROL = /\p{Cc}/u;
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Cf}\p{Z}]/u;
/** atext of RFC 5322 without `%` and `!`, plus letters, marks and digits of RFC 6532. */
const ATOM = /^[A-Za-z0-9#$&'*+\-/=?^_`{|}~\p{L}\p{M}\p{Nd}]+$/u;
const LABEL = /^[A-Za-z0-9\-\p{L}\p{M}\p{Nd}]+$/u;
const NUMERIC_LABEL = /^(?:[0-9]+|0x[0-9a-f]*)$/i;

/** The recommended scripts of UAX 31, and the three sets that UTS 39 calls highly restrictive. */
const SCRIPT_SETS: readonly RegExp[] = [
  ...(
    'Latin Cyrillic Greek Arabic Armenian Bengali Bopomofo Devanagari Ethiopic Georgian Gujarati Gurmukhi Han Hangul ' +
    'Hebrew Hiragana Kannada Katakana Khmer Lao Malayalam Myanmar Oriya Sinhala Tamil Telugu Thaana Thai Tibetan'
  )
    .split(' ')
    .map((script) => [script]),
  ['Latin', 'Han', 'Hiragana', 'Katakana'],
  ['Latin', 'Han', 'Bopomofo'],
  ['Latin', 'Han', 'Hangul'],
].map((scripts) => {
  const members = [...scripts, 'Common', 'Inherited'].map((script) => `\\p{scx=${script}}`).join('');
  return new RegExp(`^[${members}]+$`, 'u');
});

/** Parses the text between the angle brackets of MAIL or RCPT; `reason` is printable ASCII and repeats nothing of `text`. */
export function parseEnvelopeAddress(text: string, options: { readonly smtpUtf8: boolean }): ParsedAddress {
  const reason = findFault(text, options.smtpUtf8);
  return reason === null ? { kind: 'address', address: text as EnvelopeAddress } : { kind: 'malformed', reason };
}

/** The domain of `address` in lower case, as A-labels. */
export function domainOf(address: EnvelopeAddress): string {
  return toAscii(address.slice(address.lastIndexOf('@') + 1));
}

/** A form of `address` under which equal mailboxes compare equal: lower case, domain as A-labels. */
export function addressKey(address: EnvelopeAddress): string {
  const at = address.lastIndexOf('@');
  return `${address.slice(0, at).toLowerCase()}@${toAscii(address.slice(at + 1))}`;
}

function toAscii(domain: string): string {
  return NON_ASCII.test(domain) ? domainToASCII(domain) : domain.toLowerCase();
}

function findFault(text: string, smtpUtf8: boolean): string | null {
  if (text === '') return 'empty address';
  // Nothing below looks at more than this many characters.
  if (text.length > MAX_ADDRESS_OCTETS) return 'longer than 254 octets';
  const ascii = !NON_ASCII.test(text);
  return (
    (ascii ? null : findUnicodeFault(text, smtpUtf8)) ?? findCharacterFault(text) ?? findStructureFault(text, ascii)
  );
}

function findUnicodeFault(text: string, smtpUtf8: boolean): string | null {
  if (!text.isWellFormed() || text.includes('\ufffd')) return 'invalid UTF-8';
  if (CONTROL.test(text)) return 'control characters in the address';
  if (INVISIBLE.test(text)) return 'invisible characters in the address';
  if (!smtpUtf8) return 'non-ASCII characters without SMTPUTF8';
  if (text.normalize('NFKC') !== text) return 'characters that stand for others (not in form NFKC)';
  if (Buffer.byteLength(text) > MAX_ADDRESS_OCTETS) return 'longer than 254 octets';
  return null;
}

function findCharacterFault(text: string): string | null {
  if (text.startsWith('@')) {
    return text.includes(':') ? 'source routes are not accepted' : 'no local part in front of the @';
  }
  const refused = REFUSED.exec(text)?.[0];
  if (refused === undefined) return null;
  return (
    REFUSED_CHARACTERS.get(refused) ??
    (CONTROL.test(refused) ? 'control characters in the address' : 'white space in the address')
  );
}

function findStructureFault(text: string, ascii: boolean): string | null {
  const at = text.indexOf('@');
  if (at === -1) return 'no @ and domain';
  if (text.includes('@', at + 1)) return 'more than one @';
  return findLocalFault(text.slice(0, at)) ?? findDomainFault(text.slice(at + 1), ascii);
}

function findLocalFault(local: string): string | null {
  if (Buffer.byteLength(local) > MAX_LOCAL_OCTETS) return 'local part longer than 64 octets';
  if (local.startsWith('-')) return 'local part starts with a hyphen';
  for (const atom of local.split('.')) {
    if (atom === '') return 'misplaced dot in the local part';
    if (!ATOM.test(atom)) return 'characters in the local part that are not accepted';
    if (mixesScripts(atom)) return 'letters of several scripts mixed in the local part';
  }
  return null;
}

function findDomainFault(domain: string, ascii: boolean): string | null {
  if (domain === '') return 'no domain after the @';
  const labels = domain.split('.');
  for (const label of labels) {
    const reason = findLabelFault(label);
    if (reason !== null) return reason;
  }
  if (NUMERIC_LABEL.test(labels.at(-1) ?? '')) return 'domain that ends in a number';
  if (labels.length === 1 && domain.toLowerCase() !== 'localhost') return 'domain of a single label';
  return ascii ? null : findIdnaFault(domain, labels);
}

function findLabelFault(label: string): string | null {
  if (label === '') return 'misplaced dot in the domain';
  if (label.length > MAX_LABEL_OCTETS) return 'domain label longer than 63 octets';
  if (!LABEL.test(label)) return 'characters in the domain other than letters, digits and hyphens';
  if (label.startsWith('-') || label.endsWith('-')) return 'misplaced hyphen in the domain';
  if (mixesScripts(label)) return 'letters of several scripts mixed in the domain';
  return null;
}

/** A label that IDNA maps to another one (but for its case) is refused: two spellings, one mailbox. */
function findIdnaFault(domain: string, labels: readonly string[]): string | null {
  const asciiDomain = domainToASCII(domain);
  if (asciiDomain === '') return 'domain that is not valid in IDNA';
  if (asciiDomain.length > MAX_DOMAIN_OCTETS) return 'domain longer than 253 octets as A-labels';
  if (asciiDomain.split('.').some((label) => label.length > MAX_LABEL_OCTETS)) {
    return 'domain label longer than 63 octets as A-label';
  }
  const mapped = labels.some(
    (label) => NON_ASCII.test(label) && domainToUnicode(domainToASCII(label)) !== label.toLowerCase(),
  );
  return mapped ? 'domain that IDNA maps to another one' : null;
}

function mixesScripts(text: string): boolean {
  return NON_ASCII.test(text) && !SCRIPT_SETS.some((set) => set.test(text));
}
